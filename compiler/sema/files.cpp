// Imports. Nothing outside the folder of the main file and the standard library is ever read.

#include "compiler/sema/files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "compiler/parse/parse.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> read_text(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  if (fs::file_size(path, error) > kMaxSourceBytes || error) return {};
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return {};
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

/// "PairSTDP" → "pair_stdp", "BCM" → "bcm"
std::string snake_case(const std::string& name) {
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool starts =
        i > 0 && upper(name[i]) && name[i - 1] != '_' &&
        (!upper(name[i - 1]) || (i + 1 < name.size() && !upper(name[i + 1]) && name[i + 1] != '_'));
    if (starts) out += '_';
    out += upper(name[i]) ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
  }
  return out;
}

/// Names that a text declares at the start of a line, without parsing it.
std::vector<std::string> declared_names(const std::string& text) {
  std::vector<std::string> out;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = std::string_view(text).substr(start, end - start);
    for (const std::string_view word : {"rule ", "neuron ", "fun ", "const "}) {
      if (!line.starts_with(word)) continue;
      const size_t first = line.find_first_not_of(' ', word.size());
      if (first == std::string_view::npos) continue;
      const size_t last = line.find_first_of(" :{=(;", first);
      out.emplace_back(line.substr(first, last == std::string_view::npos ? last : last - first));
    }
    start = end + 1;
  }
  return out;
}

std::vector<fs::path> hebb_files(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".hebb") out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

/// The table of a file, read once. Null: it cannot be read or does not parse.
FileTable* load(Session& session, const fs::path& path, const std::string& shown, const std::string& root) {
  const std::string key = path.string();
  const auto known_table = session.by_path.find(key);
  if (known_table != session.by_path.end()) return known_table->second;
  std::optional<std::string> text = read_text(path);
  if (!text) return nullptr;
  const size_t errors = session.diags.errors();
  const FileId id = session.sources.add(shown, std::move(*text));
  session.imported.push_back(parse(session.sources, id, session.diags));
  if (session.diags.errors() > errors) {
    session.by_path[key] = nullptr;
    return nullptr;
  }
  return &register_file(session, session.imported.back(), key, root, false);
}

void bring(Session& session, FileTable& to, FileTable& from, const std::string& item, const std::string& as,
           Span span) {
  const auto copy = [&](std::map<std::string, Global> FileTable::* names, bool is_type) {
    const auto found = (from.*names).find(item);
    if (found == (from.*names).end()) return;
    Global global = found->second;
    global.span = span;
    global.imported = true;
    if (is_type && !(to.*names).contains(as)) to.type_order.push_back(as);
    add_global(session, to.*names, as, global);
  };
  copy(&FileTable::types, true);
  copy(&FileTable::functions, false);
  copy(&FileTable::constants, false);
}

bool is_network(const Global& global) { return std::holds_alternative<const ast::NetworkDecl*>(global.what); }

/// Everything a file itself declares; from the standard library only rules, neurons and functions.
void bring_all(Session& session, FileTable& to, FileTable& from, const std::string& prefix, Span span,
               bool library) {
  std::vector<std::string> items;
  for (const std::string& name : from.type_order) {
    const Global& global = from.types.at(name);
    if (!global.imported && !(library && is_network(global))) items.push_back(name);
  }
  for (const auto& [name, global] : from.functions)
    if (!global.imported) items.push_back(name);
  for (const auto& [name, global] : from.constants)
    if (!global.imported && !library) items.push_back(name);
  for (const std::string& item : items) bring(session, to, from, item, cat(prefix, item), span);
}

void not_found(Session& session, const ast::Import& import, std::string message, std::string help) {
  session.diags.report(DiagKind::ImportNotFound, import.span, std::move(message)).help = std::move(help);
}

void import_library(Session& session, FileTable& table, const ast::Import& import) {
  const auto& parts = import.path.parts;
  const std::string text = joined_name(import.path);
  if (parts.empty() || parts[0].text != "std") {
    not_found(session, import, cat("there is no library ", quoted(parts.empty() ? "" : parts[0].text)),
              "imports are  import std.stdp.Triplet;  or  import \"file.hebb\";");
    return;
  }
  std::error_code error;
  const fs::path root = fs::weakly_canonical(session.options.std_root, error);
  if (session.options.std_root.empty() || !fs::is_directory(root, error)) {
    not_found(session, import, "the standard library was not found",
              cat("looked in ", quoted(session.options.std_root)));
    return;
  }
  fs::path folder = root;
  for (size_t i = 1; i + 1 < parts.size(); ++i) folder /= parts[i].text;
  const std::string item = parts.back().text;
  const std::string as = import.as ? import.as->text : std::string();
  const fs::path whole = parts.size() == 1 ? root : folder / item;
  const auto shown = [&](const fs::path& path) {
    return cat("std/", path.lexically_relative(root).string());
  };
  if (fs::is_directory(whole, error)) {
    for (const fs::path& path : hebb_files(whole)) {
      FileTable* from = load(session, path, shown(path), root.string());
      if (from != nullptr)
        bring_all(session, table, *from, as.empty() ? "" : cat(as, '.'), import.span, true);
    }
    return;
  }
  std::vector<fs::path> candidates = {folder / (snake_case(item) + ".hebb")};
  const std::vector<fs::path> others = hebb_files(folder);
  candidates.insert(candidates.end(), others.begin(), others.end());
  std::vector<std::string> names;
  for (const fs::path& path : candidates) {
    const std::optional<std::string> source = read_text(path);
    if (!source) continue;
    const std::vector<std::string> declared = declared_names(*source);
    names.insert(names.end(), declared.begin(), declared.end());
    if (std::ranges::find(declared, item) == declared.end()) continue;
    const size_t errors = session.diags.errors();
    FileTable* from = load(session, path, shown(path), root.string());
    if (from != nullptr) bring(session, table, *from, item, as.empty() ? item : as, import.span);
    if (from != nullptr || session.diags.errors() > errors) return;
  }
  const auto near = did_you_mean(item, names);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const std::string has =
      names.empty() ? cat("there is no folder ", quoted(shown(folder))) : cat("it has ", joined(names, ", "));
  not_found(session, import, cat("the standard library has no ", quoted(text)),
            near ? cat("did you mean ", quoted(*near), "?") : has);
}

void import_file(Session& session, FileTable& table, const ast::Import& import) {
  const fs::path relative = *import.file;
  std::error_code error;
  if (relative.is_absolute()) {
    session.diags
        .report(DiagKind::ImportNotAllowed, import.span, cat(quoted(*import.file), " is an absolute path"))
        .help = "imports are relative to the file they stand in";
    return;
  }
  const fs::path path = fs::weakly_canonical(fs::path(table.folder) / relative, error);
  const fs::path inside = path.lexically_relative(table.root);
  if (error || inside.empty() || *inside.begin() == "..") {
    session.diags
        .report(DiagKind::ImportNotAllowed, import.span,
                cat(quoted(*import.file), " lies outside the folder of the main file"))
        .help = "only files beside or below it are read, and std";
    return;
  }
  const auto loading = session.by_path.find(path.string());
  if (loading != session.by_path.end() && loading->second != nullptr && loading->second->importing) {
    session.diags.report(DiagKind::CyclicDefinition, import.span,
                         cat(quoted(*import.file), " is imported by what it imports"));
    return;
  }
  const size_t errors = session.diags.errors();
  const std::string folder = fs::path(session.sources[table.file->source].path).parent_path().string();
  FileTable* from =
      load(session, path, folder.empty() ? *import.file : (fs::path(folder) / relative).string(), table.root);
  if (from == nullptr) {
    const bool reported = session.diags.errors() > errors || session.by_path.contains(path.string());
    if (!reported)
      not_found(session, import, cat("there is no file ", quoted(*import.file), " that can be read"), "");
    return;
  }
  bring_all(session, table, *from, import.as ? cat(import.as->text, '.') : "", import.span, false);
}

}  // namespace

std::optional<LibraryEntry> find_in_library(const Session& session, const std::string& name) {
  if (session.options.std_root.empty()) return {};
  const fs::path root = session.options.std_root;
  std::vector<std::string> names;
  std::map<std::string, std::string> folders;
  std::error_code error;
  std::vector<fs::path> groups;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (entry.is_directory(error)) groups.push_back(entry.path());
  }
  std::ranges::sort(groups);
  for (const fs::path& group : groups) {
    for (const fs::path& path : hebb_files(group)) {
      const std::optional<std::string> text = read_text(path);
      if (!text) continue;
      for (const std::string& declared : declared_names(*text)) {
        if (folders.try_emplace(declared, cat("std.", group.filename().string())).second)
          names.push_back(declared);
      }
    }
  }
  if (folders.contains(name)) return LibraryEntry{name, folders[name]};
  const auto near = did_you_mean(name, names);
  if (!near) return {};
  return LibraryEntry{*near, folders[*near]};
}

std::string joined_name(const ast::Path& path) {
  std::vector<std::string> names;
  for (const ast::Name& part : path.parts) names.push_back(part.text);
  return joined(names, ".");
}

void add_global(Session& session, std::map<std::string, Global>& names, const std::string& name,
                Global global) {
  const auto [entry, is_new] = names.try_emplace(name, global);
  if (is_new || entry->second.what == global.what) return;
  session.diags
      .report(DiagKind::DuplicateName, global.span,
              cat(quoted(name), global.imported ? " is already declared or imported" : " is declared twice"))
      .labels.push_back({entry->second.span, "first here"});
}

FileTable& register_file(Session& session, const ast::File& file, std::string path, std::string root,
                         bool is_main) {
  session.tables.emplace_back();
  FileTable& table = session.tables.back();
  table.file = &file;
  table.folder = fs::path(path).parent_path().string();
  table.root = std::move(root);
  table.is_main = is_main;
  table.path = path;
  session.by_path[path] = &table;
  const auto type = [&](const auto& decl) {
    if (!table.types.contains(decl.name.text)) table.type_order.push_back(decl.name.text);
    add_global(session, table.types, decl.name.text, {.what = &decl, .home = &table, .span = decl.name.span});
  };
  for (const ast::Item& item : file.items) {
    std::visit(Overload{[&](const ast::Const& decl) {
                          add_global(session, table.constants, decl.name.text,
                                     {.what = &decl, .home = &table, .span = decl.name.span});
                        },
                        [&](const ast::FunctionDecl& decl) {
                          add_global(session, table.functions, decl.name.text,
                                     {.what = &decl, .home = &table, .span = decl.name.span});
                        },
                        [&](const ast::RuleDecl& decl) { type(decl); },
                        [&](const ast::NeuronDecl& decl) { type(decl); },
                        [&](const ast::NetworkDecl& decl) { type(decl); }, [](const ast::Import&) {},
                        [](const ast::ExperimentDecl&) {}, [](const ast::TestDecl&) {}},
               item);
  }
  // Library files import neurons for their tests: followed only when a name is missing.
  std::error_code error;
  const bool library = !session.options.std_root.empty() &&
                       table.root == fs::weakly_canonical(session.options.std_root, error).string() &&
                       !is_main;
  if (!library) follow_imports(session, table);
  return table;
}

void follow_imports(Session& session, FileTable& table) {
  if (table.imports_followed) return;
  table.imports_followed = true;
  table.importing = true;
  for (const ast::Item& item : table.file->items) {
    const auto* import = std::get_if<ast::Import>(&item);
    if (import == nullptr) continue;
    const size_t errors = session.diags.errors();
    if (import->file) import_file(session, table, *import);
    if (!import->file) import_library(session, table, *import);
    table.import_failed = table.import_failed || session.diags.errors() > errors;
  }
  table.importing = false;
}

const Global* find_type(Session& session, FileTable& table, const std::string& name) {
  auto found = table.types.find(name);
  if (found == table.types.end()) {
    follow_imports(session, table);
    found = table.types.find(name);
  }
  return found == table.types.end() ? nullptr : &found->second;
}

}  // namespace hebb::sema
