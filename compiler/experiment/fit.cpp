#include "compiler/experiment/fit.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/experiment/fit_report.h"
#include "compiler/experiment/fitting.h"
#include "compiler/experiment/functions.h"
#include "compiler/experiment/loss_data.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

Interval interval_of(const Target& target) {
  const Bounds& bounds = target.variable->bounds;
  return {bounds.low, bounds.high, bounds.low_open || bounds.high_open};
}

/// 1 where an element stays as it is.
std::optional<std::vector<bool>> fixed_elements(Evaluation& e, const Target& target, const FitOptions& options) {
  std::vector<bool> out(target.value.values.size());
  const auto given = options.fixed.find(target.path);
  if (given == options.fixed.end()) return out;
  const Tensor& mask = given->second.value;
  if (target.value.scalar() && !mask.scalar()) {   // [0] names its only place, or leaves it free
    report_argument(e, given->second.span, cat(quoted(target.path), " is one number, and so is its 'fixed'; this is ", shape_text(mask.shape)),
                    "fixed = 1  keeps it as it is,  fixed = 0  fits it");
    return std::nullopt;
  }
  const auto zero_or_one = [](double v) { return v == 0 || v == 1; };
  if (mask.values.size() == out.size() && std::all_of(mask.values.begin(), mask.values.end(), zero_or_one)) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = mask.values[i] != 0;
    return out;
  }
  const auto refuse = [&](std::string_view what) {
    report_argument(e, given->second.span, cat("'fixed' is a mask of the shape of ", quoted(target.path), ", ", shape_text(target.value.shape),
                                               ", or a list of places in it from 0 to ", out.size() - 1, "; ", what));
    return std::nullopt;
  };
  if (mask.shape.size() > 1) return refuse(cat("this is ", shape_text(mask.shape)));
  for (const double v : mask.values) {
    if (v != std::floor(v) || v < 0 || v >= static_cast<double>(out.size())) return refuse(cat("got ", v));
    if (out[static_cast<size_t>(v)]) return refuse(cat("place ", v, " is listed twice"));
    out[static_cast<size_t>(v)] = true;
  }
  return out;
}

std::optional<std::vector<Free>> free_numbers(Evaluation& e, const LossProblem& problem, const FitOptions& options, Span span) {
  std::vector<Free> out;
  for (size_t k = 0; k < problem.targets.size(); ++k) {
    const Target& target = problem.targets[k];
    const auto fixed = fixed_elements(e, target, options);
    if (!fixed) return std::nullopt;
    const Interval interval = interval_of(target);
    for (size_t i = 0; i < fixed->size(); ++i) {
      if ((*fixed)[i]) continue;
      const double value = target.value.values[i];
      const bool inside = std::isfinite(value) && (interval.open ? value > interval.low && value < interval.high
                                                                 : value >= interval.low && value <= interval.high);
      if (!inside) {
        const auto given = options.start.find(target.path);
        report_argument(e, given == options.start.end() ? span : given->second.span,
                        cat(quoted(target.path), " begins at ", value, ", ", std::isfinite(value) ? "outside of what it is declared to stay in" : "which is no number to go on from"),
                        cat("give it another start:  start = …"));
        return std::nullopt;
      }
      out.push_back({k, i, interval});
    }
  }
  if (out.empty()) report_argument(e, span, "everything is fixed: nothing is left to fit");
  return out.empty() ? std::nullopt : std::optional(std::move(out));
}

bool belongs_to_population(const Model& model, const Target& target) {
  const std::string owner = target.name.substr(0, target.name.find('.'));
  const auto& populations = model.find_network(target.network)->populations;
  return std::any_of(populations.begin(), populations.end(), [&](const PopulationDef& p) { return p.name == owner; });
}

struct Start {
  std::string path;
  Span span;
  Extents given, one;              // the shapes of what was written and of one recording's value
  bool by_recording = false;
};

/// A start in the shape of `one`, which is that of its path, or one such for each recording. Elements of an array may be in one row.
/// False: it is of another shape.
bool shape_start(Tensor& value, Start& start, const Variable& variable) {
  Tensor flat{.shape = start.one, .values = {}, .dimension = {}};
  flat = with_flat_elements(std::move(flat), variable);
  const auto is = [&](const Extents& shape, const Extents& wanted) { return without_ones(shape) == without_ones(wanted); };
  if (is(value.shape, start.one) || is(value.shape, flat.shape)) {
    value.shape = start.one;
    return true;
  }
  const Extents rest(value.shape.begin() + 1, value.shape.end());
  if (!is(rest, start.one) && !is(rest, flat.shape)) return false;
  start.by_recording = true;
  value.shape.resize(1);
  value.shape.insert(value.shape.end(), start.one.begin(), start.one.end());
  return true;
}

/// `start` of each path becomes its value before anything is prepared. None: reported.
std::optional<std::vector<Start>> take_starts(Evaluation& e, const std::vector<Target>& targets, const FitOptions& options) {
  std::vector<Start> out;
  for (const Target& target : targets) {
    const auto given = options.start.find(target.path);
    if (given == options.start.end()) continue;
    Tensor value = given->second.value;
    Start start{.path = target.path, .span = given->second.span, .given = value.shape, .one = {}};
    // One value a neuron, and one for each recording as well: what a population takes is not decided by what it has now.
    const bool of_neurons = !target.initial && belongs_to_population(e.model, target);
    if (value.scalar()) {
      const auto now = path_value(e, target.path, target.span);
      if (!now) return std::nullopt;
      value = expand(value, now->shape);
    } else if (!of_neurons && value.shape != target.variable->shape.extents) {
      const auto shape = declared_shape(e, target);
      if (!shape) return std::nullopt;
      start.one = *shape;
      if (!shape_start(value, start, *target.variable)) {
        e.diags.report(DiagKind::ShapesDiffer, start.span,
                       cat(quoted(target.path), " is ", shape_text(start.one), ", and its start is ", shape_text(start.given)))
            .help = "a value for each recording has one more axis, in front";
        return std::nullopt;
      }
    }
    value.dimension = target.variable->dimension;
    e.fitted[target.path] = std::move(value);
    out.push_back(std::move(start));
  }
  return out;
}

/// Shapes that do not fit, where a start made recordings of its own: it may be the start that was meant otherwise.
void blame_starts(std::span<const Start> starts, Diagnostic& diag) {
  if (diag.kind != DiagKind::ShapesDiffer) return;
  for (const Start& start : starts)
    if (start.by_recording)
      diag.labels.push_back({start.span, cat(quoted(start.path), " is ", shape_text(start.one), ", and its start is ", shape_text(start.given),
                                              ": a value for each of ", plural(start.given[0], "recording"))});
}

/// "2, 5 and 7"; of many only the first.
std::string some_of(const std::vector<int64_t>& lanes) {
  constexpr size_t kMost = 8;
  std::vector<std::string> names;
  for (size_t k = 0; k < std::min(lanes.size(), kMost); ++k) names.push_back(cat(lanes[k]));
  if (lanes.size() > kMost) names.push_back(cat(lanes.size() - kMost, " more"));
  return listed(names);
}

/// Recordings to fit, and those held out, have data; says which have none. None: reported.
std::optional<std::vector<bool>> look_for_data(Evaluation& e, const LossProblem& problem, const FitOptions& options, Span span) {
  const bool together = options.batch == 0 && options.validation.empty();
  if (together && !problem.cut) return std::vector<bool>(static_cast<size_t>(problem.lanes()));   // not worth looking at each: the loss tells
  auto out = recordings_without_data(e, problem, options.burn_in);
  if (!out) return std::nullopt;
  std::vector<int64_t> without;
  bool fitted = false, watched = options.validation.empty();
  for (int64_t lane = 0; lane < problem.lanes(); ++lane) {
    const bool held = std::find(options.validation.begin(), options.validation.end(), lane) != options.validation.end();
    if ((*out)[static_cast<size_t>(lane)]) without.push_back(lane);
    else (held ? watched : fitted) = true;
  }
  if (!fitted || !watched) {
    const char* which = fitted ? "no recording of 'validation'" : options.validation.empty() ? "no recording" : "no recording that is fitted";
    report_argument(e, span, cat(which, " has data: every value is missing (nan)", options.burn_in > 0 ? ", or left out by 'burn_in'" : ""));
    return std::nullopt;
  }
  if (!without.empty())
    note_once(e, cat(without.size() == 1 ? "recording " : "recordings ", some_of(without), without.size() == 1 ? " has" : " have", " no data, and say",
                     without.size() == 1 ? "s" : "", " nothing in the fit"));
  return out;
}

bool check_lanes(Evaluation& e, const LossProblem& problem, const FitOptions& options, const ast::Fit& fit) {
  const Span span = fit.span;
  for (const int64_t lane : options.validation) {
    if (lane < problem.lanes()) continue;
    report_argument(e, span, cat("'validation' names recording ", lane, ", and there are ", problem.lanes()));
    return false;
  }
  const auto left_out = [&](const RunGradient& run) { return run.prepared().options.steps <= options.burn_in; };
  if (options.burn_in > 0 && std::all_of(problem.runs.begin(), problem.runs.end(), left_out)) {
    report_argument(e, span, cat("'burn_in' leaves out all of the ", problem.runs[0].prepared().options.steps, " steps"));
    return false;
  }
  const auto fitted = problem.lanes() - static_cast<int64_t>(options.validation.size());
  if (fitted == 0) {
    report_argument(e, span, "'validation' holds back every recording: nothing is left to fit");
    return false;
  }
  if (options.batch <= fitted) return true;
  for (const ast::Setting& setting : fit.settings)
    if (setting_path(setting.path) == "batch")
      report_argument(e, setting.value->span, cat("an update takes ", options.batch, " recordings, and there ", fitted == 1 ? "is " : "are ", fitted,
                                                  options.validation.empty() ? "" : " to fit"), "batch = all  takes all of them");
  return false;
}

}  // namespace

void forget_lets(Evaluation& e, const std::set<std::string>& paths) {
  const TraceOptions what{.paths = paths};
  for (auto& [name, let] : e.lets) {
    if (let.fixed || let.progress != Let::Progress::Done || !depends_on_paths(e, *let.definition, what)) continue;
    let.progress = Let::Progress::Waiting;
    let.value.reset();
  }
}

namespace {

/// Every update allocates and frees recordings of the same sizes: give none of it back to the system in between,
/// which costs more than the arithmetic on small networks.
void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kLarge = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
#endif
}

}  // namespace

void perform_fit(Evaluation& e, const ast::Fit& fit) {
  std::set<std::string> paths;
  for (const ast::Path& path : fit.paths) paths.insert(setting_path(path));
  e.lost.insert(paths.begin(), paths.end());   // until they are found
  auto targets = fit_targets(e, fit);
  if (!targets) return;
  const auto options = read_fit_options(e, fit, *targets);
  if (!options) return;
  const auto before = e.fitted;
  const size_t told = e.diags.size();
  std::optional<std::vector<Start>> starts;
  const auto give_up = [&] {
    e.fitted = before;
    if (starts && e.diags.size() > told) blame_starts(*starts, *e.diags.last());
  };
  starts = take_starts(e, *targets, *options);
  if (!starts) return give_up();
  auto problem = make_problem(e, *fit.loss, std::move(*targets),
                              {.precision = options->precision, .max_bytes = e.options.max_memory});
  if (!problem || !check_lanes(e, *problem, *options, fit)) return give_up();
  auto free = free_numbers(e, *problem, *options, fit.span);
  if (!free) return give_up();
  const auto without_data = look_for_data(e, *problem, *options, fit.loss->span);
  if (!without_data) return give_up();
  keep_freed_memory();
  ++e.fits_begun;
  Fitting fitting(e, fit, *problem, *options, std::move(*free), *without_data);
  if (!fitting.run()) return give_up();
  fitting.summary();
  for (const Target& target : problem->targets) e.fitted[target.path] = target.value;
  e.fits.push_back(&fit);
  for (const std::string& path : paths) e.lost.erase(path);
  forget_lets(e, paths);
  if (options->report)
    for (const Target& target : problem->targets) print_report(e, target.path, target.span);
}

}  // namespace hebb
