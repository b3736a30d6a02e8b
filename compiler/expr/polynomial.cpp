#include "compiler/expr/polynomial.h"

#include <cmath>

#include "compiler/expr/simplify.h"

namespace hebb {

Monomial product(const Monomial& a, const Monomial& b) {
  Monomial result;
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (j == b.size() || (i < a.size() && a[i].first < b[j].first)) result.push_back(a[i++]);
    else if (i == a.size() || b[j].first < a[i].first) result.push_back(b[j++]);
    else {
      result.emplace_back(a[i].first, a[i].second + b[j].second);
      ++i, ++j;
    }
  }
  return result;
}

int degree(const Monomial& m) {
  int sum = 0;
  for (const auto& [generator, power] : m) sum += power;
  return sum;
}

void Polynomial::add(ExprPool& pool, const Monomial& powers, ExprId coefficient) {
  if (pool.is_constant(coefficient, 0)) return;
  const auto [entry, is_new] = index_.try_emplace(powers, terms_.size());
  if (is_new) {
    terms_.push_back({.powers = powers, .coefficient = coefficient});
    return;
  }
  ExprId& sum = terms_[entry->second].coefficient;
  sum = simple(pool, Op::Add, sum, coefficient);
}

namespace {

constexpr int kLargestPower = 12;
constexpr int kLargestDegree = 1000;  // Horner staging nests as deep
/// Nodes are shared: a chain of names that each use the one before twice is a few of them, and as many paths as would never be walked.
constexpr int64_t kMostVisits = 1 << 20;

class Expander {
 public:
  Expander(ExprPool& pool, const Classify& classify, size_t max_terms,
           const std::function<ExprId(ExprId)>& reciprocal)
      : pool_(pool), classify_(classify), max_terms_(max_terms), reciprocal_(reciprocal) {}

  ExprId obstacle;

  // Sums lean left and can be thousands long: they are flattened with a stack. Recursion follows the
  // nesting of parentheses only.
  bool sum(ExprId root, Polynomial& into) {
    struct Item { ExprId id; bool negative; };
    std::vector<Item> stack = {{root, false}};
    while (!stack.empty()) {
      const auto [id, negative] = stack.back();
      stack.pop_back();
      if (++visits_ > kMostVisits) return fail(root);
      const ExprNode node = pool_[id];
      if (classify_(id, node) == Part::Inside) {
        if (node.op == Op::Add || node.op == Op::Sub) {
          stack.push_back({node.operands[1], negative != (node.op == Op::Sub)});
          stack.push_back({node.operands[0], negative});
          continue;
        }
        if (node.op == Op::Neg) {
          stack.push_back({node.operands[0], !negative});
          continue;
        }
        if (node.op == Op::Fma) {
          stack.push_back({node.operands[2], negative});
          stack.push_back({pool_.mul(node.operands[0], node.operands[1]), negative});
          continue;
        }
      }
      const ExprId scale = pool_.constant(negative ? -1 : 1);
      if (!term(id, node, scale, into)) return false;
      if (into.size() > max_terms_) return fail(root);
    }
    return true;
  }

 private:
  bool fail(ExprId id) {
    obstacle = id;
    return false;
  }
  ExprId times(ExprId a, ExprId b) { return simple(pool_, Op::Mul, a, b); }

  /// Adds scale * (the product at `id`).
  bool term(ExprId id, const ExprNode& node, ExprId scale, Polynomial& into) {
    if (classify_(id, node) == Part::Coefficient) {
      into.add(pool_, {}, times(scale, id));
      return true;
    }
    ExprId coefficient = scale;
    Monomial powers;
    std::vector<Polynomial> sums;                      // factors that are sums themselves
    std::vector<ExprId> factors = {id};
    while (!factors.empty()) {
      const ExprId factor = factors.back();
      factors.pop_back();
      if (++visits_ > kMostVisits) return fail(id);
      const ExprNode f = pool_[factor];
      const Part part = classify_(factor, f);
      if (part == Part::Coefficient) coefficient = times(coefficient, factor);
      else if (part == Part::Generator) powers = product(powers, {{factor, 1}});
      else if (!inside(factor, f, factors, coefficient, powers, sums)) return false;
    }
    return distribute(id, coefficient, powers, sums, into);
  }

  bool inside(ExprId id, const ExprNode& node, std::vector<ExprId>& factors, ExprId& coefficient,
              Monomial& powers, std::vector<Polynomial>& sums) {
    switch (node.op) {
      case Op::Mul:
        factors.push_back(node.operands[1]);
        factors.push_back(node.operands[0]);
        return true;
      case Op::Neg:
        coefficient = simple(pool_, Op::Neg, coefficient);
        factors.push_back(node.operands[0]);
        return true;
      case Op::Pow: {
        if (!pool_.is_constant(node.operands[1])) return fail(id);
        const double exponent = pool_[node.operands[1]].value;
        if (exponent != std::floor(exponent) || exponent < 0 || exponent > kLargestPower) return fail(id);
        for (int k = 0; k < static_cast<int>(exponent); ++k) factors.push_back(node.operands[0]);
        return true;
      }
      case Op::Div: {
        const ExprId divisor = node.operands[1];
        factors.push_back(node.operands[0]);
        if (classify_(divisor, pool_[divisor]) == Part::Coefficient) {
          coefficient = simple(pool_, Op::Div, coefficient, divisor);
          return true;
        }
        const ExprId generator = reciprocal_ ? reciprocal_(divisor) : ExprId{};
        if (!generator.valid()) return fail(id);
        powers = product(powers, {{generator, 1}});
        return true;
      }
      case Op::Add: case Op::Sub: case Op::Fma:
        sums.emplace_back();
        return sum(id, sums.back());
      case Op::Select: return choice(id, node, sums);
      default: return fail(id);
    }
  }

  /// if c then a else b, c a coefficient: terms that are there or not.
  bool choice(ExprId id, const ExprNode& node, std::vector<Polynomial>& sums) {
    const ExprId condition = node.operands[0], zero = pool_.constant(0);
    if (classify_(condition, pool_[condition]) != Part::Coefficient) return fail(id);
    Polynomial both;
    for (int k = 1; k <= 2; ++k) {
      Polynomial branch;
      if (!sum(node.operands[k], branch)) return false;
      for (const PolynomialTerm& t : branch.terms()) {
        both.add(pool_, t.powers, simple(pool_, Op::Select, condition, k == 1 ? t.coefficient : zero,
                                         k == 1 ? zero : t.coefficient));
      }
    }
    sums.push_back(std::move(both));
    return true;
  }

  bool distribute(ExprId id, ExprId coefficient, const Monomial& powers,
                  const std::vector<Polynomial>& sums, Polynomial& into) {
    if (degree(powers) > kLargestDegree) return fail(id);
    Polynomial expanded;
    expanded.add(pool_, powers, coefficient);
    for (const Polynomial& factor : sums) {
      if (expanded.size() * factor.size() > max_terms_) return fail(id);
      Polynomial next;
      for (const PolynomialTerm& a : expanded.terms()) {
        for (const PolynomialTerm& b : factor.terms()) {
          const Monomial powers_of_both = product(a.powers, b.powers);
          if (degree(powers_of_both) > kLargestDegree) return fail(id);
          next.add(pool_, powers_of_both, times(a.coefficient, b.coefficient));
        }
      }
      expanded = std::move(next);
    }
    for (const PolynomialTerm& t : expanded.terms()) into.add(pool_, t.powers, t.coefficient);
    return true;
  }

  ExprPool& pool_;
  const Classify& classify_;
  size_t max_terms_;
  int64_t visits_ = 0;
  const std::function<ExprId(ExprId)>& reciprocal_;
};

}  // namespace

Expansion expand(ExprPool& pool, ExprId root, const Classify& classify, size_t max_terms,
                 const std::function<ExprId(ExprId divisor)>& reciprocal) {
  Expander expander(pool, classify, max_terms, reciprocal);
  Polynomial result;
  if (!expander.sum(root, result)) return {.polynomial = {}, .obstacle = expander.obstacle};
  // Like terms may have cancelled.
  Polynomial cleaned;
  for (const PolynomialTerm& t : result.terms()) cleaned.add(pool, t.powers, t.coefficient);
  return {.polynomial = std::move(cleaned), .obstacle = {}};
}

}  // namespace hebb
