#pragma once
// The operator table: one row per operation with its name, arity, value and partial derivatives.
// A new math function is one enumerator here and one row in operators.cpp.

#include <cstdint>
#include <string_view>

namespace hebb {

class ExprPool;
struct ExprId;

enum class Op : uint8_t {
  // leaves
  Const, Var, Load, Draw, Dt,
  // arithmetic, exact to the last bit on every engine
  Neg, Add, Sub, Mul, Div, Fma /* a*b + c, one rounding */, Sqrt, Abs, Floor, Ceil, Round /* half to even */,
  Sign /* -1, 0, 1; nan stays */, Min, Max /* nan if either is */, Mod /* a - b*floor(a/b) */,
  // comparisons and logic: 0 or 1
  Less, LessEqual, Equal, NotEqual, And, Or, Not, Select /* condition != 0 ? b : c */,
  // transcendental: the functions of math.h on every engine
  Exp, Expm1, Exprel /* (e^a - 1) / a, 1 at 0 */, Log, Log1p, Pow, Sin, Cos, Tan,
  Sigmoid /* 1 / (1 + e^-a) */, Tanh, Sinh, Cosh, Asin, Acos, Atan, Atan2, Erf,
  // element-wise with no arithmetic
  IsFinite /* 1 or 0 */,
};

struct OpInfo {
  Op op;
  std::string_view name;  // "exp"; infix operators by their sign
  int arity;
  int precedence;         // of the printed form; 0 for function notation
  bool is_leaf;
  bool is_transcendental;
  /// The value in double and in float; operands beyond the arity are ignored. Leaves have none.
  double (*value)(double a, double b, double c);
  float (*value_float)(float a, float b, float c);
  /// d(op)/d(operand k) as an expression of the operands; comparisons, floor and sign have derivative
  /// zero. Null for leaves.
  ExprId (*partial)(ExprPool& pool, ExprId self, const ExprId* operands, int k);
};

const OpInfo& info(Op op);
/// What it takes, roughly, in multiply-adds.
int cost(Op op);
constexpr int kOpCount = static_cast<int>(Op::IsFinite) + 1;

}  // namespace hebb
