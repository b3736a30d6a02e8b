#pragma once
// Runs of one network on a device, differentiated, all at once: each in a block of memory of its own, with the bits that
// a Trajectory of its own would have. States, checkpoints and what the steps keep stay on the device; recordings come back once
// after the way forward, gradients once after the way back.

#include "runtime/device/code.h"
#include "runtime/device/gradient/program.h"
#include "runtime/trajectory/pack.h"

namespace hebb {

class DeviceTrajectory {
 public:
  struct Setup {
    std::shared_ptr<const DeviceAdjoint> adjoint;
    std::shared_ptr<const DeviceCode> code;              // of its program, sums reset by the host
    Precision precision = Precision::Float64;
    std::vector<TrajectoryOutput> outputs;
    int64_t steps = 0;
    double dt_ms = 1;
    std::vector<uint64_t> keys;                          // of each run
    std::vector<const std::vector<FeedValues>*> feeds;   // of each run
    uint64_t max_bytes = 0;
  };
  /// Bytes that a run takes with as few checkpoints as can be: what `max_bytes` must have for each.
  static Result<uint64_t> least_bytes(const Setup& setup);
  static Result<DeviceTrajectory> create(Setup setup);
  DeviceTrajectory(DeviceTrajectory&&) noexcept;
  DeviceTrajectory& operator=(DeviceTrajectory&&) noexcept;
  ~DeviceTrajectory();

  /// As in TrajectoryPack. From `initialise` on only runs from the first to the last that takes part are computed.
  void take_part(const std::vector<bool>& runs);
  Status set(ColumnId column, std::span<const std::vector<double>* const> values);
  void initialise();
  Result<std::vector<ByLane>> forward();
  Status reverse(std::span<const ByLane> seeds);
  std::vector<double> gradient(ColumnId target, int64_t lane) const;
  std::vector<double> gradient_of_feed(ColumnId fed, int64_t lane) const;
  /// Of one run.
  TrajectoryMemory memory() const;
  TrajectoryAtBounds at_bounds(ColumnId state, double low, double high, int64_t lane);
  /// Empty while all is well.
  const std::string& failure() const;

 private:
  struct State;
  explicit DeviceTrajectory(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hebb
