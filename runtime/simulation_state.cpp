// One step's host side, copies of a state, and going on from one.

#include "runtime/simulation_state.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/finite.h"

namespace hebb {

namespace {

constexpr double kFewNeurons = 16e3;  // bytes
constexpr double kSmallState = 16e6;  // bytes; up to here a second copy of the state costs nobody anything
constexpr double kMostKept = 256e6;   // bytes of a copy that a host may find in use between runs
constexpr int64_t kWorthAThread = 1 << 18;  // bytes

bool any_nonzero(std::span<const double> row) {
  return std::any_of(row.begin(), row.end(), [](double value) { return value != 0; });
}

/// Columns that `init` leaves 0 or fills with a finite constant.
std::vector<bool> starts_plain(const Program& p, Precision precision) {
  std::vector<bool> plain(p.columns.size(), true);
  for (const Launch& launch : p.plan.init) {
    const Kernel& kernel = p[launch.kernel];
    for (const Accumulate& sum : kernel.accumulates) plain[sum.into.value] = false;
    for (const Store& store : kernel.stores) {
      const double value = store.value.valid() && p.pool[store.value].op == Op::Const ? p.pool[store.value].value : std::nan("");
      const bool finite = std::isfinite(precision == Precision::Float32 ? static_cast<double>(static_cast<float>(value)) : value);
      if (!finite) plain[store.into.value] = false;
    }
  }
  return plain;
}

}  // namespace

void Simulation::State::classify() {
  const Program& p = *program;
  stored.resize(p.columns.size());
  plain_start = starts_plain(p, columns.precision());
  plain.resize(p.columns.size());
  always.resize(p.columns.size());
  std::vector<bool> summed(p.columns.size());
  for (const Launch& launch : p.plan.step) {
    for (const Store& store : p[launch.kernel].stores) stored[store.into.value] = true;
    if (p[p[launch.kernel].domain].kind == SpaceKind::Sparse) continue;  // spikes add to a state in place
    for (const Accumulate& sum : p[launch.kernel].accumulates) summed[sum.into.value] = true;
  }
  for (const Deferred& deferred : p.plan.deferred)
    for (const ColumnId copy : deferred.copies) summed[copy.value] = true;
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
  keeps_snapshot = kept_bytes <= kMostKept;
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
  const StateView now(columns, &*runner);
  if (recorder) recorder->step_ends(step_of_run, now);
  if (step_of_run >= looked) {
    looked = step_of_run + 1;
    for (Observer* observer : observers) observer->step_ends(step_of_run, now);
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

bool Simulation::State::finite(const std::vector<ColumnId>& ids) {
  return std::all_of(ids.begin(), ids.end(), [&](ColumnId id) { return all_finite(columns, id, &runner->pool()); });
}

bool Simulation::State::finite_at_start() {
  return std::all_of(states.begin(), states.end(), [&](ColumnId id) { return plain[id.value] || all_finite(columns, id, &runner->pool()); });
}

Status Simulation::State::device_status() const {
  if (columns.device() == nullptr || columns.device()->failure().empty()) return Done{};
  return Failure{columns.device()->failure()};
}

Divergence Simulation::State::find_divergence(int64_t step) {
  for (const ColumnId id : states) {
    if (all_finite(columns, id, &runner->pool())) continue;
    const NotFinite found = *first_not_finite(*program, columns, id);
    for (const Deferred& deferred : program->plan.deferred)
      if (std::ranges::find(deferred.waiting, id) != deferred.waiting.end())
        return {.column = (*program)[deferred.behind[0]].name, .index = {}, .step = step, .time_ms = time.time_ms(), .value = found.value};
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
Snapshot Simulation::State::take_snapshot(const Recorder& recorder, Snapshot last) {
  last.time = time;
  last.tickers = tickers;
  last.recorded = recorder.mark();
  last.columns.resize(kept.size());
  for (size_t k = 0; k < kept.size(); ++k) {
    const auto* from = static_cast<const std::byte*>(std::as_const(columns).base(kept[k]));
    const size_t bytes = columns.bytes(kept[k]);
    if (!last.columns[k]) last.columns[k] = allocate_zeroed(bytes);
    if (!last.columns[k] && bytes > 0) throw std::bad_alloc();
    auto* const into = static_cast<std::byte*>(last.columns[k].get());
    in_pieces(&runner->pool(), static_cast<int64_t>(bytes), kWorthAThread, 4096, [&](int64_t begin, int64_t end) { std::memcpy(into + begin, from + begin, static_cast<size_t>(end - begin)); });
  }
  last.in_flight = runner->in_flight();
  return last;
}

void Simulation::State::restore(const Snapshot& snapshot, Recorder& recorder) {
  untouched = known_finite = false;
  time = snapshot.time;
  tickers = snapshot.tickers;
  recorder.rewind(snapshot.recorded);
  runner->set_in_flight(snapshot.in_flight);
  for (size_t k = 0; k < kept.size(); ++k)
    std::memcpy(columns.base(kept[k]), snapshot.columns[k].get(), columns.bytes(kept[k]));
}

/// Everything a run needs to go on before `next_step`. Values are computed anew; draws have no state.
std::string Simulation::State::save(int64_t next_step, const Recorder& recorder) const {
  ByteWriter writer;
  writer(next_step), writer(looked), writer(time), writer(tickers), writer(given_periods);
  for (uint32_t k = 0; k < program->columns.size(); ++k) {
    if (program->columns[k].role == Role::Value) continue;
    writer(static_cast<uint64_t>(columns.bytes({k})));
    writer.bytes += columns.in_order({k});
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
    columns.set_in_order({k}, reader.bytes.substr(0, size));
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
  fresh = known_finite = false;
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
  if (time.step > 0 && before != now) runner->host_writes(program->dt), known_finite = false;
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
  for (const EarlierRun& run : earlier) {
    set_dt(run.dt_ms);
    if (!program->plan.begin.empty()) {
      feed_ahead_what_stays();
      runner->run_begin();
    }
    for (int64_t k = 0; k < run.steps; ++k) {
      tick(run.dt_ms * (0.5 + 1e-9));
      runner->run_step(time.step, event_pending, /*untouched=*/k > 0);
      finish_step(run.dt_ms);
    }
  }
  set_dt(dt_ms);
  untouched = false;
}

/// Whether all that happened can be done again, after a run of so many steps too, and is soon done.
bool Simulation::State::worth_replaying(int64_t steps_of_run) const {
  constexpr int64_t kSoon = 16384;
  int64_t steps = steps_of_run;
  for (const EarlierRun& run : earlier) steps += run.steps;
  return large && replayable && steps == time.step && steps <= kSoon;
}

}  // namespace hebb
