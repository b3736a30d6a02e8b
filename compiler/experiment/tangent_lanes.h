#pragma once
// Lanes of a run with its derivatives by what is fitted, forwards: one by one, several that share vectors, some neurons at
// a time, or on a device. What they record has the same bits in each of these ways.

#include "compiler/experiment/run_packs.h"
#include "compiler/program/uncoupled.h"

namespace hebb {

/// An element of a target: that of a recording is number first + recording * each of all elements.
struct Direction {
  size_t first = 0, each = 0;
  size_t of(int64_t recording) const { return first + static_cast<size_t>(recording) * each; }
};

/// One run with its derivatives.
struct MovingRun {
  std::shared_ptr<const Program> program;
  Kernels kernels;
  std::vector<Direction> directions;     // of this run
  std::vector<Recording> recordings;     // value and derivative of each output, in turn
  std::vector<int> leaves;               // of each output
  /// Where neurons hear nothing of each other: so many at a time go through the whole run, their derivatives with them
  /// in the cache.
  std::optional<Uncoupled> cut;
  std::vector<std::pair<int64_t, std::shared_ptr<const Program>>> tiles;   // first neuron, program of so many
  using Given = std::vector<std::pair<ColumnId, std::vector<double>>>;
  std::vector<Given> beginnings;         // of tiles, by lane: parameters and states, once they were computed
  /// Lanes that go together, and what is read of them: the recordings whose columns are valid, in order.
  RunPacks packs;
  int64_t together = 1;
  std::vector<std::vector<FeedValues>> feeds;   // by recording
  std::vector<TrajectoryOutput> read;
};

/// Lets some neurons at a time go through the whole run, their states and all derivatives in the second-level cache: where
/// none hears of another, and there are enough of them. `primal`: the run without derivatives.
void cut_into_tiles(MovingRun& moving, const Program& primal, std::span<const ColumnId> targets);

/// Lets lanes share vectors, where their program can.
void let_go_together(const Evaluation& e, const PreparedRun& prepared, MovingRun& moving);

struct TangentLane {
  std::vector<Recorded> recorded;   // as MovingRun::recordings
  std::string failure;
  bool diverged = false;            // that is the failure: a value that is not finite
};

/// The lanes of `taking` go through the whole run, with their derivatives; the result is by lane of the run.
std::vector<TangentLane> run_asked(const PreparedRun& prepared, MovingRun& moving, std::vector<int64_t> taking);

}  // namespace hebb
