#include "compiler/experiment/grad_check.h"

#include <algorithm>
#include <cmath>

#include "compiler/adjoint/adjoint.h"
#include "compiler/experiment/engine.h"
#include "compiler/expr/transform.h"
#include "compiler/lower/lower.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "compiler/transform/spelling.h"
#include "runtime/random.h"
#include "runtime/trajectory/trajectory.h"

namespace hebb {

namespace {

constexpr int64_t kSteps = 40;
constexpr double kLongestStepMs = 1000;
// Of a rule with very many parameters only some elements of each array are compared, at equal distances.
constexpr size_t kManyParameters = 200;
constexpr uint32_t kElementsOfMany = 4;

struct Parameter {
  VarId variable;
  uint32_t element;
};

std::vector<Parameter> parameters_of(const Model& model, const Rule& rule) {
  std::vector<Parameter> out;
  for (const VarId id : rule.variables)
    if (model[id].kind == VarKind::Param)
      for (uint32_t k = 0; k < static_cast<uint32_t>(model[id].shape.size()); ++k) out.push_back({id, k});
  return out;
}

std::string event_text(const Model& model, const Event& event) {
  switch (event.kind) {
    case EventKind::PreEvent: return "pre." + event.name;
    case EventKind::PostEvent: return "post." + event.name;
    case EventKind::OwnEvent:
    case EventKind::Port: return event.name;
    case EventKind::Step: return "step";
    case EventKind::Every: return cat("every ", spelled(model, event.period), " ms");
    case EventKind::Arrival: return "an arrival";
  }
  return "";
}

/// Random numbers in [0, 1), by place.
struct Uniform {
  uint64_t key;
  uint32_t site = 0;
  uint64_t next = 0;
  double operator()() { return draw_uniform<double>(key, site, 0, next++, 0); }
  double between(double a, double b) { return a + (b - a) * (*this)(); }
};

/// One synapse: program, adjoint, and random inputs.
struct Bench {
  std::shared_ptr<const Adjoint> adjoint;
  std::vector<TrajectoryOutput> outputs;
  std::vector<FeedValues> feeds;
  std::vector<std::pair<ColumnId, std::vector<double>>> parameters, states;
  double dt_ms = 1;
};

std::vector<double> fed_values(const Program& program, const Feed& feed, Uniform& random) {
  const Column& column = program[feed.column];
  const bool voltage = column.unit == "mV";
  const bool rate = column.unit == "1/ms";
  std::vector<double> out;
  for (int64_t k = 0; k < kSteps * column.width; ++k) {
    if (feed.event) out.push_back(random() < 0.3 ? 1 : 0);
    else if (voltage) out.push_back(random.between(-75, -35));
    else out.push_back(random.between(0.1, 1) * (rate ? 0.02 : 1));
  }
  return out;
}

/// A value near the declared one, or near nothing when that is 0, inside the bounds.
double near(double declared, const Bounds& bounds, Uniform& random) {
  const double value = declared == 0 ? random.between(-0.1, 0.1) : declared * random.between(0.9, 1.1);
  return std::min(std::max(value, bounds.low), bounds.high);
}

/// As long as the time constants allow: slow rules have to move for their derivatives to be more than rounding.
double step_ms(const Model& model, const Rule& rule) {
  double dt = kLongestStepMs;
  const Dimension time = find_unit("ms")->dimension;
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    if (variable.kind != VarKind::Param || !variable.dimension || *variable.dimension != time) continue;
    for (const ExprId init : variable.init)
      if (model.pool.is_constant(init) && model.pool[init].value > 0) dt = std::min(dt, 0.2 * model.pool[init].value);
  }
  return dt;
}

struct Functional {
  double value = 0;
  double size = 0;                              // the same with the absolute value of every term
  std::vector<std::vector<double>> gradients;   // by parameter column
};

std::optional<Functional> evaluate(const Bench& bench, const std::vector<std::vector<double>>& values, uint64_t seed, bool gradient,
                                   std::string& failure) {
  const auto program = std::shared_ptr<const Program>(bench.adjoint, &bench.adjoint->program);
  auto made = Trajectory::create(bench.adjoint, interpret(program, Precision::Float64), {});
  if (!made) {
    failure = made.error();
    return std::nullopt;
  }
  for (size_t k = 0; k < values.size(); ++k)
    if (!made->set(bench.parameters[k].first, values[k])) return std::nullopt;
  made->initialise();
  for (const auto& [id, value] : bench.states)
    if (!made->set(id, value)) return std::nullopt;
  const auto recorded = made->forward(kSteps, bench.dt_ms, bench.feeds, bench.outputs);
  if (!recorded) {
    failure = recorded.error();
    return std::nullopt;
  }
  Functional out;
  Uniform weights{random_key(seed, 7)};
  std::vector<std::vector<double>> seeds;
  for (const auto& one : *recorded) {
    auto& to = seeds.emplace_back();
    for (const double v : one) {
      to.push_back(weights.between(-1, 1));
      out.value += to.back() * v;
      out.size += std::fabs(to.back() * v);
    }
  }
  if (!gradient) return out;
  made->reverse(bench.outputs, seeds);
  for (const auto& [id, value] : bench.parameters) out.gradients.push_back(made->gradient(id));
  return out;
}

}  // namespace

std::vector<std::string> derivative_lines(const Model& whole, const Rule& rule, bool latex) {
  Model model = whole;   // derivatives are new expressions
  std::vector<std::string> out;
  const auto name = [&](const ExprNode& leaf) {
    return leaf.op == Op::Draw ? std::string("draw") : spelled(model, VarId{leaf.leaf.index}, leaf.leaf.element);
  };
  const auto text = [&](ExprId value) {
    return latex ? to_latex(model.pool, value, name) : to_text(model.pool, value, name);
  };
  const std::vector<Parameter> parameters = parameters_of(model, rule);
  std::vector<ExprId> leaves;
  for (const Parameter& p : parameters) leaves.push_back(model.pool.variable(p.variable, p.element));
  const auto add = [&](const std::string& what, ExprId value, const std::string& when) {
    const std::vector<ExprId> slopes = gradient(model.pool, value, leaves);
    for (size_t k = 0; k < slopes.size(); ++k) {
      const ExprId slope = simplify(model.pool, slopes[k]);
      if (model.pool.is_constant(slope, 0)) continue;
      const std::string parameter = spelled(model, parameters[k].variable, parameters[k].element);
      out.push_back(latex ? cat("\\frac{\\partial ", what, "}{\\partial \\mathrm{", parameter, "}} = ", text(slope), when.empty() ? "" : cat(" \\quad \\text{at ", when, "}"))
                          : cat("∂", what, "/∂", parameter, " = ", text(slope), when.empty() ? "" : cat("   at ", when)));
    }
  };
  for (const Flow& flow : rule.flows) {
    const std::string variable = spelled(model, flow.variable, flow.element);
    add(latex ? cat("\\dot{\\mathrm{", variable, "}}") : cat(variable, "'"), flow.rate, "");
  }
  for (const Jump& jump : rule.jumps) {
    const std::string variable = spelled(model, jump.variable, jump.element);
    std::vector<std::string> events;
    for (const EventId id : jump.events) events.push_back(event_text(model, rule.events[id.value]));
    const std::string what = jump.assign ? variable : latex ? cat("\\Delta \\mathrm{", variable, "}") : cat("Δ", variable);
    add(what, jump.value, joined(events, " or "));
  }
  return out;
}

std::vector<GradientCheck> check_gradients(const Model& model, const Rule& rule, int points, uint64_t seed) {
  LowerOptions how;
  how.fuse = false;
  const Program program = lower_synapse(model, rule, how);
  std::vector<GradientCheck> out;
  const bool many = parameters_of(model, rule).size() > kManyParameters;
  std::vector<ColumnId> outputs;
  for (uint32_t i = 0; i < program.columns.size(); ++i)
    if (program.columns[i].role == Role::State) outputs.push_back(ColumnId{i});

  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    if (variable.kind != VarKind::Param) continue;
    const ColumnId column = program.find_column(variable.name);
    std::vector<GradientCheck> rows;
    const uint32_t elements = static_cast<uint32_t>(variable.shape.size());
    const uint32_t stride = many ? (elements + kElementsOfMany - 1) / kElementsOfMany : 1;
    for (uint32_t k = 0; k < elements; k += stride)
      rows.push_back({.parameter = spelled(model, id, k), .worst = 0, .reached = true, .refused = {}});
    AdjointResult made;
    if (column.valid()) made = adjoint(without_initial_values(program, {column.value}), std::vector{column}, outputs);
    if (!made.adjoint) {
      for (GradientCheck& row : rows) {
        row.reached = made.refusal && made.refusal->why != AdjointRefusal::Why::NoPath;
        if (row.reached) row.refused = cat("no derivative through ", joined(made.refusal->path, " -> "));
        out.push_back(row);
      }
      continue;
    }
    Bench bench{.adjoint = std::make_shared<const Adjoint>(std::move(*made.adjoint)), .outputs = {}, .feeds = {}, .parameters = {}, .states = {}, .dt_ms = step_ms(model, rule)};
    for (const ColumnId output : outputs) bench.outputs.push_back({output});
    for (int point = 0; point < points; ++point) {
      Uniform random{random_key(seed, static_cast<uint32_t>(point))};
      bench.feeds.clear();
      for (const Feed& feed : program.plan.feeds)
        bench.feeds.push_back({.name = feed.name, .values = fed_values(program, feed, random), .rows = program[feed.column].width});
      bench.states.clear();
      if (rule.weight.valid()) {
        const Bounds& bounds = model[rule.weight].bounds;
        const double low = std::isfinite(bounds.low) ? bounds.low : -1, high = std::isfinite(bounds.high) ? std::min(bounds.high, low + 2) : low + 2;
        const ColumnId w = program.find_column(model[rule.weight].name);
        if (w.valid()) bench.states.emplace_back(w, std::vector{random.between(low + 0.3 * (high - low), low + 0.7 * (high - low))});
      }
      // Declared values, drawn ones included, are what the initial kernels leave.
      const auto primal = std::make_shared<const Program>(program);
      auto fresh = Simulation::create(primal, interpret(primal, Precision::Float64), {.precision = Precision::Float64, .seed = seed});
      if (!fresh) continue;
      fresh->initialise();
      std::vector<double> at = fresh->get(column);
      if (std::any_of(at.begin(), at.end(), [](double value) { return std::isinf(value); })) {
        for (GradientCheck& row : rows) row.refused = "is declared infinite: nothing moves with it";
        break;
      }
      for (double& value : at) value = near(value, variable.bounds, random);
      bench.parameters = {{column, at}};
      std::string failure;
      const auto here = evaluate(bench, {at}, seed, true, failure);
      if (!here) {
        for (GradientCheck& row : rows) row.refused = failure;
        break;
      }
      double scale = 0;
      for (const double g : here->gradients[0]) scale = std::max(scale, std::fabs(g));
      for (size_t row = 0; row < rows.size(); ++row) {
        const size_t k = row * stride;
        const double g = here->gradients[0][k];
        const auto value = [&](double shift) {
          std::vector<double> moved = at;
          moved[k] += shift;
          const auto there = evaluate(bench, {moved}, seed, false, failure);
          return there ? there->value : std::nan("");
        };
        // Fourth order, with the best of several steps: a long one where rounding is most, a short one where curvature is,
        // a tiny one where a kink is near.
        // A derivative below what differences resolve is compared with that.
        // Steps in proportion to a tiny parameter (a slow rate) count only where differences resolve them.
        double error = std::nan("");
        for (const double size : {std::max(std::fabs(at[k]), 1e-2), std::fabs(at[k])}) {
          const double resolved = 1e-7 * here->size / size;
          if (size < 1e-2 && !(resolved < 0.1 * std::fabs(g))) continue;
          for (const double relative : {1e-4, 2e-3, 1e-6}) {
            const double h = relative * size;
            const double difference = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h);
            error = std::fmin(error, std::fabs(difference - g) / std::max({std::fabs(g), 1e-3 * scale, resolved}));
          }
        }
        rows[row].worst = std::isnan(error) ? INFINITY : std::max(rows[row].worst, error);
      }
    }
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

}  // namespace hebb
