#include <map>

#include "compiler/expr/transform.h"
#include "compiler/transform/transform.h"

namespace hebb {

namespace {

class Copy {
 public:
  explicit Copy(Model& model)
      : model_(model), expression_(model.pool, model.pool, [this](const ExprNode& leaf) { return leaf_copy(leaf); }) {}

  void variables(const std::vector<VarId>& originals) {
    for (const VarId original : originals) declare(original);
  }

  void dynamics(Dynamics& copy) {
    for (const After& after : copy.afters) declare(after.marker);
    for (const auto& [original, fresh] : fresh_) define(fresh);
    for (VarId& id : copy.variables) id = variable(id);
    for (Event& event : copy.events) {
      event.period = expression(event.period);
      event.port = variable(event.port);
    }
    for (Flow& flow : copy.flows) {
      flow.variable = variable(flow.variable);
      flow.rate = expression(flow.rate);
    }
    for (Jump& jump : copy.jumps) {
      jump.variable = variable(jump.variable);
      jump.value = expression(jump.value);
    }
    for (After& after : copy.afters) {
      after.marker = variable(after.marker);
      after.of = variable(after.of);
    }
    for (Solution& solution : copy.solutions) {
      solution.variable = variable(solution.variable);
      solution.next = expression(solution.next);
    }
  }

  ExprId expression(ExprId root) { return expression_(root); }
  /// What the declaration does not own (a network's signal, say) is itself.
  VarId variable(VarId original) const {
    const auto found = fresh_.find(original);
    return found == fresh_.end() ? original : found->second;
  }

 private:
  void declare(VarId original) {
    if (fresh_.contains(original)) return;
    fresh_[original] = model_.add(Variable(model_[original]));
  }

  void define(VarId fresh) {
    // By value: copying expressions does not touch `variables`, yet a reference would invite it.
    Variable variable = model_[fresh];
    variable.low = expression(variable.low);
    variable.high = expression(variable.high);
    for (ExprId& init : variable.init) init = expression(init);
    for (ExprId& value : variable.value) value = expression(value);
    model_[fresh] = std::move(variable);
  }

  ExprId leaf_copy(const ExprNode& leaf) {
    if (leaf.op == Op::Var) {
      const auto found = fresh_.find(VarId{leaf.leaf.index});
      return found == fresh_.end() ? ExprId{} : model_.pool.variable(found->second, leaf.leaf.element);
    }
    if (leaf.op != Op::Draw) return {};
    // A draw is a function of its place in the program: another instance is another place.
    const auto [site, is_new] = sites_.try_emplace(leaf.leaf.index, model_.draw_sites);
    if (is_new) ++model_.draw_sites;
    return model_.pool.draw(site->second, leaf.leaf.element);
  }

  Model& model_;
  std::map<VarId, VarId> fresh_;
  std::map<uint32_t, uint32_t> sites_;
  Substitution expression_;
};

}  // namespace

Rule instantiate(Model& model, const Rule& rule) {
  Rule copy = rule;                                    // `rule` may live in model.rules
  Copy with(model);
  with.variables(copy.variables);
  with.dynamics(copy);
  copy.weight = with.variable(copy.weight);
  for (Reduction& reduction : copy.reductions) {
    reduction.variable = with.variable(reduction.variable);
    reduction.argument = with.expression(reduction.argument);
  }
  return copy;
}

Neuron instantiate(Model& model, const Neuron& neuron) {
  Neuron copy = neuron;
  Copy with(model);
  with.variables(copy.variables);
  with.dynamics(copy);
  for (Emission& emission : copy.emissions) emission.condition = with.expression(emission.condition);
  copy.refractory = with.expression(copy.refractory);
  for (VarId& id : copy.held) id = with.variable(id);
  return copy;
}

}  // namespace hebb
