#include "compiler/experiment/grad_device.h"

#include <algorithm>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"
#include "runtime/random.h"

namespace hebb {

Result<GradientDevice> GradientDevice::create(const Setup& setup) {
  GradientDevice out;
  out.setup_ = setup;
  auto adjoint = std::make_shared<const DeviceAdjoint>(adjoint_on_device(setup.adjoint, setup.outputs));
  assert(verify(adjoint->program).empty() && "an adjoint on a device keeps the promises of a program");
  auto kernels = make_device_kernels(adjoint->program, setup.precision, Resets::ByHost, setup.device);
  if (!kernels) return kernels.failure();
  out.adjoint_ = std::move(adjoint);
  out.code_ = kernels->device;
  const auto least = DeviceTrajectory::least_bytes(out.setup_of(0, 1));
  if (!least) return least.failure();
  const uint64_t free = setup.device->free_memory();
  const uint64_t most = std::min<uint64_t>(setup.max_bytes, free - free / 16) / static_cast<uint64_t>(setup.runs);   // a driver never gives all
  out.setup_.max_bytes = most;
  if (*least > most)
    return Failure{cat("the gradient of ", setup.prepared->options.steps, " steps needs ", bytes_text(static_cast<double>(*least)),
                       " of the GPU's memory even with checkpoints, ", bytes_text(static_cast<double>(most)),
                       setup.max_bytes < free ? " allowed" : " free", setup.runs > 1 ? cat(" for each of ", setup.runs, " runs") : "")};
  out.room_ = std::max<int64_t>(static_cast<int64_t>(std::min<uint64_t>(most / std::max<uint64_t>(*least, 1), INT64_MAX)), 1);
  out.group();
  return out;
}

void GradientDevice::group() {
  const int64_t lanes = setup_.prepared->lanes;
  together_ = std::min(room_, lanes);
  groups_.clear();
  for (int64_t first = 0; first < lanes; first += together_)
    groups_.push_back({.first = first, .count = std::min(together_, lanes - first), .trajectory = nullptr});
}

DeviceTrajectory::Setup GradientDevice::setup_of(int64_t first, int64_t count) const {
  const PreparedRun& prepared = *setup_.prepared;
  DeviceTrajectory::Setup out{.adjoint = adjoint_, .code = code_, .precision = setup_.precision, .outputs = setup_.outputs,
                              .steps = prepared.options.steps, .dt_ms = prepared.options.dt_ms, .keys = {}, .feeds = {},
                              .max_bytes = setup_.max_bytes};
  for (int64_t lane = first; lane < first + count; ++lane) {
    const DrawsOfLane draws = draws_of_lane(prepared, lane);
    out.keys.push_back(random_key(draws.seed, draws.lane));
    out.feeds.push_back(&(*setup_.feeds)[static_cast<size_t>(lane / prepared.copies)]);
  }
  return out;
}

std::vector<bool> GradientDevice::of_group(const Group& group, const std::vector<bool>& takes_part) {
  return {takes_part.begin() + group.first, takes_part.begin() + group.first + group.count};
}

void GradientDevice::leave(Group& group) {
  if (groups_.size() > 1) group.trajectory.reset();
}

Result<std::vector<ByLane>> GradientDevice::run(Group& group, const std::vector<bool>& takes_part) {
  const PreparedRun& prepared = *setup_.prepared;
  if (!group.trajectory) {
    auto made = DeviceTrajectory::create(setup_of(group.first, group.count));
    if (!made) return made.failure();
    group.trajectory = std::make_unique<DeviceTrajectory>(std::move(*made));
  }
  DeviceTrajectory& trajectory = *group.trajectory;
  trajectory.take_part(of_group(group, takes_part));
  const auto set = [&](Role role) -> Status {
    for (const auto& [id, values] : prepared.columns) {
      if ((*prepared.program)[id].role != role) continue;
      std::vector<const std::vector<double>*> by_lane;
      for (int64_t k = 0; k < group.count; ++k) by_lane.push_back(&values_of_lane(values, group.first + k));
      if (Status done = trajectory.set(id, by_lane); !done) return done;
    }
    return Done{};
  };
  if (Status done = set(Role::Param); !done) return done.failure();
  trajectory.initialise();
  if (Status done = set(Role::State); !done) return done.failure();
  return trajectory.forward();
}

std::string GradientDevice::forward(const std::vector<bool>& takes_part, std::vector<ByLane>& recorded, std::vector<TrajectoryMemory>& kept) {
  for (Group& group : groups_) {
    const std::vector<bool> own = of_group(group, takes_part);
    if (std::find(own.begin(), own.end(), true) == own.end()) continue;
    auto values = run(group, takes_part);
    if (!values) return values.error();
    for (int64_t k = 0; k < group.count; ++k) {
      const auto lane = static_cast<size_t>(group.first + k);
      if (!takes_part[lane]) continue;
      recorded[lane] = std::move((*values)[static_cast<size_t>(k)]);
      kept[lane] = group.trajectory->memory();
      kept[lane].lanes = 1;   // each has its own block
    }
    leave(group);
  }
  return {};
}

std::string GradientDevice::reverse(const std::vector<bool>& takes_part, const std::function<ByLane(int64_t)>& owed, const Found& found) {
  for (Group& group : groups_) {
    const std::vector<bool> own = of_group(group, takes_part);
    if (std::find(own.begin(), own.end(), true) == own.end()) continue;
    if (!group.trajectory)
      if (const auto again = run(group, takes_part); !again) return again.error();
    std::vector<ByLane> seeds;
    for (int64_t k = 0; k < group.count; ++k) seeds.push_back(own[static_cast<size_t>(k)] ? owed(group.first + k) : ByLane{});
    if (const Status done = group.trajectory->reverse(seeds); !done) return done.error();
    for (int64_t k = 0; k < group.count; ++k)
      if (own[static_cast<size_t>(k)]) found(*group.trajectory, k, group.first + k);
    if (!group.trajectory->failure().empty()) return group.trajectory->failure();
    leave(group);
  }
  return {};
}

std::string GradientDevice::each(const std::vector<bool>& takes_part, const Found& work) {
  for (Group& group : groups_) {
    const std::vector<bool> own = of_group(group, takes_part);
    if (std::find(own.begin(), own.end(), true) == own.end()) continue;
    if (const auto again = run(group, takes_part); !again) return again.error();
    for (int64_t k = 0; k < group.count; ++k)
      if (own[static_cast<size_t>(k)]) work(*group.trajectory, k, group.first + k);
    if (!group.trajectory->failure().empty()) return group.trajectory->failure();
    leave(group);
  }
  return {};
}

}  // namespace hebb
