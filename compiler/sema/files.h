#pragma once
// Files and what they declare: imports, types by name, rules and neurons read when first needed.

#include "compiler/sema/frame.h"

namespace hebb::sema {

/// Registers the items of a file and follows its imports.
FileTable& register_file(Session& session, const ast::File& file, std::string path, std::string root,
                         bool is_main);
void follow_imports(Session& session, FileTable& table);
/// In a table, or in what its imports bring: those of the standard library are followed late.
const Global* find_type(Session& session, FileTable& table, const std::string& name);

/// Where the standard library declares a name: "std.neurons"; also the names near to it.
struct LibraryEntry {
  std::string name, folder;
};
std::optional<LibraryEntry> find_in_library(const Session& session, const std::string& name);

std::string joined_name(const ast::Path& path);
/// Adds an imported or declared name; a report when it is taken.
void add_global(Session& session, std::map<std::string, Global>& names, const std::string& name,
                Global global);

/// A type by its name as written, or a report and null.
const Global* expect_type(Session& session, FileTable& table, const ast::Path& path, std::string_view kind);

/// The rule of a declaration; composed rules are put together here. Null when it has errors.
const Rule* rule_of(Session& session, const Global& global);
/// Index into model.neurons; -1 when the neuron has errors.
int neuron_of(Session& session, const Global& global);

/// A copy of the rule that `instance` names, for a sum of rules or a projection. Nothing on errors.
std::optional<Rule> rule_part(Session& session, FileTable& table, const ast::Instance& instance);
/// A parameter that a setting names, or a report and nothing.
VarId setting_target(Session& session, const Dynamics& dynamics, const ast::Setting& setting, bool neuron);

void read_network(Session& session, FileTable& table, const ast::NetworkDecl& decl);

}  // namespace hebb::sema
