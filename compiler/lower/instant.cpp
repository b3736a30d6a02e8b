#include <set>

#include "compiler/lower/defer.h"
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

/// Which events make the synapses of a projection jump in this step.
struct Causes {
  std::set<ColumnId> pre, post;
  bool others = false;
};

Causes causes(Draft& draft, const Instance& projection) {
  Causes found;
  Reader read(draft, projection, Frame::Synapse);
  for (const Jump& jump : projection.rule->jumps) {
    const Variable& variable = (*draft.model)[jump.variable];
    if (variable.kind != VarKind::Weight && variable.locus != Locus::Synapse) continue;
    for (const EventId id : jump.events) {
      const Event& event = projection.rule->events[id.value];
      if (draft.program.pool.is_constant(read.active({id}), 0)) continue;
      if (event.kind == EventKind::PreEvent) found.pre.insert(arriving(draft, projection, event.name));
      else if (event.kind == EventKind::PostEvent) found.post.insert(returning(draft, projection, event.name));
      else found.others = true;
    }
  }
  return found;
}

/// Where only spikes of either side make synapses jump, only the synapses of spiking neurons are looked
/// at. A synapse with spikes on both sides takes all its jumps in the pre kernel, where both spikes are
/// read and bounds are met once; the post kernel, which comes after it, leaves such a synapse alone.
std::vector<Kernel> sparse_jumps(Draft& draft, const Instance& projection, const std::string& name) {
  Kernel whole = jumps(draft, projection, Frame::Synapse, name);
  if (projection.deferral) return deferred_jumps(draft, projection, whole);
  if (whole.stores.empty()) return {};
  const Causes from = causes(draft, projection);
  if (from.others || from.pre.size() > 1 || from.post.size() > 1) return {std::move(whole)};

  ExprPool& pool = draft.program.pool;
  std::vector<Kernel> kernels;
  const auto some = [&](Rows rows, ColumnId spikes, const auto& value_of) {
    Kernel kernel{.name = name, .domain = whole.domain, .rows = rows, .spikes = spikes};
    for (const Store& store : whole.stores) {
      const ExprId old = pool.load(store.into, At::Self, store.element);
      const ExprId value = value_of(store.value, old);
      if (value != old) kernel.stores.push_back({.into = store.into, .element = store.element, .value = value});
    }
    if (!kernel.stores.empty()) kernels.push_back(std::move(kernel));
  };
  for (const ColumnId spikes : from.pre)
    some(Rows::OfPre, spikes, [&](ExprId value, ExprId) { return assuming(pool, value, spikes, At::Pre, 1); });
  for (const ColumnId spikes : from.post)
    some(Rows::OfPost, spikes, [&](ExprId value, ExprId old) {
      value = assuming(pool, value, spikes, At::Post, 1);
      for (const ColumnId pre : from.pre) {
        value = assuming(pool, value, pre, At::Pre, 0);
        if (value != old) value = pool.select(pool.load(pre, At::Pre), old, value);
      }
      return value;
    });
  return kernels;
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
  for (const Instance& projection : draft.projections) {
    const std::string name = projection.prefix + "instant";
    if (!is_sparse(draft, projection)) add(jumps(draft, projection, Frame::Synapse, name));
    else for (Kernel& kernel : sparse_jumps(draft, projection, name)) add(std::move(kernel));
  }
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
