#pragma once
// What a simulation is made of; for simulation*.cpp alone.

#include <cmath>
#include <optional>

#include "runtime/clock.h"
#include "runtime/columns.h"
#include "runtime/observer.h"
#include "runtime/pages.h"
#include "runtime/plan_runner.h"
#include "runtime/recorder.h"
#include "runtime/simulation.h"

namespace hebb {


/// A feed of one run: where each step's numbers go.
struct BoundFeed {
  const FeedValues* values = nullptr;
  ColumnId column;
  bool event = false;
  ColumnId ahead;        // takes the following step's numbers; invalid: none
  int64_t last = 0;      // row of the last step
  std::span<const double> row(int64_t step) const {
    const int64_t at = values->constant ? 0 : std::min(step, last);
    const size_t rows = static_cast<size_t>(values->rows);
    return std::span(values->values).subspan(static_cast<size_t>(at) * rows, rows);
  }
};

/// What a step changes besides Values, which it computes anew: enough to run steps again.
struct Snapshot {
  StepTime time;
  std::vector<Ticker> tickers;
  std::vector<int64_t> recorded;
  std::vector<Zeroed> columns;
  std::vector<InFlight> in_flight;
};

/// What the host did before the first step: enough to start again when no copy of the state is kept.
struct HostAction {
  ColumnId column;  // invalid: initialise
  std::vector<double> values;
};

/// A run without inputs that came before.
struct EarlierRun {
  int64_t steps = 0;
  double dt_ms = 0;
};

struct Simulation::State {
  std::shared_ptr<const Program> program;
  Kernels kernels;
  SimulationOptions options;
  Columns columns;
  std::shared_ptr<DeviceBatch> batch;  // on a device: those it goes with
  int64_t lane_of_batch = 0;
  std::optional<PlanRunner> runner;

  StepTime time;
  std::vector<Ticker> tickers;         // of plan.clocks
  std::vector<double> given_periods;   // as set by the host, before rounding to float; NaN: not set
  bool event_pending = false;          // an event was fed for the coming instant
  std::vector<ColumnId> to_clear;      // indicators that are not 0 and that no kernel writes

  std::vector<ColumnId> states;        // Role::State, except sums taken ahead, which hold inputs too, and copies of others
  std::vector<ColumnId> small_states;  // those with one value per neuron or fewer
  bool few_neurons = true;             // so few that looking at them in every step costs nobody anything
  std::vector<ColumnId> kept;          // what a snapshot holds
  std::vector<bool> stored;            // by a kernel of the step
  std::vector<bool> plain_start;       // columns that `init` leaves 0 or fills with a finite constant
  std::vector<bool> plain;             // those that nothing was written to since: finite without a look
  std::vector<bool> always;            // indicators handled in every step

  bool sparse = false;                 // has sparse projections
  bool large = false;                  // too large to copy without need
  bool keeps_snapshot = true;          // small enough to keep its memory between runs
  bool replayable = true;              // `actions` lead to where the next run starts
  std::vector<HostAction> actions;     // kept when large
  std::vector<EarlierRun> earlier;     // what was done after them

  std::vector<Recorded> recorded;
  std::optional<Divergence> divergence;
  std::vector<Observer*> observers;
  Pauses pauses;
  RecordSink* sink = nullptr;
  Snapshot last_snapshot;              // of the last run: its memory serves the next
  bool known_finite = false;           // searched, and nothing has happened since
  bool fresh = true;                   // all columns are 0 as they were made
  bool untouched = false;              // since the last step nothing was written but what is fed
  int64_t looked = 0;                  // steps of this run that observers have seen: steps may run twice

  void classify();
  void start_over();
  void replay(double dt_ms);
  bool worth_replaying(int64_t steps_of_run) const;
  void set_dt(double dt_ms);
  double period(size_t clock) const;
  void raise(ColumnId indicator);
  void clear_indicators();
  void write_feed(ColumnId column, std::span<const double> row, bool event);
  void feed_ahead_what_stays();
  void tick(double tolerance_ms);
  void finish_step(double dt_ms);
  void begin_step(int64_t step_of_run, double dt_ms, std::span<const BoundFeed> feeds, Recorder* recorder);
  void end_step(int64_t step_of_run, double dt_ms, Recorder* recorder);
  void one_step(int64_t step_of_run, double dt_ms, std::span<const BoundFeed> feeds, Recorder* recorder);
  Result<std::vector<BoundFeed>> bind(int64_t steps, std::span<const FeedValues> feeds) const;
  Status check_clocks() const;
  bool finite(const std::vector<ColumnId>& ids);
  bool finite_at_start();
  Status device_status() const;
  Divergence find_divergence(int64_t step);
  bool room_for_snapshot() const;
  Snapshot take_snapshot(const Recorder& recorder, Snapshot last);
  void restore(const Snapshot& snapshot, Recorder& recorder);
  std::string save(int64_t next_step, const Recorder& recorder) const;
  Result<int64_t> load(std::string_view bytes, Recorder& recorder);
};

}  // namespace hebb
