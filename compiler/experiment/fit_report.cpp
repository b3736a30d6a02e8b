#include "compiler/experiment/fit_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <ostream>

#include "compiler/experiment/functions.h"
#include "compiler/experiment/grad_tangent.h"
#include "compiler/support/text.h"
#include "runtime/fit/profile.h"

namespace hebb {

namespace {

constexpr double kInterval95 = 1.959963984540054;
constexpr size_t kMostByDifferences = 200;

/// Curvature of the loss in all elements of all targets.
struct Curvature {
  std::vector<double> matrix;
  std::vector<LikelihoodTerm> terms;
  std::string how;
};

/// Central differences of exact gradients: for targets that forward derivatives do not take.
std::optional<Curvature> by_differences(Evaluation& e, LossProblem& problem, const LossQuestion& question) {
  size_t n = 0;
  for (const Target& target : problem.targets) n += target.value.values.size();
  if (n > kMostByDifferences) {
    e.diags.report(DiagKind::NoDerivative, problem.span,
                   cat("a report of ", n, " values would take ", 2 * n, " gradients; at most ", kMostByDifferences,
                       " values are reported this way"));
    return std::nullopt;
  }
  Curvature out{.matrix = std::vector<double>(n * n), .terms = {}, .how = "central differences of exact gradients"};
  size_t row = 0;
  for (Target& target : problem.targets) {
    for (double& value : target.value.values) {
      const double h = 1e-5 * std::max(1.0, std::fabs(value)), at = value;
      for (const double sign : {1.0, -1.0}) {
        value = at + sign * h;
        const auto there = evaluate_problem(e, problem, question);
        if (!there) return std::nullopt;
        size_t column = 0;
        for (const Tensor& gradient : there->gradients)
          for (const double g : gradient.values) out.matrix[row * n + column++] += sign * g / (2 * h);
      }
      value = at;
      ++row;
    }
  }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < i; ++j)
      out.matrix[i * n + j] = out.matrix[j * n + i] = 0.5 * (out.matrix[i * n + j] + out.matrix[j * n + i]);
  const auto here = evaluate_problem(e, problem, question);
  if (!here) return std::nullopt;
  out.terms = here->terms;
  return out;
}

/// `tangent`: of the problem, where it has one.
std::optional<Curvature> curvature(Evaluation& e, LossProblem& problem, const LossQuestion& question, std::optional<LossTangent>& tangent) {
  if (!tangent) return by_differences(e, problem, question);
  auto second = tangent->evaluate(e, problem, question);
  if (!second) return std::nullopt;
  return Curvature{std::move(second->matrix), std::move(second->terms), "exact forward derivatives"};
}

// --- profiles -----------------------------------------------------------------------------------------

/// An element that was fitted.
struct FreeElement {
  size_t target, element, place;   // place: among all elements of all targets
};

/// The loss as a function of the free elements alone.
class LossOfFree {
 public:
  LossOfFree(Evaluation& e, LossProblem& problem, LossQuestion question, std::optional<LossTangent>& tangent,
             const std::vector<FreeElement>& free, const std::vector<double>& matrix)
      : e_(e), problem_(problem), question_(std::move(question)), tangent_(tangent), free_(free), matrix_(matrix) {
    question_.diverged = &why_;
  }

  std::vector<double> now() const {
    std::vector<double> x;
    for (const FreeElement& f : free_) x.push_back(problem_.targets[f.target].value.values[f.element]);
    return x;
  }
  void put(std::span<const double> x) {
    for (size_t i = 0; i < free_.size(); ++i) problem_.targets[free_[i].target].value.values[free_[i].element] = x[i];
  }
  std::optional<LocalLoss> operator()(std::span<const double> x) {
    put(x);
    why_.clear();
    const size_t n = free_.size();
    LocalLoss out{.loss = 0, .gradient = std::vector<double>(n), .matrix = matrix_};
    if (!tangent_) {
      const auto value = evaluate_problem(e_, problem_, question_);
      if (!value) return std::nullopt;
      out.loss = value->loss;
      for (size_t i = 0; i < n; ++i) out.gradient[i] = value->gradients[free_[i].target].values[free_[i].element];
      return out;
    }
    const auto second = tangent_->evaluate(e_, problem_, question_);
    if (!second) return std::nullopt;
    const size_t all = second->gradient.size();
    out.loss = second->loss;
    for (size_t i = 0; i < n; ++i) {
      out.gradient[i] = second->gradient[free_[i].place];
      for (size_t j = 0; j < n; ++j) out.matrix[i * n + j] = second->matrix[free_[i].place * all + free_[j].place];
    }
    return out;
  }

 private:
  Evaluation& e_;
  LossProblem& problem_;
  LossQuestion question_;
  std::optional<LossTangent>& tangent_;
  const std::vector<FreeElement>& free_;
  std::vector<double> matrix_;   // where no other is known: that of the minimum
  std::string why_;
};

/// Synapse-steps with their derivatives, about, that the profiles of `shown` elements take.
double profile_work(const LossProblem& problem, size_t directions, size_t shown) {
  constexpr double kEvaluations = 20;   // of one element, both sides
  double work = 0;
  for (const RunGradient& run : problem.runs) {
    const PreparedRun& prepared = run.prepared();
    double largest = 1;
    for (const Column& column : prepared.program->columns)
      largest = std::max(largest, static_cast<double>(count(column_shape(*prepared.program, prepared.program->find_column(column.name)))));
    work += largest * static_cast<double>(prepared.lanes) * static_cast<double>(prepared.options.steps);
  }
  return work * static_cast<double>(directions) * static_cast<double>(shown) * kEvaluations;
}
constexpr double kMostProfileWork = 2e10;

/// Newton steps that lower the loss, from where the fit ended to its minimum.
LocalLoss polished(LossOfFree& around, std::vector<double>& x, LocalLoss here) {
  constexpr int kMostSteps = 20;
  double damping = 1e-6;
  for (int step = 0; step < kMostSteps; ++step) {
    const std::vector<double> d = damped_step(here.matrix, here.gradient, damping);
    if (d.empty()) break;
    std::vector<double> moved = x;
    for (size_t i = 0; i < x.size(); ++i) moved[i] += d[i];
    auto there = around(moved);
    if (!there || !(there->loss < here.loss)) {
      damping = std::max(damping * 100, 1e-3);
      if (damping > 1e6) break;
      continue;
    }
    const double gained = here.loss - there->loss;
    x = std::move(moved);
    here = std::move(*there);
    damping *= 0.1;
    if (gained <= 1e-12 * std::fabs(here.loss)) break;
  }
  around.put(x);
  return here;
}

/// What the loss has to be multiplied by to be a negative log likelihood.
std::optional<double> scale_of(Evaluation& e, const std::vector<LikelihoodTerm>& terms, size_t parameters, Span span) {
  if (terms.empty() || terms[0].weight == 0) {
    e.diags.report(DiagKind::NoDerivative, span, "a report needs a loss of independent terms")
        .help = "build it from  mse(…),  cross_entropy(…)  or  cross_entropy_logits(…)";
    return std::nullopt;
  }
  const LikelihoodTerm& term = terms[0];
  if (term.kind == LossNode::Likelihood::Bernoulli) return term.terms / term.weight;
  const double left = std::max(term.terms - static_cast<double>(parameters), 1.0);
  const double variance = term.mean * term.terms / left;
  return term.terms / (2 * variance * term.weight);
}

std::string digits(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string index_text(const Extents& shape, size_t place) {
  if (shape.empty()) return "";
  std::string out;
  for (size_t k = shape.size(); k-- > 0; place /= static_cast<size_t>(shape[k]))
    out = cat(place % static_cast<size_t>(shape[k]), out.empty() ? "" : ", ", out);
  return cat("[", out, "]");
}

std::string padded(std::string text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

/// The largest parts of a direction: "0.81 [1, 1, 0] - 0.44 [0, 2, 1]".
std::string direction_text(const double* vector, size_t n, const std::vector<std::string>& names) {
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::fabs(vector[a]) > std::fabs(vector[b]); });
  std::string out;
  constexpr size_t kShown = 4;
  const double sign = vector[order[0]] < 0 ? -1 : 1;
  for (size_t k = 0; k < std::min(n, kShown); ++k) {
    const double part = sign * vector[order[k]];
    if (std::fabs(part) < 0.1) break;
    out += cat(k == 0 ? "" : part < 0 ? " - " : " + ", digits(std::fabs(part)), " ", names[order[k]]);
  }
  return out;
}

struct Known {
  std::vector<double> error, information;   // of the free elements
};

/// Standard errors from the Fisher information; infinite along directions that the data do not see.
Known errors_of(const std::vector<double>& information, size_t n) {
  constexpr double kUnseen = 1e-13;
  Known out{.error = std::vector<double>(n), .information = information};
  std::vector<double> scale(n);
  std::vector<double> correlation(n * n);
  for (size_t i = 0; i < n; ++i) scale[i] = information[i * n + i] > 0 ? 1 / std::sqrt(information[i * n + i]) : 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) correlation[i * n + j] = information[i * n + j] * scale[i] * scale[j];
  const Spectrum s = spectrum(correlation);
  for (size_t i = 0; i < n; ++i) {
    double variance = 0;
    for (size_t k = 0; k < n; ++k) {
      const double part = s.vectors[k * n + i] * s.vectors[k * n + i];
      if (s.values[k] > kUnseen * s.values[0]) variance += part / s.values[k];
      else if (part > 1e-8) variance = INFINITY;
    }
    out.error[i] = scale[i] == 0 ? INFINITY : std::sqrt(variance) * scale[i];
  }
  return out;
}

std::string directions_text(const std::vector<double>& information, size_t n, const std::vector<std::string>& names) {
  std::vector<double> correlation(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      const double both = information[i * n + i] * information[j * n + j];
      correlation[i * n + j] = both > 0 ? information[i * n + j] / std::sqrt(both) : 0;
    }
  }
  const Spectrum s = spectrum(correlation);
  std::string out = cat("  stiffest direction (", digits(s.values[0]), "): ", direction_text(s.vectors.data(), n, names), "\n");
  for (size_t k = 0; k < std::min<size_t>(3, n - 1); ++k) {
    const size_t from = n - 1 - k;
    out += cat("  sloppy direction (", digits(s.values[from]), "): ", direction_text(s.vectors.data() + from * n, n, names), "\n");
  }
  return out;
}

const ast::Fit* fit_of(Evaluation& e, const std::string& path) {
  for (size_t k = e.fits.size(); k-- > 0;)
    for (const ast::Path& fitted : e.fits[k]->paths)
      if (setting_path(fitted) == path) return e.fits[k];
  return nullptr;
}

std::optional<std::vector<bool>> mask_of(const FitOptions& options, const Target& target) {
  std::vector<bool> fixed(target.value.values.size());
  const auto given = options.fixed.find(target.path);
  if (given == options.fixed.end()) return fixed;
  const auto& mask = given->second.value.values;
  const bool whole = mask.size() == fixed.size() && std::all_of(mask.begin(), mask.end(), [](double v) { return v == 0 || v == 1; });
  for (size_t i = 0; i < mask.size(); ++i) {
    if (whole) fixed[i] = mask[i] != 0;
    else fixed[static_cast<size_t>(mask[i])] = true;
  }
  return fixed;
}

/// `profile`: whether intervals are profiles; none: if they do not take too long.
std::optional<std::shared_ptr<const Table>> make_report(Evaluation& e, const std::string& path, Span span, std::optional<bool> profile) {
  const ast::Fit* fit = fit_of(e, path);
  if (!fit) {
    e.diags.report(DiagKind::WrongArgument, span, cat(quoted(path), " was not fitted before this report"))
        .help = cat("fit ", path, " minimize …;");
    return std::nullopt;
  }
  auto targets = fit_targets(e, *fit);
  if (!targets) return std::nullopt;
  const auto options = read_fit_options(e, *fit, *targets);
  if (!options) return std::nullopt;
  auto problem = make_problem(e, *fit->loss, std::move(*targets), {.precision = Precision::Float64, .max_bytes = e.options.max_memory});
  if (!problem) return std::nullopt;
  LossQuestion question{.lanes = {}, .burn_in = options->burn_in, .terms = true};
  if (!options->validation.empty()) {
    question.lanes.assign(problem->lanes(), true);
    for (const int64_t lane : options->validation) question.lanes[lane] = false;
  }
  std::optional<LossTangent> tangent;
  if (has_tangent(*problem)) {
    tangent = LossTangent::create(e, *problem);
    if (!tangent) return std::nullopt;
  }
  const auto bend = curvature(e, *problem, question, tangent);
  if (!bend) return std::nullopt;

  std::vector<size_t> places;              // of the free elements among all
  std::vector<FreeElement> free;
  std::vector<std::string> names;
  size_t begin = 0, own_begin = 0;
  const Target* own = nullptr;
  for (size_t t = 0; t < problem->targets.size(); ++t) {
    const Target& target = problem->targets[t];
    const auto fixed = mask_of(*options, target);
    for (size_t i = 0; i < target.value.values.size(); ++i) {
      if ((*fixed)[i]) continue;
      places.push_back(begin + i);
      free.push_back({t, i, begin + i});
      const std::string index = index_text(target.value.shape, i);
      const std::string name = target.path.substr(target.network.size() + 1);
      names.push_back(problem->targets.size() == 1 && !index.empty() ? index : name + index);
    }
    if (target.path == path) {
      own = &target;
      own_begin = begin;
    }
    begin += target.value.values.size();
  }
  const size_t n = places.size(), all = begin;
  const auto scale = scale_of(e, bend->terms, n, span);
  if (!scale) return std::nullopt;
  std::vector<double> information(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) information[i * n + j] = *scale * bend->matrix[places[i] * all + places[j]];
  const Known known = errors_of(information, n);
  const Tensor value = own->value;        // as fitted; profiles move the target
  size_t shown = 0;
  for (const FreeElement& f : free) shown += &problem->targets[f.target] == own;
  const bool too_long = profile_work(*problem, tangent ? all : 1, shown) > kMostProfileWork;
  const bool profiles = profile.value_or(!too_long);
  std::vector<double> fisher(n * n);       // of the loss, in the free elements
  for (size_t k = 0; k < n * n; ++k) fisher[k] = information[k] / *scale;
  LossOfFree around(e, *problem, question, tangent, free, fisher);
  const std::vector<double> fitted = around.now();
  std::vector<double> best = fitted;
  LocalLoss at_best;
  if (profiles) {
    auto here = around(best);
    if (!here) return std::nullopt;
    at_best = polished(around, best, std::move(*here));
  }

  auto table = std::make_shared<Table>();
  table->what = cat("report of ", path);
  Tensor error = value, low = value, high = value;
  std::fill(error.values.begin(), error.values.end(), 0.0);
  std::string rows, zero;
  size_t undecided = 0;
  double farthest = 0;                     // of the fit from the minimum, in standard errors
  for (size_t k = 0; k < n; ++k) {
    if (places[k] < own_begin || places[k] >= own_begin + value.values.size()) continue;
    const size_t i = places[k] - own_begin;
    error.values[i] = known.error[k];
    low.values[i] = value.values[i] - kInterval95 * known.error[k];
    high.values[i] = value.values[i] + kInterval95 * known.error[k];
    if (std::isfinite(known.error[k]) && known.error[k] > 0)
      farthest = std::max(farthest, std::fabs(best[k] - fitted[k]) / known.error[k]);
    if (profiles && std::isfinite(known.error[k])) {
      const Bounds& bounds = own->variable->bounds;
      const ProfileOptions how{.scale = *scale, .low = bounds.low, .high = bounds.high};
      const auto loss = [&](std::span<const double> x) { return around(x); };
      low.values[i] = profile_end(loss, best, at_best, k, -1, how);
      high.values[i] = profile_end(loss, best, at_best, k, 1, how);
    }
    const bool near_zero = low.values[i] <= 0 && high.values[i] >= 0;
    rows += cat("  ", padded(names[k], 14), padded(digits(value.values[i]), 13), padded(digits(known.error[k]), 12), "  ",
                digits(low.values[i]), " … ", digits(high.values[i]), near_zero ? "   zero is inside" : "", "\n");
    if (near_zero) zero += cat(undecided++ ? ", " : "", names[k]);
  }
  around.put(fitted);
  std::string notes;
  if (!profiles && !profile)
    notes = cat("  the intervals are value +- 1.96 errors: profiles would take long; ask for them with  report(", path, ", profile = true)\n");
  constexpr double kFar = 0.1;
  if (profiles && farthest > kFar)
    notes = cat("  the fit ended ", digits(farthest), " errors from its minimum; the intervals are those of the minimum\n");
  table->text = cat(path, ": ", shown, " fitted of ", value.values.size(), ", from ", digits(bend->terms[0].terms), " terms; Fisher information by ",
                    bend->how, "\n  ", padded("", 14), padded("value", 13), padded("error", 12), profiles ? "  95 % profile interval\n" : "  95 % interval\n", rows, notes,
                    directions_text(information, n, names), undecided ? cat("  not told from zero: ", zero) : "  all are told from zero");
  const auto add = [&](const std::string& name, Tensor tensor) {
    table->order.push_back(name);
    table->columns[name] = std::move(tensor);
  };
  add("value", value);
  add("error", std::move(error));
  add("low", std::move(low));
  add("high", std::move(high));
  add("information", {.shape = {static_cast<int64_t>(n), static_cast<int64_t>(n)}, .values = information, .dimension = {}});
  return std::shared_ptr<const Table>(std::move(table));
}

}  // namespace

void print_report(Evaluation& e, const std::string& path, Span span) {
  if (const auto table = make_report(e, path, span, std::nullopt)) e.out << (*table)->text << '\n' << std::flush;
}

std::optional<Value> evaluate_report(Evaluation& e, const ast::Call& call, Span span) {
  const bool two = call.arguments.size() == 2 && call.arguments[1].name && call.arguments[1].name->text == "profile";
  const auto path = call.arguments.size() == 1 || two ? path_text(e, *call.arguments[0].value) : std::nullopt;
  if (!path) {
    report_argument(e, span, "'report' takes one path that was fitted, and may take 'profile'", "report(Net.S.theta, profile = true)");
    return std::nullopt;
  }
  std::optional<bool> profile;
  if (two) {
    const auto given = evaluate_number(e, *call.arguments[1].value);
    if (!given) return std::nullopt;
    profile = *given != 0;
  }
  auto table = make_report(e, *path, span, profile);
  if (!table) return std::nullopt;
  return Value{std::move(*table)};
}

}  // namespace hebb
