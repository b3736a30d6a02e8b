// A run from its first step to its last, of one simulation or of several on a device together.

#include <algorithm>
#include <utility>

#include "compiler/support/text.h"
#include "runtime/simulation_state.h"

namespace hebb {

namespace {

constexpr int64_t kWindow = 512;  // steps between two full searches for values that are not finite: with
                                  // fewer, searching and copying large matrices would cost percents
constexpr int64_t kSparseWindow = 4096;  // where a step looks at few synapses
constexpr int64_t kCopyWindow = 16384;   // and where all of them would have to be copied

/// Of a delay that delay_steps refuses. Its column is PROJECTION.delay_WAY; the way back is as long as the dendrite where nothing else was said.
std::string why_no_steps(const Program& program, const Columns& columns, const Delayed& delayed, double dt_ms) {
  constexpr std::string_view kBetween = ".delay_";
  const std::string& name = program[delayed.delay].name;
  const double ms = meant_value(columns, delayed.delay);
  const size_t at = name.rfind(kBetween);
  const std::string projection = name.substr(0, at);
  std::string way = name.substr(at + kBetween.size());
  const ColumnId dend = program.find_column(cat(projection, kBetween, "dend"));
  if (way == "bap" && dend.valid() && meant_value(columns, dend) == ms) way = "dend";
  const char* const why = ms < dt_ms ? "shorter than one step" : ms > kMostDelaySteps * dt_ms ? "longer than a billion steps" : "not a whole number of steps";
  return cat("delay ", way, " of ", quoted(projection), " is ", shortest(ms), " ms, which is ", why, " of ", shortest(dt_ms), " ms");
}

}  // namespace

/// A run between its beginning and its end.
class Simulation::Going {
 public:
  static Result<Going> begin(State& state, int64_t steps, double dt_ms, std::span<const FeedValues> feeds, std::span<const Recording> recordings);

  bool goes_on() const { return n_ < steps_ && !s_.divergence && !ended_; }
  /// False: the host wants no more steps.
  bool begin_step() {
    stop_ = s_.options.interrupted != nullptr && *s_.options.interrupted;
    if (!stop_) s_.begin_step(n_, dt_ms_, bound_, &recorder_);
    return !stop_;
  }
  void launch() { s_.runner->run_step(s_.time.step, s_.event_pending, /*untouched=*/std::exchange(s_.untouched, true)); }
  Status end_step();
  Status finish();

 private:
  Going(State& state, Recorder recorder) : s_(state), recorder_(std::move(recorder)) {}
  void begin_plan();
  void narrow(int64_t done);
  void find_divergence(int64_t done);

  State& s_;
  Recorder recorder_;
  int64_t steps_ = 0;
  double dt_ms_ = 0;
  std::vector<BoundFeed> bound_;
  // A few neurons are looked at every step, everything every kWindow steps. When something is not finite, the
  // steps since the last full search run again, each followed by a full search: the same bits, so the
  // first bad value is found. They start from a copy of the state, or, where the state is large, from
  // the very beginning; with neither, every step gets a full search.
  bool search_ = false, replay_ = false, copy_ = false;
  int64_t window_ = 1;
  Snapshot snapshot_;
  std::vector<int64_t> kept_samples_;   // of the steps before `searched_`
  int64_t searched_ = 0;                // steps of this run known to be finite
  int64_t n_ = 0;                       // step of this run
  bool stop_ = false, ended_ = false;
};

Result<Simulation::Going> Simulation::Going::begin(State& s, int64_t steps, double dt_ms, std::span<const FeedValues> feeds,
                                                   std::span<const Recording> recordings) {
  s.recorded.clear();
  s.divergence.reset();
  s.looked = 0;
  s.fresh = s.untouched = false;
  if (steps < 0) return Failure{cat("a run takes 0 steps or more, got ", steps)};
  if (!(dt_ms >= 0) || std::isinf(dt_ms)) return Failure{cat("dt must be a number of ms from 0 up, is ", dt_ms)};
  Result<std::vector<BoundFeed>> bound = s.bind(steps, feeds);
  if (!bound) return bound.failure();
  const Status clocks = s.check_clocks();
  // Values of a device that failed are not judged.
  if (Status working = s.device_status(); !working) return working.failure();
  if (!clocks) return clocks.failure();
  s.set_dt(dt_ms);
  for (const Delayed& delayed : s.program->plan.delays) {
    if (delay_steps(*s.program, s.columns, delayed)) continue;
    if (Status working = s.device_status(); !working) return working.failure();
    return Failure{why_no_steps(*s.program, s.columns, delayed, dt_ms)};
  }
  for (const Bucketed& bucketed : s.program->plan.bucketed) {
    const Space& space = (*s.program)[bucketed.space];
    if (std::abs(dt_ms - space.connect.dt_ms) > 1e-9 * dt_ms)
      return Failure{cat("the delays of ", quoted(space.name), " are whole steps of ", space.connect.dt_ms, " ms, and this run has steps of ", dt_ms, " ms")};
  }
  Result<Recorder> made = Recorder::create(*s.program, s.columns, recordings, steps);
  if (!made) return made.failure();
  Going out(s, *std::move(made));
  out.steps_ = steps;
  out.dt_ms_ = dt_ms;
  out.bound_ = *std::move(bound);
  for (size_t k = 0; s.sink && k < recordings.size(); ++k)
    if (recordings[k].streamed) s.sink->begins(k, out.recorder_.recorded[k].shape);

  const bool resumed = !s.pauses.from.empty();
  if (resumed) {
    const auto next = s.load(s.pauses.from, out.recorder_);
    if (!next) return next.failure();
    if (*next > steps) return Failure{"the checkpoint does not fit this run"};
    out.n_ = *next;
    s.pauses.from = {};
  }
  out.search_ = s.options.stop_on_nonfinite;
  out.replay_ = s.worth_replaying(0) && !resumed;
  if (resumed || !feeds.empty()) s.replayable = false;
  const bool several = steps - out.n_ > 1;  // a single step need not be done again to be found
  out.copy_ = out.search_ && !out.replay_ && several && s.room_for_snapshot();
  // What is recorded waits for a search.
  const int64_t sparse_window = out.copy_ && s.large && s.sink == nullptr ? kCopyWindow : kSparseWindow;
  out.window_ = !out.replay_ && !out.copy_ ? 1 : s.sparse ? sparse_window : kWindow;
  if (out.search_ && (resumed ? !s.finite(s.states) : !s.known_finite && !s.finite_at_start())) s.divergence = s.find_divergence(s.time.step - 1);
  s.known_finite = false;
  s.plain.assign(s.plain.size(), false);
  if (!resumed) out.begin_plan();
  if (out.copy_) out.snapshot_ = s.take_snapshot(out.recorder_, std::exchange(s.last_snapshot, {}));
  out.kept_samples_ = out.recorder_.mark();
  out.searched_ = out.n_;
  return out;
}

void Simulation::Going::begin_plan() {
  if (steps_ == 0 || s_.program->plan.begin.empty()) return;
  for (const BoundFeed& feed : bound_) {
    if (!feed.event) s_.columns.write(feed.column, feed.row(0));
  }
  s_.feed_ahead_what_stays();
  s_.runner->run_begin();
}

/// Finds the part of a long window where it happened: up to there everything is finite, and there the copy is from.
void Simulation::Going::narrow(int64_t done) {
  s_.restore(snapshot_, recorder_);
  for (int64_t again = searched_; again < done; ++again) {
    s_.one_step(again, dt_ms_, bound_, &recorder_);
    if (again + 1 - searched_ < kWindow) continue;
    if (!s_.finite(s_.states)) return;
    searched_ = again + 1;
    snapshot_ = s_.take_snapshot(recorder_, std::move(snapshot_));
  }
}

/// Runs the steps since the last full search again; some state is not finite now.
void Simulation::Going::find_divergence(int64_t done) {
  if (done - searched_ > 1) {
    if (replay_) {
      s_.replay(dt_ms_);
      recorder_.rewind(kept_samples_);
      begin_plan();
    } else {
      if (done - searched_ > kWindow) narrow(done);
      s_.restore(snapshot_, recorder_);
    }
    for (int64_t again = replay_ ? 0 : searched_; again < done; ++again) {
      s_.one_step(again, dt_ms_, bound_, again < searched_ ? nullptr : &recorder_);
      if (again >= searched_ && !s_.finite(s_.states)) break;
    }
  }
  s_.divergence = s_.find_divergence(s_.time.step - 1);
}

Status Simulation::Going::end_step() {
  if (!stop_) s_.end_step(n_, dt_ms_, &recorder_);
  if (Status working = s_.device_status(); !working) return working;
  const int64_t done = stop_ ? n_ : n_ + 1;
  const bool enough = !stop_ && std::any_of(s_.observers.begin(), s_.observers.end(), [](const Observer* o) { return o->stop(); });
  const bool pause = s_.pauses.keep && (stop_ || (s_.pauses.due && s_.pauses.due()));
  const bool full = stop_ || enough || pause || done == steps_ || done - searched_ >= window_;
  if (search_ && (full || s_.few_neurons) && !s_.finite(full ? s_.states : s_.small_states)) find_divergence(done);
  s_.known_finite = search_ && full && !s_.divergence;
  if (full && s_.sink && !s_.divergence)
    if (const Status taken = recorder_.flush(*s_.sink); !taken) return taken;
  if (pause && !enough && !s_.divergence && done < steps_)
    if (const Status kept = s_.pauses.keep(s_.save(done, recorder_)); !kept) return kept;
  ended_ = stop_ || enough;
  if (ended_) return Done{};
  if (full && !s_.divergence && done < steps_) {
    searched_ = done;
    kept_samples_ = recorder_.mark();
    if (copy_) snapshot_ = s_.take_snapshot(recorder_, std::move(snapshot_));
  }
  ++n_;
  return Done{};
}

Status Simulation::Going::finish() {
  if (s_.worth_replaying(n_)) s_.earlier.push_back({.steps = n_, .dt_ms = dt_ms_});
  recorder_.run_ends(s_.columns);
  if (s_.sink && !s_.divergence)
    if (const Status taken = recorder_.flush(*s_.sink); !taken) return taken;
  for (Observer* observer : s_.observers) observer->finish(s_.looked, StateView(s_.columns));
  s_.recorded = std::move(recorder_.recorded);
  if (copy_ && s_.keeps_snapshot) s_.last_snapshot = std::move(snapshot_);
  return s_.device_status();
}

Status Simulation::run(int64_t steps, double dt_ms, std::span<const FeedValues> feeds,
                       std::span<const Recording> recordings) {
  Result<Going> going = Going::begin(*state_, steps, dt_ms, feeds, recordings);
  if (!going) return going.failure();
  while (going->goes_on()) {
    if (going->begin_step()) going->launch();
    if (Status done = going->end_step(); !done) return done;
  }
  return going->finish();
}

std::vector<Status> Simulation::run_together(std::span<Simulation* const> simulations, int64_t steps, double dt_ms,
                                             std::span<const std::vector<FeedValues>* const> feeds,
                                             std::span<const Recording> recordings) {
  std::vector<Status> out(simulations.size(), Status{Done{}});
  std::vector<std::optional<Going>> going(simulations.size());
  for (size_t k = 0; k < simulations.size(); ++k) {
    Result<Going> begun = Going::begin(*simulations[k]->state_, steps, dt_ms, *feeds[k], recordings);
    if (begun) going[k].emplace(*std::move(begun));
    else out[k] = begun.failure();
  }
  // Those that run a step now; a run that ended, or began later, is left out.
  std::vector<bool> steps_now(simulations.size());
  const auto state = [&](size_t k) -> State& { return *simulations[k]->state_; };
  for (bool any = true; any;) {
    any = false;
    for (size_t k = 0; k < simulations.size(); ++k) {
      steps_now[k] = going[k] && going[k]->goes_on() && going[k]->begin_step();
      if (steps_now[k]) state(k).runner->before_launches(std::exchange(state(k).untouched, true));
    }
    for (size_t first = 0; first < simulations.size();) {
      size_t last = first + 1;
      const State& of = state(first);
      if (steps_now[first]) {
        while (last < simulations.size() && steps_now[last] && state(last).event_pending == of.event_pending && state(last).time.step == of.time.step) ++last;
        of.batch->run(of.event_pending ? DeviceRun::List::Eventful : DeviceRun::List::Quiet, of.lane_of_batch,
                      static_cast<int64_t>(last - first), of.time.step);
      }
      first = last;
    }
    for (size_t k = 0; k < simulations.size(); ++k) {
      if (!going[k] || !going[k]->goes_on()) continue;
      if (steps_now[k]) state(k).runner->after_launches();
      any = true;
      if (out[k] = going[k]->end_step(); !out[k]) going[k].reset();
    }
  }
  for (size_t k = 0; k < simulations.size(); ++k)
    if (going[k]) out[k] = going[k]->finish();
  return out;
}
}  // namespace hebb
