// Projections: the rule's own copy, where it starts, what it does to its neurons.

#include "compiler/sema/projections.h"

#include <algorithm>

#include "compiler/sema/connect.h"
#include "compiler/sema/overrides.h"
#include "compiler/support/text.h"
#include "compiler/transform/transform.h"

namespace hebb::sema {
namespace {

Rule static_weight(Session& session, const ast::Projection& decl) {
  Rule rule;
  rule.name = decl.name.text;
  rule.span = decl.span;
  Variable weight;
  weight.name = "w";
  weight.kind = VarKind::Weight;
  weight.owner = decl.name.text;
  weight.span = decl.name.span;
  rule.weight = session.model.add(std::move(weight));
  rule.variables = {rule.weight};
  return rule;
}

/// Of two that say the same thing, one would be lost.
void check_given_once(Frame& frame, std::map<std::string, Span>& seen, std::string what, Span span) {
  const auto [first, is_new] = seen.try_emplace(std::move(what), span);
  if (is_new) return;
  report(frame, DiagKind::DuplicateName, span, cat(quoted(first->first), " is given twice"))
      .labels.push_back({first->second, "first here"});
}

void check_given_once(Frame& frame, const ast::Projection& decl) {
  std::map<std::string, Span> seen;
  for (const ast::ProjectionItem& item : decl.items) {
    const auto once = [&](std::string what, Span span) { check_given_once(frame, seen, std::move(what), span); };
    if (const auto* connect = std::get_if<ast::Connect>(&item)) once("connect", connect->span);
    if (const auto* init = std::get_if<ast::Init>(&item)) once(cat("init ", init->name.text), init->span);
    if (const auto* delay = std::get_if<ast::Delay>(&item)) once(cat("delay ", delay->name.text), delay->span);
  }
}

bool has_parameter(const Model& model, const Rule& rule, const std::string& name) {
  return std::ranges::any_of(rule.variables, [&](VarId id) { return model[id].kind == VarKind::Param && model[id].name == name; });
}

/// What --set gives to a projection without a rule, or to one with several that have no such parameter.
void report_unused_overrides(ProjectionReading& p, const std::vector<Rule>& parts) {
  const auto given = p.session().member_overrides.find(&p.decl);
  if (given == p.session().member_overrides.end() || parts.size() == 1) return;
  for (const ast::Setting& setting : given->second) {
    const std::string name = joined_name(setting.path);
    if (std::ranges::any_of(parts, [&](const Rule& part) { return has_parameter(p.session().model, part, name); })) continue;
    p.session().diags.report(DiagKind::UnknownOverride, {},
                             cat("--set …", p.def.name, ".", name, ": ", parts.empty() ? "the projection has no rule" : "none of its rules has this parameter"));
  }
}

/// Settings are kept apart from the rule: an experiment may set the parameter again, or make it an axis.
void read_rule_settings(ProjectionReading& p, const ast::Instance& instance, const Rule& part) {
  Frame& frame = p.frame();
  Model& model = p.session().model;
  std::map<std::string, Span> seen;
  const bool only = p.decl.rule.size() == 1;
  const auto takes = [&](const std::string& name) { return only || has_parameter(model, part, name); };
  for (const ast::Setting& setting : effective_settings(p.session(), &p.decl, instance.settings, takes)) {
    check_given_once(frame, seen, joined_name(setting.path), setting.span);
    const VarId id = setting_target(p.session(), part, setting, false);
    if (!id.valid()) continue;
    Restore phase(frame.phase, Phase::Constant);
    Restore draws(frame.draws_allowed, setting.drawn);
    const Expectation expected{dimension_of(frame, id), joined_name(setting.path), {}};
    Value value = evaluate(frame, *setting.value, &expected);
    if (value.poisoned) continue;
    if (setting.drawn && !value.drawn) {
      report(frame, DiagKind::MisplacedDraw, setting.value->span, "nothing here is drawn").help =
          cat("write  ", joined_name(setting.path), " = …  for a value");
      continue;
    }
    const Shape& shape = model[id].shape;
    std::vector<ExprId> elements = value.elements;
    if (value.scalar()) {
      elements.assign(static_cast<size_t>(shape.size()), value.only());
      for (size_t i = 1; value.drawn && i < elements.size(); ++i)
        elements[i] = evaluate(frame, *setting.value).only();
    } else if (value.shape != shape) {
      report(frame, DiagKind::ShapeMismatch, setting.value->span,
             cat("this has shape ", to_text(value.shape), ", but ", quoted(model[id].name), " is ",
                 to_text(shape)));
      continue;
    }
    p.def.settings.push_back({.variable = id,
                              .value = std::move(elements),
                              .drawn = value.drawn,
                              .per_neuron = false,
                              .span = setting.span});
  }
}

bool read_rule_of_projection(ProjectionReading& p) {
  Session& session = p.session();
  if (p.decl.rule.empty()) {
    report_unused_overrides(p, {});
    p.def.rule = static_weight(session, p.decl);
    return true;
  }
  std::vector<Rule> parts;
  std::vector<std::string> names;
  for (const ast::Instance& instance : p.decl.rule) {
    std::optional<Rule> part = rule_part(session, *p.frame().file, instance);
    if (!part) continue;
    read_rule_settings(p, instance, *part);
    names.push_back(part->name);
    parts.push_back(std::move(*part));
  }
  if (parts.size() != p.decl.rule.size()) return false;
  report_unused_overrides(p, parts);
  p.def.plastic = true;
  if (parts.size() == 1) {
    p.def.rule = std::move(parts.front());
    return true;
  }
  p.def.rule = compose(session.model, joined(names, " + "), std::move(parts));
  const size_t errors = session.diags.errors();
  report_conflicts(session, p.def.rule);
  return session.diags.errors() == errors;
}

/// The rule's variables by name; pre.x and post.x are looked up in the neurons.
void open_rule_scope(ProjectionReading& p) {
  Frame& frame = p.frame();
  const Model& model = p.session().model;
  for (const VarId id : p.def.rule.variables) {
    const Variable& variable = model[id];
    SymbolKind kind = SymbolKind::State;
    switch (variable.kind) {
      case VarKind::Param:
        kind = SymbolKind::Parameter;
        break;
      case VarKind::Weight:
        kind = SymbolKind::Weight;
        break;
      case VarKind::Let:
      case VarKind::Draw:
        kind = SymbolKind::Let;
        break;
      case VarKind::Signal:
        kind = SymbolKind::Signal;
        break;
      case VarKind::Reduce:
        kind = SymbolKind::Reduce;
        break;
      case VarKind::State:
        break;
      case VarKind::PreValue:
      case VarKind::PostValue:
      case VarKind::Input:
      case VarKind::Receive:
      case VarKind::Population:
        continue;
    }
    Symbol symbol{.kind = kind, .span = variable.span};
    symbol.variable = id;
    symbol.value = variable_value(frame, id, dimension_of(frame, id));
    p.scope.names.emplace(variable.name, std::move(symbol));
  }
}

Value read_neuron_member(ProjectionReading& p, Frame& frame, bool pre, const ast::Name& member, Span span) {
  const Neuron* neuron = p.neuron(pre);
  if (neuron == nullptr) return poison();
  const bool renamed = p.in_bind && std::ranges::any_of(p.decl.items, [&](const auto& item) {
    const auto* bind = std::get_if<ast::Bind>(&item);
    return bind != nullptr && joined_name(bind->target) == cat(pre ? "pre." : "post.", member.text);
  });
  for (const uint32_t id : p.bound) {
    if (p.in_bind) break;
    const Variable& bound = p.session().model[VarId{id}];
    const bool same =
        bound.kind == (pre ? VarKind::PreValue : VarKind::PostValue) && bound.name == member.text;
    if (same) return variable_value(frame, VarId{id}, dimension_of(frame, VarId{id}));
  }
  if (frame.phase == Phase::Constant || frame.phase == Phase::Initial) {
    report(frame, DiagKind::NotConstant, span,
           cat(quoted(source_text(frame, span)), " has no value before the run starts"));
    return poison();
  }
  Model& model = p.session().model;
  VarId variable;
  const Variable* found = readable_variable(model, *neuron, member.text, &variable);
  if (found == nullptr) {
    const bool event = emits(*neuron, member.text);
    Diagnostic& diag =
        report(frame, event ? DiagKind::TrainOutsideEquation : DiagKind::MissingNeuronVariable, span,
               event ? cat(quoted(source_text(frame, span)), " is an event: it has no value here")
                     : cat(neuron->name, " has no ", quoted(member.text)));
    std::vector<std::string> names;
    for (const VarId id : neuron->variables) names.push_back(model[id].name);
    if (const auto near = did_you_mean(member.text, names))
      diag.help = cat("did you mean ", quoted(*near), "?");
    else if (!event)
      diag.help = names.empty() ? cat(neuron->name, " has no variables") : cat("it has ", listed(names));
    return poison();
  }
  if (!found->shape.scalar()) {
    report(
        frame, DiagKind::ShapeMismatch, span,
        cat(quoted(source_text(frame, span)), " is an array: a synapse sees single values of its neurons"));
    return poison();
  }
  const VarId id = requirement(model, p.def.rule, pre, {renamed ? cat(member.text, " of ", neuron->name) : member.text, span});
  if (renamed) {
    model[id].member = member.text;
    p.bound.insert(id.value);  // it is there
  }
  frame.variable_dimensions->try_emplace(
      id.value, population_dimension(p.network, pre ? p.def.pre : p.def.post, variable));
  return variable_value(frame, id, dimension_of(frame, id));
}

void read_init(ProjectionReading& p, const ast::Init& init) {
  Frame& frame = p.frame();
  Model& model = p.session().model;
  const auto found = p.scope.names.find(init.name.text);
  const bool fits = found != p.scope.names.end() &&
                    (found->second.kind == SymbolKind::Weight || found->second.kind == SymbolKind::State);
  if (!fits) {
    Diagnostic& diag = report(frame, DiagKind::UnknownSetting, init.name.span,
                              cat(p.def.rule.name, " has no weight or state ", quoted(init.name.text)));
    std::vector<std::string> names;
    for (const auto& [name, symbol] : p.scope.names) {
      if (symbol.kind == SymbolKind::Weight || symbol.kind == SymbolKind::State) names.push_back(name);
    }
    std::ranges::sort(names);
    const auto near = did_you_mean(init.name.text, names);
    diag.help = near            ? cat("did you mean ", quoted(*near), "?")
                : names.empty() ? "it has neither"
                                : cat("it has ", listed(names));
    return;
  }
  const VarId id = found->second.variable;
  // init w = file.w;  one number for each synapse, from the file of the connections
  const auto* member = std::get_if<ast::Member>(&init.value->node);
  const auto* object = member == nullptr ? nullptr : std::get_if<ast::NameRef>(&member->object->node);
  if (object != nullptr && object->name == "file" && p.def.connect == ConnectKind::File && !init.drawn) {
    if (!model[id].shape.scalar() || model[id].locus == Locus::Shared) {
      report(frame, DiagKind::ShapeMismatch, init.value->span, cat(quoted(init.name.text), " is no number of a synapse"));
      return;
    }
    p.def.inits.push_back({.variable = id, .value = {}, .drawn = false, .file_column = member->member.text, .span = init.span});
    return;
  }
  Restore phase(frame.phase, Phase::Initial);
  Restore draws(frame.draws_allowed, init.drawn);
  const Expectation expected{dimension_of(frame, id), init.name.text, {}};
  const Value value = evaluate(frame, *init.value, &expected);
  if (value.poisoned) return;
  if (init.drawn && !value.drawn) {
    report(frame, DiagKind::MisplacedDraw, init.value->span, "nothing here is drawn").help =
        cat("write  init ", init.name.text, " = …  for a value");
    return;
  }
  const auto& populations = p.network.network.populations;
  const int64_t n_pre = p.def.pre < 0 ? 0 : populations[static_cast<size_t>(p.def.pre)].size;
  const int64_t n_post = p.def.post < 0 ? 0 : populations[static_cast<size_t>(p.def.post)].size;
  const auto& extents = value.shape.extents;
  if (p.def.connect != ConnectKind::All && !value.scalar() && model[id].shape.scalar()) {
    report(frame, DiagKind::NotSupportedYet, init.value->span, "not supported yet: a matrix of values for synapses that are not all there")
        .help = "write one number, draw:  init w ~ uniform(0, 1);  or read them:  connect file(\"edges.csv\"); init w = file.w;";
    return;
  }
  const bool matrix = extents == std::vector<int64_t>{n_pre, n_post};
  const bool line = extents == std::vector<int64_t>{n_pre * n_post} && (n_pre == 1 || n_post == 1);
  const bool whole = model[id].shape.scalar() && (value.scalar() || matrix || line);
  if (!whole && value.shape != model[id].shape && n_pre > 0 && n_post > 0) {
    report(frame, DiagKind::ShapeMismatch, init.value->span,
           cat("this has shape ", to_text(value.shape), ", but ", quoted(init.name.text),
               " is one number for each of ", n_pre, " x ", n_post, " synapses"))
        .help = cat("write one number, or [", n_pre, ", ", n_post, "] numbers: pre first");
    return;
  }
  const Variable& variable = model[id];
  const bool known = !variable.low.valid() && !variable.high.valid();
  for (const ExprId element : value.elements) {
    const auto number = known ? constant_of(frame, element) : std::nullopt;
    if (!number || (*number >= variable.bounds.low && *number <= variable.bounds.high)) continue;
    report(frame, DiagKind::BadBounds, init.value->span,
           cat(quoted(init.name.text), " cannot start at ", quoted(source_text(frame, init.value->span)), ": it is outside of its bounds"))
        .labels.push_back({variable.span, "these"});
    return;
  }
  p.def.inits.push_back({.variable = id, .value = value.elements, .drawn = value.drawn, .file_column = {}, .span = init.span});
}

/// The line that a projection lacks, for the first port of its target.
std::string missing_drive(const ProjectionReading& p) {
  if (const Neuron* const post = p.neuron(false))
    for (const VarId id : post->variables) {
      const Variable& port = p.session().model[id];
      if (port.kind == VarKind::Input) return cat("drive ", port.name, " += w * pre.r;");
      if (port.kind == VarKind::Receive) return cat("drive ", port.name, " += w;");
    }
  return "drive I += w * pre.r;";
}

void read_drive(ProjectionReading& p, const ast::Drive& drive) {
  Frame& frame = p.frame();
  Model& model = p.session().model;
  const Neuron* post = p.neuron(false);
  if (post == nullptr) return;
  VarId port;
  std::vector<std::string> names;
  for (const VarId id : post->variables) {
    const Variable& variable = model[id];
    if (variable.kind != VarKind::Input && variable.kind != VarKind::Receive) continue;
    names.push_back(variable.name);
    if (variable.name == drive.port.text) port = id;
  }
  if (!port.valid()) {
    Diagnostic& diag = report(frame, DiagKind::NoSuchPort, drive.port.span,
                              cat(post->name, " has no port ", quoted(drive.port.text)));
    const auto near = did_you_mean(drive.port.text, names);
    diag.help = near            ? cat("did you mean ", quoted(*near), "?")
                : names.empty() ? cat(post->name, " has no ports: add  input I : 1;  or  receive exc : pA;")
                                : cat("its ports are ", listed(names));
    return;
  }
  const Neuron* pre = p.neuron(true);
  if (model[port].kind == VarKind::Receive && pre != nullptr && pre->emissions.empty()) {
    report(frame, DiagKind::SilentSource, drive.span,
           cat(quoted(drive.port.text), " receives spikes, but ", pre->name, " emits nothing"))
        .help = cat("drive an 'input' port, or use a neuron with  emit spike when …;");
    return;
  }
  const Expectation expected{population_dimension(p.network, p.def.post, port), drive.port.text, {}};
  const Value value = evaluate_as(frame, *drive.value, {}, &expected);
  if (!value.poisoned) p.def.drives.push_back({.port = port, .value = value.only(), .span = drive.span});
}

int population_index(ProjectionReading& p, const ast::Name& name) {
  const auto found = p.network.scope.names.find(name.text);
  if (found != p.network.scope.names.end() && found->second.kind == SymbolKind::Population)
    return found->second.index;
  if (found != p.network.scope.names.end()) {
    if (found->second.kind != SymbolKind::Broken)
      report(p.frame(), DiagKind::WrongKindOfName, name.span,
             cat(quoted(name.text), " is ", describe(found->second.kind), ", not a population"));
    return -1;
  }
  unknown_name(p.frame(), name.text, name.span);
  return -1;
}

}  // namespace

void read_projection(NetworkReading& network, const ast::Projection& decl) {
  ProjectionDef def;
  def.name = decl.name.text;
  def.span = decl.span;
  ProjectionReading p{
      .network = network, .def = def, .decl = decl, .scope = {}, .bound = {}, .bound_events = {}};
  Frame& frame = network.frame;
  const size_t errors = network.session.diags.errors();
  def.pre = population_index(p, decl.pre);
  def.post = population_index(p, decl.post);
  const bool has_rule = read_rule_of_projection(p);
  const bool has_connect = std::ranges::any_of(
      decl.items, [](const auto& item) { return std::holds_alternative<ast::Connect>(item); });
  if (!has_connect) {
    report(frame, DiagKind::NoConnect, decl.name.span,
           cat("projection ", def.name, " does not say which synapses exist"))
        .help = "add  connect all;";
  }
  for (const ast::ProjectionItem& item : decl.items)
    if (const auto* connect = std::get_if<ast::Connect>(&item)) read_connect(frame, network.network, *connect, def);
  for (const ast::ProjectionItem& item : decl.items)
    if (const auto* delay = std::get_if<ast::Delay>(&item)) read_delay(frame, *delay, def);
  const bool has_bap = std::ranges::any_of(decl.items, [](const auto& item) {
    const auto* delay = std::get_if<ast::Delay>(&item);
    return delay != nullptr && delay->name.text == "bap";
  });
  if (!has_bap) def.bap_ms = def.dend_ms, def.bap = def.dend;  // back along the same dendrite
  if (!has_rule) return;
  open_rule_scope(p);
  p.scope.parent = &network.scope;
  Restore inside(frame.scope, &p.scope);
  auto population_member = frame.member;
  Restore member(frame.member, decltype(frame.member)([&](Frame& f, const std::string& object,
                                                          const ast::Name& name, Span span) {
                   const bool neuron = object == "pre" || object == "post";
                   return neuron ? read_neuron_member(p, f, object == "pre", name, span)
                                 : population_member(f, object, name, span);
                 }));
  // A drive may read what a bind provides, wherever the two lines stand.
  for (const ast::ProjectionItem& item : decl.items) {
    if (const auto* bind = std::get_if<ast::Bind>(&item)) read_bind(p, *bind);
  }
  check_given_once(frame, decl);
  for (const ast::ProjectionItem& item : decl.items) {
    if (const auto* init = std::get_if<ast::Init>(&item)) read_init(p, *init);
    if (const auto* drive = std::get_if<ast::Drive>(&item)) read_drive(p, *drive);
  }
  check_needs(p);
  check_sparse(frame, decl, def);
  const bool fine = network.session.diags.errors() == errors;
  const bool idle = def.drives.empty() && !network.session.diags.has_errors() &&
                    network.session.options.lints && frame.file->is_main;
  if (idle && !network.session.mentioned.contains(def.name)) {
    report(frame, DiagKind::IdleProjection, decl.name.span,
           cat("projection ", def.name, " changes nothing: no 'drive'"))
        .help = cat("say what a synapse does to its target:  ", missing_drive(p));
  }
  if (!fine) return;
  network.scope.names[def.name].index = static_cast<int>(network.network.projections.size());
  network.network.projections.push_back(std::move(def));
}

}  // namespace hebb::sema
