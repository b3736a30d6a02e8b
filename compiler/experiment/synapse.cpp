#include "compiler/experiment/synapse.h"

#include <algorithm>
#include <cassert>

#include "compiler/ast/print.h"
#include "compiler/lower/lower.h"
#include "compiler/support/text.h"
#include "compiler/transform/transform.h"

namespace hebb {

namespace {

struct Part {
  std::string name;
  Span span;
  const ast::Call* call = nullptr;   // with its settings
};

/// The parts of a sum of rules; an empty list after a mistake.
std::vector<Part> parts_of(Evaluation& e, const ast::Expr& expr) {
  const ast::Expr& inner = without_parens(expr);
  if (const auto* sum = std::get_if<ast::Binary>(&inner.node); sum && sum->op == ast::BinaryOp::Add) {
    std::vector<Part> parts = parts_of(e, *sum->left);
    const std::vector<Part> right = parts_of(e, *sum->right);
    if (parts.empty() || right.empty()) return {};
    parts.insert(parts.end(), right.begin(), right.end());
    return parts;
  }
  const auto* call = std::get_if<ast::Call>(&inner.node);
  const ast::Expr& callee = call ? without_parens(*call->callee) : inner;
  const Chain chain = chain_of(callee);
  if (const auto* name = std::get_if<ast::NameRef>(&chain.root->node)) {
    const std::string text = chain.members.empty() ? name->name : chain.members.back().text;
    return {{.name = text, .span = callee.span, .call = call}};
  }
  e.diags.report(DiagKind::WrongKindOfValue, expr.span, "a rule is needed here").help =
      "for example  protocol(PairSTDP, pre = [0 ms], post = [10 ms])";
  return {};
}

const Rule* find_rule(Evaluation& e, const Part& part) {
  if (const Rule* rule = e.model.find_rule(part.name)) return rule;
  Diagnostic& diag =
      e.diags.report(DiagKind::UnknownName, part.span, cat("there is no rule called ", quoted(part.name)));
  std::vector<std::string> names;
  for (const Rule& rule : e.model.rules) names.push_back(rule.name);
  if (const auto near = did_you_mean(part.name, names)) diag.help = cat("did you mean ", *near, "?");
  return nullptr;
}

VarId find_parameter(const Model& model, const Rule& rule, std::string_view name) {
  for (const VarId id : rule.variables)
    if (model[id].kind == VarKind::Param && model[id].name == name) return id;
  return {};
}

struct NewValue {
  VarId variable;
  std::vector<double> values;
};

std::optional<NewValue> parameter_setting(Evaluation& e, const Rule& rule, const ast::Argument& argument) {
  if (!argument.name) {
    e.diags.report(DiagKind::WrongArgument, argument.value->span,
                   cat("name the parameter of ", quoted(rule.name), " that this is for"))
        .help = cat(rule.name, "(NAME = ", ast::to_source(*argument.value), ")");
    return std::nullopt;
  }
  const VarId id = find_parameter(e.model, rule, argument.name->text);
  if (!id.valid()) {
    Diagnostic& diag = e.diags.report(
        DiagKind::UnknownSetting, argument.name->span,
        cat(quoted(rule.name), " has no parameter called ", quoted(argument.name->text)));
    std::vector<std::string> names;
    for (const VarId known : rule.variables)
      if (e.model[known].kind == VarKind::Param) names.push_back(e.model[known].name);
    if (const auto near = did_you_mean(argument.name->text, names)) diag.help = cat("did you mean ", *near, "?");
    else if (!names.empty()) diag.help = cat("it has ", listed(names));
    return std::nullopt;
  }
  auto value = evaluate_argument(e, argument);
  if (!value) return std::nullopt;
  const auto* tensor = std::get_if<Tensor>(&value->data);
  const Variable& variable = e.model[id];
  if (!tensor) {
    e.diags.report(DiagKind::WrongKindOfValue, argument.value->span,
                   cat(quoted(variable.name), " is a number, this is ", describe(*value)));
    return std::nullopt;
  }
  if (!common_dimension(tensor->dimension, variable.dimension).fits) {
    e.diags.report(DiagKind::DimensionMismatch, argument.value->span,
                   cat(quoted(variable.name), " is ", describe(*variable.dimension), ", this is ",
                       describe(*tensor->dimension)))
        .labels.push_back({variable.span, "declared here"});
    return std::nullopt;
  }
  std::vector<double> values = tensor->values;
  const auto size = static_cast<size_t>(variable.shape.size());
  if (tensor->scalar()) values.assign(size, tensor->values[0]);
  if (values.size() != size || (!tensor->scalar() && tensor->shape != variable.shape.extents)) {
    e.diags.report(DiagKind::ShapesDiffer, argument.value->span,
                   cat(quoted(variable.name), " is ", shape_text(variable.shape.extents), ", this is ",
                       shape_text(tensor->shape)));
    return std::nullopt;
  }
  return NewValue{id, std::move(values)};
}

std::shared_ptr<const Synapse> lowered(const Model& model, const Rule& rule) {
  auto synapse = std::make_shared<Synapse>();
  synapse->name = rule.name;
  if (rule.weight.valid()) synapse->weight = model[rule.weight].name;
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    const std::string prefix = variable.kind == VarKind::PreValue    ? "pre."
                               : variable.kind == VarKind::PostValue ? "post."
                                                                     : "";
    const std::string name = variable.name.starts_with(prefix) ? variable.name : prefix + variable.name;
    synapse->dimensions[name] = variable.dimension;
  }
  synapse->uses_steps = std::any_of(rule.events.begin(), rule.events.end(),
                                    [](const Event& event) { return event.kind == EventKind::Step; });
  auto program = std::make_shared<Program>(lower_synapse(model, rule, {}));
  assert(verify(*program).empty() && "lower_synapse keeps the promises of a program");
  synapse->program = std::move(program);
  return synapse;
}

}  // namespace

std::shared_ptr<const Synapse> make_synapse(Evaluation& e, const ast::Expr& expr) {
  const std::vector<Part> parts = parts_of(e, expr);
  if (parts.empty()) return nullptr;
  std::vector<const Rule*> rules;
  std::vector<NewValue> settings;
  std::string key;
  for (const Part& part : parts) {
    const Rule* rule = find_rule(e, part);
    if (!rule) return nullptr;
    rules.push_back(rule);
    key += cat(" + ", rule->name);
    for (const ast::Argument& argument : part.call ? part.call->arguments : std::vector<ast::Argument>{}) {
      auto setting = parameter_setting(e, *rule, argument);
      if (!setting) return nullptr;
      key += cat(" ", argument.name->text);
      for (const double value : setting->values) key += cat(" ", value);
      settings.push_back(std::move(*setting));
    }
  }
  if (const auto known = e.synapses.find(key); known != e.synapses.end()) return known->second;

  Model model = e.model;
  Rule rule = *rules[0];
  if (rules.size() > 1) {
    // Each part with variables of its own, so that two copies of one rule may differ.
    std::vector<Rule> copies;
    std::vector<NewValue> moved;
    size_t next = 0;
    for (size_t k = 0; k < rules.size(); ++k) {
      const Rule copy = instantiate(model, *rules[k]);
      const size_t count = parts[k].call ? parts[k].call->arguments.size() : 0;
      for (size_t i = 0; i < count; ++i, ++next) {
        const VarId id = find_parameter(model, copy, model[settings[next].variable].name);
        moved.push_back({id, settings[next].values});
      }
      copies.push_back(copy);
    }
    settings = std::move(moved);
    rule = compose(model, ast::to_source(expr), std::move(copies));
    model.rules = {rule};
    model.neurons.clear();
    model.networks.clear();
    model = solve(locate(std::move(model)));
    rule = model.rules[0];
  }
  for (const NewValue& setting : settings) {
    std::vector<ExprId> init;
    for (const double value : setting.values) init.push_back(model.pool.constant(value));
    model[setting.variable].init = std::move(init);
  }
  return e.synapses[key] = lowered(model, rule);
}

}  // namespace hebb
