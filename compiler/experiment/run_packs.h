#pragma once
// Several runs of a small network, kLanesTogether at a time: they share vectors. The bits are those of runs that go one by
// one, so who goes with whom, and when, is decided by what is faster.

#include <array>

#include "compiler/experiment/engine.h"
#include "compiler/experiment/prepared_run.h"
#include "runtime/trajectory/pack.h"

namespace hebb {

/// Kernels of the steps of an adjoint, forwards and backwards; `together`: of several runs at once.
Result<Kernels> make_step_kernels(const std::shared_ptr<const Adjoint>& adjoint, Precision precision,
                                  ExperimentOptions::Engine engine, int level, bool together);

/// For `hebb explain`: whether recordings of a network share vectors, and what stands in the way.
std::string recordings_form(const Model& model, const Network& network);

/// A program that is only run, for packs; none: it cannot be.
std::shared_ptr<const Adjoint> only_forwards(const Program& program, std::span<const TrajectoryOutput> outputs);

/// What each recording is fed.
std::vector<std::vector<FeedValues>> feeds_of_lanes(const PreparedRun& prepared);

/// Processor time of this thread, in seconds: what others do meanwhile does not count.
double thread_seconds();

class RunPacks {
 public:
  static constexpr int64_t kEnough = 4;   // that many runs are worth a trial together
  enum class Pass { Forth, Back };
  struct Setup {
    std::shared_ptr<const Adjoint> adjoint;
    const PreparedRun* prepared = nullptr;                         // its columns have the same numbers in the adjoint
    const std::vector<std::vector<FeedValues>>* feeds = nullptr;   // by recording
    Precision precision = Precision::Float64;
    int level = 3;
    uint64_t max_bytes = 0;
    bool at_once = false;   // else when runs alone have taken as long as code for several takes to compile
    const std::atomic<bool>* interrupted = nullptr;
  };
  RunPacks() = default;   // nothing goes together
  explicit RunPacks(const Setup& setup);

  /// So many runs went alone, or are about to.
  void note_alone(int64_t runs) { alone_ += static_cast<double>(runs); }
  /// What a pass took: of a run alone, of a group as it was chosen. Not at the same time as another.
  void took_alone(Pass pass, double seconds) { took_alone_[static_cast<size_t>(pass)].add(seconds); }
  void took_together(int64_t group, Pass pass, double seconds);
  /// Groups of lanes that are to go together now: those with enough of `active`, which passes that were timed decide: what
  /// vectors of one run leave empty differs. Makes what they need; one that cannot be made is not asked for again.
  std::vector<int64_t> choose(std::span<const int64_t> active);
  /// Why no lanes go together; empty: they may.
  const std::string& obstacle() const { return obstacle_; }
  /// Groups as full as they come went one by one at the last choice, because that is faster.
  bool slower_together() const { return slower_; }
  static int64_t group_of(int64_t lane) { return lane / kLanesTogether; }
  int64_t first(int64_t group) const { return group * kLanesTogether; }
  int64_t count(int64_t group) const;

  /// Runs a group with the parameters of `prepared`; by lane of the group, by output. A failure: it takes too much memory.
  Result<std::vector<ByLane>> forward(int64_t group, std::span<const TrajectoryOutput> outputs);
  TrajectoryPack& pack(int64_t group) { return *packs_[static_cast<size_t>(group)]; }
  bool made(int64_t group) const { return static_cast<size_t>(group) < packs_.size() && packs_[static_cast<size_t>(group)] != nullptr; }
  void give_up(int64_t group);

 private:
  struct Mean {
    double sum = 0;
    int64_t passes = 0;
    void add(double seconds) {
      if (passes++ > 0) sum += seconds;   // the first one meets cold memory
    }
    bool known(int64_t trials) const { return passes > trials; }
    double value() const { return sum / static_cast<double>(passes - 1); }
  };
  using Passes = std::array<Mean, 2>;

  std::string set(int64_t group, Role role);
  bool make(int64_t group);
  /// So many runs of a group, all in `groups` groups, were faster together; nothing: not known.
  std::optional<bool> was_worth(int64_t members, int64_t groups) const;
  bool worth(int64_t members, int64_t groups) const;
  bool is_large(int64_t group) const;

  Setup setup_;
  std::string obstacle_ = "they are interpreted";
  bool slower_ = false;
  double alone_ = 0, price_ = 0;   // runs that went alone, and after how many code for several pays
  Kernels kernels_;
  std::vector<std::unique_ptr<TrajectoryPack>> packs_;   // by group
  std::vector<bool> cannot_;                             // by group
  std::vector<int64_t> members_;                         // by group, of the last choice
  Passes took_alone_;
  std::array<Passes, kLanesTogether + 1> took_together_; // by members
};

}  // namespace hebb
