#pragma once
// The recordings of a loss on a GPU: all at once, or as many as its memory takes. The bits are those of the CPU.

#include "compiler/experiment/engine.h"
#include "compiler/experiment/prepared_run.h"
#include "runtime/device/gradient/trajectory.h"

namespace hebb {

class GradientDevice {
 public:
  struct Setup {
    std::shared_ptr<const Adjoint> adjoint;
    const PreparedRun* prepared = nullptr;
    const std::vector<std::vector<FeedValues>>* feeds = nullptr;   // by recording
    std::vector<TrajectoryOutput> outputs;
    Precision precision = Precision::Float64;
    std::shared_ptr<const CudaDevice> device;
    uint64_t max_bytes = 0;
    int64_t runs = 1;    // of the loss, that share the memory
  };
  /// Failure: the device refuses the kernels, or one recording takes more memory than there is.
  static Result<GradientDevice> create(const Setup& setup);

  /// How many recordings go together.
  int64_t together() const { return together_; }
  /// How many would, were there so many.
  int64_t room() const { return room_; }
  /// `prepared` has another number of lanes now.
  void group();
  /// Runs the lanes that `takes_part` says, with the parameters of `prepared`: what they recorded, by lane and output. Empty: done.
  std::string forward(const std::vector<bool>& takes_part, std::vector<ByLane>& recorded, std::vector<TrajectoryMemory>& kept);
  /// Of the same lanes: `found` is told each with what its loss owes it.
  using Found = std::function<void(DeviceTrajectory& trajectory, int64_t of_trajectory, int64_t lane)>;
  std::string reverse(const std::vector<bool>& takes_part, const std::function<ByLane(int64_t lane)>& owed, const Found& found);
  /// Runs them again where nothing is left of them.
  std::string each(const std::vector<bool>& takes_part, const Found& work);

 private:
  struct Group {
    int64_t first = 0, count = 0;
    std::unique_ptr<DeviceTrajectory> trajectory;
  };
  GradientDevice() = default;
  DeviceTrajectory::Setup setup_of(int64_t first, int64_t count) const;
  Result<std::vector<ByLane>> run(Group& group, const std::vector<bool>& takes_part);
  static std::vector<bool> of_group(const Group& group, const std::vector<bool>& takes_part);
  /// Memory for one group only: the next one needs it.
  void leave(Group& group);

  Setup setup_;
  std::shared_ptr<const DeviceAdjoint> adjoint_;
  std::shared_ptr<const DeviceCode> code_;
  int64_t together_ = 1, room_ = 1;
  std::vector<Group> groups_;
};

}  // namespace hebb
