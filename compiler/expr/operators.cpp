// The operator table. What a row computes is what every engine computes:
//
//   Min, Max   IEEE 754-2019 minimum and maximum: nan when an operand is nan, and -0 < 0; so
//                {Min(a, b), Max(a, b)} is always a permutation of {a, b}
//   Sign(a)    = a > 0 ? 1 : a < 0 ? -1 : a       nan and -0 stay
//   Round      half to even;  Mod(a, b) = a - b * floor(a / b), three roundings
//   Less, LessEqual, Equal  false when an operand is nan;  NotEqual  true when one is
//   truth      a value is true when it is not equal to 0: nan counts as true
//   And, Or, Not, Less, … give exactly 0 or 1;  Select(c, a, b) picks a bit for bit
//   Fma        one rounding;  transcendental functions: compiler/expr/math.h

#include "compiler/expr/operators.h"

#include <array>
#include <cmath>

#include "compiler/expr/math.h"
#include "compiler/expr/pool.h"
#include "compiler/expr/transform.h"

namespace hebb {

namespace {

template <class T> T minimum(T a, T b) {
  if (a != a || b != b) return a + b;
  return a < b || (a == b && std::signbit(a)) ? a : b;
}
template <class T> T maximum(T a, T b) {
  if (a != a || b != b) return a + b;
  return a < b || (a == b && std::signbit(a)) ? b : a;
}
template <class T> T sign(T a) { return a > 0 ? T(1) : a < 0 ? T(-1) : a; }
template <class T> T modulo(T a, T b) { return a - b * std::floor(a / b); }

using P = ExprPool&;
using Ops = const ExprId*;
using Partial = ExprId (*)(ExprPool&, ExprId, const ExprId*, int);

ExprId number(P p, double value) { return p.constant(value); }
ExprId square(P p, ExprId a) { return p.mul(a, a); }
ExprId reciprocal(P p, ExprId a) { return p.div(number(p, 1), a); }

ExprId d_zero(P p, ExprId, Ops, int) { return number(p, 0); }
ExprId d_neg(P p, ExprId, Ops, int) { return number(p, -1); }
ExprId d_add(P p, ExprId, Ops, int) { return number(p, 1); }
ExprId d_sub(P p, ExprId, Ops, int k) { return number(p, k == 0 ? 1 : -1); }
ExprId d_mul(P, ExprId, Ops o, int k) { return o[1 - k]; }
ExprId d_div(P p, ExprId self, Ops o, int k) {
  return k == 0 ? reciprocal(p, o[1]) : p.neg(p.div(self, o[1]));
}
ExprId d_fma(P p, ExprId, Ops o, int k) { return k == 2 ? number(p, 1) : o[1 - k]; }
ExprId d_sqrt(P p, ExprId self, Ops, int) { return p.div(number(p, 0.5), self); }
ExprId d_abs(P p, ExprId, Ops o, int) { return p.make(Op::Sign, o[0]); }
// The side that the value took: at a tie Min gives b, Max gives a.
ExprId d_min(P p, ExprId, Ops o, int k) {
  const ExprId first = p.make(Op::Less, o[0], o[1]);
  return k == 0 ? first : p.make(Op::Not, first);
}
ExprId d_max(P p, ExprId, Ops o, int k) {
  const ExprId second = p.make(Op::Less, o[0], o[1]);
  return k == 1 ? second : p.make(Op::Not, second);
}
ExprId d_mod(P p, ExprId, Ops o, int k) {
  if (k == 0) return number(p, 1);
  return p.neg(p.make(Op::Floor, p.div(o[0], o[1])));
}
ExprId d_select(P p, ExprId, Ops o, int k) {
  if (k == 0) return number(p, 0);
  return p.select(o[0], number(p, k == 1 ? 1 : 0), number(p, k == 1 ? 0 : 1));
}
ExprId d_exp(P, ExprId self, Ops, int) { return self; }
ExprId d_expm1(P p, ExprId, Ops o, int) { return p.make(Op::Exp, o[0]); }
ExprId d_exprel(P p, ExprId, Ops o, int) { return gradient(p, exprel(p, o[0]), {o, 1})[0]; }
ExprId d_log(P p, ExprId, Ops o, int) { return reciprocal(p, o[0]); }
ExprId d_log1p(P p, ExprId, Ops o, int) { return reciprocal(p, p.add(number(p, 1), o[0])); }
// a^0 has derivative 0 in a also at a = 0, and 0^b has derivative 0 in b: guarded, not 0 * inf.
ExprId d_pow(P p, ExprId self, Ops o, int k) {
  const ExprId zero = number(p, 0);
  if (k == 0) {
    const ExprId lowered = p.make(Op::Pow, o[0], p.sub(o[1], number(p, 1)));
    const ExprId slope = p.mul(o[1], lowered);
    if (p.is_constant(o[1])) return p.is_constant(o[1], 0) ? zero : slope;
    return p.select(p.make(Op::Equal, o[1], zero), zero, slope);
  }
  return p.select(p.make(Op::Equal, o[0], zero), zero, p.mul(self, p.make(Op::Log, o[0])));
}
ExprId d_sin(P p, ExprId, Ops o, int) { return p.make(Op::Cos, o[0]); }
ExprId d_cos(P p, ExprId, Ops o, int) { return p.neg(p.make(Op::Sin, o[0])); }
ExprId d_tan(P p, ExprId self, Ops, int) { return p.add(number(p, 1), square(p, self)); }
ExprId d_sigmoid(P p, ExprId self, Ops, int) { return p.mul(self, p.sub(number(p, 1), self)); }
ExprId d_tanh(P p, ExprId self, Ops, int) { return p.sub(number(p, 1), square(p, self)); }
ExprId d_sinh(P p, ExprId, Ops o, int) { return p.make(Op::Cosh, o[0]); }
ExprId d_cosh(P p, ExprId, Ops o, int) { return p.make(Op::Sinh, o[0]); }
// (1 - a)(1 + a), not 1 - a^2: accurate near the ends.
ExprId d_asin(P p, ExprId, Ops o, int) {
  const ExprId one = number(p, 1);
  return reciprocal(p, p.make(Op::Sqrt, p.mul(p.sub(one, o[0]), p.add(one, o[0]))));
}
ExprId d_acos(P p, ExprId self, Ops o, int k) { return p.neg(d_asin(p, self, o, k)); }
ExprId d_atan(P p, ExprId, Ops o, int) {
  return reciprocal(p, p.add(number(p, 1), square(p, o[0])));
}
ExprId d_atan2(P p, ExprId, Ops o, int k) {
  const ExprId norm = p.add(square(p, o[0]), square(p, o[1]));
  return k == 0 ? p.div(o[1], norm) : p.neg(p.div(o[0], norm));
}
ExprId d_erf(P p, ExprId, Ops o, int) {
  constexpr double kTwoOverSqrtPi = 1.1283791670955125739;
  return p.mul(number(p, kTwoOverSqrtPi), p.make(Op::Exp, p.neg(square(p, o[0]))));
}

using D = double;
using F = float;

OpInfo leaf(Op op, std::string_view name) {
  return {.op = op, .name = name, .arity = 0, .precedence = 0, .is_leaf = true,
          .is_transcendental = false, .value = nullptr, .value_float = nullptr, .partial = nullptr};
}

// Precedence: 1 or, 2 and, 3 not, 4 comparison, 5 sum, 6 product, 7 sign, 8 power. `if` is 0 here and
// knows its own parentheses.
OpInfo row(Op op, std::string_view name, int arity, int precedence, D (*value)(D, D, D),
           F (*value_float)(F, F, F), Partial partial) {
  return {.op = op, .name = name, .arity = arity, .precedence = precedence, .is_leaf = false,
          .is_transcendental = false, .value = value, .value_float = value_float, .partial = partial};
}

OpInfo math(Op op, std::string_view name, int arity, D (*value)(D, D, D), F (*value_float)(F, F, F),
            Partial partial, int precedence = 0) {
  OpInfo entry = row(op, name, arity, precedence, value, value_float, partial);
  entry.is_transcendental = true;
  return entry;
}

// One expression, in double and in float.
#define BOTH(expression)                                                                        \
  [](D a, D b, D c) -> D { using T = D; (void)a, (void)b, (void)c; return T(expression); },      \
  [](F a, F b, F c) -> F { using T = F; (void)a, (void)b, (void)c; return T(expression); }
#define LIBCLC(function)                       \
  [](D a, D, D) -> D { return function(a); },  \
  [](F a, F, F) -> F { return function##f(a); }
#define LIBCLC2(function)                         \
  [](D a, D b, D) -> D { return function(a, b); }, \
  [](F a, F b, F) -> F { return function##f(a, b); }

const std::array<OpInfo, kOpCount>& table() {
  static const std::array<OpInfo, kOpCount> rows = {
      leaf(Op::Const, "constant"),
      leaf(Op::Var, "variable"),
      leaf(Op::Load, "load"),
      leaf(Op::Draw, "draw"),
      leaf(Op::Dt, "dt"),
      row(Op::Neg, "-", 1, 7, BOTH(-a), d_neg),
      row(Op::Add, "+", 2, 5, BOTH(a + b), d_add),
      row(Op::Sub, "-", 2, 5, BOTH(a - b), d_sub),
      row(Op::Mul, "*", 2, 6, BOTH(a * b), d_mul),
      row(Op::Div, "/", 2, 6, BOTH(a / b), d_div),
      row(Op::Fma, "fma", 3, 0, BOTH(std::fma(a, b, c)), d_fma),
      row(Op::Sqrt, "sqrt", 1, 0, BOTH(std::sqrt(a)), d_sqrt),
      row(Op::Abs, "abs", 1, 0, BOTH(std::fabs(a)), d_abs),
      row(Op::Floor, "floor", 1, 0, BOTH(std::floor(a)), d_zero),
      row(Op::Ceil, "ceil", 1, 0, BOTH(std::ceil(a)), d_zero),
      row(Op::Round, "round", 1, 0, BOTH(std::nearbyint(a)), d_zero),
      row(Op::Sign, "sign", 1, 0, BOTH(sign<T>(a)), d_zero),
      row(Op::Min, "min", 2, 0, BOTH(minimum<T>(a, b)), d_min),
      row(Op::Max, "max", 2, 0, BOTH(maximum<T>(a, b)), d_max),
      row(Op::Mod, "mod", 2, 0, BOTH(modulo<T>(a, b)), d_mod),
      row(Op::Less, "<", 2, 4, BOTH(a < b), d_zero),
      row(Op::LessEqual, "<=", 2, 4, BOTH(a <= b), d_zero),
      row(Op::Equal, "==", 2, 4, BOTH(a == b), d_zero),
      row(Op::NotEqual, "!=", 2, 4, BOTH(a != b), d_zero),
      row(Op::And, "and", 2, 2, BOTH(a != 0 && b != 0), d_zero),
      row(Op::Or, "or", 2, 1, BOTH(a != 0 || b != 0), d_zero),
      row(Op::Not, "not", 1, 3, BOTH(a == 0), d_zero),
      row(Op::Select, "if", 3, 0, BOTH(a != 0 ? b : c), d_select),
      math(Op::Exp, "exp", 1, LIBCLC(hebb_exp), d_exp),
      math(Op::Expm1, "expm1", 1, LIBCLC(hebb_expm1), d_expm1),
      math(Op::Exprel, "exprel", 1, LIBCLC(hebb_exprel), d_exprel),
      math(Op::Log, "log", 1, LIBCLC(hebb_log), d_log),
      math(Op::Log1p, "log1p", 1, LIBCLC(hebb_log1p), d_log1p),
      math(Op::Pow, "^", 2, LIBCLC2(hebb_pow), d_pow, 8),
      math(Op::Sin, "sin", 1, LIBCLC(hebb_sin), d_sin),
      math(Op::Cos, "cos", 1, LIBCLC(hebb_cos), d_cos),
      math(Op::Tan, "tan", 1, LIBCLC(hebb_tan), d_tan),
      math(Op::Sigmoid, "sigmoid", 1, LIBCLC(hebb_sigmoid), d_sigmoid),
      math(Op::Tanh, "tanh", 1, LIBCLC(hebb_tanh), d_tanh),
      math(Op::Sinh, "sinh", 1, LIBCLC(hebb_sinh), d_sinh),
      math(Op::Cosh, "cosh", 1, LIBCLC(hebb_cosh), d_cosh),
      math(Op::Asin, "asin", 1, LIBCLC(hebb_asin), d_asin),
      math(Op::Acos, "acos", 1, LIBCLC(hebb_acos), d_acos),
      math(Op::Atan, "atan", 1, LIBCLC(hebb_atan), d_atan),
      math(Op::Atan2, "atan2", 2, LIBCLC2(hebb_atan2), d_atan2),
      math(Op::Erf, "erf", 1, LIBCLC(hebb_erf), d_erf),
      row(Op::IsFinite, "is_finite", 1, 0, BOTH(a - a == 0), d_zero),
  };
  return rows;
}

#undef BOTH
#undef LIBCLC
#undef LIBCLC2

}  // namespace

const OpInfo& info(Op op) {
  const OpInfo& entry = table()[static_cast<size_t>(op)];
  assert(entry.op == op && "the rows of the operator table follow the order of Op");
  return entry;
}

int cost(Op op) {
  if (op == Op::Draw) return 60;
  if (info(op).is_transcendental) return 25;
  if (op == Op::Div || op == Op::Sqrt || op == Op::Mod) return 5;
  return info(op).is_leaf ? 0 : 1;
}

}  // namespace hebb
