#pragma once
// A loss as a graph over arrays: leaves are recordings of runs and fitted paths, everything else is
// constant. Values come from the functions of experiments themselves; each step has a rule that pulls an
// adjoint back to its operands.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compiler/experiment/evaluate.h"
#include "compiler/experiment/tensor.h"

namespace hebb {

/// What a loss is a function of.
struct LossLeaf {
  const ast::Run* run = nullptr;   // a recording of this run, or
  std::string name;                // "Y.r"; the path, "Net.S.theta", where there is no run
  bool final = false;              // only the value after the last step
  Span span;
};

struct LossNode {
  using Operands = std::span<const Tensor* const>;
  std::vector<int> operands;
  std::optional<Tensor> constant;
  int leaf = -1;
  /// None: reported.
  std::function<std::optional<Tensor>(Evaluation&, Operands)> value;
  /// Adds to `into[k]`, null where operand k is constant. Empty: the derivative is zero.
  std::function<void(Operands, const Tensor& value, const Tensor& adjoint, std::span<Tensor* const> into)> pull;
  Span span;
  /// For `report`: how a mean over independent terms is to be read.
  enum class Likelihood { None, Gaussian, Bernoulli } likelihood = Likelihood::None;
  /// What it does with the first axis of its operands: each entry by itself, one number over all of them in which
  /// missing ones do not count, or anything.
  enum class OverLanes { Unknown, Elementwise, Whole } lanes = OverLanes::Unknown;
};

struct LossGraph {
  std::vector<LossNode> nodes;   // operands first; the last one is the loss
  std::vector<LossLeaf> leaves;
};

/// The value of each node.
using LossTape = std::vector<Tensor>;

struct LossCut;
/// None: reported (shapes, dimensions). `cut`: of some recordings only, whose entries `leaves` hold.
/// `became_nan`: where to say, instead, what is computed element by element and is nan where nothing it is computed from is: "'log(y)' became
/// nan at [3]". A mean over data leaves such terms out, and a model that fails would look better than it is.
std::optional<LossTape> evaluate_loss(Evaluation& e, const LossGraph& graph, std::span<const Tensor> leaves,
                                      const LossCut* cut = nullptr, std::string* became_nan = nullptr);
/// d(loss)/d(leaf), in the shape of each leaf. The loss is one number.
std::vector<Tensor> pull_loss(const LossGraph& graph, const LossTape& tape);

/// A mean over independent terms inside a loss: what makes its curvature a Fisher information.
struct LikelihoodTerm {
  LossNode::Likelihood kind;
  double mean = 0;      // its value
  double terms = 0;     // how many are not missing
  double weight = 0;    // d(loss)/d(mean)
};
std::vector<LikelihoodTerm> likelihood_terms(const LossGraph& graph, const LossTape& tape);

/// How a function of experiments is pulled back; none: it has no derivative here. `none` and zero differ:
/// floor has derivative zero.
struct PullRule {
  bool found = false;
  decltype(LossNode::pull) pull;
  LossNode::Likelihood likelihood = LossNode::Likelihood::None;
  LossNode::OverLanes lanes = LossNode::OverLanes::Unknown;
};
/// `axis`: of a reduction, none: over everything.
PullRule pull_of_function(const std::string& name, std::optional<int64_t> axis);
PullRule pull_of_binary(ast::BinaryOp op);
decltype(LossNode::pull) pull_of_unary(ast::UnaryOp op);
/// Condition, then, else.
decltype(LossNode::pull) pull_of_select();
decltype(LossNode::pull) pull_of_slice(std::vector<AxisRange> ranges);
decltype(LossNode::pull) pull_of_stack();
/// The same values in another shape.
decltype(LossNode::pull) pull_of_reshape();

}  // namespace hebb
