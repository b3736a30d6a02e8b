#pragma once
// Smart constructors: the node `op` of simplified operands, by the rules of simplify. Each looks at the
// operands only, so a pass that builds with them keeps its results simple at no further cost.

#include <span>

#include "compiler/expr/pool.h"

namespace hebb {

ExprId simple(ExprPool& pool, Op op, std::span<const ExprId> operands);

inline ExprId simple(ExprPool& pool, Op op, ExprId a) { return simple(pool, op, std::span(&a, 1)); }
inline ExprId simple(ExprPool& pool, Op op, ExprId a, ExprId b) {
  const ExprId operands[] = {a, b};
  return simple(pool, op, operands);
}
inline ExprId simple(ExprPool& pool, Op op, ExprId a, ExprId b, ExprId c) {
  const ExprId operands[] = {a, b, c};
  return simple(pool, op, operands);
}

/// base^exponent by products: x, x*x, (x*x)*x, … and reciprocals of these. Within (|exponent| - 1)/2 ulp
/// or so of the exact power.
ExprId integer_power(ExprPool& pool, ExprId base, int exponent);

}  // namespace hebb
