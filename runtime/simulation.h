#pragma once
// Runs a Program's plan: owns its columns, feeds signals, fires clocks, splits kernels over threads,
// records, and stops when a value is no longer finite. Same bits for any number of threads.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/program/kernels.h"
#include "compiler/support/bytes.h"
#include "compiler/support/result.h"
#include "runtime/connectivity.h"

namespace hebb {

struct SimulationOptions {
  Precision precision = Precision::Float32;
  uint64_t seed = 1;
  uint32_t lane = 0;      // of a batch: draws differ between lanes
  int threads = 1;
  int64_t rows_per_thread = 8192;  // a launch with fewer is not worth a second thread; 1: all is shared, however small
  bool stop_on_nonfinite = true;
  const std::atomic<bool>* interrupted = nullptr;  // polled between steps: `run` returns early, Ok
};

/// What one feed is given: `values` holds steps × rows numbers, row-major; a run longer than that is
/// refused before it starts. NaN is passed on as it is.
struct FeedValues {
  std::string name;                // Feed::name
  std::vector<double> values;
  int64_t rows = 1;                // numbers per step
  bool constant = false;           // one row, used at every step
};

enum class RecordReduce { None, Mean, Sum, Min, Max, Histogram };
/// Numbers `first` to `last` of one axis; last -1: to its end. `keep`: the axis stays, also when it is one number.
struct RecordRange {
  int64_t first = 0, last = -1;
  bool keep = true;
};
/// Keep a column (all rows, all elements) every `every_steps` steps, counted from the first.
struct Recording {
  std::string name;
  ColumnId column;
  int64_t every_steps = 1;
  RecordReduce reduce = RecordReduce::None;
  bool final_only = false;         // one row: the value after the last step
  bool events = false;             // of a neurons column: which rows are not 0, at every step
  bool streamed = false;           // its samples go to the simulation's sink and not to memory
  /// A part of each sample, axis by axis. Of a sparse column one range is of synapses, two are of pre and of post
  /// neurons: what is left is one number after another.
  std::vector<RecordRange> ranges = {};
  int64_t bins = 0;                // Histogram: how many values are in each of `bins` parts of [low, high]
  double low = 0, high = 0;
  /// Valid: a sample at every step in which this event happens, led by the number of the step (from 0)…
  ColumnId on = {};
  bool of_row = false;             // …and by the row it happens to: the sample is that row's value just before
};
/// Numbers in front of each sample.
inline int64_t record_lead(const Recording& recording) { return !recording.on.valid() ? 0 : recording.of_row ? 2 : 1; }
/// Takes the samples of streamed recordings while a run goes on. Only what is known to be finite, each once.
struct RecordSink {
  virtual ~RecordSink() = default;
  /// The shape of its samples, before the first.
  virtual void begins(size_t recording, const std::vector<int64_t>& shape) = 0;
  virtual Status take(size_t recording, std::span<const double> values, int64_t samples) = 0;
  /// How far it is, for a checkpoint; what it took after that is taken back when it loads.
  virtual void save(ByteWriter& into) const = 0;
  virtual Status load(ByteReader& from) = 0;
};
/// `values` holds samples × size numbers; size is rows × width of the column, dense [pre, post], sparse
/// [synapse]. Of events: two numbers each, the step of the run (from 0) and the row. With record_lead() numbers in
/// front of each sample.
struct Recorded {
  std::string name;
  std::vector<int64_t> shape;      // of one sample: {}, {n}, {pre, post}, with width last when > 1
  int64_t samples = 0;
  std::vector<double> values;
};

/// The first value that was not finite.
struct Divergence {
  std::string column;              // "W.w"
  std::vector<int64_t> index;      // {i} or {i, j} (and the element when width > 1)
  int64_t step = 0;
  double time_ms = 0;
  double value = 0;
};

class Columns;
class DeviceBatch;
class Observer;

/// How a run can be interrupted and go on, in another process too: the same bits as without.
struct Pauses {
  std::function<bool()> due;                         // asked after every step
  std::function<Status(std::string state)> keep;     // takes the whole run as it is; a failure ends the run
  std::string from;                                  // what `keep` was given: go on from there
};

class Simulation {
 public:
  /// Allocates and zeroes all columns; refuses what would not fit in memory, saying how much it needs.
  static Result<Simulation> create(std::shared_ptr<const Program> program, Kernels kernels,
                                   const SimulationOptions& options);
  Simulation(Simulation&&) noexcept;
  Simulation& operator=(Simulation&&) noexcept;
  ~Simulation();

  /// Simulations whose kernels a device runs all at once; the synapses of all are those of the first. Their bits are those
  /// of each alone.
  static Result<std::vector<Simulation>> create_together(std::shared_ptr<const Program> program, const Kernels& kernels,
                                                         std::span<const SimulationOptions> options);
  /// How many of so many would go together there: one, where their synapses differ or there is not enough memory.
  static Result<int64_t> together(const std::shared_ptr<const Program>& program, const Kernels& kernels,
                                  std::span<const SimulationOptions> options);

  /// Values in logical order: neurons [rows][width], dense [pre][post][width]. One number fills all.
  Status set(ColumnId column, std::span<const double> values);
  std::vector<double> get(ColumnId column) const;
  /// Draws and initial values; afterwards `set` overrides what it must.
  void initialise();

  /// `steps` steps of `dt_ms`. May be called again to go on. When a value diverges, stops at the end of
  /// that step; `divergence()` says where. `interrupted` of the options is polled between steps.
  Status run(int64_t steps, double dt_ms, std::span<const FeedValues> feeds,
             std::span<const Recording> recordings);
  /// The same of simulations that were created together; what each is fed and how it ended.
  static std::vector<Status> run_together(std::span<Simulation* const> simulations, int64_t steps, double dt_ms,
                                          std::span<const std::vector<FeedValues>* const> feeds, std::span<const Recording> recordings);
  /// Who looks on in the runs from now on. They stay the caller's.
  void watch(std::vector<Observer*> observers);
  /// Where streamed recordings go; stays the caller's.
  void stream_to(RecordSink* sink);
  /// Of the next run.
  void pause_with(Pauses pauses);
  const std::vector<Recorded>& recorded() const;
  std::vector<Recorded> take_recorded();
  const std::optional<Divergence>& divergence() const;

  // The pieces of a step, for hosts with their own clock (`protocol` goes from event to event).
  /// Writes a Fed or Indicator column's rows for the coming instant.
  void feed(ColumnId column, std::span<const double> row);
  /// One plan step with the given dt (0: the instant alone, nothing flows). Indicators are cleared after.
  void step(double dt_ms);

  const Columns& columns() const;
  /// The synapses of a sparse space.
  const Connections& connections(SpaceId space) const;

  int64_t steps_done() const;
  double time_ms() const;
  size_t bytes() const;            // of all columns

 private:
  struct State;
  class Going;
  explicit Simulation(std::unique_ptr<State> state);
  void make_runner();
  std::unique_ptr<State> state_;
};

}  // namespace hebb
