#include "compiler/experiment/grad_check.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

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
  int64_t steps = kSteps;
};

std::vector<double> fed_values(const Program& program, const Feed& feed, int64_t steps, Uniform& random) {
  const Column& column = program[feed.column];
  const bool voltage = column.unit == "mV";
  const bool rate = column.unit == "1/ms";
  std::vector<double> out;
  for (int64_t k = 0; k < steps * column.width; ++k) {
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
  std::vector<double> gradient;                 // by the first of the parameters
};

std::optional<Functional> evaluate(const Bench& bench, uint64_t seed, bool gradient, std::string& failure) {
  const auto program = std::shared_ptr<const Program>(bench.adjoint, &bench.adjoint->program);
  auto made = Trajectory::create(bench.adjoint, interpret(program, Precision::Float64), {});
  if (!made) {
    failure = made.error();
    return std::nullopt;
  }
  for (const auto& [id, value] : bench.parameters)
    if (!made->set(id, value)) return std::nullopt;
  made->initialise();
  for (const auto& [id, value] : bench.states)
    if (!made->set(id, value)) return std::nullopt;
  const auto recorded = made->forward(bench.steps, bench.dt_ms, bench.feeds, bench.outputs);
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
  out.gradient = made->gradient(bench.parameters[0].first);
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

namespace {

/// The declared values of parameters, drawn ones included: what the initial kernels leave.
std::optional<std::map<uint32_t, std::vector<double>>> declared_values(const Program& program, uint64_t seed) {
  const auto primal = std::make_shared<const Program>(program);
  auto fresh = Simulation::create(primal, interpret(primal, Precision::Float64), {.precision = Precision::Float64, .seed = seed});
  if (!fresh) return std::nullopt;
  fresh->initialise();
  std::map<uint32_t, std::vector<double>> out;
  for (uint32_t i = 0; i < program.columns.size(); ++i)
    if (program.columns[i].role == Role::Param) out[i] = fresh->get(ColumnId{i});
  return out;
}

/// Enough for what happens at regular times to happen.
int64_t steps_of(const Program& program, const std::map<uint32_t, std::vector<double>>& declared, double dt_ms) {
  constexpr double kMostSteps = 600, kTimes = 2.5;
  double steps = kSteps;
  for (const Clock& clock : program.plan.clocks) {
    const auto period = declared.find(clock.period.value);
    if (period != declared.end() && std::isfinite(period->second[0])) steps = std::max(steps, std::ceil(kTimes * period->second[0] / dt_ms));
  }
  return static_cast<int64_t>(std::min(steps, kMostSteps));
}

/// The rows of one parameter.
class ParameterCheck {
 public:
  ParameterCheck(const Model& model, const Rule& rule, const Program& program, VarId id, ColumnId column, Bench bench, uint64_t seed,
                 const std::map<uint32_t, std::vector<double>>& declared, size_t stride, std::vector<GradientCheck>& rows)
      : model_(model), rule_(rule), program_(program), variable_(model[id]), column_(column), bench_(std::move(bench)), seed_(seed),
        declared_(declared), stride_(stride), rows_(rows) {}

  /// Points where a derivative is not finite are left out: others are tried instead, at which the other parameters differ too.
  void check(int points) {
    constexpr int kMostTries = 8;   // for each point
    int compared = 0;
    for (int trial = 0; compared < points && trial < kMostTries * points; ++trial) {
      if (!move_to(trial, trial >= points)) break;
      std::string failure;
      const auto here = evaluate(bench_, seed_, true, failure);
      if (!here) {
        for (GradientCheck& row : rows_) row.refused = failure;
        return;
      }
      ++tried_;
      std::vector<double> errors;
      if (compare(*here, errors)) {
        ++compared;
        for (size_t row = 0; row < rows_.size(); ++row) rows_[row].worst = std::max(rows_[row].worst, errors[row]);
      } else {
        ++poles_;
      }
    }
    for (GradientCheck& row : rows_) {
      row.points = tried_;
      row.poles = poles_;
    }
  }

 private:
  /// Random inputs, weight and parameter; `all`: all other parameters, too. False: there are no derivatives then.
  bool move_to(int point, bool all) {
    Uniform random{random_key(seed_, static_cast<uint32_t>(point))};
    bench_.feeds.clear();
    for (const Feed& feed : program_.plan.feeds)
      bench_.feeds.push_back({.name = feed.name, .values = fed_values(program_, feed, bench_.steps, random), .rows = program_[feed.column].width});
    bench_.states.clear();
    if (rule_.weight.valid()) {
      const Bounds& bounds = model_[rule_.weight].bounds;
      const double low = std::isfinite(bounds.low) ? bounds.low : -1, high = std::isfinite(bounds.high) ? std::min(bounds.high, low + 2) : low + 2;
      const ColumnId w = program_.find_column(model_[rule_.weight].name);
      if (w.valid()) bench_.states.emplace_back(w, std::vector{random.between(low + 0.3 * (high - low), low + 0.7 * (high - low))});
    }
    at_ = declared_.at(column_.value);
    for (double& value : at_) value = near(value, variable_.bounds, random);
    bench_.parameters = {{column_, at_}};
    if (!all) return true;
    if (others_.empty() && !free_others()) return false;
    for (const auto& [id, bounds] : others_) {
      std::vector<double> values = declared_.at(id.value);
      for (double& value : values)
        if (std::isfinite(value)) value = near(value, bounds, random);
      bench_.parameters.emplace_back(id, std::move(values));
    }
    return true;
  }

  /// From now on the other parameters are what they are set to. Times keep their values: they say which steps an event falls on.
  bool free_others() {
    std::set<uint32_t> set = {column_.value};
    for (const VarId id : rule_.variables) {
      const ColumnId column = program_.find_column(model_[id].name);
      if (model_[id].kind != VarKind::Param || !column.valid() || program_[column].unit == "ms" || !set.insert(column.value).second) continue;
      others_.emplace_back(column, model_[id].bounds);
    }
    std::vector<ColumnId> outputs;
    for (const TrajectoryOutput& output : bench_.outputs) outputs.push_back(output.column);
    AdjointResult made = adjoint(without_initial_values(program_, set), std::vector{column_}, outputs);
    if (made.adjoint) bench_.adjoint = std::make_shared<const Adjoint>(std::move(*made.adjoint));
    return made.adjoint.has_value() && !others_.empty();
  }

  /// By row; false: a derivative or a value beside this point is not finite.
  bool compare(const Functional& here, std::vector<double>& errors) {
    double scale = 0;
    for (const double g : here.gradient) {
      if (!std::isfinite(g)) return false;
      scale = std::max(scale, std::fabs(g));
    }
    for (size_t row = 0; row < rows_.size(); ++row) {
      const auto error = error_of(here, row * stride_, scale);
      if (!error) return false;
      errors.push_back(*error);
    }
    return true;
  }

  double moved(size_t k, double shift) {
    bench_.parameters[0].second = at_;
    bench_.parameters[0].second[k] += shift;
    std::string failure;
    const auto there = evaluate(bench_, seed_, false, failure);
    bench_.parameters[0].second = at_;
    return there ? there->value : std::nan("");
  }

  /// Fourth order, with the best of several steps: a long one where rounding is most, a short one where curvature is,
  /// a tiny one where a kink is near.
  /// A derivative below what differences resolve is compared with that.
  /// Steps in proportion to a tiny parameter (a slow rate) count only where differences resolve them.
  std::optional<double> error_of(const Functional& here, size_t k, double scale) {
    const double g = here.gradient[k];
    double error = std::nan("");
    for (const double size : {std::max(std::fabs(at_[k]), 1e-2), std::fabs(at_[k])}) {
      const double resolved = 1e-7 * here.size / size;
      if (size < 1e-2 && !(resolved < 0.1 * std::fabs(g))) continue;
      for (const double relative : {1e-4, 2e-3, 1e-6}) {
        const double h = relative * size;
        const double difference = (8 * (moved(k, h) - moved(k, -h)) - (moved(k, 2 * h) - moved(k, -2 * h))) / (12 * h);
        error = std::fmin(error, std::fabs(difference - g) / std::max({std::fabs(g), 1e-3 * scale, resolved}));
      }
    }
    return std::isnan(error) ? std::nullopt : std::optional(error);
  }

  const Model& model_;
  const Rule& rule_;
  const Program& program_;
  const Variable& variable_;
  ColumnId column_;
  Bench bench_;
  uint64_t seed_;
  const std::map<uint32_t, std::vector<double>>& declared_;
  size_t stride_;
  std::vector<GradientCheck>& rows_;
  std::vector<double> at_;
  std::vector<std::pair<ColumnId, Bounds>> others_;   // set when points with other values of theirs are tried
  int tried_ = 0, poles_ = 0;
};

}  // namespace

std::vector<GradientCheck> check_gradients(const Model& model, const Rule& rule, int points, uint64_t seed) {
  LowerOptions how;
  how.fuse = false;
  const Program program = lower_synapse(model, rule, how);
  std::vector<GradientCheck> out;
  const auto declared = declared_values(program, seed);
  if (!declared) return out;
  const bool many = parameters_of(model, rule).size() > kManyParameters;
  const double dt_ms = step_ms(model, rule);
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
    for (uint32_t k = 0; k < elements; k += stride) rows.push_back({.parameter = spelled(model, id, k), .refused = {}});
    AdjointResult made;
    if (column.valid()) made = adjoint(without_initial_values(program, {column.value}), std::vector{column}, outputs);
    const auto infinite = [](double value) { return std::isinf(value); };
    if (!made.adjoint) {
      for (GradientCheck& row : rows) {
        row.reached = made.refusal && made.refusal->why != AdjointRefusal::Why::NoPath;
        if (row.reached) row.refused = cat("no derivative through ", joined(made.refusal->path, " -> "));
      }
    } else if (std::any_of(declared->at(column.value).begin(), declared->at(column.value).end(), infinite)) {
      for (GradientCheck& row : rows) row.refused = "is declared infinite: nothing moves with it";
    } else {
      Bench bench{.adjoint = std::make_shared<const Adjoint>(std::move(*made.adjoint)), .outputs = {}, .feeds = {}, .parameters = {}, .states = {},
                  .dt_ms = dt_ms, .steps = steps_of(program, *declared, dt_ms)};
      for (const ColumnId output : outputs) bench.outputs.push_back({output});
      ParameterCheck(model, rule, program, id, column, std::move(bench), seed, *declared, stride, rows).check(points);
    }
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

}  // namespace hebb
