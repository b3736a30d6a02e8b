#pragma once
// How the recordings of a loss move with each element of what is fitted: forward mode, for second-order
// fits and for what a fit can know.

#include "compiler/experiment/grad.h"

namespace hebb {

/// The loss to second order: value, gradient and Gauss–Newton matrix J' H J over all elements of the targets, in order,
/// where J are derivatives of recordings and H is the curvature of the loss in them.
struct SecondOrder {
  double loss = 0;
  std::vector<double> gradient;
  std::vector<double> matrix;      // n × n
  std::vector<LikelihoodTerm> terms;
};

/// Every target is one value for all neurons and synapses of a recording.
bool has_tangent(const LossProblem& problem);

class LossTangent {
 public:
  /// Reports what has no forward derivative: a target that is not one value for a whole run.
  static std::optional<LossTangent> create(Evaluation& e, LossProblem& problem);
  LossTangent(LossTangent&&) noexcept;
  LossTangent& operator=(LossTangent&&) noexcept;
  ~LossTangent();
  /// None: reported, or said in question.diverged.
  std::optional<SecondOrder> evaluate(Evaluation& e, LossProblem& problem, const LossQuestion& question);
  /// As evaluate_together.
  std::vector<std::optional<SecondOrder>> evaluate_together(Evaluation& e, LossProblem& problem, std::span<const Asked> asked);
  /// Recordings that shared vectors in some evaluation; 1: none did.
  int64_t together() const;

 private:
  struct State;
  explicit LossTangent(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hebb
