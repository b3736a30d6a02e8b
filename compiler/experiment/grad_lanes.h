#pragma once
// The lanes of a run that is differentiated, forwards and backwards: each alone, several that share vectors, or as many as a
// device takes. No bit depends on who goes with whom.

#include <memory>

#include "compiler/experiment/grad_device.h"
#include "compiler/experiment/run_packs.h"

namespace hebb {

class GradientLanes {
 public:
  struct Setup {
    std::shared_ptr<const Adjoint> adjoint;
    const PreparedRun* prepared = nullptr;     // what lanes are set to; its columns may change between two passes
    std::vector<TrajectoryOutput> read;
    Precision precision = Precision::Float64;
    ExperimentOptions::Engine engine{};
    int level = 3;
    uint64_t max_bytes = 0;                    // of one lane, or of several that go together
  };
  /// `packed_at_once`: code for several lanes is made as soon as there are several, else when it pays.
  GradientLanes(Setup setup, bool may_pack, bool packed_at_once);
  GradientLanes(const GradientLanes&) = delete;
  GradientLanes& operator=(const GradientLanes&) = delete;

  /// Code for lanes that go alone; empty: it is there.
  std::string make_kernels();
  /// All lanes go on a device from now on.
  Status go_on(std::shared_ptr<const CudaDevice> device, uint64_t max_bytes, int64_t runs_of_loss);
  bool on_device() const { return device_.has_value(); }
  /// How many lanes the device takes at once.
  int64_t together_on_device() const { return device_->together(); }
  /// How many lanes a device holds at once; 0: there is none.
  int64_t device_room() const { return device_ ? device_->room() : 0; }
  /// The prepared run has another number of lanes now.
  void count_anew();

  /// Runs these lanes. By lane: why it could not be run. A failure: none could.
  Result<std::vector<std::string>> forward(std::vector<int64_t> active);
  /// By output: what a lane recorded in the last pass.
  const std::vector<std::vector<double>>& recorded(int64_t lane) const { return recorded_[static_cast<size_t>(lane)]; }

  struct Wanted { ColumnId column; bool fed = false; };
  /// Of those lanes of the last forward pass that are `owed` something: by lane, by what is wanted.
  Result<std::vector<ByLane>> reverse(const std::vector<bool>& takes_part, const std::function<ByLane(int64_t lane)>& owed,
                                      std::span<const Wanted> wanted);

  /// How each lane kept its states in the last pass.
  TrajectoryMemory memory() const;
  /// Why lanes do not share vectors; empty: they may.
  std::string apart_because() const;
  std::string never_together_because() const;
  /// Of the first copy of each recording, with the values that `prepared` has now.
  TrajectoryAtBounds at_bounds(ColumnId column, double low, double high);

 private:
  const PreparedRun& prepared() const { return *setup_.prepared; }
  void let_go_together(bool at_once);
  void resize();
  std::unique_ptr<Trajectory> make_trajectory(int64_t lane, std::string& failure) const;
  std::string prepare_lane(Trajectory& trajectory, int64_t lane) const;
  std::string forward_lane(int64_t lane);
  void forward_together(std::vector<int64_t>& active);
  void reverse_together(const std::function<ByLane(int64_t lane)>& owed, std::span<const Wanted> wanted, std::vector<ByLane>& found);

  Setup setup_;
  Kernels kernels_;                                        // of one lane
  std::vector<std::vector<FeedValues>> feeds_;             // by recording
  std::vector<std::unique_ptr<Trajectory>> trajectories_;  // by lane; none where not all fit
  bool keep_all_ = true;
  RunPacks packs_;
  bool packing_;                                           // lanes may go together where the network lets them
  std::vector<int64_t> together_;                          // groups of lanes that went together last
  std::optional<GradientDevice> device_;                   // takes all lanes
  std::vector<TrajectoryMemory> kept_;                     // by lane
  std::vector<ByLane> recorded_;                           // by lane, by output
};

}  // namespace hebb
