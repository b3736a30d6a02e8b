#include <algorithm>
#include <cmath>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/functions.h"
#include "compiler/expr/math.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

using MaybeValue = std::optional<Value>;

/// A function of plain numbers, element by element.
template <double (*f)(double)>
MaybeValue plain(Evaluation& e, const FunctionCall& call) {
  const auto x = as_tensor(e, call, *call.slots[0]);
  if (!x) return std::nullopt;
  if (x->dimension && !x->dimension->dimensionless()) {
    e.diags.report(DiagKind::DimensionMismatch, call.slots[0]->span,
                   cat(quoted(call.name), " needs a plain number, this is ", describe(*x->dimension)))
        .help = cat("divide by a unit, as in  x / 1 ", unit_text(*x->dimension));
    return std::nullopt;
  }
  return value_of(map(*x, f));
}

/// A function that keeps the dimension of its argument.
template <double (*f)(double)>
MaybeValue keeping(Evaluation& e, const FunctionCall& call) {
  const auto x = as_tensor(e, call, *call.slots[0]);
  if (!x) return std::nullopt;
  Tensor out = map(*x, f);
  out.dimension = x->dimension;
  return value_of(std::move(out));
}

double absolute(double x) { return std::fabs(x); }
double floor_of(double x) { return std::floor(x); }
double ceil_of(double x) { return std::ceil(x); }
double round_of(double x) { return std::nearbyint(x); }
double positive(double x) { return x > 0 || std::isnan(x) ? x : 0; }
double sign_of(double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }
double finite(double x) { return std::isfinite(x) ? 1 : 0; }
double nan_of(double x) { return std::isnan(x) ? 1 : 0; }
double step_of(double x) { return x > 0 ? 1 : 0; }

std::optional<Tensor> together(Evaluation& e, const FunctionCall& call, double (*f)(double, double)) {
  const auto a = as_tensor(e, call, *call.slots[0]);
  const auto b = as_tensor(e, call, *call.slots[1]);
  if (!a || !b) return std::nullopt;
  const auto shape = broadcast(a->shape, b->shape);
  if (!shape || (*shape != a->shape && *shape != b->shape)) {
    e.diags.report(DiagKind::ShapesDiffer, call.span,
                   cat("the shapes ", shape_text(a->shape), " and ", shape_text(b->shape), " do not fit"));
    return std::nullopt;
  }
  const CommonDimension common = common_dimension(a->dimension, b->dimension);
  if (!common.fits) {
    e.diags.report(DiagKind::DimensionMismatch, call.span,
                   cat("one side is ", describe(*a->dimension), ", the other is ", describe(*b->dimension)));
    return std::nullopt;
  }
  Tensor out = zip(*a, *b, f);
  out.dimension = common.dimension;
  return out;
}

MaybeValue modulo(Evaluation& e, const FunctionCall& call) {
  auto out = together(e, call, [](double a, double b) { return a - b * std::floor(a / b); });
  return out ? MaybeValue(value_of(*std::move(out))) : std::nullopt;
}

MaybeValue angle(Evaluation& e, const FunctionCall& call) {
  auto out = together(e, call, [](double y, double x) { return hebb_atan2(y, x); });
  if (!out) return std::nullopt;
  out->dimension = Dimension{};
  return value_of(*std::move(out));
}

/// NaN passes through, as in rules.
MaybeValue clipped(Evaluation& e, const FunctionCall& call) {
  auto x = as_tensor(e, call, *call.slots[0]);
  const auto low = as_tensor(e, call, *call.slots[1]);
  const auto high = as_tensor(e, call, *call.slots[2]);
  if (!x || !low || !high) return std::nullopt;
  for (const Tensor* bound : {&*low, &*high}) {
    if (bound->scalar() && common_dimension(x->dimension, bound->dimension).fits) continue;
    report_argument(e, call.span, "'clip' takes an array and two numbers of its dimension");
    return std::nullopt;
  }
  for (double& value : x->values) {
    if (value < low->values[0]) value = low->values[0];
    else if (value > high->values[0]) value = high->values[0];
  }
  return value_of(*std::move(x));
}

MaybeValue root(Evaluation& e, const FunctionCall& call) {
  const auto x = as_tensor(e, call, *call.slots[0]);
  if (!x) return std::nullopt;
  Tensor out = map(*x, [](double v) { return std::sqrt(v); });
  out.dimension = x->dimension ? MaybeDimension(power(*x->dimension, make_rational(1, 2))) : std::nullopt;
  return value_of(std::move(out));
}

/// min, max: over everything of one argument, or element by element over several. NaN wins.
template <bool kMax>
double extreme(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  return kMax ? std::max(a, b) : std::min(a, b);
}

template <bool kMax>
MaybeValue extremes(Evaluation& e, const FunctionCall& call) {
  const auto first = as_tensor(e, call, call.more[0]);
  if (!first) return std::nullopt;
  if (call.more.size() == 1) {
    if (first->values.empty()) {
      report_argument(e, call.span, cat(quoted(call.name), " of an empty array"));
      return std::nullopt;
    }
    return value_of(reduce(*first, std::nullopt, [](const std::vector<double>& line) {
      double best = line[0];
      for (const double value : line) best = extreme<kMax>(best, value);
      return best;
    }));
  }
  Tensor out = *first;
  for (size_t i = 1; i < call.more.size(); ++i) {
    const auto next = as_tensor(e, call, call.more[i]);
    if (!next) return std::nullopt;
    if (!broadcast(out.shape, next->shape)) {
      e.diags.report(DiagKind::ShapesDiffer, call.more[i].span,
                     cat("the shapes ", shape_text(out.shape), " and ", shape_text(next->shape), " do not fit"));
      return std::nullopt;
    }
    const CommonDimension common = common_dimension(out.dimension, next->dimension);
    if (!common.fits) {
      e.diags.report(DiagKind::DimensionMismatch, call.more[i].span,
                     cat("this is ", describe(*next->dimension), ", the ones before are ",
                         describe(*out.dimension)));
      return std::nullopt;
    }
    out = zip(out, *next, extreme<kMax>);
    out.dimension = common.dimension;
  }
  return value_of(std::move(out));
}

// --- reductions: f(X) over everything, f(X, axis = k) along one axis -------------------------------

double sum_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value;
  return sum;
}
double mean_of(const std::vector<double>& x) { return sum_of(x) / static_cast<double>(x.size()); }
double variance_of(const std::vector<double>& x) {
  const double mean = mean_of(x);
  double sum = 0;
  for (const double value : x) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(x.size());
}
double deviation_of(const std::vector<double>& x) { return std::sqrt(variance_of(x)); }
double norm_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}
double any_of(const std::vector<double>& x) {
  return std::any_of(x.begin(), x.end(), [](double v) { return v != 0; }) ? 1 : 0;
}
double all_of(const std::vector<double>& x) {
  return std::all_of(x.begin(), x.end(), [](double v) { return v != 0; }) ? 1 : 0;
}
double l1_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += std::fabs(value);
  return sum;
}
double l2_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return sum;
}
double argmax_of(const std::vector<double>& x) {
  return static_cast<double>(std::max_element(x.begin(), x.end()) - x.begin());
}
double median_of(const std::vector<double>& x) {
  std::vector<double> sorted = x;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  if (n == 0) return std::nan("");
  return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/// Flattens the axes that 'for' ranges made into one leading axis.
Tensor flatten_ranges(Tensor tensor, int axes) {
  int64_t length = 1;
  for (int k = 0; k < axes; ++k) length *= tensor.shape[k];
  tensor.shape.erase(tensor.shape.begin(), tensor.shape.begin() + axes);
  tensor.shape.insert(tensor.shape.begin(), length);
  return tensor;
}

enum class Dims { Keep, Square, Plain };

template <double (*f)(const std::vector<double>&), Dims dims>
MaybeValue reduction(Evaluation& e, const FunctionCall& call) {
  auto x = as_tensor(e, call, *call.slots[0]);
  if (!x) return std::nullopt;
  std::optional<int64_t> axis;
  if (call.range_axes > 0) {
    x = flatten_ranges(std::move(*x), call.range_axes);
    axis = 0;
  }
  if (call.slots[1]) {
    axis = as_count(e, call, *call.slots[1], 0, static_cast<int64_t>(x->shape.size()) - 1);
    if (!axis) return std::nullopt;
  }
  Tensor out = reduce(*x, axis, f);
  if (dims == Dims::Plain) out.dimension = Dimension{};
  if (dims == Dims::Square && x->dimension) out.dimension = *x->dimension * *x->dimension;
  return value_of(std::move(out));
}

MaybeValue close(Evaluation& e, const FunctionCall& call) {
  const auto a = as_tensor(e, call, *call.slots[0]);
  const auto b = as_tensor(e, call, *call.slots[1]);
  const auto tolerance = call.slots[2] ? as_number(e, call, *call.slots[2]) : std::optional(1e-9);
  if (!a || !b || !tolerance) return std::nullopt;
  if (!broadcast(a->shape, b->shape)) {
    e.diags.report(DiagKind::ShapesDiffer, call.span,
                   cat("the shapes ", shape_text(a->shape), " and ", shape_text(b->shape), " do not fit"));
    return std::nullopt;
  }
  if (!common_dimension(a->dimension, b->dimension).fits) {
    e.diags.report(DiagKind::DimensionMismatch, call.span,
                   cat("one side is ", describe(*a->dimension), ", the other is ", describe(*b->dimension)));
    return std::nullopt;
  }
  const auto near = zip(*a, *b, [&](double x, double y) {
    if (x == y) return 1.0;
    return std::fabs(x - y) <= *tolerance * std::max({1.0, std::fabs(x), std::fabs(y)}) ? 1.0 : 0.0;
  });
  return value_of(reduce(near, std::nullopt, all_of));
}

const Function kMath[] = {
    {"abs", {"x"}, 1, false, keeping<absolute>},
    {"floor", {"x"}, 1, false, keeping<floor_of>},
    {"ceil", {"x"}, 1, false, keeping<ceil_of>},
    {"round", {"x"}, 1, false, keeping<round_of>},
    {"pos", {"x"}, 1, false, keeping<positive>},
    {"sign", {"x"}, 1, false, [](Evaluation& e, const FunctionCall& call) -> MaybeValue {
       const auto x = as_tensor(e, call, *call.slots[0]);
       return x ? MaybeValue(value_of(map(*x, sign_of))) : std::nullopt;
     }},
    {"is_finite", {"x"}, 1, false, [](Evaluation& e, const FunctionCall& call) -> MaybeValue {
       const auto x = as_tensor(e, call, *call.slots[0]);
       return x ? MaybeValue(value_of(map(*x, finite))) : std::nullopt;
     }},
    {"is_nan", {"x"}, 1, false, [](Evaluation& e, const FunctionCall& call) -> MaybeValue {
       const auto x = as_tensor(e, call, *call.slots[0]);
       return x ? MaybeValue(value_of(map(*x, nan_of))) : std::nullopt;
     }},
    {"sqrt", {"x"}, 1, false, root},
    {"relu", {"x"}, 1, false, keeping<positive>},
    {"heaviside", {"x"}, 1, false, [](Evaluation& e, const FunctionCall& call) -> MaybeValue {
       const auto x = as_tensor(e, call, *call.slots[0]);
       return x ? MaybeValue(value_of(map(*x, step_of))) : std::nullopt;
     }},
    {"clip", {"x", "low", "high"}, 3, false, clipped},
    {"mod", {"a", "b"}, 2, false, modulo},
    {"atan2", {"y", "x"}, 2, false, angle},
    {"exp", {"x"}, 1, false, plain<hebb_exp>},
    {"expm1", {"x"}, 1, false, plain<hebb_expm1>},
    {"log", {"x"}, 1, false, plain<hebb_log>},
    {"log1p", {"x"}, 1, false, plain<hebb_log1p>},
    {"sin", {"x"}, 1, false, plain<hebb_sin>},
    {"cos", {"x"}, 1, false, plain<hebb_cos>},
    {"tan", {"x"}, 1, false, plain<hebb_tan>},
    {"asin", {"x"}, 1, false, plain<hebb_asin>},
    {"acos", {"x"}, 1, false, plain<hebb_acos>},
    {"atan", {"x"}, 1, false, plain<hebb_atan>},
    {"sinh", {"x"}, 1, false, plain<hebb_sinh>},
    {"cosh", {"x"}, 1, false, plain<hebb_cosh>},
    {"tanh", {"x"}, 1, false, plain<hebb_tanh>},
    {"erf", {"x"}, 1, false, plain<hebb_erf>},
    {"sigmoid", {"x"}, 1, false, plain<hebb_sigmoid>},
    {"min", {"x"}, 1, true, extremes<false>},
    {"max", {"x"}, 1, true, extremes<true>},
    {"sum", {"X", "axis"}, 1, false, reduction<sum_of, Dims::Keep>},
    {"mean", {"X", "axis"}, 1, false, reduction<mean_of, Dims::Keep>},
    {"median", {"X", "axis"}, 1, false, reduction<median_of, Dims::Keep>},
    {"std", {"X", "axis"}, 1, false, reduction<deviation_of, Dims::Keep>},
    {"var", {"X", "axis"}, 1, false, reduction<variance_of, Dims::Square>},
    {"variance", {"X", "axis"}, 1, false, reduction<variance_of, Dims::Square>},
    {"norm", {"X", "axis"}, 1, false, reduction<norm_of, Dims::Keep>},
    {"l1", {"X", "axis"}, 1, false, reduction<l1_of, Dims::Keep>},
    {"l2", {"X", "axis"}, 1, false, reduction<l2_of, Dims::Square>},
    {"any", {"X", "axis"}, 1, false, reduction<any_of, Dims::Plain>},
    {"all", {"X", "axis"}, 1, false, reduction<all_of, Dims::Plain>},
    {"argmax", {"X", "axis"}, 1, false, reduction<argmax_of, Dims::Plain>},
    {"is_close", {"a", "b", "tolerance"}, 2, false, close},
};

}  // namespace

std::span<const Function> math_functions() { return kMath; }

}  // namespace hebb
