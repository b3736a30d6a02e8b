#include "compiler/lower/lower.h"

#include <algorithm>
#include <cassert>
#include <iterator>

#include "compiler/lower/defer.h"
#include "compiler/lower/passes.h"
#include "compiler/lower/step.h"
#include "compiler/program/overlap.h"

namespace hebb {
namespace {

/// Spikes found in the last step read nothing of this one: ahead of all, so that nothing stands between
/// the kernels that read them.
void spikes_first(const Program& program, std::vector<Kernel>& kernels) {
  std::stable_partition(kernels.begin(), kernels.end(), [&](const Kernel& kernel) {
    if (program[kernel.domain].kind != SpaceKind::Neurons || kernel.stores.size() != 1 || !kernel.accumulates.empty()) return false;
    const ExprNode value = program.pool[kernel.stores[0].value];
    return value.op == Op::Load && value.leaf.at == At::Self && program.columns[value.leaf.index].role == Role::State;
  });
}

/// Weights that are behind catch up before the first kernel that reads them.
void catch_up(Draft& draft, std::vector<Kernel>& kernels) {
  for (const Instance& projection : draft.projections) {
    if (!projection.deferral) continue;
    std::vector<Kernel> catch_up = catch_up_kernels(draft, projection);
    if (catch_up.empty()) continue;
    const ColumnId weight = projection.deferral->weight_column;
    const auto reader = std::find_if(kernels.begin(), kernels.end(), [&](const Kernel& kernel) {
      const std::vector<ExprId> nodes = nodes_below(draft.program.pool, roots(kernel));
      return std::any_of(nodes.begin(), nodes.end(), [&](ExprId id) {
        const ExprNode node = draft.program.pool[id];
        return node.op == Op::Load && node.leaf.index == weight.value;
      });
    });
    kernels.insert(reader, std::make_move_iterator(catch_up.begin()), std::make_move_iterator(catch_up.end()));
  }
}

/// States that are seen late, as the step begins or as its instant leaves them.
std::vector<Kernel> holding(Draft& draft, bool after) {
  std::vector<Kernel> kernels;
  for (const Draft::Held& held : draft.held) {
    if (held.after != after) continue;
    const Column& column = draft.program[held.as];
    Kernel kernel{.name = column.name, .domain = column.space, .scans = {}, .stores = {}, .accumulates = {}};
    for (uint32_t element = 0; element < static_cast<uint32_t>(column.width); ++element)
      kernel.stores.push_back({.into = held.as, .element = element, .value = draft.program.pool.load(held.state, At::Self, element)});
    kernels.push_back(std::move(kernel));
  }
  return kernels;
}

void insert(std::vector<Kernel>& kernels, std::vector<Kernel>::iterator before, std::vector<Kernel> more) {
  kernels.insert(before, std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// One step in which clocks and fed events do not happen (quiet), or may.
std::vector<Kernel> step_kernels(Draft& draft, bool quiet) {
  draft.quiet = quiet;
  std::vector<Definition> definitions = deferred_sums(draft);
  for (Definition& definition : value_definitions(draft)) definitions.push_back(std::move(definition));
  Ordered values = in_order(draft.program, std::move(definitions));
  assert(values.cycle.empty() && "sema reports values that depend on themselves");
  std::vector<Kernel> kernels = std::move(values.kernels);
  spikes_first(draft.program, kernels);
  catch_up(draft, kernels);
  for (Kernel& kernel : instant_kernels(draft)) kernels.push_back(std::move(kernel));
  std::vector<Kernel> flows = flow_kernels(draft);
  insert(kernels, kernels.end(), holding(draft, true));
  insert(kernels, kernels.end(), std::move(flows));
  insert(kernels, kernels.begin(), holding(draft, false));
  return kernels;
}

std::vector<Kernel> optimised(Draft& draft, std::vector<Kernel> kernels, const LowerOptions& options,
                              Staged& columns) {
  Program& program = draft.program;
  kernels = without_dead(program, std::move(kernels), draft.visible);
  // Random numbers become part of what reads them only where all neurons need them.
  kernels = merged(program, std::move(kernels), options.defer ? draft.drawn : std::set<uint32_t>{});
  kernels = summed_straight(program, std::move(kernels), draft.visible);
  if (options.defer) kernels = seldom_drawn(program, std::move(kernels), draft.drawn);
  if (options.stage) {
    kernels = staged(program, std::move(kernels), columns);
    kernels = merged(program, std::move(kernels));
  }
  else if (options.defer) kernels = merged(program, std::move(kernels));
  if (options.defer) kernels = jumps_at_spikes(program, std::move(kernels), options.many_neurons);
  return with_fma(program, std::move(kernels));
}

bool same(const Kernel& a, const Kernel& b) {
  return a.name == b.name && a.domain == b.domain && a.rows == b.rows && a.spikes == b.spikes && a.scans == b.scans && a.stores == b.stores &&
         a.accumulates == b.accumulates;
}

void launch(Program& program, std::vector<Launch>& launches, Kernel kernel, When when) {
  for (uint32_t i = 0; i < program.kernels.size(); ++i)
    if (same(program.kernels[i], kernel)) return launches.push_back({KernelId{i}, when});
  launches.push_back({program.add(std::move(kernel)), when});
}

bool needs_grid(const Dynamics& dynamics) {
  return std::any_of(dynamics.solutions.begin(), dynamics.solutions.end(), [](const Solution& solution) {
    return solution.solver == Solver::ExponentialEuler || solution.solver == Solver::RungeKutta4 ||
           solution.needs_grid;
  });
}

/// A sum that nothing makes must not be found by its name.
void hide_unused_sums(const Draft& draft, Program& program) {
  std::set<uint32_t> used = draft.visible;
  for (const Kernel& kernel : program.kernels) {
    for (const Store& store : kernel.stores) used.insert(store.into.value);
    for (const Accumulate& sum : kernel.accumulates) used.insert(sum.into.value);
    for (const ExprId id : nodes_below(program.pool, roots(kernel)))
      if (program.pool[id].op == Op::Load) used.insert(program.pool[id].leaf.index);
  }
  for (const Instance& population : draft.populations)
    for (const auto& [id, column] : population.columns)
      if ((*draft.model)[id].kind == VarKind::Receive && !used.contains(column.value))
        program.columns[column.value].name += " (not kept)";
}

Program finish(Draft draft, const LowerOptions& options) {
  draft.given = options.given;
  if (options.defer) defer_changes(draft);
  Ordered initial = in_order(draft.program, initial_definitions(draft));
  assert(initial.cycle.empty() && "sema reports parameters that depend on themselves");
  Staged columns;
  const std::vector<Kernel> eventful =
      optimised(draft, step_kernels(draft, false), options, columns);
  std::vector<Kernel> quiet;
  if (!draft.passing.empty()) quiet = optimised(draft, step_kernels(draft, true), options, columns);

  for (Kernel& kernel : with_fma(draft.program, std::move(initial.kernels)))
    launch(draft.program, draft.program.plan.init, std::move(kernel), When::Always);
  add_settling(draft);
  Program program = std::move(draft.program);
  const bool alike = draft.passing.empty() || std::equal(quiet.begin(), quiet.end(), eventful.begin(),
                                                         eventful.end(), same);
  if (!alike)
    for (const Kernel& kernel : quiet) launch(program, program.plan.step, kernel, When::Quiet);
  for (const Kernel& kernel : eventful)
    launch(program, program.plan.step, kernel, alike ? When::Always : When::Eventful);
  for (const Instance& instance : draft.populations)
    if (instance.neuron)
      program.grid_required |= needs_grid(*instance.neuron) || !instance.neuron->emissions.empty();
  for (const Instance& instance : draft.projections)
    program.grid_required |= needs_grid(*instance.rule);
  hide_unused_sums(draft, program);
  let_seldom_be_read(program, draft.drawn);
  if (options.defer && options.stage) {
    let_traces_wait(program, options.many_neurons);
    let_traces_jump_alone(program);
  }
  if (options.fuse && program.plan.bucketed.empty()) program = overlap(std::move(program));
  assert(verify(program).empty() && "a lowered program keeps every promise");
  return program;
}

/// A rule between two clamped populations, on synapses of some of the pairs.
Draft draft_sparse(const Model& model, const Rule& rule) {
  Draft draft = draft_block(model, rule);
  draft.program.spaces[draft.projections.back().space.value].kind = SpaceKind::Sparse;
  // Spikes come in every step; what makes a step eventful is a clock, or a fed event.
  for (const Instance& neurons : draft.populations)
    for (const auto& [event, column] : neurons.events) draft.passing.erase(column.value);
  return draft;
}

/// Parameters of the rule of a draft by their columns' names.
std::map<std::string, double> with_prefix(const Draft& draft, const std::map<std::string, double>& given) {
  std::map<std::string, double> out;
  for (const auto& [name, value] : given) out[draft.projections.back().prefix + name] = value;
  return out;
}

/// Without what moves a frozen weight.
Network with_frozen_weights(Network network) {
  for (ProjectionDef& projection : network.projections) {
    if (!projection.frozen) continue;
    const auto of_weight = [&](const auto& part) { return part.variable == projection.rule.weight; };
    std::erase_if(projection.rule.flows, of_weight);
    std::erase_if(projection.rule.jumps, of_weight);
    std::erase_if(projection.rule.solutions, of_weight);
  }
  return network;
}

}  // namespace

Program lower(const Model& model, const Network& network, const LowerOptions& options) {
  const Network still = with_frozen_weights(network);
  return finish(draft(model, still, options), options);
}

Deferral sparse_deferral(const Model& model, const Rule& rule, const std::map<std::string, double>& given) {
  Draft draft = draft_sparse(model, rule);
  draft.given = with_prefix(draft, given);
  return deferral(draft, draft.projections.back());
}

Program lower_sparse(const Model& model, const Rule& rule, const std::map<std::string, double>& given) {
  Draft draft = draft_sparse(model, rule);
  LowerOptions options;
  options.given = with_prefix(draft, given);
  options.defer = true;
  options.fuse = false;
  return finish(std::move(draft), options);
}

Program lower_synapse(const Model& model, const Rule& rule, const LowerOptions& options) {
  LowerOptions plain = options;
  plain.fuse = false;  // its host goes from event to event
  return finish(draft_synapse(model, rule), plain);
}

}  // namespace hebb
