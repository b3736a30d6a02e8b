// Declarations of rules and neurons: names first, so that the order of lines cannot matter, then
// start values, bounds and definitions.

#include <cmath>

#include "compiler/sema/dynamics.h"
#include "compiler/sema/overrides.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

Value read_member(Reading& reading, Frame& frame, const std::string& object, const ast::Name& member,
                  Span span) {
  const bool pre = object == "pre";
  if (!pre && object != "post") {
    const Value value = read_name(frame, object, span);
    if (!value.poisoned) {
      report(frame, DiagKind::WrongKindOfName, span,
             cat(quoted(object), " is a number and has no member ", quoted(member.text)));
    }
    return poison();
  }
  if (reading.is_neuron) {
    report(frame, DiagKind::WrongKindOfName, span,
           cat("a neuron has no ", quoted(object), ": only a synapse lies between two neurons"));
    return poison();
  }
  if (frame.phase == Phase::Constant || frame.phase == Phase::Initial) {
    report(frame, DiagKind::NotConstant, span,
           cat(quoted(cat(object, '.', member.text)), " has no value before the run starts"));
    return poison();
  }
  const std::string name = cat(object, '.', member.text);
  if (member.text == "spike" || frame.event_members.contains(name)) {
    if (frame.phase != Phase::Rate) {
      report(frame, DiagKind::TrainOutsideEquation, span,
             cat(quoted(name), " is an event: it has no value here"))
          .help =
          cat("use it in an equation,  x' = -x / tau + ", name, ";  or act on it,  on ", name, " { … }");
      return poison();
    }
    Value out;
    out.dimension = per_time();
    out.elements = {ExprId{}};
    const EventKind kind = pre ? EventKind::PreEvent : EventKind::PostEvent;
    const EventId event = event_of(
        reading.dynamics, {.kind = kind, .name = member.text, .period = {}, .port = {}, .span = span});
    out.trains = {{event, {frame.pool().constant(1)}}};
    return out;
  }
  ast::Name place{member.text, span};
  const VarId id = requirement(frame.session.model, reading.dynamics, pre, place);
  return variable_value(frame, id, dimension_of(frame, id));
}

/// low or high end of an interval: a number when it is constant, else an expression.
void read_bound(Reading& reading, const ast::Expr& expr, const Expectation& expected, double& number_out,
                ExprId& expr_out) {
  Frame& frame = reading.frame;
  Restore phase(frame.phase, Phase::Initial);
  const Value value = evaluate_as(frame, expr, {}, &expected);
  if (value.poisoned) return;
  if (const auto constant = constant_of(frame, value.only())) {
    number_out = *constant;
  } else {
    expr_out = value.only();
  }
}

}  // namespace

Reading::Reading(Session& session, FileTable& file, Dynamics& d, bool neuron_type)
    : frame{.session = session, .file = &file}, dynamics(d), is_neuron(neuron_type) {
  frame.scope = &scope;
  frame.dimensions = &dimensions;
  frame.variable_dimensions = &variable_dimensions;
  frame.dynamics = &dynamics;
  frame.member = [this](Frame& f, const std::string& object, const ast::Name& member, Span span) {
    return read_member(*this, f, object, member, span);
  };
}

EventId event_of(Dynamics& dynamics, Event event) {
  for (uint32_t i = 0; i < dynamics.events.size(); ++i) {
    const Event& known_event = dynamics.events[i];
    const bool same = known_event.kind == event.kind && known_event.name == event.name &&
                      known_event.period == event.period && known_event.port == event.port;
    if (same) return EventId{i};
  }
  dynamics.events.push_back(std::move(event));
  return EventId{static_cast<uint32_t>(dynamics.events.size() - 1)};
}

VarId requirement(Model& model, Dynamics& dynamics, bool pre, const ast::Name& name) {
  const VarKind kind = pre ? VarKind::PreValue : VarKind::PostValue;
  for (const VarId id : dynamics.variables) {
    if (model[id].kind == kind && model[id].name == name.text) return id;
  }
  Variable variable;
  variable.name = name.text;
  variable.kind = kind;
  variable.owner = dynamics.name;
  variable.span = name.span;
  variable.member = name.text;
  const VarId id = model.add(std::move(variable));
  dynamics.variables.push_back(id);
  return id;
}

Symbol& add_variable(Reading& reading, const ast::Name& name, VarKind kind, SymbolKind symbol_kind,
                     Shape shape) {
  Frame& frame = reading.frame;
  Variable variable;
  variable.name = name.text;
  variable.kind = kind;
  variable.shape = std::move(shape);
  variable.owner = reading.dynamics.name;
  variable.span = name.span;
  const VarId id = frame.session.model.add(std::move(variable));
  Symbol symbol{.kind = symbol_kind};
  symbol.variable = id;
  symbol.value = variable_value(frame, id, dimension_of(frame, id));
  Symbol& declared = declare(frame, reading.scope, name, std::move(symbol));
  if (declared.variable == id) reading.dynamics.variables.push_back(id);
  return declared;
}

void declare_variable(Reading& reading, const ast::Declaration& declaration, VarKind kind,
                      SymbolKind symbol_kind) {
  const std::optional<Shape> shape = read_shape(reading.frame, declaration.shape);
  if (!shape) {
    Symbol broken{.kind = SymbolKind::Broken};
    broken.value = poison();
    declare(reading.frame, reading.scope, declaration.name, std::move(broken));
    return;
  }
  Symbol& symbol = add_variable(reading, declaration.name, kind, symbol_kind, *shape);
  if (symbol.span == declaration.name.span) symbol.declaration = &declaration;
}

void resolve_declaration(Reading& reading, const ast::Declaration& declaration) {
  Frame& frame = reading.frame;
  Symbol* symbol = find_symbol(frame, declaration.name.text);
  if (symbol == nullptr || symbol->declaration != &declaration) return;
  const VarId id = symbol->variable;
  Model& model = frame.session.model;
  const std::string& name = declaration.name.text;
  Expectation expected{dimension_of(frame, id), name, {}};
  if (declaration.unit) {
    if (const auto unit = read_unit(frame, *declaration.unit)) {
      frame.dimensions->equate(expected.dimension, unit->dimension, declaration.unit->span);
    }
  }
  Bounds bounds;
  ExprId low, high;
  if (declaration.bounds) {
    bounds.low_open = declaration.bounds->low_open;
    bounds.high_open = declaration.bounds->high_open;
    read_bound(reading, *declaration.bounds->low, expected, bounds.low, low);
    read_bound(reading, *declaration.bounds->high, expected, bounds.high, high);
    const bool numbers = !low.valid() && !high.valid();
    if (numbers && !(bounds.low <= bounds.high)) {
      report(frame, DiagKind::BadBounds, declaration.bounds->span,
             cat("no value lies between ", bounds.low, " and ", bounds.high));
    }
  }
  const Shape shape = model[id].shape;
  std::vector<ExprId> init;
  bool drawn = false;
  const ast::ExprPtr& written = start_value(frame.session, declaration);
  const bool drawn_here = declaration.drawn && written == declaration.value;
  if (written != nullptr) {
    Restore phase(frame.phase, Phase::Initial);
    Restore draws(frame.draws_allowed, drawn_here);
    Restore target(frame.target, id);
    Value value = evaluate(frame, *written, &expected);
    if (!value.poisoned && drawn_here && !value.drawn) {
      report(frame, DiagKind::MisplacedDraw, written->span,
             cat(quoted(name), " is declared with '~', but nothing here is drawn"))
          .help = cat("write  ", name, " = …  for a value; '~' wants a distribution such as normal(0, 1)");
    }
    drawn = value.drawn;
    if (!value.poisoned && value.drawn && value.scalar() && !shape.scalar()) {
      // One draw for each element.
      for (int64_t i = 0; i < shape.size(); ++i) {
        init.push_back(i == 0 ? value.only() : evaluate(frame, *written).only());
      }
    } else if (!value.poisoned && value.scalar()) {
      init.assign(static_cast<size_t>(shape.size()), value.only());
    } else if (!value.poisoned && value.shape == shape) {
      init = value.elements;
    } else if (!value.poisoned) {
      report(frame, DiagKind::ShapeMismatch, written->span,
             cat(quoted(name), " has shape ", to_text(shape), ", but its value has shape ",
                 to_text(value.shape)));
    }
  } else if (model[id].kind == VarKind::Param) {
    report(frame, DiagKind::MissingValue, declaration.span,
           cat("the parameter ", quoted(name), " has no value"))
        .help = cat("give it one:  param ", name, " = …;");
  }
  Variable& variable = model[id];
  variable.bounds = bounds;
  variable.low = low;
  variable.high = high;
  variable.init = std::move(init);
  variable.drawn = drawn;
}

void declare_constant(Reading& reading, const ast::Const& constant) {
  Symbol symbol{.kind = SymbolKind::Constant};
  symbol.definition = definition(reading.frame.session, constant).get();
  symbol.progress = Symbol::Progress::Lazy;
  declare(reading.frame, reading.scope, constant.name, std::move(symbol));
}

void declare_let(Reading& reading, const ast::Let& let) {
  Symbol& symbol = add_variable(reading, let.name, VarKind::Let, SymbolKind::Let, {});
  if (symbol.span != let.name.span) return;
  symbol.definition = let.value.get();
  symbol.let = &let;
  symbol.progress = Symbol::Progress::Lazy;
}

void resolve_let(Reading& reading, const ast::Let& let) {
  Symbol* symbol = find_symbol(reading.frame, let.name.text);
  if (symbol != nullptr && symbol->let == &let) force(reading.frame, let.name.text, *symbol);
}

void declare_signal(Reading& reading, const ast::Signal& signal) {
  const std::optional<Shape> shape = read_shape(reading.frame, signal.shape);
  Symbol& symbol =
      add_variable(reading, signal.name, VarKind::Signal, SymbolKind::Signal, shape.value_or(Shape{}));
  if (!signal.unit) return;
  if (const auto unit = read_unit(reading.frame, *signal.unit)) {
    reading.dimensions.equate(symbol.value.dimension, unit->dimension, signal.unit->span);
  }
}

void resolve_signal(Reading& reading, const ast::Signal& signal) {
  if (signal.value == nullptr) return;
  Frame& frame = reading.frame;
  if (signal.drawn) {
    report(frame, DiagKind::NotSupportedYet, signal.span,
           "not supported yet: a drawn signal inside a rule or neuron")
        .help = cat("draw it with  let ", signal.name.text, " ~ …;  or in the network");
    return;
  }
  Symbol* symbol = find_symbol(frame, signal.name.text);
  if (symbol == nullptr || symbol->kind != SymbolKind::Signal) return;
  Restore phase(frame.phase, Phase::Initial);
  const Expectation expected{symbol->value.dimension, signal.name.text, {}};
  const Value value =
      evaluate_as(frame, *signal.value, frame.session.model[symbol->variable].shape, &expected);
  if (!value.poisoned) frame.session.model[symbol->variable].value = value.elements;
}

void declare_stat(Reading& reading, const ast::Stat& stat) {
  add_variable(reading, stat.name, VarKind::State, SymbolKind::Stat, {});
}

/// Exponentially weighted running moments: m' = (x - m)/T, v' = ((x - m)^2 - v)/T and
/// c' = ((x - mx)(y - my) - c)/T.
void resolve_stat(Reading& reading, const ast::Stat& stat) {
  Frame& frame = reading.frame;
  ExprPool& pool = frame.pool();
  Model& model = frame.session.model;
  Symbol* symbol = find_symbol(frame, stat.name.text);
  if (symbol == nullptr || symbol->kind != SymbolKind::Stat || symbol->span != stat.name.span) return;
  const std::string& function = stat.function.text;
  const size_t wanted = function == "covariance" ? 2 : 1;
  if (function != "mean" && function != "variance" && function != "covariance") {
    report(frame, DiagKind::UnknownFunction, stat.function.span,
           cat("there is no running ", quoted(function)))
        .help = "a 'stat' is mean(x), variance(x) or covariance(x, y)";
    symbol->kind = SymbolKind::Broken;
    symbol->value = poison();
    return;
  }
  if (stat.arguments.size() != wanted) {
    report(frame, DiagKind::WrongArguments, stat.span,
           cat(quoted(function), " takes ", plural(wanted, "argument"), ", got ", stat.arguments.size()));
    return;
  }
  Value window;
  {
    Restore phase(frame.phase, Phase::Initial);
    const Expectation time{time_dimension(), "a window", {}};
    window = evaluate_as(frame, *stat.window, {}, &time);
  }
  Restore phase(frame.phase, Phase::Continuous);
  Restore target(frame.target, symbol->variable);
  std::vector<Value> arguments;
  for (const ast::ExprPtr& argument : stat.arguments)
    arguments.push_back(evaluate_as(frame, *argument, {}, nullptr));
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].poisoned || window.poisoned) return;
    if (reject_after(frame, arguments[i], stat.arguments[i]->span, "a running average")) return;
  }
  const auto flow = [&](VarId id, ExprId towards) {
    const ExprId rate = pool.div(pool.sub(towards, pool.variable(id)), window.only());
    reading.dynamics.flows.push_back({.variable = id, .element = 0, .rate = rate, .span = stat.span});
  };
  DimensionTerm dimension = arguments[0].dimension;
  if (function == "mean") {
    flow(symbol->variable, arguments[0].only());
  } else {
    std::vector<ExprId> deviations;
    for (size_t i = 0; i < arguments.size(); ++i) {
      Variable mean;
      mean.name = cat(stat.name.text, arguments.size() == 1 ? ".mean" : i == 0 ? ".mean_x" : ".mean_y");
      mean.kind = VarKind::State;
      mean.owner = reading.dynamics.name;
      mean.span = stat.name.span;
      const VarId id = model.add(std::move(mean));
      reading.dynamics.variables.push_back(id);
      dimension_of(frame, id) = arguments[i].dimension;
      flow(id, arguments[i].only());
      deviations.push_back(pool.sub(arguments[i].only(), pool.variable(id)));
    }
    dimension = arguments.front().dimension * arguments.back().dimension;
    flow(symbol->variable, pool.mul(deviations.front(), deviations.back()));
  }
  frame.dimensions->equate(symbol->value.dimension, dimension, stat.span);
}

}  // namespace hebb::sema
