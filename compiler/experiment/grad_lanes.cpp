#include "compiler/experiment/grad_lanes.h"

#include <algorithm>

#include "runtime/threads.h"

namespace hebb {

GradientLanes::GradientLanes(Setup setup, bool may_pack, bool packed_at_once)
    : setup_(std::move(setup)), feeds_(feeds_of_lanes(prepared())), packing_(may_pack) {
  if (packing_) let_go_together(packed_at_once);
  resize();
}

void GradientLanes::let_go_together(bool at_once) {
  packs_ = RunPacks({.adjoint = setup_.adjoint, .prepared = setup_.prepared, .feeds = &feeds_, .precision = setup_.precision,
                     .level = setup_.level, .max_bytes = setup_.max_bytes, .at_once = at_once});
}

void GradientLanes::resize() {
  const auto lanes = static_cast<size_t>(prepared().lanes);
  trajectories_.resize(lanes);
  recorded_.resize(lanes);
  kept_.resize(lanes);
}

void GradientLanes::count_anew() {
  resize();
  if (packing_) let_go_together(false);
  if (device_) device_->group();
}

std::string GradientLanes::make_kernels() {
  if (!kernels_.run.empty()) return {};
  auto made = make_step_kernels(setup_.adjoint, setup_.precision, setup_.engine, setup_.level, false);
  if (!made) return made.error();
  kernels_ = std::move(*made);
  return {};
}

Status GradientLanes::go_on(std::shared_ptr<const CudaDevice> device, uint64_t max_bytes, int64_t runs_of_loss) {
  auto made = GradientDevice::create({.adjoint = setup_.adjoint, .prepared = setup_.prepared, .feeds = &feeds_, .outputs = setup_.read,
                                      .precision = setup_.precision, .device = std::move(device), .max_bytes = max_bytes,
                                      .runs = runs_of_loss});
  if (!made) return made.failure();
  device_ = std::move(*made);
  return Done{};
}

TrajectoryMemory GradientLanes::memory() const {
  TrajectoryMemory out;
  int64_t lanes = 1;
  for (const TrajectoryMemory& one : kept_) {
    if (one.bytes > out.bytes) out = one;
    lanes = std::max(lanes, one.lanes);
  }
  out.lanes = lanes;
  return out;
}

std::string GradientLanes::apart_because() const {
  return packs_.obstacle().empty() && packs_.slower_together() ? "that is faster here" : packs_.obstacle();
}

std::string GradientLanes::never_together_because() const {
  if (device_) return {};
  return packing_ ? TrajectoryPack::obstacle(setup_.adjoint->program) : "they are interpreted";
}

std::unique_ptr<Trajectory> GradientLanes::make_trajectory(int64_t lane, std::string& failure) const {
  const DrawsOfLane draws = draws_of_lane(prepared(), lane);
  TrajectoryOptions how;
  how.precision = setup_.precision;
  how.seed = draws.seed;
  how.lane = draws.lane;
  how.max_bytes = setup_.max_bytes;
  if (prepared().lanes == 1) how.threads = prepared().options.threads;   // else lanes share them
  auto made = Trajectory::create(setup_.adjoint, kernels_, how);
  if (!made) {
    failure = made.error();
    return nullptr;
  }
  return std::make_unique<Trajectory>(std::move(*made));
}

std::string GradientLanes::prepare_lane(Trajectory& trajectory, int64_t lane) const {
  const auto set = [&](Role role) -> std::string {
    for (const auto& [id, values] : prepared().columns) {
      if ((*prepared().program)[id].role != role) continue;
      if (const Status done = trajectory.set(id, values_of_lane(values, lane)); !done) return done.error();
    }
    return {};
  };
  if (std::string failure = set(Role::Param); !failure.empty()) return failure;
  trajectory.initialise();
  return set(Role::State);
}

std::string GradientLanes::forward_lane(int64_t lane) {
  std::string failure;
  if (!trajectories_[lane]) trajectories_[lane] = make_trajectory(lane, failure);
  if (!trajectories_[lane]) return failure;
  Trajectory& trajectory = *trajectories_[lane];
  failure = prepare_lane(trajectory, lane);
  if (!failure.empty()) return failure;
  auto done = trajectory.forward(prepared().options.steps, prepared().options.dt_ms, feeds_[lane / prepared().copies], setup_.read);
  if (!done) return done.error();
  recorded_[lane] = std::move(*done);
  kept_[lane] = trajectory.memory();
  return {};
}

/// Takes the lanes that go together out of `active`.
void GradientLanes::forward_together(std::vector<int64_t>& active) {
  together_ = packs_.choose(active);
  std::vector<char> done(together_.size());
  std::vector<double> seconds(together_.size());
  in_parallel(prepared().options.threads, static_cast<int64_t>(together_.size()), [&](int64_t k) {
    const int64_t group = together_[k];
    const double began = thread_seconds();
    auto values = packs_.forward(group, setup_.read);
    if (!values) return;
    seconds[k] = thread_seconds() - began;
    done[k] = 1;
    for (int64_t n = 0; n < packs_.count(group); ++n) {
      recorded_[packs_.first(group) + n] = std::move((*values)[n]);
      kept_[packs_.first(group) + n] = packs_.pack(group).memory();
      trajectories_[packs_.first(group) + n].reset();
    }
  });
  for (size_t k = together_.size(); k-- > 0;) {   // too much memory together: one by one
    if (done[k]) packs_.took_together(together_[k], RunPacks::Pass::Forth, seconds[k]);
    if (done[k]) continue;
    packs_.give_up(together_[k]);
    together_.erase(together_.begin() + static_cast<std::ptrdiff_t>(k));
  }
  std::erase_if(active, [&](int64_t lane) {
    return std::find(together_.begin(), together_.end(), RunPacks::group_of(lane)) != together_.end();
  });
}

namespace {

/// By lane: it is one of these.
std::vector<bool> those_of(const std::vector<int64_t>& lanes, int64_t all) {
  std::vector<bool> out(static_cast<size_t>(all));
  for (const int64_t lane : lanes) out[static_cast<size_t>(lane)] = true;
  return out;
}

}  // namespace

Result<std::vector<std::string>> GradientLanes::forward(std::vector<int64_t> active) {
  const int64_t all = prepared().lanes;
  std::vector<std::string> failures(static_cast<size_t>(all));
  if (device_) {
    const std::string failure = device_->forward(those_of(active, all), recorded_, kept_);
    if (!active.empty()) failures[active[0]] = failure;
    return failures;
  }
  forward_together(active);
  if (std::string failure = active.empty() ? "" : make_kernels(); !failure.empty()) return Failure{std::move(failure)};
  // The first lane says how much a lane keeps: all of them, or each anew for its way back.
  size_t begin = 0;
  if (!active.empty() && !trajectories_[active[0]] && all > 1) {
    failures[active[0]] = forward_lane(active[0]);
    begin = 1;
    if (failures[active[0]].empty()) keep_all_ = trajectories_[active[0]]->memory().bytes <= setup_.max_bytes / static_cast<uint64_t>(all);
    if (!keep_all_) trajectories_[active[0]].reset();
  }
  std::vector<double> seconds(active.size());
  in_parallel(prepared().options.threads, static_cast<int64_t>(active.size() - begin), [&](int64_t k) {
    const int64_t lane = active[begin + k];
    const double began = thread_seconds();
    failures[lane] = forward_lane(lane);
    seconds[begin + k] = thread_seconds() - began;
    if (!keep_all_) trajectories_[lane].reset();
  });
  for (size_t k = begin; k < active.size(); ++k) packs_.took_alone(RunPacks::Pass::Forth, seconds[k]);
  packs_.note_alone(static_cast<int64_t>(active.size()));
  return failures;
}

void GradientLanes::reverse_together(const std::function<ByLane(int64_t)>& owed, std::span<const Wanted> wanted, std::vector<ByLane>& found) {
  std::vector<double> seconds(together_.size());
  in_parallel(prepared().options.threads, static_cast<int64_t>(together_.size()), [&](int64_t k) {
    const int64_t group = together_[k], first = packs_.first(group);
    std::vector<ByLane> seeds;
    for (int64_t n = 0; n < packs_.count(group); ++n) seeds.push_back(owed(first + n));
    TrajectoryPack& pack = packs_.pack(group);
    const double began = thread_seconds();
    pack.reverse(setup_.read, seeds);
    seconds[k] = thread_seconds() - began;
    for (int64_t n = 0; n < packs_.count(group); ++n) {
      if (seeds[n].empty()) continue;
      for (const Wanted& one : wanted)
        found[first + n].push_back(one.fed ? pack.gradient_of_feed(one.column, n) : pack.gradient(one.column, n));
    }
  });
  for (size_t k = 0; k < together_.size(); ++k) packs_.took_together(together_[k], RunPacks::Pass::Back, seconds[k]);
}

Result<std::vector<ByLane>> GradientLanes::reverse(const std::vector<bool>& takes_part, const std::function<ByLane(int64_t)>& owed,
                                                   std::span<const Wanted> wanted) {
  const int64_t all = prepared().lanes;
  std::vector<ByLane> found(static_cast<size_t>(all));
  if (device_) {
    const std::string failure = device_->reverse(takes_part, owed, [&](DeviceTrajectory& trajectory, int64_t k, int64_t lane) {
      for (const Wanted& one : wanted)
        found[lane].push_back(one.fed ? trajectory.gradient_of_feed(one.column, k) : trajectory.gradient(one.column, k));
    });
    if (!failure.empty()) return Failure{failure};
    return found;
  }
  reverse_together(owed, wanted, found);
  std::vector<std::string> failures(static_cast<size_t>(all));
  std::vector<double> seconds(static_cast<size_t>(all), -1.0);   // of lanes that went alone
  in_parallel(prepared().options.threads, all, [&](int64_t lane) {
    if (!takes_part[lane] || !found[lane].empty()) return;
    if (!trajectories_[lane]) failures[lane] = forward_lane(lane);
    if (!failures[lane].empty()) return;
    Trajectory& trajectory = *trajectories_[lane];
    const ByLane seeds = owed(lane);
    const double began = thread_seconds();
    trajectory.reverse(setup_.read, seeds);
    seconds[lane] = thread_seconds() - began;
    for (const Wanted& one : wanted)
      found[lane].push_back(one.fed ? trajectory.gradient_of_feed(one.column) : trajectory.gradient(one.column));
    if (!keep_all_) trajectories_[lane].reset();
  });
  for (int64_t lane = 0; lane < all; ++lane) {
    if (seconds[lane] >= 0) packs_.took_alone(RunPacks::Pass::Back, seconds[lane]);
    if (!failures[lane].empty()) return Failure{failures[lane]};
  }
  return found;
}

TrajectoryAtBounds GradientLanes::at_bounds(ColumnId column, double low, double high) {
  TrajectoryAtBounds sum;
  const auto add = [&](const TrajectoryAtBounds& one) {
    sum.at += one.at;
    sum.all += one.all;
  };
  if (device_) {
    std::vector<bool> first_copies;   // the others have values of their own
    for (int64_t lane = 0; lane < prepared().lanes; ++lane) first_copies.push_back(lane % prepared().copies == 0);
    // A device that fails now says so to the next who asks.
    device_->each(first_copies, [&](DeviceTrajectory& trajectory, int64_t k, int64_t) { add(trajectory.at_bounds(column, low, high, k)); });
    return sum;
  }
  std::vector<bool> seen(static_cast<size_t>(prepared().lanes));   // of groups
  for (int64_t lane = 0; lane < prepared().lanes; lane += prepared().copies) {
    const int64_t group = RunPacks::group_of(lane);
    if (packs_.made(group)) {
      if (seen[static_cast<size_t>(group)] || !packs_.forward(group, setup_.read)) continue;
      seen[static_cast<size_t>(group)] = true;
      std::vector<bool> counted;   // the other copies have values of their own
      for (int64_t k = 0; k < packs_.count(group); ++k) counted.push_back((packs_.first(group) + k) % prepared().copies == 0);
      add(packs_.pack(group).at_bounds(column, low, high, counted));
      continue;
    }
    if (!forward_lane(lane).empty()) continue;
    add(trajectories_[lane]->at_bounds(column, low, high));
    if (!keep_all_) trajectories_[lane].reset();
  }
  return sum;
}

}  // namespace hebb
