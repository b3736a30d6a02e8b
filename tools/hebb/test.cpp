#include <algorithm>
#include <filesystem>
#include <iostream>

#include "compiler/support/text.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

struct Tally {
  int passed = 0;
  int failed = 0;
  bool wrong = false;  // a file that does not compile
  bool unreadable = false;
};

/// Folders stand for all .hebb files below them, in order.
std::vector<std::string> all_files(const std::vector<std::string>& given) {
  std::vector<std::string> out;
  for (const std::string& path : given) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      out.push_back(path);
      continue;
    }
    std::vector<std::string> below;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error))
      if (entry.path().extension() == ".hebb") below.push_back(entry.path().string());
    std::sort(below.begin(), below.end());
    out.insert(out.end(), below.begin(), below.end());
  }
  return out;
}

void line(const Options& options, bool passed, const std::string& text) {
  if (options.quiet && passed) return;
  std::cout << (passed ? "ok      " : "FAILED  ") << escape_for_terminal(text) << '\n' << std::flush;
}

void test_file(const std::string& path, const Options& options, const CheckOptions& check,
               ExperimentOptions settings, Tally& tally) {
  Sources sources;
  Diagnostics diags;
  const auto file = read_source(sources, path);
  if (!file) {
    tally.unreadable = true;
    return;
  }
  const Compilation compilation = compile(sources, *file, check, diags);
  if (!diags.has_errors()) check_actions(compilation.model, compilation.file, diags);
  show(diags, sources, options);
  if (diags.has_errors()) {
    ++tally.failed;
    tally.wrong = true;
    line(options, false, cat(path, ": the file is wrong"));
    return;
  }
  settings.file = &compilation.file;
  for (const ast::Item& item : compilation.file.items) {
    const auto* test = std::get_if<ast::TestDecl>(&item);
    if (!test || interrupted()) continue;
    if (!options.name.empty() && test->title.find(options.name) == std::string::npos) continue;
    Diagnostics found;
    const TestResult result = hebb::run_test(compilation.model, *test, sources, settings, std::cout, found);
    ++(result.passed ? tally.passed : tally.failed);
    line(options, result.passed, cat(path, ": ", result.title));
    show(found, sources, options);
  }
}

}  // namespace

int run_test(const Options& options) {
  const auto check = check_options(options);
  const auto settings = experiment_options(options);
  if (!check || !settings) return kUsage;
  watch_for_interrupts();
  Tally tally;
  for (const std::string& path : all_files(options.files)) {
    if (interrupted()) return kInterrupted;
    test_file(path, options, *check, *settings, tally);
  }
  std::cout << tally.passed << " passed, " << tally.failed << " failed\n" << std::flush;
  if (interrupted()) return kInterrupted;
  if (tally.wrong) return kBadFile;
  if (tally.unreadable) return kUsage;
  return tally.failed > 0 ? kNumeric : kDone;
}

}  // namespace hebb::tool
