#include "compiler/sema/time_signals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

constexpr int64_t kLongestAverage = 4096;
/// Steps are counted in two numbers, so that a float counts past 2^24 of them.
constexpr double kLap = 4096;

/// The two arguments, by name or place; a report and nothing when they are others.
std::optional<std::array<const ast::Expr*, 2>> two_arguments(Frame& frame, const ast::Expr& expr,
                                                             const ast::Call& call, const std::string& function,
                                                             const std::array<std::string, 2>& names) {
  std::array<const ast::Expr*, 2> out = {};
  const auto refuse = [&](Span span, std::string message) {
    report(frame, DiagKind::WrongArguments, span, std::move(message)).help =
        cat("write  ", function, "(", names[0], " = …, ", names[1], " = …)");
  };
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const ast::Argument& argument = call.arguments[i];
    size_t slot = i;
    if (argument.name) slot = argument.name->text == names[0] ? 0 : argument.name->text == names[1] ? 1 : 2;
    if (slot > 1 || out[slot] != nullptr || !argument.ranges.empty()) {
      refuse(argument.name ? argument.name->span : argument.value->span,
             cat(quoted(function), " takes ", names[0], " and ", names[1], ", each once"));
      return {};
    }
    out[slot] = argument.value.get();
  }
  if (out[0] != nullptr && out[1] != nullptr) return out;
  refuse(expr.span, cat(quoted(function), " takes ", names[0], " and ", names[1], ", got ",
                        plural(call.arguments.size(), "argument")));
  return {};
}

/// The neuron of a hidden population while it is made.
struct Maker {
  Model& model;
  Neuron neuron;
  EventId step;

  Maker(Model& m, const std::string& name, Span span) : model(m) {
    neuron.name = name;
    neuron.span = span;
    step = event_of(neuron, {.kind = EventKind::Step, .name = "step", .period = {}, .port = {}, .span = span});
  }
  VarId add(const std::string& name, VarKind kind, Shape shape, std::optional<Dimension> dimension) {
    Variable variable;
    variable.name = name;
    variable.kind = kind;
    variable.shape = std::move(shape);
    variable.dimension = dimension;
    variable.owner = neuron.name;
    variable.span = neuron.span;
    const VarId id = model.add(std::move(variable));
    neuron.variables.push_back(id);
    return id;
  }
  void set_each_step(VarId id, uint32_t element, ExprId value) {
    neuron.jumps.push_back({.events = {step},
                            .variable = id,
                            .element = element,
                            .assign = true,
                            .value = value,
                            .span = neuron.span});
  }
};

/// Adds the population of that one neuron; gives `value` of it.
Value add_population(NetworkReading& reading, Maker maker, VarId value, std::vector<Assignment> settings,
                     DimensionTerm dimension) {
  Model& model = reading.session.model;
  PopulationDef def;
  def.name = cat(reading.frame.signal, '.', maker.neuron.name);
  const auto taken = [&] {
    return std::ranges::any_of(reading.network.populations,
                               [&](const PopulationDef& other) { return other.name == def.name; });
  };
  for (int again = 2; taken(); ++again)
    def.name = cat(reading.frame.signal, '.', maker.neuron.name, again);
  def.size = 1;
  def.neuron = static_cast<int>(model.neurons.size());
  def.settings = std::move(settings);
  def.span = maker.neuron.span;
  Variable read;
  read.name = cat(def.name, '.', model[value].name);
  read.kind = VarKind::Population;
  read.shape.extents = {1};
  read.owner = reading.network.name;
  read.span = def.span;
  read.population = static_cast<int>(reading.network.populations.size());
  read.member = model[value].name;
  const VarId id = model.add(std::move(read));
  reading.variable_dimensions[id.value] = dimension;
  model.neurons.push_back(std::move(maker.neuron));
  reading.network.populations.push_back(std::move(def));
  return element_of(variable_value(reading.frame, id, dimension), 0);
}

/// 1 while the step is within the pulse that begins at `at_ms`. Whole numbers of a float differ without
/// rounding where it matters: near the pulse.
ExprId within(ExprPool& pool, ExprId lap, ExprId step, double at_ms, double width_ms) {
  const auto steps = [&](double time_ms) {
    return pool.make(Op::Round, pool.div(pool.constant(time_ms), pool.dt()));
  };
  const ExprId begin = steps(at_ms), length = pool.constant(kLap);
  const ExprId begin_lap = pool.make(Op::Floor, pool.div(begin, length));
  const ExprId since = pool.add(pool.mul(pool.sub(lap, begin_lap), length),
                                pool.sub(step, pool.sub(begin, pool.mul(begin_lap, length))));
  const ExprId lasts = pool.make(Op::Max, pool.sub(steps(at_ms + width_ms), begin), pool.constant(1));
  return pool.make(Op::And, pool.make(Op::LessEqual, pool.constant(0), since), pool.make(Op::Less, since, lasts));
}

Value evaluate_pulses(NetworkReading& reading, const ast::Expr& expr, const ast::Call& call) {
  Frame& frame = reading.frame;
  ExprPool& pool = frame.pool();
  const auto given = two_arguments(frame, expr, call, "pulses", {"at", "width"});
  if (!given) return poison();
  Restore phase(frame.phase, Phase::Constant);
  const Expectation time{time_dimension(), "a time", {}};
  const Value at = evaluate(frame, *(*given)[0], &time);
  const Value width = evaluate_as(frame, *(*given)[1], {}, &time);
  if (at.poisoned || width.poisoned) return poison();
  const double width_ms = constant_of(frame, width.only()).value_or(0);
  if (!(width_ms > 0)) {
    report(frame, DiagKind::BadPeriod, (*given)[1]->span,
           cat("a pulse must be longer than 0, got ", width_ms, " ms"));
    return poison();
  }
  Maker maker(frame.session.model, "pulses", expr.span);
  const VarId step = maker.add("step", VarKind::State, {}, Dimension{});
  const VarId lap = maker.add("lap", VarKind::State, {}, Dimension{});
  const ExprId next = pool.add(pool.variable(step), pool.constant(1));
  const ExprId full = pool.make(Op::Equal, next, pool.constant(kLap));
  maker.set_each_step(step, 0, pool.select(full, pool.constant(0), next));
  maker.set_each_step(lap, 0, pool.add(pool.variable(lap), full));
  ExprId any = pool.constant(0);
  for (const ExprId element : at.elements) {
    const double at_ms = constant_of(frame, element).value_or(0);
    if (!(at_ms >= 0) || at_ms == std::numeric_limits<double>::infinity()) {
      report(frame, DiagKind::BadPeriod, (*given)[0]->span,
             cat("a pulse begins at a time from 0 on, not at ", at_ms, " ms"));
      return poison();
    }
    const ExprId one = within(pool, pool.variable(lap), pool.variable(step), at_ms, width_ms);
    any = pool.is_constant(any, 0) ? one : pool.make(Op::Or, any, one);
  }
  const VarId value = maker.add("value", VarKind::Let, {}, Dimension{});
  frame.session.model[value].value = {any};
  return add_population(reading, std::move(maker), value, {}, plain());
}

Value evaluate_moving_average(NetworkReading& reading, const ast::Expr& expr, const ast::Call& call) {
  Frame& frame = reading.frame;
  ExprPool& pool = frame.pool();
  const auto given = two_arguments(frame, expr, call, "moving_average", {"x", "n"});
  if (!given) return poison();
  const Value x = evaluate_as(frame, *(*given)[0], {}, nullptr);
  const auto count = [&]() {
    Restore phase(frame.phase, Phase::Constant);
    return integer_constant(frame, *(*given)[1], "the number of steps");
  }();
  if (x.poisoned || !count) return poison();
  if (*count < 1 || *count > kLongestAverage) {
    report(frame, DiagKind::BadExtent, (*given)[1]->span,
           cat("a moving average is over 1 to ", kLongestAverage, " steps, got ", *count));
    return poison();
  }
  Maker maker(frame.session.model, "moving_average", expr.span);
  const auto dimension = known(frame, x.dimension);
  const VarId input = maker.add("x", VarKind::Input, {}, dimension);
  const VarId history = maker.add("history", VarKind::State, {.extents = {*count}}, dimension);
  ExprId sum = pool.variable(history, 0);
  maker.set_each_step(history, 0, pool.variable(input));
  for (uint32_t i = 1; i < static_cast<uint32_t>(*count); ++i) {
    maker.set_each_step(history, i, pool.variable(history, i - 1));
    sum = pool.add(sum, pool.variable(history, i));
  }
  const VarId value = maker.add("value", VarKind::Let, {}, dimension);
  frame.session.model[value].value = {pool.div(sum, pool.constant(static_cast<double>(*count)))};
  return add_population(
      reading, std::move(maker), value,
      {{.variable = input, .value = {x.only()}, .drawn = false, .per_neuron = false, .span = expr.span}},
      x.dimension);
}

}  // namespace

Value evaluate_time_signal(NetworkReading& reading, const ast::Expr& expr, const ast::Call& call,
                           const std::string& name) {
  return name == "pulses" ? evaluate_pulses(reading, expr, call) : evaluate_moving_average(reading, expr, call);
}

}  // namespace hebb::sema
