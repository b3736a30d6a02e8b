// exp[x0, …, xn] as a straight line of arithmetic, accurate for nodes that are equal, near or far apart.
//
// Sort the nodes. For a run of nodes that lie within `reach` of each other sum the Taylor series
//   exp[z0, …, zm] = sum over k of h_k(z0, …, zm) / (k + m)!,
// h_k the complete homogeneous symmetric polynomial: with z measured from the smallest node every term
// is positive, so nothing cancels. For a wider run use the recurrence
//   exp[x_i, …, x_j] = (exp[x_{i+1}, …, x_j] - exp[x_i, …, x_{j-1}]) / (x_j - x_i),
// which is safe exactly then: the terms differ by a large factor. (The combination is that of McCurdy, Ng
// and Parlett, Math. Comp. 43, 1984.) All of it is scaled by exp(-largest node): entries stay in range.

#include <cmath>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"

namespace hebb {

namespace {

ExprId fused(ExprPool& pool, ExprId a, ExprId b, ExprId c) { return simple(pool, Op::Fma, a, b, c); }

// How many terms leave a relative rest below 1e-17 for nodes within `reach`, for a difference of
// order m: terms are at most reach^k C(k+m, m)/(k+m)! = reach^k / (k! m!), the sum at least 1/m!.
int terms_needed(double reach) {
  double term = 1;
  int k = 0;
  while (term > 1e-17 || k < reach) term *= reach / ++k;
  return k;
}

/// sum over k of h_k(z) / (k + m)! for m + 1 nodes z, z[0] = 0 left out.
ExprId taylor(ExprPool& pool, const std::vector<ExprId>& z, int terms) {
  const int m = static_cast<int>(z.size());
  std::vector<ExprId> h(terms, pool.constant(0));      // h_k of the nodes so far; of {0}: 1, 0, 0, …
  h[0] = pool.constant(1);
  for (const ExprId node : z) {
    for (int k = 1; k < terms; ++k) h[k] = fused(pool, node, h[k - 1], h[k]);
  }
  ExprId sum = pool.constant(0);
  for (int k = terms; k-- > 0;) {                      // smallest terms first
    sum = fused(pool, h[k], pool.constant(1 / std::tgamma(k + m + 1.0)), sum);
  }
  return sum;
}

void sort_nodes(ExprPool& pool, std::vector<ExprId>& x) {
  for (size_t end = x.size(); end > 1; --end) {
    for (size_t i = 0; i + 1 < end; ++i) {
      const ExprId low = simple(pool, Op::Min, x[i], x[i + 1]);
      const ExprId high = simple(pool, Op::Max, x[i], x[i + 1]);
      x[i] = low;
      x[i + 1] = high;
    }
  }
}

bool all_same(const std::vector<ExprId>& x) {
  for (const ExprId id : x) {
    if (id != x.front()) return false;
  }
  return true;
}

}  // namespace

ExprId exprel(ExprPool& pool, ExprId x) {
  if (pool.is_constant(x, 0)) return pool.constant(1);
  // Near 0 a polynomial, so that the derivative there is right as well; elsewhere the quotient, whose
  // divisor is kept away from 0 for the sake of its unused value.
  constexpr double kNear = 0.5;
  const ExprId near = pool.make(Op::LessEqual, pool.make(Op::Abs, x), pool.constant(kNear));
  const ExprId inner = simple(pool, Op::Select, near, x, pool.constant(0));
  const ExprId outer = simple(pool, Op::Select, near, pool.constant(1), x);
  ExprId series = pool.constant(0);
  for (int k = terms_needed(kNear); k-- > 0;) {
    series = fused(pool, series, inner, pool.constant(1 / std::tgamma(k + 2.0)));
  }
  return simple(pool, Op::Select, near, series,
                simple(pool, Op::Div, pool.make(Op::Expm1, outer), outer));
}

ExprId exp_divided_difference(ExprPool& pool, std::vector<ExprId> nodes) {
  assert(!nodes.empty());
  const int n = static_cast<int>(nodes.size()) - 1;
  if (all_same(nodes)) {                               // exp(x) / n!
    return simple(pool, Op::Div, pool.make(Op::Exp, nodes[0]), pool.constant(std::tgamma(n + 1.0)));
  }
  if (n == 1 && pool.is_constant(nodes[1], 0)) return exprel(pool, nodes[0]);
  if (n == 1 && pool.is_constant(nodes[0], 0)) return exprel(pool, nodes[1]);

  std::vector<ExprId> x = std::move(nodes);
  sort_nodes(pool, x);
  const double reach = n <= 2 ? 4 : 2 * n;
  const int terms = terms_needed(reach);

  // run[i] is exp[x_i, …, x_{i+length}] / exp(x_n), for one length after the other.
  std::vector<ExprId> from_top(n + 1), run(n + 1);
  for (int i = 0; i <= n; ++i) {
    from_top[i] = pool.make(Op::Exp, simple(pool, Op::Sub, x[i], x[n]));
    if (x[i] == x[n]) from_top[i] = pool.constant(1);
    run[i] = from_top[i];
  }
  for (int length = 1; length <= n; ++length) {
    for (int i = 0; i + length <= n; ++i) {
      const int j = i + length;
      const ExprId spread = simple(pool, Op::Sub, x[j], x[i]);
      if (length == 1) {
        run[i] = simple(pool, Op::Mul, from_top[j], exprel(pool, simple(pool, Op::Sub, x[i], x[j])));
        continue;
      }
      const ExprId limit = pool.constant(reach);
      std::vector<ExprId> z;                           // clamped: the unused series stays finite
      for (int k = i + 1; k <= j; ++k) {
        z.push_back(simple(pool, Op::Min, simple(pool, Op::Sub, x[k], x[i]), limit));
      }
      const ExprId near = simple(pool, Op::Mul, from_top[i], taylor(pool, z, terms));
      const ExprId far = simple(pool, Op::Div, simple(pool, Op::Sub, run[i + 1], run[i]),
                                simple(pool, Op::Max, spread, limit));
      run[i] = simple(pool, Op::Select, pool.make(Op::LessEqual, spread, limit), near, far);
    }
  }
  return simple(pool, Op::Mul, pool.make(Op::Exp, x[n]), run[0]);
}

}  // namespace hebb
