#include "compiler/experiment/loss_curvature.h"

#include <algorithm>
#include <cmath>

namespace hebb {

namespace {

/// The slope between two gradients that are `apart`: the one above comes first.
void take_difference(std::vector<Tensor>& difference, std::vector<Tensor> gradient, bool above, double apart) {
  if (above) {
    difference = std::move(gradient);
    return;
  }
  for (size_t leaf = 0; leaf < gradient.size(); ++leaf)
    for (size_t i = 0; i < gradient[leaf].values.size(); ++i)
      difference[leaf].values[i] = (difference[leaf].values[i] - gradient[leaf].values[i]) / apart;
}

/// Each recording goes into one mean over independent terms by itself, and the loss into nothing else: then the
/// curvature in the recordings is diagonal, where that mean goes into the loss linearly.
bool may_be_diagonal(const LossGraph& graph) {
  std::vector<int> uses(graph.nodes.size());
  for (const LossNode& node : graph.nodes) {
    for (size_t k = 0; k < node.operands.size(); ++k) {
      const LossNode& operand = graph.nodes[node.operands[k]];
      if (operand.leaf < 0) continue;
      if (++uses[node.operands[k]] > 1 || k > 0 || node.likelihood == LossNode::Likelihood::None) return false;
      if (!graph.leaves[operand.leaf].run) return false;
      for (size_t other = 1; other < node.operands.size(); ++other)
        if (!graph.nodes[node.operands[other]].constant) return false;
    }
  }
  return true;
}

/// The diagonal of the curvature of the loss in the recordings; none: it is not diagonal.
std::optional<std::vector<Tensor>> diagonal_curvature(Evaluation& e, const LossGraph& graph, const std::vector<Tensor>& leaves,
                                                      const std::vector<LikelihoodTerm>& here, const LossCut* cut) {
  if (!may_be_diagonal(graph)) return std::nullopt;
  constexpr double kStep = 1e-4;
  std::vector<Tensor> difference;
  for (const double sign : {1.0, -1.0}) {
    std::vector<Tensor> moved = leaves;
    for (Tensor& leaf : moved)
      for (double& value : leaf.values) value += sign * kStep;
    const auto there = evaluate_loss(e, graph, moved, cut);
    if (!there) return std::nullopt;
    const std::vector<LikelihoodTerm> terms = likelihood_terms(graph, *there);
    for (size_t k = 0; k < terms.size(); ++k)
      if (terms[k].weight != here[k].weight) return std::nullopt;
    std::vector<Tensor> gradient = pull_loss(graph, *there);
    take_difference(difference, std::move(gradient), sign > 0, 2 * kStep);
  }
  return difference;
}

/// Of elements k and l, where the curvature in the recordings is diagonal.
double curvature_along(const std::vector<Tensor>& diagonal, const Slopes& slopes, size_t k, size_t l) {
  double sum = 0;
  for (size_t leaf = 0; leaf < slopes.size(); ++leaf) {
    const Slope &a = slopes[leaf][k], &b = slopes[leaf][l];
    for (size_t i = std::max(a.first, b.first); i < std::min(a.end(), b.end()); ++i) {
      const double curved = diagonal[leaf].values[i] * a.values[i - a.first];
      if (curved != 0) sum += curved * b.values[i - b.first];
    }
  }
  return sum;
}

}  // namespace

double sum_along(const std::vector<Tensor>& by, const Slopes& slopes, size_t k) {
  double sum = 0;
  for (size_t leaf = 0; leaf < slopes.size(); ++leaf) {
    const Slope& line = slopes[leaf][k];
    for (size_t i = 0; i < line.values.size(); ++i) {
      const double a = by[leaf].values[line.first + i];
      if (a != 0) sum += a * line.values[i];
    }
  }
  return sum;
}

std::optional<std::vector<double>> curvature_along_slopes(Evaluation& e, const LossGraph& graph, const std::vector<Tensor>& leaves,
                                                          const Slopes& slopes, const std::vector<LikelihoodTerm>& terms, const LossCut* cut) {
  const size_t n = slopes.empty() ? 0 : slopes[0].size();
  std::vector<double> matrix(n * n);
  if (const auto diagonal = diagonal_curvature(e, graph, leaves, terms, cut)) {
    for (size_t k = 0; k < n; ++k)
      for (size_t l = 0; l <= k; ++l) matrix[k * n + l] = matrix[l * n + k] = curvature_along(*diagonal, slopes, k, l);
    return matrix;
  }
  // H times a direction, by central differences of the exact gradient of the loss in its recordings: exact
  // for squares.
  std::vector<double> rows(n * n);
  for (size_t k = 0; k < n; ++k) {
    double largest = 0;
    for (const auto& of_leaf : slopes)
      for (const double s : of_leaf[k].values) largest = std::max(largest, std::fabs(s));
    if (largest == 0 || !std::isfinite(largest)) continue;
    const double h = 1e-4 / largest;
    std::vector<Tensor> difference;
    for (const double sign : {1.0, -1.0}) {
      std::vector<Tensor> moved = leaves;
      for (size_t leaf = 0; leaf < leaves.size(); ++leaf) {
        const Slope& line = slopes[leaf][k];
        for (size_t i = 0; i < line.values.size(); ++i) moved[leaf].values[line.first + i] += sign * h * line.values[i];
      }
      const auto there = evaluate_loss(e, graph, moved, cut);
      if (!there) return std::nullopt;
      std::vector<Tensor> gradient = pull_loss(graph, *there);
      take_difference(difference, std::move(gradient), sign > 0, 2 * h);
    }
    for (size_t l = 0; l < n; ++l) rows[k * n + l] = sum_along(difference, slopes, l);
  }
  for (size_t k = 0; k < n; ++k)
    for (size_t l = 0; l < n; ++l) matrix[k * n + l] = 0.5 * (rows[k * n + l] + rows[l * n + k]);
  return matrix;
}

}  // namespace hebb
