#pragma once
// One trajectory in memory: a program with its columns, run forwards and backwards. A Trajectory is one of these,
// or several that share the postsynaptic neurons among them.

#include <atomic>
#include <functional>
#include <map>

#include "runtime/faster_way.h"
#include "runtime/threads.h"
#include "runtime/trajectory/packed.h"
#include "runtime/trajectory/slots.h"
#include "runtime/trajectory/trajectory.h"

namespace hebb {

/// A kernel over all its rows.
struct PreparedLaunch {
  KernelId kernel;
  void (*function)(const hebb_launch*) = nullptr;                  // compiled code, or
  const std::function<void(const hebb_launch*)>* other = nullptr;  // another engine
  hebb_launch launch{};
  std::vector<hebb_launch> parts;                                  // that threads of `pool` share; none: it is not cut
  ThreadPool* pool = nullptr;
};
/// `share`: those that are cut, among threads.
void run_launches(std::vector<PreparedLaunch>& list, int64_t step, bool share = false);

/// How many steps lie between two checkpoints: all where what is kept takes no more than `cosy` bytes, else about
/// sqrt(steps).
struct Segments {
  int64_t steps = 1, count = 1;
  double bytes = 0;
};
/// Bytes of a checkpoint, of those states that each step of a segment keeps, and of what else each step keeps.
struct StepBytes { uint64_t checkpoint = 0, state = 0, step = 0; };
Segments plan_segments(int64_t steps, const StepBytes& bytes, double cosy);

/// Where the states before a step lie: those that every step of a segment keeps, and the others.
struct StatePlace {
  std::byte* kept = nullptr;
  std::byte* passing = nullptr;
};

/// The launches of one flavour of a step.
struct PreparedStep {
  std::vector<PreparedLaunch> forward, reverse;
  std::vector<PreparedLaunch> moved;   // of `forward`: what changes with the targets
  std::vector<PreparedLaunch> again;   // of those: what the reverse needs and no step keeps
  std::vector<PreparedLaunch> late;    // `reverse` without sums that several steps are added to at once, by `sums`
  std::vector<PreparedLaunch> sums;
};

/// Some neurons of a longer row of them: [first, first + posts) of `all`.
struct PostWindow {
  int64_t first = 0, posts = 0, all = 0;
};

/// Where a recording of a run lies, and what part of each row this core has. Of the same layout: what the loss owes it.
struct OutputPlace {
  TrajectoryOutput what;
  double* values = nullptr;          // samples × rows of all neurons
  const double* owed = nullptr;
  bool cut = false;                  // only the neurons of the window are here
};

struct TrajectoryCore {
  std::shared_ptr<const Adjoint> adjoint;
  std::shared_ptr<const Program> program_;       // that of the adjoint, or narrowed
  Kernels kernels;
  Precision precision = Precision::Float64;
  Columns columns;
  uint64_t key = 0;
  std::vector<uint64_t> keys;                    // several runs at once (pack.h): one for each
  PostWindow window;

  std::vector<ColumnId> now, next;               // of carried states that move; those of `states` first
  std::vector<ColumnId> now_adjoints, next_adjoints;
  Slots states;                                  // those of a segment after its first, which is its checkpoint
  size_t moved_states = 0;                       // bytes at the beginning of a slot: what changes with the targets
  Slots turns;                                   // two of the states that nobody reads later than in the next step
  Slots saved;                                   // one of all states per checkpoint
  /// With checkpoints, where states are mostly padding: `states` are two that take turns, `saved` is the beginning, `small`
  /// is one, and all others are kept here.
  PackedSlots packed_states, packed_saved, packed_turns, packed_small;
  bool packs = false;
  int64_t held[2] = {-1, -1};                    // before which step `states` are; -1: none
  Slots small;                                   // per-neuron columns of each step of the segment
  /// What neurons compute is kept more slowly than it is computed: of these columns there is one, for whichever step is
  /// computed.
  Slots passing;
  size_t small_zeros = 0, passing_zeros = 0;     // bytes of them that begin each step as zero
  Slots zeros;                                   // adjoints that begin each reverse step as zero
  std::vector<ColumnId> swapped_zeros;           // the same of columns that change their place with another
  std::vector<ColumnId> resets, moved_resets;    // other sums of the forward step: all, those the targets change
  bool dense_values = false;                     // forward steps leave dense values the reverse reads
  bool passes_again = false;                     // the way back computes what passes
  TrajectoryMemory memory;

  PreparedStep quiet, eventful, init, once, begun;
  /// States after a step that its computing anew for the reverse would leave half made.
  std::vector<ColumnId> disturbed;
  std::vector<std::byte> undisturbed;
  std::unique_ptr<ThreadPool> pool;
  FasterWay forth, back;                         // alone or among threads
  /// Where a step is eventful for some of several runs both flavours are computed, and each run keeps its own: the
  /// columns that either writes, and memory for them.
  std::vector<ColumnId> written, written_back;
  std::vector<std::byte> before_step, of_quiet;

  std::vector<FeedValues> given;                 // as of the last forward pass
  struct BoundFeed {
    ColumnId column, ahead;                      // ahead: holds the row of the coming step, in the last one the same
    bool event = false, always = false;
    const std::byte* rows = nullptr;             // what the column holds at each step, `stride` bytes apart
    size_t stride = 0;
    AlignedBytes memory;                         // where they lie; empty: in another core
  };
  std::vector<BoundFeed> feeds;                  // of `given`
  std::map<uint32_t, std::vector<double>> last;  // what `set` was given, by column
  std::vector<uint32_t> fed_fires;               // by step: runs that are fed an event, a bit each
  std::vector<std::vector<uint32_t>> ticks;      // by clock of the plan, by step: runs for which it fires
  std::vector<uint32_t> fires;                   // by step: runs for which the step is eventful
  int64_t steps = 0;
  double dt_ms = 0;
  int64_t ring_begin = 0;                        // first step of the segment that `states` holds; -1: none
  /// Everything that the targets do not change is still there from the last forward pass.
  bool kept = false;
  bool bound = false;                            // `feeds` are those of `given`
  const std::atomic<bool>* interrupted = nullptr;
  bool looks = false, finite = true;             // for states that are not finite, in a forward pass; found none
  std::vector<ColumnId> fed_targets;
  std::vector<std::vector<double>> fed_gradients;

  static Result<std::unique_ptr<TrajectoryCore>> create(std::shared_ptr<const Adjoint> adjoint,
                                                        std::shared_ptr<const Program> program, Kernels kernels,
                                                        Precision precision, uint64_t key, PostWindow window,
                                                        std::vector<uint64_t> keys = {});
  const Program& program() const { return *program_; }

  /// Large kernels may be cut by neurons among so many threads from now on, where that turns out to be faster; no bit
  /// depends on it.
  void share_among(int threads);
  void set(ColumnId column, std::span<const double> values);
  void initialise();
  /// Makes ready for `steps` steps. Every step is kept in up to `cosy` bytes, else there are checkpoints; a failure
  /// where those take more than `most`.
  Status begin(int64_t steps, double dt_ms, uint64_t cosy, uint64_t most);
  /// `checkpoints_only`: another trajectory will use the memory before this one is reversed.
  void forward(std::span<const OutputPlace> outputs, bool checkpoints_only = false);
  Status bind_feeds(std::span<const FeedValues> given);
  /// The feeds of the core of all neurons; `cut` says of which columns this one has the window only.
  void borrow_feeds(const TrajectoryCore& whole, const std::function<bool(ColumnId)>& cut);
  /// Leaves the adjoints of states where they begin. `last_owed`: of several runs at once, the last step that the loss
  /// reads of each; -1: none.
  void reverse(std::span<const OutputPlace> outputs, std::span<const int64_t> last_owed = {});
  void finish();                                        // what parameters and initial values are owed
  /// `lanes`: of several runs at once, which are counted.
  TrajectoryAtBounds at_bounds(ColumnId state, double low, double high, const std::vector<bool>* lanes = nullptr);
  std::vector<double> read(ColumnId id) const;
  void load_beginning();                                // binds the states before the first step

 private:
  bool dense(ColumnId id) const {
    const Program& all = adjoint->program;
    return all[all[id].space].kind == SpaceKind::Dense;
  }
  bool moves(ColumnId id) const { return adjoint->moved.columns[id.value]; }
  bool of_whole_run(ColumnId id) const;
  std::vector<ColumnId> values_of_steps() const;
  void classify_states(const std::function<bool(ColumnId)>& later);
  void classify();
  PreparedLaunch prepare(KernelId id);
  void prepare_launches();
  Status plan_memory(uint64_t cosy, uint64_t most);
  void write_rows(BoundFeed& feed, const FeedValues& values);
  StatePlace state_before(int64_t step);         // in the segment that is held, or at the beginning
  StatePlace checkpoint(int64_t index);
  void bind_states(std::span<const ColumnId> as, const StatePlace& place);
  void bind(const StatePlace& state, const StatePlace& next_state, int64_t small_slot, int64_t step);
  void bind_step(int64_t step);
  uint32_t all_runs() const { return keys.empty() ? 1 : (uint32_t{1} << keys.size()) - 1; }
  void find_ticks();
  void show_ticks(int64_t step);
  using FlavourList = std::vector<PreparedLaunch> PreparedStep::*;
  void run_flavours(int64_t step, FlavourList list, std::span<const ColumnId> writes);
  void run_step(std::vector<PreparedLaunch>& launches, int64_t step, FlavourList list);
  enum class Compute { All, Moved, ForReverse };
  void compute_step(int64_t step, int64_t small_slot, Compute what);
  void compute_for_reverse(int64_t step);
  void find_disturbed();
  bool sums_late() const;
  int64_t late_before(int64_t last, std::span<const int64_t> last_owed) const;
  void keep_for_sums(int64_t row);
  /// `made`: called after each step that is computed, its columns bound.
  void load_segment(int64_t begin, const std::function<void()>& made = {});
  void swap_adjoints();
  void begin_lanes(std::span<const int64_t> last_owed, int64_t step);
  void record(const OutputPlace& output, ColumnId from, int64_t step);
  void owe(const OutputPlace& output, ColumnId into, int64_t step);
  ColumnId after_step(ColumnId id) const;
  void look(int64_t step);
  bool fetches_slots() const;
  void fetch_slots(const std::byte* state, int64_t small_slot);   // of a coming step
};

}  // namespace hebb
