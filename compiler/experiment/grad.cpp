#include "compiler/experiment/grad.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/engine.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/loss_data.h"
#include "compiler/experiment/loss_runs.h"
#include "compiler/lower/lower.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

std::vector<std::string> names_in(const Model& model, const Network& network) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& owner, const std::vector<VarId>& ids) {
    for (const VarId id : ids) {
      const Variable& variable = model[id];
      const std::string name = owner.empty() ? variable.name : cat(owner, ".", variable.name);
      if (variable.kind == VarKind::Param || variable.kind == VarKind::Signal) names.push_back(name);
      if (variable.kind == VarKind::Weight || variable.kind == VarKind::State) names.push_back(name + ".init");
    }
  };
  add("", network.signals);
  for (const PopulationDef& population : network.populations)
    add(population.name, model.neurons[population.neuron].variables);
  for (const ProjectionDef& projection : network.projections) add(projection.name, projection.rule.variables);
  return names;
}

/// 'S.theta' of 'Net.S.theta', and without the '.init' of a beginning.
struct PathName {
  std::string name;
  bool initial = false;
};
PathName name_of(const std::string& path) {
  PathName out{.name = path.substr(path.find('.') + 1), .initial = path.ends_with(".init")};
  if (out.initial) out.name.resize(out.name.size() - 5);
  return out;
}

}  // namespace

bool check_path(const Model& model, const std::string& path, Span span, Diagnostics& diags) {
  const size_t dot = path.find('.');
  const Network* network = model.find_network(path.substr(0, dot));
  if (!network || dot == std::string::npos) {
    std::vector<std::string> names;
    for (const Network& known : model.networks) names.push_back(known.name);
    Diagnostic& diag = diags.report(DiagKind::UnknownName, span,
                                    network ? cat("the path ", quoted(path), " names nothing of the network")
                                            : cat("there is no network called ", quoted(path.substr(0, dot))));
    const auto near = network ? std::nullopt : did_you_mean(path.substr(0, dot), names);
    const auto has_it = [&](const Network& known) { return find_variable(model, known, name_of(cat(".", path)).name) != nullptr; };
    const auto meant = std::find_if(model.networks.begin(), model.networks.end(), has_it);
    if (!network && meant != model.networks.end()) diag.help = cat("did you mean ", meant->name, ".", path, "?");
    else if (near) diag.help = cat("did you mean ", *near, "?");
    else diag.help = "a path is a network, a projection or population, and a name:  Net.S.theta";
    return false;
  }
  const std::string name = name_of(path).name;
  if (find_variable(model, *network, name)) return true;
  Diagnostic& diag = diags.report(DiagKind::UnknownName, span, cat("the network ", quoted(network->name), " has no parameter ", quoted(name)));
  const std::vector<std::string> all = names_in(model, *network);
  std::vector<std::string> below;   // 'Net.S'
  for (const std::string& one : all)
    if (one.starts_with(name + ".")) below.push_back(cat(network->name, ".", one));
  if (const auto near = did_you_mean(name, all)) diag.help = cat("did you mean ", network->name, ".", *near, "?");
  else if (!below.empty()) diag.help = cat("it has ", listed(below));
  return false;
}

std::optional<Target> find_target(Evaluation& e, const std::string& path, Span span) {
  if (!check_path(e.model, path, span, e.diags)) return std::nullopt;
  const Network* network = e.model.find_network(path.substr(0, path.find('.')));
  const PathName found = name_of(path);
  Target out{.path = path, .network = network->name, .name = found.name, .initial = found.initial, .fed = false,
             .variable = find_variable(e.model, *network, found.name), .span = span, .value = {}};
  switch (out.variable->kind) {
    case VarKind::Param:
      if (!out.initial) return out;
      break;
    case VarKind::Weight:
    case VarKind::State:
      if (out.initial) return out;
      e.diags.report(DiagKind::NotReached, span, cat(quoted(out.name), " changes during a run; what can be chosen is "
                                                     "where it begins"))
          .help = cat("write  ", path, ".init");
      return std::nullopt;
    case VarKind::Signal:
    case VarKind::Input:
      out.fed = true;
      if (!out.initial) return out;
      break;
    case VarKind::Receive:
    case VarKind::Let:
    case VarKind::Draw:
    case VarKind::Reduce:
    case VarKind::PreValue:
    case VarKind::PostValue:
    case VarKind::Population: break;
  }
  e.diags.report(DiagKind::NotReached, span, cat(quoted(path), " is computed, not chosen"))
      .help = "a parameter, the beginning of a state (S.w.init) or a fed signal can be";
  return std::nullopt;
}

namespace {

struct Lowered {
  std::shared_ptr<const Program> program;
  ColumnId column;
};

std::optional<Lowered> lowered(Evaluation& e, const Target& target) {
  LowerOptions how;
  how.fuse = false;
  Lowered out{.program = std::make_shared<const Program>(lower(e.model, *e.model.find_network(target.network), how)), .column = {}};
  out.column = out.program->find_column(target.name);
  if (out.column.valid()) return out;
  e.diags.report(DiagKind::NotReached, target.span, cat("nothing in ", quoted(target.network), " uses ", quoted(target.name)));
  return std::nullopt;
}

}  // namespace

std::optional<Extents> declared_shape(Evaluation& e, const Target& target) {
  const auto found = lowered(e, target);
  if (!found) return std::nullopt;
  return in_declared_shape({.shape = column_shape(*found->program, found->column), .values = {}, .dimension = {}}, target.variable).shape;
}

std::optional<Tensor> path_value(Evaluation& e, const std::string& path, Span span) {
  if (const auto fitted = e.fitted.find(path); fitted != e.fitted.end()) return fitted->second;
  const auto target = find_target(e, path, span);
  if (!target) return std::nullopt;
  if (target->fed) {
    e.diags.report(DiagKind::WrongKindOfValue, span, cat(quoted(path), " has no value outside a run"));
    return std::nullopt;
  }
  const auto found = lowered(e, *target);
  if (!found) return std::nullopt;
  const auto& [program, column] = *found;
  SimulationOptions options;
  options.precision = Precision::Float64;
  options.seed = e.options.seed;
  auto simulation = Simulation::create(program, interpret(program, Precision::Float64), options);
  if (!simulation) {
    e.diags.report(DiagKind::CannotRun, span, simulation.error());
    return std::nullopt;
  }
  simulation->initialise();
  return in_declared_shape({.shape = column_shape(*program, column), .values = simulation->get(column), .dimension = {}},
                           target->variable);
}

int64_t LossProblem::lanes() const {
  int64_t most = 1;
  for (const RunGradient& run : runs)
    if (run.batched()) most = std::max(most, run.lanes());
  return most;
}

void LossProblem::repeat(int64_t copies) {
  for (RunGradient& run : runs) run.repeat(copies);
}

namespace {

/// By leaf: the number of axes of a recording with one entry a lane, else 0.
std::vector<int> ranks_by_lane(const LossProblem& problem) {
  std::vector<int> out(problem.graph.leaves.size());
  const int64_t lanes = problem.lanes();
  for (const RunGradient& run : problem.runs) {
    if (!run.batched() || run.lanes() != lanes) continue;
    for (const RunGradient::Output& output : run.outputs_here()) {
      out[output.leaf] = static_cast<int>(output.map.shape().size()) + (output.read.final_only ? 1 : 2);
    }
  }
  return out;
}

}  // namespace

std::optional<LossProblem> make_problem(Evaluation& e, const ast::Expr& loss, std::vector<Target> targets,
                                        const RunGradient::Options& options) {
  TraceOptions how;
  for (const Target& target : targets) how.paths.insert(target.path);
  auto graph = trace_loss(e, loss, how);
  if (!graph) return std::nullopt;
  LossProblem out{.graph = std::move(*graph), .targets = std::move(targets), .runs = {}, .leaf_target = {},
                  .cut = {}, .span = loss.span};
  if (out.graph.leaves.empty()) {
    e.diags.report(DiagKind::NotReached, loss.span,
                   cat("this loss does not depend on ", quoted(out.targets[0].path)))
        .help = "it has to read a recording of a run of that network which does not set it itself, or the path";
    return std::nullopt;
  }
  std::vector<const ast::Run*> seen;
  for (const LossLeaf& leaf : out.graph.leaves) {
    if (!leaf.run || std::find(seen.begin(), seen.end(), leaf.run) != seen.end()) continue;
    seen.push_back(leaf.run);
    if (!check_run_of_loss(e, *leaf.run, out.targets)) return std::nullopt;
    auto run = RunGradient::create(e, *leaf.run, out.graph, out.targets, options);
    if (!run) return std::nullopt;
    out.runs.push_back(std::move(*run));
  }
  note_moving_data(e, out.graph, out.targets);
  for (Target& target : out.targets) {
    if (target.fed) continue;
    auto value = path_value(e, target.path, target.span);
    if (!value) return std::nullopt;
    target.value = e.fitted[target.path] = std::move(*value);
  }
  for (const LossLeaf& leaf : out.graph.leaves) {
    int index = -1;
    for (size_t k = 0; k < out.targets.size(); ++k)
      if (!leaf.run && out.targets[k].path == leaf.name) index = static_cast<int>(k);
    out.leaf_target.push_back(index);
  }
  out.cut = constants_by_lane(out.graph, ranks_by_lane(out), out.lanes());
  return out;
}

std::optional<LossCut> cut_of(const LossProblem& problem, const LossQuestion& question) {
  if (!problem.cut || question.lanes.empty()) return std::nullopt;
  LossCut out{.lanes = {}, .constants = *problem.cut};
  for (size_t lane = 0; lane < question.lanes.size(); ++lane)
    if (question.lanes[lane]) out.lanes.push_back(static_cast<int64_t>(lane));
  return out;
}

bool is_one_number(Evaluation& e, const LossProblem& problem, const Tensor& loss) {
  if (loss.values.size() == 1) return true;
  e.diags.report(DiagKind::LossShape, problem.span, cat("a loss is one number, this is ", shape_text(loss.shape)))
      .help = "take  mean(…)  or  sum(…)  of it";
  return false;
}

std::optional<LossTape> evaluate_question(Evaluation& e, const LossProblem& problem, const LossQuestion& question,
                                          std::span<const Tensor> leaves, const LossCut* cut) {
  std::string became_nan;
  auto tape = evaluate_loss(e, problem.graph, leaves, cut, &became_nan);
  if (became_nan.empty()) {
    if (!tape || !is_one_number(e, problem, tape->back())) return std::nullopt;
    if (!cut && !question.lanes.empty() && mixes_what_is_missing(e, problem.graph, *tape)) return std::nullopt;
    return tape;
  }
  if (question.diverged) *question.diverged = std::move(became_nan);
  else e.diags.report(DiagKind::Diverged, problem.span, std::move(became_nan)).help = "what is missing on purpose is written  nan";
  return std::nullopt;
}

bool said_in(const LossQuestion& question) { return question.diverged && !question.diverged->empty(); }

OfQuestions leaves_of(const LossProblem& problem, std::span<const Asked> asked) {
  OfQuestions out(asked.size());
  for (size_t n = 0; n < asked.size(); ++n) {
    if (!asked[n].question) continue;
    auto& leaves = out[n].emplace(problem.graph.leaves.size());
    for (size_t k = 0; k < leaves.size(); ++k)
      if (problem.leaf_target[k] >= 0) leaves[k] = asked[n].targets[static_cast<size_t>(problem.leaf_target[k])].value;
  }
  return out;
}

std::optional<LossValue> evaluate_problem(Evaluation& e, LossProblem& problem, const LossQuestion& question) {
  const Asked asked{.question = &question, .targets = problem.targets};
  return std::move(evaluate_together(e, problem, std::span(&asked, 1))[0]);
}

namespace {

std::vector<RunQuestion> questions_of_run(const LossProblem& problem, const RunGradient& run, std::span<const Asked> asked) {
  std::vector<RunQuestion> out(asked.size());
  for (size_t n = 0; n < asked.size(); ++n) {
    if (!asked[n].question) continue;
    const LossQuestion& question = *asked[n].question;
    const bool cut = run.batched() && cut_of(problem, question).has_value();
    out[n] = {.targets = asked[n].targets, .lanes = question.lanes, .cut = cut, .burn_in = question.burn_in, .diverged = question.diverged};
  }
  return out;
}

}  // namespace

std::vector<std::optional<LossValue>> evaluate_together(Evaluation& e, LossProblem& problem, std::span<const Asked> asked) {
  const size_t n = asked.size();
  std::vector<std::optional<LossValue>> out(n);
  const auto nothing = [n] { return std::vector<std::optional<LossValue>>(n); };
  OfQuestions leaves = leaves_of(problem, asked), adjoints(n), gradients(n);
  for (RunGradient& run : problem.runs)
    if (!run.forward(e, questions_of_run(problem, run, asked), leaves)) return nothing();
  for (size_t k = 0; k < n; ++k) {
    if (!leaves[k]) continue;
    const LossQuestion& question = *asked[k].question;
    const std::optional<LossCut> part = cut_of(problem, question);
    const SomeRecordings some(e, !question.lanes.empty());
    const auto tape = evaluate_question(e, problem, question, *leaves[k], part ? &*part : nullptr);
    if (!tape && said_in(question)) continue;
    if (!tape) return nothing();
    LossValue& value = out[k].emplace(LossValue{.loss = tape->back().values[0], .gradients = {}, .terms = {}});
    if (!question.gradient) continue;
    adjoints[k] = pull_loss(problem.graph, *tape);
    if (question.terms) value.terms = likelihood_terms(problem.graph, *tape);
    auto& own = gradients[k].emplace();
    for (const Target& target : asked[k].targets)
      own.push_back({.shape = target.value.shape, .values = std::vector<double>(target.value.values.size()), .dimension = {}});
    for (size_t leaf = 0; leaf < leaves[k]->size(); ++leaf) {
      if (problem.leaf_target[leaf] < 0) continue;
      Tensor& gradient = own[static_cast<size_t>(problem.leaf_target[leaf])];
      for (size_t i = 0; i < gradient.values.size(); ++i) gradient.values[i] += (*adjoints[k])[leaf].values[i];
    }
  }
  const auto has = [](const auto& one) { return one.has_value(); };
  if (std::any_of(adjoints.begin(), adjoints.end(), has))
    for (RunGradient& run : problem.runs)
      if (!run.reverse(e, questions_of_run(problem, run, asked), adjoints, gradients)) return nothing();
  for (size_t k = 0; k < n; ++k)
    if (gradients[k]) out[k]->gradients = std::move(*gradients[k]);
  return out;
}

std::optional<Value> evaluate_grad(Evaluation& e, const ast::Call& call, Span span) {
  if (call.arguments.size() != 2) {
    report_argument(e, span, cat("'grad' takes a loss and a path, got ", plural(call.arguments.size(), "argument")),
                    "grad(loss, Net.S.theta)");
    return std::nullopt;
  }
  const ast::Expr& where = *call.arguments[1].value;
  const auto path = path_text(e, where);
  if (!path) {
    e.diags.report(DiagKind::WrongKindOfValue, where.span, "this is not something of a network")
        .help = "a path is a network, a projection or population, and a name:  Net.S.theta";
    return std::nullopt;
  }
  auto target = find_target(e, *path, where.span);
  if (!target) return std::nullopt;
  const auto fitted = e.fitted;
  RunGradient::Options options;
  options.max_bytes = e.options.max_memory;
  options.once = true;
  auto problem = make_problem(e, *call.arguments[0].value, {std::move(*target)}, options);
  std::optional<LossValue> value;
  if (problem) value = evaluate_problem(e, *problem, {});
  e.fitted = fitted;
  if (!value) return std::nullopt;
  return value_of(std::move(value->gradients[0]));
}

}  // namespace hebb
