#pragma once
// A fit under way: its starts, and what is kept of it for going on.

#include <chrono>
#include <memory>

#include "compiler/experiment/fit_start.h"

namespace hebb {

class Fitting {
 public:
  /// `without_data`: by recording.
  Fitting(Evaluation& e, const ast::Fit& fit, LossProblem& problem, FitOptions options, std::vector<Free> free,
          const std::vector<bool>& without_data);

  /// False: reported.
  bool run();
  void summary();

 private:
  using Clock = std::chrono::steady_clock;
  /// A start, and its update under way.
  struct Going {
    int64_t number = 0;
    std::unique_ptr<FitStart> start;
    std::optional<Task<bool>> update;
  };

  bool interrupted() const { return e_.options.interrupted && *e_.options.interrupted; }
  /// Gradients of first order from forward derivatives: cheaper than going back when there are few directions. They
  /// are in double.
  bool forward_mode() const;
  /// How many starts go on at once: as many as fill vectors where their runs may share them.
  int64_t starts_at_once() const;

  int64_t all_starts() const { return plan_.options.restarts + 1; }
  StartState begin_start(int64_t number) const;
  void fill_places();
  /// One update of every start that goes on.
  void update_all();
  void answer_questions();
  /// The best of all starts; none: nothing was found.
  std::optional<size_t> best_start() const;
  /// False: no start found anything.
  bool report_stops();

  double done() const;             // of the updates of all starts, those that ended early included
  void show_progress();
  void clear_progress();
  std::string state_file() const;
  FitIdentity identity() const;
  /// False: reported, once.
  bool save(bool now);
  /// False: reported.
  bool resume();
  bool begin_anew();
  std::string share_at_bounds();
  std::string memory_text() const;

  Evaluation& e_;
  const ast::Fit& fit_;
  LossProblem& problem_;
  FitPlan plan_;
  std::vector<double> first_;      // free numbers of the first start
  std::optional<LossTangent> tangent_;
  FitState s_;
  std::vector<bool> reached_;      // of each target: the loss moved with it
  int64_t at_once_ = 1;
  std::vector<Going> places_;      // a place without a start is free
  bool showing_ = false;
  FitIdentity identity_;   // of the file of its state
  Clock::time_point began_, shown_, saved_;
  double done_before_ = 0;         // when this process began
};

}  // namespace hebb
