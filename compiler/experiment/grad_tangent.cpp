#include "compiler/experiment/grad_tangent.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <deque>

#include "compiler/adjoint/activity.h"
#include "compiler/adjoint/tangent.h"
#include "compiler/experiment/engine.h"
#include "compiler/experiment/loss_curvature.h"
#include "compiler/experiment/run_packs.h"
#include "compiler/program/interpret.h"
#include "compiler/program/uncoupled.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"
#include "runtime/threads.h"

namespace hebb {

namespace {

/// An element of a target: that of a recording is number first + recording * each of all elements.
struct Direction {
  size_t first = 0, each = 0;
  size_t of(int64_t recording) const { return first + static_cast<size_t>(recording) * each; }
};

/// A target with one value for the whole run, or one for each of its recordings.
bool is_uniform(const RunGradient& run, const Target& target, ColumnId column) {
  const Program& program = *run.prepared().program;
  const auto size = static_cast<int64_t>(target.value.values.size()), width = program[column].width;
  const bool own = run.batched() && size == width * run.lanes();
  return program[program[column].space].kind == SpaceKind::Uniform && (size == width || own) && !target.initial && !target.fed;
}

/// One run with its derivatives.
struct Moving {
  std::shared_ptr<const Program> program;
  Kernels kernels;
  std::vector<Direction> directions;     // of this run
  std::vector<Recording> recordings;     // value and derivative of each output, in turn
  std::vector<int> leaves;               // of each output
  /// Where neurons hear nothing of each other: so many at a time go through the whole run, their derivatives with them
  /// in the cache.
  std::optional<Uncoupled> cut;
  std::vector<std::pair<int64_t, std::shared_ptr<const Program>>> tiles;   // first neuron, program of so many
  using Given = std::vector<std::pair<ColumnId, std::vector<double>>>;
  std::vector<Given> beginnings;         // of tiles, by lane: parameters and states, once they were computed
  /// Lanes that go together, and what is read of them: the recordings whose columns are valid, in order.
  RunPacks packs;
  int64_t together = 1;
  std::vector<std::vector<FeedValues>> feeds;   // by recording
  std::vector<TrajectoryOutput> read;
};

/// Cuts the run into tiles whose states, with all derivatives, take about as much as the second-level cache.
void cut_into_tiles(Moving& moving, const Program& primal, std::span<const ColumnId> targets) {
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

/// Element k of all targets, in order: where each target begins.
std::vector<size_t> beginnings(const LossProblem& problem) {
  std::vector<size_t> out = {0};
  for (const Target& target : problem.targets) out.push_back(out.back() + target.value.values.size());
  return out;
}

bool taking_part(const Lanes& lanes, int64_t all, int64_t lane) {
  return static_cast<int64_t>(lanes.size()) != all || lanes[lane];
}

}  // namespace

struct LossTangent::State {
  std::deque<Moving> runs;   // whose packs know where the feeds are
};

LossTangent::LossTangent(std::unique_ptr<State> state) : state_(std::move(state)) {}
LossTangent::LossTangent(LossTangent&&) noexcept = default;
LossTangent& LossTangent::operator=(LossTangent&&) noexcept = default;
LossTangent::~LossTangent() = default;

int64_t LossTangent::together() const {
  int64_t out = 1;
  for (const Moving& run : state_->runs) out = std::max(out, run.together);
  return out;
}

bool has_tangent(const LossProblem& problem) {
  for (const RunGradient& run : problem.runs) {
    for (const auto& [target, column] : run.targets_here())
      if (!is_uniform(run, problem.targets[target], column)) return false;
  }
  return true;
}

namespace {

void let_go_together(const Evaluation& e, const PreparedRun& prepared, Moving& moving) {
  for (const Recording& recording : moving.recordings)
    if (recording.column.valid()) moving.read.push_back({recording.column, recording.final_only, recording.every_steps});
  if (!TrajectoryPack::obstacle(*moving.program).empty()) return;   // before work on an adjoint
  moving.feeds = feeds_of_lanes(prepared);
  const auto adjoint = only_forwards(*moving.program, moving.read);
  if (!adjoint) return;
  moving.packs = RunPacks({.adjoint = adjoint, .prepared = &prepared, .feeds = &moving.feeds, .precision = Precision::Float64,
                           .level = e.options.level, .max_bytes = e.options.max_memory});
}

}  // namespace

std::optional<LossTangent> LossTangent::create(Evaluation& e, LossProblem& problem) {
  auto state = std::make_unique<State>();
  const std::vector<size_t> begin = beginnings(problem);
  for (RunGradient& run : problem.runs) {
    const PreparedRun& prepared = run.prepared();
    const Program& program = *prepared.program;
    Moving moving;
    std::vector<ColumnId> targets, outputs;
    for (const auto& [target, column] : run.targets_here()) {
      const Target& what = problem.targets[target];
      const int64_t width = program[column].width;
      if (!is_uniform(run, what, column)) {
        e.diags.report(DiagKind::NoDerivative, what.span,
                       cat("there is no forward derivative by ", quoted(what.path), ": it is not one value for "
                           "all neurons and synapses of a recording"))
            .help = "fit it with  method = lbfgs,  gradient = reverse";
        return std::nullopt;
      }
      targets.push_back(column);
      const bool shared = static_cast<int64_t>(what.value.values.size()) == width;
      for (int64_t k = 0; k < width; ++k)
        moving.directions.push_back({begin[target] + static_cast<size_t>(k), shared ? 0 : static_cast<size_t>(width)});
    }
    for (const auto& [leaf, read, map] : run.outputs_here()) {
      outputs.push_back(read.column);
      moving.leaves.push_back(leaf);
    }
    TangentResult made = hebb::tangent(program, targets, outputs);
    if (made.refusal) {
      e.diags.report(DiagKind::NoDerivative, problem.span,
                     cat("no forward derivative through ", joined(made.refusal->path, " -> ")));
      return std::nullopt;
    }
    for (const auto& [leaf, read, map] : run.outputs_here()) {
      Recording recording{.name = "value", .column = read.column};
      recording.every_steps = read.every;
      recording.final_only = read.final_only;
      moving.recordings.push_back(recording);
      recording.name = "slope";
      recording.column = made.tangent->tangent_of[read.column.value];
      moving.recordings.push_back(recording);
    }
    moving.program = std::make_shared<const Program>(std::move(made.tangent->program));
    assert(verify(*moving.program).empty() && "a tangent keeps the promises of a program");
    auto kernels = e.options.device != nullptr
                       ? make_device_kernels(*moving.program, Precision::Float64, Resets::InPlan, e.options.device)
                       : make_kernels(moving.program, Precision::Float64, e.options.engine, e.options.level);
    if (!kernels) {
      e.diags.report(DiagKind::CannotRun, problem.span, kernels.error());
      return std::nullopt;
    }
    moving.kernels = std::move(*kernels);
    if (e.options.device == nullptr) cut_into_tiles(moving, program, targets);
    else note_once(e, cat("the derivatives of ", prepared.network->name, " step by step are computed on ", e.options.device->name()));
    state->runs.push_back(std::move(moving));
    if (e.options.engine == ExperimentOptions::Engine::Jit) let_go_together(e, prepared, state->runs.back());
  }
  return LossTangent(std::move(state));
}

namespace {

struct LaneResult {
  std::vector<Recorded> recorded;
  std::string failure;
  bool diverged = false;    // that is the failure: a value that is not finite
};

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

LaneResult run_lane(const PreparedRun& prepared, const Moving& moving, int64_t lane);

SimulationOptions options_of_lane(const PreparedRun& prepared, int64_t lane) {
  const DrawsOfLane draws = draws_of_lane(prepared, lane);
  SimulationOptions options;
  options.precision = Precision::Float64;
  options.seed = draws.seed;
  options.lane = draws.lane;
  return options;
}

/// Parameters and states of all neurons before the first step. States do not change with what is fitted.
std::string find_beginning(const PreparedRun& prepared, int64_t lane, Moving::Given& given) {
  for (auto& [column, values] : given)
    for (const auto& [id, now] : prepared.columns)
      if (id == column && (*prepared.program)[id].role == Role::Param) values = values_of_lane(now, lane);
  if (!given.empty()) return {};
  auto primal = Simulation::create(prepared.program, interpret(prepared.program, Precision::Float64),
                                   options_of_lane(prepared, lane));
  if (!primal) return primal.error();
  for (const Role role : {Role::Param, Role::State}) {
    for (const auto& [id, values] : prepared.columns) {
      if ((*prepared.program)[id].role != role) continue;
      if (const Status done = primal->set(id, values_of_lane(values, lane)); !done) return done.error();
    }
    if (role == Role::Param) primal->initialise();
  }
  for (uint32_t k = 0; k < prepared.program->columns.size(); ++k) {
    const Role role = prepared.program->columns[k].role;
    if (role == Role::Param || role == Role::State) given.emplace_back(ColumnId{k}, primal->get(ColumnId{k}));
  }
  return {};
}

/// Tile after tile, with the initial values of a run of all neurons.
LaneResult run_tiles(const PreparedRun& prepared, Moving& moving, int64_t lane) {
  const Program& whole = *moving.program;
  const Uncoupled& cut = *moving.cut;
  Moving::Given& given = moving.beginnings[lane];
  if (std::string failure = find_beginning(prepared, lane, given); !failure.empty())
    return {.recorded = {}, .failure = std::move(failure)};
  LaneResult out{.recorded = {}, .failure = {}};
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
    std::vector<Recording> valid;
    for (const Recording& recording : moving.recordings)
      if (recording.column.valid()) valid.push_back(recording);
    const Status done = tile->run(prepared.options.steps, prepared.options.dt_ms, feeds, valid);
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

std::vector<Recording> valid_recordings(const Moving& moving) {
  std::vector<Recording> valid;
  for (const Recording& recording : moving.recordings)
    if (recording.column.valid()) valid.push_back(recording);
  return valid;
}

LaneResult end_lane(const Moving& moving, Simulation& simulation, const Status& done) {
  if (!done) return {.recorded = {}, .failure = done.error()};
  if (simulation.divergence())
    return {.recorded = {}, .failure = divergence_text(*simulation.divergence(), *moving.program), .diverged = true};
  LaneResult out{.recorded = {}, .failure = {}};
  std::vector<Recorded> taken = simulation.take_recorded();
  size_t next = 0;
  for (const Recording& recording : moving.recordings) {
    if (recording.column.valid()) out.recorded.push_back(std::move(taken[next++]));
    else out.recorded.emplace_back();
  }
  return out;
}

LaneResult run_lane(const PreparedRun& prepared, const Moving& moving, int64_t lane) {
  auto simulation = Simulation::create(moving.program, moving.kernels, options_of_lane(prepared, lane));
  if (!simulation) return {.recorded = {}, .failure = simulation.error()};
  if (std::string failure = begin_lane(prepared, lane, *simulation); !failure.empty())
    return {.recorded = {}, .failure = std::move(failure)};
  const Status done = simulation->run(prepared.options.steps, prepared.options.dt_ms, feeds_of_lane(prepared, lane), valid_recordings(moving));
  return end_lane(moving, *simulation, done);
}

/// As many at a time as a device takes.
void run_on_device(const PreparedRun& prepared, const Moving& moving, const std::vector<int64_t>& lanes, std::vector<LaneResult>& results) {
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

}  // namespace

namespace {

/// Lanes that share vectors; those that became infinite are left to be run alone, which says where.
void run_together(const PreparedRun& prepared, Moving& moving, const std::vector<int64_t>& active, std::vector<LaneResult>& results, std::vector<char>& done) {
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

namespace {

/// Lanes of all that is asked, through the whole run, with their derivatives.
std::vector<LaneResult> run_asked(const PreparedRun& prepared, Moving& moving, std::vector<int64_t> taking) {
  std::vector<LaneResult> results(static_cast<size_t>(prepared.lanes));
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

/// Recordings of one question and their slopes, of one run, into leaves.
void read_lanes(const RunGradient& run, const Moving& moving, const LossQuestion& question, bool cut, size_t copy,
                std::vector<LaneResult>& results, std::vector<Tensor>& leaves, Slopes& slopes) {
  const PreparedRun& prepared = run.prepared();
  const int64_t recordings = run.lanes();
  std::vector<int64_t> entries;   // recordings that the loss sees
  for (int64_t recording = 0; recording < recordings; ++recording)
    if (!cut || !prepared.batched || taking_part(question.lanes, recordings, recording)) entries.push_back(recording);
  for (size_t o = 0; o < moving.leaves.size(); ++o) {
    const auto [leaf, read, map] = run.outputs_here()[o];
    const Extents one = map.shape();
    const int64_t size = count(one), samples = read.samples(prepared.options.steps);
    Tensor& into = leaves[leaf];
    into = {.shape = one, .values = {}, .dimension = {}};
    if (!read.final_only) into.shape.insert(into.shape.begin(), samples);
    if (prepared.batched) into.shape.insert(into.shape.begin(), static_cast<int64_t>(entries.size()));
    into.values.assign(count(into.shape), std::nan(""));
    into.dimension = run.dimension_of(leaf);
    const size_t directions = moving.directions.size();
    const int64_t skip = read.final_only ? 0 : size * std::min((question.burn_in + read.every - 1) / read.every, samples);
    for (size_t entry = 0; entry < entries.size(); ++entry) {
      const int64_t recording = entries[entry];
      if (!taking_part(question.lanes, recordings, recording)) continue;
      LaneResult& result = results[static_cast<size_t>(recording * prepared.copies) + copy];
      Recorded& value = result.recorded[2 * o];
      Recorded& slope = result.recorded[2 * o + 1];
      slope.values = slopes_taken(map, value.values, std::move(slope.values), directions);
      value.values = taken(map, std::move(value.values));
      const int64_t first = static_cast<int64_t>(entry) * size * samples;
      std::copy(value.values.begin() + skip, value.values.begin() + size * samples, into.values.begin() + first + skip);
      for (size_t k = 0; k < directions && !slope.values.empty(); ++k) {
        Slope& line = slopes[leaf][moving.directions[k].of(recording)];
        line.resize(static_cast<size_t>(first), static_cast<size_t>(size * samples));
        for (int64_t i = skip; i < size * samples; ++i)
          line.at(static_cast<size_t>(first + i)) = slope.values[static_cast<size_t>(i) * directions + k];
      }
    }
  }
}

/// The first failure among the lanes of a question.
const LaneResult* failure_of(const PreparedRun& prepared, const std::vector<LaneResult>& results, size_t copy) {
  for (size_t lane = copy; lane < results.size(); lane += static_cast<size_t>(prepared.copies))
    if (!results[lane].failure.empty()) return &results[lane];
  return nullptr;
}

std::optional<SecondOrder> second_order(Evaluation& e, const LossProblem& problem, const LossQuestion& question, size_t n,
                                        const std::vector<Tensor>& leaves, const Slopes& slopes) {
  const std::optional<LossCut> part = cut_of(problem, question);
  const LossCut* const cut = part ? &*part : nullptr;
  const auto tape = evaluate_loss(e, problem.graph, leaves, cut);
  if (!tape || !is_one_number(e, problem, tape->back())) return std::nullopt;
  const std::vector<Tensor> adjoints = pull_loss(problem.graph, *tape);
  SecondOrder out{.loss = tape->back().values[0], .gradient = std::vector<double>(n),
                  .matrix = std::vector<double>(n * n), .terms = likelihood_terms(problem.graph, *tape)};
  for (size_t k = 0; k < n; ++k) out.gradient[k] = sum_along(adjoints, slopes, k);
  if (!question.matrix) return out;
  auto matrix = curvature_along_slopes(e, problem.graph, leaves, slopes, out.terms, cut);
  if (!matrix) return std::nullopt;
  out.matrix = std::move(*matrix);
  return out;
}

}  // namespace

std::optional<SecondOrder> LossTangent::evaluate(Evaluation& e, LossProblem& problem, const LossQuestion& question) {
  const Asked asked{.question = &question, .targets = problem.targets};
  return std::move(evaluate_together(e, problem, std::span(&asked, 1))[0]);
}

std::vector<std::optional<SecondOrder>> LossTangent::evaluate_together(Evaluation& e, LossProblem& problem, std::span<const Asked> asked) {
  const std::vector<size_t> begin = beginnings(problem);
  const size_t n = begin.back();
  std::vector<std::optional<SecondOrder>> out(asked.size());
  OfQuestions leaves = leaves_of(problem, asked);
  std::vector<Slopes> slopes(asked.size());
  for (size_t q = 0; q < asked.size(); ++q) {
    if (!leaves[q]) continue;
    slopes[q] = Slopes(leaves[q]->size(), std::vector<Slope>(n));
    for (size_t k = 0; k < leaves[q]->size(); ++k) {
      const int target = problem.leaf_target[k];
      if (target < 0) continue;
      for (size_t i = 0; i < (*leaves[q])[k].values.size(); ++i) slopes[q][k][begin[target] + i] = {.first = i, .values = {1.0}};
    }
  }
  for (size_t r = 0; r < problem.runs.size(); ++r) {
    RunGradient& run = problem.runs[r];
    const PreparedRun& prepared = run.prepared();
    std::vector<int64_t> taking;
    for (size_t q = 0; q < asked.size(); ++q)
      if (leaves[q]) run.set_targets(asked[q].targets, static_cast<int64_t>(q));
    for (int64_t recording = 0; recording < run.lanes(); ++recording)
      for (size_t q = 0; q < asked.size(); ++q)
        if (leaves[q] && taking_part(asked[q].question->lanes, run.lanes(), recording)) taking.push_back(recording * prepared.copies + static_cast<int64_t>(q));
    std::vector<LaneResult> results = run_asked(prepared, state_->runs[r], std::move(taking));
    for (size_t q = 0; q < asked.size(); ++q) {
      if (!leaves[q]) continue;
      const LossQuestion& question = *asked[q].question;
      if (const LaneResult* failed = failure_of(prepared, results, q)) {
        if (!question.diverged || !failed->diverged) {
          e.diags.report(failed->diverged ? DiagKind::Diverged : DiagKind::CannotRun, problem.span, failed->failure);
          return std::vector<std::optional<SecondOrder>>(asked.size());
        }
        *question.diverged = failed->failure;
        leaves[q].reset();
        continue;
      }
      read_lanes(run, state_->runs[r], question, cut_of(problem, question).has_value(), q, results, *leaves[q], slopes[q]);
    }
  }
  for (size_t q = 0; q < asked.size(); ++q) {
    if (!leaves[q]) continue;
    out[q] = second_order(e, problem, *asked[q].question, n, *leaves[q], slopes[q]);
    if (!out[q]) return std::vector<std::optional<SecondOrder>>(asked.size());
  }
  return out;
}

}  // namespace hebb
