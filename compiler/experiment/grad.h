#pragma once
// grad(loss, path): the loss, its runs and what is differentiated, put together. `fit` works on the same.

#include "compiler/experiment/grad_run.h"
#include "compiler/experiment/loss_lanes.h"
#include "compiler/experiment/loss_trace.h"

namespace hebb {

/// 'Net.S.theta' names something of a network; else that is reported.
bool check_path(const Model& model, const std::string& path, Span span, Diagnostics& diags);
/// 'Net.S.theta' looked up; none: reported.
std::optional<Target> find_target(Evaluation& e, const std::string& path, Span span);

/// The value of a path that nobody fitted: as the network declares it, drawn with the experiment's seed.
std::optional<Tensor> path_value(Evaluation& e, const std::string& path, Span span);

/// The shape of that; with no regard to what was fitted.
std::optional<Extents> declared_shape(Evaluation& e, const Target& target);

/// A loss ready to be evaluated and differentiated at any value of its targets.
struct LossProblem {
  LossGraph graph;
  std::vector<Target> targets;
  std::vector<RunGradient> runs;
  std::vector<int> leaf_target;    // by leaf: the target it is, or -1
  std::optional<std::vector<bool>> cut;   // of `constants_by_lane`; none: every evaluation looks at all recordings
  Span span;

  int64_t lanes() const;           // of the batch; 1 when no run is one
  /// From now on up to `copies` questions may be asked at once: runs of all of them share vectors as recordings do.
  void repeat(int64_t copies);
};
/// None: reported. Leaves the values of the targets in e.fitted.
std::optional<LossProblem> make_problem(Evaluation& e, const ast::Expr& loss, std::vector<Target> targets,
                                        const RunGradient::Options& options);

struct LossValue {
  double loss = 0;
  std::vector<Tensor> gradients;   // by target; empty when not asked for
  std::vector<LikelihoodTerm> terms;   // when asked for
};
struct LossQuestion {
  Lanes lanes;                     // empty: all
  int64_t burn_in = 0;
  bool gradient = true;
  bool terms = false;              // with the gradient: the independent terms of the loss
  bool matrix = true;              // of LossTangent: the curvature too
  std::string* diverged = nullptr; // where to say what became infinite, instead of reporting it
};
/// One of several questions that are asked at once.
struct Asked {
  const LossQuestion* question = nullptr;   // none: nothing is asked here
  std::span<const Target> targets;          // with the values to evaluate it at
};
/// Leaves that are paths, by question; none where nothing is asked.
OfQuestions leaves_of(const LossProblem& problem, std::span<const Asked> asked);
/// The recordings of the question alone; none: the loss looks at all.
std::optional<LossCut> cut_of(const LossProblem& problem, const LossQuestion& question);
/// False: reported.
bool is_one_number(Evaluation& e, const LossProblem& problem, const Tensor& loss);
/// The loss of a question. None: something of the loss itself became nan, said in `diverged` of the question, or reported.
std::optional<LossTape> evaluate_question(Evaluation& e, const LossProblem& problem, const LossQuestion& question,
                                          std::span<const Tensor> leaves, const LossCut* cut);
/// Whether what was asked and not answered was said in the question: then it diverged.
bool said_in(const LossQuestion& question);
/// None: reported.
std::optional<LossValue> evaluate_problem(Evaluation& e, LossProblem& problem, const LossQuestion& question);
/// At most as many questions as `repeat` was told. None: not asked, diverged (said in `diverged` of the question), or, where
/// that says nothing, reported.
std::vector<std::optional<LossValue>> evaluate_together(Evaluation& e, LossProblem& problem, std::span<const Asked> asked);

std::optional<Value> evaluate_grad(Evaluation& e, const ast::Call& call, Span span);

}  // namespace hebb
