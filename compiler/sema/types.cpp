// Rules and neurons by name, read when first needed; composed rules.

#include <algorithm>

#include "compiler/sema/dynamics.h"
#include "compiler/sema/files.h"
#include "compiler/sema/lints.h"
#include "compiler/support/text.h"
#include "compiler/transform/transform.h"

namespace hebb::sema {
namespace {

std::string_view kind_of(const Global& global) {
  constexpr std::string_view kKinds[] = {"constant", "function", "rule", "neuron", "network"};
  return kKinds[global.what.index()];
}

/// A parameter of a composed rule gets its value while compiling: it is the part's new start value.
void set_parameters(Session& session, FileTable& table, const ast::Instance& instance, Rule& part) {
  for (const ast::Setting& setting : instance.settings) {
    const VarId id = setting_target(session, part, setting, false);
    if (!id.valid()) continue;
    DimensionSystem dimensions;
    std::map<uint32_t, DimensionTerm> variable_dimensions;
    Scope scope;
    Frame frame{.session = session,
                .file = &table,
                .scope = &scope,
                .dimensions = &dimensions,
                .variable_dimensions = &variable_dimensions};
    frame.draws_allowed = setting.drawn;
    const Expectation expected{dimension_of(frame, id), joined_name(setting.path), {}};
    const Value value = evaluate_as(frame, *setting.value, session.model[id].shape, &expected);
    if (value.poisoned) continue;
    session.model[id].init = value.elements;
    session.model[id].drawn = value.drawn;
  }
}

Rule read_single(Session& session, const Global& global, const ast::RuleDecl& decl) {
  Rule rule;
  rule.name = decl.name.text;
  rule.doc = decl.doc;
  rule.span = decl.span;
  Reading reading(session, *global.home, rule, false);
  reading.rule = &rule;
  const size_t errors = session.diags.errors();
  read_rule(reading, decl);
  rule.parts = {{.rule = rule.name, .span = decl.span}};
  if (session.diags.errors() == errors) lint_rule(reading);
  return rule;
}

bool same_weight_dimension(Session& session, const ast::RuleExpr& sum, const std::vector<Rule>& parts) {
  const Rule* first = nullptr;
  Span first_span;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].weight.valid()) continue;
    const auto& dimension = session.model[parts[i].weight].dimension;
    if (!dimension) continue;
    if (first == nullptr) {
      first = &parts[i];
      first_span = sum[i].span;
      continue;
    }
    const Dimension& wanted = *session.model[first->weight].dimension;
    if (wanted == *dimension) continue;
    Diagnostic& diag = session.diags.report(DiagKind::DimensionMismatch, sum[i].span,
                                            "these two rules have weights of different dimensions");
    diag.note = cat("its weight is ", with_article(hebb::describe(*dimension)));
    diag.labels.push_back({first_span, cat("its weight is ", with_article(hebb::describe(wanted)))});
    return false;
  }
  return true;
}

}  // namespace

const Global* expect_type(Session& session, FileTable& table, const ast::Path& path, std::string_view kind) {
  const std::string name = joined_name(path);
  const Global* global = find_type(session, table, name);
  if (global != nullptr && kind_of(*global) == kind) return global;
  if (global != nullptr) {
    session.diags.report(DiagKind::WrongKindOfName, path.span,
                         cat(quoted(name), " is a ", kind_of(*global), ", not a ", kind));
    return nullptr;
  }
  if (table.import_failed || !session.unknown_types.insert(name).second) return nullptr;
  Diagnostic& diag = session.diags.report(DiagKind::UnknownName, path.span,
                                          cat("there is no ", kind, " called ", quoted(name), " here"));
  std::vector<std::string> names;
  for (const auto& [other, what] : table.types) {
    if (kind_of(what) == kind) names.push_back(other);
  }
  if (const auto near = did_you_mean(name, names)) {
    const Span span = table.types.at(*near).span;
    diag.help = cat("did you mean ", quoted(*near), " (line ",
                    session.sources.position(span.file, span.begin).line, ")?");
    diag.fixes.push_back({path.span, *near, false});
  } else if (const auto entry = find_in_library(session, name)) {
    const bool exact = entry->name == name;
    diag.help = exact ? cat("add  import ", entry->folder, '.', name, ";")
                      : cat("did you mean ", quoted(entry->name), "?  It is in the library:  import ",
                            entry->folder, '.', entry->name, ";");
  }
  return nullptr;
}

std::optional<Rule> rule_part(Session& session, FileTable& table, const ast::Instance& instance) {
  const Global* global = expect_type(session, table, instance.type, "rule");
  const Rule* rule = global == nullptr ? nullptr : rule_of(session, *global);
  if (rule == nullptr) return {};
  return instantiate(session.model, *rule);
}

VarId setting_target(Session& session, const Dynamics& dynamics, const ast::Setting& setting, bool neuron) {
  const std::string name = joined_name(setting.path);
  const Model& model = session.model;
  std::vector<std::string> names;
  const Variable* other = nullptr;
  VarId found;
  for (const VarId id : dynamics.variables) {
    const Variable& variable = model[id];
    const bool port = neuron && (variable.kind == VarKind::Input || variable.kind == VarKind::Signal);
    if (variable.kind != VarKind::Param && !port) {
      if (variable.name == name) other = &variable;
      continue;
    }
    names.push_back(variable.name);
    if (variable.name != name) continue;
    if (found.valid()) {
      session.diags
          .report(DiagKind::UnknownSetting, setting.path.span,
                  cat("two parts of ", dynamics.name, " have a parameter ", quoted(name)))
          .help = "set it where the part is named:  A(tau = …) + B";
      return {};
    }
    found = id;
  }
  if (found.valid()) return found;
  const std::string what = neuron ? "parameter, input or signal" : "parameter";
  Diagnostic& diag = session.diags.report(DiagKind::UnknownSetting, setting.path.span,
                                          cat(dynamics.name, " has no ", what, " ", quoted(name)));
  const auto near = did_you_mean(name, names);
  if (other != nullptr) {
    diag.help = other->kind == VarKind::Signal
                    ? cat("signals are bound in the projection:  bind ", name, " = …;")
                : other->kind == VarKind::Weight || other->kind == VarKind::State
                    ? cat("start values are given in the projection:  init ", name, " = …;")
                    : cat(quoted(name), " is computed");
  } else if (near) {
    diag.help = cat("did you mean ", quoted(*near), "?");
    diag.fixes.push_back({setting.path.span, *near, false});
  } else {
    diag.help = names.empty() ? cat(dynamics.name, " has none") : cat("it has ", listed(names));
  }
  return {};
}

/// Rules that each are the sum of one rule twice grow as the powers of 2.
bool small_enough(Session& session, const ast::RuleDecl& decl, const std::vector<Rule>& parts) {
  constexpr size_t kMostRules = 1000;
  size_t rules = 0;
  for (const Rule& part : parts) rules += std::max<size_t>(part.parts.size(), 1);
  if (rules <= kMostRules) return true;
  session.diags.report(DiagKind::TooLarge, decl.name.span, cat(quoted(decl.name.text), " is a sum of ", rules, " rules, more than ", kMostRules));
  return false;
}

const Rule* rule_of(Session& session, const Global& global) {
  const ast::RuleDecl& decl = *std::get<const ast::RuleDecl*>(global.what);
  Elaborated& entry = session.rules[&decl];
  if (entry.progress == Symbol::Progress::Done) return entry.broken ? nullptr : &entry.rule;
  if (entry.progress == Symbol::Progress::Busy) {
    session.diags.report(DiagKind::CyclicDefinition, decl.name.span,
                         cat("the rule ", quoted(decl.name.text), " is a part of itself"));
    entry.broken = true;
    return nullptr;
  }
  entry.progress = Symbol::Progress::Busy;
  const size_t errors = session.diags.errors();
  if (!decl.is_sum) {
    entry.rule = read_single(session, global, decl);
  } else {
    std::vector<Rule> parts;
    for (const ast::Instance& instance : decl.sum) {
      std::optional<Rule> part = rule_part(session, *global.home, instance);
      if (!part) {
        entry.broken = true;
        continue;
      }
      set_parameters(session, *global.home, instance, *part);
      parts.push_back(std::move(*part));
    }
    if (!entry.broken && small_enough(session, decl, parts) && same_weight_dimension(session, decl.sum, parts)) {
      entry.rule = compose(session.model, decl.name.text, std::move(parts));
      entry.rule.doc = decl.doc;
      entry.rule.span = decl.span;
      report_conflicts(session, entry.rule);
    }
  }
  entry.broken = entry.broken || session.diags.errors() > errors;
  entry.progress = Symbol::Progress::Done;
  return entry.broken ? nullptr : &entry.rule;
}

int neuron_of(Session& session, const Global& global) {
  const ast::NeuronDecl& decl = *std::get<const ast::NeuronDecl*>(global.what);
  const auto known_neuron = session.neurons.find(&decl);
  if (known_neuron != session.neurons.end()) return known_neuron->second;
  Neuron neuron;
  neuron.name = decl.name.text;
  neuron.doc = decl.doc;
  neuron.span = decl.span;
  const size_t errors = session.diags.errors();
  {
    Reading reading(session, *global.home, neuron, true);
    reading.neuron = &neuron;
    read_neuron(reading, decl);
    if (session.diags.errors() == errors) lint_neuron(reading);
  }
  int index = -1;
  if (session.diags.errors() == errors) {
    index = static_cast<int>(session.model.neurons.size());
    session.model.neurons.push_back(std::move(neuron));
  }
  session.neurons[&decl] = index;
  return index;
}

}  // namespace hebb::sema
