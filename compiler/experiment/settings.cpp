#include "compiler/experiment/settings.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/experiment/format.h"
#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr double kMostSteps = 1e12;

std::string path_text(const ast::Path& path) {
  std::string out;
  for (const ast::Name& part : path.parts) out += (out.empty() ? "" : ".") + part.text;
  return out;
}

std::optional<int64_t> whole(Evaluation& e, const ast::Setting& setting, double least, double most) {
  const auto number = evaluate_plain_number(e, *setting.value, path_text(setting.path));
  if (!number) return std::nullopt;
  if (*number == std::floor(*number) && *number >= least && *number <= most) return static_cast<int64_t>(*number);
  report_argument(e, setting.value->span,
                  cat(quoted(path_text(setting.path)), " is a whole number from ", least, " to ", most, ", not ",
                      *number));
  return std::nullopt;
}

bool read_precision(Evaluation& e, const ast::Setting& setting, RunOptions& out) {
  const auto* name = std::get_if<ast::NameRef>(&without_parens(*setting.value).node);
  if (name && name->name == "float") out.precision = Precision::Float32;
  else if (name && name->name == "double") out.precision = Precision::Float64;
  else {
    report_argument(e, setting.value->span, "'precision' is float or double");
    return false;
  }
  if (e.options.precision) out.precision = *e.options.precision;
  return true;
}

bool read_seed(Evaluation& e, const ast::Setting& setting, RunOptions& out) {
  const auto seeds = evaluate_tensor(e, *setting.value);
  if (!seeds || !expect_plain(e, *seeds, setting.value->span, "seed")) return false;
  out.seeds.clear();
  for (const double seed : seeds->values) {
    if (seed != std::floor(seed) || seed < 0 || seed > 9007199254740992.0 || seeds->shape.size() > 1) {
      report_argument(e, setting.value->span, "a seed is a whole number from 0 to 2^53, or a list of them");
      return false;
    }
    // Of a list, --seed says where to begin.
    out.seeds.push_back(e.options.seed_given ? e.options.seed + out.seeds.size() : static_cast<uint64_t>(seed));
  }
  if (!seeds->scalar()) {
    out.batch = static_cast<int64_t>(out.seeds.size());
    out.batched = true;
  }
  return true;
}

bool read_dt(Evaluation& e, const ast::Setting& setting, RunOptions& out) {
  const auto dt = evaluate_tensor(e, *setting.value);
  if (!dt) return false;
  const bool time = !dt->dimension || *dt->dimension == find_unit("ms")->dimension;
  if (!time || !dt->scalar()) {
    e.diags.report(DiagKind::DimensionMismatch, setting.value->span, "'dt' is one time, for example 1 ms");
    return false;
  }
  out.dt_ms = dt->values[0];
  if (out.dt_ms > 0 && std::isfinite(out.dt_ms)) return true;
  report_argument(e, setting.value->span, cat("'dt' is a time above 0, not ", out.dt_ms, " ms"));
  return false;
}

bool read_setting(Evaluation& e, const ast::Setting& setting, RunOptions& out) {
  const std::string name = path_text(setting.path);
  if (setting.drawn) {
    e.diags.report(DiagKind::NotSupportedYet, setting.span,
                   cat("not supported yet: drawing ", quoted(name), " in a run"))
        .help = "draw it here:  = normal(0, 1, shape)";
    return false;
  }
  if (name == "seed") return read_seed(e, setting, out);
  if (name == "dt") return read_dt(e, setting, out);
  if (name == "precision") return read_precision(e, setting, out);
  if (name == "threads") {
    const auto threads = whole(e, setting, 1, 4096);
    if (threads) out.threads = static_cast<int>(*threads);
    return threads.has_value();
  }
  if (name == "batch") {
    const auto batch = whole(e, setting, 1, 1e9);
    if (!batch) return false;
    out.batch = *batch;
    out.batched = true;
    return true;
  }
  if (name == "deterministic") return evaluate_plain_number(e, *setting.value, name).has_value();  // always is
  if (name == "record") {
    const auto* text = std::get_if<ast::String>(&without_parens(*setting.value).node);
    const bool known = text && (text->value.ends_with(".npz") || text->value.ends_with(".h5") || text->value.ends_with(".hdf5"));
    if (!known) {
      report_argument(e, setting.value->span, "'record' takes the name of a file, .npz or .h5", "for example  record = \"run.h5\"");
      return false;
    }
    out.record_to = text->value;
    out.record_span = setting.value->span;
    return true;
  }
  constexpr std::string_view kFreeze = ".freeze";
  if (name.ends_with(kFreeze)) {
    const auto on = evaluate_plain_number(e, *setting.value, name);
    if (!on) return false;
    if (*on != 0 && *on != 1) {
      report_argument(e, setting.value->span, cat(quoted(name), " is true or false"));
      return false;
    }
    out.frozen.push_back({name.substr(0, name.size() - kFreeze.size()), *on == 1, setting.path.span});
    return true;
  }
  auto value = evaluate_tensor(e, *setting.value);
  if (!value) return false;
  out.others.push_back({name, std::move(*value), setting.value->span, setting.path.span});
  return true;
}

bool read_duration(Evaluation& e, const ast::Run& run, RunOptions& out) {
  const auto duration = evaluate_tensor(e, *run.duration);
  if (!duration) return false;
  const Span span = run.duration->span;
  if (!duration->scalar()) {
    e.diags.report(DiagKind::ShapesDiffer, span, "a run lasts one time, or one number of steps");
    return false;
  }
  const bool plain = !duration->dimension || duration->dimension->dimensionless();
  if (!plain && *duration->dimension != find_unit("ms")->dimension) {
    e.diags.report(DiagKind::DimensionMismatch, span,
                   cat("a run lasts a time or a number of steps, this is ", describe(*duration->dimension)));
    return false;
  }
  const double steps = plain ? duration->values[0] : duration->values[0] / out.dt_ms;
  const double rounded = std::round(steps);
  if (!(rounded >= 0 && rounded <= kMostSteps)) {
    report_argument(e, span, cat("a run takes 0 to ", kMostSteps, " steps, not ", steps));
    return false;
  }
  if (std::fabs(steps - rounded) > 1e-6 * std::max(1.0, rounded) || (rounded == 0 && steps != 0)) {
    report_argument(e, span, cat("this is ", hebb::rounded(steps), " steps", plain ? "" : cat(" of dt = ", out.dt_ms, " ms"),
                                 ", not a whole number of them"));
    return false;
  }
  out.steps = static_cast<int64_t>(rounded);
  return true;
}

const Variable* named_variable(const Model& model, const std::vector<VarId>& ids, std::string_view name) {
  for (const VarId id : ids)
    if (model[id].name == name) return &model[id];
  return nullptr;
}

}  // namespace

void note_seeds(Evaluation& e, std::span<const uint64_t> seeds) {
  constexpr size_t kMostNotes = 8, kMostSeeds = 4;
  if (!e.options.notes || !e.options.tell_seeds || e.options.seed_given || e.told_seeds.size() >= kMostNotes) return;
  std::string text = seeds.size() > 1 ? "seeds" : "seed";
  for (size_t k = 0; k < std::min(seeds.size(), kMostSeeds); ++k) text += cat(k ? ", " : " ", seeds[k]);
  if (seeds.size() > kMostSeeds) text += ", …";
  if (e.told_seeds.insert(text).second) *e.options.notes << text << '\n';
}

std::optional<RunOptions> read_run_options(Evaluation& e, const ast::Run& run) {
  RunOptions out;
  out.threads = e.options.threads;
  out.precision = e.options.precision.value_or(Precision::Float32);
  out.seeds = {e.options.seed};
  std::map<std::string, Span> seen;
  for (const ast::Setting& setting : run.settings) {
    const auto [first, is_new] = seen.try_emplace(path_text(setting.path), setting.path.span);
    if (!is_new) {
      e.diags.report(DiagKind::DuplicateName, setting.path.span, cat(quoted(first->first), " is given twice"))
          .labels.push_back({first->second, "first here"});
      return std::nullopt;
    }
    const std::string full = cat(run.network.parts.back().text, ".", path_text(setting.path));
    if (e.model.set_outside.contains(full)) {
      report_argument(e, setting.path.span, cat(quoted(path_text(setting.path)), " is given here and by  --set ", full, "=…"),
                      "set a constant of the file, or leave it out here");
      return std::nullopt;
    }
    if (!read_setting(e, setting, out)) return std::nullopt;
  }
  if (!read_duration(e, run, out)) return std::nullopt;
  note_seeds(e, out.seeds);
  return out;
}

std::optional<LaneValues> fit_lanes(const Tensor& value, const Extents& shape) {
  const bool same = value.shape == shape || without_ones(value.shape) == without_ones(shape);
  if (value.scalar() || same) return LaneValues{{value.values}, false};
  const Extents rest(value.shape.begin() + 1, value.shape.end());
  if (!rest.empty() && rest != shape && without_ones(rest) != without_ones(shape)) return std::nullopt;
  LaneValues out{.lanes = {}, .batched = true};
  const int64_t size = count(rest);
  for (int64_t lane = 0; lane < value.shape[0]; ++lane)
    out.lanes.emplace_back(value.values.begin() + lane * size, value.values.begin() + (lane + 1) * size);
  return out;
}

Tensor with_flat_elements(Tensor value, const Variable& variable) {
  const Extents& inner = variable.shape.extents;
  const bool ends_so = inner.size() > 1 && value.shape.size() >= inner.size() &&
                       std::equal(inner.rbegin(), inner.rend(), value.shape.rbegin());
  if (!ends_so) return value;
  value.shape.resize(value.shape.size() - inner.size());
  value.shape.push_back(variable.shape.size());
  return value;
}

Tensor in_declared_shape(Tensor value, const Variable* variable) {
  if (!variable) return value;
  const Extents& inner = variable->shape.extents;
  value.dimension = variable->dimension;
  if (inner.size() < 2 || value.shape.empty() || value.shape.back() != variable->shape.size()) return value;
  value.shape.pop_back();
  value.shape.insert(value.shape.end(), inner.begin(), inner.end());
  return value;
}

Extents without_ones(const Extents& shape) {
  Extents out;
  for (const int64_t extent : shape)
    if (extent != 1) out.push_back(extent);
  return out;
}

const Variable* find_variable(const Model& model, const Network& network, std::string_view column) {
  const size_t dot = column.find('.');
  if (dot == std::string_view::npos) return named_variable(model, network.signals, column);
  const std::string_view owner = column.substr(0, dot), name = column.substr(dot + 1);
  for (const PopulationDef& population : network.populations)
    if (population.name == owner) return named_variable(model, model.neurons[population.neuron].variables, name);
  for (const ProjectionDef& projection : network.projections)
    if (projection.name == owner) return named_variable(model, projection.rule.variables, name);
  return nullptr;
}

bool is_event(const Model& model, const Network& network, const Program& program, ColumnId id) {
  const Column& column = program[id];
  if (column.role == Role::Indicator) return true;
  for (const PopulationDef& population : network.populations)
    for (const Emission& emission : model.neurons[population.neuron].emissions)
      if (column.name == population.name + "." + emission.event) return true;
  return false;
}

Extents column_shape(const Program& program, ColumnId id) {
  const Column& column = program[id];
  const Space& space = program[column.space];
  Extents shape;
  if (space.kind == SpaceKind::Neurons) shape = {space.size};
  if (is_matrix(space)) shape = {program[space.pre].size, program[space.post].size};
  if (column.width > 1) shape.push_back(column.width);
  return shape;
}

}  // namespace hebb
