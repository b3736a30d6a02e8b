#include "compiler/experiment/loss_data.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/functions.h"

namespace hebb {

namespace {

constexpr double kAny = 0.5;   // of a run that was not run: what a probability may be

bool is_mean_over_data(const LossNode& node) { return node.likelihood != LossNode::Likelihood::None && !node.constant; }

bool has_gaps(const LossGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const LossNode& node) {
    return node.constant && std::any_of(node.constant->values.begin(), node.constant->values.end(), [](double v) { return std::isnan(v); });
  });
}

LossGraph without_gaps(LossGraph graph) {
  for (LossNode& node : graph.nodes)
    if (node.constant)
      for (double& value : node.constant->values)
        if (std::isnan(value)) value = kAny;
  return graph;
}

/// What the leaves are when only recording `lane` takes part, or all (none): as `RunGradient` leaves them, with any value for what a
/// run computes.
std::vector<Tensor> leaves_of_recordings(const LossProblem& problem, std::optional<int64_t> lane, int64_t burn_in) {
  std::vector<Tensor> out(problem.graph.leaves.size());
  for (size_t k = 0; k < out.size(); ++k)
    if (problem.leaf_target[k] >= 0) out[k] = problem.targets[static_cast<size_t>(problem.leaf_target[k])].value;
  for (const RunGradient& run : problem.runs) {
    const bool by_lane = run.batched() && run.lanes() == problem.lanes();
    const bool cut = by_lane && lane && problem.cut.has_value();
    const int64_t entries = cut ? 1 : run.lanes();
    for (const RunGradient::Output& output : run.outputs_here()) {
      const int64_t samples = output.read.samples(run.prepared().options.steps);
      Tensor one{.shape = output.map.shape(), .values = {}, .dimension = run.dimension_of(output.leaf)};
      const auto size = static_cast<size_t>(count(one.shape));
      one.values.assign(size * static_cast<size_t>(samples), kAny);
      if (!output.read.final_only) {
        const int64_t skipped = std::min((burn_in + output.read.every - 1) / output.read.every, samples);
        std::fill_n(one.values.begin(), size * static_cast<size_t>(skipped), std::nan(""));
        one.shape.insert(one.shape.begin(), samples);
      }
      Tensor& into = out[static_cast<size_t>(output.leaf)];
      into = {.shape = one.shape, .values = {}, .dimension = one.dimension};
      if (run.batched()) into.shape.insert(into.shape.begin(), entries);
      for (int64_t entry = 0; entry < entries; ++entry) {
        if (by_lane && lane && !cut && entry != *lane) into.values.insert(into.values.end(), one.values.size(), std::nan(""));
        else into.values.insert(into.values.end(), one.values.begin(), one.values.end());
      }
    }
  }
  return out;
}

/// How many terms the means over data have; none: reported.
std::optional<double> terms(Evaluation& e, const LossGraph& graph, std::span<const Tensor> leaves, const LossCut* cut) {
  const SomeRecordings some(e);
  const auto tape = evaluate_loss(e, graph, leaves, cut);
  if (!tape) return std::nullopt;
  double sum = 0;
  for (size_t n = 0; n < tape->size(); ++n) {
    if (!is_mean_over_data(graph.nodes[n])) continue;
    const auto &a = (*tape)[graph.nodes[n].operands[0]].values, &b = (*tape)[graph.nodes[n].operands[1]].values;
    for (size_t i = 0; i < a.size(); ++i) sum += !std::isnan(a[i]) && !std::isnan(b[i]);
  }
  return sum;
}

}  // namespace

std::optional<std::vector<bool>> recordings_without_data(Evaluation& e, const LossProblem& problem, int64_t burn_in) {
  const int64_t lanes = problem.lanes();
  std::vector<bool> out(static_cast<size_t>(lanes));
  const auto& nodes = problem.graph.nodes;
  // Shapes that differ are told whole, not cut to one recording.
  if (lanes > 1 && problem.cut && !terms(e, problem.graph, leaves_of_recordings(problem, {}, 0), nullptr)) return std::nullopt;
  if (lanes == 1 || std::none_of(nodes.begin(), nodes.end(), is_mean_over_data) || (burn_in == 0 && !has_gaps(problem.graph))) return out;
  const LossGraph whole = without_gaps(problem.graph);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    std::optional<LossCut> cut;
    if (problem.cut) cut = LossCut{.lanes = {lane}, .constants = *problem.cut};
    const auto found = terms(e, problem.graph, leaves_of_recordings(problem, lane, burn_in), cut ? &*cut : nullptr);
    if (!found) return std::nullopt;
    if (*found > 0) continue;
    // A term may also be missing because of the value that stands for a run, as log(y - 1).
    const auto could = terms(e, whole, leaves_of_recordings(problem, lane, 0), cut ? &*cut : nullptr);
    out[static_cast<size_t>(lane)] = could && *could > 0;
  }
  return out;
}

bool mixes_what_is_missing(Evaluation& e, const LossGraph& graph, const LossTape& tape) {
  const auto missing = [&](int operand) {
    const auto& values = tape[static_cast<size_t>(operand)].values;
    return std::all_of(values.begin(), values.end(), [](double value) { return std::isnan(value); });
  };
  for (const LossNode& node : graph.nodes) {
    if (!is_mean_over_data(node) || (!missing(node.operands[0]) && !missing(node.operands[1]))) continue;
    report_argument(e, node.span, "this has no term: every value of one side is missing (nan) while some recordings take no part");
    return true;
  }
  return false;
}

}  // namespace hebb
