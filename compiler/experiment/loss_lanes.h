#pragma once
// A loss of some of its recordings: which nodes of its graph have one entry a recording, and the loss cut down to
// the entries that take part. One update with one recording then costs one recording.

#include "compiler/experiment/loss_graph.h"

namespace hebb {

/// Recordings that take part, ascending, and the constants that have one entry for each recording.
struct LossCut {
  std::vector<int64_t> lanes;
  std::vector<bool> constants;   // by node
};

/// Which constants to cut. `ranks`: by leaf, the number of axes of a recording with one entry a lane; 0: it has none.
/// None: the loss cannot be cut, something in it mixes recordings other than by a sum or mean over all of them.
std::optional<std::vector<bool>> constants_by_lane(const LossGraph& graph, std::span<const int> ranks, int64_t lanes);

/// The entries `lanes` of the first axis.
Tensor entries(const Tensor& whole, std::span<const int64_t> lanes);

}  // namespace hebb
