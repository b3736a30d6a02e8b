#pragma once
// The recordings of a fit of a small network, kLanesTogether at a time: they share vectors. The bits are those of
// recordings run one by one, so who goes with whom, and when, is decided by what is faster.

#include "compiler/experiment/engine.h"
#include "compiler/experiment/prepared_run.h"
#include "runtime/trajectory/pack.h"

namespace hebb {

/// Kernels of the steps of an adjoint, forwards and backwards; `together`: of several runs at once.
Result<Kernels> make_gradient_kernels(const std::shared_ptr<const Adjoint>& adjoint, Precision precision,
                                      ExperimentOptions::Engine engine, int level, bool together);

class GradientPacks {
 public:
  struct Setup {
    std::shared_ptr<const Adjoint> adjoint;
    const PreparedRun* prepared = nullptr;
    const std::vector<std::vector<FeedValues>>* feeds = nullptr;   // by lane
    Precision precision = Precision::Float64;
    int level = 3;
    uint64_t max_bytes = 0;
  };
  GradientPacks() = default;   // nothing goes together
  explicit GradientPacks(const Setup& setup);

  /// Groups of lanes that are to go together now: those with enough of `active`. Makes what they need; one that cannot
  /// be made is not asked for again.
  std::vector<int64_t> choose(std::span<const int64_t> active);
  static int64_t group_of(int64_t lane) { return lane / kLanesTogether; }
  int64_t first(int64_t group) const { return group * kLanesTogether; }
  int64_t count(int64_t group) const;

  /// Runs a group with the parameters of `prepared`; by lane of the group, by output. A failure: it takes too much memory.
  Result<std::vector<ByLane>> forward(int64_t group, std::span<const TrajectoryOutput> outputs);
  TrajectoryPack& pack(int64_t group) { return *packs_[static_cast<size_t>(group)]; }
  bool made(int64_t group) const { return static_cast<size_t>(group) < packs_.size() && packs_[static_cast<size_t>(group)] != nullptr; }
  void give_up(int64_t group);

 private:
  std::string set(int64_t group, Role role);
  bool make(int64_t group);

  Setup setup_;
  bool possible_ = false;
  int64_t asked_ = 0;
  Kernels kernels_;
  std::vector<std::unique_ptr<TrajectoryPack>> packs_;   // by group
  std::vector<bool> cannot_;                             // by group
};

}  // namespace hebb
