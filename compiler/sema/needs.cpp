// What the rule of a projection needs of its neurons and of the network: bind …; and whether all of it is there.

#include <algorithm>

#include "compiler/sema/projections.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// "trial_end" of an event of the network, "T.trial_end" of what a population of one neuron emits.
std::optional<std::string> event_source(ProjectionReading& p, const ast::Expr& value) {
  Frame& frame = p.frame();
  if (const auto* name = std::get_if<ast::NameRef>(&value.node)) {
    const Symbol* symbol = find_symbol(frame, name->name);
    if (symbol == nullptr || symbol->kind != SymbolKind::Event) return {};
    return name->name;
  }
  const auto* member = std::get_if<ast::Member>(&value.node);
  const auto* object = member == nullptr ? nullptr : std::get_if<ast::NameRef>(&member->object->node);
  Symbol* symbol = object == nullptr ? nullptr : find_symbol(frame, object->name);
  if (symbol == nullptr || symbol->kind != SymbolKind::Population) return {};
  const Neuron* neuron = neuron_of_population(p.network, symbol->index);
  const bool single = p.network.network.populations[static_cast<size_t>(symbol->index)].size == 1;
  if (neuron == nullptr || !single || !emits(*neuron, member->member.text)) return {};
  symbol->used = true;
  return cat(object->name, '.', member->member.text);
}

/// While a bind is read, names are the network's: signals of the rule are what is being bound.
class SignalsHidden {
 public:
  explicit SignalsHidden(ProjectionReading& p) {
    const auto of_rule = [&](const Symbol& symbol) {
      const auto& own = p.def.rule.variables;
      return symbol.variable.valid() && p.session().model[symbol.variable].kind == VarKind::Signal &&
             std::find(own.begin(), own.end(), symbol.variable) != own.end();
    };
    for (Scope* scope = p.frame().scope; scope != nullptr; scope = scope->parent) {
      std::vector<std::string> names;
      for (const auto& [name, symbol] : scope->names)
        if (of_rule(symbol)) names.push_back(name);
      for (const std::string& name : names) hidden_.emplace_back(scope, scope->names.extract(name));
    }
  }
  ~SignalsHidden() {
    for (auto& [scope, symbol] : hidden_) scope->names.insert(std::move(symbol));
  }
  SignalsHidden(const SignalsHidden&) = delete;
  SignalsHidden& operator=(const SignalsHidden&) = delete;

 private:
  std::vector<std::pair<Scope*, decltype(Scope::names)::node_type>> hidden_;
};

}  // namespace

void read_bind(ProjectionReading& p, const ast::Bind& bind) {
  Frame& frame = p.frame();
  Model& model = p.session().model;
  Rule& rule = p.def.rule;
  const std::string text = joined_name(bind.target);
  const auto& parts = bind.target.parts;
  const bool of_neuron = parts.size() == 2 && (parts[0].text == "pre" || parts[0].text == "post");
  for (Event& event : rule.events) {
    if (of_neuron || event.kind != EventKind::Port || event.name != text) continue;
    const std::optional<std::string> source = event_source(p, *bind.value);
    if (!source) {
      report(frame, DiagKind::NotAnEvent, bind.value->span,
             cat(quoted(source_text(frame, bind.value->span)), " is not an event of the network"))
          .help =
          "declare it in the network:  event trial_end;  or name what a population of one neuron emits";
    } else {
      event.name = *source;
    }
    p.bound_events.insert(event.name);
    return;
  }
  VarId target;
  std::vector<std::string> names;
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    const bool pre = variable.kind == VarKind::PreValue, post = variable.kind == VarKind::PostValue;
    if (!pre && !post && variable.kind != VarKind::Signal) continue;
    const std::string name = pre    ? cat("pre.", variable.name)
                             : post ? cat("post.", variable.name)
                                    : variable.name;
    names.push_back(name);
    if (name == text) target = id;
  }
  if (!target.valid()) {
    Diagnostic& diag = report(frame, DiagKind::UnknownSetting, bind.target.span,
                              cat(rule.name, " needs nothing called ", quoted(text)));
    const auto near = did_you_mean(text, names);
    diag.help = near            ? cat("did you mean ", quoted(*near), "?")
                : names.empty() ? "it needs nothing that could be bound"
                                : cat("it needs ", listed(names));
    return;
  }
  if (!p.bound.insert(target.value).second) {
    report(frame, DiagKind::DuplicateName, bind.span, cat(quoted(text), " is bound twice"));
    return;
  }
  const Expectation expected{dimension_of(frame, target), text, {}};
  Restore in_bind(p.in_bind, true);
  const SignalsHidden hidden(p);
  const Value value = evaluate(frame, *bind.value, &expected);
  if (value.poisoned) return;
  if (value.shape != model[target].shape) {
    report(frame, DiagKind::ShapeMismatch, bind.value->span,
           cat("this has shape ", to_text(value.shape), ", but ", quoted(text), " is ",
               to_text(model[target].shape)));
    return;
  }
  if (!value.scalar()) {
    report(frame, DiagKind::NotSupportedYet, bind.span, "not supported yet: binding an array");
    return;
  }
  p.def.binds.push_back({.target = target, .value = value.only(), .span = bind.span});
}

namespace {

std::string dimension_phrase(const std::optional<Dimension>& dimension) {
  return dimension ? cat(" (", with_article(hebb::describe(*dimension)), ")") : std::string();
}

/// What the rule needs of one neuron, against what the neuron has.
void check_requirement(ProjectionReading& p, VarId id) {
  Model& model = p.session().model;
  const Variable needed = model[id];
  const bool pre = needed.kind == VarKind::PreValue;
  const Neuron* neuron = p.neuron(pre);
  if (neuron == nullptr || p.bound.contains(id.value)) return;
  const std::string name = cat(pre ? "pre." : "post.", needed.name);
  const Span span = p.decl.rule.empty() ? p.decl.span : p.decl.rule.front().span;
  VarId variable;
  const Variable* found = readable_variable(model, *neuron, needed.name, &variable);
  if (found != nullptr) {
    const DimensionTerm has = population_dimension(p.network, pre ? p.def.pre : p.def.post, variable);
    if (!found->shape.scalar()) {
      report(p.frame(), DiagKind::ShapeMismatch, span,
             cat(p.def.rule.name, " needs ", name, ", which is an array in ", neuron->name));
    } else if (!p.network.dimensions.equate(dimension_of(p.frame(), id), has, span)) {
      report(p.frame(), DiagKind::DimensionMismatch, span,
             cat(p.def.rule.name, " needs ", name, " as ",
                 with_article(describe(p.frame(), dimension_of(p.frame(), id))), ", but ", neuron->name, '.',
                 needed.name, " is ", with_article(describe(p.frame(), has))))
          .labels.push_back({needed.span, "needed here"});
    }
    return;
  }
  if (emits(*neuron, needed.name)) {
    report(p.frame(), DiagKind::MissingNeuronVariable, span,
           cat(p.def.rule.name, " reads ", name, " as a value, but it is an event of ", neuron->name))
        .help = cat("act on it:  on ", name, " { … }");
    return;
  }
  std::string has_instead, help;
  for (const VarId other : neuron->variables) {
    const Variable& v = model[other];
    const bool readable = v.kind == VarKind::State || v.kind == VarKind::Let || v.kind == VarKind::Input;
    if (!readable || !v.shape.scalar() || v.dimension != needed.dimension) continue;
    has_instead = cat(", but it has ", v.name, dimension_phrase(v.dimension));
    help = cat("add  bind ", name, " = ", pre ? "pre." : "post.", v.name, ";");
    break;
  }
  Diagnostic& diag = report(p.frame(), DiagKind::MissingNeuronVariable, span,
                            cat(p.def.rule.name, " needs ", name, dimension_phrase(needed.dimension), "; ",
                                neuron->name, " has no ", needed.name, has_instead));
  diag.labels.push_back({needed.span, "needed here"});
  diag.help = help;
}

}  // namespace

void check_needs(ProjectionReading& p) {
  Frame& frame = p.frame();
  Model& model = p.session().model;
  const Rule& rule = p.def.rule;
  const Span span = p.decl.rule.empty() ? p.decl.span : p.decl.rule.front().span;
  const std::vector<VarId> variables = rule.variables;
  for (const VarId id : variables) {
    const Variable& variable = model[id];
    if (variable.kind == VarKind::PreValue || variable.kind == VarKind::PostValue) check_requirement(p, id);
    if (variable.kind != VarKind::Signal || p.bound.contains(id.value) || !variable.value.empty()) continue;
    const auto same = p.network.scope.names.find(variable.name);
    Diagnostic& diag = report(frame, DiagKind::UnboundSignal, span,
                              cat(rule.name, " needs a value for ", quoted(variable.name)));
    diag.labels.push_back({variable.span, "needed here"});
    const bool provided = same != p.network.scope.names.end() && same->second.kind == SymbolKind::Signal;
    diag.help = cat("add  bind ", variable.name, " = ", provided ? variable.name : std::string("…"), ";");
  }
  for (const Event& event : rule.events) {
    if (event.kind == EventKind::Port) {
      const auto& events = p.network.network.events;
      if (p.bound_events.contains(event.name) || std::ranges::find(events, event.name) != events.end())
        continue;
      Diagnostic& diag = report(
          frame, DiagKind::UnboundSignal, span,
          cat(rule.name, " waits for the event ", quoted(event.name), ", which the network does not have"));
      diag.labels.push_back({event.span, "needed here"});
      diag.help = cat("add  event ", event.name, ";  to the network");
      continue;
    }
    const bool pre = event.kind == EventKind::PreEvent;
    if (!pre && event.kind != EventKind::PostEvent) continue;
    const Neuron* neuron = p.neuron(pre);
    if (neuron == nullptr || emits(*neuron, event.name)) continue;
    const std::string name = cat(pre ? "pre." : "post.", event.name);
    std::vector<std::string> emitted;
    for (const Emission& emission : neuron->emissions) emitted.push_back(emission.event);
    Diagnostic& diag = report(frame, DiagKind::MissingNeuronVariable, span,
                              cat(rule.name, " needs ", name, " (an event); ", neuron->name,
                                  emitted.empty() ? " emits nothing" : cat(" emits ", listed(emitted))));
    diag.labels.push_back({event.span, "needed here"});
  }
}

}  // namespace hebb::sema
