#pragma once
// Several runs of one small network at once, differentiated: they share vectors (codegen's emit_lanes), and each
// has the bits that a Trajectory of its own would have. An adjoint without targets is only run forwards.

#include <atomic>
#include <string>

#include "runtime/trajectory/trajectory.h"

namespace hebb {

/// Numbers of each run.
using ByLane = std::vector<std::vector<double>>;
/// The last step of which something is owed; -1: none.
int64_t last_step_owed(const ByLane& seeds, std::span<const TrajectoryOutput> outputs, int64_t steps);

class TrajectoryPack {
 public:
  /// Why runs of this program cannot go together: "Y has 1,000 neurons, 31 at most"; empty: they can.
  static std::string obstacle(const Program& program);

  /// `kernels`: of several runs at once; `keys`: of the draws of each run, at most kLanesTogether of them.
  static Result<TrajectoryPack> create(std::shared_ptr<const Adjoint> adjoint, Kernels kernels, Precision precision,
                                       uint64_t max_bytes, std::span<const uint64_t> keys);
  TrajectoryPack(TrajectoryPack&&) noexcept;
  TrajectoryPack& operator=(TrajectoryPack&&) noexcept;
  ~TrajectoryPack();

  int64_t lanes() const;
  /// As in Trajectory; `values` of each run.
  Status set(ColumnId column, std::span<const std::vector<double>* const> values);
  void initialise();
  /// What each run is fed. False: the runs are fed different things, or too little.
  bool feed(int64_t steps, std::span<const std::vector<FeedValues>* const> feeds);
  /// By run, by output.
  Result<std::vector<ByLane>> forward(double dt_ms, std::span<const TrajectoryOutput> outputs);
  /// From now on a forward pass ends early when this becomes true. What it found is then of no use.
  void watch(const std::atomic<bool>* interrupted);
  /// Whether the last forward pass, of an adjoint without targets, saw only finite states, looking when Simulation does.
  bool stayed_finite() const;
  /// Runs that take no part have no seeds.
  void reverse(std::span<const TrajectoryOutput> outputs, std::span<const ByLane> seeds);
  std::vector<double> gradient(ColumnId target, int64_t lane) const;
  std::vector<double> gradient_of_feed(ColumnId fed, int64_t lane) const;
  /// Of one run: its share.
  TrajectoryMemory memory() const;
  /// Of the runs that `lanes` says.
  TrajectoryAtBounds at_bounds(ColumnId state, double low, double high, const std::vector<bool>& lanes);

 private:
  struct State;
  explicit TrajectoryPack(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hebb
