#include "compiler/experiment/grad_run.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/adjoint/in_place.h"
#include "compiler/adjoint/late_sums.h"
#include "compiler/experiment/engine.h"
#include "compiler/experiment/grad_lanes.h"
#include "compiler/experiment/grad_prepare.h"
#include "compiler/experiment/loss_runs.h"
#include "compiler/program/interpret.h"
#include "compiler/program/overlap.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"

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

struct RunGradient::State {
  const ast::Run* run = nullptr;
  const Network* network = nullptr;
  PreparedRun prepared;
  std::vector<Place> places;
  std::vector<Seen> outputs;
  std::optional<GradientLanes> lanes;

  int64_t recordings() const { return prepared.lanes / prepared.copies; }
  int64_t lane_of(int64_t recording, size_t copy) const { return recording * prepared.copies + static_cast<int64_t>(copy); }
  bool fed(const Place& place) const {
    return !place.given.empty() || prepared.program->columns[place.column.value].role == Role::Fed;
  }
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
  std::vector<std::string> paths;
  for (const Target& target : targets) paths.push_back(target.path);
  for (const Target& target : targets) {
    const bool here = !target.fed && target.network == s.network->name && !e.fitted.contains(target.path);
    if (!here || !takes(e, run, target.path, paths)) continue;
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
  for (size_t k = 0; k < targets.size(); ++k) {
    const Target& target = targets[k];
    if (target.network != s.network->name) continue;
    if (!target.fed && !takes(e, run, target.path, paths)) continue;   // it has a value of its own
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
    s.places.push_back(std::move(place));
  }
  std::vector<TrajectoryOutput> read;
  for (const Seen& output : s.outputs) {
    outputs.push_back(output.read.column);
    read.push_back(output.read);
  }
  AdjointResult made = hebb::adjoint(overlap(program, wanted), wanted, outputs, event_columns(e.model, *s.network, program));
  if (made.refusal) {
    report_refusal(e, *s.network, run, *made.refusal, targets);
    return std::nullopt;
  }
  reverse_in_place(*made.adjoint);
  if (e.options.device == nullptr) sum_late(*made.adjoint);
  const auto adjoint = std::make_shared<const Adjoint>(std::move(*made.adjoint));
  assert(verify(adjoint->program).empty() && "an adjoint keeps the promises of a program");
  auto engine = e.options.engine;
  if (engine == ExperimentOptions::Engine::Auto && options.once && small_enough_to_interpret(*adjoint, s.prepared)) engine = ExperimentOptions::Engine::Interpreter;
  const bool jit = engine != ExperimentOptions::Engine::Interpreter && e.options.device == nullptr;
  // Evaluated once, a run of many recordings may need the code for all of them and no other.
  const bool later = options.once && jit && s.prepared.lanes > 1 && TrajectoryPack::obstacle(adjoint->program).empty();
  s.lanes.emplace(GradientLanes::Setup{.adjoint = adjoint, .prepared = &s.prepared, .read = std::move(read), .precision = options.precision,
                                       .engine = engine, .level = e.options.level, .max_bytes = options.max_bytes}, jit, later);
  if (std::string failure = later || e.options.device != nullptr ? "" : s.lanes->make_kernels(); !failure.empty()) {
    e.diags.report(DiagKind::CannotRun, run.network.span, failure);
    return std::nullopt;
  }
  if (e.options.device != nullptr) {
    std::set<const ast::Run*> runs;
    for (const LossLeaf& leaf : graph.leaves)
      if (leaf.run != nullptr) runs.insert(leaf.run);
    if (const Status on = s.lanes->go_on(e.options.device, e.options.device_memory, static_cast<int64_t>(runs.size())); !on) {
      e.diags.report(DiagKind::CannotRun, run.network.span, on.error());
      return std::nullopt;
    }
    note_once(e, cat("the gradient of ", s.network->name, " is computed on ", e.options.device->name(),
                     s.prepared.lanes > 1 ? cat(", ", s.lanes->together_on_device(), " of ", s.prepared.lanes, " recordings at a time") : ""));
  }
  return RunGradient(std::move(state));
}

void RunGradient::repeat(int64_t copies) {
  State& s = *state_;
  s.prepared = repeated(std::move(s.prepared), copies);
  s.lanes->count_anew();
}

int64_t RunGradient::lanes() const { return state_->recordings(); }
bool RunGradient::batched() const { return state_->prepared.batched; }
TrajectoryMemory RunGradient::memory() const { return state_->lanes->memory(); }
std::string RunGradient::apart_because() const { return state_->lanes->apart_because(); }
std::string RunGradient::never_together_because() const { return state_->lanes->never_together_because(); }
int64_t RunGradient::device_room() const { return state_->lanes->device_room(); }
const PreparedRun& RunGradient::prepared() const { return state_->prepared; }

namespace {

bool taking_part(const Lanes& lanes, int64_t all, int64_t lane) {
  return static_cast<int64_t>(lanes.size()) != all || lanes[lane];
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
  const int64_t recordings = s.recordings();
  std::vector<int64_t> active;
  for (size_t copy = 0; copy < questions.size(); ++copy)
    if (leaves[copy]) set_targets(questions[copy].targets, static_cast<int64_t>(copy));
  for (int64_t recording = 0; recording < recordings; ++recording)
    for (size_t copy = 0; copy < questions.size(); ++copy)
      if (leaves[copy] && taking_part(questions[copy].lanes, recordings, recording)) active.push_back(s.lane_of(recording, copy));
  const auto failures = s.lanes->forward(std::move(active));
  if (!failures) {
    e.diags.report(DiagKind::CannotRun, s.run->network.span, failures.error());
    return false;
  }
  for (size_t copy = 0; copy < questions.size(); ++copy) {
    if (!leaves[copy]) continue;
    switch (s.answer(e, questions[copy], copy, *failures, *leaves[copy])) {
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
      e.diags.report(DiagKind::CannotRun, run->network.span, failures[lane] + (lanes->on_device() ? "" : which));
      return Found::Mistake;
    }
    if (finite(lanes->recorded(lane_of(recording, copy)))) continue;
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
        const std::vector<double>& whole = lanes->recorded(lane_of(recording, copy))[k];
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
  const auto owed = [&](int64_t lane) {
    ByLane seeds;
    if (entry[lane] < 0) return seeds;
    const auto copy = static_cast<size_t>(lane % s.prepared.copies);
    for (size_t k = 0; k < s.outputs.size(); ++k) {
      const Seen& output = s.outputs[k];
      const std::vector<double>& all_lanes = (*adjoints[copy])[output.leaf].values;
      const int64_t each = static_cast<int64_t>(all_lanes.size()) / (s.prepared.batched ? entries[copy] : 1);
      const int64_t first = s.prepared.batched ? entry[lane] * each : 0;
      seeds.push_back(given_back(output.map, s.lanes->recorded(lane)[k], {all_lanes.begin() + first, all_lanes.begin() + first + each}));
    }
    return seeds;
  };
  std::vector<bool> takes_part(static_cast<size_t>(all));
  for (int64_t lane = 0; lane < all; ++lane) takes_part[lane] = entry[lane] >= 0;
  std::vector<GradientLanes::Wanted> wanted;
  for (const Place& place : s.places) wanted.push_back({.column = place.column, .fed = s.fed(place)});
  const auto found = s.lanes->reverse(takes_part, owed, wanted);   // by lane, by place
  if (!found) {
    e.diags.report(DiagKind::CannotRun, s.run->network.span, found.error());
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
        if ((*found)[lane].empty()) continue;
        const std::vector<double>& one = (*found)[lane][k];
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
    const auto one = s.lanes->at_bounds(column, weight.bounds.low, weight.bounds.high);
    sum.at += one.at;
    sum.all += one.all;
  }
  return sum;
}

}  // namespace hebb
