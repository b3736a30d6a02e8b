// --set NAME=VALUE: a constant of the file, a constant or a parameter of a type (Rule.tau), a constant of a network or a
// parameter of one of its populations or projections (Net.S.eta).

#include "compiler/parse/parse.h"
#include "compiler/sema/files.h"
#include "compiler/sema/overrides.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

struct Wanted {
  std::string name;                 // as it was given
  std::vector<std::string> parts;   // of it
  std::string value;
};

std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> out;
  for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
    out.emplace_back(name.substr(0, dot));
    name.remove_prefix(dot + 1);
  }
  out.emplace_back(name);
  return out;
}

/// VALUE is read as the file's own line would be. Null: reported.
ast::ExprPtr read_value(Session& session, const Wanted& wanted) {
  const size_t errors = session.diags.errors();
  const FileId id = session.sources.add("--set", cat("const ", wanted.parts.back(), " = ", wanted.value, ";\n"));
  session.imported.push_back(parse(session.sources, id, session.diags));
  if (session.diags.errors() > errors) return nullptr;
  const auto& items = session.imported.back().items;
  const ast::Const* constant = items.size() == 1 ? std::get_if<ast::Const>(&items[0]) : nullptr;
  if (constant != nullptr) return constant->value;
  session.diags.report(DiagKind::UnknownOverride, {}, cat("--set ", wanted.name, ": ", quoted(wanted.value), " is not one value"));
  return nullptr;
}

void unknown(Session& session, const Wanted& wanted, const std::string& what, const std::string& name,
             const std::vector<std::string>& names, const std::string& none) {
  Diagnostic& diag = session.diags.report(DiagKind::UnknownOverride, {}, cat("--set ", wanted.name, ": ", what, " ", quoted(name)));
  const auto near = did_you_mean(name, names);
  diag.help = near ? cat("did you mean ", quoted(*near), "?") : names.empty() ? none : cat("it has ", listed(names));
}

void set_constant(Session& session, FileTable& main, const Wanted& wanted) {
  const auto found = main.constants.find(wanted.name);
  if (found != main.constants.end()) {
    if (const auto value = read_value(session, wanted)) session.overrides[std::get<const ast::Const*>(found->second.what)] = value;
    return;
  }
  std::vector<std::string> names;
  for (const auto& [constant, global] : main.constants) names.push_back(constant);
  unknown(session, wanted, "the file has no constant", wanted.name, names,
          "const NAME = …;  of the file, parameters of its rules (Rule.tau) and of its networks (Net.S.tau) can be set");
}

/// A constant or parameter of a rule or neuron.
template <class Items>
void set_in_type(Session& session, const Wanted& wanted, const Items& items) {
  std::vector<std::string> names;
  for (const auto& item : items) {
    if (const auto* constant = std::get_if<ast::Const>(&item)) {
      names.push_back(constant->name.text);
      if (constant->name.text != wanted.parts[1]) continue;
      if (const auto value = read_value(session, wanted)) session.overrides[constant] = value;
      return;
    }
    const auto* param = std::get_if<ast::Param>(&item);
    if (param == nullptr) continue;
    for (const ast::Declaration& declaration : param->declarations) {
      names.push_back(declaration.name.text);
      if (declaration.name.text != wanted.parts[1]) continue;
      if (const auto value = read_value(session, wanted)) session.parameter_overrides[&declaration] = value;
      return;
    }
  }
  unknown(session, wanted, cat(wanted.parts[0], " has no parameter or constant"), wanted.parts[1], names, "it has no parameters");
}

void set_in_network(Session& session, const Wanted& wanted, const ast::NetworkDecl& network) {
  std::vector<std::string> constants, members;
  const void* member = nullptr;
  for (const ast::NetworkItem& item : network.items) {
    if (const auto* constant = std::get_if<ast::Const>(&item)) {
      constants.push_back(constant->name.text);
      if (wanted.parts.size() != 2 || constant->name.text != wanted.parts[1]) continue;
      if (const auto value = read_value(session, wanted)) session.overrides[constant] = value;
      return;
    }
    const auto see = [&](const auto* node) {
      if (node == nullptr) return;
      members.push_back(node->name.text);
      if (node->name.text == wanted.parts[1]) member = node;
    };
    see(std::get_if<ast::Population>(&item));
    see(std::get_if<ast::Projection>(&item));
  }
  if (wanted.parts.size() == 2)
    return unknown(session, wanted, cat(network.name.text, " has no constant"), wanted.parts[1], constants,
                   cat("parameters of what it consists of are set by  --set ", network.name.text, ".NAME.PARAMETER=VALUE"));
  if (member == nullptr)
    return unknown(session, wanted, cat(network.name.text, " has no population or projection"), wanted.parts[1], members, "it has none");
  const auto value = read_value(session, wanted);
  if (value == nullptr) return;
  session.member_overrides[member].push_back(
      {.path = {.parts = {{wanted.parts[2], value->span}}, .span = value->span}, .drawn = false, .value = value, .span = value->span});
  session.model.set_outside.insert(wanted.name);
}

}  // namespace

void read_overrides(Session& session, FileTable& main) {
  for (const auto& [name, value] : session.options.sets) {
    const Wanted wanted{.name = name, .parts = parts_of(name), .value = value};
    if (wanted.parts.size() == 1) {
      set_constant(session, main, wanted);
      continue;
    }
    const Global* type = find_type(session, main, wanted.parts[0]);
    if (type == nullptr) {
      unknown(session, wanted, "the file has no rule, neuron or network", wanted.parts[0], main.type_order, "it declares and imports none");
      continue;
    }
    if (const auto* const* network = std::get_if<const ast::NetworkDecl*>(&type->what); network != nullptr && wanted.parts.size() <= 3) {
      set_in_network(session, wanted, **network);
      continue;
    }
    if (wanted.parts.size() != 2) {
      unknown(session, wanted, cat(wanted.parts[0], " has nothing called"), name.substr(wanted.parts[0].size() + 1), {},
              "a rule or neuron has parameters, a network populations and projections with parameters");
      continue;
    }
    if (const auto* const* rule = std::get_if<const ast::RuleDecl*>(&type->what)) set_in_type(session, wanted, (*rule)->items);
    if (const auto* const* neuron = std::get_if<const ast::NeuronDecl*>(&type->what)) set_in_type(session, wanted, (*neuron)->items);
  }
}

const ast::ExprPtr& definition(const Session& session, const ast::Const& constant) {
  const auto given = session.overrides.find(&constant);
  return given == session.overrides.end() ? constant.value : given->second;
}

const ast::ExprPtr& start_value(const Session& session, const ast::Declaration& declaration) {
  const auto given = session.parameter_overrides.find(&declaration);
  return given == session.parameter_overrides.end() ? declaration.value : given->second;
}

std::vector<ast::Setting> effective_settings(const Session& session, const void* member, const std::vector<ast::Setting>& written,
                                             const std::function<bool(const std::string&)>& wanted) {
  std::vector<ast::Setting> out = written;
  const auto given = session.member_overrides.find(member);
  if (given == session.member_overrides.end()) return out;
  for (const ast::Setting& setting : given->second) {
    const std::string name = joined_name(setting.path);
    if (!wanted(name)) continue;
    std::erase_if(out, [&](const ast::Setting& known) { return joined_name(known.path) == name; });
    out.push_back(setting);
  }
  return out;
}

}  // namespace hebb::sema
