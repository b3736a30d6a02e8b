#include "runtime/simulation.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <thread>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/clock.h"
#include "runtime/columns.h"
#include "runtime/finite.h"
#include "runtime/observer.h"
#include "runtime/plan_runner.h"
#include "runtime/random.h"
#include "runtime/recorder.h"

namespace hebb {

namespace {

constexpr int64_t kWindow = 512;  // steps between two full searches for values that are not finite: with
                                  // fewer, searching and copying large matrices would cost percents
constexpr int64_t kSparseWindow = 4096;  // where a step looks at few synapses
constexpr double kFewNeurons = 16e3;  // bytes
constexpr double kSmallState = 16e6;  // bytes; up to here a second copy of the state costs nobody anything

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
  std::vector<std::vector<std::byte>> columns;
  std::vector<InFlight> in_flight;
};

/// What the host did before the first step: enough to start again when no copy of the state is kept.
struct HostAction {
  ColumnId column;  // invalid: initialise
  std::vector<double> values;
};

std::string shape_text(const ColumnLayout& at, SpaceKind kind) {
  std::string out = kind == SpaceKind::Dense ? cat(at.pres, " x ", at.posts) : cat(at.posts);
  if (at.width > 1) out += cat(" x ", at.width);
  return out;
}

bool any_nonzero(std::span<const double> row) {
  return std::any_of(row.begin(), row.end(), [](double value) { return value != 0; });
}

}  // namespace

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

  std::vector<ColumnId> states;        // Role::State, except sums taken ahead: those hold inputs too
  std::vector<ColumnId> small_states;  // those with one value per neuron or fewer
  bool few_neurons = true;             // so few that looking at them in every step costs nobody anything
  std::vector<ColumnId> kept;          // what a snapshot holds
  std::vector<bool> stored;            // by a kernel of the step
  std::vector<bool> always;            // indicators handled in every step

  bool sparse = false;                 // has sparse projections
  bool large = false;                  // too large to copy without need
  bool replayable = true;              // `actions` lead to where the next run starts
  std::vector<HostAction> actions;     // kept when large

  std::vector<Recorded> recorded;
  std::optional<Divergence> divergence;
  std::vector<Observer*> observers;
  Pauses pauses;
  RecordSink* sink = nullptr;
  bool fresh = true;                   // all columns are 0 as they were made
  bool untouched = false;              // since the last step nothing was written but what is fed
  int64_t looked = 0;                  // steps of this run that observers have seen: steps may run twice

  void classify();
  void start_over();
  void replay(double dt_ms);
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
  bool finite(const std::vector<ColumnId>& ids) const;
  Status device_status() const;
  Divergence find_divergence(int64_t step) const;
  bool room_for_snapshot() const;
  Snapshot take_snapshot(const Recorder& recorder, Snapshot last) const;
  void restore(const Snapshot& snapshot, Recorder& recorder);
  std::string save(int64_t next_step, const Recorder& recorder) const;
  Result<int64_t> load(std::string_view bytes, Recorder& recorder);
};

void Simulation::State::classify() {
  const Program& p = *program;
  stored.resize(p.columns.size());
  always.resize(p.columns.size());
  std::vector<bool> summed(p.columns.size());
  for (const Launch& launch : p.plan.step) {
    for (const Store& store : p[launch.kernel].stores) stored[store.into.value] = true;
    if (p[p[launch.kernel].domain].kind == SpaceKind::Sparse) continue;  // spikes add to a state in place
    for (const Accumulate& sum : p[launch.kernel].accumulates) summed[sum.into.value] = true;
  }
  for (const Feed& feed : p.plan.feeds) always[feed.column.value] = feed.event && feed.always;
  for (uint32_t k = 0; k < p.columns.size(); ++k) {
    const Column& column = p.columns[k];
    const bool is_state = column.role == Role::State;
    if (is_state && !summed[k]) states.push_back({k});
    if (is_state && !summed[k] && !is_synaptic(p[column.space].kind)) small_states.push_back({k});
    if (is_state || column.role == Role::Indicator) kept.push_back({k});
  }
  double kept_bytes = 0;
  for (const ColumnId id : kept) kept_bytes += static_cast<double>(columns.bytes(id));
  large = kept_bytes > kSmallState;
  double small_bytes = 0;
  for (const ColumnId id : small_states) small_bytes += static_cast<double>(columns.bytes(id));
  few_neurons = small_bytes <= kFewNeurons;
  for (const Space& space : p.spaces) sparse |= space.kind == SpaceKind::Sparse;
  tickers.resize(p.plan.clocks.size());
  given_periods.resize(p.plan.clocks.size(), std::nan(""));
}

double Simulation::State::period(size_t clock) const {
  const ColumnId id = program->plan.clocks[clock].period;
  const double given = given_periods[clock];
  double now = 0;
  columns.read(id, std::span(&now, 1));
  if (columns.precision() == Precision::Float64 || static_cast<float>(given) == static_cast<float>(now))
    return columns.precision() == Precision::Float64 ? now : given;
  return meant_value(columns, id);
}

void Simulation::State::clear_indicators() {
  for (const ColumnId id : to_clear) columns.fill(id, 0);
  to_clear.clear();
  event_pending = false;
}

void Simulation::State::raise(ColumnId indicator) {
  if (!stored[indicator.value]) to_clear.push_back(indicator);
  if (!always[indicator.value]) event_pending = true;
}

void Simulation::State::write_feed(ColumnId column, std::span<const double> row, bool event) {
  columns.write(column, row);
  if (event && any_nonzero(row)) raise(column);
}

/// An input keeps its value until it is fed another: the following step's is this one.
void Simulation::State::feed_ahead_what_stays() {
  for (const Feed& feed : program->plan.feeds) {
    if (!feed.ahead.valid()) continue;
    std::vector<double> row(static_cast<size_t>(columns.layout(feed.column).size()));
    columns.read(feed.column, row);
    columns.write(feed.ahead, row);
  }
}

/// Sets the indicators of the clocks that fire now.
void Simulation::State::tick(double tolerance_ms) {
  const double now = time.time_ms();
  for (size_t k = 0; k < tickers.size(); ++k) {
    Ticker& ticker = tickers[k];
    const double current = period(k);
    if (!(current > 0)) continue;
    const double tolerance = tolerance_ms >= 0 ? tolerance_ms : 1e-9 * current + 1e-15 * now;
    if (current != ticker.period_ms) set_period(ticker, current, now, tolerance);
    if (!fires(ticker, now, tolerance)) continue;
    const ColumnId indicator = program->plan.clocks[k].indicator;
    columns.fill(indicator, 1);
    raise(indicator);
  }
}

void Simulation::State::finish_step(double dt_ms) {
  clear_indicators();
  time.advance(dt_ms);
}

void Simulation::State::begin_step(int64_t step_of_run, double dt_ms, std::span<const BoundFeed> feeds, Recorder* recorder) {
  for (const BoundFeed& feed : feeds) {
    if (feed.values->constant && !feed.event && step_of_run > 0) continue;
    write_feed(feed.column, feed.row(step_of_run), feed.event);
    if (feed.ahead.valid()) columns.write(feed.ahead, feed.row(step_of_run + 1));
  }
  // Half a step; a little more, so that rounding of t cannot decide.
  tick(dt_ms * (0.5 + 1e-9));
  if (recorder) recorder->step_begins(step_of_run, columns);
  if (step_of_run < looked) return;
  for (Observer* observer : observers) observer->step_begins(step_of_run, StateView(columns));
}

void Simulation::State::end_step(int64_t step_of_run, double dt_ms, Recorder* recorder) {
  if (recorder) recorder->step_ends(step_of_run, columns);
  if (step_of_run >= looked) {
    looked = step_of_run + 1;
    for (Observer* observer : observers) observer->step_ends(step_of_run, StateView(columns));
  }
  finish_step(dt_ms);
}

void Simulation::State::one_step(int64_t step_of_run, double dt_ms, std::span<const BoundFeed> feeds,
                                 Recorder* recorder) {
  begin_step(step_of_run, dt_ms, feeds, recorder);
  runner->run_step(time.step, event_pending, /*untouched=*/std::exchange(untouched, true));
  end_step(step_of_run, dt_ms, recorder);
}

Result<std::vector<BoundFeed>> Simulation::State::bind(int64_t steps, std::span<const FeedValues> feeds) const {
  std::vector<BoundFeed> bound;
  for (const FeedValues& values : feeds) {
    const auto& known = program->plan.feeds;
    const auto feed = std::find_if(known.begin(), known.end(), [&](const Feed& f) { return f.name == values.name; });
    if (feed == known.end()) {
      std::vector<std::string> names;
      for (const Feed& f : known) names.push_back(f.name);
      const auto near = did_you_mean(values.name, names);
      return Failure{cat(quoted(program->name), " has no input named ", quoted(values.name),
                         near ? cat(", did you mean ", quoted(*near)) : "")};
    }
    const ColumnLayout& at = columns.layout(feed->column);
    if (values.rows != at.size() && values.rows != 1)
      return Failure{cat(quoted(values.name), " takes ", plural(static_cast<size_t>(at.size()), "number"),
                         " per step, got ", values.rows)};
    const int64_t have = static_cast<int64_t>(values.values.size()) / std::max<int64_t>(values.rows, 1);
    const int64_t need = values.constant ? std::min<int64_t>(steps, 1) : steps;
    if (have < need)
      return Failure{cat(quoted(values.name), " has ", plural(static_cast<size_t>(have), "step"), " of data, the run needs ", need)};
    bound.push_back({.values = &values, .column = feed->column, .event = feed->event,
                     .ahead = feed->ahead, .last = std::max<int64_t>(steps - 1, 0)});
  }
  return bound;
}

Status Simulation::State::check_clocks() const {
  for (size_t k = 0; k < tickers.size(); ++k) {
    const double value = period(k);
    if (value > 0) continue;
    const Clock& clock = program->plan.clocks[k];
    const std::string& column = (*program)[clock.period].name;
    const size_t dot = column.rfind('.');
    const std::string of = dot == std::string::npos ? "" : cat(" of ", column.substr(0, dot));
    return Failure{cat("the period of ", quoted(clock.written.empty() ? column : clock.written), of,
                       " must be above 0 ms, is ", value, " ms")};
  }
  return Done{};
}

bool Simulation::State::finite(const std::vector<ColumnId>& ids) const {
  return std::all_of(ids.begin(), ids.end(), [&](ColumnId id) { return all_finite(columns, id); });
}

Status Simulation::State::device_status() const {
  if (columns.device() == nullptr || columns.device()->failure().empty()) return Done{};
  return Failure{columns.device()->failure()};
}

Divergence Simulation::State::find_divergence(int64_t step) const {
  for (const ColumnId id : states) {
    if (all_finite(columns, id)) continue;
    const NotFinite found = *first_not_finite(*program, columns, id);
    return {.column = (*program)[id].name, .index = found.index, .step = step,
            .time_ms = time.time_ms(), .value = found.value};
  }
  assert(false && "asked only when a state is not finite");
  return {};
}

bool Simulation::State::room_for_snapshot() const {
  double bytes = 0;
  for (const ColumnId id : kept) bytes += static_cast<double>(columns.bytes(id));
  constexpr double kShare = 0.5;  // of what is left: the host wants some too
  return bytes <= kSmallState || bytes < kShare * static_cast<double>(available_memory());
}

/// In the memory of the `last` one: fresh memory each time would cost more than the copy.
Snapshot Simulation::State::take_snapshot(const Recorder& recorder, Snapshot last) const {
  last.time = time;
  last.tickers = tickers;
  last.recorded = recorder.mark();
  last.columns.resize(kept.size());
  for (size_t k = 0; k < kept.size(); ++k) {
    const auto* from = static_cast<const std::byte*>(columns.base(kept[k]));
    last.columns[k].assign(from, from + columns.bytes(kept[k]));
  }
  last.in_flight = runner->in_flight();
  return last;
}

void Simulation::State::restore(const Snapshot& snapshot, Recorder& recorder) {
  untouched = false;
  time = snapshot.time;
  tickers = snapshot.tickers;
  recorder.rewind(snapshot.recorded);
  runner->set_in_flight(snapshot.in_flight);
  for (size_t k = 0; k < kept.size(); ++k)
    std::memcpy(columns.base(kept[k]), snapshot.columns[k].data(), snapshot.columns[k].size());
}

/// Everything a run needs to go on before `next_step`. Values are computed anew; draws have no state.
std::string Simulation::State::save(int64_t next_step, const Recorder& recorder) const {
  ByteWriter writer;
  writer(next_step), writer(looked), writer(time), writer(tickers), writer(given_periods);
  for (uint32_t k = 0; k < program->columns.size(); ++k) {
    if (program->columns[k].role == Role::Value) continue;
    const auto* base = static_cast<const char*>(columns.base({k}));
    writer(static_cast<uint64_t>(columns.bytes({k})));
    writer.bytes.append(base, columns.bytes({k}));
  }
  writer(static_cast<uint64_t>(runner->in_flight().size()));
  for (const InFlight& flying : runner->in_flight()) writer(flying);
  recorder.save(writer);
  for (const Observer* observer : observers) observer->save(writer);
  if (sink) sink->save(writer);
  return std::move(writer.bytes);
}

/// The step to go on with.
Result<int64_t> Simulation::State::load(std::string_view bytes, Recorder& recorder) {
  const Failure foreign{"the checkpoint does not fit this run"};
  ByteReader reader{.bytes = bytes};
  int64_t next_step = 0;
  reader(next_step), reader(looked), reader(time);
  reader.same_sizes = true;
  reader(tickers), reader(given_periods);
  reader.same_sizes = false;
  for (uint32_t k = 0; k < program->columns.size(); ++k) {
    if (program->columns[k].role == Role::Value) continue;
    uint64_t size = 0;
    reader(size);
    if (!reader.ok || size != columns.bytes({k}) || reader.bytes.size() < size) return foreign;
    std::memcpy(columns.base({k}), reader.bytes.data(), size);
    reader.bytes.remove_prefix(size);
  }
  uint64_t delays = 0;
  reader(delays);
  if (!reader.ok || delays != runner->in_flight().size()) return foreign;
  std::vector<InFlight> flying(delays);
  for (InFlight& one : flying) reader(one);
  if (!reader.ok || !runner->fits(flying)) return foreign;
  runner->set_in_flight(std::move(flying));
  if (!reader.ok || !recorder.load(reader)) return foreign;
  for (Observer* observer : observers)
    if (!observer->load(reader)) return foreign;
  if (sink) {
    const Status loaded = sink->load(reader);
    if (!loaded) return loaded.failure();
  }
  if (!reader.ok || !reader.bytes.empty() || next_step < 0) return foreign;
  return next_step;
}

/// Zeroes what a step may change, and time.
void Simulation::State::start_over() {
  // Memory that nobody has touched costs nothing yet.
  for (uint32_t k = 0; k < program->columns.size(); ++k) {
    const Role role = program->columns[k].role;
    if (!fresh && role != Role::Param && role != Role::Fed) columns.fill({k}, 0);
  }
  fresh = false;
  time = {};
  tickers.assign(tickers.size(), {});
  runner->drop_in_flight();
  clear_indicators();
}

/// What waits came with the old one.
void Simulation::State::set_dt(double dt_ms) {
  if (!program->dt.valid()) return;
  double before = 0;
  columns.read(program->dt, std::span(&before, 1));
  const double now = columns.precision() == Precision::Float32 ? static_cast<double>(static_cast<float>(dt_ms)) : dt_ms;
  if (time.step > 0 && before != now) runner->settle();
  columns.fill(program->dt, dt_ms);
}

void Simulation::State::replay(double dt_ms) {
  untouched = false;
  start_over();
  for (const HostAction& action : actions) {
    if (action.column.valid()) {
      columns.write(action.column, action.values);
    } else {
      start_over();
      runner->run_init();
    }
  }
  if (program->dt.valid()) columns.fill(program->dt, dt_ms);
}

Simulation::Simulation(std::unique_ptr<State> state) : state_(std::move(state)) {}
Simulation::Simulation(Simulation&&) noexcept = default;
Simulation& Simulation::operator=(Simulation&&) noexcept = default;
Simulation::~Simulation() = default;

Result<Simulation> Simulation::create(std::shared_ptr<const Program> program, Kernels kernels,
                                      const SimulationOptions& options) {
  if (kernels.device != nullptr) {
    auto one = create_together(std::move(program), kernels, std::span(&options, 1));
    if (!one) return one.failure();
    return std::move((*one)[0]);
  }
  Result<Columns> columns =
      Columns::create(*program, options.precision, random_key(options.seed, options.lane));
  if (!columns) return columns.failure();
  auto state = std::make_unique<State>();
  state->program = std::move(program);
  state->kernels = std::move(kernels);
  state->options = options;
  state->columns = *std::move(columns);
  state->classify();
  Simulation out(std::move(state));
  out.make_runner();
  return out;
}

void Simulation::make_runner() {
  State& s = *state_;
  // More threads than processors would only wait for each other.
  const auto processors = static_cast<int>(std::thread::hardware_concurrency());
  const bool capped = processors > 0 && s.options.rows_per_thread > 1;
  s.runner.emplace(*s.program, s.kernels, s.columns, random_key(s.options.seed, s.options.lane),
                   capped ? std::min(s.options.threads, processors) : s.options.threads, s.options.rows_per_thread);
}

Result<std::vector<Simulation>> Simulation::create_together(std::shared_ptr<const Program> program, const Kernels& kernels,
                                                            std::span<const SimulationOptions> options) {
  std::vector<Simulation> out;
  std::vector<Columns*> columns;
  std::vector<uint64_t> keys;
  for (const SimulationOptions& one : options) {
    auto state = std::make_unique<State>();
    keys.push_back(random_key(one.seed, one.lane));
    Result<Columns> made = Columns::create(*program, one.precision, keys.back());
    if (!made) return made.failure();
    state->program = program;
    state->kernels = kernels;
    state->options = one;
    state->columns = *std::move(made);
    state->classify();
    columns.push_back(&state->columns);
    out.push_back(Simulation(std::move(state)));
  }
  auto batch = kernels.device->start(std::move(columns), std::move(keys));
  if (!batch) return batch.failure();
  for (size_t k = 0; k < out.size(); ++k) {
    State& s = *out[k].state_;
    s.batch = *batch;
    s.lane_of_batch = static_cast<int64_t>(k);
    s.columns.set_device(s.batch->of(s.lane_of_batch));
    s.few_neurons = false;  // looking at them costs a copy
    out[k].make_runner();
  }
  return out;
}

Result<int64_t> Simulation::together(const std::shared_ptr<const Program>& program, const Kernels& kernels,
                                     std::span<const SimulationOptions> options) {
  const bool draws_synapses = std::any_of(program->spaces.begin(), program->spaces.end(), [](const Space& space) {
    return space.kind == SpaceKind::Sparse && space.connect.wiring != Wiring::List && space.connect.wiring != Wiring::OneToOne;
  });
  const uint64_t key = random_key(options[0].seed, options[0].lane);
  const bool same = std::all_of(options.begin(), options.end(), [&](const SimulationOptions& one) { return random_key(one.seed, one.lane) == key; });
  if (draws_synapses && !same) return 1;
  const Result<Columns> one = Columns::create(*program, options[0].precision, key);
  if (!one) return one.failure();
  // Each has its columns on the host too; all share the synapses.
  uint64_t synapses = 0;
  for (uint32_t k = 0; k < program->spaces.size(); ++k) synapses += one->connections({k}).bytes();
  const uint64_t free = kernels.device->free_memory();
  const uint64_t there = (free - std::min(free, 2 * synapses)) / std::max<uint64_t>(kernels.device->bytes(*one), 1);
  const uint64_t here = available_memory() / 2 / std::max<uint64_t>(one->bytes(), 1);
  return std::clamp<int64_t>(static_cast<int64_t>(std::min<uint64_t>({there, here, INT64_MAX})), 1, static_cast<int64_t>(options.size()));
}

Status Simulation::set(ColumnId column, std::span<const double> values) {
  const ColumnLayout& at = state_->columns.layout(column);
  const Program& program = *state_->program;
  if (static_cast<int64_t>(values.size()) != at.size() && values.size() != 1)
    return Failure{cat(quoted(program[column].name), " takes ", plural(static_cast<size_t>(at.size()), "number"),
                       at.size() > 1 ? cat(" (", shape_text(at, program[program[column].space].kind), ")") : "",
                       ", got ", values.size())};
  if (state_->time.step > 0) state_->runner->settle();
  state_->fresh = false;
  state_->columns.write(column, values);
  if (state_->large && state_->time.step == 0)
    state_->actions.push_back({.column = column, .values = {values.begin(), values.end()}});
  for (size_t k = 0; k < program.plan.clocks.size(); ++k)
    if (program.plan.clocks[k].period == column) state_->given_periods[k] = values[0];
  return Done{};
}

std::vector<double> Simulation::get(ColumnId column) const {
  std::vector<double> values(static_cast<size_t>(state_->columns.layout(column).size()));
  state_->columns.read(column, values);
  return values;
}

void Simulation::initialise() {
  State& s = *state_;
  s.start_over();
  s.divergence.reset();
  s.replayable = true;
  if (s.large) s.actions.push_back({});
  s.runner->run_init();
}

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
    return Failure{cat(quoted((*s.program)[delayed.delay].name), " is ", meant_value(s.columns, delayed.delay),
                       meant_value(s.columns, delayed.delay) < dt_ms ? " ms, which is shorter than one step of " : " ms, which is not a whole number of steps of ",
                       dt_ms, " ms")};
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
  out.replay_ = s.large && s.replayable && s.time.step == 0 && !resumed;
  out.copy_ = out.search_ && !out.replay_ && s.room_for_snapshot();
  out.window_ = !out.replay_ && !out.copy_ ? 1 : s.sparse ? kSparseWindow : kWindow;
  if (out.search_ && !s.finite(s.states)) s.divergence = s.find_divergence(s.time.step - 1);
  if (!resumed) out.begin_plan();
  if (out.copy_) out.snapshot_ = s.take_snapshot(out.recorder_, std::move(out.snapshot_));
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

/// Runs the steps since the last full search again; some state is not finite now.
void Simulation::Going::find_divergence(int64_t done) {
  if (done - searched_ > 1) {
    if (replay_) {
      s_.replay(dt_ms_);
      recorder_.rewind(kept_samples_);
      begin_plan();
    } else {
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
  recorder_.run_ends(s_.columns);
  if (s_.sink && !s_.divergence)
    if (const Status taken = recorder_.flush(*s_.sink); !taken) return taken;
  for (Observer* observer : s_.observers) observer->finish(s_.looked, StateView(s_.columns));
  s_.recorded = std::move(recorder_.recorded);
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

const std::vector<Recorded>& Simulation::recorded() const { return state_->recorded; }
std::vector<Recorded> Simulation::take_recorded() { return std::exchange(state_->recorded, {}); }
const std::optional<Divergence>& Simulation::divergence() const { return state_->divergence; }

void Simulation::watch(std::vector<Observer*> observers) { state_->observers = std::move(observers); }

void Simulation::stream_to(RecordSink* sink) { state_->sink = sink; }
void Simulation::pause_with(Pauses pauses) { state_->pauses = std::move(pauses); }

void Simulation::feed(ColumnId column, std::span<const double> row) {
  State& s = *state_;
  const Role role = (*s.program)[column].role;
  assert((role == Role::Fed || role == Role::Indicator) && "only inputs and events are fed");
  s.replayable = s.fresh = false;
  s.write_feed(column, row, role == Role::Indicator);
}

void Simulation::step(double dt_ms) {
  State& s = *state_;
  s.fresh = false;
  s.set_dt(dt_ms);
  // The host chose this time, with gaps between steps as long as it likes: half a gap would be far off.
  constexpr double kRoundingOnly = -1;
  s.tick(kRoundingOnly);
  s.runner->run_begin();  // nobody knows what the following step is fed: nothing is taken ahead
  s.runner->run_step(s.time.step, s.event_pending);
  s.finish_step(dt_ms);
  if (s.options.stop_on_nonfinite && !s.divergence && !s.finite(s.states))
    s.divergence = s.find_divergence(s.time.step - 1);
}

const Columns& Simulation::columns() const { return state_->columns; }
const Connections& Simulation::connections(SpaceId space) const { return state_->columns.connections(space); }

int64_t Simulation::steps_done() const { return state_->time.step; }
double Simulation::time_ms() const { return state_->time.time_ms(); }
size_t Simulation::bytes() const { return state_->columns.bytes(); }

}  // namespace hebb
