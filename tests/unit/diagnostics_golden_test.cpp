// Wrong programs: one file per kind of diagnostic in tests/diagnostics, with the text a user sees.
// HEBB_UPDATE_GOLDEN=1 writes the texts anew. `# set NAME=VALUE` in a file's first line stands for --set.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "compiler/experiment/experiment.h"
#include "compiler/pipeline.h"
#include "compiler/support/diagnostic.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(HEBB_SOURCE_DIR) / "tests" / "diagnostics";

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

/// "E03" of E03.hebb and of E03_same_train.hebb
std::string code_of(const fs::path& path) { return path.stem().string().substr(0, 3); }

std::vector<fs::path> wrong_programs() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".hebb") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

struct Checked {
  Sources sources;
  Diagnostics diags;
};

/// R and F: mistakes that show only when an experiment runs or data is read.
bool runs(const fs::path& path) { return code_of(path)[0] == 'R' || code_of(path)[0] == 'F'; }

void run_actions(const Compilation& compilation, Checked& checked) {
  ExperimentOptions options;
  options.engine = ExperimentOptions::Engine::Interpreter;
  std::ostringstream out;
  for (const ast::Item& item : compilation.file.items) {
    if (const auto* experiment = std::get_if<ast::ExperimentDecl>(&item)) {
      run_experiment(compilation.model, *experiment, checked.sources, options, out, checked.diags);
    }
    if (const auto* test = std::get_if<ast::TestDecl>(&item)) {
      run_test(compilation.model, *test, checked.sources, options, out, checked.diags);
    }
  }
}

void check_program(const fs::path& path, Checked& checked) {
  const std::string text = read(path);
  CheckOptions options;
  options.std_root = (fs::path(HEBB_SOURCE_DIR) / "stdlib").string();
  if (text.starts_with("# set ")) {
    const std::string setting = text.substr(6, text.find('\n') - 6);
    const size_t equals = setting.find('=');
    options.sets[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  // The bare name is what messages show; imports are looked up in the current folder then.
  const FileId id = checked.sources.add(path.filename().string(), text);
  const Compilation compilation = compile(checked.sources, id, options, checked.diags);
  if (checked.diags.has_errors()) return;
  check_actions(compilation.model, compilation.file, checked.diags);
  if (!checked.diags.has_errors() && runs(path)) run_actions(compilation, checked);
}

class WrongProgram : public testing::TestWithParam<fs::path> {};

TEST_P(WrongProgram, SaysItsGoldenText) {
  const fs::path path = GetParam();
  fs::current_path(kFolder);
  Checked checked;
  check_program(path, checked);
  ASSERT_EQ(checked.diags.size(), 1u) << "one root cause, one diagnostic:\n"
                                      << render(checked.diags, checked.sources, {});
  EXPECT_EQ(info(checked.diags.all()[0].kind).code, code_of(path));
  const std::string text = render(checked.diags, checked.sources, {});
  fs::path golden = path;
  golden.replace_extension(".txt");
  if (std::getenv("HEBB_UPDATE_GOLDEN") != nullptr) std::ofstream(golden, std::ios::binary) << text;
  EXPECT_EQ(text, read(golden)) << "HEBB_UPDATE_GOLDEN=1 accepts the new text";
}

INSTANTIATE_TEST_SUITE_P(All, WrongProgram, testing::ValuesIn(wrong_programs()),
                         [](const auto& param) { return param.param.stem().string(); });

/// Kinds that arise only while running or reading data: "R01 tests/behaviour/diverged_test.cpp".
std::map<std::string, std::string> elsewhere() {
  std::map<std::string, std::string> out;
  std::istringstream lines(read(kFolder / "elsewhere.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    const size_t space = line.find(' ');
    out[line.substr(0, space)] = space == std::string::npos ? "" : line.substr(space + 1);
  }
  return out;
}

TEST(Diagnostics, EveryKindHasAWrongProgram) {
  std::set<std::string> covered;
  for (const fs::path& path : wrong_programs()) covered.insert(code_of(path));
  const auto other = elsewhere();
  std::set<std::string> codes;
  for (const DiagInfo& kind : all_diagnostics()) {
    const std::string code(kind.code);
    EXPECT_TRUE(codes.insert(code).second) << code << " is the code of two kinds";
    if (covered.contains(code)) continue;
    const auto test = other.find(code);
    if (test == other.end()) ADD_FAILURE() << code << " (" << kind.title << ") has no file tests/diagnostics/" << code << ".hebb";
    else EXPECT_TRUE(fs::exists(fs::path(HEBB_SOURCE_DIR) / test->second)) << code << ": no file " << test->second;
  }
  for (const auto& [code, test] : other) EXPECT_TRUE(codes.contains(code)) << code << " in elsewhere.txt is no kind";
}

}  // namespace
}  // namespace hebb
