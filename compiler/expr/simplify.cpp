#include "compiler/expr/simplify.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "compiler/expr/transform.h"

namespace hebb {

namespace {

// At each rule stands what it keeps: "exact" is every bit for every argument, NaN, inf and -0 included.
struct Rules {
  ExprPool& pool;
  static constexpr double kInf = std::numeric_limits<double>::infinity();
  // Up to this exponent a power is written as products.
  static constexpr double kLargestPower = 16;

  bool is(ExprId id, Op op) const { return pool[id].op == op; }
  bool is_number(ExprId id) const { return pool.is_constant(id); }
  bool is_number(ExprId id, double value) const {
    const ExprNode node = pool[id];
    return node.op == Op::Const && std::bit_cast<uint64_t>(node.value) == std::bit_cast<uint64_t>(value);
  }
  bool is_zero(ExprId id) const { return pool.is_constant(id, 0.0); }  // 0 or -0
  double number(ExprId id) const { return pool[id].value; }
  ExprId operand(ExprId id, int k) const { return pool[id].operands[k]; }
  ExprId constant(double value) { return pool.constant(value); }

  /// Gives 0 or 1 and nothing else.
  bool is_truth(ExprId id) const {
    switch (pool[id].op) {
      case Op::Less: case Op::LessEqual: case Op::Equal: case Op::NotEqual: case Op::And: case Op::Or:
      case Op::Not: case Op::IsFinite: return true;
      default: return is_number(id, 0.0) || is_number(id, 1.0);
    }
  }
  ExprId as_truth(ExprId id) {
    return is_truth(id) ? id : make(Op::NotEqual, id, constant(0));
  }

  ExprId make(Op op, ExprId a) { return simple(pool, op, a); }
  ExprId make(Op op, ExprId a, ExprId b) { return simple(pool, op, a, b); }
  ExprId make(Op op, ExprId a, ExprId b, ExprId c) { return simple(pool, op, a, b, c); }

  ExprId neg(ExprId a) {
    if (is(a, Op::Neg)) return operand(a, 0);                                           // exact
    // -(a - b) = b - a: exact but for the sign of a zero.
    if (is(a, Op::Sub)) return make(Op::Sub, operand(a, 1), operand(a, 0));
    return pool.neg(a);
  }

  ExprId add(ExprId a, ExprId b) {
    if (is_zero(b)) return a;                          // exact but for -0 + 0 = 0
    if (is_zero(a)) return b;
    if (is(b, Op::Neg)) return make(Op::Sub, a, operand(b, 0));                         // exact
    if (is(a, Op::Neg)) return make(Op::Sub, b, operand(a, 0));                         // exact
    if (is_number(b) && number(b) < 0) return make(Op::Sub, a, constant(-number(b)));   // exact
    return pool.add(a, b);
  }

  ExprId sub(ExprId a, ExprId b) {
    if (is_zero(b)) return a;                          // exact but for -0 - (-0) = 0
    if (is_zero(a)) return make(Op::Neg, b);           // exact but for 0 - 0 = 0
    if (is(b, Op::Neg)) return make(Op::Add, a, operand(b, 0));                         // exact
    if (is(a, Op::Neg)) return make(Op::Neg, make(Op::Add, operand(a, 0), b));          // exact
    if (is_number(b) && number(b) < 0) return make(Op::Add, a, constant(-number(b)));   // exact
    return pool.sub(a, b);
  }

  ExprId mul(ExprId a, ExprId b) {
    if (is_number(a, 1)) return b;                                                      // exact
    if (is_number(b, 1)) return a;
    if (is_number(a, -1)) return make(Op::Neg, b);                                      // exact
    if (is_number(b, -1)) return make(Op::Neg, a);
    // 0 * x = 0 for finite x, but for the sign; a term with a written 0 before it is not there, so
    // an inf or NaN in it is not seen either.
    if (is_zero(a) || is_zero(b)) return constant(0);
    if (is(a, Op::Neg)) return make(Op::Neg, make(Op::Mul, operand(a, 0), b));          // exact
    if (is(b, Op::Neg)) return make(Op::Neg, make(Op::Mul, a, operand(b, 0)));          // exact
    // x * (1/y) = x/y: one rounding less.
    if (is(b, Op::Div) && is_number(operand(b, 0), 1)) return make(Op::Div, a, operand(b, 1));
    if (is(a, Op::Div) && is_number(operand(a, 0), 1)) return make(Op::Div, b, operand(a, 1));
    return pool.mul(a, b);
  }

  ExprId div(ExprId a, ExprId b) {
    if (is_number(b, 1)) return a;                                                      // exact
    if (is_number(b, -1)) return make(Op::Neg, a);                                      // exact
    if (is(a, Op::Neg)) return make(Op::Neg, make(Op::Div, operand(a, 0), b));          // exact
    if (is(b, Op::Neg)) return make(Op::Neg, make(Op::Div, a, operand(b, 0)));          // exact
    if (is_number(a) && number(a) < 0) {                                                // exact
      return make(Op::Neg, make(Op::Div, constant(-number(a)), b));
    }
    if (is_number(b)) {                                // exact: the reciprocal of a power of two is
      int exponent = 0;
      const bool power_of_two = std::fabs(std::frexp(number(b), &exponent)) == 0.5;
      if (power_of_two && std::abs(exponent) < 100) return make(Op::Mul, a, constant(1 / number(b)));
    }
    return pool.div(a, b);
  }

  ExprId power(ExprId a, ExprId b) {
    if (is_number(a, 1)) return a;                     // exact: 1^y = 1 also for NaN
    if (!is_number(b)) return pool.make(Op::Pow, a, b);
    const double exponent = number(b);
    // One rounding a factor instead of pow's 2 ulp; nearer to the exact power for small exponents.
    if (exponent == std::floor(exponent) && std::fabs(exponent) <= kLargestPower) {
      return integer_power(pool, a, static_cast<int>(exponent));
    }
    // Exact rounding of the root; sqrt(-inf) is NaN where pow has inf, sqrt(-0) is -0.
    if (exponent == 0.5) return make(Op::Sqrt, a);
    return pool.make(Op::Pow, a, b);
  }

  ExprId fma(ExprId a, ExprId b, ExprId c) {
    if (is_number(a, 1)) return make(Op::Add, b, c);                                    // exact
    if (is_number(b, 1)) return make(Op::Add, a, c);
    if (is_number(a, -1)) return make(Op::Sub, c, b);                                   // exact
    if (is_number(b, -1)) return make(Op::Sub, c, a);
    if (is_zero(a) || is_zero(b)) return c;            // as 0 * x above
    if (is_zero(c)) return make(Op::Mul, a, b);        // exact but for the sign of a zero
    return pool.make(Op::Fma, a, b, c);
  }

  ExprId less(ExprId a, ExprId b) {                    // all exact: a comparison with NaN is false
    if (a == b || is_number(b, -kInf) || is_number(a, kInf)) return constant(0);
    return pool.make(Op::Less, a, b);
  }

  ExprId minimum(ExprId a, ExprId b) {
    if (a == b || is_number(b, kInf)) return a;                                         // exact
    if (is_number(a, kInf)) return b;
    return pool.make(Op::Min, a, b);
  }
  ExprId maximum(ExprId a, ExprId b) {
    if (a == b || is_number(b, -kInf)) return a;                                        // exact
    if (is_number(a, -kInf)) return b;
    return pool.make(Op::Max, a, b);
  }

  ExprId logical_and(ExprId a, ExprId b) {             // exact
    if (is_number(a)) return number(a) != 0 ? as_truth(b) : constant(0);
    if (is_number(b)) return number(b) != 0 ? as_truth(a) : constant(0);
    return a == b ? as_truth(a) : pool.make(Op::And, a, b);
  }
  ExprId logical_or(ExprId a, ExprId b) {              // exact
    if (is_number(a)) return number(a) != 0 ? constant(1) : as_truth(b);
    if (is_number(b)) return number(b) != 0 ? constant(1) : as_truth(a);
    return a == b ? as_truth(a) : pool.make(Op::Or, a, b);
  }
  ExprId logical_not(ExprId a) {                       // exact; not(a < b) is not b <= a for NaN
    if (is(a, Op::Not)) return as_truth(operand(a, 0));
    if (is(a, Op::Equal)) return make(Op::NotEqual, operand(a, 0), operand(a, 1));
    if (is(a, Op::NotEqual)) return make(Op::Equal, operand(a, 0), operand(a, 1));
    return pool.make(Op::Not, a);
  }

  ExprId select(ExprId c, ExprId yes, ExprId no) {     // exact, all of them
    if (is_number(c)) return number(c) != 0 ? yes : no;
    if (yes == no) return yes;
    if (is(c, Op::Not)) return make(Op::Select, operand(c, 0), no, yes);
    if (is(c, Op::NotEqual) && is_zero(operand(c, 1))) {
      return make(Op::Select, operand(c, 0), yes, no);
    }
    if (is_number(yes, 1) && is_number(no, 0.0)) return as_truth(c);
    if (is_number(yes, 0.0) && is_number(no, 1)) return make(Op::Not, c);
    if (is(yes, Op::Select) && operand(yes, 0) == c) return make(Op::Select, c, operand(yes, 1), no);
    if (is(no, Op::Select) && operand(no, 0) == c) return make(Op::Select, c, yes, operand(no, 2));
    return pool.select(c, yes, no);
  }

  ExprId not_equal(ExprId a, ExprId b) {
    if (is_zero(b) && is_truth(a)) return a;                                            // exact
    return pool.make(Op::NotEqual, a, b);
  }

  ExprId absolute(ExprId a) {
    if (is(a, Op::Neg)) return make(Op::Abs, operand(a, 0));                            // exact
    return is(a, Op::Abs) ? a : pool.make(Op::Abs, a);
  }
};

bool all_constant(const ExprPool& pool, std::span<const ExprId> operands) {
  for (const ExprId id : operands) {
    if (!pool.is_constant(id)) return false;
  }
  return true;
}

}  // namespace

ExprId simple(ExprPool& pool, Op op, std::span<const ExprId> o) {
  if (all_constant(pool, o)) return remake(pool, op, o);
  Rules rules{pool};
  switch (op) {
    case Op::Neg: return rules.neg(o[0]);
    case Op::Add: return rules.add(o[0], o[1]);
    case Op::Sub: return rules.sub(o[0], o[1]);
    case Op::Mul: return rules.mul(o[0], o[1]);
    case Op::Div: return rules.div(o[0], o[1]);
    case Op::Pow: return rules.power(o[0], o[1]);
    case Op::Fma: return rules.fma(o[0], o[1], o[2]);
    case Op::Abs: return rules.absolute(o[0]);
    case Op::Min: return rules.minimum(o[0], o[1]);
    case Op::Max: return rules.maximum(o[0], o[1]);
    case Op::Less: return rules.less(o[0], o[1]);
    case Op::NotEqual: return rules.not_equal(o[0], o[1]);
    case Op::And: return rules.logical_and(o[0], o[1]);
    case Op::Or: return rules.logical_or(o[0], o[1]);
    case Op::Not: return rules.logical_not(o[0]);
    case Op::Select: return rules.select(o[0], o[1], o[2]);
    default: return remake(pool, op, o);
  }
}

ExprId integer_power(ExprPool& pool, ExprId base, int exponent) {
  if (exponent == 0) return pool.constant(1);          // also for NaN, as pow has it
  if (exponent < 0) return simple(pool, Op::Div, pool.constant(1), integer_power(pool, base, -exponent));
  if (exponent == 1) return base;
  const ExprId half = integer_power(pool, base, exponent / 2);
  const ExprId even = simple(pool, Op::Mul, half, half);
  return exponent % 2 == 0 ? even : simple(pool, Op::Mul, even, base);
}

std::vector<ExprId> simplify(ExprPool& pool, std::span<const ExprId> roots) {
  const std::vector<ExprId> nodes = nodes_below(pool, roots);
  std::vector<ExprId> done(nodes.empty() ? 0 : nodes.back().value + 1);
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    ExprId operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = done[node.operands[k].value];
    done[id.value] = node.count == 0 ? id : simple(pool, node.op, std::span(operands, node.count));
  }
  std::vector<ExprId> result;
  for (const ExprId root : roots) result.push_back(root.valid() ? done[root.value] : root);
  return result;
}

ExprId simplify(ExprPool& pool, ExprId root) { return simplify(pool, std::span(&root, 1)).front(); }

std::vector<ExprId> form_fma(ExprPool& pool, std::span<const ExprId> roots) {
  const std::vector<ExprId> nodes = nodes_below(pool, roots);
  const size_t end = nodes.empty() ? 0 : nodes.back().value + 1;
  std::vector<uint32_t> uses(end, 0);
  std::vector<ExprId> done(end);
  for (const ExprId root : roots) {
    if (root.valid()) ++uses[root.value];
  }
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    for (int k = 0; k < node.count; ++k) ++uses[node.operands[k].value];
  }
  const auto is_free_product = [&](ExprId id) { return pool[id].op == Op::Mul && uses[id.value] == 1; };
  const auto fused = [&](ExprId product, bool negated, ExprId rest) {
    const ExprNode node = pool[product];
    const ExprId a = done[node.operands[0].value], b = done[node.operands[1].value];
    if (!negated) return pool.make(Op::Fma, a, b, rest);
    // A constant takes the sign at no cost.
    if (pool.is_constant(b)) return pool.make(Op::Fma, a, pool.neg(b), rest);
    return pool.make(Op::Fma, pool.neg(a), b, rest);
  };
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    ExprId o[3];
    for (int k = 0; k < node.count; ++k) o[k] = done[node.operands[k].value];
    const bool sum = node.op == Op::Add, difference = node.op == Op::Sub;
    // Of two products the right one is fused, so a sum of products is a chain from left to right.
    if ((sum || difference) && is_free_product(node.operands[1])) {
      done[id.value] = fused(node.operands[1], difference, o[0]);
    } else if (sum && is_free_product(node.operands[0])) {
      done[id.value] = fused(node.operands[0], false, o[1]);
    } else if (difference && is_free_product(node.operands[0])) {
      done[id.value] = fused(node.operands[0], false, pool.is_constant(o[1])
                                 ? pool.constant(-pool[o[1]].value) : pool.neg(o[1]));
    } else {
      done[id.value] = node.count == 0 ? id : remake(pool, node.op, std::span(o, node.count));
    }
  }
  std::vector<ExprId> result;
  for (const ExprId root : roots) result.push_back(root.valid() ? done[root.value] : root);
  return result;
}

}  // namespace hebb
