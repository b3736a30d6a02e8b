#include "compiler/sema/prelude.h"

#include "compiler/parse/parse.h"

namespace hebb::sema {
namespace {

struct PreludeFunction {
  std::string_view name, text;
};
/// One row per function. 0 fits any dimension, so pos, relu and clip work on volts as on numbers.
constexpr PreludeFunction kPrelude[] = {
    {"pos", "fun pos(x) = max(x, 0);\n"},
    {"relu", "fun relu(x) = max(x, 0);\n"},
    {"heaviside", "fun heaviside(x) = if x > 0 then 1 else 0;\n"},
    // Written with comparisons so that NaN passes through.
    {"clip", "fun clip(x, low, high) = if x < low then low else if x > high then high else x;\n"},
};

}  // namespace

std::vector<std::string> prelude_names() {
  std::vector<std::string> out;
  for (const PreludeFunction& function : kPrelude) out.emplace_back(function.name);
  return out;
}

const Global* prelude_function(Session& session, const std::string& name) {
  bool known_name = false;
  for (const PreludeFunction& function : kPrelude) known_name |= function.name == name;
  if (!known_name) return nullptr;
  if (session.prelude == nullptr) {
    std::string text;
    for (const PreludeFunction& function : kPrelude) text += function.text;
    const FileId id = session.sources.add("<built-in functions>", std::move(text));
    session.imported.push_back(parse(session.sources, id, session.diags));
    session.tables.emplace_back();
    FileTable& table = session.tables.back();
    table.file = &session.imported.back();
    table.is_prelude = true;
    for (const ast::Item& item : table.file->items) {
      const auto& function = std::get<ast::FunctionDecl>(item);
      table.functions[function.name.text] = {.what = &function, .home = &table, .span = function.name.span};
    }
    session.prelude = &table;
  }
  const auto found = session.prelude->functions.find(name);
  assert(found != session.prelude->functions.end() && "the prelude parses");
  return &found->second;
}

}  // namespace hebb::sema
