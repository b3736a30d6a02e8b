#include "compiler/experiment/grad_run.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/adjoint/in_place.h"
#include "compiler/experiment/engine.h"
#include "compiler/experiment/grad_device.h"
#include "compiler/experiment/grad_prepare.h"
#include "compiler/experiment/run_packs.h"
#include "compiler/program/interpret.h"
#include "compiler/program/overlap.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"
#include "runtime/threads.h"

namespace hebb {

namespace {

/// A target as this run sees it.
struct Place {
  size_t target = 0;
  ColumnId column;
  size_t entry = 0;         // into PreparedRun::columns, or ::feeds
  bool by_recording = false;   // each recording has its own value
  Extents given;            // of a fed signal: the shape it was fed in
};

}  // namespace

Tensor in_declared_shape(Tensor value, const Variable* variable) {
  if (!variable) return value;
  const Extents& inner = variable->shape.extents;
  value.dimension = variable->dimension;
  if (inner.size() < 2 || value.shape.empty() || value.shape.back() != variable->shape.size()) return value;
  value.shape.pop_back();
  value.shape.insert(value.shape.end(), inner.begin(), inner.end());
  return value;
}

struct RunGradient::State {
  const ast::Run* run = nullptr;
  const Network* network = nullptr;
  PreparedRun prepared;
  Options options;
  std::vector<Place> places;
  std::vector<Seen> outputs;
  std::vector<TrajectoryOutput> read;
  std::shared_ptr<const Adjoint> adjoint;
  ExperimentOptions::Engine engine{};
  int level = 3;
  Kernels kernels;                                         // of one run
  std::vector<std::vector<FeedValues>> feeds;              // by recording
  std::vector<std::unique_ptr<Trajectory>> trajectories;   // by lane, or by worker when not all fit
  RunPacks packs;
  std::optional<GradientDevice> device;                    // takes all lanes
  std::vector<int64_t> together;                           // groups of lanes that went together last
  bool keep_all = true;
  bool packing = false;                                    // lanes may go together where the network lets them
  std::vector<TrajectoryMemory> kept;                      // by lane: how its states were
  std::vector<std::vector<std::vector<double>>> recorded;  // by lane, by output

  int64_t recordings() const { return prepared.lanes / prepared.copies; }
  int64_t lane_of(int64_t recording, size_t copy) const { return recording * prepared.copies + static_cast<int64_t>(copy); }
  void let_go_together(bool at_once);
  std::string make_kernels();
  std::string prepare_lane(Trajectory& trajectory, int64_t lane);
  std::string forward_lane(int64_t lane);
  void forward_together(std::vector<int64_t>& active);
  void reverse_together(const std::function<ByLane(int64_t lane)>& owed, std::vector<std::vector<std::vector<double>>>& found);
  bool fed(const Place& place) const {
    return !place.given.empty() || prepared.program->columns[place.column.value].role == Role::Fed;
  }
  std::unique_ptr<Trajectory> make_trajectory(int64_t lane, uint64_t bytes, std::string& failure) const;
  enum class Found { Values, Divergence, Mistake };
  Found answer(Evaluation& e, const RunQuestion& question, size_t copy, const std::vector<std::string>& failures,
               std::vector<Tensor>& leaves);
};

namespace {

/// Interpreted, all steps of all lanes take less time than it takes to compile them. Both give the same bits.
bool small_enough_to_interpret(const Adjoint& adjoint, const PreparedRun& prepared) {
  constexpr double kOperations = 2e7;   // about as long as compiling a few small kernels
  double each = 0;
  for (const StepAdjoint* step : {&adjoint.quiet, &adjoint.eventful}) {
    const double work = interpreted_work(adjoint.program, step->forward) + interpreted_work(adjoint.program, step->reverse);
    each = std::max(each, work);
  }
  return each * static_cast<double>(prepared.options.steps) * static_cast<double>(prepared.lanes) < kOperations;
}

}  // namespace

RunGradient::RunGradient(std::unique_ptr<State> state) : state_(std::move(state)) {}
RunGradient::RunGradient(RunGradient&&) noexcept = default;
RunGradient& RunGradient::operator=(RunGradient&&) noexcept = default;
RunGradient::~RunGradient() = default;

std::optional<RunGradient> RunGradient::create(Evaluation& e, const ast::Run& run, const LossGraph& graph,
                                               std::span<const Target> targets, const Options& options) {
  auto state = std::make_unique<State>();
  State& s = *state;
  s.run = &run;
  s.options = options;
  s.network = e.model.find_network(run.network.parts.back().text);
  auto prepared = prepare_run(e, run, false);
  if (!prepared || !s.network) return std::nullopt;
  const auto is_sparse = [](const Space& space) { return space.kind == SpaceKind::Sparse; };
  const Program& whole = *prepared->program;
  if (std::any_of(whole.spaces.begin(), whole.spaces.end(), is_sparse) || !whole.plan.delays.empty()) {
    e.diags.report(DiagKind::NotSupportedYet, run.network.span,
                   "not supported yet: derivatives of a network with delays, or synapses that are not all there")
        .help = "write  connect all;";
    return std::nullopt;
  }

  bool drew = false;
  for (const Target& target : targets) {
    const bool here = !target.fed && target.network == s.network->name && !e.fitted.contains(target.path);
    if (!here || !takes(run, target, targets)) continue;
    const ColumnId column = prepared->program->find_column(target.name);
    if (!column.valid()) continue;
    e.fitted[target.path] = in_declared_shape(initial_values(*prepared, column, target.initial), target.variable);
    drew = true;
  }
  if (drew) prepared = prepare_run(e, run, false);
  if (!prepared) return std::nullopt;
  s.prepared = without_given_states(std::move(*prepared));
  if (!add_outputs(e, graph, run, s.prepared, s.outputs)) return std::nullopt;

  const Program& program = *s.prepared.program;
  std::vector<ColumnId> wanted, outputs;
  std::string own, moving;   // paths
  for (size_t k = 0; k < targets.size(); ++k) {
    const Target& target = targets[k];
    if (target.network != s.network->name) continue;
    if (!target.fed && !takes(run, target, targets)) {   // it has a value of its own
      own += cat(own.empty() ? "" : ", ", target.path);
      continue;
    }
    Place place{.target = k, .column = program.find_column(target.name), .entry = SIZE_MAX, .given = {}};
    if (target.fed) {
      for (size_t n = 0; n < s.prepared.feeds.size(); ++n)
        if (s.prepared.feeds[n].first.name == target.name) place.entry = n;
      for (const Feed& feed : program.plan.feeds)
        if (feed.name == target.name) place.column = feed.column;
      place.given = shape_as_fed(s.prepared, target.name);
    } else {
      for (size_t n = 0; n < s.prepared.columns.size(); ++n)
        if (s.prepared.columns[n].first == place.column) place.entry = n;
    }
    if (!place.column.valid() || place.entry == SIZE_MAX) continue;  // this run sets or defines it itself
    wanted.push_back(place.column);
    moving += cat(moving.empty() ? "" : ", ", target.path);
    s.places.push_back(std::move(place));
  }
  if (!own.empty() && !moving.empty())
    note_once(e, cat("the run in line ", e.sources.position(run.network.span.file, run.network.span.begin).line, " has its own ", own, ", and moves with ", moving));
  for (const Seen& output : s.outputs) {
    outputs.push_back(output.read.column);
    s.read.push_back(output.read);
  }
  AdjointResult made = hebb::adjoint(overlap(program, wanted), wanted, outputs, event_columns(e.model, *s.network, program));
  if (made.refusal) {
    report_refusal(e, *s.network, run, *made.refusal, targets);
    return std::nullopt;
  }
  reverse_in_place(*made.adjoint);
  s.adjoint = std::make_shared<const Adjoint>(std::move(*made.adjoint));
  assert(verify(s.adjoint->program).empty() && "an adjoint keeps the promises of a program");
  auto engine = e.options.engine;
  if (options.once && small_enough_to_interpret(*s.adjoint, s.prepared)) engine = ExperimentOptions::Engine::Interpreter;
  s.feeds = feeds_of_lanes(s.prepared);
  s.engine = engine;
  s.level = e.options.level;
  const bool jit = engine == ExperimentOptions::Engine::Jit && e.options.device == nullptr;
  // Evaluated once, a run of many recordings may need the code for all of them and no other.
  const bool later = options.once && jit && s.prepared.lanes > 1 && TrajectoryPack::obstacle(s.adjoint->program).empty();
  if (std::string failure = later || e.options.device != nullptr ? "" : s.make_kernels(); !failure.empty()) {
    e.diags.report(DiagKind::CannotRun, run.network.span, failure);
    return std::nullopt;
  }
  if (jit) {
    s.packing = true;
    s.let_go_together(later);
  }
  s.trajectories.resize(s.prepared.lanes);
  s.recorded.resize(s.prepared.lanes);
  s.kept.resize(s.prepared.lanes);
  if (e.options.device != nullptr) {
    std::set<const ast::Run*> runs;
    for (const LossLeaf& leaf : graph.leaves)
      if (leaf.run != nullptr) runs.insert(leaf.run);
    auto device = GradientDevice::create({.adjoint = s.adjoint, .prepared = &s.prepared, .feeds = &s.feeds, .outputs = s.read,
                                          .precision = options.precision, .device = e.options.device, .max_bytes = e.options.device_memory,
                                          .runs = static_cast<int64_t>(runs.size())});
    if (!device) {
      e.diags.report(DiagKind::CannotRun, run.network.span, device.error());
      return std::nullopt;
    }
    s.device = std::move(*device);
    note_once(e, cat("the gradient of ", s.network->name, " is computed on ", e.options.device->name(),
                     s.prepared.lanes > 1 ? cat(", ", s.device->together(), " of ", s.prepared.lanes, " recordings at a time") : ""));
  }
  return RunGradient(std::move(state));
}

void RunGradient::State::let_go_together(bool at_once) {
  packs = RunPacks({.adjoint = adjoint, .prepared = &prepared, .feeds = &feeds, .precision = options.precision, .level = level,
                    .max_bytes = options.max_bytes, .at_once = at_once});
}

void RunGradient::repeat(int64_t copies) {
  State& s = *state_;
  assert(!s.device && "a device takes one question at a time");
  s.prepared = repeated(std::move(s.prepared), copies);
  const auto lanes = static_cast<size_t>(s.prepared.lanes);
  s.trajectories.resize(lanes);
  s.recorded.resize(lanes);
  s.kept.resize(lanes);
  if (s.packing) s.let_go_together(false);
}

int64_t RunGradient::lanes() const { return state_->recordings(); }
bool RunGradient::batched() const { return state_->prepared.batched; }
TrajectoryMemory RunGradient::memory() const {
  const auto& kept = state_->kept;
  TrajectoryMemory out;
  int64_t lanes = 1;
  for (const TrajectoryMemory& one : kept) {
    if (one.bytes > out.bytes) out = one;
    lanes = std::max(lanes, one.lanes);
  }
  out.lanes = lanes;
  return out;
}
std::string RunGradient::apart_because() const {
  return state_->packs.obstacle().empty() && state_->packs.slower_together() ? "that is faster here" : state_->packs.obstacle();
}
std::string RunGradient::never_together_because() const {
  return state_->packing ? TrajectoryPack::obstacle(state_->adjoint->program) : "they are interpreted, or on a device";
}
const PreparedRun& RunGradient::prepared() const { return state_->prepared; }

std::unique_ptr<Trajectory> RunGradient::State::make_trajectory(int64_t lane, uint64_t bytes,
                                                                std::string& failure) const {
  const DrawsOfLane draws = draws_of_lane(prepared, lane);
  TrajectoryOptions how;
  how.precision = options.precision;
  how.seed = draws.seed;
  how.lane = draws.lane;
  how.max_bytes = bytes;
  if (prepared.lanes == 1) how.threads = prepared.options.threads;   // else lanes share them
  auto made = Trajectory::create(adjoint, kernels, how);
  if (!made) {
    failure = made.error();
    return nullptr;
  }
  return std::make_unique<Trajectory>(std::move(*made));
}

std::string RunGradient::State::make_kernels() {
  if (!kernels.run.empty()) return {};
  auto made = make_step_kernels(adjoint, options.precision, engine, level, false);
  if (!made) return made.error();
  kernels = std::move(*made);
  return {};
}

std::string RunGradient::State::prepare_lane(Trajectory& trajectory, int64_t lane) {
  const auto set = [&](Role role) -> std::string {
    for (const auto& [id, values] : prepared.columns) {
      if ((*prepared.program)[id].role != role) continue;
      if (const Status done = trajectory.set(id, values_of_lane(values, lane)); !done) return done.error();
    }
    return {};
  };
  if (std::string failure = set(Role::Param); !failure.empty()) return failure;
  trajectory.initialise();
  return set(Role::State);
}

std::string RunGradient::State::forward_lane(int64_t lane) {
  std::string failure;
  if (!trajectories[lane]) trajectories[lane] = make_trajectory(lane, options.max_bytes, failure);
  if (!trajectories[lane]) return failure;
  Trajectory& trajectory = *trajectories[lane];
  failure = prepare_lane(trajectory, lane);
  if (!failure.empty()) return failure;
  auto done = trajectory.forward(prepared.options.steps, prepared.options.dt_ms, feeds[lane / prepared.copies], read);
  if (!done) return done.error();
  recorded[lane] = std::move(*done);
  kept[lane] = trajectory.memory();
  return {};
}

/// Takes the lanes that go together out of `active`.
void RunGradient::State::forward_together(std::vector<int64_t>& active) {
  together = packs.choose(active);
  std::vector<char> done(together.size());
  std::vector<double> seconds(together.size());
  in_parallel(prepared.options.threads, static_cast<int64_t>(together.size()), [&](int64_t k) {
    const int64_t group = together[k];
    const double began = thread_seconds();
    auto values = packs.forward(group, read);
    if (!values) return;
    seconds[k] = thread_seconds() - began;
    done[k] = 1;
    for (int64_t n = 0; n < packs.count(group); ++n) {
      recorded[packs.first(group) + n] = std::move((*values)[n]);
      kept[packs.first(group) + n] = packs.pack(group).memory();
      trajectories[packs.first(group) + n].reset();
    }
  });
  for (size_t k = together.size(); k-- > 0;) {   // too much memory together: one by one
    if (done[k]) packs.took_together(together[k], RunPacks::Pass::Forth, seconds[k]);
    if (done[k]) continue;
    packs.give_up(together[k]);
    together.erase(together.begin() + static_cast<std::ptrdiff_t>(k));
  }
  std::erase_if(active, [&](int64_t lane) {
    return std::find(together.begin(), together.end(), RunPacks::group_of(lane)) != together.end();
  });
}

void RunGradient::State::reverse_together(const std::function<ByLane(int64_t)>& owed,
                                          std::vector<std::vector<std::vector<double>>>& found) {
  std::vector<double> seconds(together.size());
  in_parallel(prepared.options.threads, static_cast<int64_t>(together.size()), [&](int64_t k) {
    const int64_t group = together[k], first = packs.first(group);
    std::vector<ByLane> seeds;
    for (int64_t n = 0; n < packs.count(group); ++n) seeds.push_back(owed(first + n));
    TrajectoryPack& pack = packs.pack(group);
    const double began = thread_seconds();
    pack.reverse(read, seeds);
    seconds[k] = thread_seconds() - began;
    for (int64_t n = 0; n < packs.count(group); ++n) {
      if (seeds[n].empty()) continue;
      for (const Place& place : places)
        found[first + n].push_back(fed(place) ? pack.gradient_of_feed(place.column, n) : pack.gradient(place.column, n));
    }
  });
  for (size_t k = 0; k < together.size(); ++k) packs.took_together(together[k], RunPacks::Pass::Back, seconds[k]);
}

namespace {

bool taking_part(const Lanes& lanes, int64_t all, int64_t lane) {
  return static_cast<int64_t>(lanes.size()) != all || lanes[lane];
}

/// By lane: it is one of these.
std::vector<bool> those_of(const std::vector<int64_t>& lanes, int64_t all) {
  std::vector<bool> out(static_cast<size_t>(all));
  for (const int64_t lane : lanes) out[static_cast<size_t>(lane)] = true;
  return out;
}

LaneValues lane_values(const Target& target, const Program& program, ColumnId column) {
  const Tensor flat = target.variable ? with_flat_elements(target.value, *target.variable) : target.value;
  return *fit_lanes(flat, column_shape(program, column));
}

/// The first recorded value that is not finite; none: all are.
bool finite(const std::vector<std::vector<double>>& recorded) {
  for (const auto& one : recorded)
    if (!std::all_of(one.begin(), one.end(), [](double v) { return std::isfinite(v); })) return false;
  return true;
}

}  // namespace

std::vector<std::pair<size_t, ColumnId>> RunGradient::targets_here() const {
  std::vector<std::pair<size_t, ColumnId>> out;
  for (const Place& place : state_->places) out.emplace_back(place.target, place.column);
  return out;
}

std::vector<RunGradient::Output> RunGradient::outputs_here() const {
  std::vector<Output> out;
  for (const auto& output : state_->outputs) out.push_back({output.leaf, output.read, output.map});
  return out;
}

MaybeDimension RunGradient::dimension_of(int leaf) const {
  for (const auto& output : state_->outputs)
    if (output.leaf == leaf) return output.dimension;
  return {};
}

void RunGradient::set_targets(std::span<const Target> targets, int64_t copy) {
  State& s = *state_;
  for (Place& place : s.places) {
    if (targets[place.target].fed) continue;
    LaneValues given = lane_values(targets[place.target], *s.prepared.program, place.column);
    LaneValues& column = s.prepared.columns[place.entry].second;
    place.by_recording = given.batched;
    if (s.prepared.copies == 1) {
      column = std::move(given);
      continue;
    }
    if (!column.batched) column = {.lanes = std::vector(static_cast<size_t>(s.prepared.lanes), column.lanes[0]), .batched = true};
    for (int64_t recording = 0; recording < s.recordings(); ++recording)
      column.lanes[static_cast<size_t>(s.lane_of(recording, static_cast<size_t>(copy)))] = values_of_lane(given, recording);
  }
}

bool RunGradient::forward(Evaluation& e, std::span<const RunQuestion> questions, OfQuestions& leaves) {
  State& s = *state_;
  const int64_t all = s.prepared.lanes, recordings = s.recordings();
  std::vector<std::string> failures(all);
  std::vector<int64_t> active;
  for (size_t copy = 0; copy < questions.size(); ++copy)
    if (leaves[copy]) set_targets(questions[copy].targets, static_cast<int64_t>(copy));
  for (int64_t recording = 0; recording < recordings; ++recording)
    for (size_t copy = 0; copy < questions.size(); ++copy)
      if (leaves[copy] && taking_part(questions[copy].lanes, recordings, recording)) active.push_back(s.lane_of(recording, copy));
  const std::vector<int64_t> taking = active;
  if (s.device) {
    const std::string failure = s.device->forward(those_of(taking, all), s.recorded, s.kept);
    if (!taking.empty()) failures[taking[0]] = failure;
    active.clear();
  }
  s.forward_together(active);
  if (std::string failure = active.empty() ? "" : s.make_kernels(); !failure.empty()) {
    e.diags.report(DiagKind::CannotRun, s.run->network.span, failure);
    return false;
  }
  // The first lane says how much a lane keeps: all of them, or each anew for its way back.
  size_t begin = 0;
  if (!active.empty() && !s.trajectories[active[0]] && all > 1) {
    failures[active[0]] = s.forward_lane(active[0]);
    begin = 1;
    if (failures[active[0]].empty())
      s.keep_all = s.trajectories[active[0]]->memory().bytes <= s.options.max_bytes / static_cast<uint64_t>(all);
    if (!s.keep_all) s.trajectories[active[0]].reset();
  }
  std::vector<double> seconds(active.size());
  in_parallel(s.prepared.options.threads, static_cast<int64_t>(active.size() - begin), [&](int64_t k) {
    const int64_t lane = active[begin + k];
    const double began = thread_seconds();
    failures[lane] = s.forward_lane(lane);
    seconds[begin + k] = thread_seconds() - began;
    if (!s.keep_all) s.trajectories[lane].reset();
  });
  for (size_t k = begin; k < active.size(); ++k) s.packs.took_alone(RunPacks::Pass::Forth, seconds[k]);
  s.packs.note_alone(static_cast<int64_t>(active.size()));
  for (size_t copy = 0; copy < questions.size(); ++copy) {
    if (!leaves[copy]) continue;
    switch (s.answer(e, questions[copy], copy, failures, *leaves[copy])) {
      case State::Found::Values: break;
      case State::Found::Divergence: leaves[copy].reset(); break;
      case State::Found::Mistake: return false;
    }
  }
  return true;
}

/// Leaves of one question.
RunGradient::State::Found RunGradient::State::answer(Evaluation& e, const RunQuestion& question, size_t copy,
                                                     const std::vector<std::string>& failures, std::vector<Tensor>& leaves) {
  std::vector<int64_t> taking;   // recordings
  for (int64_t recording = 0; recording < recordings(); ++recording)
    if (taking_part(question.lanes, recordings(), recording)) taking.push_back(recording);
  for (const int64_t recording : taking) {
    const auto lane = static_cast<size_t>(lane_of(recording, copy));
    const std::string which = prepared.batched ? cat(" (lane ", recording, ")") : "";
    if (!failures[lane].empty()) {
      e.diags.report(DiagKind::CannotRun, run->network.span, failures[lane] + (device ? "" : which));
      return Found::Mistake;
    }
    if (finite(recorded[lane])) continue;
    if (question.diverged && !question.diverged->empty()) return Found::Divergence;
    const auto bad = find_divergence(e.model, prepared.copies == 1 ? prepared : one_copy(prepared, static_cast<int64_t>(copy)),
                                     interpret(prepared.program, Precision::Float64), recording);
    const std::string text = cat(bad ? divergence_text(*bad, *prepared.program)
                                     : cat("a recording of ", quoted(prepared.program->name), " is not finite"), which);
    if (question.diverged) {
      *question.diverged = text;
      return Found::Divergence;
    }
    e.diags.report(DiagKind::Diverged, run->network.span, text)
        .help = "a smaller rate or step, or bounds on the variable, may keep it finite";
    return Found::Mistake;
  }
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Seen& output = outputs[k];
    const Extents one = output.map.shape();
    const int64_t size = count(one), samples = output.read.samples(prepared.options.steps);
    const int64_t entries = question.cut ? static_cast<int64_t>(taking.size()) : recordings();
    Tensor& into = leaves[output.leaf];
    into = {.shape = one, .values = {}, .dimension = output.dimension};
    if (!output.read.final_only) into.shape.insert(into.shape.begin(), samples);
    if (prepared.batched) into.shape.insert(into.shape.begin(), entries);
    into.values.reserve(static_cast<size_t>(entries * samples * size));
    for (int64_t recording = 0; recording < recordings(); ++recording) {
      const bool here = taking_part(question.lanes, recordings(), recording);
      if (!here && question.cut) continue;
      const auto first = static_cast<std::ptrdiff_t>(into.values.size());
      if (here) {
        const std::vector<double>& whole = recorded[static_cast<size_t>(lane_of(recording, copy))][k];
        const std::vector<double> made = output.map.is_identity() ? std::vector<double>() : taken(output.map, whole);
        const std::vector<double>& values = output.map.is_identity() ? whole : made;
        into.values.insert(into.values.end(), values.begin(), values.end());
      } else {
        into.values.resize(into.values.size() + static_cast<size_t>(size * samples), std::nan(""));
      }
      if (!output.read.final_only && question.burn_in > 0) {
        const int64_t skipped = (question.burn_in + output.read.every - 1) / output.read.every;
        std::fill_n(into.values.begin() + first, size * std::min(skipped, samples), std::nan(""));
      }
    }
  }
  return Found::Values;
}

bool RunGradient::reverse(Evaluation& e, std::span<const RunQuestion> questions, const OfQuestions& adjoints,
                          OfQuestions& gradients) {
  State& s = *state_;
  const int64_t all = s.prepared.lanes, recordings = s.recordings();
  std::vector<int64_t> entry(all, -1);   // of each lane that takes part, in the adjoints
  std::vector<int64_t> entries(questions.size());
  for (size_t copy = 0; copy < questions.size(); ++copy) {
    if (!adjoints[copy]) continue;
    for (int64_t recording = 0; recording < recordings; ++recording) {
      const bool here = taking_part(questions[copy].lanes, recordings, recording);
      if (here) entry[s.lane_of(recording, copy)] = entries[copy];
      if (here || !questions[copy].cut) ++entries[copy];
    }
  }
  std::vector<std::vector<std::vector<double>>> found(all);   // by lane, by place
  std::vector<std::string> failures(all);
  const auto owed = [&](int64_t lane) {
    ByLane seeds;
    if (entry[lane] < 0) return seeds;
    const auto copy = static_cast<size_t>(lane % s.prepared.copies);
    for (size_t k = 0; k < s.outputs.size(); ++k) {
      const Seen& output = s.outputs[k];
      const std::vector<double>& all_lanes = (*adjoints[copy])[output.leaf].values;
      const int64_t each = static_cast<int64_t>(all_lanes.size()) / (s.prepared.batched ? entries[copy] : 1);
      const int64_t first = s.prepared.batched ? entry[lane] * each : 0;
      seeds.push_back(given_back(output.map, s.recorded[lane][k], {all_lanes.begin() + first, all_lanes.begin() + first + each}));
    }
    return seeds;
  };
  if (s.device) {
    std::vector<int64_t> taking;
    for (int64_t lane = 0; lane < all; ++lane)
      if (entry[lane] >= 0) taking.push_back(lane);
    const std::string failure = s.device->reverse(those_of(taking, all), owed, [&](DeviceTrajectory& trajectory, int64_t k, int64_t lane) {
      for (const Place& place : s.places)
        found[lane].push_back(s.fed(place) ? trajectory.gradient_of_feed(place.column, k) : trajectory.gradient(place.column, k));
    });
    if (!failure.empty()) {
      e.diags.report(DiagKind::CannotRun, s.run->network.span, failure);
      return false;
    }
  }
  s.reverse_together(owed, found);
  std::vector<double> seconds(all, -1.0);   // of lanes that went alone
  in_parallel(s.prepared.options.threads, all, [&](int64_t lane) {
    if (s.device || entry[lane] < 0 || !found[lane].empty()) return;
    if (!s.trajectories[lane]) failures[lane] = s.forward_lane(lane);
    if (!failures[lane].empty()) return;
    Trajectory& trajectory = *s.trajectories[lane];
    const ByLane seeds = owed(lane);
    const double began = thread_seconds();
    trajectory.reverse(s.read, seeds);
    seconds[lane] = thread_seconds() - began;
    for (const Place& place : s.places)
      found[lane].push_back(s.fed(place) ? trajectory.gradient_of_feed(place.column) : trajectory.gradient(place.column));
    if (!s.keep_all) s.trajectories[lane].reset();
  });
  for (int64_t lane = 0; lane < all; ++lane) {
    if (seconds[lane] >= 0) s.packs.took_alone(RunPacks::Pass::Back, seconds[lane]);
    if (failures[lane].empty()) continue;
    e.diags.report(DiagKind::CannotRun, s.run->network.span, failures[lane]);
    return false;
  }
  for (size_t copy = 0; copy < questions.size(); ++copy) {
    if (!adjoints[copy]) continue;
    for (size_t k = 0; k < s.places.size(); ++k) {
      const Place& place = s.places[k];
      Tensor& gradient = (*gradients[copy])[place.target];
      const bool fed = s.prepared.program->columns[place.column.value].role == Role::Fed;
      const bool own = fed ? s.prepared.feeds[place.entry].second.batched : place.by_recording;
      if (gradient.values.empty()) {
        gradient.shape = place.given;
        gradient.values.assign(count(place.given), 0.0);
      }
      const int64_t each = static_cast<int64_t>(gradient.values.size()) / (own ? recordings : 1);
      for (int64_t recording = 0; recording < recordings; ++recording) {
        const auto lane = static_cast<size_t>(s.lane_of(recording, copy));
        if (found[lane].empty()) continue;
        const std::vector<double>& one = found[lane][k];
        const int64_t first = own ? recording * each : 0;
        // A value given once for many (one number for all neurons, one row for all steps) gets the sum.
        for (size_t i = 0; i < one.size(); ++i) gradient.values[first + static_cast<int64_t>(i) % each] += one[i];
      }
    }
  }
  return true;
}

Trajectory::AtBounds RunGradient::at_bounds(const Evaluation& e, std::span<const Target> targets) {
  State& s = *state_;
  set_targets(targets);
  Trajectory::AtBounds sum;
  for (const ProjectionDef& projection : s.network->projections) {
    if (!projection.rule.weight.valid()) continue;
    const Variable& weight = e.model[projection.rule.weight];
    const ColumnId column = s.prepared.program->find_column(cat(projection.name, ".", weight.name));
    if (!column.valid() || !weight.bounds.bounded()) continue;
    if (s.device) {
      // A device that fails now says so to the next who asks.
      s.device->each(std::vector<bool>(static_cast<size_t>(s.prepared.lanes), true), [&](DeviceTrajectory& trajectory, int64_t k, int64_t) {
        const auto one = trajectory.at_bounds(column, weight.bounds.low, weight.bounds.high, k);
        sum.at += one.at;
        sum.all += one.all;
      });
      continue;
    }
    std::vector<bool> seen(static_cast<size_t>(s.prepared.lanes));   // of groups
    for (int64_t recording = 0; recording < s.recordings(); ++recording) {
      const int64_t lane = s.lane_of(recording, 0), group = RunPacks::group_of(lane);
      if (s.packs.made(group)) {
        if (seen[static_cast<size_t>(group)] || !s.packs.forward(group, s.read)) continue;
        seen[static_cast<size_t>(group)] = true;
        std::vector<bool> counted;   // the other copies have values of their own
        for (int64_t k = 0; k < s.packs.count(group); ++k) counted.push_back((s.packs.first(group) + k) % s.prepared.copies == 0);
        const auto all = s.packs.pack(group).at_bounds(column, weight.bounds.low, weight.bounds.high, counted);
        sum.at += all.at;
        sum.all += all.all;
        continue;
      }
      if (!s.forward_lane(lane).empty()) continue;
      const auto one = s.trajectories[lane]->at_bounds(column, weight.bounds.low, weight.bounds.high);
      if (!s.keep_all) s.trajectories[lane].reset();
      sum.at += one.at;
      sum.all += one.all;
    }
  }
  return sum;
}

}  // namespace hebb
