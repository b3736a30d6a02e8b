// Each row of the operator table: values at the edges, float next to double, partials next to differences.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "compiler/expr/transform.h"

namespace hebb {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

double value(Op op, double a, double b = 0, double c = 0) { return info(op).value(a, b, c); }

TEST(operator_table, follows_the_order_of_op) {
  for (int k = 0; k < kOpCount; ++k) {
    const OpInfo& row = info(static_cast<Op>(k));
    EXPECT_EQ(static_cast<int>(row.op), k);
    EXPECT_EQ(row.is_leaf, row.arity == 0);
    EXPECT_EQ(row.is_leaf, row.value == nullptr);
    EXPECT_EQ(row.is_leaf, row.value_float == nullptr);
    EXPECT_EQ(row.is_leaf, row.partial == nullptr);
  }
}

TEST(operator_table, min_and_max_carry_nan_and_order_zeros) {
  EXPECT_TRUE(std::isnan(value(Op::Min, kNan, 1)));
  EXPECT_TRUE(std::isnan(value(Op::Min, 1, kNan)));
  EXPECT_TRUE(std::isnan(value(Op::Max, kNan, 1)));
  EXPECT_TRUE(std::isnan(value(Op::Max, 1, kNan)));
  EXPECT_TRUE(std::signbit(value(Op::Min, 0.0, -0.0)));
  EXPECT_TRUE(std::signbit(value(Op::Min, -0.0, 0.0)));
  EXPECT_FALSE(std::signbit(value(Op::Max, 0.0, -0.0)));
  EXPECT_FALSE(std::signbit(value(Op::Max, -0.0, 0.0)));
  EXPECT_EQ(value(Op::Max, -kInf, 3), 3);
}

TEST(operator_table, logic_counts_nan_as_true) {
  EXPECT_EQ(value(Op::Select, kNan, 1, 2), 1);
  EXPECT_EQ(value(Op::Select, -0.0, 1, 2), 2);
  EXPECT_EQ(value(Op::Not, kNan), 0);
  EXPECT_EQ(value(Op::And, kNan, 2), 1);
  EXPECT_EQ(value(Op::Or, 0, -0.0), 0);
  EXPECT_EQ(value(Op::Less, kNan, 1), 0);
  EXPECT_EQ(value(Op::LessEqual, kNan, kNan), 0);
  EXPECT_EQ(value(Op::Equal, kNan, kNan), 0);
  EXPECT_EQ(value(Op::NotEqual, kNan, kNan), 1);
  EXPECT_EQ(value(Op::IsFinite, kNan), 0);
  EXPECT_EQ(value(Op::IsFinite, -kInf), 0);
  EXPECT_EQ(value(Op::IsFinite, 1e308), 1);
}

TEST(operator_table, rounding_operations_at_their_edges) {
  EXPECT_EQ(value(Op::Round, 2.5), 2);
  EXPECT_EQ(value(Op::Round, 3.5), 4);
  EXPECT_EQ(value(Op::Round, -0.4), 0);
  EXPECT_TRUE(std::isnan(value(Op::Sign, kNan)));
  EXPECT_TRUE(std::signbit(value(Op::Sign, -0.0)));
  EXPECT_EQ(value(Op::Sign, -kInf), -1);
  EXPECT_EQ(value(Op::Mod, -1, 3), 2);
  EXPECT_EQ(value(Op::Mod, 7.5, 2), 1.5);
}

TEST(operator_table, the_slope_of_a_sigmoid_comes_from_its_value) {
  ExprPool pool;
  const ExprId x = pool.variable(VarId{0}), self = pool.make(Op::Sigmoid, x);
  EXPECT_EQ(info(Op::Sigmoid).partial(pool, self, &x, 0), pool.mul(self, pool.sub(pool.constant(1), self)));
  EXPECT_EQ(to_text(pool, gradient(pool, self, {&x, 1})[0], [](const ExprNode&) { return "x"; }), "sigmoid(x) * (1 - sigmoid(x))");
}

TEST(operator_table, fma_rounds_once) {
  const double a = 1 + 0x1p-30, exact_low = 0x1p-60;   // a*a = 1 + 2^-29 + 2^-60
  EXPECT_EQ(value(Op::Fma, a, a, -(1 + 0x1p-29)), exact_low);
  const float f = 1 + 0x1p-15f;
  EXPECT_EQ(info(Op::Fma).value_float(f, f, -(1 + 0x1p-14f)), 0x1p-30f);
}

// Arguments inside the domain of the operation.
std::vector<double> argument(Op op, std::mt19937& random) {
  const auto in = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  switch (op) {
    case Op::Log: case Op::Sqrt: return {in(0.1, 5), 0, 0};
    case Op::Log1p: return {in(-0.8, 5), 0, 0};
    case Op::Asin: case Op::Acos: return {in(-0.9, 0.9), 0, 0};
    case Op::Tan: return {in(-1.2, 1.2), 0, 0};
    case Op::Pow: return {in(0.2, 3), in(-3, 3), 0};
    case Op::Mod: return {in(-5, 5), in(1.5, 2), 0};
    case Op::Div: return {in(-3, 3), in(0.5, 3), 0};
    default: return {in(-3, 3), in(-3, 3), in(-3, 3)};
  }
}

TEST(operator_table, partials_agree_with_central_differences) {
  std::mt19937 random(1);
  constexpr double h = 1e-5;
  for (int index = 0; index < kOpCount; ++index) {
    const OpInfo& row = info(static_cast<Op>(index));
    if (row.is_leaf) continue;
    ExprPool pool;
    const ExprId x[3] = {pool.variable(VarId{0}), pool.variable(VarId{1}), pool.variable(VarId{2})};
    const ExprId self = remake(pool, row.op, std::span(x, row.arity));
    int compared = 0;
    for (int trial = 0; trial < 50; ++trial) {
      const std::vector<double> at = argument(row.op, random);
      for (int k = 0; k < row.arity; ++k) {
        std::vector<double> up = at, down = at;
        up[k] += h;
        down[k] -= h;
        const double high = row.value(up[0], up[1], up[2]), low = row.value(down[0], down[1], down[2]);
        if (std::fabs(high - low) > 0.5 && row.op != Op::Mul && row.op != Op::Fma) continue;  // a jump
        const double difference = (high - low) / (2 * h);
        const double partial = evaluate(pool, row.partial(pool, self, x, k), [&](const ExprNode& leaf) {
          return at[leaf.leaf.index];
        });
        EXPECT_NEAR(partial, difference, 1e-7 * (1 + std::fabs(difference))) << row.name << " " << k;
        ++compared;
      }
    }
    EXPECT_GT(compared, 40) << row.name;
  }
}

TEST(operator_table, float_rows_round_the_double_rows) {
  std::mt19937 random(2);
  for (int index = 0; index < kOpCount; ++index) {
    const OpInfo& row = info(static_cast<Op>(index));
    if (row.is_leaf) continue;
    for (int trial = 0; trial < 100; ++trial) {
      std::vector<double> at = argument(row.op, random);
      for (double& a : at) a = static_cast<float>(a);
      const double wide = row.value(at[0], at[1], at[2]);
      const float narrow = row.value_float(static_cast<float>(at[0]), static_cast<float>(at[1]),
                                           static_cast<float>(at[2]));
      EXPECT_NEAR(narrow, wide, 2e-6 * (1 + std::fabs(wide))) << row.name;
    }
  }
}

TEST(operator_table, power_has_no_nan_derivative_at_zero) {
  ExprPool pool;
  const ExprId x = pool.variable(VarId{0}), y = pool.variable(VarId{1});
  const ExprId leaves[] = {x, y};
  const std::vector<ExprId> slope = gradient(pool, pool.make(Op::Pow, x, y), leaves);
  const auto at = [&](ExprId root, double a, double b) {
    return evaluate(pool, root, [&](const ExprNode& leaf) { return leaf.leaf.index == 0 ? a : b; });
  };
  EXPECT_EQ(at(slope[0], 0, 0), 0);
  EXPECT_EQ(at(slope[1], 0, 2), 0);
  EXPECT_EQ(at(slope[0], 0, 1), 1);
}

// --- functions built from the table ------------------------------------------------------------------

double divided(const std::vector<double>& nodes) {
  ExprPool pool;
  std::vector<ExprId> leaves;
  for (uint32_t k = 0; k < nodes.size(); ++k) leaves.push_back(pool.variable(VarId{k}));
  const ExprId root = exp_divided_difference(pool, leaves);
  return evaluate(pool, root, [&](const ExprNode& leaf) { return nodes[leaf.leaf.index]; });
}

struct Known { std::vector<double> nodes; double value; };
// From 400-digit arithmetic. 0: below the normal range.
const Known kDividedDifferences[] = {
#include "divided_differences.inc"
};

TEST(exp_divided_difference, matches_exact_values) {
  double worst = 0;
  for (const Known& known : kDividedDifferences) {
    const double got = divided(known.nodes);
    if (known.value == 0) {
      EXPECT_GE(got, 0);
      EXPECT_LT(got, 1e-300);
      continue;
    }
    const double error = std::fabs(got - known.value) / known.value;
    EXPECT_LT(error, 1e-14) << testing::PrintToString(known.nodes);
    worst = std::max(worst, error);
  }
  RecordProperty("worst", std::to_string(worst));
}

TEST(exp_divided_difference, does_not_depend_on_the_order_of_nodes) {
  EXPECT_EQ(divided({-1, -3, -0.2}), divided({-0.2, -1, -3}));
  EXPECT_EQ(divided({-8, 0, -8, -8.1, -8}), divided({-8, -8, -8.1, -8, 0}));
}

TEST(exp_divided_difference, nan_stays_nan) {
  EXPECT_TRUE(std::isnan(divided({kNan, 0})));
  EXPECT_TRUE(std::isnan(divided({-1, kNan, 0})));
}

TEST(exp_divided_difference, derivative_repeats_the_node) {
  // d exp[a, b] / da = exp[a, a, b], also where a = b.
  for (const auto& [a, b] : {std::pair{-1.0, -1.0}, {-1.0, -1.25}, {-0.1, -3.0}, {-9.0, -2.0}}) {
    ExprPool pool;
    const ExprId x = pool.variable(VarId{0}), y = pool.variable(VarId{1});
    const ExprId leaves[] = {x, y};
    const std::vector<ExprId> slope = gradient(pool, exp_divided_difference(pool, {x, y}), leaves);
    const auto leaf = [&, a = a, b = b](const ExprNode& node) { return node.leaf.index == 0 ? a : b; };
    EXPECT_NEAR(evaluate(pool, slope[0], leaf) / divided({a, a, b}), 1, 1e-12) << a << " " << b;
    EXPECT_NEAR(evaluate(pool, slope[1], leaf) / divided({a, b, b}), 1, 1e-12) << a << " " << b;
  }
}

TEST(exprel, is_accurate_at_zero_and_far_out) {
  ExprPool pool;
  const ExprId root = exprel(pool, pool.variable(VarId{0}));
  const auto at = [&](double x) { return evaluate(pool, root, [&](const ExprNode&) { return x; }); };
  EXPECT_EQ(at(0), 1);
  EXPECT_EQ(at(-0.0), 1);
  EXPECT_EQ(at(1e-300), 1);
  EXPECT_EQ(at(-kInf), 0);
  EXPECT_TRUE(std::isnan(at(kNan)));
  for (const double x : {-700.0, -3.0, -0.5, -0.4999, -1e-3, -1e-9, 1e-9, 0.3, 0.5, 0.50001, 2.0, 30.0}) {
    EXPECT_NEAR(at(x) / (std::expm1(x) / x), 1, 4e-16) << x;
  }
}

}  // namespace
}  // namespace hebb
