#pragma once
// A loss of some of its recordings: which nodes of its graph have one entry a recording, and the loss cut down to
// the entries that take part. One update with one recording then costs one recording.

#include <utility>

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

/// While a loss of some of its recordings is evaluated: a mean over data of which they have none is 0, and owes nothing.
struct SomeRecordings {
  explicit SomeRecordings(Evaluation& e, bool some = true) : e(e), before(std::exchange(e.some_recordings, some)) {}
  SomeRecordings(const SomeRecordings&) = delete;
  ~SomeRecordings() { e.some_recordings = before; }
  Evaluation& e;
  bool before;
};

/// The entries `lanes` of the first axis.
Tensor entries(const Tensor& whole, std::span<const int64_t> lanes);

}  // namespace hebb
