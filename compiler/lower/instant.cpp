#include "compiler/lower/reader.h"
#include "compiler/lower/step.h"

namespace hebb {
namespace {

/// Elements of the variables of `instance` that live in `frame` and jump at some event of this step.
Kernel jumps(Draft& draft, const Instance& instance, Frame frame, const std::string& name) {
  Reader read(draft, instance, frame);
  Kernel kernel{.name = name, .domain = space_of(draft, instance, frame)};
  for (const auto& [id, column] : instance.columns) {
    const Variable& variable = (*draft.model)[id];
    if (variable.kind != VarKind::State && variable.kind != VarKind::Weight) continue;
    const bool weight = variable.kind == VarKind::Weight;
    if (instance.rule && (weight ? Frame::Synapse : frame_of(variable.locus)) != frame) continue;
    const auto width = static_cast<uint32_t>(draft.program[column].width);
    for (uint32_t element = 0; element < width; ++element) {
      ExprId value = read.right_limit(id, element);
      const ExprNode node = draft.program.pool[value];
      if (node.op == Op::Load && node.leaf.index == column.value && node.leaf.element == element)
        continue;
      if (weight) value = read.if_connected(value, 0);
      kernel.stores.push_back({.into = column, .element = element, .value = value});
    }
  }
  return with_scans(draft, std::move(kernel));
}

/// The refractory time starts anew at each of the neuron's own events.
void start_refractory(Draft& draft, const Instance& population, Kernel& kernel) {
  if (!population.refractory_left.valid()) return;
  ExprPool& pool = draft.program.pool;
  Reader read(draft, population, Frame::Neuron);
  ExprId any;
  for (const auto& [event, column] : population.events) {
    const ExprId one = read.load(column, 0);
    any = any.valid() ? pool.make(Op::Or, any, one) : one;
  }
  if (!any.valid()) return;
  kernel.stores.push_back({.into = population.refractory_left,
                           .value = pool.select(any, read(population.neuron->refractory),
                                                pool.load(population.refractory_left, At::Self))});
}

}  // namespace

std::vector<Kernel> instant_kernels(Draft& draft) {
  std::vector<Kernel> kernels;
  const auto add = [&](Kernel kernel) {
    if (!kernel.stores.empty()) kernels.push_back(std::move(kernel));
  };
  // Synapses read everything, neurons' traces read neurons, shared values read shared ones; what a
  // kernel changes is read by none after it.
  for (const Instance& projection : draft.projections)
    add(jumps(draft, projection, Frame::Synapse, projection.prefix + "instant"));
  for (const Instance& projection : draft.projections) {
    add(jumps(draft, projection, Frame::Pre, projection.prefix + "pre_instant"));
    add(jumps(draft, projection, Frame::Post, projection.prefix + "post_instant"));
  }
  for (const Instance& projection : draft.projections)
    add(jumps(draft, projection, Frame::Shared, projection.prefix + "shared_instant"));
  for (const Instance& population : draft.populations) {
    if (!population.neuron) continue;
    Kernel kernel = jumps(draft, population, Frame::Neuron, population.prefix + "instant");
    start_refractory(draft, population, kernel);
    add(std::move(kernel));
  }
  return kernels;
}

}  // namespace hebb
