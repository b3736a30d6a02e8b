#pragma once
// Runs the launches of a plan on the columns of a simulation. Each launch is cut into parts once, when
// the runner is made; parts never write the same element, so the number of threads changes no bit.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "compiler/program/kernels.h"
#include "runtime/columns.h"
#include "runtime/threads.h"

namespace hebb {

/// Rows of a kernel's domain for one thread: dense [pre_begin, pre_end) × [post_begin, post_end).
struct Part {
  int64_t pre_begin = 0, pre_end = 1;
  int64_t post_begin = 0, post_end = 1;
  friend bool operator==(const Part&, const Part&) = default;
};

/// Steps that a delay takes at the current dt; nothing when it is not a whole number of at least one.
std::optional<int64_t> delay_steps(const Program& program, const Columns& columns, const Delayed& delayed);

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
};

/// What is on its way through one delay, of the steps past, the latest last: rows that spiked, or, of values,
/// the words of all rows.
using InFlight = std::deque<std::vector<uint32_t>>;

class PlanRunner {
 public:
  /// `columns` must stay where it is.
  PlanRunner(const Program& program, const Kernels& kernels, Columns& columns, uint64_t key, int threads,
             int64_t rows_per_part);
  void run_init();
  /// Before the first step of a run, once that step's signals are fed.
  void run_begin();
  void run_step(int64_t step, bool eventful);

  /// Of each delay of the plan; what a copy of the state needs besides the columns.
  const std::vector<InFlight>& in_flight() const { return in_flight_; }
  void set_in_flight(std::vector<InFlight> spikes) {
    in_flight_ = std::move(spikes);
    for (SpikeList& list : lists_) list.known = false;
  }
  /// Whether this is what this runner may have had in flight.
  bool fits(const std::vector<InFlight>& spikes) const;
  void drop_in_flight() { set_in_flight(std::vector<InFlight>(in_flight_.size())); }

  /// Adds to every weight what waits for it: before the host changes anything.
  void settle();

  /// Neurons whose element of `column` is not 0 now, ascending.
  std::span<const uint32_t> spikes(ColumnId column);

 private:
  struct Prepared {
    KernelId kernel;
    std::vector<hebb_launch> parts;
    int list = -1;                 // of its rows; -1: all
    bool by_list = false;          // parts take some of the list each, else all of it
    double row = 0;                // synapses of a neuron of the list, roughly
    std::vector<hebb_launch> one;  // of a list: all of it on this thread, where it is short
    std::vector<int> outdates;     // lists of columns it writes
    ColumnId copies;               // valid: all it does is to copy these spikes
    int copies_into = -1;          // the list of the column it writes
  };
  struct Late {
    ColumnId weight, scale;
    Prepared now;
    std::vector<Prepared> settle;
  };
  void settle(Late& late);
  void settle_what_is_due(int64_t step);
  void read_now(Late& late, std::span<double> into);
  int list_of(ColumnId column);
  size_t words_of(ColumnId column) const;
  void deliver(size_t delay);
  void depart(size_t delay);
  const SpikeList& current_list(int list);
  const int64_t* split(SpaceId space, int64_t post);
  Prepared prepare(const Program& program, KernelId kernel, uint64_t key, int64_t rows_per_part);
  void launch(Prepared& prepared, int64_t step);
  void copy_spikes(const Prepared& prepared);
  void reset(const std::vector<ColumnId>& accumulated);
  bool on_device(DeviceRun::List list, int64_t step);

  const Program& program_;
  const Kernels& kernels_;
  Columns& columns_;
  ThreadPool pool_;
  int64_t rows_per_part_;
  std::map<uint32_t, std::map<int64_t, std::vector<int64_t>>> splits_;  // of a sparse space, at a post neuron
  std::vector<SpikeList> lists_;
  std::vector<InFlight> in_flight_;
  std::vector<std::vector<uint32_t>> spare_;  // memory of spikes that have arrived
  std::vector<Prepared> init_, begin_, quiet_, eventful_;
  std::vector<Late> late_;
  std::vector<ColumnId> init_resets_, step_resets_;
};

}  // namespace hebb
