#include "compiler/experiment/loss_graph.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "compiler/experiment/loss_lanes.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

std::vector<const Tensor*> operands_of(const LossNode& node, const LossTape& tape) {
  std::vector<const Tensor*> out;
  for (const int operand : node.operands) out.push_back(&tape[operand]);
  return out;
}

/// The first element that is nan, where that of no operand is.
std::optional<size_t> new_nan(const LossNode& node, const LossTape& tape, const Tensor& value) {
  const auto is_nan = [](double one) { return std::isnan(one); };
  if (node.lanes != LossNode::OverLanes::Elementwise || std::none_of(value.values.begin(), value.values.end(), is_nan)) return std::nullopt;
  std::vector<bool> missing(value.values.size());
  for (const Tensor* operand : operands_of(node, tape)) {
    const Tensor from = expand(*operand, value.shape);
    for (size_t i = 0; i < missing.size(); ++i) missing[i] = missing[i] || std::isnan(from.values[i]);
  }
  for (size_t i = 0; i < missing.size(); ++i)
    if (std::isnan(value.values[i]) && !missing[i]) return i;
  return std::nullopt;
}

}  // namespace

std::optional<LossTape> evaluate_loss(Evaluation& e, const LossGraph& graph, std::span<const Tensor> leaves,
                                      const LossCut* cut, std::string* became_nan) {
  LossTape tape;
  tape.reserve(graph.nodes.size());
  for (const LossNode& node : graph.nodes) {
    if (node.constant) {
      const bool by_lane = cut && cut->constants[tape.size()];
      tape.push_back(by_lane ? entries(*node.constant, cut->lanes) : *node.constant);
      continue;
    }
    if (node.leaf >= 0) {
      tape.push_back(leaves[node.leaf]);
      continue;
    }
    auto value = node.value(e, operands_of(node, tape));
    if (!value) return std::nullopt;
    if (const auto place = became_nan ? new_nan(node, tape, *value) : std::nullopt) {
      *became_nan = cat(quoted(std::string(e.sources.text(node.span))), " became nan", element_place(*place, value->shape));
      return std::nullopt;
    }
    tape.push_back(std::move(*value));
  }
  return tape;
}

namespace {

/// d(loss)/d(node); nothing for constants.
std::vector<Tensor> pull_all(const LossGraph& graph, const LossTape& tape) {
  assert(tape.back().values.size() == 1 && "a loss is one number");
  std::vector<Tensor> adjoints(tape.size());
  for (size_t n = 0; n < tape.size(); ++n) {
    if (graph.nodes[n].constant) continue;
    adjoints[n] = {.shape = tape[n].shape, .values = std::vector<double>(tape[n].values.size()), .dimension = {}};
  }
  if (!graph.nodes.back().constant) adjoints.back().values[0] = 1;
  for (size_t n = tape.size(); n-- > 0;) {
    const LossNode& node = graph.nodes[n];
    if (!node.pull) continue;
    std::vector<Tensor*> into;
    for (const int operand : node.operands)
      into.push_back(graph.nodes[operand].constant ? nullptr : &adjoints[operand]);
    node.pull(operands_of(node, tape), tape[n], adjoints[n], into);
  }
  return adjoints;
}

}  // namespace

std::vector<Tensor> pull_loss(const LossGraph& graph, const LossTape& tape) {
  std::vector<Tensor> adjoints = pull_all(graph, tape);
  std::vector<Tensor> out(graph.leaves.size());
  for (size_t n = 0; n < tape.size(); ++n)
    if (graph.nodes[n].leaf >= 0) out[graph.nodes[n].leaf] = std::move(adjoints[n]);
  return out;
}

std::vector<LikelihoodTerm> likelihood_terms(const LossGraph& graph, const LossTape& tape) {
  const std::vector<Tensor> adjoints = pull_all(graph, tape);
  std::vector<LikelihoodTerm> out;
  for (size_t n = 0; n < tape.size(); ++n) {
    const LossNode& node = graph.nodes[n];
    if (node.likelihood == LossNode::Likelihood::None || node.constant) continue;
    const auto &a = tape[node.operands[0]].values, &b = tape[node.operands[1]].values;
    double terms = 0;
    for (size_t i = 0; i < a.size(); ++i) terms += !std::isnan(a[i]) && !std::isnan(b[i]);
    out.push_back({node.likelihood, tape[n].values[0], terms, adjoints[n].values[0]});
  }
  return out;
}

}  // namespace hebb
