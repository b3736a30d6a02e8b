#pragma once
// One start of a fit: where it is, and how each method goes on from there. What the loss says is asked for, so that
// several starts may be answered at once.

#include "compiler/experiment/fit.h"
#include "compiler/experiment/fit_task.h"
#include "compiler/experiment/grad_tangent.h"
#include "runtime/fit/fit_state.h"
#include "runtime/fit/transform.h"

namespace hebb {

/// One free number: element `element` of target `target`.
struct Free {
  size_t target, element;
  Interval interval;
};

/// What all starts of a fit have in common.
struct FitPlan {
  FitOptions options;
  std::vector<Free> free;
  std::vector<int64_t> training;   // recordings
  int64_t recordings = 1;          // with those held out
  int64_t per_update = 1, per_epoch = 1, steps = 0;
  bool whole = true;               // every update sees every recording
  bool forward = false;            // gradients come from forward derivatives
};

class FitStart {
 public:
  /// Goes on from `state`.
  FitStart(const FitPlan& plan, std::vector<Target> targets, StartState state);
  FitStart(const FitStart&) = delete;

  /// One update, and what follows the last one; afterwards `state` can be kept for going on.
  Task<bool> update();

  struct Question {
    LossQuestion loss;
    bool tangent = false;          // asked of LossTangent
  };
  /// What it waits for; null: nothing.
  const Question* question() const { return waiting_ ? &question_ : nullptr; }
  std::span<const Target> targets() const { return targets_; }
  /// No answer: it diverged, which the question was told, or a mistake was reported.
  void answer(std::optional<LossValue> value);
  void answer(std::optional<SecondOrder> value);

  const StartState& state() const { return s_; }
  bool failed() const { return failed_; }      // a mistake was reported
  double loss() const { return loss_; }        // of the last update
  double norm() const { return norm_; }        // of its gradient
  /// Of each target: some derivative of the loss was not zero; empty: none was asked for.
  const std::vector<bool>& reached() const { return reached_; }
  /// The element of a target that free number i is: 'Net.S.theta[1, 0]'.
  std::string name_of(size_t i) const;

 private:
  struct Answer {
    double loss = 0;
    std::vector<double> gradient;
  };
  struct Asking {
    FitStart& start;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { start.waiting_ = waiting; }
    void await_resume() noexcept {}
  };

  void put(const std::vector<double>& x);
  void move_inside(std::vector<double>& x) const;
  Lanes lanes_of(const std::vector<int64_t>& chosen) const;
  void prepare(const std::vector<double>& x, const Lanes& lanes, bool gradient, bool tangent);
  void resume();
  /// None: it diverged, what is kept in `why_`, or a mistake was reported. Arguments outlive it.
  Task<std::optional<Answer>> ask(const std::vector<double>& x, const Lanes& lanes, bool gradient);

  Task<bool> first_order();
  /// False: no better score for too long.
  Task<bool> end_of_epoch();
  Task<bool> quasi_newton();
  Task<bool> gauss_newton();
  Task<bool> end();
  void keep(double score, const std::vector<double>& x);
  void note_loss(double loss);
  void note_stop();

  const FitPlan& plan_;
  std::vector<Target> targets_;
  StartState s_;
  Question question_;
  std::coroutine_handle<> waiting_;
  std::optional<LossValue> value_;
  std::optional<SecondOrder> second_;
  bool failed_ = false;
  std::string why_;
  std::vector<double> last_gradient_;
  std::vector<bool> reached_;
  void note_reached(const std::vector<double>& gradient);
  double loss_ = 0, norm_ = 0;
};

}  // namespace hebb
