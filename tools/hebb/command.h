#pragma once
// What the subcommands share: options, exit codes, reading sources, printing diagnostics.

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/experiment/experiment.h"
#include "compiler/pipeline.h"
#include "compiler/support/diagnostic.h"

namespace hebb::tool {

/// Exit codes; the numbers are part of the interface.
enum Exit : int {
  kDone = 0,
  kBadFile = 1,        // the rule file is wrong
  kUsage = 2,          // the command line, a file or a setting is
  kNumeric = 3,        // NaN, divergence, a failed assert or test
  kInternal = 70,      // a bug of ours
  kInterrupted = 130,  // Ctrl-C
};

struct Options {
  std::string command;                   // as it was given
  std::string file;                      // of subcommands that take one
  std::vector<std::string> files;        // of those that take several
  std::string name;                      // of an experiment or a network
  std::string message_format = "human";
  std::string colour = "auto";
  size_t error_limit = 20;
  bool quiet = false, verbose = false;
  std::vector<std::string> sets;         // NAME=VALUE
  std::string seed;                      // a number, "random", or empty
  int threads = 1;
  std::string precision;                 // float, double, or empty
  std::string engine = "auto";           // auto, jit, interpreter
  std::string device = "cpu";            // cpu, cuda, auto
  int level = 3;
  std::string max_memory;                // of gradients
  std::string checkpoint;                // of fits and runs
  std::string every;                     // a checkpoint of runs; empty: 60s
  bool resume = false, report = false;
  std::string output;
  std::string emit;
  std::string target;                    // build
  bool vjp = false;                      // build
  bool check = false, diff = false;      // fmt; check: grad
  bool latex = false;                    // grad
};

int run_check(const Options& options);
int run_run(const Options& options);
int run_build(const Options& options);
int run_explain(const Options& options);
int run_fmt(const Options& options);
int run_grad(const Options& options);
int run_test(const Options& options);
int run_doctor(const Options& options);

// --- shared pieces ------------------------------------------------------------------------------------

std::string version();   // "hebb 0.1.0"

/// Prints "hebb: …" to stderr; returns kUsage.
int usage_error(const std::string& message, const std::string& help = {});

/// The text of a file, or of stdin for "-". Reports and returns nothing when it cannot be read.
std::optional<FileId> read_source(Sources& sources, const std::string& path);

/// What sema needs; reports and returns nothing when a --set is not NAME=VALUE.
std::optional<CheckOptions> check_options(const Options& options);

/// A file that was read and compiled.
struct Opened {
  FileId file;
  Compilation compilation;
};
/// The file of the options, whose diagnostics are shown; none: `failure` is what to return.
std::optional<Opened> open_file(const Options& options, int& failure);

RenderOptions render_options(const Options& options);
/// Diagnostics to stderr.
void show(const Diagnostics& diags, const Sources& sources, const Options& options);

/// Options of an experiment or test; reports and returns nothing for a bad seed.
std::optional<ExperimentOptions> experiment_options(const Options& options);

/// The folder of `std.` imports.
std::string std_root();

std::optional<Precision> precision_of(const std::string& name);

/// "60s", "500ms", "10min", "1.5h" in seconds; nothing: it is no time.
std::optional<double> seconds_of(const std::string& text);

/// Set by the first Ctrl-C; the second ends the process.
const std::atomic<bool>& interrupted();
void watch_for_interrupts();
/// A failed assert or a crash ends with a request to report it, and exit code 70.
void watch_for_crashes();

/// The long text of a diagnostic: why it is a mistake, and what is right (which may be empty).
struct CodeText {
  std::string_view code, why, right;
};
const CodeText* code_text(std::string_view code);

}  // namespace hebb::tool
