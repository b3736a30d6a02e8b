#include "runtime/trajectory/pack.h"

#include <algorithm>
#include <cassert>
#include <map>

#include "compiler/support/text.h"
#include "runtime/trajectory/core.h"

namespace hebb {

int64_t last_step_owed(const ByLane& seeds, std::span<const TrajectoryOutput> outputs, int64_t steps) {
  int64_t last = -1;
  for (size_t k = 0; k < seeds.size(); ++k) {
    size_t end = seeds[k].size();
    while (end > 0 && seeds[k][end - 1] == 0) --end;
    if (end == 0 || steps == 0) continue;
    const size_t each = seeds[k].size() / static_cast<size_t>(outputs[k].samples(steps));
    const auto sample = static_cast<int64_t>((end - 1) / each);
    last = std::max(last, outputs[k].final_only ? steps - 1 : sample * outputs[k].every);
  }
  return last;
}

namespace {

/// Numbers of a column of one run.
int64_t size_of(const Program& program, ColumnId id) {
  const Space& space = program[program[id].space];
  const int64_t rows = is_synaptic(space.kind) ? program[space.pre].size * program[space.post].size : space.size;
  return rows * program[id].width;
}

/// The same program, its columns as kernels of several runs see them: a matrix of elements and runs.
Program packed(Program program) {
  std::map<int64_t, SpaceId> matrices;
  const SpaceId lanes = program.add(Space{.kind = SpaceKind::Neurons, .name = "lanes", .size = kLanesTogether});
  std::vector<SpaceId> spaces;
  for (uint32_t k = 0; k < program.columns.size(); ++k) {
    const int64_t size = size_of(program, ColumnId{k});
    if (!matrices.contains(size)) {
      const SpaceId elements = program.add(Space{.kind = SpaceKind::Neurons, .name = cat("elements", size), .size = size});
      matrices[size] = program.add(Space{.kind = SpaceKind::Dense, .name = cat("elements", size, "x"), .pre = elements, .post = lanes});
    }
    spaces.push_back(matrices.at(size));
  }
  for (size_t k = 0; k < spaces.size(); ++k) {
    program.columns[k].space = spaces[k];
    program.columns[k].width = 1;
  }
  return program;
}

constexpr size_t kLanes = kLanesTogether;
constexpr int64_t kMostNeurons = 31;       // of a population: then every launch is whole, Trajectory::runs_whole
constexpr uint64_t kCosyBytes = 8 << 20;   // as of a single run, trajectory.cpp

}  // namespace

struct TrajectoryPack::State {
  std::shared_ptr<const Adjoint> adjoint;
  std::unique_ptr<TrajectoryCore> core;
  size_t lanes = 0;
  uint64_t max_bytes = 0;
  int64_t steps = 0;
  std::vector<FeedValues> feeds;          // of all runs, side by side
  std::vector<int64_t> last_owed;         // by lane

  /// Lanes without a run do what the first run does.
  size_t run_of(size_t lane) const { return lane < lanes ? lane : 0; }
};

TrajectoryPack::TrajectoryPack(std::unique_ptr<State> state) : state_(std::move(state)) {}
TrajectoryPack::TrajectoryPack(TrajectoryPack&&) noexcept = default;
TrajectoryPack& TrajectoryPack::operator=(TrajectoryPack&&) noexcept = default;
TrajectoryPack::~TrajectoryPack() = default;

std::string TrajectoryPack::obstacle(const Program& program) {
  if (!program.plan.delays.empty() || !program.plan.bucketed.empty()) return "there are delays";
  for (const Space& space : program.spaces)
    if (space.kind == SpaceKind::Sparse) return cat(space.name, " has synapses that are not all there");
  for (const Space& space : program.spaces)
    if (space.kind == SpaceKind::Neurons && space.size > kMostNeurons)
      return cat(space.name, " has ", space.size, " neurons, and there may be ", kMostNeurons);
  assert(Trajectory::runs_whole(program));
  return {};
}

Result<TrajectoryPack> TrajectoryPack::create(std::shared_ptr<const Adjoint> adjoint, Kernels kernels, Precision precision,
                                              uint64_t max_bytes, std::span<const uint64_t> keys) {
  auto state = std::make_unique<State>();
  state->adjoint = adjoint;
  state->lanes = keys.size();
  state->max_bytes = max_bytes;
  std::vector<uint64_t> all;
  for (size_t lane = 0; lane < kLanes; ++lane) all.push_back(keys[state->run_of(lane)]);
  auto program = std::make_shared<const Program>(packed(adjoint->program));
  auto core = TrajectoryCore::create(std::move(adjoint), std::move(program), std::move(kernels), precision, all[0], {}, all);
  if (!core) return core.failure();
  state->core = std::move(*core);
  return TrajectoryPack(std::move(state));
}

int64_t TrajectoryPack::lanes() const { return static_cast<int64_t>(state_->lanes); }

Status TrajectoryPack::set(ColumnId column, std::span<const std::vector<double>* const> values) {
  State& s = *state_;
  const auto size = static_cast<size_t>(size_of(s.adjoint->program, column));
  std::vector<double> all(size * kLanes);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const std::vector<double>& own = *values[s.run_of(lane)];
    if (own.size() != 1 && own.size() != size)
      return Failure{cat(quoted(s.adjoint->program[column].name), " takes ", size, " numbers, got ", own.size())};
    for (size_t e = 0; e < size; ++e) all[e * kLanes + lane] = own[own.size() == 1 ? 0 : e];
  }
  s.core->set(column, all);
  return Done{};
}

void TrajectoryPack::initialise() { state_->core->initialise(); }

bool TrajectoryPack::feed(int64_t steps, std::span<const std::vector<FeedValues>* const> feeds) {
  State& s = *state_;
  s.steps = steps;
  s.core->bound = false;
  s.feeds.clear();
  const Program& program = s.adjoint->program;
  for (size_t k = 0; k < feeds[0]->size(); ++k) {
    const FeedValues& first = (*feeds[0])[k];
    const auto known = std::find_if(program.plan.feeds.begin(), program.plan.feeds.end(), [&](const Feed& f) { return f.name == first.name; });
    if (known == program.plan.feeds.end()) return false;
    const auto size = static_cast<size_t>(size_of(program, known->column));
    const auto rows = static_cast<size_t>(first.rows), count = static_cast<size_t>(first.constant ? 1 : steps);
    if (rows != size && rows != 1) return false;
    FeedValues all{.name = first.name, .values = std::vector<double>(count * size * kLanes), .rows = static_cast<int64_t>(size * kLanes),
                   .constant = first.constant};
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const FeedValues& own = (*feeds[s.run_of(lane)])[k];
      if (own.name != first.name || own.rows != first.rows || own.constant != first.constant || own.values.size() < count * rows) return false;
      for (size_t step = 0; step < count; ++step)
        for (size_t e = 0; e < size; ++e)
          all.values[(step * size + e) * kLanes + lane] = own.values[step * rows + (rows == 1 ? 0 : e)];
    }
    s.feeds.push_back(std::move(all));
  }
  return true;
}

Result<std::vector<ByLane>> TrajectoryPack::forward(double dt_ms, std::span<const TrajectoryOutput> outputs) {
  State& s = *state_;
  TrajectoryCore& core = *s.core;
  if (s.steps != core.steps) core.bound = false;
  core.steps = s.steps;
  if (!core.bound)
    if (Status bound = core.bind_feeds(s.feeds); !bound) return bound.failure();
  const uint64_t cosy = std::min(s.max_bytes, core.columns.bytes() + kCosyBytes);
  if (Status ready = core.begin(s.steps, dt_ms, cosy, s.max_bytes); !ready) return ready.failure();
  std::vector<OutputPlace> places;
  std::vector<std::vector<double>> together;
  for (const TrajectoryOutput& output : outputs) {
    const int64_t rows = output.samples(s.steps);
    together.emplace_back(static_cast<size_t>(rows * core.columns.layout(output.column).size()));
    places.push_back({.what = output});
  }
  for (size_t k = 0; k < places.size(); ++k) places[k].values = together[k].data();
  const bool only_forwards = s.adjoint->targets.empty();
  core.looks = only_forwards;
  core.forward(places, only_forwards);
  std::vector<ByLane> out(s.lanes, ByLane(outputs.size()));
  for (size_t k = 0; k < together.size(); ++k) {
    const size_t each = together[k].size() / kLanes;
    for (size_t lane = 0; lane < s.lanes; ++lane) {
      out[lane][k].resize(each);
      for (size_t at = 0; at < each; ++at) out[lane][k][at] = together[k][at * kLanes + lane];
    }
  }
  return out;
}

void TrajectoryPack::watch(const std::atomic<bool>* interrupted) { state_->core->interrupted = interrupted; }

bool TrajectoryPack::stayed_finite() const { return state_->core->finite; }

void TrajectoryPack::reverse(std::span<const TrajectoryOutput> outputs, std::span<const ByLane> seeds) {
  State& s = *state_;
  std::vector<OutputPlace> places;
  std::vector<std::vector<double>> together;
  for (const TrajectoryOutput& output : outputs) {
    const int64_t rows = output.samples(s.steps);
    together.emplace_back(static_cast<size_t>(rows * s.core->columns.layout(output.column).size()));
    places.push_back({.what = output});
  }
  s.last_owed.assign(kLanes, -1);
  for (size_t lane = 0; lane < seeds.size(); ++lane) {
    s.last_owed[lane] = last_step_owed(seeds[lane], outputs, s.steps);
    for (size_t k = 0; k < seeds[lane].size(); ++k)
      for (size_t at = 0; at < seeds[lane][k].size(); ++at) together[k][at * kLanes + lane] = seeds[lane][k][at];
  }
  for (size_t k = 0; k < places.size(); ++k) places[k].owed = together[k].data();
  s.core->reverse(places, s.last_owed);
  s.core->finish();
}

namespace {

std::vector<double> of_lane(const std::vector<double>& all, size_t lane) {
  std::vector<double> out;
  for (size_t at = lane; at < all.size(); at += kLanes) out.push_back(all[at]);
  return out;
}

}  // namespace

std::vector<double> TrajectoryPack::gradient(ColumnId target, int64_t lane) const {
  const ColumnId adjoint = state_->adjoint->adjoint_of[target.value];
  if (!adjoint.valid()) return std::vector<double>(static_cast<size_t>(size_of(state_->adjoint->program, target)));
  return of_lane(state_->core->read(adjoint), static_cast<size_t>(lane));
}

/// Alone, a run does not go back through the steps after the last that its loss reads.
std::vector<double> TrajectoryPack::gradient_of_feed(ColumnId fed, int64_t lane) const {
  const State& s = *state_;
  for (size_t k = 0; k < s.core->fed_targets.size(); ++k) {
    if (s.core->fed_targets[k] != fed) continue;
    std::vector<double> out = of_lane(s.core->fed_gradients[k], static_cast<size_t>(lane));
    const int64_t each = size_of(s.adjoint->program, fed);
    std::fill(out.begin() + (s.last_owed[static_cast<size_t>(lane)] + 1) * each, out.end(), 0.0);
    return out;
  }
  return {};
}

TrajectoryMemory TrajectoryPack::memory() const {
  TrajectoryMemory out = state_->core->memory;
  out.bytes /= state_->lanes;
  out.lanes = static_cast<int64_t>(state_->lanes);
  return out;
}

TrajectoryAtBounds TrajectoryPack::at_bounds(ColumnId state, double low, double high, const std::vector<bool>& lanes) {
  std::vector<bool> all = lanes;
  all.resize(kLanes);
  return state_->core->at_bounds(state, low, high, &all);
}

}  // namespace hebb
