// W09: a grid step that is long against a trace. The trace itself is exact, but all spikes of one step
// fall on one instant.

#include <algorithm>
#include <cmath>

#include "compiler/expr/transform.h"
#include "compiler/sema/lints.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// dt of `with (dt = 1 ms)` when it is a plain literal.
const ast::Expr* step_setting(const ast::Run& run, double* dt) {
  for (const ast::Setting& setting : run.settings) {
    if (setting.path.parts.size() != 1 || setting.path.parts[0].text != "dt") continue;
    const auto* literal = std::get_if<ast::Number>(&setting.value->node);
    if (literal == nullptr || !literal->unit || literal->unit->factors.size() != 1) return nullptr;
    const UnitInfo* unit = find_unit(literal->unit->factors[0].name);
    if (unit == nullptr) return nullptr;
    *dt = literal->value * unit->scale;
    return setting.value.get();
  }
  return nullptr;
}

/// The value of a parameter in a projection; NaN when it is drawn or per lane.
double parameter_value(const Model& model, const ProjectionDef& projection, const ExprNode& leaf) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  if (leaf.op != Op::Var) return kUnknown;
  const Variable& variable = model[VarId{leaf.leaf.index}];
  if (variable.kind != VarKind::Param) return kUnknown;
  std::vector<ExprId> value = variable.init;
  for (const Assignment& setting : projection.settings) {
    if (setting.variable.value == leaf.leaf.index) value = setting.value;
  }
  if (leaf.leaf.element >= value.size() || !model.pool.is_constant(value[leaf.leaf.element])) return kUnknown;
  return model.pool[value[leaf.leaf.element]].value;
}

bool driven_by_spikes(const Rule& rule, VarId variable) {
  for (const Jump& jump : rule.jumps) {
    if (jump.variable != variable) continue;
    for (const EventId id : jump.events) {
      const EventKind kind = rule.events[id.value].kind;
      if (kind == EventKind::PreEvent || kind == EventKind::PostEvent) return true;
    }
  }
  return false;
}

bool lint_projection(Session& session, const ProjectionDef& projection, double dt, bool given, Span span) {
  Model& model = session.model;
  for (const Flow& flow : projection.rule.flows) {
    if (!driven_by_spikes(projection.rule, flow.variable)) continue;
    const ExprId self = model.pool.variable(flow.variable, flow.element);
    const ExprId slope = gradient(model.pool, flow.rate, std::vector<ExprId>{self})[0];
    const auto value = [&](const ExprNode& leaf) { return parameter_value(model, projection, leaf); };
    const double rate = evaluate(model.pool, slope, value);
    if (!(rate < 0)) continue;  // NaN: not linear with a known constant
    const double tau = -1 / rate;
    constexpr double kCoarse = 0.2;
    if (!(dt > kCoarse * tau * (1 + 1e-9))) continue;
    const std::string& name = model[flow.variable].name;
    std::string constant = cat("the time constant of ", name);
    Span second = flow.span;
    for (const ExprId id : nodes_below(model.pool, std::vector<ExprId>{slope})) {
      const ExprNode node = model.pool[id];
      if (node.op != Op::Var || std::abs(value(node) - tau) > 1e-9 * tau) continue;
      constant = model[VarId{node.leaf.index}].name;
      second = model[VarId{node.leaf.index}].span;
    }
    Diagnostic& diag = session.diags.report(
        DiagKind::CoarseStep, span,
        cat(given ? "dt = " : "the default dt = ", shortest(dt), " ms is more than a fifth of ", constant, " = ", shortest(tau), " ms; ",
            name, " is exact, but pairs within a step are lost"));
    diag.labels.push_back({second, "declared here"});
    return true;
  }
  return false;
}

/// A clock that is faster than the grid happens once a step, which is less often than it says.
bool lint_clocks(Session& session, const ProjectionDef& projection, double dt, bool given, Span span) {
  for (const Event& event : projection.rule.events) {
    if (event.kind != EventKind::Every) continue;
    const auto value = [&](const ExprNode& leaf) { return parameter_value(session.model, projection, leaf); };
    const double period = evaluate(session.model.pool, event.period, value);
    if (!(dt > period * (1 + 1e-9))) continue;
    session.diags
        .report(DiagKind::CoarseStep, span,
                cat(given ? "dt = " : "the default dt = ", shortest(dt), " ms is longer than the period ",
                    shortest(period), " ms of a clock, which then happens once a step"))
        .labels.push_back({event.span, "declared here"});
    return true;
  }
  return false;
}

void lint_run(Session& session, const ast::Run& run) {
  double dt = 1;  // ms, the default
  const bool given = std::any_of(run.settings.begin(), run.settings.end(), [](const ast::Setting& setting) {
    return setting.path.parts.size() == 1 && setting.path.parts[0].text == "dt";
  });
  const ast::Expr* setting = step_setting(run, &dt);
  if (given && setting == nullptr) return;  // not a literal: known when it runs
  const Network* network = session.model.find_network(joined_name(run.network));
  if (network == nullptr) return;
  for (const ProjectionDef& projection : network->projections) {
    const Span span = given ? setting->span : run.network.span;
    if (lint_projection(session, projection, dt, given, span)) return;
    if (lint_clocks(session, projection, dt, given, span)) return;
  }
}

void find_runs(Session& session, const ast::ExprPtr& start) {
  std::vector<const ast::Expr*> stack;
  const auto push = [&](const ast::ExprPtr& expr) {
    if (expr != nullptr) stack.push_back(expr.get());
  };
  push(start);
  while (!stack.empty()) {
    const ast::Expr* expr = stack.back();
    stack.pop_back();
    if (const auto* node = std::get_if<ast::Run>(&expr->node)) lint_run(session, *node);
    if (const auto* node = std::get_if<ast::Paren>(&expr->node)) push(node->inner);
    if (const auto* node = std::get_if<ast::Member>(&expr->node)) push(node->object);
    if (const auto* node = std::get_if<ast::Binary>(&expr->node)) push(node->left), push(node->right);
    if (const auto* node = std::get_if<ast::Call>(&expr->node)) {
      for (const ast::Argument& argument : node->arguments) push(argument.value);
    }
  }
}

}  // namespace

void lint_steps(Session& session, const ast::File& file) {
  if (!session.options.lints || session.diags.has_errors()) return;
  const auto actions = [&](const std::vector<ast::Action>& list) {
    ast::for_each_action(list, [&](const ast::Action& action) {
      if (const auto* let = std::get_if<ast::Let>(&action)) find_runs(session, let->value);
    });
  };
  for (const ast::Item& item : file.items) {
    if (const auto* node = std::get_if<ast::ExperimentDecl>(&item)) actions(node->actions);
  }
}

}  // namespace hebb::sema
