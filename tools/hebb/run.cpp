#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <unistd.h>

#include "compiler/experiment/run_store.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "runtime/fit/fit_state.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

std::vector<const ast::ExperimentDecl*> experiments_of(const ast::File& file) {
  std::vector<const ast::ExperimentDecl*> out;
  for (const ast::Item& item : file.items)
    if (const auto* experiment = std::get_if<ast::ExperimentDecl>(&item)) out.push_back(experiment);
  return out;
}

/// All, or the one that is named. Reports when there is none.
std::vector<const ast::ExperimentDecl*> chosen(const Options& options, const ast::File& file) {
  const auto all = experiments_of(file);
  if (all.empty()) {
    usage_error(cat(options.file, " has no experiment to run"),
                cat("its tests are run by  hebb test ", options.file));
    return {};
  }
  if (options.name.empty()) return all;
  std::vector<std::string> names;
  for (const auto* experiment : all) {
    if (experiment->name.text == options.name) return {experiment};
    names.push_back(experiment->name.text);
  }
  const auto near = did_you_mean(options.name, names);
  usage_error(cat(options.file, " has no experiment called ", quoted(options.name)),
              near ? cat("did you mean ", *near, "?") : cat("it has ", listed(names)));
  return {};
}

bool fits(const ast::ExperimentDecl& experiment) {
  bool any = false;
  ast::for_each_action(experiment.actions, [&](const ast::Action& action) { any = any || std::holds_alternative<ast::Fit>(action); });
  return any;
}

/// Why no file can be made in a folder; none: it can. `made`: the folder itself is made where it is missing.
std::optional<std::string> cannot_write_into(const std::filesystem::path& folder, bool made) {
  std::error_code ignored;
  std::filesystem::path there = folder.empty() ? "." : folder;
  while (made && !std::filesystem::exists(there, ignored) && there.has_relative_path())
    there = there.has_parent_path() ? there.parent_path() : ".";
  const bool other = std::filesystem::exists(there, ignored) && !std::filesystem::is_directory(there, ignored);
  if (!other && ::access(there.c_str(), W_OK | X_OK) == 0) return std::nullopt;
  return cat("cannot write into the folder ", quoted(folder.string()), ": ", std::strerror(other ? ENOTDIR : errno));
}

/// A file that is there and was no checkpoint: a data file, say, or the rules themselves, named by mistake.
bool holds_something_else(const std::string& name) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(name, ignored)) return false;
  std::ifstream file(name, std::ios::binary);
  std::string begin(std::max(kFitStateBegins.size(), kRunStateBegins.size()), '\0');
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  begin.resize(static_cast<size_t>(file.gcount()));
  return !begin.empty() && !begin.starts_with(kFitStateBegins) && !begin.starts_with(kRunStateBegins);
}

/// `checkpoint`, what lies beside it, and the states of further fits: 'state.1' and so on, as many as are there.
std::vector<std::string> states_of(const std::string& checkpoint) {
  std::vector<std::string> out = {checkpoint, runs_beside(checkpoint)};
  std::error_code ignored;
  for (int64_t k = 1; std::filesystem::exists(cat(checkpoint, ".", k), ignored); ++k) out.push_back(cat(checkpoint, ".", k));
  return out;
}

/// Asked before a run, not after hours of it.
std::optional<std::string> cannot_write(const Options& options) {
  if (!options.output.empty())
    if (auto why = cannot_write_into(options.output, true)) return why;
  if (options.checkpoint.empty()) return std::nullopt;
  for (const std::string& name : states_of(options.checkpoint))   // what --resume reads first says itself what it is not
    if ((!options.resume || name != options.checkpoint) && holds_something_else(name)) return cat(quoted(name), " is no checkpoint, and is not overwritten: name another file");
  std::error_code ignored;
  if (std::filesystem::is_directory(options.checkpoint, ignored)) return cat("cannot write ", quoted(options.checkpoint), ": ", std::strerror(EISDIR));
  return cannot_write_into(std::filesystem::path(options.checkpoint).parent_path(), false);
}

/// A wrong file matters more than a missing one, and that more than a number.
int worse(int a, int b) {
  for (const int code : {kBadFile, kUsage, kNumeric})
    if (a == code || b == code) return code;
  return kDone;
}

}  // namespace

int run_run(const Options& options) {
  const auto check = check_options(options);
  auto experiment_settings = experiment_options(options);
  if (!check || !experiment_settings) return kUsage;
  Sources sources;
  Diagnostics diags;
  const auto file = read_source(sources, options.file);
  if (!file) return kUsage;
  const Compilation compilation = compile(sources, *file, *check, diags);
  if (!diags.has_errors()) check_actions(compilation.model, compilation.file, diags);
  if (diags.has_errors()) {
    show(diags, sources, options);
    return kBadFile;
  }
  const auto experiments = chosen(options, compilation.file);
  if (experiments.empty()) return kUsage;
  if (const auto why = cannot_write(options)) return usage_error(*why);
  // What is drawn without it says its own seed.
  if (!options.quiet && experiment_settings->seed_given) std::cerr << "seed " << experiment_settings->seed << '\n';
  experiment_settings->tell_seeds = true;
  experiment_settings->file = &compilation.file;
  // A fit has a checkpoint of its own kind, under the same name: runs are kept beside it then.
  const bool keeps_runs = !options.checkpoint.empty();
  const bool beside = std::any_of(experiments.begin(), experiments.end(), [](const auto* e) { return fits(*e); });
  const std::string kept = beside ? runs_beside(options.checkpoint) : options.checkpoint;
  const auto every = seconds_of(options.every.empty() ? "60s" : options.every);
  if (!every) return usage_error(cat("--every takes a time, got ", quoted(options.every)), "for example --every 60s");
  RunStore store(kept, *every);
  if (keeps_runs) {
    experiment_settings->store = &store;
    if (!options.resume) {
      store.begin_anew();
    } else if (!beside || std::filesystem::exists(kept)) {
      if (const Status read = store.resume(); !read) return usage_error(read.error(), "without --resume the runs begin anew");
    }
  }
  if (options.resume)
    for (const std::filesystem::path& folder : {std::filesystem::path(options.output), std::filesystem::path(options.checkpoint).parent_path()})
      remove_leftovers(folder.empty() ? "." : folder.string());
  watch_for_interrupts();
  int64_t fits_begun = 0;
  experiment_settings->fits_begun = &fits_begun;
  int worst = kDone;
  for (const auto* experiment : experiments) {
    const Outcome outcome = run_experiment(compilation.model, *experiment, sources, *experiment_settings,
                                           std::cout, diags);
    worst = worse(worst, static_cast<int>(outcome));
    if (interrupted()) break;
  }
  show(diags, sources, options);
  if (!interrupted()) return worst;
  std::cerr << "hebb: interrupted\n";
  if (keeps_runs) std::cerr << "  go on with the same command and --resume\n";
  return kInterrupted;
}

}  // namespace hebb::tool
