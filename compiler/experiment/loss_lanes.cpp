#include "compiler/experiment/loss_lanes.h"

#include <algorithm>

namespace hebb {

std::optional<std::vector<bool>> constants_by_lane(const LossGraph& graph, std::span<const int> ranks, int64_t lanes) {
  const size_t n = graph.nodes.size();
  std::vector<int> rank(n, 0);   // of a node with one entry a lane; 0: it is the same for all
  std::vector<bool> cut(n), whole(n);
  for (size_t k = 0; k < n; ++k) {
    const LossNode& node = graph.nodes[k];
    if (node.leaf >= 0) rank[k] = ranks[node.leaf];
    int most = 0;
    for (const int operand : node.operands) most = std::max(most, rank[operand]);
    if (most == 0) continue;
    if (node.lanes == LossNode::OverLanes::Unknown) return std::nullopt;
    for (const int operand : node.operands) {
      const LossNode& from = graph.nodes[operand];
      if (!from.constant) {
        // A number that is computed from parameters goes with every recording alike, an array might not.
        if (rank[operand] != most) return std::nullopt;
        continue;
      }
      const Extents& shape = from.constant->shape;
      const bool by_lane = static_cast<int>(shape.size()) == most && shape[0] == lanes && lanes > 1;
      if (static_cast<int>(shape.size()) > most) return std::nullopt;
      if ((by_lane && whole[operand]) || (!by_lane && cut[operand])) return std::nullopt;
      (by_lane ? cut : whole)[operand] = true;
    }
    if (node.lanes == LossNode::OverLanes::Elementwise) rank[k] = most;
  }
  if (rank.back() != 0) return std::nullopt;
  return cut;
}

Tensor entries(const Tensor& whole, std::span<const int64_t> lanes) {
  Tensor out{.shape = whole.shape, .values = {}, .dimension = whole.dimension};
  const size_t each = whole.values.size() / static_cast<size_t>(whole.shape[0]);
  out.shape[0] = static_cast<int64_t>(lanes.size());
  out.values.reserve(each * lanes.size());
  for (const int64_t lane : lanes) {
    const auto first = whole.values.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(lane) * each);
    out.values.insert(out.values.end(), first, first + static_cast<std::ptrdiff_t>(each));
  }
  return out;
}

}  // namespace hebb
