// abort when rate(E.spike, tau = 1 s) > 100 Hz;   freeze EE;

#include <algorithm>

#include "compiler/sema/networks.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

struct Seen {
  std::string_view name;
  WatchedDef::What what;
};
constexpr Seen kSeen[] = {{"rate", WatchedDef::What::Rate}, {"mean", WatchedDef::What::Mean}, {"sum", WatchedDef::What::Sum},
                          {"min", WatchedDef::What::Min},   {"max", WatchedDef::What::Max}};

/// rate(E.spike, tau = 1 s, start = 0 Hz), mean(EE.w): a number that a run hands in.
Value watched(NetworkReading& reading, AbortDef& def, const ast::Expr& expr, const ast::Call& call, const Seen& seen) {
  Frame& frame = reading.frame;
  const bool rate = seen.what == WatchedDef::What::Rate;
  WatchedDef out{.what = seen.what, .column = {}, .over_ms = 1000, .start = 0, .stands_for = {}, .span = expr.span};
  if (call.arguments.empty() || call.arguments[0].name) {
    report(frame, DiagKind::WrongArguments, expr.span, cat(quoted(seen.name), " needs what to look at"))
        .help = rate ? "for example  rate(E.spike, tau = 1 s)" : cat("for example  ", seen.name, "(EE.w)");
    return poison();
  }
  const auto target = target_of(reading, *call.arguments[0].value);
  if (!target) return poison();
  if (target->event != rate) {
    report(frame, DiagKind::WrongArguments, call.arguments[0].value->span,
           cat(quoted(target->column), target->event ? " is an event" : " is no event"))
        .help = target->event ? cat("write  rate(", target->column, ", tau = 1 s)") : cat("write for example  mean(", target->column, ")");
    return poison();
  }
  out.column = target->column;
  const DimensionTerm hertz = plain() / time_dimension();
  for (size_t k = 1; k < call.arguments.size(); ++k) {
    const ast::Argument& argument = call.arguments[k];
    const std::string name = argument.name ? argument.name->text : "";
    if (!rate || (name != "tau" && name != "start")) {
      report(frame, DiagKind::WrongArguments, argument.value->span, cat(quoted(seen.name), " does not take this"))
          .help = "rate(E.spike, tau = 1 s, start = 0 Hz), mean(EE.w), sum(…), min(…), max(…)";
      return poison();
    }
    Restore phase(frame.phase, Phase::Constant);
    const Expectation expected{name == "tau" ? time_dimension() : hertz, cat("'", name, "'"), {}};
    const Value value = evaluate_as(frame, *argument.value, {}, &expected);
    if (value.poisoned) return poison();
    const auto number = constant_of(frame, value.only());
    if (!number || !(*number >= 0) || (name == "tau" && !(*number > 0))) {
      report(frame, DiagKind::BadPeriod, argument.value->span, cat(quoted(name), " is a number known before the run, ", name == "tau" ? "longer than 0" : "from 0 up"));
      return poison();
    }
    (name == "tau" ? out.over_ms : out.start) = *number;
  }
  Variable variable;
  variable.name = cat(seen.name, "(", out.column, ")");
  variable.kind = VarKind::Signal;
  variable.owner = reading.network.name;
  variable.span = expr.span;
  out.stands_for = reading.session.model.add(std::move(variable));
  const DimensionTerm dimension = rate ? hertz : target->dimension;
  reading.variable_dimensions[out.stands_for.value] = dimension;
  def.watched.push_back(out);
  return variable_value(frame, out.stands_for, dimension);
}

}  // namespace

std::optional<Target> target_of(NetworkReading& reading, const ast::Expr& expr) {
  Frame& frame = reading.frame;
  Model& model = reading.session.model;
  const auto* member = std::get_if<ast::Member>(&expr.node);
  const auto* object = member == nullptr ? nullptr : std::get_if<ast::NameRef>(&member->object->node);
  if (object == nullptr) {
    report(frame, DiagKind::WrongArguments, expr.span, "this is no variable of a population or projection").help =
        "name one, as in  E.spike  or  EE.w";
    return {};
  }
  const Symbol* symbol = find_symbol(frame, object->name);
  if (symbol == nullptr) {
    unknown_name(frame, object->name, member->object->span);
    return {};
  }
  if (symbol->kind == SymbolKind::Broken || (symbol->kind == SymbolKind::Projection && symbol->index < 0)) return {};
  Target out{.column = cat(object->name, '.', member->member.text), .event = false, .dimension = {}};
  std::vector<std::string> names;
  const auto find = [&](const std::vector<VarId>& variables, auto dimension) {
    for (const VarId id : variables) {
      names.push_back(model[id].name);
      if (model[id].name != member->member.text) continue;
      out.dimension = dimension(id);
      return true;
    }
    return false;
  };
  if (symbol->kind == SymbolKind::Population) {
    const Neuron* neuron = neuron_of_population(reading, symbol->index);
    if (neuron == nullptr) return {};
    out.event = emits(*neuron, member->member.text);
    for (const Emission& emission : neuron->emissions) names.push_back(emission.event);
    if (out.event || find(neuron->variables, [&](VarId id) { return population_dimension(reading, symbol->index, id); }))
      return out;
  } else if (symbol->kind == SymbolKind::Projection) {
    const Rule& rule = reading.network.projections[static_cast<size_t>(symbol->index)].rule;
    if (find(rule.variables, [&](VarId id) { return dimension_of(frame, id); })) return out;
  }
  Diagnostic& diag = report(frame, DiagKind::UnknownName, member->member.span,
                            cat(quoted(object->name), " has no variable ", quoted(member->member.text)));
  if (const auto near = did_you_mean(member->member.text, names)) diag.help = cat("did you mean ", quoted(*near), "?");
  return {};
}

void read_abort(NetworkReading& reading, const ast::AbortWhen& abort) {
  Frame& frame = reading.frame;
  AbortDef def{.condition = {}, .watched = {}, .text = source_text(frame, abort.condition->span), .span = abort.span};
  Restore hook(frame.watched, decltype(frame.watched)([&](const ast::Expr& expr, const ast::Call& call, const std::string& name) -> std::optional<Value> {
                 for (const Seen& seen : kSeen)
                   if (seen.name == name) return watched(reading, def, expr, call, seen);
                 return {};
               }));
  const Value value = evaluate_as(frame, *abort.condition, {}, nullptr);
  if (value.poisoned) return;
  if (def.watched.empty()) {
    report(frame, DiagKind::WrongArguments, abort.condition->span, "this condition looks at nothing in the network").help =
        "for example  abort when rate(E.spike, tau = 1 s) > 100 Hz;";
    return;
  }
  def.condition = value.only();
  reading.network.aborts.push_back(std::move(def));
}

void read_freeze(NetworkReading& reading, const ast::Freeze& freeze) {
  Frame& frame = reading.frame;
  const auto& parts = freeze.what.parts;
  const Symbol* symbol = find_symbol(frame, parts[0].text);
  if (symbol == nullptr) {
    unknown_name(frame, parts[0].text, parts[0].span);
    return;
  }
  if (symbol->kind == SymbolKind::Broken) return;
  if (symbol->kind != SymbolKind::Projection) {
    report(frame, DiagKind::WrongKindOfName, parts[0].span,
           cat(quoted(parts[0].text), " is ", describe(symbol->kind), ", and weights of projections are frozen"));
    return;
  }
  if (symbol->index < 0) return;
  ProjectionDef& projection = reading.network.projections[static_cast<size_t>(symbol->index)];
  const Model& model = reading.session.model;
  const bool weight = parts.size() == 1 || (parts.size() == 2 && projection.rule.weight.valid() &&
                                            model[projection.rule.weight].name == parts[1].text);
  if (!weight) {
    report(frame, DiagKind::WrongKindOfName, freeze.what.span, "only the weight of a projection can be frozen").help =
        cat("write  freeze ", parts[0].text, ";");
    return;
  }
  projection.frozen = true;
}

}  // namespace hebb::sema
