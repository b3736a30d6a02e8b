#include "compiler/sema/check.h"

#include <algorithm>
#include <filesystem>

#include "compiler/parse/parse.h"
#include "compiler/sema/files.h"
#include "compiler/sema/lints.h"
#include "compiler/sema/overrides.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

using namespace sema;

void read_constants(Session& session, FileTable& main) {
  DimensionSystem dimensions;
  std::map<uint32_t, DimensionTerm> none;
  Scope empty;
  Frame frame{.session = session,
              .file = &main,
              .scope = &empty,
              .dimensions = &dimensions,
              .variable_dimensions = &none};
  for (const auto& [name, global] : main.constants) {
    const Value value = read_constant(frame, global, name);
    if (value.poisoned || !value.scalar()) continue;
    const auto constant = constant_of(frame, value.only());
    if (!constant) continue;
    session.model.constants[name] = *constant;
    session.model.constant_dimensions[name] = dimensions.value(value.dimension);
  }
}

/// Experiments stay syntax: they need the functions of other files as they were written.
void keep_imported_functions(Session& session, const FileTable& main) {
  for (const auto& [name, global] : main.functions) {
    const auto* function = std::get_if<const ast::FunctionDecl*>(&global.what);
    if (global.imported && function != nullptr) session.model.functions[name] = **function;
  }
}

/// Everything the main file declares or imports, under the name it has there.
void read_types(Session& session, FileTable& main) {
  std::vector<std::pair<std::string, const Rule*>> rules;
  for (const std::string& name : main.type_order) {
    const Global& global = main.types.at(name);
    if (std::holds_alternative<const ast::RuleDecl*>(global.what)) {
      if (const Rule* rule = rule_of(session, global)) rules.emplace_back(name, rule);
    }
    if (std::holds_alternative<const ast::NeuronDecl*>(global.what)) {
      const int index = neuron_of(session, global);
      if (index >= 0) session.model.neurons[static_cast<size_t>(index)].name = name;
    }
  }
  for (const auto& [name, rule] : rules) {
    session.model.rules.push_back(*rule);
    session.model.rules.back().name = name;
  }
  for (const std::string& name : main.type_order) {
    const Global& global = main.types.at(name);
    const auto* network = std::get_if<const ast::NetworkDecl*>(&global.what);
    if (network != nullptr) read_network(session, *global.home, **network);
  }
}

}  // namespace

Model check(const ast::File& file, Sources& sources, const CheckOptions& options, Diagnostics& diags) {
  Model model;
  Session session{.model = model, .sources = sources, .options = options, .diags = diags};
  std::error_code error;
  const std::filesystem::path path = std::filesystem::weakly_canonical(sources[file.source].path, error);
  const std::filesystem::path absolute = path.is_absolute() ? path : std::filesystem::absolute(path, error);
  collect_mentioned(session, file);
  FileTable& main = register_file(session, file, absolute.string(), absolute.parent_path().string(), true);
  read_overrides(session, main);
  read_constants(session, main);
  read_types(session, main);
  keep_imported_functions(session, main);
  check_uncalled_functions(session, main);
  lint_steps(session, file);
  return model;
}

}  // namespace hebb
