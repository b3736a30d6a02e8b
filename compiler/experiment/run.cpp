#include "compiler/experiment/run.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "compiler/codegen/codegen.h"
#include "compiler/experiment/edges.h"
#include "compiler/experiment/engine.h"
#include "compiler/experiment/format.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/keep.h"
#include "compiler/experiment/lanes.h"
#include "compiler/experiment/prepared_run.h"
#include "compiler/experiment/run_result.h"
#include "compiler/experiment/settings.h"
#include "compiler/lower/lower.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/random.h"
#include "runtime/simulation.h"

namespace hebb {

namespace {

using Prepared = PreparedRun;

const Network* find_network(Evaluation& e, const ast::Run& run) {
  const std::string& name = run.network.parts.back().text;
  if (const Network* network = e.model.find_network(name)) return network;
  Diagnostic& diag = e.diags.report(DiagKind::UnknownName, run.network.span,
                                    cat("there is no network called ", quoted(name)));
  std::vector<std::string> names;
  for (const Network& network : e.model.networks) names.push_back(network.name);
  if (const auto near = did_you_mean(name, names)) diag.help = cat("did you mean ", *near, "?");
  return nullptr;
}

/// Whether a setting gives each neuron of a population its own: as many numbers as there are neurons, but where lanes are
/// asked for and are as many. When a clock ticks is the same for all.
bool is_by_neuron(const Model& model, const Network& network, const GivenSetting& setting, const RunOptions& options) {
  const Variable* variable = find_variable(model, network, setting.name);
  const auto owns = [&](const PopulationDef& each) { return setting.name.starts_with(each.name + "."); };
  const auto population = std::find_if(network.populations.begin(), network.populations.end(), owns);
  if (!variable || variable->kind != VarKind::Param || population == network.populations.end() || population->size < 2) return false;
  for (const Event& event : model.neurons[population->neuron].events)
    for (const ExprId id : event.period.valid() ? nodes_below(model.pool, {&event.period, 1}) : std::vector<ExprId>{})
      if (model.pool[id].op == Op::Var && &model[VarId{model.pool[id].leaf.index}] == variable) return false;
  const Extents& shape = setting.value.shape;
  Extents row = {population->size};
  row.insert(row.end(), variable->shape.extents.begin(), variable->shape.extents.end());
  if (shape == row) return !(options.batched && options.batch == population->size);
  return shape.size() == row.size() + 1 && std::equal(row.begin(), row.end(), shape.begin() + 1);
}

/// What the host will feed although the network defines it, and what it will read although nothing in
/// the network does.
LowerOptions lower_options(Evaluation& e, const ast::Run& run, const Network& network,
                           const RunOptions& options) {
  LowerOptions out;
  out.defer = e.options.device == nullptr;
  for (const GivenSetting& setting : options.others) {
    const Variable* variable = find_variable(e.model, network, setting.name);
    if (!variable) continue;
    if (is_by_neuron(e.model, network, setting, options)) out.by_neuron.insert(setting.name);
    if (variable->kind == VarKind::Param) out.given[setting.name] = setting.value.scalar() ? setting.value.values.at(0) : std::nan("");
    const bool feedable = variable->kind == VarKind::Signal || variable->kind == VarKind::Input ||
                          variable->kind == VarKind::Draw;
    if (feedable) out.fed.push_back(setting.name);
  }
  const auto wanted = e.wanted.find(&run);
  if (wanted == e.wanted.end()) return out;
  for (const auto* names : {&wanted->second.whole, &wanted->second.final}) {
    for (const auto& [name, span] : *names) {
      const Variable* variable = find_variable(e.model, network, name);
      const bool on_demand = variable && (variable->kind == VarKind::Reduce || variable->kind == VarKind::Let ||
                                          variable->kind == VarKind::Draw || variable->kind == VarKind::Receive);
      if (on_demand) out.keep.push_back(name);
    }
  }
  return out;
}

bool fits_dimension(Evaluation& e, const Network& network, const GivenSetting& given) {
  const Variable* variable = find_variable(e.model, network, given.name);
  if (!variable || common_dimension(given.value.dimension, variable->dimension).fits) return true;
  e.diags.report(DiagKind::DimensionMismatch, given.span,
                 cat(quoted(given.name), " is ", describe(*variable->dimension), ", this is ",
                     describe(*given.value.dimension)));
  return false;
}

/// A recording [steps, neurons, elements] as [steps, numbers of a step]: what was recorded can be fed.
Tensor one_row_a_step(Tensor value, const Extents& row) {
  const bool ends_so = row.size() > 1 && value.shape.size() > row.size() &&
                       std::equal(row.rbegin(), row.rend(), value.shape.rbegin());
  if (!ends_so) return value;
  value.shape.resize(value.shape.size() - row.size());
  value.shape.push_back(count(row));
  return value;
}

/// [steps] or [steps, n] numbers, one row of n for all steps, or one number; a batch of the first two.
bool add_feed(Evaluation& e, const GivenSetting& given, const Feed& feed, Prepared& out) {
  const Program& program = *out.program;
  const Extents shape = column_shape(program, feed.column);
  const int64_t n = count(shape);
  const Tensor value = one_row_a_step(given.value, shape);
  FeedValues values{.name = feed.name, .values = {}, .rows = n, .constant = false};
  const size_t axes = value.shape.size();
  const auto steps_of = [&](size_t axis) {
    return axis < axes ? value.shape[axis] : 0;
  };
  LaneValues lanes;
  int64_t steps = 0;
  if (value.scalar() || (axes == 1 && n > 1 && value.shape[0] == n)) {
    values.constant = true;
    lanes.lanes = {value.scalar() ? std::vector<double>(n, value.values[0]) : value.values};
  } else if ((axes == 1 && n == 1) || (axes == 2 && value.shape[1] == n)) {
    steps = steps_of(0);
    lanes.lanes = {value.values};
  } else if ((axes == 2 && n == 1) || (axes == 3 && value.shape[2] == n)) {
    steps = steps_of(1);
    lanes.batched = true;
    for (int64_t lane = 0; lane < value.shape[0]; ++lane)
      lanes.lanes.emplace_back(value.values.begin() + lane * steps * n, value.values.begin() + (lane + 1) * steps * n);
  } else {
    e.diags.report(DiagKind::DataShape, given.span,
                   cat(quoted(given.name), " takes ", n == 1 ? "one number" : cat(n, " numbers"), " a step: ",
                       n == 1 ? "[steps]" : cat("[steps, ", n, "]"), ", and this is ", shape_text(value.shape)));
    return false;
  }
  if (!values.constant && steps < out.options.steps) {
    e.diags.report(DiagKind::TooFewRows, given.span,
                   cat(quoted(given.name), " has ", plural(steps, "row"), ", and the run has ",
                       plural(out.options.steps, "step")));
    return false;
  }
  for (size_t recording = 0; recording < lanes.lanes.size(); ++recording) {
    const std::vector<double>& lane = lanes.lanes[recording];
    const auto bad = std::find_if(lane.begin(), lane.end(), [](double v) { return !std::isfinite(v); });
    if (bad == lane.end()) continue;
    const auto place = bad - lane.begin();
    e.diags.report(DiagKind::DataContent, given.span,
                   cat("what is fed to ", quoted(given.name), " holds ", *bad, " in row ", place / n,
                       n > 1 ? cat(", column ", place % n) : "", lanes.batched ? cat(" of recording ", recording) : ""))
        .help = "replace it first:  if is_finite(x) then x else 0";
    return false;
  }
  for (const auto& lane : lanes.lanes) {
    const auto bad = std::find_if(lane.begin(), lane.end(), [&](double v) { return feed.event && v != 0 && v != 1; });
    if (bad == lane.end()) continue;
    e.diags.report(DiagKind::DataContent, given.span,
                   cat("the event ", quoted(given.name), " is 1 in the steps in which it happens and 0 in the others, got ",
                       shortest(*bad), " in row ", (bad - lane.begin()) / n));
    return false;
  }
  out.feeds.emplace_back(std::move(values), std::move(lanes));
  return true;
}

/// A list for a variable of synapses that are not all there: one number for each when it is as long as they are many,
/// else one for each lane.
bool is_number_per_synapse(const Tensor& value, ColumnId id, const Prepared& out) {
  const Space& space = (*out.program)[(*out.program)[id].space];
  if (space.kind != SpaceKind::Sparse || is_matrix(space) || value.shape.size() != 1) return false;
  const auto drawn = connect(*out.program, space, random_key(out.options.seeds[0], 0));
  return drawn && drawn->count() == value.shape[0];
}

bool add_column(Evaluation& e, const GivenSetting& given, const Variable* variable, ColumnId id, Prepared& out) {
  if (is_number_per_synapse(given.value, id, out)) {
    out.columns.emplace_back(id, LaneValues{.lanes = {given.value.values}, .batched = false});
    return true;
  }
  const Extents shape = column_shape(*out.program, id);
  auto lanes = fit_lanes(given.value, shape);
  if (!lanes) {
    e.diags.report(DiagKind::ShapesDiffer, given.span,
                   cat(quoted(given.name), " is ", shape_text(in_declared_shape({.shape = shape, .values = {}, .dimension = {}}, variable).shape),
                       ", and this is ", shape_text(in_declared_shape(given.value, variable).shape)))
        .help = "a batch has one more axis, in front";
    return false;
  }
  out.columns.emplace_back(id, std::move(*lanes));
  return true;
}

void report_unknown_setting(Evaluation& e, const Program& program, const GivenSetting& given) {
  Diagnostic& diag = e.diags.report(DiagKind::UnknownSetting, given.name_span,
                                    cat("the network ", quoted(program.name), " has nothing called ",
                                        quoted(given.name), " to set or feed"));
  std::vector<std::string> names = {"seed", "dt", "threads", "precision", "batch"};
  for (const Feed& feed : program.plan.feeds) names.push_back(feed.name);
  for (const Column& column : program.columns)
    if (column.role == Role::Param || column.role == Role::State) names.push_back(column.name);
  if (const auto near = did_you_mean(given.name, names)) diag.help = cat("did you mean ", *near, "?");
}

bool place_setting(Evaluation& e, const Network& network, const GivenSetting& given,
                   Prepared& out) {
  const Program& program = *out.program;
  GivenSetting plain = given;
  if (plain.name.ends_with(".init")) plain.name.resize(plain.name.size() - 5);
  if (!fits_dimension(e, network, plain)) return false;
  for (const Feed& feed : program.plan.feeds)
    if (feed.name == plain.name) return add_feed(e, plain, feed, out);
  const Variable* variable = find_variable(e.model, network, plain.name);
  if (variable) plain.value = with_flat_elements(std::move(plain.value), *variable);
  const ColumnId id = program.find_column(plain.name);
  const bool settable = id.valid() && (program[id].role == Role::Param || program[id].role == Role::State);
  if (settable && id != program.dt) return add_column(e, plain, variable, id, out);
  report_unknown_setting(e, program, plain);
  return false;
}

bool all_fed(Evaluation& e, const ast::Run& run, const Prepared& prepared) {
  for (const Feed& feed : prepared.program->plan.feeds) {
    const bool fed = std::any_of(prepared.feeds.begin(), prepared.feeds.end(),
                                 [&](const auto& given) { return given.first.name == feed.name; });
    if (fed) continue;
    const Extents shape = column_shape(*prepared.program, feed.column);
    const bool of_neurons = feed.name.find('.') != std::string::npos;
    e.diags.report(DiagKind::NothingFed, run.network.span,
                   cat(quoted(feed.name), " of ", quoted(prepared.program->name),
                       " has no value of its own, and this run does not feed it"))
        .help = cat(of_neurons ? "drive it from a projection, or add" : "add", "  with (", feed.name, " = …), ", shape.empty() || count(shape) == 1
                        ? std::string("one number a step")
                        : cat("an array [steps, ", count(shape), "]"));
    return false;
  }
  return true;
}

bool count_lanes(Evaluation& e, const ast::Run& run, Prepared& out) {
  out.lanes = out.options.batch;
  out.batched = out.options.batched;
  std::string from = out.options.seeds.size() > 1 ? "seed" : "batch";   // what said how many
  const auto join_lanes = [&](const std::string& name, const LaneValues& values) {
    if (!values.batched) return true;
    const auto lanes = static_cast<int64_t>(values.lanes.size());
    if (lanes == 0) {
      report_argument(e, run.network.span, cat(quoted(name), " holds no recording: its list is empty"));
      return false;
    }
    if (out.batched && out.lanes != lanes) {
      e.diags.report(DiagKind::ShapesDiffer, run.network.span,
                     cat("the lists of this run have different lengths: ", quoted(from), " says ", out.lanes, ", ", quoted(name), " holds ", lanes));
      return false;
    }
    if (!out.batched) from = name;
    out.lanes = lanes;
    out.batched = true;
    return true;
  };
  for (const auto& [id, values] : out.columns)
    if (!join_lanes((*out.program)[id].name, values)) return false;
  for (const auto& [feed, values] : out.feeds)
    if (!join_lanes(feed.name, values)) return false;
  if (out.lanes > 0) return true;
  report_argument(e, run.network.span, "'seed' holds no run: its list is empty");
  return false;
}

/// What a fit found is a setting of every later run that does not set the same itself.
void add_fitted(Evaluation& e, const ast::Run& run, const Network& network, RunOptions& options) {
  std::vector<std::string> paths, settings;
  for (const auto& [path, value] : e.fitted) paths.push_back(path);
  for (const GivenSetting& given : options.others) settings.push_back(cat(network.name, ".", given.name));
  for (const auto& [path, value] : e.fitted) {
    if (!path.starts_with(network.name + ".") || !takes_fitted(settings, path, paths)) continue;
    options.others.push_back({path.substr(network.name.size() + 1), value, run.network.span});
  }
}

/// The network with the weights that this run freezes, or lets move again.
std::optional<Network> with_freezes(Evaluation& e, Network network, const RunOptions& options) {
  for (const RunOptions::Frozen& frozen : options.frozen) {
    const auto found = std::find_if(network.projections.begin(), network.projections.end(),
                                    [&](const ProjectionDef& p) { return p.name == frozen.projection; });
    if (found == network.projections.end()) {
      std::vector<std::string> names;
      for (const ProjectionDef& projection : network.projections) names.push_back(projection.name);
      Diagnostic& diag = e.diags.report(DiagKind::UnknownSetting, frozen.span,
                                        cat("the network ", quoted(network.name), " has no projection called ", quoted(frozen.projection)));
      if (const auto near = did_you_mean(frozen.projection, names)) diag.help = cat("did you mean ", *near, "?");
      return std::nullopt;
    }
    found->frozen = frozen.on;
  }
  return network;
}

/// `lists_from`: see LowerOptions; 0 for those who want matrices.
std::optional<Prepared> prepare(Evaluation& e, const ast::Run& run, bool fuse, int64_t lists_from) {
  const Network* network = find_network(e, run);
  if (!network) return std::nullopt;
  auto options = read_run_options(e, run);
  if (!options) return std::nullopt;
  add_fitted(e, run, *network, *options);
  Prepared out;
  LowerOptions how = lower_options(e, run, *network, *options);
  how.fuse = fuse;
  how.lists_from = lists_from;
  how.dt_ms = options->dt_ms;
  const auto frozen = with_freezes(e, *network, *options);
  if (!frozen) return std::nullopt;
  out.network = network;
  const auto edges = read_edges(e, *network, how);
  if (!edges) return std::nullopt;
  auto program = std::make_shared<Program>(lower(e.model, *frozen, how));
  out.options = std::move(*options);
  assert(verify(*program).empty() && "lower keeps the promises of a program");
  out.program = program;
  for (const EdgeValues& given : *edges) {
    const ColumnId id = program->find_column(given.column);
    if ((*program)[(*program)[id].space].kind != SpaceKind::Sparse) {
      const size_t dot = given.column.find('.');
      e.diags.report(DiagKind::ShapeMismatch, given.span, cat(quoted(given.column.substr(dot + 1)), " of ", quoted(given.column.substr(0, dot)), " is no number of a synapse"))
          .help = "it is the same for all synapses of a neuron";
      return std::nullopt;
    }
    out.columns.emplace_back(id, LaneValues{.lanes = {given.values}, .batched = false});
  }
  for (const GivenSetting& given : out.options.others)
    if (!place_setting(e, *network, given, out)) return std::nullopt;
  auto kept = recordings_to_keep(e, run, *network, *program, out.options);
  if (!kept || !all_fed(e, run, out) || !count_lanes(e, run, out)) return std::nullopt;
  out.kept = std::move(*kept);
  if (const auto wanted = e.wanted.find(&run); wanted != e.wanted.end())
    out.tells_aborted = wanted->second.whole.contains("aborted") && !find_variable(e.model, *network, "aborted");
  auto measures = prepare_measures(e, run, *network, *program, out.options);
  if (!measures) return std::nullopt;
  out.measures = std::move(*measures);

  std::set<uint32_t> parameters;
  for (const auto& [id, values] : out.columns)
    if ((*program)[id].role == Role::Param) parameters.insert(id.value);
  if (!parameters.empty())
    out.program = std::make_shared<Program>(without_initial_values(std::move(*program), parameters));
  return out;
}

std::string place_text(const Divergence& bad, const Program& program) {
  if (bad.index.empty()) return "";
  std::string index;
  for (const int64_t i : bad.index) index += cat(index.empty() ? "" : ", ", i);
  const ColumnId id = program.find_column(bad.column);
  const bool synapse = id.valid() && is_synaptic(program[program[id].space].kind);
  return cat(synapse ? " at synapse [" : " at neuron [", index, "]");
}

bool report_failures(Evaluation& e, const Prepared& prepared, const std::vector<LaneResult>& results,
                     Span span) {
  for (size_t lane = 0; lane < results.size(); ++lane) {
    const LaneResult& result = results[lane];
    const std::string which = prepared.batched ? cat(" (lane ", lane, ")") : "";
    if (!result.failure.empty()) {
      const bool file = result.failure.starts_with("cannot ");  // write, read, go on with: as files say it
      e.diags.report(file ? DiagKind::FileProblem : DiagKind::CannotRun, span, result.failure + which);
      return false;
    }
    if (!result.aborted.empty() && !prepared.batched && !prepared.tells_aborted) {
      e.diags.report(DiagKind::RunAborted, span, result.aborted).help =
          cat("it stopped there; print  sim.aborted  to go on with what there is");
      return false;
    }
    if (!result.divergence) continue;
    const Divergence& bad = *result.divergence;
    std::string help;
    if (bad.step >= 0) help = "a smaller rate or step, or bounds on the variable, may keep it finite";
    else if (prepared.options.precision == Precision::Float32) help = "a run in float holds numbers up to 3.4e38; --precision=double holds larger ones";
    e.diags.report(DiagKind::Diverged, span, cat(divergence_text(bad, *prepared.program), which)).help = help;
    return false;
  }
  return true;
}

/// Only events say what a step of these takes.
bool has_sparse(const Program& program) {
  return std::any_of(program.spaces.begin(), program.spaces.end(), [](const Space& space) { return space.kind == SpaceKind::Sparse; });
}

/// Kernels of an equal program are kept: runs often go on from each other.
Result<Kernels> kernels_of(Evaluation& e, const Prepared& prepared) {
  const Precision precision = prepared.options.precision;
  if (e.options.device != nullptr && !prepared.program->plan.bucketed.empty())
    return Failure{"not supported yet: delays that differ between synapses, on a GPU; run it with --device cpu"};
  const std::string key = cat(precision == Precision::Float32 ? "float " : "double ", print(*prepared.program));
  if (const auto known = e.compiled.find(key); known != e.compiled.end()) return known->second;
  if (e.options.engine == ExperimentOptions::Engine::Auto && e.options.device == nullptr && !has_sparse(*prepared.program)) {
    double& so_far = e.interpreted[key];
    so_far += interpreting_seconds(*prepared.program, prepared.lanes, prepared.lanes * prepared.options.steps);
    if (so_far < compiling_seconds(*prepared.program)) return interpret(prepared.program, precision);
  }
  auto kernels = e.options.device != nullptr
                     ? make_device_kernels(*prepared.program, precision, Resets::InPlan, e.options.device)
                     : make_kernels(prepared.program, precision, e.options.engine, e.options.level);
  if (kernels) e.compiled[key] = *kernels;
  return kernels;
}

}  // namespace

bool same_setting(std::string_view a, std::string_view b) {
  const auto plain = [](std::string_view name) {
    return name.ends_with(".init") ? name.substr(0, name.size() - 5) : name;
  };
  return plain(a) == plain(b);
}

bool takes_fitted(const std::vector<std::string>& settings, const std::string& path,
                  const std::vector<std::string>& all_paths) {
  const auto set = [&](const std::string& one) {
    return std::any_of(settings.begin(), settings.end(), [&](const std::string& name) { return same_setting(name, one); });
  };
  if (set(path)) return false;
  return !path.ends_with(".init") || std::none_of(all_paths.begin(), all_paths.end(), set);
}

std::optional<PreparedRun> prepare_run(Evaluation& e, const ast::Run& run, bool fuse) { return prepare(e, run, fuse, 0); }

DrawsOfLane draws_of_lane(const PreparedRun& prepared, int64_t lane) {
  const std::vector<uint64_t>& seeds = prepared.options.seeds;
  lane /= prepared.copies;
  if (seeds.size() > 1) return {.seed = seeds[lane]};
  const bool recordings = std::any_of(prepared.feeds.begin(), prepared.feeds.end(), [](const auto& feed) { return feed.second.batched; });
  return {.seed = seeds[0], .lane = prepared.options.batched || recordings ? static_cast<uint32_t>(lane) : 0};
}

const std::vector<double>& values_of_lane(const LaneValues& values, int64_t lane) { return values.lanes[values.batched ? lane : 0]; }
const std::vector<double>& fed_to_lane(const PreparedRun& prepared, const LaneValues& values, int64_t lane) {
  return values_of_lane(values, lane / prepared.copies);
}

std::optional<Divergence> find_divergence(const Model& model, const PreparedRun& prepared, const Kernels& kernels, int64_t lane) {
  PreparedRun in_double = prepared;
  in_double.options.precision = Precision::Float64;
  return run_lane(model, in_double, kernels, lane, 1, nullptr, {}, nullptr).divergence;
}

std::string divergence_text(const Divergence& bad, const Program& program) {
  if (bad.step < 0) return cat(quoted(bad.column), " starts as ", bad.value, place_text(bad, program));
  return cat(quoted(bad.column), " became ", bad.value, place_text(bad, program), " in step ", bad.step,
             ", t = ", rounded(bad.time_ms), " ms");
}

std::optional<Value> evaluate_run(Evaluation& e, const ast::Run& run, Span span) {
  constexpr int64_t kPairsWorthAList = 1 << 15;
  const auto prepared = prepare(e, run, true, e.options.device == nullptr ? kPairsWorthAList : 0);
  if (!prepared) return std::nullopt;
  const auto kernels = kernels_of(e, *prepared);
  if (!kernels) {
    e.diags.report(DiagKind::CannotRun, span, kernels.error());
    return std::nullopt;
  }
  const auto store = store_of(e, *prepared, run.network.span);
  if (!store) return std::nullopt;
  const auto results = run_lanes(e, *prepared, *kernels, *store, span);
  if (e.options.interrupted && *e.options.interrupted) {
    e.interrupted = true;
    if (!store->store) return std::nullopt;
    if (const Status written = store->store->write(); !written) e.diags.report(DiagKind::FileProblem, span, written.error());
    return std::nullopt;
  }
  if (!report_failures(e, *prepared, results, span)) return std::nullopt;
  return result_of(*prepared, results);
}

std::optional<Value> kept_final(Evaluation& e, const ast::Expr& expr) {
  std::string name;
  const ast::Expr* current = &expr;
  for (int depth = 0; depth < 64; ++depth) {
    const Chain chain = chain_of(*current);
    if (!chain.members.empty()) name = chain.text() + (name.empty() ? "" : "." + name);
    if (!std::holds_alternative<ast::Run>(chain.root->node)) {
      const ast::Expr* definition = definition_behind(e, *chain.root);
      if (!definition) return std::nullopt;
      if (!std::holds_alternative<ast::Run>(definition->node)) {
        current = definition;
        continue;
      }
    }
    auto run = evaluate(e, *chain.root);
    if (!run) return std::nullopt;
    const auto* table = std::get_if<std::shared_ptr<const Table>>(&run->data);
    const auto found = (*table)->finals.find(name);
    if (found == (*table)->finals.end()) return std::nullopt;
    return Value{found->second};
  }
  return std::nullopt;
}

}  // namespace hebb
