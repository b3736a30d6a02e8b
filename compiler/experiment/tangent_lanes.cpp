#include "compiler/experiment/tangent_lanes.h"

#include <algorithm>

#include "compiler/adjoint/activity.h"
#include "compiler/adjoint/tangent.h"
#include "compiler/experiment/engine.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"
#include "runtime/threads.h"

namespace hebb {

void cut_into_tiles(MovingRun& moving, const Program& primal, std::span<const ColumnId> targets) {
  constexpr double kTileBytes = 1 << 20;
  constexpr int64_t kVector = 16;
  const Program& program = *moving.program;
  std::vector<KernelId> kernels;
  for (const Launch& launch : program.plan.step) kernels.push_back(launch.kernel);
  // Initial values are those of all neurons, and do not move.
  for (const Launch& launch : primal.plan.init)
    for (const ExprId leaf : load_leaves(primal.pool, roots(primal[launch.kernel])))
      for (const ColumnId target : targets)
        if (primal.pool[leaf].leaf.index == target.value) return;
  for (const Feed& feed : program.plan.feeds)
    if (feed.event) return;
  auto cut = uncoupled_posts(program, kernels);
  if (!cut) return;
  double bytes = 0;   // of one neuron
  for (const Column& column : program.columns) {
    const Space& space = program[column.space];
    if (space.kind == SpaceKind::Dense && cut->cut(column.space))
      bytes += static_cast<double>(program[space.pre].size * column.width) * sizeof(double);
  }
  const auto fit = static_cast<int64_t>(kTileBytes / std::max(bytes, 1.0)) / kVector * kVector;
  const int64_t posts = std::max(fit, kVector);
  if (cut->posts < 2 * posts) return;
  const int64_t rest = cut->posts % posts;
  const auto whole_tile = std::make_shared<const Program>(narrowed(program, *cut, posts));
  const auto last_tile = rest == 0 ? whole_tile : std::make_shared<const Program>(narrowed(program, *cut, rest));
  for (int64_t first = 0; first < cut->posts; first += posts)
    moving.tiles.emplace_back(first, first + posts <= cut->posts ? whole_tile : last_tile);
  moving.cut = std::move(cut);
}

void let_go_together(const Evaluation& e, const PreparedRun& prepared, MovingRun& moving) {
  for (const Recording& recording : moving.recordings)
    if (recording.column.valid()) moving.read.push_back({recording.column, recording.final_only, recording.every_steps});
  if (!TrajectoryPack::obstacle(*moving.program).empty()) return;   // before work on an adjoint
  moving.feeds = feeds_of_lanes(prepared);
  const auto adjoint = only_forwards(*moving.program, moving.read);
  if (!adjoint) return;
  moving.packs = RunPacks({.adjoint = adjoint, .prepared = &prepared, .feeds = &moving.feeds, .precision = Precision::Float64,
                           .level = e.options.level, .max_bytes = e.options.max_memory});
}

namespace {

/// Numbers [row][post][element] of some neurons of a column, and of all of them.
struct Window {
  int64_t rows = 1, width = 1;
  int64_t first = 0, posts = 0, all = 0;
  std::vector<double> take(std::span<const double> from) const {
    std::vector<double> out;
    for (int64_t row = 0; row < rows; ++row) {
      const double* begin = from.data() + (row * all + first) * width;
      out.insert(out.end(), begin, begin + posts * width);
    }
    return out;
  }
  void put(std::span<const double> part, std::span<double> into) const {
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(part.begin() + row * posts * width, posts * width, into.begin() + (row * all + first) * width);
  }
};

Window window_of(const Program& whole, const Uncoupled& cut, ColumnId column, int64_t first, int64_t posts) {
  const Space& space = whole[whole[column].space];
  return {.rows = space.kind == SpaceKind::Dense ? whole[space.pre].size : 1, .width = whole[column].width, .first = first,
          .posts = posts, .all = cut.posts};
}

SimulationOptions options_of_lane(const PreparedRun& prepared, int64_t lane) {
  const DrawsOfLane draws = draws_of_lane(prepared, lane);
  SimulationOptions options;
  options.precision = Precision::Float64;
  options.seed = draws.seed;
  options.lane = draws.lane;
  return options;
}

/// Gives a simulation what this lane begins with; empty: done.
std::string begin_lane(const PreparedRun& prepared, int64_t lane, Simulation& simulation) {
  for (const Role role : {Role::Param, Role::State}) {
    for (const auto& [id, values] : prepared.columns) {
      if ((*prepared.program)[id].role != role) continue;
      if (const Status done = simulation.set(id, values_of_lane(values, lane)); !done) return done.error();
    }
    if (role == Role::Param) simulation.initialise();
  }
  return {};
}

std::vector<FeedValues> feeds_of_lane(const PreparedRun& prepared, int64_t lane) {
  std::vector<FeedValues> feeds;
  for (const auto& [feed, values] : prepared.feeds) {
    feeds.push_back(feed);
    feeds.back().values = fed_to_lane(prepared, values, lane);
  }
  return feeds;
}

std::vector<Recording> valid_recordings(const MovingRun& moving) {
  std::vector<Recording> valid;
  for (const Recording& recording : moving.recordings)
    if (recording.column.valid()) valid.push_back(recording);
  return valid;
}

/// Of a derivative: the name and the place of what it is the derivative of.
std::string moving_divergence_text(Divergence bad, const Program& program) {
  if (!bad.column.starts_with(kTangentOf)) return divergence_text(bad, program);
  const Column& derivatives = program[program.find_column(bad.column)];
  bad.column.erase(0, kTangentOf.size());
  const int64_t width = program[program.find_column(bad.column)].width;
  if (derivatives.width > 1) {   // the element and the direction are the last index
    const int64_t element = bad.index.back() * width / derivatives.width;
    bad.index.pop_back();
    if (width > 1) bad.index.push_back(element);
  }
  return cat("the derivative of ", divergence_text(bad, program));
}

TangentLane end_lane(const MovingRun& moving, Simulation& simulation, const Status& done) {
  if (!done) return {.recorded = {}, .failure = done.error()};
  if (simulation.divergence())
    return {.recorded = {}, .failure = moving_divergence_text(*simulation.divergence(), *moving.program), .diverged = true};
  TangentLane out{.recorded = {}, .failure = {}};
  std::vector<Recorded> taken = simulation.take_recorded();
  size_t next = 0;
  for (const Recording& recording : moving.recordings) {
    if (recording.column.valid()) out.recorded.push_back(std::move(taken[next++]));
    else out.recorded.emplace_back();
  }
  return out;
}

TangentLane run_lane(const PreparedRun& prepared, const MovingRun& moving, int64_t lane) {
  auto simulation = Simulation::create(moving.program, moving.kernels, options_of_lane(prepared, lane));
  if (!simulation) return {.recorded = {}, .failure = simulation.error()};
  if (std::string failure = begin_lane(prepared, lane, *simulation); !failure.empty())
    return {.recorded = {}, .failure = std::move(failure)};
  const Status done = simulation->run(prepared.options.steps, prepared.options.dt_ms, feeds_of_lane(prepared, lane), valid_recordings(moving));
  return end_lane(moving, *simulation, done);
}

/// Parameters and states of all neurons before the first step. States do not change with what is fitted.
std::string find_beginning(const PreparedRun& prepared, int64_t lane, MovingRun::Given& given) {
  for (auto& [column, values] : given)
    for (const auto& [id, now] : prepared.columns)
      if (id == column && (*prepared.program)[id].role == Role::Param) values = values_of_lane(now, lane);
  if (!given.empty()) return {};
  auto primal = Simulation::create(prepared.program, interpret(prepared.program, Precision::Float64),
                                   options_of_lane(prepared, lane));
  if (!primal) return primal.error();
  if (std::string failure = begin_lane(prepared, lane, *primal); !failure.empty()) return failure;
  for (uint32_t k = 0; k < prepared.program->columns.size(); ++k) {
    const Role role = prepared.program->columns[k].role;
    if (role == Role::Param || role == Role::State) given.emplace_back(ColumnId{k}, primal->get(ColumnId{k}));
  }
  return {};
}

/// Tile after tile, with the initial values of a run of all neurons.
TangentLane run_tiles(const PreparedRun& prepared, MovingRun& moving, int64_t lane) {
  const Program& whole = *moving.program;
  const Uncoupled& cut = *moving.cut;
  MovingRun::Given& given = moving.beginnings[lane];
  if (std::string failure = find_beginning(prepared, lane, given); !failure.empty())
    return {.recorded = {}, .failure = std::move(failure)};
  TangentLane out{.recorded = {}, .failure = {}};
  for (const auto& [first, program] : moving.tiles) {
    int64_t posts = 0;
    for (uint32_t k = 0; k < program->spaces.size(); ++k)
      if (cut.spaces[k] && program->spaces[k].kind == SpaceKind::Neurons) posts = program->spaces[k].size;
    const auto cut_values = [&](ColumnId column, std::span<const double> values, int64_t times) {
      Window window = window_of(whole, cut, column, first, posts);
      window.rows *= times;
      return window.take(values);
    };
    auto tile = Simulation::create(program, moving.kernels, options_of_lane(prepared, lane));
    if (!tile) return {.recorded = {}, .failure = tile.error()};
    tile->initialise();
    for (const auto& [column, values] : given) {
      const bool part = cut.cut(whole[column].space);
      const Status done = tile->set(column, part ? cut_values(column, values, 1) : values);
      if (!done) return {.recorded = {}, .failure = done.error()};
    }
    std::vector<FeedValues> feeds;
    for (const auto& [feed, values] : prepared.feeds) {
      FeedValues& own = feeds.emplace_back(feed);
      own.values = fed_to_lane(prepared, values, lane);
      const auto known = std::find_if(whole.plan.feeds.begin(), whole.plan.feeds.end(), [&](const Feed& f) { return f.name == own.name; });
      if (known == whole.plan.feeds.end() || !cut.cut(whole[known->column].space) || own.rows == 1) continue;
      own.values = cut_values(known->column, own.values, static_cast<int64_t>(own.values.size()) / own.rows);
      own.rows = own.rows / cut.posts * posts;
    }
    const Status done = tile->run(prepared.options.steps, prepared.options.dt_ms, feeds, valid_recordings(moving));
    if (!done) return {.recorded = {}, .failure = done.error()};
    if (tile->divergence()) return run_lane(prepared, moving, lane);   // which says where, among all neurons
    std::vector<Recorded> taken = tile->take_recorded();
    out.recorded.resize(moving.recordings.size());
    size_t next = 0;
    for (size_t k = 0; k < moving.recordings.size(); ++k) {
      const ColumnId column = moving.recordings[k].column;
      if (!column.valid()) continue;
      Recorded& part = taken[next++];
      if (!cut.cut(whole[column].space)) {
        out.recorded[k] = std::move(part);
        continue;
      }
      Window window = window_of(whole, cut, column, first, posts);
      const int64_t rows = static_cast<int64_t>(part.values.size()) / (window.posts * window.width);
      out.recorded[k].values.resize(static_cast<size_t>(rows * window.all * window.width));
      window.rows = rows;
      window.put(part.values, out.recorded[k].values);
    }
  }
  return out;
}

/// As many at a time as a device takes.
void run_on_device(const PreparedRun& prepared, const MovingRun& moving, const std::vector<int64_t>& lanes, std::vector<TangentLane>& results) {
  std::vector<SimulationOptions> options;
  for (const int64_t lane : lanes) options.push_back(options_of_lane(prepared, lane));
  if (lanes.empty()) return;
  const auto together = Simulation::together(moving.program, moving.kernels, options);
  const auto fail = [&](const std::string& why) { results[lanes[0]].failure = why; };
  if (!together) return fail(together.error());
  const auto most = static_cast<size_t>(*together);
  for (size_t first = 0; first < lanes.size(); first += most) {
    const size_t count = std::min(most, lanes.size() - first);
    auto simulations = Simulation::create_together(moving.program, moving.kernels, std::span(options).subspan(first, count));
    if (!simulations) return fail(simulations.error());
    std::vector<Simulation*> running;
    std::vector<std::vector<FeedValues>> feeds;
    for (size_t k = 0; k < count; ++k) {
      running.push_back(&(*simulations)[k]);
      feeds.push_back(feeds_of_lane(prepared, lanes[first + k]));
      if (std::string failure = begin_lane(prepared, lanes[first + k], *running[k]); !failure.empty()) return fail(failure);
    }
    std::vector<const std::vector<FeedValues>*> fed;
    for (const auto& one : feeds) fed.push_back(&one);
    const auto done = Simulation::run_together(running, prepared.options.steps, prepared.options.dt_ms, fed, valid_recordings(moving));
    for (size_t k = 0; k < count; ++k) results[lanes[first + k]] = end_lane(moving, *running[k], done[k]);
  }
}

/// Lanes that share vectors; those that became infinite are left to be run alone, which says where.
void run_together(const PreparedRun& prepared, MovingRun& moving, const std::vector<int64_t>& active, std::vector<TangentLane>& results, std::vector<char>& done) {
  const std::vector<int64_t> groups = moving.packs.choose(active);
  for (const int64_t group : groups) moving.together = std::max(moving.together, moving.packs.count(group));
  std::vector<double> seconds(groups.size());
  in_parallel(prepared.options.threads, static_cast<int64_t>(groups.size()), [&](int64_t k) {
    const int64_t group = groups[static_cast<size_t>(k)];
    const double began = thread_seconds();
    auto values = moving.packs.forward(group, moving.read);
    seconds[static_cast<size_t>(k)] = thread_seconds() - began;
    if (!values || !moving.packs.pack(group).stayed_finite()) return;
    for (int64_t n = 0; n < moving.packs.count(group); ++n) {
      const auto lane = static_cast<size_t>(moving.packs.first(group) + n);
      size_t next = 0;
      for (const Recording& recording : moving.recordings) {
        Recorded& one = results[lane].recorded.emplace_back();
        if (recording.column.valid()) one.values = std::move((*values)[static_cast<size_t>(n)][next++]);
      }
      done[lane] = 1;
    }
  });
  for (size_t k = 0; k < groups.size(); ++k) moving.packs.took_together(groups[k], RunPacks::Pass::Forth, seconds[k]);
}

}  // namespace

std::vector<TangentLane> run_asked(const PreparedRun& prepared, MovingRun& moving, std::vector<int64_t> taking) {
  std::vector<TangentLane> results(static_cast<size_t>(prepared.lanes));
  moving.beginnings.resize(static_cast<size_t>(prepared.lanes));
  if (moving.kernels.device != nullptr) {
    run_on_device(prepared, moving, taking, results);
    return results;
  }
  std::vector<char> done(static_cast<size_t>(prepared.lanes));
  run_together(prepared, moving, taking, results, done);
  std::erase_if(taking, [&](int64_t lane) { return done[static_cast<size_t>(lane)] != 0; });
  std::vector<double> seconds(taking.size());
  in_parallel(prepared.options.threads, static_cast<int64_t>(taking.size()), [&](int64_t k) {
    const double began = thread_seconds();
    results[taking[k]] = moving.cut ? run_tiles(prepared, moving, taking[k]) : run_lane(prepared, moving, taking[k]);
    seconds[static_cast<size_t>(k)] = thread_seconds() - began;
  });
  for (const double one : seconds) moving.packs.took_alone(RunPacks::Pass::Forth, one);
  moving.packs.note_alone(static_cast<int64_t>(taking.size()));
  return results;
}

}  // namespace hebb
