#pragma once
// fit PATHS minimize LOSS with (…), and report(PATH).

#include "compiler/experiment/grad.h"
#include "runtime/fit/optimiser.h"

namespace hebb {

void perform_fit(Evaluation& e, const ast::Fit& fit);

/// Lets that read a run of a network with one of these paths, or a path, are evaluated anew.
void forget_lets(Evaluation& e, const std::set<std::string>& paths);

/// What the last fit of a path can and cannot know: a table whose text is the report.
std::optional<Value> evaluate_report(Evaluation& e, const ast::Call& call, Span span);

// --- options -------------------------------------------------------------------------------------------

enum class GradientMode { Auto, Reverse, Forward };

struct FitOptions {
  Method method = Method::Adam;
  GradientMode gradient = GradientMode::Auto;
  double lr = 1e-3;
  std::optional<int64_t> steps, epochs;
  std::optional<double> clip;
  Schedule schedule = Schedule::Constant;
  int64_t batch = 0;                       // recordings per update; 0: all
  int64_t restarts = 0;
  double spread = 0.1;
  uint64_t seed = 1;
  int64_t burn_in = 0;
  std::vector<int64_t> validation;
  std::optional<int64_t> patience;
  double tol = 0;
  Precision precision = Precision::Float64;
  bool report = false;
  struct Given {
    Tensor value;
    Span span;
  };
  std::map<std::string, Given> start, fixed;   // by path
};
/// Names of options, for `check`; words are values that are no expressions.
const std::vector<std::string>& fit_option_names();
bool fit_option_is_word(const std::string& name);
/// What somebody may have meant: a slip of the pen, or what others call it.
std::optional<std::string> fit_option_meant(const std::string& name);
/// "start.S.theta"
std::string setting_path(const ast::Path& path);

/// None: reported.
std::optional<FitOptions> read_fit_options(Evaluation& e, const ast::Fit& fit, std::span<const Target> targets);

/// The paths of a fit, looked up; none: reported.
std::optional<std::vector<Target>> fit_targets(Evaluation& e, const ast::Fit& fit);

}  // namespace hebb
