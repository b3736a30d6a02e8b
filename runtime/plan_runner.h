#pragma once
// Runs the launches of a plan on the columns of a simulation. Each launch is cut into parts once, when
// the runner is made; parts never write the same element, so the number of threads changes no bit.

#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "compiler/program/kernels.h"
#include "runtime/buckets.h"
#include "runtime/columns.h"
#include "runtime/faster_way.h"
#include "runtime/step_constants.h"
#include "runtime/step_schedule.h"
#include "runtime/thread_copies.h"
#include "runtime/threads.h"

namespace hebb {

/// Rows of a kernel's domain for one thread: dense [pre_begin, pre_end) × [post_begin, post_end).
struct Part {
  int64_t pre_begin = 0, pre_end = 1;
  int64_t post_begin = 0, post_end = 1;
  friend bool operator==(const Part&, const Part&) = default;
};

/// Steps that a delay takes at the current dt; nothing when it is not a whole number from one to these.
constexpr double kMostDelaySteps = 1e9;
std::optional<int64_t> delay_steps(const Program& program, const Columns& columns, const Delayed& delayed);

/// The rows of a space: of neurons, 1 and their number.
struct Extent {
  int64_t pres = 1;
  int64_t posts = 1;
};
Extent extent(const Program& program, SpaceId id);

/// Which way a kernel may be cut. A sum must not be shared by two threads.
/// ByList: each thread takes some of the neurons that spike.
enum class Cut { None, ByPre, ByPost, Either, ByList };
Cut allowed_cut(const Program& program, const Kernel& kernel);

/// At most `threads` parts of at least `rows_per_part` rows. Cuts by post lie at multiples of 16, so
/// that no two threads share a vector.
std::vector<Part> cut(const Program& program, const Kernel& kernel, int threads, int64_t rows_per_part);

/// Which rows of a column are not 0, as of its last write. Kernels over some rows of a sparse space run
/// over such a list.
struct SpikeList {
  ColumnId column;
  std::vector<uint32_t> rows;
  int64_t count = 0;
  bool current = false;
  bool known = false;   // of copied spikes: the column holds these and no others
  std::vector<uint32_t> leaving;                // rows that the column still has as 1 and that are to become 0
  struct alignas(128) Block {
    std::vector<uint32_t> rows;
    int64_t count = 0;
  };
  std::vector<Block> blocks;                    // as each thread found them
};

class PlanRunner {
 public:
  /// `columns` must stay where it is. Of a network with sparse projections whole steps are shared among the
  /// threads, where that turns out to be faster; always when `rows_per_part` is 1.
  PlanRunner(const Program& program, const Kernels& kernels, Columns& columns, uint64_t key, int threads,
             int64_t rows_per_part);
  void run_init();
  /// Before the first step of a run, once that step's signals are fed.
  void run_begin();
  /// `untouched`: since the last step the host has written nothing but what it feeds.
  void run_step(int64_t step, bool eventful, bool untouched = false);
  /// On a device: what is around the launches of a step, for who does those himself.
  void before_launches(bool untouched);
  void after_launches();

  /// Of each delay of the plan; what a copy of the state needs besides the columns.
  const std::vector<InFlight>& in_flight() const { return in_flight_; }
  void set_in_flight(std::vector<InFlight> spikes) {
    in_flight_ = std::move(spikes);
    for (SpikeList& list : lists_) list.known = list.current = false;
    for (Late& late : late_) late.is_settled = false;
    constants_of_ = 0;
    outdate_copies();
    for (Buckets& buckets : buckets_) buckets.forget();
  }
  /// Whether this is what this runner may have had in flight.
  bool fits(const std::vector<InFlight>& spikes) const;
  void drop_in_flight() { set_in_flight(std::vector<InFlight>(in_flight_.size())); }

  /// Before the host writes a column: adds to every weight what waits for it, and computes what the last step would have
  /// computed with what is there now.
  void host_writes(ColumnId column);

  /// Its threads, between steps.
  ThreadPool& pool() { return pool_; }

  /// Neurons whose element of `column` is not 0 now, ascending.
  std::span<const uint32_t> spikes(ColumnId column);
  /// The same right after a step, of a column of copied spikes, which is 1 there and else 0; nothing when it is another.
  std::optional<std::span<const uint32_t>> copied_spikes(ColumnId column) const;

 private:
  struct Prepared {
    KernelId kernel;
    std::vector<hebb_launch> parts;
    int list = -1;                 // of its rows; -1: all
    int gate = -1;                 // runs when this list is not empty; -1: always
    bool by_list = false;          // parts take some of the list each, else all of it
    bool in_turn = false;          // parts follow each other on this thread
    double row = 0;                // synapses of a neuron of the list, roughly
    std::vector<hebb_launch> one;  // of a list: all of it on this thread, where it is short
    std::vector<int> outdates;     // lists of columns it writes
    Buckets* buckets = nullptr;    // it runs once for each of them
    std::vector<hebb_launch> of_bucket;
    ColumnId copies;               // valid: all it does is to copy these spikes
    int copies_into = -1;          // the list of the column it writes
  };
  struct Late {
    std::vector<ColumnId> behind, scales;
    Prepared now;
    std::vector<Prepared> settle;
    ColumnId counts;               // invalid: none
    int events = -1;               // list of what is counted
    double most = 0;
    bool is_settled = true;        // nothing waits: what is stored is what there is, also beyond a bound where the host put it
  };
  struct Seldom {
    ColumnId column;
    Prepared all;
    std::set<ColumnId> reads;      // and itself: it is made for good before these are written
    bool is_made = false;          // since the last step
  };
  void make(Seldom& seldom);
  void settle(Late& late);
  void settle_what_is_due(int64_t step);
  void read_now(Late& late, ColumnId column, std::span<double> into);
  double least_scale(const Late& late) const;
  bool is_full(const Late& late) const;
  int list_of(ColumnId column);
  size_t words_of(ColumnId column) const;
  int64_t steps_of_delay(size_t delay);
  void deliver(size_t delay, bool shared);
  void depart(size_t delay);
  const SpikeList& current_list(int list);
  const int64_t* split(SpaceId space, int64_t post);
  hebb_launch whole_launch(SpaceId domain, uint64_t key) const;
  hebb_launch of_block(hebb_launch whole, SpaceId domain, size_t block) const;
  Prepared prepare(const Program& program, KernelId kernel, uint64_t key, int64_t rows_per_part);
  void launch(Prepared& prepared, int64_t step);
  void launch_buckets(Prepared& prepared, int64_t step);
  void prepare_buckets(Prepared& prepared);
  void copy_spikes(const Prepared& prepared);
  static void take_over(SpikeList& list, const SpikeList& from);
  void reset(const std::vector<ColumnId>& accumulated);
  bool on_device(DeviceRun::List list, int64_t step);
  bool constants_stay();

  static constexpr int64_t kWhole = INT64_MAX;  // rows per part: never cut

  // Steps that threads share, in shared_step.cpp.
  struct alignas(128) OwnLaunch {  // of one thread: others do not write those lines
    hebb_launch launch;
    size_t bucket = 0;
  };
  struct SharedKernel {
    KernelId kernel;
    Share share = Share::One;
    int list = -1;
    int gate = -1;                   // runs when this list is not empty
    ColumnId own_gate;               // runs when this uniform column is not 0, of which each thread has a copy; invalid: always
    SpaceId listed;                  // neurons in blocks of which the list is divided; invalid: everyone takes all of it
    Buckets* buckets = nullptr;      // it runs once for each of them
    std::vector<std::vector<OwnLaunch>> parts;  // of each thread
  };
  enum class Deed { Launch, Reset, Find, Join, TakeOver, Mark };
  struct Action {
    Deed deed = Deed::Launch;
    size_t kernel = 0;               // Launch: of shared_kernels_
    ColumnId column;                 // Reset
    int list = -1, from = -1;        // of lists_; TakeOver: what it becomes
    bool whole = false;              // all rows, by the first thread
  };
  struct SharedStep {
    std::vector<std::vector<Action>> levels;
    std::vector<int> read_first;     // lists that must be current before
    std::vector<int> taken_over;     // lists of columns that must hold these and no others before
    std::vector<int> outdated;       // lists that nobody finds
  };
  void outdate_copies() {
    if (copies_) copies_->outdate();
  }
  std::vector<bool> never_copied() const;
  void prepare_sharing(uint64_t key);
  size_t prepare_shared(KernelId kernel, Share share, uint64_t key);
  hebb_launch of_bucket(hebb_launch part, SpaceId space, const Buckets& buckets, size_t bucket);
  bool of_buckets(int list) const;
  Share own_share(const Kernel& kernel) const;
  SharedStep plan_sharing(When leave_out, uint64_t key);
  void run_shared(const SharedStep& shared, int64_t step);
  void run_levels(const SharedStep& shared, int thread, int64_t step);
  void act(const Action& action, int thread, int64_t step);
  void launch_own(SharedKernel& shared, int thread, int64_t step);
  void mark(SpikeList& list, int64_t begin, int64_t end);
  Part block(int64_t neurons, int thread) const;
  void reclaim(int thread) const;

  const Program& program_;
  const Kernels& kernels_;
  Columns& columns_;
  ThreadPool pool_;
  int64_t rows_per_part_;
  std::map<uint32_t, std::map<int64_t, std::vector<int64_t>>> splits_;  // of a sparse space, at a post neuron
  std::map<std::tuple<uint32_t, size_t, int64_t>, std::vector<int64_t>> bucket_splits_;  // of a sparse space, in a bucket, at a post neuron
  std::vector<SpikeList> lists_;
  std::vector<InFlight> in_flight_;    // of the plan's delays, then of each of its bucketed spaces
  std::vector<int64_t> delays_;        // of the plan's delays, in steps
  uint64_t delays_of_ = 0;             // Columns::parameter_changes when they were computed
  std::deque<Buckets> buckets_;
  std::vector<std::vector<uint32_t>> spare_;  // memory of spikes that have arrived
  std::vector<Prepared> init_, begin_, quiet_, eventful_;
  std::vector<Late> late_;
  std::vector<Seldom> seldom_;
  int64_t step_ = -1;                // the last one; -1: there was none
  bool begun_ = false;               // what is late has a beginning
  std::vector<ColumnId> init_resets_, step_resets_;
  StepConstants constants_;
  uint64_t constants_of_ = 0;          // Columns::parameter_changes when they were computed; 0: they were not
  bool shares_ = false;                // steps, among threads
  std::vector<SharedKernel> shared_kernels_;
  SharedStep shared_quiet_, shared_eventful_;
  Copied copied_;
  std::optional<ThreadCopies> copies_;  // of steps that threads share
  std::vector<ColumnId> written_in_blocks_;
  Meeting meeting_;
  FasterWay faster_;
  std::vector<std::exception_ptr> failures_;  // of each thread
};

}  // namespace hebb
