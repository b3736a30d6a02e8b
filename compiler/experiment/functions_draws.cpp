// Random numbers of experiments: pure functions of a seed, given or the run's own. Without one of its
// own, a call also depends on its place in the file, so that two calls do not draw the same numbers.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/functions.h"
#include "compiler/expr/math.h"
#include "compiler/support/text.h"
#include "runtime/random.h"

namespace hebb {

namespace {

using MaybeValue = std::optional<Value>;

constexpr double kTwoPi = 6.283185307179586476925;
constexpr uint32_t kSite = 0xff00;   // apart from the sites of programs
constexpr double kMostSpikes = 1e8;

struct Source {
  uint64_t key = 0;
  double uniform(uint64_t element, uint32_t slot) const {
    return draw_uniform<double>(key, kSite, slot, element, 0);
  }
};

std::optional<Source> source_of(Evaluation& e, const FunctionCall& call, size_t slot) {
  if (!call.slots[slot]) {
    note_seeds(e, {&e.options.seed, 1});
    return Source{random_key(e.options.seed, call.span.begin + 1)};
  }
  const auto seed = as_count(e, call, *call.slots[slot], 0, int64_t{1} << 53);
  if (!seed) return std::nullopt;
  return Source{random_key(static_cast<uint64_t>(*seed), 0)};
}

/// A count, or a list of extents.
std::optional<Extents> shape_of(Evaluation& e, const FunctionCall& call, size_t slot) {
  if (!call.slots[slot]) return Extents{};
  const auto x = as_tensor(e, call, *call.slots[slot]);
  if (!x) return std::nullopt;
  Extents shape;
  double size = 1;
  for (const double extent : x->values) {
    size *= extent;
    if (extent < 0 || extent != std::floor(extent) || size > static_cast<double>(kLargestArray) || x->shape.size() > 1) {
      report_argument(e, call.slots[slot]->span, cat("a shape is a whole number or a list of them, up to ",
                                                     kLargestArray, " numbers in all"));
      return std::nullopt;
    }
    shape.push_back(static_cast<int64_t>(extent));
  }
  return shape;
}

/// f(element) for every element of a shape, in the units of the first two arguments.
template <class F>
MaybeValue drawn(Evaluation& e, const FunctionCall& call, F f) {
  const auto first = as_tensor(e, call, *call.slots[0]);
  const auto second = as_tensor(e, call, *call.slots[1]);
  const auto a = as_number(e, call, *call.slots[0]);
  const auto b = as_number(e, call, *call.slots[1]);
  const auto shape = shape_of(e, call, 2);
  const auto source = source_of(e, call, 3);
  if (!a || !b || !shape || !source) return std::nullopt;
  const CommonDimension common = common_dimension(first->dimension, second->dimension);
  if (!common.fits) {
    e.diags.report(DiagKind::DimensionMismatch, call.span,
                   cat("the two numbers of ", quoted(call.name), " are ", describe(*first->dimension), " and ",
                       describe(*second->dimension)));
    return std::nullopt;
  }
  Tensor out{.shape = *shape, .values = std::vector<double>(count(*shape)), .dimension = common.dimension};
  for (size_t i = 0; i < out.values.size(); ++i) out.values[i] = f(*source, i, *a, *b);
  return value_of(std::move(out));
}

MaybeValue normal(Evaluation& e, const FunctionCall& call) {
  return drawn(e, call, [](const Source& s, size_t i, double mean, double deviation) {
    return mean + deviation * std::sqrt(-2 * hebb_log(s.uniform(i, 0))) * hebb_cos(kTwoPi * s.uniform(i, 1));
  });
}

MaybeValue uniform(Evaluation& e, const FunctionCall& call) {
  return drawn(e, call, [](const Source& s, size_t i, double low, double high) {
    return low + (high - low) * s.uniform(i, 0);
  });
}

MaybeValue integer(Evaluation& e, const FunctionCall& call) {
  return drawn(e, call, [](const Source& s, size_t i, double low, double high) {
    return std::floor(low + (high - low + 1) * s.uniform(i, 0));
  });
}

/// Fisher and Yates' shuffle of 0 … n-1.
std::vector<int64_t> permutation(const Source& source, int64_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[i], order[static_cast<int64_t>(std::floor(static_cast<double>(i + 1) * source.uniform(i, 0)))]);
  return order;
}

Tensor take_rows(const Tensor& x, const std::vector<int64_t>& order) {
  Tensor out{.shape = x.shape, .values = {}, .dimension = x.dimension};
  out.shape[0] = static_cast<int64_t>(order.size());
  const int64_t stride = x.shape[0] == 0 ? 0 : static_cast<int64_t>(x.values.size()) / x.shape[0];
  out.values.reserve(stride * order.size());
  for (const int64_t row : order)
    out.values.insert(out.values.end(), x.values.begin() + row * stride, x.values.begin() + (row + 1) * stride);
  return out;
}

/// shuffle(X, seed): the rows of X in a random order; shuffle(n, seed): 0 … n-1 in a random order.
MaybeValue shuffle(Evaluation& e, const FunctionCall& call) {
  const auto x = as_tensor(e, call, *call.slots[0]);
  const auto source = source_of(e, call, 1);
  if (!x || !source) return std::nullopt;
  if (!x->scalar()) return value_of(take_rows(*x, permutation(*source, x->shape[0])));
  const auto n = as_count(e, call, *call.slots[0], 0, kLargestArray);
  if (!n) return std::nullopt;
  const auto order = permutation(*source, *n);
  return value_of(vector_of(std::vector<double>(order.begin(), order.end())));
}

/// take(X, rows): the rows of X with these numbers, in this order.
MaybeValue take(Evaluation& e, const FunctionCall& call) {
  const auto x = as_tensor(e, call, *call.slots[0]);
  const auto wanted = as_tensor(e, call, *call.slots[1]);
  if (!x || !wanted) return std::nullopt;
  if (x->scalar() || wanted->shape.size() != 1) {
    e.diags.report(DiagKind::ShapesDiffer, call.span,
                   cat("'take' needs an array and a list of row numbers, got ", shape_text(x->shape), " and ",
                       shape_text(wanted->shape)));
    return std::nullopt;
  }
  std::vector<int64_t> order;
  for (const double row : wanted->values) {
    if (!(row >= 0 && row < static_cast<double>(x->shape[0]) && row == std::floor(row))) {
      report_argument(e, call.slots[1]->span, cat("there is no row ", row, " in ", shape_text(x->shape)));
      return std::nullopt;
    }
    order.push_back(static_cast<int64_t>(row));
  }
  return value_of(take_rows(*x, order));
}

const Dimension& time_dimension() { return find_unit("ms")->dimension; }

/// A time in ms, or a rate in 1/ms; numbers without a unit are refused: 10 what?
std::optional<double> with_unit(Evaluation& e, const FunctionCall& call, size_t slot, const Dimension& wanted,
                                std::string_view example) {
  const auto x = as_tensor(e, call, *call.slots[slot]);
  const auto number = as_number(e, call, *call.slots[slot]);
  if (!x || !number) return std::nullopt;
  if (!x->dimension || *x->dimension == wanted) return number;
  e.diags.report(DiagKind::DimensionMismatch, call.slots[slot]->span,
                 cat("this is ", describe(*x->dimension), ", and ", quoted(call.name), " needs ", describe(wanted)))
      .help = cat("for example ", example);
  return std::nullopt;
}

/// poisson(rate, for): the times of a Poisson process.
MaybeValue poisson(Evaluation& e, const FunctionCall& call) {
  const Dimension rate_dimension = power(time_dimension(), make_rational(-1, 1));
  const auto rate = with_unit(e, call, 0, rate_dimension, "rate = 10 Hz");
  const auto duration = with_unit(e, call, 1, time_dimension(), "for = 100 s");
  const auto source = source_of(e, call, 2);
  if (!rate || !duration || !source) return std::nullopt;
  if (!(*rate >= 0) || !(*duration >= 0) || *rate * *duration > kMostSpikes) {
    report_argument(e, call.span, cat("rate times duration is a number of spikes from 0 to ", kMostSpikes,
                                      ", this is ", *rate * *duration));
    return std::nullopt;
  }
  std::vector<double> times;
  double time = 0;
  for (uint64_t i = 0; *rate > 0; ++i) {
    time -= hebb_log(source->uniform(i, 0)) / *rate;
    if (time >= *duration) break;
    times.push_back(time);
  }
  return value_of(vector_of(std::move(times), time_dimension()));
}

/// regular(rate, count): count times at equal distances, the first at `start` (default 0).
MaybeValue regular(Evaluation& e, const FunctionCall& call) {
  const Dimension rate_dimension = power(time_dimension(), make_rational(-1, 1));
  const auto rate = with_unit(e, call, 0, rate_dimension, "rate = 20 Hz");
  const auto count = as_count(e, call, *call.slots[1], 0, static_cast<int64_t>(kMostSpikes));
  const auto start = call.slots[2] ? with_unit(e, call, 2, time_dimension(), "start = 10 ms") : std::optional(0.0);
  if (!rate || !count || !start) return std::nullopt;
  if (!(*rate > 0)) {
    report_argument(e, call.slots[0]->span, "a regular train needs a rate above 0");
    return std::nullopt;
  }
  std::vector<double> times(*count);
  for (int64_t i = 0; i < *count; ++i) times[i] = *start + static_cast<double>(i) / *rate;
  return value_of(vector_of(std::move(times), time_dimension()));
}

/// raster(times, steps, dt): for each step 1 where a time falls on it (rounded to the nearest), else 0.
MaybeValue raster(Evaluation& e, const FunctionCall& call) {
  const auto times = as_tensor(e, call, *call.slots[0]);
  const auto steps = as_count(e, call, *call.slots[1], 0, kLargestArray);
  const auto dt = with_unit(e, call, 2, time_dimension(), "dt = 0.1 ms");
  if (!times || !steps || !dt) return std::nullopt;
  if (!(*dt > 0) || times->shape.size() > 1) {
    report_argument(e, call.span, "a raster is made of a list of times and a step above 0");
    return std::nullopt;
  }
  if (!times->values.empty() && times->dimension && *times->dimension != time_dimension()) {
    report_argument(e, call.slots[0]->span, cat("spikes are times, these are ", describe(*times->dimension)));
    return std::nullopt;
  }
  std::vector<double> out(static_cast<size_t>(*steps), 0.0);
  for (const double time : times->values) {
    const double step = std::round(time / *dt);
    if (!(step >= 0 && step < static_cast<double>(*steps))) {
      report_argument(e, call.slots[0]->span, cat("a spike at ", time, " ms is outside the ", *steps, " steps of ", *dt, " ms"));
      return std::nullopt;
    }
    double& cell = out[static_cast<size_t>(step)];
    if (cell != 0) {
      report_argument(e, call.slots[0]->span, cat("two spikes fall on one step of ", *dt, " ms, at ", time, " ms"),
                      "a smaller dt keeps them apart");
      return std::nullopt;
    }
    cell = 1;
  }
  return value_of(vector_of(std::move(out)));
}

const Function kDraws[] = {
    {"normal", {"mean", "std", "shape", "seed"}, 2, false, normal},
    {"uniform", {"low", "high", "shape", "seed"}, 2, false, uniform},
    {"integer", {"low", "high", "shape", "seed"}, 2, false, integer},
    {"shuffle", {"X", "seed"}, 1, false, shuffle},
    {"take", {"X", "rows"}, 2, false, take},
    {"poisson", {"rate", "for", "seed"}, 2, false, poisson},
    {"regular", {"rate", "count", "start"}, 2, false, regular},
    {"raster", {"times", "steps", "dt"}, 3, false, raster},
};

}  // namespace

std::span<const Function> draw_functions() { return kDraws; }

}  // namespace hebb
