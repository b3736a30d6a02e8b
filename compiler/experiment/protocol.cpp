#include "compiler/experiment/protocol.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/engine.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/protocol_plan.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"

namespace hebb {

namespace {

constexpr int64_t kCompileAbove = 20'000;  // steps for which compiling pays

/// Times at which something happens between begin and end, in order, each once.
std::vector<double> instants(const Simulation& simulation, const Program& program, const ProtocolPlan& plan) {
  std::vector<double> times;
  for (const ProtocolDrive& drive : plan.drives)
    for (const double time : drive.times_ms)
      if (time <= plan.until_ms) times.push_back(time);
  for (const Clock& clock : program.plan.clocks) {
    const double period = simulation.get(clock.period)[0];
    if (!(period > 0)) continue;
    const double duration = plan.until_ms - plan.start_ms;
    for (int64_t k = 1; static_cast<double>(k) * period <= duration; ++k)
      times.push_back(plan.start_ms + static_cast<double>(k) * period);
  }
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  return times;
}

/// Values just before each event of one side.
struct LeftLimits {
  std::string side;                                // "pre", "post"
  std::map<std::string, std::vector<double>> values;
  int64_t events = 0;
};

struct Machine {
  const Program& program;
  Simulation& simulation;
  std::vector<ColumnId> states, lets;
  std::vector<LeftLimits> limits = {{"pre", {}, 0}, {"post", {}, 0}};

  void note(LeftLimits& limit, const std::vector<ColumnId>& columns) {
    for (const ColumnId id : columns) {
      const auto values = simulation.get(id);
      auto& kept = limit.values[program[id].name];
      kept.insert(kept.end(), values.begin(), values.end());
    }
  }

  /// One instant with these events, then `dt_ms` of flow.
  void step(const std::vector<const ProtocolDrive*>& events, double dt_ms) {
    std::vector<LeftLimits*> here;
    for (const ProtocolDrive* drive : events) {
      const double one = 1;
      simulation.feed(drive->column, std::span(&one, 1));
      for (LeftLimits& limit : limits)
        if (drive->name.starts_with(limit.side + ".") && std::find(here.begin(), here.end(), &limit) == here.end())
          here.push_back(&limit);
    }
    for (LeftLimits* limit : here) note(*limit, states);
    simulation.step(dt_ms);
    for (LeftLimits* limit : here) {
      note(*limit, lets);
      ++limit->events;
    }
  }
};

void run_between_events(Machine& machine, const ProtocolPlan& plan) {
  const std::vector<double> times = instants(machine.simulation, machine.program, plan);
  double now = plan.start_ms;
  std::vector<size_t> next(plan.drives.size(), 0);
  if (times.empty() || times.front() > now) {
    const double end = times.empty() ? plan.until_ms : times.front();
    machine.step({}, end - now);
    now = end;
  }
  for (size_t k = 0; k < times.size(); ++k) {
    std::vector<const ProtocolDrive*> events;
    for (size_t d = 0; d < plan.drives.size(); ++d) {
      const auto& drive_times = plan.drives[d].times_ms;
      bool now_here = false;
      while (next[d] < drive_times.size() && drive_times[next[d]] == times[k]) {
        now_here = true;
        ++next[d];
      }
      if (now_here) events.push_back(&plan.drives[d]);
    }
    const double end = k + 1 < times.size() ? times[k + 1] : plan.until_ms;
    machine.step(events, end - times[k]);
  }
}

void run_on_grid(Evaluation& e, Machine& machine, const ProtocolPlan& plan) {
  std::vector<size_t> next(plan.drives.size(), 0);
  const auto events_at = [&](int64_t step) {
    std::vector<const ProtocolDrive*> events;
    for (size_t d = 0; d < plan.drives.size(); ++d) {
      const ProtocolDrive& drive = plan.drives[d];
      bool here = false;
      while (next[d] < drive.times_ms.size() &&
             std::llround((drive.times_ms[next[d]] - plan.start_ms) / plan.dt_ms) <= step) {
        here = true;
        ++next[d];
      }
      if (here) events.push_back(&drive);
    }
    return events;
  };
  for (int64_t n = 0; n < plan.steps; ++n) {
    for (const ProtocolDrive& drive : plan.drives)
      if (drive.values.size() > 1) machine.simulation.feed(drive.column, std::span(&drive.values[n], 1));
    machine.step(events_at(n), plan.dt_ms);
    if (machine.simulation.divergence()) return;
    if (n % 4096 == 0 && e.options.interrupted && *e.options.interrupted) {
      e.interrupted = true;
      return;
    }
  }
  const auto last = events_at(plan.steps);
  if (!last.empty()) machine.step(last, 0);
}

Tensor column_value(const Synapse& synapse, const Simulation& simulation, ColumnId id) {
  const Column& column = (*synapse.program)[id];
  Tensor out{.shape = {}, .values = simulation.get(id), .dimension = std::nullopt};
  if (out.values.size() > 1) out.shape = {static_cast<int64_t>(out.values.size())};
  const auto dimension = synapse.dimensions.find(column.name);
  if (dimension != synapse.dimensions.end()) out.dimension = dimension->second;
  return out;
}

Value result_of(const Synapse& synapse, Machine& machine, const std::vector<double>& start) {
  auto table = std::make_shared<Table>();
  table->what = cat("protocol of ", synapse.name);
  const auto add = [&](const std::string& name, Tensor value) {
    table->order.push_back(name);
    table->columns[name] = std::move(value);
  };
  for (const auto* group : {&machine.states, &machine.lets})
    for (const ColumnId id : *group)
      add((*synapse.program)[id].name, column_value(synapse, machine.simulation, id));
  if (!synapse.weight.empty() && table->columns.contains(synapse.weight)) {
    Tensor change = table->columns[synapse.weight];
    if (synapse.weight != "w" && !table->columns.contains("w")) add("w", change);
    for (size_t i = 0; i < change.values.size(); ++i) change.values[i] -= start[i];
    add("dw", std::move(change));
  }
  for (LeftLimits& limit : machine.limits) {
    for (auto& [name, values] : limit.values) {
      const auto width = static_cast<int64_t>(values.size()) / limit.events;
      Tensor out{.shape = {limit.events}, .values = std::move(values), .dimension = std::nullopt};
      if (width > 1) out.shape.push_back(width);
      if (const auto known = synapse.dimensions.find(name); known != synapse.dimensions.end())
        out.dimension = known->second;
      add(cat(limit.side, ".", name), std::move(out));
    }
  }
  return {std::shared_ptr<const Table>(std::move(table))};
}

}  // namespace

std::optional<Value> evaluate_protocol(Evaluation& e, const ast::Call& call, Span span) {
  if (call.arguments.empty() || call.arguments[0].name) {
    report_argument(e, span, "the first argument of 'protocol' is a rule",
                    "protocol(PairSTDP, pre = [0 ms], post = [10 ms], w = 0.5)");
    return std::nullopt;
  }
  const auto synapse = make_synapse(e, *call.arguments[0].value);
  if (!synapse) return std::nullopt;
  const auto plan = read_protocol(e, *synapse, call, span);
  if (!plan) return std::nullopt;

  const bool compile = e.options.engine == ExperimentOptions::Engine::Jit ||
                       (e.options.engine == ExperimentOptions::Engine::Auto && plan->steps > kCompileAbove);
  const Precision precision = e.options.precision.value_or(Precision::Float64);
  auto kernels = make_kernels(synapse->program, precision,
                              compile ? ExperimentOptions::Engine::Jit : ExperimentOptions::Engine::Interpreter,
                              e.options.level);
  if (!kernels) {
    e.diags.report(DiagKind::CannotRun, span, kernels.error());
    return std::nullopt;
  }
  SimulationOptions options{.precision = precision, .seed = plan->seed};
  auto simulation = Simulation::create(synapse->program, *std::move(kernels), options);
  if (!simulation) {
    e.diags.report(DiagKind::CannotRun, span, simulation.error());
    return std::nullopt;
  }
  simulation->initialise();
  for (const auto& [column, values] : plan->starts) {
    if (const Status done = simulation->set(column, values); !done) {
      e.diags.report(DiagKind::CannotRun, span, done.error());
      return std::nullopt;
    }
  }
  for (const ProtocolDrive& drive : plan->drives)
    if (drive.values.size() == 1) simulation->feed(drive.column, drive.values);

  Machine machine{.program = *synapse->program, .simulation = *simulation, .states = {}, .lets = {}};
  for (uint32_t k = 0; k < synapse->program->columns.size(); ++k) {
    const Column& column = synapse->program->columns[k];
    if (!synapse->dimensions.contains(column.name)) continue;  // the compiler's own: what it moved out of loops
    if (column.role == Role::State) machine.states.push_back({k});
    if (column.role == Role::Value) machine.lets.push_back({k});
  }
  const ColumnId weight = synapse->weight.empty() ? ColumnId{} : synapse->program->find_column(synapse->weight);
  const std::vector<double> start = weight.valid() ? simulation->get(weight) : std::vector<double>{};
  if (plan->grid) run_on_grid(e, machine, *plan);
  else run_between_events(machine, *plan);
  if (e.interrupted) return std::nullopt;
  if (const auto& bad = simulation->divergence()) {
    e.diags.report(DiagKind::Diverged, span,
                   cat(quoted(bad->column), " became ", bad->value, " at t = ",
                       shortest(bad->time_ms + plan->start_ms), " ms"));
    return std::nullopt;
  }
  return result_of(*synapse, machine, start);
}

}  // namespace hebb
