// Rules and neurons: which items they have, in which order they are read, what rules promise.

#include <algorithm>

#include "compiler/sema/dynamics.h"
#include "compiler/sema/lints.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

void collect_event_members(Frame& frame, const ast::On& on) {
  for (const ast::Path& path : on.event.events) {
    if (path.parts.size() == 2) frame.event_members.insert(cat(path.parts[0].text, '.', path.parts[1].text));
  }
}

void declare_event(Reading& reading, const ast::Name& name, EventKind kind) {
  Symbol symbol{.kind = SymbolKind::Event};
  symbol.event = event_of(reading.dynamics,
                          {.kind = kind, .name = name.text, .period = {}, .port = {}, .span = name.span});
  declare(reading.frame, reading.scope, name, std::move(symbol));
}

void declare_port(Reading& reading, const ast::Port& port) {
  const bool receive = port.kind == ast::PortKind::Receive;
  Symbol& symbol = add_variable(reading, port.name, receive ? VarKind::Receive : VarKind::Input,
                                receive ? SymbolKind::Receive : SymbolKind::Input, {});
  if (symbol.span != port.name.span) return;
  if (receive) {
    symbol.event = event_of(reading.dynamics, {.kind = EventKind::Arrival,
                                               .name = port.name.text,
                                               .period = {},
                                               .port = symbol.variable,
                                               .span = port.span});
  }
  if (!port.unit) return;
  if (const auto unit = read_unit(reading.frame, *port.unit)) {
    reading.dimensions.equate(symbol.value.dimension, unit->dimension, port.unit->span);
  }
}

void declare_weight(Reading& reading, const ast::Weight& weight) {
  const ast::Declaration& declaration = weight.declaration;
  if (reading.rule->weight.valid()) {
    report(reading.frame, DiagKind::DuplicateName, weight.span, "a rule has one weight")
        .labels.push_back({reading.frame.session.model[reading.rule->weight].span, "the first one"});
    return;
  }
  if (!declaration.shape.empty()) {
    report(reading.frame, DiagKind::ShapeMismatch, declaration.span,
           "the weight is one number: the efficacy of this synapse");
    return;
  }
  declare_variable(reading, declaration, VarKind::Weight, SymbolKind::Weight);
  const Symbol* symbol = find_symbol(reading.frame, declaration.name.text);
  if (symbol != nullptr && symbol->kind == SymbolKind::Weight) reading.rule->weight = symbol->variable;
}

std::optional<ReduceFunction> reduce_function(std::string_view name) {
  if (name == "sum") return ReduceFunction::Sum;
  if (name == "mean") return ReduceFunction::Mean;
  if (name == "min") return ReduceFunction::Min;
  if (name == "max") return ReduceFunction::Max;
  if (name == "count") return ReduceFunction::Count;
  if (name == "cumsum") return ReduceFunction::CumSum;
  return {};
}

void resolve_reduce(Reading& reading, const ast::Reduce& reduce) {
  Frame& frame = reading.frame;
  Symbol* symbol = find_symbol(frame, reduce.name.text);
  if (symbol == nullptr || symbol->kind != SymbolKind::Reduce) return;
  const auto function = reduce_function(reduce.function.text);
  if (!function) {
    Diagnostic& diag = report(frame, DiagKind::UnknownFunction, reduce.function.span,
                              cat("there is no sum over synapses called ", quoted(reduce.function.text)));
    diag.help = "a 'reduce' is sum, mean, min, max, count or cumsum";
    *symbol = Symbol{.kind = SymbolKind::Broken, .span = symbol->span, .value = poison()};
    return;
  }
  Restore phase(frame.phase, Phase::Continuous);
  Restore target(frame.target, symbol->variable);
  const Value value = evaluate_as(frame, *reduce.argument, {}, nullptr);
  if (value.poisoned || reject_after(frame, value, reduce.argument->span, "a sum over synapses")) return;
  if (value.drawn) {
    report(frame, DiagKind::MisplacedDraw, reduce.argument->span,
           "a draw has no place inside a sum over synapses");
    return;
  }
  const DimensionTerm dimension = *function == ReduceFunction::Count ? plain() : value.dimension;
  frame.dimensions->equate(symbol->value.dimension, dimension, reduce.span);
  reading.rule->reductions.push_back({.variable = symbol->variable,
                                      .function = *function,
                                      .per = reduce.per,
                                      .argument = value.only(),
                                      .span = reduce.span});
}

void resolve_emit(Reading& reading, const ast::Emit& emit) {
  Frame& frame = reading.frame;
  const Symbol* symbol = find_symbol(frame, emit.event.text);
  if (symbol == nullptr || symbol->kind != SymbolKind::Event) return;
  {
    Restore phase(frame.phase, Phase::Continuous);
    Restore draws(frame.draws_allowed, true);
    const Value condition = evaluate_as(frame, *emit.condition, {}, nullptr);
    const bool fine = !condition.poisoned && !reject_after(frame, condition, emit.condition->span, "a threshold");
    if (fine && expect_plain(frame, condition, *emit.condition, "when")) {
      reading.neuron->emissions.push_back(
          {.event = emit.event.text, .condition = condition.only(), .span = emit.span});
    }
  }
  resolve_handler(reading, emit.items, {symbol->event});
}

void resolve_refractory(Reading& reading, const ast::Refractory& refractory) {
  Frame& frame = reading.frame;
  Restore phase(frame.phase, Phase::Initial);
  const Expectation time{time_dimension(), "a refractory time", {}};
  const Value duration = evaluate_as(frame, *refractory.duration, {}, &time);
  if (reading.neuron->refractory.valid()) {
    report(frame, DiagKind::DuplicateName, refractory.span, "a neuron has one refractory time");
    return;
  }
  if (!duration.poisoned) reading.neuron->refractory = duration.only();
  for (const ast::Name& name : refractory.held) {
    const Symbol* symbol = find_symbol(frame, name.text);
    if (symbol == nullptr) {
      unknown_name(frame, name.text, name.span);
    } else if (symbol->kind == SymbolKind::State) {
      reading.neuron->held.push_back(symbol->variable);
    } else if (symbol->kind != SymbolKind::Broken) {
      report(frame, DiagKind::NotAState, name.span,
             cat(quoted(name.text), " is ", describe(symbol->kind), " and has no equation to hold"));
    }
  }
}

/// An equation declares its variable when nothing else does.
void declare_by_equation(Reading& reading, const ast::Ode& ode) {
  if (reading.scope.names.contains(ode.name.text)) return;
  add_variable(reading, ode.name, VarKind::State, SymbolKind::State, {});
}

/// The passes over the items of a rule or neuron. `own` reads what only one of them has.
template <class Items, class Declare, class Resolve, class Last>
void read_items(Reading& reading, const Items& items, const Declare& declare_own, const Resolve& resolve_own,
                const Last& resolve_last) {
  const auto each = [&](const auto& visitor) {
    for (const auto& item : items) std::visit(visitor, item);
  };
  each(Overload{[&](const ast::Const& node) { declare_constant(reading, node); },
                [&](const ast::On& node) { collect_event_members(reading.frame, node); },
                [](const auto&) {}});
  const auto variables = [&](const std::vector<ast::Declaration>& list, VarKind kind, SymbolKind symbol) {
    for (const ast::Declaration& declaration : list) declare_variable(reading, declaration, kind, symbol);
  };
  each(Overload{
      [&](const ast::Param& node) { variables(node.declarations, VarKind::Param, SymbolKind::Parameter); },
      [&](const ast::State& node) { variables(node.declarations, VarKind::State, SymbolKind::State); },
      [&](const ast::Signal& node) { declare_signal(reading, node); },
      [&](const ast::EventPort& node) { declare_event(reading, node.name, EventKind::Port); },
      [&](const ast::Let& node) { declare_let(reading, node); },
      [&](const ast::Stat& node) { declare_stat(reading, node); },
      [&](const auto& node) { declare_own(node); }});
  each(Overload{[&](const ast::Ode& node) { declare_by_equation(reading, node); }, [](const auto&) {}});
  const auto values = [&](const std::vector<ast::Declaration>& list) {
    for (const ast::Declaration& declaration : list) resolve_declaration(reading, declaration);
  };
  each(Overload{[&](const ast::Param& node) { values(node.declarations); },
                [&](const ast::State& node) { values(node.declarations); },
                [&](const ast::Weight& node) { resolve_declaration(reading, node.declaration); },
                [&](const ast::Signal& node) { resolve_signal(reading, node); }, [](const auto&) {}});
  each(Overload{[&](const ast::Let& node) { resolve_let(reading, node); },
                [&](const ast::Stat& node) { resolve_stat(reading, node); },
                [&](const auto& node) { resolve_own(node); }});
  each(Overload{[&](const ast::Const& node) {
                  force(reading.frame, node.name.text, reading.scope.names[node.name.text]);
                },
                [&](const ast::Ode& node) { resolve_ode(reading, node); },
                [&](const ast::On& node) { resolve_on(reading, node); },
                [&](const auto& node) { resolve_last(node); }});
}

Contract read_contract(Session& session, const ast::RuleDecl& decl) {
  if (!decl.contract) return Contract::None;
  const std::string& text = decl.contract->text;
  if (text == "local") return Contract::Local;
  if (text == "three_factor") return Contract::ThreeFactor;
  if (text == "nonlocal") return Contract::Nonlocal;
  Diagnostic& diag = session.diags.report(DiagKind::UnknownContract, decl.contract->span,
                                          cat("a rule cannot promise to be ", quoted(text)));
  const std::vector<std::string> known_contracts = {"local", "three_factor", "nonlocal"};
  const auto near = did_you_mean(text, known_contracts);
  diag.help =
      near ? cat("did you mean ", quoted(*near), "?") : "promises are local, three_factor and nonlocal";
  return Contract::None;
}

/// local: pre, post and the synapse's own variables. three_factor: scalar signals and events too.
/// nonlocal: also sums over synapses.
void check_contract(Reading& reading, const ast::RuleDecl& decl) {
  const Rule& rule = *reading.rule;
  Diagnostics& diags = reading.frame.session.diags;
  if (rule.contract == Contract::None || rule.contract == Contract::Nonlocal) return;
  const std::string promise = rule.contract == Contract::Local ? "local" : "three_factor";
  for (const Reduction& reduction : rule.reductions) {
    diags
        .report(
            DiagKind::BrokenLocality, reduction.span,
            cat("rule ", rule.name, " promises to be ", promise, ", but this sum looks at other synapses"))
        .help = cat("write  rule ", rule.name, " : nonlocal , or drop the promise");
    return;
  }
  for (const ast::RuleItem& item : decl.items) {
    const auto* signal = std::get_if<ast::Signal>(&item);
    const auto* event = std::get_if<ast::EventPort>(&item);
    if (signal == nullptr && event == nullptr) continue;
    const bool local = rule.contract == Contract::Local;
    const bool array = signal != nullptr && !signal->shape.empty();
    if (!local && !array) continue;
    const std::string& name = signal != nullptr ? signal->name.text : event->name.text;
    diags
        .report(DiagKind::SignalInLocalRule, signal != nullptr ? signal->span : event->span,
                local ? cat("rule ", rule.name, " promises to be local, but ", quoted(name),
                            " comes from elsewhere")
                      : cat("rule ", rule.name, " promises to be three_factor, but ", quoted(name),
                            " is an array: more than one factor"))
        .help = local ? cat("write  rule ", rule.name, " : three_factor , or drop the promise")
                      : cat("write  rule ", rule.name, " : nonlocal , or drop the promise");
    return;
  }
}

/// Compiled rules, their headers and protocols call the step so.
void check_step_name(Reading& reading) {
  const auto found = reading.scope.names.find("dt");
  if (found == reading.scope.names.end()) return;
  report(reading.frame, DiagKind::DuplicateName, found->second.span, "'dt' is the step of a run; nothing in a rule can have its name")
      .help = "a rule does not see the step; for a time of its own write for example  tau  or  delta_t";
}

}  // namespace

void read_rule(Reading& reading, const ast::RuleDecl& decl) {
  Session& session = reading.frame.session;
  reading.rule->contract = read_contract(session, decl);
  const auto nothing = [](const auto&) {};
  read_items(reading, decl.items,
             Overload{[&](const ast::Weight& node) { declare_weight(reading, node); },
                      [&](const ast::Reduce& node) {
                        add_variable(reading, node.name, VarKind::Reduce, SymbolKind::Reduce, {});
                      },
                      nothing},
             Overload{[&](const ast::Reduce& node) { resolve_reduce(reading, node); }, nothing}, nothing);
  finish(reading);
  check_step_name(reading);
  check_contract(reading, decl);
}

void read_neuron(Reading& reading, const ast::NeuronDecl& decl) {
  const auto nothing = [](const auto&) {};
  read_items(reading, decl.items,
             Overload{[&](const ast::Port& node) { declare_port(reading, node); },
                      [&](const ast::Emit& node) { declare_event(reading, node.event, EventKind::OwnEvent); },
                      nothing},
             nothing,
             Overload{[&](const ast::Emit& node) { resolve_emit(reading, node); },
                      [&](const ast::Refractory& node) { resolve_refractory(reading, node); }, nothing});
  finish(reading);
}

}  // namespace hebb::sema
