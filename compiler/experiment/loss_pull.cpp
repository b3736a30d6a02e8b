// Pulling adjoints back through the functions of experiments. A function that is not here has no derivative
// in a loss.

#include <cmath>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/loss_graph.h"
#include "compiler/expr/math.h"

namespace hebb {

namespace {

using Operands = LossNode::Operands;
using Into = std::span<Tensor* const>;
using Pull = decltype(LossNode::pull);

/// Adds `adjoint`, of a shape `into` was repeated to, onto what was repeated.
void add_sum(const Tensor& adjoint, Tensor& into) {
  if (adjoint.shape == into.shape) {
    for (size_t i = 0; i < adjoint.values.size(); ++i) into.values[i] += adjoint.values[i];
    return;
  }
  const size_t axes = adjoint.shape.size();
  Extents stride(axes, 0);
  for (size_t k = 0, step = 1; k < into.shape.size(); ++k) {
    const size_t own = into.shape.size() - 1 - k;
    if (into.shape[own] > 1) stride[axes - 1 - k] = static_cast<int64_t>(step);
    step *= static_cast<size_t>(into.shape[own]);
  }
  Extents index(axes, 0);
  int64_t to = 0;
  for (const double value : adjoint.values) {
    into.values[to] += value;
    for (size_t k = axes; k-- > 0;) {
      to += stride[k];
      if (++index[k] < adjoint.shape[k]) break;
      to -= stride[k] * adjoint.shape[k];
      index[k] = 0;
    }
  }
}

/// f(a, b, result) is d(result)/d(a); the same for b.
template <class A, class B>
Pull pairwise(A by_left, B by_right) {
  return [=](Operands x, const Tensor& value, const Tensor& adjoint, Into into) {
    const Tensor left = expand(*x[0], value.shape), right = expand(*x[1], value.shape);
    const auto pull = [&](auto slope, Tensor& to) {
      Tensor part = adjoint;
      for (size_t i = 0; i < part.values.size(); ++i) {
        // What does not reach the loss adds nothing, even where a slope is infinite.
        if (part.values[i] != 0) part.values[i] *= slope(left.values[i], right.values[i], value.values[i]);
      }
      add_sum(part, to);
    };
    if (into[0]) pull(by_left, *into[0]);
    if (into[1]) pull(by_right, *into[1]);
  };
}

/// slope(x, f(x))
template <class F>
Pull elementwise(F slope) {
  return [=](Operands x, const Tensor& value, const Tensor& adjoint, Into into) {
    if (!into[0]) return;
    for (size_t i = 0; i < adjoint.values.size(); ++i)
      if (adjoint.values[i] != 0) into[0]->values[i] += adjoint.values[i] * slope(x[0]->values[i], value.values[i]);
  };
}

/// For each line along `axis` (or everything): lines(x values, result, adjoint) gives what each x gets.
template <class F>
Pull along(std::optional<int64_t> axis, F line) {
  return [=](Operands x, const Tensor& value, const Tensor& adjoint, Into into) {
    if (!into[0]) return;
    const Tensor& from = *x[0];
    const bool whole = !axis || from.scalar();
    int64_t outer = 1, inner = 1;
    const int64_t length = whole ? static_cast<int64_t>(from.values.size()) : from.shape[*axis];
    for (int64_t k = 0; !whole && k < static_cast<int64_t>(from.shape.size()); ++k) {
      if (k < *axis) outer *= from.shape[k];
      if (k > *axis) inner *= from.shape[k];
    }
    std::vector<double> values(length), slopes(length);
    for (int64_t i = 0; i < outer; ++i) {
      for (int64_t j = 0; j < inner; ++j) {
        for (int64_t k = 0; k < length; ++k) values[k] = from.values[(i * length + k) * inner + j];
        const int64_t place = i * inner + j;
        line(values, value.values[place], slopes);
        for (int64_t k = 0; k < length; ++k)
          into[0]->values[(i * length + k) * inner + j] += adjoint.values[place] * slopes[k];
      }
    }
  };
}

using Line = const std::vector<double>&;
using Slopes = std::vector<double>&;

void sum_line(Line, double, Slopes out) { std::fill(out.begin(), out.end(), 1.0); }
void mean_line(Line x, double, Slopes out) {
  std::fill(out.begin(), out.end(), 1 / static_cast<double>(x.size()));
}
void l1_line(Line x, double, Slopes out) {
  for (size_t k = 0; k < x.size(); ++k) out[k] = (x[k] > 0) - (x[k] < 0);
}
void l2_line(Line x, double, Slopes out) {
  for (size_t k = 0; k < x.size(); ++k) out[k] = 2 * x[k];
}
void norm_line(Line x, double norm, Slopes out) {
  for (size_t k = 0; k < x.size(); ++k) out[k] = norm == 0 ? 0 : x[k] / norm;
}
void variance_line(Line x, double, Slopes out) {
  double mean = 0;
  for (const double value : x) mean += value;
  mean /= static_cast<double>(x.size());
  for (size_t k = 0; k < x.size(); ++k) out[k] = 2 * (x[k] - mean) / static_cast<double>(x.size());
}
void deviation_line(Line x, double deviation, Slopes out) {
  variance_line(x, 0, out);
  for (double& slope : out) slope = deviation == 0 ? 0 : slope / (2 * deviation);
}
/// The first element that is the extreme gets all.
void extreme_line(Line x, double extreme, Slopes out) {
  std::fill(out.begin(), out.end(), 0.0);
  for (size_t k = 0; k < x.size(); ++k) {
    if (x[k] != extreme) continue;
    out[k] = 1;
    return;
  }
}

/// Several arguments, element by element: the first that is the extreme gets all.
void pull_extremes(Operands x, const Tensor& value, const Tensor& adjoint, Into into) {
  if (x.size() == 1) return along(std::nullopt, extreme_line)(x, value, adjoint, into);
  std::vector<bool> taken(value.values.size());
  for (size_t n = 0; n < x.size(); ++n) {
    const Tensor whole = expand(*x[n], value.shape);
    Tensor part = adjoint;
    for (size_t i = 0; i < part.values.size(); ++i) {
      const bool gets = !taken[i] && whole.values[i] == value.values[i];
      if (gets) taken[i] = true;
      else part.values[i] = 0;
    }
    if (into[n]) add_sum(part, *into[n]);
  }
}

void pull_dot(Operands x, const Tensor&, const Tensor& adjoint, Into into) {
  for (int n = 0; n < 2; ++n) {
    if (!into[n]) continue;
    for (size_t i = 0; i < x[n]->values.size(); ++i) into[n]->values[i] += adjoint.values[0] * x[1 - n]->values[i];
  }
}

void pull_matrix_product(Operands x, const Tensor&, const Tensor& adjoint, Into into) {
  const Tensor &a = *x[0], &b = *x[1];
  const int64_t inner = a.shape.back();
  const int64_t rows = a.shape.size() == 2 ? a.shape[0] : 1;
  const int64_t columns = b.shape.size() == 2 ? b.shape[1] : 1;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < inner; ++k) {
      for (int64_t j = 0; j < columns; ++j) {
        const double g = adjoint.values[i * columns + j];
        if (into[0]) into[0]->values[i * inner + k] += g * b.values[k * columns + j];
        if (into[1]) into[1]->values[k * columns + j] += g * a.values[i * inner + k];
      }
    }
  }
}

bool masked(double a, double b) { return std::isnan(a) || std::isnan(b); }

/// The mean over pairs of which neither is missing: slope(a, b) by the first, and by the second.
template <class A, class B>
Pull masked_mean(A by_first, B by_second) {
  return [=](Operands x, const Tensor&, const Tensor& adjoint, Into into) {
    const auto &a = x[0]->values, &b = x[1]->values;
    double n = 0;
    for (size_t i = 0; i < a.size(); ++i) n += !masked(a[i], b[i]);
    const double share = adjoint.values[0] / n;
    for (size_t i = 0; i < a.size(); ++i) {
      if (masked(a[i], b[i])) continue;
      if (into[0]) into[0]->values[i] += share * by_first(a[i], b[i]);
      if (into[1]) into[1]->values[i] += share * by_second(a[i], b[i]);
    }
  };
}

constexpr double kSmallestProbability = 1e-12;  // as in cross_entropy itself
bool inside(double p) { return p > kSmallestProbability && p < 1 - kSmallestProbability; }
double inside_or_end(double p) { return std::min(std::max(p, kSmallestProbability), 1 - kSmallestProbability); }

struct Row {
  const char* name;
  Pull pull;
  LossNode::OverLanes lanes = LossNode::OverLanes::Unknown;
};

const std::vector<Row>& elementwise_rows() {
  constexpr double kTwoOverRootPi = 1.1283791670955126;
  constexpr auto kEach = LossNode::OverLanes::Elementwise;
  static const std::vector<Row> rows = {
      {"abs", elementwise([](double x, double) { return double((x > 0) - (x < 0)); }), kEach},
      {"pos", elementwise([](double x, double) { return x > 0 ? 1.0 : 0.0; }), kEach},
      {"sqrt", elementwise([](double, double y) { return 0.5 / y; }), kEach},
      {"exp", elementwise([](double, double y) { return y; }), kEach},
      {"expm1", elementwise([](double, double y) { return y + 1; }), kEach},
      {"log", elementwise([](double x, double) { return 1 / x; }), kEach},
      {"log1p", elementwise([](double x, double) { return 1 / (1 + x); }), kEach},
      {"sin", elementwise([](double x, double) { return hebb_cos(x); }), kEach},
      {"cos", elementwise([](double x, double) { return -hebb_sin(x); }), kEach},
      {"tanh", elementwise([](double, double y) { return 1 - y * y; }), kEach},
      {"erf", elementwise([](double x, double) { return kTwoOverRootPi * hebb_exp(-x * x); }), kEach},
      {"sigmoid", elementwise([](double, double y) { return y * (1 - y); }), kEach},
      {"floor", {}}, {"ceil", {}}, {"round", {}}, {"sign", {}}, {"is_finite", {}}, {"is_nan", {}},
      {"argmax", {}}, {"any", {}}, {"all", {}}, {"shape", {}}, {"length", {}}, {"rows", {}},
      {"min", pull_extremes}, {"max", pull_extremes}, {"dot", pull_dot}, {"reshape", pull_of_reshape()},
      {"transpose", [](Operands, const Tensor&, const Tensor& adjoint, Into into) {
         if (into[0]) add_sum(transpose(adjoint), *into[0]);
       }},
  };
  return rows;
}

PullRule reduction_rule(const std::string& name, std::optional<int64_t> axis) {
  if (name == "sum") return {true, along(axis, sum_line)};
  if (name == "mean") return {true, along(axis, mean_line)};
  if (name == "var" || name == "variance") return {true, along(axis, variance_line)};
  if (name == "std") return {true, along(axis, deviation_line)};
  if (name == "norm") return {true, along(axis, norm_line)};
  if (name == "l1") return {true, along(axis, l1_line)};
  if (name == "l2") return {true, along(axis, l2_line)};
  return {};
}

}  // namespace

PullRule pull_of_function(const std::string& name, std::optional<int64_t> axis) {
  using Likelihood = LossNode::Likelihood;
  using Lanes = LossNode::OverLanes;
  if (name == "mse") {
    return {true, masked_mean([](double a, double b) { return 2 * (a - b); },
                              [](double a, double b) { return 2 * (b - a); }), Likelihood::Gaussian, Lanes::Whole};
  }
  if (name == "cross_entropy") {
    return {true, masked_mean([](double p, double y) { return inside(p) ? (p - y) / (p * (1 - p)) : 0.0; },
                              [](double p, double) {
                                const double q = inside_or_end(p);
                                return std::log1p(-q) - std::log(q);
                              }),
            Likelihood::Bernoulli, Lanes::Whole};
  }
  if (name == "cross_entropy_logits") {
    return {true, masked_mean([](double z, double y) { return 1 / (1 + std::exp(-z)) - y; },
                              [](double z, double) { return -z; }), Likelihood::Bernoulli, Lanes::Whole};
  }
  for (const Row& row : elementwise_rows())
    if (name == row.name) return {true, row.pull, Likelihood::None, row.lanes};
  PullRule rule = reduction_rule(name, axis);
  const bool adds = name == "sum" || name == "mean" || name == "l1" || name == "l2";
  if (rule.found && !axis && adds) rule.lanes = Lanes::Whole;
  return rule;
}

PullRule pull_of_binary(ast::BinaryOp op) {
  switch (op) {
    case ast::BinaryOp::Add:
      return {true, pairwise([](double, double, double) { return 1.0; }, [](double, double, double) { return 1.0; })};
    case ast::BinaryOp::Subtract:
      return {true, pairwise([](double, double, double) { return 1.0; }, [](double, double, double) { return -1.0; })};
    case ast::BinaryOp::Multiply:
      return {true, pairwise([](double, double b, double) { return b; }, [](double a, double, double) { return a; })};
    case ast::BinaryOp::Divide:
      return {true, pairwise([](double, double b, double) { return 1 / b; },
                             [](double, double b, double y) { return -y / b; })};
    case ast::BinaryOp::Power:
      return {true, pairwise([](double a, double b, double) { return b == 0 ? 0 : b * std::pow(a, b - 1); },
                             [](double a, double, double y) { return a > 0 ? y * std::log(a) : 0; })};
    case ast::BinaryOp::MatMul: return {true, pull_matrix_product};
    case ast::BinaryOp::Less:
    case ast::BinaryOp::LessEqual:
    case ast::BinaryOp::Greater:
    case ast::BinaryOp::GreaterEqual:
    case ast::BinaryOp::Equal:
    case ast::BinaryOp::NotEqual:
    case ast::BinaryOp::And:
    case ast::BinaryOp::Or: return {true, {}};
  }
  return {};
}

Pull pull_of_unary(ast::UnaryOp op) {
  if (op == ast::UnaryOp::Not) return {};
  const double sign = op == ast::UnaryOp::Minus ? -1 : 1;
  return elementwise([sign](double, double) { return sign; });
}

Pull pull_of_select() {
  return [](Operands x, const Tensor& value, const Tensor& adjoint, Into into) {
    const Tensor test = expand(*x[0], value.shape);
    for (const int n : {1, 2}) {
      if (!into[n]) continue;
      Tensor part = adjoint;
      for (size_t i = 0; i < part.values.size(); ++i)
        if ((test.values[i] != 0) != (n == 1)) part.values[i] = 0;
      add_sum(part, *into[n]);
    }
  };
}

Pull pull_of_slice(std::vector<AxisRange> ranges) {
  return [ranges](Operands x, const Tensor&, const Tensor& adjoint, Into into) {
    if (!into[0]) return;
    Tensor places{.shape = x[0]->shape, .values = std::vector<double>(x[0]->values.size()), .dimension = {}};
    for (size_t i = 0; i < places.values.size(); ++i) places.values[i] = static_cast<double>(i);
    const Tensor taken = slice(places, ranges);
    for (size_t i = 0; i < taken.values.size(); ++i)
      into[0]->values[static_cast<size_t>(taken.values[i])] += adjoint.values[i];
  };
}

Pull pull_of_stack() {
  return [](Operands x, const Tensor&, const Tensor& adjoint, Into into) {
    size_t from = 0;
    for (size_t n = 0; n < x.size(); ++n) {
      for (size_t i = 0; i < x[n]->values.size(); ++i, ++from)
        if (into[n]) into[n]->values[i] += adjoint.values[from];
    }
  };
}

Pull pull_of_reshape() {
  return [](Operands, const Tensor&, const Tensor& adjoint, Into into) {
    if (!into[0]) return;
    for (size_t i = 0; i < adjoint.values.size(); ++i) into[0]->values[i] += adjoint.values[i];
  };
}

}  // namespace hebb
