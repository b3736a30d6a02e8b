#include "compiler/experiment/grad_tangent.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <deque>

#include "compiler/adjoint/tangent.h"
#include "compiler/experiment/engine.h"
#include "compiler/experiment/loss_curvature.h"
#include "compiler/experiment/loss_data.h"
#include "compiler/experiment/tangent_lanes.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"

namespace hebb {

namespace {

/// A target with one value for the whole run, or one for each of its recordings.
bool is_uniform(const RunGradient& run, const Target& target, ColumnId column) {
  const Program& program = *run.prepared().program;
  const auto size = static_cast<int64_t>(target.value.values.size()), width = program[column].width;
  const bool own = run.batched() && size == width * run.lanes();
  return program[program[column].space].kind == SpaceKind::Uniform && (size == width || own) && !target.initial && !target.fed;
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
  std::deque<MovingRun> runs;   // whose packs know where the feeds are
};

LossTangent::LossTangent(std::unique_ptr<State> state) : state_(std::move(state)) {}
LossTangent::LossTangent(LossTangent&&) noexcept = default;
LossTangent& LossTangent::operator=(LossTangent&&) noexcept = default;
LossTangent::~LossTangent() = default;

int64_t LossTangent::together() const {
  int64_t out = 1;
  for (const MovingRun& run : state_->runs) out = std::max(out, run.together);
  return out;
}

bool has_tangent(const LossProblem& problem) {
  for (const RunGradient& run : problem.runs) {
    for (const auto& [target, column] : run.targets_here())
      if (!is_uniform(run, problem.targets[target], column)) return false;
  }
  return true;
}

std::optional<LossTangent> LossTangent::create(Evaluation& e, LossProblem& problem) {
  auto state = std::make_unique<State>();
  const std::vector<size_t> begin = beginnings(problem);
  for (RunGradient& run : problem.runs) {
    const PreparedRun& prepared = run.prepared();
    const Program& program = *prepared.program;
    MovingRun moving;
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
    if (e.options.engine != ExperimentOptions::Engine::Interpreter) let_go_together(e, prepared, state->runs.back());
  }
  return LossTangent(std::move(state));
}

namespace {

/// Recordings of one question and their slopes, of one run, into leaves.
void read_lanes(const RunGradient& run, const MovingRun& moving, const LossQuestion& question, bool cut, size_t copy,
                std::vector<TangentLane>& results, std::vector<Tensor>& leaves, Slopes& slopes) {
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
      TangentLane& result = results[static_cast<size_t>(recording * prepared.copies) + copy];
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
const TangentLane* failure_of(const PreparedRun& prepared, const std::vector<TangentLane>& results, size_t copy) {
  for (size_t lane = copy; lane < results.size(); lane += static_cast<size_t>(prepared.copies))
    if (!results[lane].failure.empty()) return &results[lane];
  return nullptr;
}

/// None: diverged, said in the question, or reported.
std::optional<SecondOrder> second_order(Evaluation& e, const LossProblem& problem, const LossQuestion& question, size_t n,
                                        const std::vector<Tensor>& leaves, const Slopes& slopes) {
  const std::optional<LossCut> part = cut_of(problem, question);
  const LossCut* const cut = part ? &*part : nullptr;
  const SomeRecordings some(e, !question.lanes.empty());
  const auto tape = evaluate_question(e, problem, question, leaves, cut);
  if (!tape) return std::nullopt;
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
    std::vector<TangentLane> results = run_asked(prepared, state_->runs[r], std::move(taking));
    for (size_t q = 0; q < asked.size(); ++q) {
      if (!leaves[q]) continue;
      const LossQuestion& question = *asked[q].question;
      if (const TangentLane* failed = failure_of(prepared, results, q)) {
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
    if (!out[q] && !said_in(*asked[q].question)) return std::vector<std::optional<SecondOrder>>(asked.size());
  }
  return out;
}

}  // namespace hebb
