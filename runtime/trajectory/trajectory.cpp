#include "runtime/trajectory/trajectory.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <utility>

#include "compiler/program/uncoupled.h"
#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/random.h"
#include "runtime/trajectory/caches.h"
#include "runtime/trajectory/core.h"

namespace hebb {

namespace {

/// What a tile keeps of one step should nearly stay in the first-level cache (measured with bench/run_gradients where that
/// has 32 KiB and where it has 48), and a stretch of its trajectory in the second.
constexpr int64_t kTileBytes = 56 << 10;
uint64_t stretch_bytes() { return static_cast<uint64_t>(caches().second) * 3 / 8; }
constexpr uint64_t kCosyBytes = 8 << 20;   // a whole trajectory beyond that is faster computed twice than fetched
constexpr int64_t kVector = 16;

/// Copies the neurons of a window between a column of a tile and that of the whole.
void copy_window(Columns& part, Columns& whole, ColumnId id, const PostWindow& window, bool cut, bool to_part) {
  const ColumnLayout &p = part.layout(id), &w = whole.layout(id);
  const size_t each = part.precision() == Precision::Float32 ? sizeof(float) : sizeof(double);
  const int64_t first = cut ? window.first : 0;
  for (int64_t e = 0; e < p.width; ++e) {
    for (int64_t i = 0; i < p.pres; ++i) {
      std::byte* const own = static_cast<std::byte*>(part.base(id)) + static_cast<size_t>(p.offset(i, 0, e)) * each;
      std::byte* const all = static_cast<std::byte*>(whole.base(id)) + static_cast<size_t>(w.offset(i, first, e)) * each;
      std::memcpy(to_part ? own : all, to_part ? all : own, static_cast<size_t>(p.posts) * each);
    }
  }
}

std::vector<KernelId> kernels_of_steps(const Adjoint& a) {
  std::vector<KernelId> out = a.once.forward;
  for (const StepAdjoint* step : {&a.begin, &a.quiet, &a.eventful})
    for (const auto* list : {&step->forward, &step->reverse}) out.insert(out.end(), list->begin(), list->end());
  return out;
}

/// Neurons that may be run apart, reverse steps too.
std::optional<Uncoupled> neurons_apart(const Adjoint& a) {
  auto cut = uncoupled_posts(a.program, kernels_of_steps(a));
  if (!cut) return cut;
  for (const StepAdjoint* step : {&a.begin, &a.quiet, &a.eventful})
    for (const KernelId id : step->reverse)
      if (!cut->cut(a.program[id].domain)) return std::nullopt;   // would be done once for each tile
  for (const Feed& feed : a.program.plan.feeds)
    if (feed.event && cut->cut(a.program[feed.column].space)) return std::nullopt;
  return cut;
}

}  // namespace

struct Trajectory::State {
  std::shared_ptr<const Adjoint> adjoint;
  Kernels kernels;
  TrajectoryOptions options;
  /// All neurons. With tiles, what begins and ends a run: initial values, sums over neurons, what initial values are owed.
  std::unique_ptr<TrajectoryCore> whole;

  struct Tile {
    PostWindow window;
    Slots saved;
    bool made = false;
  };
  std::optional<Uncoupled> cut;
  std::vector<Tile> tiles;
  /// By thread, and by number of neurons.
  std::vector<std::map<int64_t, std::unique_ptr<TrajectoryCore>>> workers;
  bool tiled = false;                            // the last forward pass was
  std::vector<std::pair<ColumnId, std::vector<double>>> fed_gradients;
  TrajectoryMemory memory;

  bool in_tiles(ColumnId id) const { return cut && cut->cut(adjoint->program[id].space); }
  void make_tiles();
  Result<TrajectoryCore*> worker(int thread, int64_t posts);
  uint64_t bytes_with(const TrajectoryCore& core) const;
  Status load(TrajectoryCore& core, Tile& tile, bool anew);
  Status each_tile(bool anew, const std::function<void(TrajectoryCore&)>& work);
  bool may_tile(std::span<const TrajectoryOutput> outputs) const;
  std::vector<OutputPlace> places(std::span<const TrajectoryOutput> outputs) const;
  void absorb(TrajectoryCore& core);
};

void Trajectory::State::make_tiles() {
  cut = neurons_apart(*adjoint);
  if (!cut) return;
  const double width = static_cast<double>(whole->saved.slot_bytes()) / static_cast<double>(cut->posts);
  int64_t posts = options.tile_posts;
  if (posts == 0) {
    // An odd number of lines a row: those of a column of vectors do not meet in the cache.
    const auto vectors = static_cast<int64_t>(kTileBytes / std::max(width, 1.0)) / kVector;
    posts = (vectors | 1) * kVector;
  }
  posts = std::max((posts + kVector - 1) / kVector * kVector, kVector);
  if (cut->posts < 2 * posts) {
    cut.reset();
    return;
  }
  for (int64_t first = 0; first < cut->posts; first += posts)
    tiles.push_back({.window = {first, std::min(posts, cut->posts - first), cut->posts}, .saved = {}});
  workers.resize(static_cast<size_t>(std::max(1, std::min<int>(options.threads, static_cast<int>(tiles.size())))));
}

Result<TrajectoryCore*> Trajectory::State::worker(int thread, int64_t posts) {
  auto& core = workers[static_cast<size_t>(thread)][posts];
  if (!core) {
    auto program = std::make_shared<const Program>(narrowed(adjoint->program, *cut, posts));
    auto made = TrajectoryCore::create(adjoint, std::move(program), kernels, options.precision, whole->key, {});
    if (!made) return made.failure();
    core = std::move(*made);
  }
  return core.get();
}

/// Of everything, when all tiles are like this one.
uint64_t Trajectory::State::bytes_with(const TrajectoryCore& core) const {
  const uint64_t saved = core.saved.slot_bytes() * static_cast<uint64_t>(core.memory.checkpoints);
  return whole->columns.bytes() + workers.size() * core.memory.bytes + tiles.size() * saved;
}

/// Gives a worker what the whole begins with; not `anew`: its checkpoints are there.
Status Trajectory::State::load(TrajectoryCore& core, Tile& tile, bool anew) {
  core.window = tile.window;
  core.kept = false;
  core.ring_begin = -1;
  core.load_beginning();
  const Program& program = adjoint->program;
  for (uint32_t k = 0; k < adjoint->adjoint_of.size(); ++k) {
    const ColumnId id{k};
    if (program[id].role != Role::Param && program[id].role != Role::State) continue;
    if (!anew && std::find(core.now.begin(), core.now.end(), id) != core.now.end()) continue;
    copy_window(core.columns, whole->columns, id, tile.window, in_tiles(id), true);
  }
  core.borrow_feeds(*whole, [&](ColumnId id) { return in_tiles(id); });
  const Status begun = core.begin(whole->steps, whole->dt_ms, core.columns.bytes() + stretch_bytes(), UINT64_MAX);
  const uint64_t needed = bytes_with(core);
  if (!begun || needed <= options.max_bytes) return begun;
  return Failure{cat("the gradient of ", whole->steps, " steps needs ", bytes_text(static_cast<double>(needed)),
                     " even with checkpoints, ", bytes_text(static_cast<double>(options.max_bytes)), " allowed")};
}

/// Runs `work` on every tile, loaded, its checkpoints in the core's hands.
Status Trajectory::State::each_tile(bool anew, const std::function<void(TrajectoryCore&)>& work) {
  std::vector<std::string> failures(tiles.size());
  std::atomic<size_t> next = 0;
  const auto run = [&](int thread) {
    for (size_t k = next++; k < tiles.size(); k = next++) {
      Tile& tile = tiles[k];
      const auto core = worker(thread, tile.window.posts);
      if (!core) {
        failures[k] = core.error();
        continue;
      }
      // How many checkpoints there are is the tile's own: this thread may never have seen one of its size.
      if (!std::exchange(tile.made, true)) {
        tile.saved = Slots((*core)->columns, (*core)->now);
        if (!tile.saved.allocate(1)) {
          failures[k] = "no memory left for the states";
          continue;
        }
      }
      std::swap((*core)->saved, tile.saved);
      const Status loaded = load(**core, tile, anew);
      if (loaded) work(**core);
      else failures[k] = loaded.error();
      std::swap((*core)->saved, tile.saved);
    }
  };
  {
    std::vector<std::jthread> others;
    for (size_t thread = 1; thread < workers.size(); ++thread)
      others.emplace_back([&run, thread] { run(static_cast<int>(thread)); });
    run(0);
  }
  for (const std::string& failure : failures)
    if (!failure.empty()) return Failure{failure};
  return Done{};
}

/// Tiles cannot share what is owed to one column.
bool Trajectory::State::may_tile(std::span<const TrajectoryOutput> outputs) const {
  if (!cut) return false;
  return std::all_of(outputs.begin(), outputs.end(), [&](const TrajectoryOutput& output) {
    return in_tiles(output.column) || !adjoint->adjoint_of[output.column.value].valid();
  });
}

std::vector<OutputPlace> Trajectory::State::places(std::span<const TrajectoryOutput> outputs) const {
  std::vector<OutputPlace> out;
  for (const TrajectoryOutput& output : outputs)
    out.push_back({.what = output, .cut = tiled && in_tiles(output.column)});
  return out;
}

/// What a tile left for parameters, per neuron, and for initial values.
void Trajectory::State::absorb(TrajectoryCore& core) {
  const Adjoint& a = *adjoint;
  for (const ColumnId id : a.zero_once)
    if (in_tiles(id)) copy_window(core.columns, whole->columns, id, core.window, true, false);
  for (const ColumnId id : core.now_adjoints)
    if (in_tiles(id)) copy_window(core.columns, whole->columns, id, core.window, true, false);
  for (size_t k = 0; k < core.fed_targets.size(); ++k) {
    for (auto& [column, values] : fed_gradients) {
      if (column != core.fed_targets[k]) continue;
      const std::vector<double>& own = core.fed_gradients[k];
      const int64_t width = core.columns.layout(column).width;
      const int64_t row = core.window.posts * width, all = core.window.all * width;
      for (int64_t step = 0; step < whole->steps; ++step)
        std::copy_n(own.begin() + step * row, row, values.begin() + step * all + core.window.first * width);
    }
  }
}

Trajectory::Trajectory(std::unique_ptr<State> state) : state_(std::move(state)) {}
Trajectory::Trajectory(Trajectory&&) noexcept = default;
Trajectory& Trajectory::operator=(Trajectory&&) noexcept = default;
Trajectory::~Trajectory() = default;

Result<Trajectory> Trajectory::create(std::shared_ptr<const Adjoint> adjoint, Kernels kernels,
                                      const TrajectoryOptions& options) {
  auto state = std::make_unique<State>();
  state->adjoint = adjoint;
  state->kernels = kernels;
  state->options = options;
  const std::shared_ptr<const Program> program(adjoint, &adjoint->program);
  auto whole = TrajectoryCore::create(std::move(adjoint), program, std::move(kernels), options.precision,
                                      random_key(options.seed, options.lane), {});
  if (!whole) return whole.failure();
  state->whole = std::move(*whole);
  state->make_tiles();
  if (!state->cut && options.threads > 1) state->whole->share_among(options.threads);
  return Trajectory(std::move(state));
}

bool Trajectory::runs_whole(const Program& program) {
  return std::all_of(program.spaces.begin(), program.spaces.end(), [](const Space& space) {
    return space.kind == SpaceKind::Dense || space.kind == SpaceKind::Uniform ||
           (space.kind == SpaceKind::Neurons && space.size < 2 * kVector);
  });
}

Status Trajectory::set(ColumnId column, std::span<const double> values) {
  const int64_t size = state_->whole->columns.layout(column).size();
  if (values.size() != 1 && static_cast<int64_t>(values.size()) != size) {
    return Failure{cat(quoted(state_->adjoint->program[column].name), " takes ", size, " numbers, got ", values.size())};
  }
  state_->whole->set(column, values);
  return Done{};
}

void Trajectory::initialise() { state_->whole->initialise(); }

Result<std::vector<std::vector<double>>> Trajectory::forward(int64_t steps, double dt_ms,
                                                             std::span<const FeedValues> feeds,
                                                             std::span<const TrajectoryOutput> outputs) {
  State& s = *state_;
  TrajectoryCore& whole = *s.whole;
  if (std::exchange(s.tiled, s.may_tile(outputs))) whole.kept = whole.kept && s.tiled;
  std::vector<std::vector<double>> recorded;
  std::vector<OutputPlace> places = s.places(outputs);
  for (OutputPlace& place : places) {
    recorded.emplace_back(static_cast<size_t>(place.what.samples(steps) * whole.columns.layout(place.what.column).size()));
  }
  for (size_t k = 0; k < places.size(); ++k) places[k].values = recorded[k].data();
  if (!s.tiled) {
    if (steps != whole.steps) whole.bound = false;
    whole.steps = steps;
    if (Status bound = whole.bind_feeds(feeds); !bound) return bound.failure();
    if (Status ready = whole.begin(steps, dt_ms, std::min(s.options.max_bytes, whole.columns.bytes() + kCosyBytes), s.options.max_bytes); !ready) return ready.failure();
    whole.forward(places);
    s.memory = whole.memory;
    return recorded;
  }
  if (steps != whole.steps) whole.bound = false;
  whole.steps = steps;
  whole.dt_ms = dt_ms;
  whole.columns.fill(s.adjoint->program.dt, dt_ms);
  if (Status bound = whole.bind_feeds(feeds); !bound) return bound.failure();
  whole.kept = true;   // the beginning is not written to
  if (Status done = s.each_tile(true, [&](TrajectoryCore& core) { core.forward(places, true); }); !done) return done.failure();
  // Some thread may have come too late for any tile.
  const auto busy = std::find_if(s.workers.begin(), s.workers.end(), [](const auto& cores) { return !cores.empty(); });
  const TrajectoryCore& first = *busy->begin()->second;
  s.memory = first.memory;
  s.memory.tiles = static_cast<int64_t>(s.tiles.size());
  s.memory.bytes = s.bytes_with(first);
  return recorded;
}

void Trajectory::reverse(std::span<const TrajectoryOutput> outputs, std::span<const std::vector<double>> seeds) {
  State& s = *state_;
  TrajectoryCore& whole = *s.whole;
  std::vector<OutputPlace> places = s.places(outputs);
  for (size_t k = 0; k < places.size(); ++k) places[k].owed = seeds[k].data();
  s.fed_gradients.clear();
  if (!s.tiled) {
    whole.reverse(places);
    whole.finish();
    for (size_t k = 0; k < whole.fed_targets.size(); ++k)
      s.fed_gradients.emplace_back(whole.fed_targets[k], std::move(whole.fed_gradients[k]));
    return;
  }
  for (const ColumnId id : s.adjoint->zero_once) whole.columns.fill(id, 0);
  for (const auto& feed : whole.feeds)
    if (s.adjoint->adjoint_of[feed.column.value].valid())
      s.fed_gradients.emplace_back(feed.column, std::vector<double>(static_cast<size_t>(
                                                    whole.steps * whole.columns.layout(feed.column).size())));
  // It was run forwards with the same; what fails now is a mistake of ours.
  [[maybe_unused]] const Status done = s.each_tile(false, [&](TrajectoryCore& core) {
    run_launches(core.once.forward, 0);
    core.reverse(places);
    s.absorb(core);
  });
  run_launches(whole.once.forward, 0);
  whole.finish();
}

std::vector<double> Trajectory::gradient(ColumnId target) const {
  const ColumnId adjoint = state_->adjoint->adjoint_of[target.value];
  const TrajectoryCore& whole = *state_->whole;
  if (!adjoint.valid()) return std::vector<double>(static_cast<size_t>(whole.columns.layout(target).size()));
  return whole.read(adjoint);
}

std::vector<double> Trajectory::gradient_of_feed(ColumnId fed) const {
  for (const auto& [column, values] : state_->fed_gradients)
    if (column == fed) return values;
  return {};
}

Trajectory::AtBounds Trajectory::at_bounds(ColumnId state, double low, double high) {
  State& s = *state_;
  if (!s.tiled) return s.whole->at_bounds(state, low, high);
  std::vector<AtBounds> counts(s.tiles.size());
  [[maybe_unused]] const Status done = s.each_tile(false, [&](TrajectoryCore& core) {
    run_launches(core.once.forward, 0);
    counts[static_cast<size_t>(core.window.first / s.tiles[0].window.posts)] = core.at_bounds(state, low, high);
  });
  AtBounds sum;
  for (size_t k = 0; k < counts.size(); ++k) {
    sum.at += counts[k].at;
    sum.all += counts[k].all;
    if (!s.in_tiles(state)) break;   // every tile counted the same
  }
  return sum;
}

const TrajectoryMemory& Trajectory::memory() const { return state_->memory; }

}  // namespace hebb
