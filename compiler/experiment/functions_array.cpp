#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"
#include "runtime/linear.h"

namespace hebb {

namespace {

using MaybeValue = std::optional<Value>;

std::optional<Tensor> argument(Evaluation& e, const FunctionCall& call, size_t slot) {
  return as_tensor(e, call, *call.slots[slot]);
}

bool has_axes(Evaluation& e, const FunctionCall& call, size_t slot, const Tensor& x, size_t least, size_t most) {
  if (x.shape.size() >= least && x.shape.size() <= most) return true;
  Diagnostic& diag = e.diags.report(DiagKind::ShapesDiffer, call.slots[slot]->span,
                                    cat(quoted(call.name), " cannot use ", x.scalar() ? "" : "an array ",
                                        shape_text(x.shape)));
  diag.help = least == most ? cat("it needs ", plural(least, "axis"))
                            : cat("it needs ", least, " to ", most, " axes");
  if (least == most && least > 1) diag.help = cat("it needs ", least, " axes: rows and columns");
  return false;
}

/// Two vectors (or arrays) of one shape.
std::optional<std::pair<Tensor, Tensor>> same_shape(Evaluation& e, const FunctionCall& call) {
  auto a = argument(e, call, 0);
  auto b = argument(e, call, 1);
  if (!a || !b) return std::nullopt;
  if (a->shape != b->shape) {
    e.diags.report(DiagKind::ShapesDiffer, call.span,
                   cat(quoted(call.name), " needs two arrays of one shape, got ", shape_text(a->shape), " and ",
                       shape_text(b->shape)));
    return std::nullopt;
  }
  return std::pair(std::move(*a), std::move(*b));
}

double inner(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (size_t i = 0; i < a.values.size(); ++i) sum += a.values[i] * b.values[i];
  return sum;
}

MaybeDimension product(const Tensor& a, const Tensor& b) {
  return a.dimension && b.dimension ? MaybeDimension(*a.dimension * *b.dimension) : std::nullopt;
}

MaybeValue dot(Evaluation& e, const FunctionCall& call) {
  const auto pair = same_shape(e, call);
  if (!pair) return std::nullopt;
  return value_of(scalar(inner(pair->first, pair->second), product(pair->first, pair->second)));
}

MaybeValue cosine(Evaluation& e, const FunctionCall& call) {
  const auto pair = same_shape(e, call);
  if (!pair) return std::nullopt;
  const auto& [a, b] = *pair;
  return value_of(scalar(inner(a, b) / std::sqrt(inner(a, a) * inner(b, b))));
}

MaybeValue correlation(Evaluation& e, const FunctionCall& call) {
  auto pair = same_shape(e, call);
  if (!pair) return std::nullopt;
  for (Tensor* x : {&pair->first, &pair->second}) {
    const double mean = std::accumulate(x->values.begin(), x->values.end(), 0.0) /
                        static_cast<double>(x->values.size());
    for (double& value : x->values) value -= mean;
  }
  const auto& [a, b] = *pair;
  return value_of(scalar(inner(a, b) / std::sqrt(inner(a, a) * inner(b, b))));
}

MaybeValue transposed(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  return x ? MaybeValue(value_of(transpose(*x))) : std::nullopt;
}

/// zeros(n), zeros(n, m), ones(…)
template <int kValue>
MaybeValue filled(Evaluation& e, const FunctionCall& call) {
  Tensor out;
  int64_t size = 1;
  for (const Given& given : call.more) {
    const auto extent = as_count(e, call, given, 0, kLargestArray);
    if (!extent) return std::nullopt;
    if (*extent != 0 && size > kLargestArray / *extent) {
      report_argument(e, call.span, cat("an array of this size is more than ", kLargestArray, " numbers"));
      return std::nullopt;
    }
    size *= *extent;
    out.shape.push_back(*extent);
  }
  out.values.assign(size, kValue);
  if (kValue != 0) out.dimension = Dimension{};
  return value_of(std::move(out));
}

MaybeValue linspace(Evaluation& e, const FunctionCall& call) {
  const auto first = argument(e, call, 0);
  const auto last = argument(e, call, 1);
  const auto a = as_number(e, call, *call.slots[0]);
  const auto b = as_number(e, call, *call.slots[1]);
  const auto n = as_count(e, call, *call.slots[2], 1, kLargestArray);
  if (!a || !b || !n) return std::nullopt;
  const CommonDimension common = common_dimension(first->dimension, last->dimension);
  if (!common.fits) {
    e.diags.report(DiagKind::DimensionMismatch, call.span,
                   cat("it begins with ", describe(*first->dimension), " and ends with ",
                       describe(*last->dimension)));
    return std::nullopt;
  }
  std::vector<double> values(*n, *a);
  for (int64_t i = 1; i < *n; ++i)
    values[i] = i == *n - 1 ? *b : *a + (*b - *a) * static_cast<double>(i) / static_cast<double>(*n - 1);
  return value_of(vector_of(std::move(values), common.dimension));
}

/// range(a, b): a, a+1, …, b, both included as everywhere.
MaybeValue range(Evaluation& e, const FunctionCall& call) {
  const auto first = as_count(e, call, *call.slots[0], -kLargestArray, kLargestArray);
  const auto last = as_count(e, call, *call.slots[1], -kLargestArray, kLargestArray);
  if (!first || !last) return std::nullopt;
  std::vector<double> values;
  for (int64_t i = *first; i <= *last; ++i) values.push_back(static_cast<double>(i));
  return value_of(vector_of(std::move(values)));
}

/// concat(a, b, …): one after the other along the first axis; a number counts as one row.
MaybeValue concat(Evaluation& e, const FunctionCall& call) {
  Tensor out;
  bool first = true;
  for (const Given& given : call.more) {
    auto next = as_tensor(e, call, given);
    if (!next) return std::nullopt;
    if (next->scalar()) next->shape = {1};
    if (first) {
      out = std::move(*next);
      first = false;
      continue;
    }
    const CommonDimension common = common_dimension(out.dimension, next->dimension);
    if (!std::equal(out.shape.begin() + 1, out.shape.end(), next->shape.begin() + 1, next->shape.end()) ||
        !common.fits) {
      e.diags.report(common.fits ? DiagKind::ShapesDiffer : DiagKind::DimensionMismatch, given.span,
                     cat("this does not continue what is before: ", shape_text(next->shape), " after ",
                         shape_text(out.shape)));
      return std::nullopt;
    }
    out.dimension = common.dimension;
    out.shape[0] += next->shape[0];
    out.values.insert(out.values.end(), next->values.begin(), next->values.end());
  }
  return value_of(std::move(out));
}

MaybeValue list(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  return x ? MaybeValue(value_of(*x)) : std::nullopt;
}

MaybeValue shape(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  if (!x) return std::nullopt;
  return value_of(vector_of(std::vector<double>(x->shape.begin(), x->shape.end())));
}

MaybeValue length(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 1, 64)) return std::nullopt;
  return value_of(scalar(static_cast<double>(x->shape[0])));
}

MaybeValue rows(Evaluation& e, const FunctionCall& call) {
  if (const auto* table = std::get_if<std::shared_ptr<const Table>>(&call.slots[0]->value.data)) {
    if ((*table)->rows) return value_of(scalar(static_cast<double>(*(*table)->rows)));
  }
  return length(e, call);
}

MaybeValue sorted(Evaluation& e, const FunctionCall& call) {
  auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 1, 1)) return std::nullopt;
  // NaN last: an order that std::sort may rely on.
  std::sort(x->values.begin(), x->values.end(),
            [](double a, double b) { return std::isnan(b) ? !std::isnan(a) : a < b; });
  return value_of(std::move(*x));
}

/// The running sum along the first axis.
MaybeValue cumsum(Evaluation& e, const FunctionCall& call) {
  auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 1, 64)) return std::nullopt;
  const size_t stride = x->shape[0] == 0 ? 0 : x->values.size() / x->shape[0];
  for (size_t i = stride; i < x->values.size(); ++i) x->values[i] += x->values[i - stride];
  return value_of(std::move(*x));
}

template <bool kLast>
MaybeValue edge(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 1, 64)) return std::nullopt;
  if (x->shape[0] == 0) {
    report_argument(e, call.span, cat(quoted(call.name), " of an array without rows"));
    return std::nullopt;
  }
  const int64_t row = kLast ? x->shape[0] - 1 : 0;
  return value_of(slice(*x, {{row, row, false}}));
}

/// slice(X, first, last): rows first to last, both included.
MaybeValue sliced(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 1, 64)) return std::nullopt;
  const auto first = as_count(e, call, *call.slots[1], 0, x->shape[0] - 1);
  const auto last = first ? as_count(e, call, *call.slots[2], *first, x->shape[0] - 1) : std::nullopt;
  if (!first || !last) return std::nullopt;
  return value_of(slice(*x, {{*first, *last, true}}));
}

/// repeat(X, times): the rows of X, the whole of them `times` times.
MaybeValue repeat(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 1, 64)) return std::nullopt;
  const int64_t size = std::max<int64_t>(1, count(x->shape));
  const auto times = as_count(e, call, *call.slots[1], 0, kLargestArray / size);
  if (!times) return std::nullopt;
  Tensor out{.shape = x->shape, .values = {}, .dimension = x->dimension};
  out.shape[0] *= *times;
  out.values.reserve(size * *times);
  for (int64_t i = 0; i < *times; ++i) out.values.insert(out.values.end(), x->values.begin(), x->values.end());
  return value_of(std::move(out));
}

MaybeValue reshape(Evaluation& e, const FunctionCall& call) {
  auto x = argument(e, call, 0);
  const auto wanted = argument(e, call, 1);
  if (!x || !wanted) return std::nullopt;
  const Extents shape(wanted->values.begin(), wanted->values.end());
  if (count(shape) != count(x->shape) || std::any_of(shape.begin(), shape.end(), [](int64_t n) { return n < 0; })) {
    e.diags.report(DiagKind::ShapesDiffer, call.span,
                   cat(shape_text(x->shape), " cannot be laid out as ", shape_text(shape)));
    return std::nullopt;
  }
  x->shape = shape;
  return value_of(std::move(*x));
}

/// onehot(k, n): zeros with a 1 at k; for a vector k, one row each.
MaybeValue onehot(Evaluation& e, const FunctionCall& call) {
  const auto k = argument(e, call, 0);
  const auto n = as_count(e, call, *call.slots[1], 1, kLargestArray);
  if (!k || !n) return std::nullopt;
  Tensor out{.shape = k->shape, .values = {}, .dimension = Dimension{}};
  out.shape.push_back(*n);
  for (const double value : k->values)
    for (int64_t i = 0; i < *n; ++i) out.values.push_back(value == static_cast<double>(i) ? 1 : 0);
  return value_of(std::move(out));
}

bool all_finite(Evaluation& e, const FunctionCall& call, const Tensor& x) {
  const auto bad = std::find_if(x.values.begin(), x.values.end(), [](double v) { return !std::isfinite(v); });
  if (bad == x.values.end()) return true;
  const auto place = bad - x.values.begin();
  report_argument(e, call.slots[0]->span,
                  cat(quoted(call.name), " needs finite numbers; ",
                      x.shape.size() == 2 ? cat("row ", place / x.shape[1], ", column ", place % x.shape[1])
                                          : cat("element ", place),
                      " is ", *bad));
  return false;
}

/// pca(X, k): the k leading unit eigenvectors of the covariance of the rows of X, as rows.
MaybeValue pca(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 2, 2) || !all_finite(e, call, *x)) return std::nullopt;
  const auto k = as_count(e, call, *call.slots[1], 1, x->shape[1]);
  if (!k) return std::nullopt;
  Tensor out{.shape = {*k, x->shape[1]}, .values = {}, .dimension = Dimension{}};
  out.values = principal_components(x->values, x->shape[0], x->shape[1], *k);
  return value_of(std::move(out));
}

/// cov(X): the covariance of the columns of X.
MaybeValue covariance(Evaluation& e, const FunctionCall& call) {
  const auto x = argument(e, call, 0);
  if (!x || !has_axes(e, call, 0, *x, 2, 2)) return std::nullopt;
  Tensor out{.shape = {x->shape[1], x->shape[1]}, .values = {}, .dimension = product(*x, *x)};
  out.values = covariance_matrix(x->values, x->shape[0], x->shape[1]);
  return value_of(std::move(out));
}

/// eigenvalues(A): of a symmetric matrix, the largest first.
MaybeValue eigenvalues(Evaluation& e, const FunctionCall& call) {
  const auto a = argument(e, call, 0);
  if (!a || !has_axes(e, call, 0, *a, 2, 2) || !all_finite(e, call, *a)) return std::nullopt;
  const bool square = a->shape[0] == a->shape[1];
  double largest = 0, skew = 0;
  const Tensor other = transpose(*a);
  for (size_t i = 0; square && i < a->values.size(); ++i) {
    largest = std::max(largest, std::fabs(a->values[i]));
    skew = std::max(skew, std::fabs(a->values[i] - other.values[i]));
  }
  if (!square || skew > 1e-9 * largest) {
    report_argument(e, call.span,
                    cat("'eigenvalues' needs a symmetric matrix, this ", shape_text(a->shape), " is not"),
                    "the covariance of data has them:  eigenvalues(cov(X))");
    return std::nullopt;
  }
  return value_of(vector_of(symmetric_eigenvalues(a->values, a->shape[0]), a->dimension));
}

const Function kArray[] = {
    {"dot", {"a", "b"}, 2, false, dot},
    {"cosine", {"a", "b"}, 2, false, cosine},
    {"corr", {"a", "b"}, 2, false, correlation},
    {"transpose", {"X"}, 1, false, transposed},
    {"zeros", {"n"}, 1, true, filled<0>},
    {"ones", {"n"}, 1, true, filled<1>},
    {"linspace", {"first", "last", "n"}, 3, false, linspace},
    {"range", {"first", "last"}, 2, false, range},
    {"concat", {"a"}, 1, true, concat},
    {"list", {"x"}, 1, false, list},
    {"shape", {"X"}, 1, false, shape},
    {"length", {"X"}, 1, false, length},
    {"rows", {"X"}, 1, false, rows},
    {"sort", {"x"}, 1, false, sorted},
    {"cumsum", {"X"}, 1, false, cumsum},
    {"first", {"X"}, 1, false, edge<false>},
    {"last", {"X"}, 1, false, edge<true>},
    {"slice", {"X", "first", "last"}, 3, false, sliced},
    {"repeat", {"X", "times"}, 2, false, repeat},
    {"reshape", {"X", "shape"}, 2, false, reshape},
    {"onehot", {"k", "n"}, 2, false, onehot},
    {"pca", {"X", "k"}, 2, false, pca},
    {"cov", {"X"}, 1, false, covariance},
    {"eigenvalues", {"A"}, 1, false, eigenvalues},
};

}  // namespace

std::span<const Function> array_functions() { return kArray; }

}  // namespace hebb
