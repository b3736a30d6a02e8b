#pragma once
// Evaluates experiments and tests: `let` is a definition that is evaluated when somebody asks,
// `run` lowers, compiles and simulates a network, `protocol` drives one synapse.

#include <atomic>
#include <iosfwd>
#include <memory>

#include "compiler/ast/ast.h"
#include "compiler/experiment/value.h"
#include "compiler/model/model.h"
#include "compiler/program/kernels.h"
#include "compiler/support/diagnostic.h"

namespace hebb {

class CudaDevice;   // runtime/device/device.h
class RunStore;

struct ExperimentOptions {
  uint64_t seed = 1;
  bool seed_given = false;              // on the command line: wins over `with (seed = …)`
  int threads = 1;
  std::optional<Precision> precision;   // none: float for `run`, double for `protocol`
  /// Auto: compiled, or interpreted where that is over before code would be ready. No bit depends on it.
  enum class Engine { Auto, Jit, Interpreter } engine = Engine::Auto;
  std::string output_folder;            // `-o`; empty: the current folder
  std::string data_folder;              // `load` looks beside the source file
  bool tell_seeds = false;              // on the notes: those of what is drawn
  std::ostream* notes = nullptr;        // "wrote digits_pca.npz"; none: nothing is said
  std::shared_ptr<const CudaDevice> device;   // where networks run; null: on the CPU
  int level = 3;                        // of optimisation, 0…3
  std::string program;                  // "hebb 0.1.0": into saved files
  std::string command;                  // as it was given: into records of runs
  std::string recipe;                   // what makes the same numbers again: into saved files
  const ast::File* file = nullptr;      // whose `fun`s and array constants the actions may use
  uint64_t max_memory = uint64_t{2} << 30;  // bytes a gradient may keep
  uint64_t device_memory = UINT64_MAX;  // the same on a device: no more than is free there
  std::string checkpoint;               // file a fit writes its state to now and then; empty: none
  bool resume = false;                  // go on from `checkpoint`
  int64_t* fits_begun = nullptr;        // of all experiments of a command: the files of their states are numbered by it
  RunStore* store = nullptr;            // where runs are kept for going on; see run_store.h
  bool report = false;                  // print the report of every fit
  bool progress = false;                // a line that changes while a fit goes on,
  int (*columns)() = nullptr;           // on a terminal of so many
  const std::atomic<bool>* interrupted = nullptr;  // set by Ctrl-C: a run ends after its step
};

/// 0 done, 1 the file is wrong, 3 a number is (NaN, divergence, a failed assert).
enum class Outcome { Ok = 0, BadFile = 1, BadFileOrUsage = 2, NumericFailure = 3 };

/// Runs one experiment; prints go to `out`. Mistakes are reported with their span.
Outcome run_experiment(const Model& model, const ast::ExperimentDecl& experiment, const Sources& sources,
                       const ExperimentOptions& options, std::ostream& out, Diagnostics& diags);

struct TestResult {
  std::string title;
  bool passed = false;
};
/// Runs one `test` block: passes when every assert holds.
TestResult run_test(const Model& model, const ast::TestDecl& test, const Sources& sources,
                    const ExperimentOptions& options, std::ostream& out, Diagnostics& diags);

/// Actions on behalf of a host, which gives some of the names; then the lets called `results`, in that order. Those that
/// cannot be had are reported and left out.
std::vector<std::pair<std::string, Value>> evaluate_actions(const Model& model, const std::vector<ast::Action>& actions,
                                                            const std::map<std::string, Tensor>& given,
                                                            const std::vector<std::string>& results, const Sources& sources,
                                                            const ExperimentOptions& options, std::ostream& out,
                                                            Diagnostics& diags);

/// Names and forms inside experiments and tests that can be checked without running.
void check_actions(const Model& model, const ast::File& file, Diagnostics& diags);

}  // namespace hebb
