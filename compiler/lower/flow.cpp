#include <algorithm>

#include "compiler/expr/transform.h"
#include "compiler/lower/defer.h"
#include "compiler/lower/reader.h"
#include "compiler/lower/step.h"

namespace hebb {
namespace {

/// What only decays ends up among numbers so small that each operation on them takes a hundred times as long. In a
/// spiking network, where a silent neuron's traces do so, it is 0 from here on.
constexpr double kGone = 1e-30;

bool some_sparse(const Draft& draft) {
  return std::any_of(draft.projections.begin(), draft.projections.end(), [&](const Instance& p) { return is_sparse(draft, p); });
}

/// x(t + dt) = f x(t).
bool only_decays(ExprPool& pool, const Solution& solution, ExprId now, ExprId next) {
  if (solution.solver != Solver::Exact) return false;
  const std::optional<Affine> affine = affine_in(pool, next, now);
  return affine && pool.is_constant(affine->rest, 0);
}

Kernel flows(Draft& draft, const Instance& instance, Frame frame, const std::string& name) {
  ExprPool& pool = draft.program.pool;
  Reader read(draft, instance, frame, Reader::Phase::Moving);
  Kernel kernel{.name = name, .domain = space_of(draft, instance, frame)};
  for (const Solution& solution : instance.dynamics->solutions) {
    const Variable& variable = (*draft.model)[solution.variable];
    const bool weight = variable.kind == VarKind::Weight;
    if (instance.rule && (weight ? Frame::Synapse : frame_of(variable.locus)) != frame) continue;
    if (!solution.next.valid()) continue;
    ExprId value = read.clamped(solution.variable, read(solution.next));
    if (!weight && some_sparse(draft) && only_decays(pool, solution, read.variable(solution.variable, solution.element), read(solution.next)))
      value = pool.select(pool.make(Op::Less, pool.make(Op::Abs, value), pool.constant(kGone)), pool.constant(0), value);
    if (weight) value = read.if_connected(value, 0);
    const bool held = instance.neuron && std::count(instance.neuron->held.begin(),
                                                    instance.neuron->held.end(), solution.variable);
    if (held && instance.refractory_left.valid()) {
      // Half a step of slack: the time left is a multiple of dt up to rounding.
      const ExprId half = pool.mul(pool.constant(0.5), pool.load(draft.dt, At::Uniform));
      const ExprId waits = pool.make(Op::Less, half, pool.load(instance.refractory_left, At::Self));
      value = pool.select(waits, read.variable(solution.variable, solution.element), value);
    }
    kernel.stores.push_back({.into = instance.columns.at(solution.variable),
                             .element = solution.element,
                             .value = value});
  }
  return with_scans(draft, std::move(kernel));
}

void run_down_refractory(Draft& draft, const Instance& population, Kernel& kernel) {
  if (!population.refractory_left.valid()) return;
  ExprPool& pool = draft.program.pool;
  const ExprId left = pool.sub(pool.load(population.refractory_left, At::Self),
                               pool.load(draft.dt, At::Uniform));
  const ExprId zero = pool.constant(0);
  kernel.stores.push_back({.into = population.refractory_left,
                           .value = pool.select(pool.make(Op::Less, zero, left), left, zero)});
}

/// Which events the state just reached sets off: they belong to the next instant.
Kernel thresholds(Draft& draft, const Instance& population) {
  ExprPool& pool = draft.program.pool;
  Reader read(draft, population, Frame::Neuron, Reader::Phase::Moving);
  Kernel kernel{.name = population.prefix + "threshold", .domain = population.space};
  for (const auto& [event, next] : population.next_events) {
    ExprId any;
    for (const Emission& emission : population.neuron->emissions) {
      if (emission.event != event || instantaneous(draft, population, emission)) continue;
      const ExprId one = read.truth(emission.condition);
      any = any.valid() ? pool.make(Op::Or, any, one) : one;
    }
    kernel.stores.push_back({.into = next, .value = any});
  }
  return kernel;
}

}  // namespace

std::vector<Kernel> flow_kernels(Draft& draft) {
  std::vector<Kernel> kernels;
  const auto add = [&](Kernel kernel) {
    if (!kernel.stores.empty()) kernels.push_back(std::move(kernel));
  };
  // As at an instant: all flows start from the values at t, so who reads most goes first.
  for (const Instance& projection : draft.projections) {
    if (!projection.deferral) add(flows(draft, projection, Frame::Synapse, projection.prefix + "flow"));
    else for (Kernel& kernel : deferred_flows(draft, projection)) add(std::move(kernel));
  }
  for (const Instance& projection : draft.projections) {
    add(flows(draft, projection, Frame::Pre, projection.prefix + "pre_flow"));
    add(flows(draft, projection, Frame::Post, projection.prefix + "post_flow"));
  }
  for (const Instance& projection : draft.projections)
    add(flows(draft, projection, Frame::Shared, projection.prefix + "shared_flow"));
  for (const Instance& population : draft.populations) {
    if (!population.neuron) continue;
    Kernel kernel = flows(draft, population, Frame::Neuron, population.prefix + "flow");
    run_down_refractory(draft, population, kernel);
    add(std::move(kernel));
    add(thresholds(draft, population));
  }
  for (const Instance& projection : draft.projections)
    if (projection.deferral)
      for (Kernel& kernel : scale_kernels(draft, projection)) add(std::move(kernel));
  return kernels;
}

}  // namespace hebb
