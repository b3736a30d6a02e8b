#pragma once
// Runs a step forwards over a whole trajectory and then backwards. What is carried from step to step
// (weights, traces) is kept for every step where the memory allows, else at checkpoints from which the
// steps between are run again; what is per neuron is kept always. Draws are drawn again, never kept.

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "compiler/adjoint/adjoint.h"
#include "compiler/program/kernels.h"
#include "runtime/columns.h"
#include "runtime/simulation.h"

namespace hebb {

struct TrajectoryOptions {
  Precision precision = Precision::Float64;
  uint64_t seed = 1;
  uint32_t lane = 0;
  uint64_t max_bytes = uint64_t{2} << 30;  // for everything a gradient keeps
  int threads = 1;                         // that share the neurons: whole runs of them where they hear nothing of each other
  /// Postsynaptic neurons that are taken through the whole run together where they hear nothing of each other;
  /// 0: as many as suit the cache. Bits do not depend on it.
  int64_t tile_posts = 0;
};

/// How the states of a trajectory are kept.
struct TrajectoryMemory {
  int64_t segment = 0;      // steps between two checkpoints; the number of steps when all are kept
  int64_t checkpoints = 0;
  uint64_t bytes = 0;
  int64_t tiles = 1;        // groups of postsynaptic neurons, each taken through the whole run
  int64_t lanes = 1;        // runs that share vectors with this one, itself included
};

/// Weight-steps at a bound, and all of them.
struct TrajectoryAtBounds { int64_t at = 0, all = 0; };

/// A column the host reads, and seeds, after every step, some of them or only the last one.
struct TrajectoryOutput {
  ColumnId column;
  bool final_only = false;
  int64_t every = 1;        // steps, counted from the first
  /// How many steps of a run are read.
  int64_t samples(int64_t steps) const { return final_only ? std::min<int64_t>(steps, 1) : (steps + every - 1) / every; }
};

class Trajectory {
 public:
  static Result<Trajectory> create(std::shared_ptr<const Adjoint> adjoint, Kernels kernels,
                                   const TrajectoryOptions& options);
  Trajectory(Trajectory&&) noexcept;
  Trajectory& operator=(Trajectory&&) noexcept;
  ~Trajectory();

  /// Every launch of the program will be whole, its columns as large as it says: it is too small to be cut.
  static bool runs_whole(const Program& program);

  /// Parameters and initial values, as in Simulation: set parameters, initialise, then override states.
  Status set(ColumnId column, std::span<const double> values);
  void initialise();

  /// Samples × size numbers for each of `outputs`: Values as the step
  /// computed them, states after it.
  Result<std::vector<std::vector<double>>> forward(int64_t steps, double dt_ms,
                                                   std::span<const FeedValues> feeds,
                                                   std::span<const TrajectoryOutput> outputs);
  /// Given d(loss)/d(outputs) in the same layout; leaves d(loss)/d(target) to `gradient`.
  void reverse(std::span<const TrajectoryOutput> outputs, std::span<const std::vector<double>> seeds);

  /// In logical order: of a parameter, or of a state before the first step.
  std::vector<double> gradient(ColumnId target) const;
  /// Of a fed column: steps × size.
  std::vector<double> gradient_of_feed(ColumnId fed) const;
  const TrajectoryMemory& memory() const;

  /// Of the values of a carried state after every step of the last forward pass: how many lie at or beyond a
  /// bound, and how many there are. What is not held any more is run again.
  using AtBounds = TrajectoryAtBounds;
  AtBounds at_bounds(ColumnId state, double low, double high);

 private:
  struct State;
  explicit Trajectory(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hebb
