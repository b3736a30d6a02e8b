#include "runtime/simulation.h"

#include <algorithm>
#include <cassert>
#include <thread>
#include <utility>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/random.h"
#include "runtime/simulation_state.h"

namespace hebb {

namespace {

std::string shape_text(const ColumnLayout& at, SpaceKind kind) {
  std::string out = kind == SpaceKind::Dense ? cat(at.pres, " x ", at.posts) : cat(at.posts);
  if (at.width > 1) out += cat(" x ", at.width);
  return out;
}

/// More threads than processors would only wait for each other.
int threads_of(const SimulationOptions& options) {
  const auto processors = static_cast<int>(std::thread::hardware_concurrency());
  const bool capped = processors > 0 && options.rows_per_thread > 1;
  return capped ? std::min(options.threads, processors) : options.threads;
}

}  // namespace

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
  Result<Columns> columns = Columns::create(*program, options.precision, random_key(options.seed, options.lane), threads_of(options),
                                            std::min(options.rows_per_thread - 1, Columns::kLeastPiece));
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
  s.runner.emplace(*s.program, s.kernels, s.columns, random_key(s.options.seed, s.options.lane), threads_of(s.options), s.options.rows_per_thread);
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
  if (state_->time.step > 0) state_->runner->host_writes(column);
  state_->fresh = state_->known_finite = false;
  state_->plain[column.value] = false;
  state_->columns.write(column, values);
  if (state_->time.step > 0) state_->replayable = false;
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
  s.earlier.clear();
  if (s.large) s.actions.push_back({});
  s.runner->run_init();
  s.plain = s.plain_start;
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
  s.replayable = s.fresh = s.known_finite = false;
  s.plain[column.value] = false;
  s.write_feed(column, row, role == Role::Indicator);
}

void Simulation::step(double dt_ms) {
  State& s = *state_;
  s.fresh = s.known_finite = false;
  s.plain.assign(s.plain.size(), false);
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
