// Who may include whom, read from every #include of compiler/, runtime/ and tools/. The table is the
// architecture: adding a row here is changing it.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

namespace fs = std::filesystem;

/// Folders (or single headers) that the files of a folder may include, besides their own folder.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"compiler/support", {}},
    {"compiler/ast", {"compiler/support"}},
    {"compiler/parse", {"compiler/ast", "compiler/support"}},
    {"compiler/expr", {"compiler/support"}},
    {"compiler/units", {"compiler/expr", "compiler/support"}},
    {"compiler/model", {"compiler/ast", "compiler/expr", "compiler/support", "compiler/units"}},
    {"compiler/transform", {"compiler/ast", "compiler/expr", "compiler/model", "compiler/support", "compiler/units"}},
    {"compiler/sema",
     {"compiler/ast", "compiler/expr", "compiler/model", "compiler/parse", "compiler/support", "compiler/transform",
      "compiler/units"}},
    // The waist: above it nothing knows LLVM, below it nothing knows rules. The border to compiled code
    // and the numbers behind `draw` are part of what a Program means.
    {"compiler/program", {"compiler/expr", "compiler/support", "runtime/hebb_abi.h", "runtime/random.h"}},
    {"compiler/lower",
     {"compiler/ast", "compiler/expr", "compiler/model", "compiler/program", "compiler/support", "compiler/transform",
      "compiler/units"}},
    {"compiler/adjoint", {"compiler/expr", "compiler/program", "compiler/support"}},
    {"compiler/codegen",
     {"compiler/expr", "compiler/program", "compiler/support", "runtime/embed/block.h", "runtime/hebb_abi.h",
      "runtime/random.h"}},
    // Rules for other people's programs; and what every such rule carries with it.
    {"compiler/embed",
     {"compiler", "compiler/adjoint", "compiler/codegen", "compiler/expr", "compiler/lower", "compiler/model",
      "compiler/program", "compiler/support", "compiler/transform", "runtime/embed/block.h"}},
    {"runtime/embed", {"compiler/codegen", "compiler/embed", "compiler/program", "runtime/hebb_abi.h"}},
    {"runtime/embed/library",
     {"compiler", "compiler/codegen", "compiler/embed", "compiler/experiment", "compiler/lower", "compiler/model",
      "compiler/parse", "compiler/program", "compiler/support", "compiler/units", "runtime", "runtime/embed"}},
    {"runtime", {"compiler/expr", "compiler/program", "compiler/support"}},
    {"runtime/device", {"compiler/expr", "compiler/program", "compiler/support", "runtime"}},
    {"runtime/device/gradient",
     {"compiler/adjoint", "compiler/expr", "compiler/program", "compiler/support", "runtime", "runtime/device", "runtime/trajectory"}},
    {"runtime/measure", {"compiler/program", "compiler/support", "runtime"}},
    {"runtime/data", {"compiler/support"}},
    {"runtime/plot", {"compiler/support"}},
    {"runtime/trajectory", {"compiler/adjoint", "compiler/expr", "compiler/program", "compiler/support", "runtime"}},
    {"runtime/fit", {"compiler/support", "runtime/data"}},
    // The list of stages.
    {"compiler",
     {"compiler/adjoint", "compiler/ast", "compiler/codegen", "compiler/expr", "compiler/lower", "compiler/model",
      "compiler/parse", "compiler/program", "compiler/sema", "compiler/support", "compiler/transform",
      "compiler/units"}},
    {"compiler/experiment",
     {"compiler", "compiler/adjoint", "compiler/ast", "compiler/codegen", "compiler/expr", "compiler/lower",
      "compiler/model", "compiler/program", "compiler/support", "compiler/transform", "compiler/units", "runtime",
      "runtime/data", "runtime/device", "runtime/device/gradient", "runtime/fit", "runtime/measure", "runtime/plot", "runtime/trajectory"}},
    {"tools/hebb", {"*"}},
};

/// Libraries that only some files may include: the start of the header's name, and the folders or files.
struct Library {
  std::string prefix;
  std::vector<std::string> where;
};
const std::vector<Library> kLibraries = {
    {"llvm/", {"compiler/codegen"}},
    {"llvm-c/", {"compiler/codegen"}},
    {"antlr4", {"compiler/parse/antlr_tokens.h", "compiler/parse/build_expressions.h", "compiler/parse/parse.cpp"}},
    {"HebbLexer", {"compiler/parse/antlr_tokens.h"}},   // generated
    {"HebbParser", {"compiler/parse/build_expressions.h"}},
    {"Eigen/", {"runtime", "compiler/experiment"}},
    {"unsupported/Eigen", {"runtime", "compiler/experiment"}},
    {"zip.h", {"runtime/data"}},
    {"hdf5.h", {"runtime/data"}},
};

struct Include {
  std::string file;    // "compiler/sema/check.cpp"
  std::string target;  // "compiler/ast/ast.h", "llvm/IR/Module.h"
};

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::vector<std::string> targets(const std::string& source) {
  std::vector<std::string> out;
  std::istringstream lines(source);
  for (std::string line; std::getline(lines, line);) {
    std::string squeezed;  // "# include <x>" too
    std::remove_copy_if(line.begin(), line.end(), std::back_inserter(squeezed), [](char c) { return c == ' ' || c == '\t'; });
    constexpr std::string_view kWord = "#include";
    if (!squeezed.starts_with(kWord) || squeezed.size() <= kWord.size()) continue;
    const char close = squeezed[kWord.size()] == '<' ? '>' : '"';
    const size_t begin = kWord.size() + 1;
    out.push_back(squeezed.substr(begin, squeezed.find(close, begin) - begin));
  }
  return out;
}

std::vector<Include> all_includes() {
  const fs::path root = HEBB_SOURCE_DIR;
  std::vector<Include> out;
  for (const char* top : {"compiler", "runtime", "tools"}) {
    if (!fs::exists(root / top)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / top)) {
      const std::string ending = entry.path().extension().string();
      if (ending != ".h" && ending != ".cpp" && ending != ".def" && ending != ".c") continue;
      std::ifstream file(entry.path());
      std::stringstream text;
      text << file.rdbuf();
      for (const std::string& target : targets(text.str()))
        out.push_back({fs::relative(entry.path(), root).generic_string(), target});
    }
  }
  return out;
}

/// What is wrong with an include; empty: nothing.
std::string offence(const Include& include) {
  const std::string from = folder_of(include.file);
  for (const Library& library : kLibraries) {
    if (!include.target.starts_with(library.prefix)) continue;
    const bool allowed = std::any_of(library.where.begin(), library.where.end(), [&](const std::string& place) {
      return from == place || include.file == place || from.starts_with(place + "/");
    });
    return allowed ? "" : include.file + " may not include <" + include.target + ">";
  }
  const bool ours = include.target.starts_with("compiler/") || include.target.starts_with("runtime/") || include.target.starts_with("tools/");
  if (!ours) return "";
  const std::string to = folder_of(include.target);
  if (to == from) return "";
  const auto row = kMayInclude.find(from);
  if (row == kMayInclude.end()) return "folder " + from + " has no row in the table of tests/unit/layering_test.cpp";
  const std::set<std::string>& allowed = row->second;
  if (allowed.contains("*") || allowed.contains(to) || allowed.contains(include.target)) return "";
  return include.file + " may not include \"" + include.target + "\"";
}

TEST(Layering, EveryIncludeKeepsToTheTable) {
  const std::vector<Include> includes = all_includes();
  ASSERT_GT(includes.size(), 100u) << "the sources are not where they are looked for: " << HEBB_SOURCE_DIR;
  for (const Include& include : includes) EXPECT_EQ(offence(include), "");
}

TEST(Layering, TheTableHasNoCycles) {
  std::set<std::string> done, open;
  const std::function<bool(const std::string&)> visit = [&](const std::string& folder) {
    if (done.contains(folder)) return true;
    if (!open.insert(folder).second) return false;
    if (const auto row = kMayInclude.find(folder); row != kMayInclude.end())
      for (const std::string& next : row->second)
        if (next != "*" && !next.ends_with(".h") && !visit(next)) return false;
    open.erase(folder);
    done.insert(folder);
    return true;
  };
  for (const auto& [folder, allowed] : kMayInclude) EXPECT_TRUE(visit(folder)) << folder;
}

TEST(Layering, OffencesAreFound) {
  EXPECT_NE(offence({"compiler/sema/check.cpp", "compiler/program/program.h"}), "");
  EXPECT_NE(offence({"compiler/support/text.cpp", "compiler/ast/ast.h"}), "");
  EXPECT_NE(offence({"compiler/program/verify.cpp", "runtime/simulation.h"}), "");
  EXPECT_NE(offence({"compiler/lower/lower.cpp", "llvm/IR/Module.h"}), "");
  EXPECT_NE(offence({"compiler/parse/limits.cpp", "antlr4-runtime.h"}), "");
  EXPECT_NE(offence({"compiler/sema/check.cpp", "Eigen/Dense"}), "");
  EXPECT_NE(offence({"compiler/new_folder/x.cpp", "compiler/ast/ast.h"}), "");
  EXPECT_EQ(offence({"compiler/parse/parse.cpp", "antlr4-runtime.h"}), "");
  EXPECT_EQ(offence({"runtime/linear.cpp", "Eigen/Dense"}), "");
  EXPECT_EQ(offence({"compiler/program/kernels.h", "runtime/hebb_abi.h"}), "");
  EXPECT_EQ(targets("#include <a.h>\n  # include \"b/c.h\"  // why\n#define x\nint include;\n"),
            (std::vector<std::string>{"a.h", "b/c.h"}));
}

}  // namespace
