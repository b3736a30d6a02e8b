#include "compiler/experiment/grad_packs.h"

#include <algorithm>

#include "compiler/codegen/codegen.h"
#include "compiler/program/interpret.h"
#include "runtime/random.h"

namespace hebb {

Result<Kernels> make_gradient_kernels(const std::shared_ptr<const Adjoint>& adjoint, Precision precision,
                                      ExperimentOptions::Engine engine, int level, bool together) {
  const std::shared_ptr<const Program> program(adjoint, &adjoint->program);
  if (engine == ExperimentOptions::Engine::Interpreter) return interpret(program, precision);
  CodegenOptions options{.precision = precision, .level = level, .whole = Trajectory::runs_whole(*program), .lanes = together};
  options.wanted.resize(program->kernels.size());
  for (const StepAdjoint* step : {&adjoint->quiet, &adjoint->eventful, &adjoint->init, &adjoint->once, &adjoint->begin})
    for (const auto* list : {&step->forward, &step->reverse})
      for (const KernelId id : *list) options.wanted[id.value] = true;
  return jit(*program, options);
}

GradientPacks::GradientPacks(const Setup& setup) : setup_(setup), possible_(TrajectoryPack::possible(setup.adjoint->program)) {
  const int64_t groups = (setup.prepared->lanes + kLanesTogether - 1) / kLanesTogether;
  packs_.resize(static_cast<size_t>(groups));
  cannot_.resize(static_cast<size_t>(groups));
}

int64_t GradientPacks::count(int64_t group) const {
  return std::min<int64_t>(kLanesTogether, setup_.prepared->lanes - first(group));
}

void GradientPacks::give_up(int64_t group) {
  cannot_[static_cast<size_t>(group)] = true;
  packs_[static_cast<size_t>(group)].reset();
}

std::vector<int64_t> GradientPacks::choose(std::span<const int64_t> active) {
  constexpr int64_t kEnough = 4;   // that many runs take as long one by one as sixteen together
  constexpr int64_t kAsked = 3;    // a fit of a few updates ends before code for it would be ready
  std::vector<int64_t> members(packs_.size()), out;
  if (!possible_) return out;
  for (const int64_t lane : active) ++members[static_cast<size_t>(group_of(lane))];
  // A group that once went together has no memory to go one by one.
  const auto goes = [&](size_t group) { return !cannot_[group] && members[group] >= (packs_[group] ? 1 : kEnough); };
  bool any = false;
  for (size_t group = 0; group < members.size(); ++group) any = any || goes(group);
  if (!any || ++asked_ < kAsked) return out;
  if (kernels_.run.empty()) {
    auto kernels = make_gradient_kernels(setup_.adjoint, setup_.precision, ExperimentOptions::Engine::Jit, setup_.level, true);
    if (!kernels) {
      possible_ = false;
      return out;
    }
    kernels_ = *std::move(kernels);
  }
  for (size_t group = 0; group < members.size(); ++group) {
    if (!goes(group)) continue;
    if (packs_[group] || make(static_cast<int64_t>(group))) out.push_back(static_cast<int64_t>(group));
    else give_up(static_cast<int64_t>(group));
  }
  return out;
}

bool GradientPacks::make(int64_t group) {
  const PreparedRun& prepared = *setup_.prepared;
  std::vector<uint64_t> keys;
  std::vector<const std::vector<FeedValues>*> feeds;
  for (int64_t k = 0; k < count(group); ++k) {
    const int64_t lane = first(group) + k;
    const DrawsOfLane draws = draws_of_lane(prepared, lane);
    keys.push_back(random_key(draws.seed, draws.lane));
    feeds.push_back(&(*setup_.feeds)[static_cast<size_t>(lane)]);
  }
  auto made = TrajectoryPack::create(setup_.adjoint, kernels_, setup_.precision, setup_.max_bytes / packs_.size(), keys);
  if (!made || !made->feed(prepared.options.steps, feeds)) return false;
  packs_[static_cast<size_t>(group)] = std::make_unique<TrajectoryPack>(std::move(*made));
  return true;
}

std::string GradientPacks::set(int64_t group, Role role) {
  const PreparedRun& prepared = *setup_.prepared;
  for (const auto& [id, values] : prepared.columns) {
    if ((*prepared.program)[id].role != role) continue;
    std::vector<const std::vector<double>*> by_lane;
    for (int64_t k = 0; k < count(group); ++k) by_lane.push_back(&values_of_lane(values, first(group) + k));
    if (const Status done = pack(group).set(id, by_lane); !done) return done.error();
  }
  return {};
}

Result<std::vector<ByLane>> GradientPacks::forward(int64_t group, std::span<const TrajectoryOutput> outputs) {
  if (std::string failure = set(group, Role::Param); !failure.empty()) return Failure{std::move(failure)};
  pack(group).initialise();
  if (std::string failure = set(group, Role::State); !failure.empty()) return Failure{std::move(failure)};
  return pack(group).forward(setup_.prepared->options.dt_ms, outputs);
}

}  // namespace hebb
