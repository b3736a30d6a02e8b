#pragma once
// A fit under way: its starts, its updates, and what is kept of it for going on.

#include <chrono>

#include "compiler/experiment/fit.h"
#include "compiler/experiment/grad_tangent.h"
#include "runtime/fit/fit_state.h"
#include "runtime/fit/transform.h"

namespace hebb {

/// One free number: element `element` of target `target`.
struct Free {
  size_t target, element;
  Interval interval;
};

class Fitting {
 public:
  Fitting(Evaluation& e, const ast::Fit& fit, LossProblem& problem, FitOptions options, std::vector<Free> free);

  /// False: reported.
  bool run();
  void summary();

 private:
  struct Answer {
    double loss = 0;
    std::vector<double> gradient;
  };
  using Clock = std::chrono::steady_clock;

  static std::string digits(double value);
  bool interrupted() const { return e_.options.interrupted && *e_.options.interrupted; }

  // --- free numbers and targets --------------------------------------------------------------------

  std::vector<double> x_of_targets() const;
  void put(const std::vector<double>& x);
  void move_inside(std::vector<double>& x) const;
  Lanes lanes_of(const std::vector<int64_t>& chosen) const;

  /// Gradients of first order from forward derivatives: cheaper than going back when there are few directions. They
  /// are in double.
  bool forward_mode() const;
  std::optional<LossValue> value_and_gradient(const LossQuestion& question);

  /// What diverged is kept in `why_`; a mistake is reported and ends the fit.
  std::optional<Answer> ask(const std::vector<double>& x, const Lanes& lanes, bool gradient);
  std::string name_of(size_t i) const;

  // --- starts --------------------------------------------------------------------------------------

  void begin_start(const std::vector<double>& start);
  void end_start();
  void next_start(const std::vector<double>&);
  void keep(double score, const std::vector<double>& x);

  // --- updates -------------------------------------------------------------------------------------

  bool update();
  void report_stop();
  bool first_order();

  /// False: no better score for too long.
  bool end_of_epoch();
  void note_loss(double loss);
  bool quasi_newton();
  bool gauss_newton();

  // --- progress and state --------------------------------------------------------------------------

  void show_progress();
  void clear_progress();
  std::string state_file() const;
  uint64_t fingerprint() const;
  void save(bool now);
  bool resume();
  std::string share_at_bounds();

  Evaluation& e_;
  const ast::Fit& fit_;
  LossProblem& problem_;
  FitOptions options_;
  std::vector<Free> free_;
  std::vector<int64_t> training_;
  int64_t per_update_ = 1, per_epoch_ = 1, steps_ = 0;
  bool whole_ = true;              // every update sees every recording
  std::optional<LossTangent> tangent_;
  FitState s_;
  bool stop_ = false, failed_ = false, showing_ = false;
  std::string why_;
  std::vector<double> last_gradient_;
  double loss_ = 0, norm_ = 0;
  Clock::time_point began_, shown_, saved_;
};

}  // namespace hebb
