// W09: a grid step that is long against a trace (the trace itself is exact, but all spikes of one step
// fall on one instant), against a clock, or against what is solved step by step.

#include <algorithm>
#include <cmath>
#include <functional>

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

/// The step of a run as far as its text tells, and where that stands.
struct StepOfRun {
  double dt = 1;  // ms, the default
  bool given = false;
  Span span;
};
std::optional<StepOfRun> step_of(const ast::Run& run) {
  StepOfRun out{.span = run.network.span};
  out.given = std::any_of(run.settings.begin(), run.settings.end(), [](const ast::Setting& setting) {
    return setting.path.parts.size() == 1 && setting.path.parts[0].text == "dt";
  });
  const ast::Expr* setting = step_setting(run, &out.dt);
  if (out.given && setting == nullptr) return std::nullopt;  // not a literal: known when it runs
  if (out.given) out.span = setting->span;
  return out;
}

void lint_run(Session& session, const ast::Run& run) {
  const auto step = step_of(run);
  const Network* network = session.model.find_network(joined_name(run.network));
  if (!step || network == nullptr) return;
  for (const ProjectionDef& projection : network->projections) {
    if (lint_projection(session, projection, step->dt, step->given, step->span)) return;
    if (lint_clocks(session, projection, step->dt, step->given, step->span)) return;
  }
}

/// A number as a network begins: a parameter, a start value, a let of them; NaN: what only a run knows.
double at_the_start(const Model& model, const std::vector<Assignment>& settings, const ExprNode& leaf) {
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  if (leaf.op != Op::Var) return kUnknown;
  const Variable& variable = model[VarId{leaf.leaf.index}];
  std::vector<ExprId> value = variable.kind == VarKind::Let ? variable.value : variable.init;
  const bool starts = variable.kind == VarKind::Param || variable.kind == VarKind::State || variable.kind == VarKind::Weight;
  if (!starts && variable.kind != VarKind::Let) return kUnknown;
  for (const Assignment& setting : settings)
    if (setting.variable.value == leaf.leaf.index) value = setting.value;
  if (value.empty()) return starts ? 0 : kUnknown;  // an equation without a start value
  if (leaf.leaf.element >= value.size()) return kUnknown;
  return evaluate(model.pool, value[leaf.leaf.element], [&](const ExprNode& next) { return at_the_start(model, settings, next); });
}

/// What is solved step by step, with a step that is long against how fast it would fall back as the run begins.
bool lint_solved(Model& model, Diagnostics& diags, const Dynamics& dynamics, const std::vector<Assignment>& settings,
                 const std::string& owner, const StepOfRun& step) {
  for (const Solution& solution : dynamics.solutions) {
    const bool stepwise = solution.solver == Solver::ExponentialEuler || solution.solver == Solver::RungeKutta4;
    const auto flow = std::find_if(dynamics.flows.begin(), dynamics.flows.end(), [&](const Flow& one) {
      return one.variable == solution.variable && one.element == solution.element;
    });
    if (!stepwise || flow == dynamics.flows.end()) continue;
    const ExprId self = model.pool.variable(flow->variable, flow->element);
    const ExprId slope = gradient(model.pool, flow->rate, std::vector<ExprId>{self})[0];
    const double rate = evaluate(model.pool, slope, [&](const ExprNode& leaf) { return at_the_start(model, settings, leaf); });
    constexpr double kCoarse = 1;
    if (!(rate < 0) || !(step.dt > -kCoarse / rate * (1 + 1e-9))) continue;
    const std::string& name = model[flow->variable].name;
    diags
        .report(DiagKind::CoarseStep, step.span,
                cat(step.given ? "dt = " : "the default dt = ", shortest(step.dt), " ms is longer than the time constant ",
                    shortest(std::strtod(cat(-1 / rate).substr(0, 6).c_str(), nullptr)), " ms of ", owner, ".", name, ", which is solved step by step"))
        .labels.push_back({flow->span, "this equation"});
    return true;
  }
  return false;
}

void find_runs(const ast::ExprPtr& start, const std::function<void(const ast::Run&)>& found) {
  std::vector<const ast::Expr*> stack;
  const auto push = [&](const ast::ExprPtr& expr) {
    if (expr != nullptr) stack.push_back(expr.get());
  };
  push(start);
  while (!stack.empty()) {
    const ast::Expr* expr = stack.back();
    stack.pop_back();
    if (const auto* node = std::get_if<ast::Run>(&expr->node)) found(*node);
    if (const auto* node = std::get_if<ast::Paren>(&expr->node)) push(node->inner);
    if (const auto* node = std::get_if<ast::Member>(&expr->node)) push(node->object);
    if (const auto* node = std::get_if<ast::Binary>(&expr->node)) push(node->left), push(node->right);
    if (const auto* node = std::get_if<ast::Call>(&expr->node)) {
      for (const ast::Argument& argument : node->arguments) push(argument.value);
    }
  }
}

void runs_of_experiments(const ast::File& file, const std::function<void(const ast::Run&)>& found) {
  const auto actions = [&](const std::vector<ast::Action>& list) {
    ast::for_each_action(list, [&](const ast::Action& action) {
      if (const auto* let = std::get_if<ast::Let>(&action)) find_runs(let->value, found);
    });
  };
  for (const ast::Item& item : file.items) {
    if (const auto* node = std::get_if<ast::ExperimentDecl>(&item)) actions(node->actions);
  }
}

}  // namespace

void lint_steps(Session& session, const ast::File& file) {
  if (!session.options.lints || session.diags.has_errors()) return;
  runs_of_experiments(file, [&](const ast::Run& run) { lint_run(session, run); });
}

}  // namespace hebb::sema

namespace hebb {

void lint_solved_steps(Model& model, const ast::File& file, Diagnostics& diags) {
  if (diags.has_errors()) return;
  sema::runs_of_experiments(file, [&](const ast::Run& run) {
    const auto step = sema::step_of(run);
    const Network* network = model.find_network(sema::joined_name(run.network));
    if (!step || network == nullptr) return;
    for (const PopulationDef& population : network->populations)
      if (population.neuron >= 0 &&
          sema::lint_solved(model, diags, model.neurons[static_cast<size_t>(population.neuron)], population.settings, population.name, *step))
        return;
    for (const ProjectionDef& projection : network->projections)
      if (sema::lint_solved(model, diags, projection.rule, projection.settings, projection.name, *step)) return;
  });
}

}  // namespace hebb
