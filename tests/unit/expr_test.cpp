// The pool and the functions over it: sharing, simplification, printing, gradients, Horner staging.
#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "compiler/expr/polynomial.h"
#include "compiler/expr/transform.h"

namespace hebb {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

/// Variables by name, with values.
struct Scope {
  ExprPool pool;
  std::vector<std::string> names;
  std::vector<double> values;

  ExprId var(const std::string& name, double value = 0) {
    names.push_back(name);
    values.push_back(value);
    return pool.variable(VarId{static_cast<uint32_t>(names.size() - 1)});
  }
  ExprId num(double value) { return pool.constant(value); }
  double eval(ExprId root) const {
    return evaluate(pool, root, [&](const ExprNode& leaf) { return values[leaf.leaf.index]; });
  }
  LeafName namer() const {
    return [this](const ExprNode& leaf) { return names[leaf.leaf.index]; };
  }
  std::string text(ExprId root) const { return to_text(pool, root, namer()); }
  std::string latex(ExprId root) const { return to_latex(pool, root, namer()); }
};

bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

TEST(pool, equal_nodes_are_one_node) {
  Scope s;
  const ExprId x = s.var("x"), y = s.var("y");
  EXPECT_EQ(s.pool.add(x, y), s.pool.add(x, y));
  EXPECT_NE(s.pool.add(x, y), s.pool.add(y, x));
  EXPECT_EQ(s.num(kNan), s.num(kNan));
  EXPECT_NE(s.num(0.0), s.num(-0.0));
  EXPECT_NE(s.pool.variable(VarId{0}, 1), x);
  EXPECT_NE(s.pool.load(ColumnId{0}, At::Pre), s.pool.load(ColumnId{0}, At::Post));
  EXPECT_NE(s.pool.draw(0, 0), s.pool.draw(0, 1));
  EXPECT_EQ(s.pool.dt(), s.pool.dt());
}

TEST(pool, folds_constants_and_only_constants) {
  Scope s;
  const ExprId x = s.var("x");
  EXPECT_EQ(s.pool.add(s.num(0.1), s.num(0.2)), s.num(0.1 + 0.2));
  EXPECT_EQ(s.pool.make(Op::Exp, s.num(0)), s.num(1));
  EXPECT_EQ(s.pool.select(s.num(kNan), s.num(1), s.num(2)), s.num(1));
  EXPECT_EQ(s.pool[s.pool.mul(x, s.num(1))].op, Op::Mul);
  EXPECT_TRUE(std::isnan(s.pool[s.pool.div(s.num(0), s.num(0))].value));
}

TEST(pool, live_nodes_are_those_below_the_roots) {
  Scope s;
  const ExprId x = s.var("x"), y = s.var("y");
  const ExprId sum = s.pool.add(x, s.num(1));
  s.pool.mul(y, y);
  const std::vector<bool> live = live_nodes(s.pool, {sum, ExprId{}});
  EXPECT_EQ(std::count(live.begin(), live.end(), true), 3);
  EXPECT_EQ(nodes_below(s.pool, std::vector{sum}).size(), 3u);
  EXPECT_TRUE(nodes_below(s.pool, std::vector<ExprId>{}).empty());
}

TEST(substitution, replaces_leaves_within_and_across_pools) {
  Scope s;
  const ExprId x = s.var("x", 3), y = s.var("y", 4);
  const ExprId root = s.pool.sub(s.pool.mul(x, x), s.pool.make(Op::Sin, y));
  Substitution swap(s.pool, s.pool, [&](const ExprNode& leaf) { return leaf.leaf.index == 0 ? y : ExprId{}; });
  EXPECT_EQ(swap(root), s.pool.sub(s.pool.mul(y, y), s.pool.make(Op::Sin, y)));
  EXPECT_EQ(swap(y), y);
  EXPECT_FALSE(swap(ExprId{}).valid());

  ExprPool other;
  const ExprId five = other.constant(5);
  Substitution move(s.pool, other, [&](const ExprNode& leaf) { return leaf.leaf.index == 0 ? five : ExprId{}; });
  const ExprId moved = move(root);
  EXPECT_EQ(evaluate(other, moved, [](const ExprNode&) { return 4.0; }), 25 - std::sin(4.0));
}

TEST(simplify, applies_its_identities) {
  Scope s;
  ExprPool& p = s.pool;
  const ExprId x = s.var("x"), y = s.var("y"), c = s.var("c");
  const ExprId zero = s.num(0), one = s.num(1), two = s.num(2);
  EXPECT_EQ(simplify(p, p.mul(x, one)), x);
  EXPECT_EQ(simplify(p, p.add(zero, x)), x);
  EXPECT_EQ(simplify(p, p.sub(zero, x)), p.neg(x));
  EXPECT_EQ(simplify(p, p.make(Op::Pow, x, two)), p.mul(x, x));
  EXPECT_EQ(simplify(p, p.make(Op::Pow, x, zero)), one);
  EXPECT_EQ(simplify(p, p.make(Op::Pow, x, s.num(-2))), p.div(one, p.mul(x, x)));
  EXPECT_EQ(simplify(p, p.make(Op::Pow, x, s.num(0.5))), p.make(Op::Sqrt, x));
  EXPECT_EQ(simplify(p, p.mul(zero, x)), zero);
  EXPECT_EQ(simplify(p, p.add(x, p.neg(y))), p.sub(x, y));
  EXPECT_EQ(simplify(p, p.neg(p.neg(x))), x);
  EXPECT_EQ(simplify(p, p.div(x, s.num(4))), p.mul(x, s.num(0.25)));
  EXPECT_EQ(simplify(p, p.div(x, s.num(3))), p.div(x, s.num(3)));
  EXPECT_EQ(simplify(p, p.select(one, x, y)), x);
  EXPECT_EQ(simplify(p, p.select(c, x, x)), x);
  EXPECT_EQ(simplify(p, p.select(p.make(Op::Not, c), x, y)), p.select(c, y, x));
  EXPECT_EQ(simplify(p, p.select(p.make(Op::Less, x, y), one, zero)), p.make(Op::Less, x, y));
  EXPECT_EQ(simplify(p, p.make(Op::And, one, p.make(Op::Less, x, y))), p.make(Op::Less, x, y));
  EXPECT_EQ(simplify(p, p.make(Op::And, one, x)), p.make(Op::NotEqual, x, zero));
  // A clamp without bounds is no clamp.
  const ExprId low = p.select(p.make(Op::Less, x, s.num(-kInf)), s.num(-kInf), x);
  EXPECT_EQ(simplify(p, p.select(p.make(Op::Less, s.num(kInf), x), s.num(kInf), low)), x);
  // Not identities: NaN would be lost.
  EXPECT_EQ(simplify(p, p.sub(x, x)), p.sub(x, x));
  EXPECT_EQ(simplify(p, p.make(Op::LessEqual, x, x)), p.make(Op::LessEqual, x, x));
}

/// A random expression over the variables; no powers and no written zeros, so simplify must keep bits.
ExprId random_expression(Scope& s, std::span<const ExprId> leaves, std::mt19937& random, int depth) {
  const auto below = [&] { return random_expression(s, leaves, random, depth - 1); };
  if (depth == 0 || random() % 8 == 0) {
    static const double constants[] = {1, -1, 2, -0.5, 3, 1e300};
    if (random() % 3 == 0) return s.num(constants[random() % 6]);
    return leaves[random() % leaves.size()];
  }
  static const Op ops[] = {Op::Neg, Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Min, Op::Max, Op::Abs,
                           Op::Less, Op::LessEqual, Op::Equal, Op::NotEqual, Op::And, Op::Or, Op::Not,
                           Op::Select, Op::Fma, Op::Tanh, Op::Sqrt, Op::Floor, Op::IsFinite};
  const Op op = ops[random() % std::size(ops)];
  ExprId operands[3];
  for (int k = 0; k < info(op).arity; ++k) operands[k] = below();
  return remake(s.pool, op, std::span(operands, info(op).arity));
}

bool may_differ(double a, double b) {                  // zeros of another sign are admitted
  return same_bits(a, b) || (a == 0 && b == 0);
}

TEST(simplify, keeps_values_of_random_expressions_nan_and_inf_included) {
  std::mt19937 random(7);
  static const double specials[] = {0.0, 1.0, -1.0, 0.5, -2.5, kInf, -kInf, kNan, 1e-310, 3.25};
  int compared = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    Scope s;
    const std::vector<ExprId> leaves = {s.var("a"), s.var("b"), s.var("c")};
    const ExprId root = random_expression(s, leaves, random, 5);
    // Admitted losses: NaN or inf behind a written 0 (also one found by simplifying), and 1/0 against 1/-0.
    const std::vector<ExprId> nodes = nodes_below(s.pool, std::span(&root, 1));
    bool zero_factor = false;
    for (const ExprId id : nodes) {
      const ExprNode node = s.pool[id];
      for (int k = 0; k < node.count; ++k) {
        const bool is_product = node.op == Op::Mul || node.op == Op::Fma;
        const ExprId operand = simplify(s.pool, node.operands[k]);
        zero_factor = zero_factor || (is_product && s.pool.is_constant(operand, 0));
      }
    }
    const auto is_admitted_loss = [&] {
      for (const ExprId id : nodes) {
        const ExprNode node = s.pool[id];
        if (zero_factor && !std::isfinite(s.eval(id))) return true;
        if (node.op == Op::Div && s.eval(node.operands[1]) == 0) return true;
      }
      return false;
    };
    const ExprId simple = simplify(s.pool, root);
    EXPECT_EQ(simplify(s.pool, simple), simple);
    for (int point = 0; point < 20; ++point) {
      for (double& value : s.values) {
        value = random() % 3 == 0 ? specials[random() % std::size(specials)]
                                  : std::uniform_real_distribution<double>(-3, 3)(random);
      }
      if (is_admitted_loss()) continue;
      ++compared;
      const double before = s.eval(root), after = s.eval(simple);
      EXPECT_TRUE(may_differ(before, after)) << s.text(root) << " -> " << s.text(simple) << ": " << before
                                             << " " << after;
    }
  }
  EXPECT_GT(compared, 20'000);
}

TEST(to_text, uses_few_parentheses_and_keeps_the_order_of_operations) {
  Scope s;
  ExprPool& p = s.pool;
  const ExprId a = s.var("A_plus"), x = s.var("x"), y = s.var("post.r"), tau = s.var("tau");
  EXPECT_EQ(s.text(p.mul(a, x)), "A_plus * x");
  EXPECT_EQ(s.text(p.mul(a, p.add(x, y))), "A_plus * (x + post.r)");
  EXPECT_EQ(s.text(p.add(p.mul(a, x), y)), "A_plus * x + post.r");
  EXPECT_EQ(s.text(p.sub(a, p.sub(x, y))), "A_plus - (x - post.r)");
  EXPECT_EQ(s.text(p.sub(p.sub(a, x), y)), "A_plus - x - post.r");
  EXPECT_EQ(s.text(p.div(a, p.mul(x, y))), "A_plus / (x * post.r)");
  EXPECT_EQ(s.text(p.neg(p.div(x, tau))), "-x / tau");
  EXPECT_EQ(s.text(p.neg(p.add(x, tau))), "-(x + tau)");
  EXPECT_EQ(s.text(p.make(Op::Pow, p.neg(x), s.num(2))), "(-x)^2");
  EXPECT_EQ(s.text(p.neg(p.make(Op::Pow, x, s.num(2)))), "-x^2");
  EXPECT_EQ(s.text(p.make(Op::Pow, x, p.make(Op::Pow, y, a))), "x^post.r^A_plus");
  EXPECT_EQ(s.text(p.make(Op::Pow, s.num(-2), x)), "(-2)^x");
  EXPECT_EQ(s.text(p.select(p.make(Op::Less, x, y), a, p.add(x, y))),
            "if x < post.r then A_plus else x + post.r");
  EXPECT_EQ(s.text(p.mul(p.select(x, a, y), tau)), "(if x then A_plus else post.r) * tau");
  EXPECT_EQ(s.text(p.make(Op::Max, p.sub(x, y), s.num(0))), "pos(x - post.r)");
  EXPECT_EQ(s.text(p.make(Op::Fma, a, x, y)), "A_plus * x + post.r");
  EXPECT_EQ(s.text(p.make(Op::Not, p.make(Op::And, x, p.make(Op::Or, y, a)))),
            "not (x and (post.r or A_plus))");
  EXPECT_EQ(s.text(p.mul(s.num(5e-10), p.make(Op::Exp, p.neg(x)))), "5e-10 * exp(-x)");
  EXPECT_EQ(s.text(p.dt()), "dt");
}

TEST(to_latex, writes_fractions_greek_and_indices) {
  Scope s;
  ExprPool& p = s.pool;
  const ExprId tau = s.var("tau_plus"), x = s.var("x"), r = s.var("post.r"), w = s.var("w1");
  EXPECT_EQ(s.latex(p.neg(p.div(x, tau))), "-\\frac{x}{\\tau_{\\mathrm{plus}}}");
  EXPECT_EQ(s.latex(p.mul(r, r)), "r_{\\mathrm{post}}^{2}");
  EXPECT_EQ(s.latex(p.mul(x, p.add(r, w))), "x\\, \\left(r_{\\mathrm{post}} + w_{1}\\right)");
  EXPECT_EQ(s.latex(p.mul(s.num(5e-10), x)), "5 \\cdot 10^{-10}\\, x");
  EXPECT_EQ(s.latex(p.make(Op::Exp, p.neg(x))), "e^{-x}");
  EXPECT_EQ(s.latex(p.make(Op::Max, x, s.num(0))), "\\left[x\\right]_{+}");
  EXPECT_EQ(s.latex(p.select(p.make(Op::LessEqual, x, w), x, w)),
            "\\begin{cases} x & \\text{if } x \\le w_{1} \\\\ w_{1} & \\text{otherwise} \\end{cases}");
}

TEST(form_fma, fuses_products_used_once) {
  Scope s;
  ExprPool& p = s.pool;
  const ExprId a = s.var("a"), b = s.var("b"), c = s.var("c"), d = s.var("d");
  const auto one = [&](ExprId root) { return form_fma(p, std::vector{root}).front(); };
  EXPECT_EQ(one(p.add(p.mul(a, b), c)), p.make(Op::Fma, a, b, c));
  EXPECT_EQ(one(p.sub(c, p.mul(a, b))), p.make(Op::Fma, p.neg(a), b, c));
  EXPECT_EQ(one(p.sub(c, p.mul(a, s.num(2)))), p.make(Op::Fma, a, s.num(-2), c));
  EXPECT_EQ(one(p.sub(p.mul(a, b), c)), p.make(Op::Fma, a, b, p.neg(c)));
  EXPECT_EQ(one(p.add(p.mul(a, b), p.mul(c, d))), p.make(Op::Fma, c, d, p.mul(a, b)));
  // Used twice: computed once.
  const ExprId product = p.mul(a, b);
  EXPECT_EQ(one(p.add(product, p.make(Op::Exp, product))), p.add(product, p.make(Op::Exp, product)));
  const std::vector<ExprId> roots = {p.add(product, c), product, ExprId{}};
  const std::vector<ExprId> both = form_fma(p, roots);
  EXPECT_EQ(both[0], roots[0]);
  EXPECT_EQ(both[1], product);
  EXPECT_FALSE(both[2].valid());
}

TEST(gather_row_factors, what_a_row_shares_is_multiplied_first) {
  ExprPool p;
  const ExprId l = p.load({0}, At::Self), w = p.load({1}, At::Self), x = p.load({2}, At::Pre);
  const LevelOf level = [](const ExprNode& leaf) { return leaf.leaf.at == At::Pre ? 1 : 3; };
  const auto gathered = [&](ExprId root) { return gather_row_factors(p, std::vector{root}, level)[0]; };
  EXPECT_EQ(gathered(p.mul(p.mul(p.mul(l, x), w), x)), p.mul(p.mul(l, w), p.mul(x, x)));
  EXPECT_EQ(gathered(p.mul(p.mul(l, x), w)), p.mul(p.mul(l, x), w));   // one factor: as it was
  EXPECT_EQ(gathered(p.mul(x, x)), p.mul(x, x));
  EXPECT_EQ(gather_row_factors(p, std::vector{ExprId{}}, level)[0], ExprId{});
}

TEST(gradient, agrees_with_central_differences_on_random_expressions) {
  std::mt19937 random(11);
  int compared = 0;
  for (int trial = 0; trial < 400; ++trial) {
    Scope s;
    const std::vector<ExprId> leaves = {s.var("a"), s.var("b"), s.var("c")};
    const ExprId root = random_expression(s, leaves, random, 4);
    const std::vector<ExprId> slope = gradient(s.pool, root, leaves);
    for (double& value : s.values) value = std::uniform_real_distribution<double>(0.3, 2)(random);
    for (size_t k = 0; k < leaves.size(); ++k) {
      const double at = s.values[k];
      const auto difference = [&](double h) {
        s.values[k] = at + h;
        const double up = s.eval(root);
        s.values[k] = at - h;
        const double down = s.eval(root);
        s.values[k] = at;
        return (up - down) / (2 * h);
      };
      bool moderate = true;
      for (const ExprId id : nodes_below(s.pool, std::span(&root, 1))) {
        moderate = moderate && std::fabs(s.eval(id)) < 1e4;
      }
      if (!moderate) continue;
      const double fine = difference(1e-6), coarse = difference(2e-6);
      if (!std::isfinite(fine) || std::fabs(fine) > 1e6) continue;
      if (std::fabs(fine - coarse) > 1e-5 * (1 + std::fabs(fine))) continue;   // at a jump or kink
      EXPECT_NEAR(s.eval(slope[k]), fine, 1e-4 * (1 + std::fabs(fine))) << s.text(root);
      ++compared;
    }
  }
  EXPECT_GT(compared, 800);
}

TEST(gradient, a_branch_not_taken_does_not_leak_nan) {
  Scope s;
  ExprPool& p = s.pool;
  const ExprId x = s.var("x", 0);
  const ExprId root = p.select(p.make(Op::Less, s.num(0), x), p.make(Op::Log, p.mul(x, x)), x);
  const ExprId slope = gradient(p, root, std::vector{x}).front();
  EXPECT_EQ(s.eval(slope), 1);
}

TEST(gradient, of_what_does_not_depend_is_zero) {
  Scope s;
  const ExprId x = s.var("x"), y = s.var("y");
  EXPECT_EQ(gradient(s.pool, x, std::vector{y, x}), (std::vector{s.num(0), s.num(1)}));
}

TEST(affine_in, finds_factor_and_rest_or_declines) {
  Scope s;
  ExprPool& p = s.pool;
  const ExprId z = s.var("z"), a = s.var("a"), b = s.var("b");
  const auto parts = affine_in(p, p.div(p.sub(a, p.mul(b, z)), b), z);
  ASSERT_TRUE(parts);
  EXPECT_EQ(s.text(parts->factor), "-b / b");
  EXPECT_EQ(s.text(parts->rest), "a / b");
  EXPECT_EQ(affine_in(p, a, z)->factor, s.num(0));
  EXPECT_EQ(affine_in(p, a, z)->rest, a);
  const auto chosen = affine_in(p, p.select(a, z, b), z);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(s.text(chosen->factor), "a != 0");
  EXPECT_EQ(s.text(chosen->rest), "if a then 0 else b");
  const auto fused = affine_in(p, p.make(Op::Fma, a, z, b), z);
  ASSERT_TRUE(fused);
  EXPECT_EQ(fused->factor, a);
  EXPECT_EQ(fused->rest, b);
  EXPECT_FALSE(affine_in(p, p.mul(z, z), z));
  EXPECT_FALSE(affine_in(p, p.make(Op::Exp, z), z));
  EXPECT_FALSE(affine_in(p, p.div(a, z), z));
  EXPECT_FALSE(affine_in(p, p.select(z, a, b), z));
}

TEST(expand, merges_like_terms_and_reports_the_obstacle) {
  Scope s;
  ExprPool& p = s.pool;
  const ExprId x = s.var("x"), y = s.var("y"), c = s.var("c");
  const Classify in_x_and_y = [&](ExprId id, const ExprNode& node) {
    if (id == x || id == y) return Part::Generator;
    return node.count == 0 ? Part::Coefficient : Part::Inside;
  };
  const auto square = expand(p, p.make(Op::Pow, p.add(x, y), s.num(2)), in_x_and_y, 100).polynomial;
  ASSERT_TRUE(square);
  ASSERT_EQ(square->size(), 3u);
  EXPECT_EQ(square->terms()[1].powers, (Monomial{{x, 1}, {y, 1}}));
  EXPECT_EQ(square->terms()[1].coefficient, s.num(2));
  EXPECT_EQ(expand(p, p.sub(p.mul(c, x), p.mul(x, c)), in_x_and_y, 100).polynomial->size(), 1u);
  const ExprId bent = p.make(Op::Tanh, x);
  EXPECT_EQ(expand(p, p.add(y, p.mul(c, bent)), in_x_and_y, 100).obstacle, bent);
  const ExprId large = p.make(Op::Pow, p.add(p.add(x, y), s.num(1)), s.num(12));
  EXPECT_FALSE(expand(p, large, in_x_and_y, 20).polynomial);
}

// --- Horner staging ----------------------------------------------------------------------------------

/// Levels by name: w and names with "row" are per synapse, x pre, y post, the rest uniform.
struct Staged : Scope {
  std::vector<int> level_of;
  ExprId at(int level, const std::string& name, double value) {
    level_of.push_back(level);
    return var(name, value);
  }
  LevelOf levels() const {
    return [this](const ExprNode& leaf) { return level_of[leaf.leaf.index]; };
  }
  /// The levels above uniform that each node below the root mentions, as bits.
  std::map<ExprId, int> masks(ExprId root) const {
    std::map<ExprId, int> mask;
    for (const ExprId id : nodes_below(pool, std::span(&root, 1))) {
      const ExprNode node = pool[id];
      int bits = 0;
      for (int k = 0; k < node.count; ++k) bits |= mask[node.operands[k]];
      if (node.op == Op::Var && level_of[node.leaf.index] > 0) bits = 1 << level_of[node.leaf.index];
      mask[id] = bits;
    }
    return mask;
  }
  static bool is_hoisted(int mask) { return mask == 0 || mask == 2 || mask == 4; }

  /// Operations per synapse after hoisting and fusing; transcendental ones not counted.
  int row_operations(ExprId root) {
    std::vector<ExprId> roots = {root};                // what is hoisted is not fused into the row
    for (const auto& [id, bits] : masks(root)) {
      if (is_hoisted(bits) && pool[id].count > 0) roots.push_back(id);
    }
    const ExprId fused = form_fma(pool, roots).front();
    int count = 0;
    for (const auto& [id, bits] : masks(fused)) {
      const ExprNode node = pool[id];
      const bool counts = node.count > 0 && !info(node.op).is_transcendental && node.op != Op::Neg;
      if (counts && !is_hoisted(bits)) ++count;
    }
    return count;
  }
};

ExprId taylor(Staged& s, ExprId x, ExprId y, ExprId w) {
  ExprPool& p = s.pool;
  std::mt19937 random(5);
  ExprId sum = s.num(0);
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b)
      for (int c = 0; c < 3; ++c) {
        const double value = std::uniform_real_distribution<double>(-1, 1)(random);
        ExprId term = s.at(0, "theta" + std::to_string(9 * a + 3 * b + c), value);
        term = p.mul(term, p.make(Op::Pow, x, s.num(a)));
        term = p.mul(term, p.make(Op::Pow, y, s.num(b)));
        term = p.mul(term, p.make(Op::Pow, w, s.num(c)));
        sum = p.add(sum, term);
      }
  return sum;
}

TEST(horner, taylor_rule_costs_nine_operations_per_synapse) {
  Staged s;
  const ExprId x = s.at(1, "x", 0.3), y = s.at(2, "y", 0.7), w = s.at(3, "w", -0.4);
  const ExprId eta = s.at(0, "eta", 0.05);
  const ExprId root = simplify(s.pool, s.pool.add(w, s.pool.mul(eta, taylor(s, x, y, w))));
  const ExprId staged = horner(s.pool, root, s.levels());
  EXPECT_LE(s.row_operations(staged), 8);
  EXPECT_GT(s.row_operations(root), 30);
  EXPECT_NEAR(s.eval(staged), s.eval(root), 1e-15);
}

TEST(horner, perceptron_layer_splits_by_where_its_inputs_live) {
  Staged s;
  ExprPool& p = s.pool;
  const ExprId x = s.at(1, "x", 0.3), y = s.at(2, "y", 0.7), w = s.at(3, "w", -0.4);
  const ExprId eta = s.at(0, "eta", 0.05);
  ExprId sum = s.num(0);
  std::vector<ExprId> inputs = {x, y, w};
  for (int k = 0; k < 10; ++k) {
    ExprId inner = s.num(0);
    for (const ExprId input : inputs) inner = p.add(inner, p.mul(s.at(0, "W1", 0.1 * k - 0.3), input));
    inner = p.add(inner, s.at(0, "b1", 0.01 * k));
    sum = p.add(sum, p.mul(s.at(0, "W2", 0.2 - 0.07 * k), p.make(Op::Tanh, inner)));
  }
  const ExprId root = simplify(p, p.add(w, p.mul(eta, sum)));
  const ExprId staged = horner(p, root, s.levels());
  EXPECT_LE(s.row_operations(staged), 30);             // 2 before and 1 after each tanh
  EXPECT_NEAR(s.eval(staged), s.eval(root), 1e-15);
}

TEST(horner, oja_costs_two_operations) {
  Staged s;
  ExprPool& p = s.pool;
  const ExprId x = s.at(1, "x", 0.3), y = s.at(2, "y", 0.7), w = s.at(3, "w", -0.4);
  const ExprId eta = s.at(0, "eta", 0.05), tau = s.at(0, "tau", 20);
  const ExprId rate = p.div(p.mul(eta, p.sub(p.mul(x, y), p.mul(p.make(Op::Pow, y, s.num(2)), w))), tau);
  const ExprId root = simplify(p, p.add(w, p.mul(p.dt(), rate)));
  s.names.push_back("dt");
  Staged& t = s;
  const LevelOf level = [&](const ExprNode& leaf) { return leaf.op == Op::Dt ? 0 : t.level_of[leaf.leaf.index]; };
  const ExprId staged = horner(p, root, level);
  EXPECT_LE(s.row_operations(staged), 2);
  const auto at = [&](ExprId id) {
    return evaluate(p, id, [&](const ExprNode& l) { return l.op == Op::Dt ? 0.5 : s.values[l.leaf.index]; });
  };
  EXPECT_NEAR(at(staged), at(root), 1e-16);
}

TEST(horner, row_divisions_by_uniform_values_become_products) {
  Staged s;
  const ExprId w = s.at(3, "w", 0.3), v = s.at(3, "v", 0.9), tau = s.at(0, "tau", 7);
  const ExprId root = s.pool.div(s.pool.sub(w, v), tau);
  const ExprId staged = horner(s.pool, root, s.levels());
  EXPECT_LE(s.row_operations(staged), 2);
  EXPECT_NEAR(s.eval(staged), s.eval(root), 1e-16);
  for (const ExprId id : nodes_below(s.pool, std::span(&staged, 1))) {
    const ExprNode node = s.pool[id];
    if (node.op == Op::Div) {
      EXPECT_EQ(node.operands[1], tau);
      EXPECT_TRUE(s.pool.is_constant(node.operands[0]));
    }
  }
}

TEST(horner, what_several_terms_need_is_computed_once) {
  Staged s;                                            // a second stage reads the first through ten inputs
  ExprPool& p = s.pool;
  const ExprId w = s.at(3, "w", 0.3), y = s.at(2, "y", 0.4), h = s.at(0, "h", 0.1);
  const auto layer = [&](ExprId input, const std::string& name) {
    ExprId sum = s.num(0);
    for (int k = 0; k < 10; ++k) {
      const ExprId drive = p.add(p.mul(s.at(0, name + "a", 0.1 * k), input), p.mul(s.at(0, name + "b", 0.2), y));
      sum = p.add(sum, p.mul(s.at(0, name + "c", 0.3), p.make(Op::Tanh, drive)));
    }
    return sum;
  };
  const ExprId first = layer(w, "1");
  const ExprId middle = p.add(w, p.mul(h, first));
  const ExprId root = simplify(p, p.add(w, p.mul(h, p.add(first, layer(middle, "2")))));
  const ExprId staged = horner(p, root, s.levels());
  EXPECT_LE(s.row_operations(staged), 10 + 10 + 1 + 10 + 10 + 2);
  EXPECT_NEAR(s.eval(staged), s.eval(root), 1e-15);
}

TEST(horner, leaves_alone_what_gains_nothing) {
  Staged s;
  ExprPool& p = s.pool;
  const ExprId w = s.at(3, "w", 0.3), x = s.at(1, "x", 0.5);
  const ExprId soft = p.mul(p.sub(s.num(1), w), w);
  EXPECT_EQ(horner(p, soft, s.levels()), soft);
  const ExprId branch = p.select(p.make(Op::Less, w, x), w, p.neg(w));
  EXPECT_EQ(horner(p, branch, s.levels()), branch);
  EXPECT_EQ(horner(p, x, s.levels()), x);
}

TEST(horner, keeps_values_of_random_expressions) {
  std::mt19937 random(13);
  for (int trial = 0; trial < 1500; ++trial) {
    Staged s;
    const std::vector<ExprId> leaves = {s.at(0, "u", 0), s.at(1, "x", 0), s.at(2, "y", 0), s.at(3, "w", 0)};
    const ExprId root = simplify(s.pool, random_expression(s, leaves, random, 6));
    const ExprId staged = horner(s.pool, root, s.levels());
    for (int point = 0; point < 5; ++point) {
      // Small whole numbers: sums and products are exact, so branches agree.
      for (double& value : s.values) value = static_cast<int>(random() % 9) - 4;
      const double before = s.eval(root), after = s.eval(staged);
      if (!(std::fabs(before) < 1e8)) continue;
      bool smooth = true;
      for (const ExprId id : nodes_below(s.pool, std::span(&root, 1))) {
        const Op op = s.pool[id].op;
        const double v = s.eval(id);
        if (op == Op::Div || op == Op::Tanh || op == Op::Sqrt || !(std::fabs(v) < 1e8)) smooth = false;
      }
      if (!smooth) continue;
      EXPECT_TRUE(after == before) << s.text(root) << " -> " << s.text(staged);
    }
  }
}

TEST(large_expressions, are_handled_in_milliseconds) {
  Staged s;
  ExprPool& p = s.pool;
  const ExprId x = s.at(1, "x", 0.3), y = s.at(2, "y", 0.7), w = s.at(3, "w", -0.4);
  const auto start = std::chrono::steady_clock::now();
  ExprId sum = s.num(0);
  for (int k = 0; k < 20'000; ++k) {
    const ExprId theta = s.at(0, "t", 1.0 / (k + 1));
    const ExprId powers = p.mul(p.make(Op::Pow, x, s.num(k % 3)), p.make(Op::Pow, y, s.num(k % 5)));
    sum = p.add(sum, p.mul(theta, p.mul(powers, p.make(Op::Pow, w, s.num(k % 4)))));
  }
  const ExprId simple = simplify(p, sum);
  const ExprId staged = horner(p, simple, s.levels());
  const std::vector<ExprId> slopes = gradient(p, staged, std::vector{x, y, w});
  form_fma(p, std::vector{staged, slopes[0]});
  EXPECT_LT(s.row_operations(staged), 60);
  EXPECT_NEAR(s.eval(staged), s.eval(sum), 1e-12);
  EXPECT_FALSE(s.text(sum).empty());
  EXPECT_FALSE(s.latex(sum).empty());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  RecordProperty("milliseconds", static_cast<int>(took.count() * 1000));
  EXPECT_LT(took.count(), 5);                          // generous: a loaded machine, any build type
}

}  // namespace
}  // namespace hebb
