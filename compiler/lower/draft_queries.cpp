// Questions to a draft.
#include <algorithm>

#include "compiler/expr/transform.h"
#include "compiler/lower/draft.h"

namespace hebb {

const Assignment* find_setting(const std::vector<Assignment>& settings, VarId variable) {
  for (const Assignment& setting : settings)
    if (setting.variable == variable) return &setting;
  return nullptr;
}

ColumnId whole_signal(const Draft& draft, const Instance& population, const Assignment& setting) {
  if (!setting.per_neuron) return {};
  ColumnId found;
  for (uint32_t i = 0; i < setting.value.size(); ++i) {
    const ExprNode node = draft.model->pool[setting.value[i]];
    if (node.op != Op::Var || node.leaf.element != i) return {};
    const auto signal = draft.signals.find(VarId{node.leaf.index});
    if (signal == draft.signals.end() || (i > 0 && signal->second != found)) return {};
    found = signal->second;
  }
  const Space& space = draft.program[draft.program[found].space];
  if (space.kind != SpaceKind::Neurons || space.size != population.population->size) return {};
  return found;
}

bool driven(const Draft& draft, const Instance& population, VarId port) {
  for (const Instance& projection : draft.projections)
    for (const DriveDef& drive : projection.projection->drives)
      if (&draft.populations[projection.post] == &population && drive.port == port) return true;
  return false;
}

bool instantaneous(const Draft& draft, const Instance& population, const Emission& emission) {
  for (const ExprId id : nodes_below(draft.model->pool, {&emission.condition, 1})) {
    const ExprNode node = draft.model->pool[id];
    if (node.op == Op::Var && population.moving.contains(VarId{node.leaf.index})) return false;
  }
  return true;
}

bool given_by_synapse(const Model& model, const Instance& projection, VarId variable) {
  if (!projection.projection || !model[variable].shape.scalar()) return false;
  for (const InitDef& init : projection.projection->inits)
    if (init.variable == variable) return init.value.size() > 1;
  return false;
}

bool is_sparse(const Draft& draft, const Instance& projection) {
  return draft.program[projection.space].kind == SpaceKind::Sparse;
}

ColumnId arriving(const Draft& draft, const Instance& projection, const std::string& event) {
  const auto late = projection.arrivals.find(event);
  return late != projection.arrivals.end() ? late->second
                                           : draft.populations[projection.pre].events.at(event);
}

ColumnId returning(const Draft& draft, const Instance& projection, const std::string& event) {
  const auto late = projection.returns.find(event);
  return late != projection.returns.end() ? late->second
                                          : draft.populations[projection.post].events.at(event);
}

ColumnId driving(const Draft& draft, const Instance& projection) {
  const Instance& pre = draft.populations[projection.pre];
  assert(!pre.events.empty() && "a population that drives an event port emits events");
  return arriving(draft, projection, pre.events.contains("spike") ? "spike" : pre.events.begin()->first);
}

std::string member_of(const Variable& requirement) {
  const std::string& name = requirement.member.empty() ? requirement.name : requirement.member;
  const size_t dot = name.find('.');
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

}  // namespace hebb
