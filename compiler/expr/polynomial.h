#pragma once
// An expression as a sum of monomials in chosen generators, with coefficients free of them. What Horner
// staging and the exact solver both start from.

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/expr/pool.h"

namespace hebb {

/// Generators with their powers (all at least 1), in increasing order of id. Empty: 1.
using Monomial = std::vector<std::pair<ExprId, int>>;
Monomial product(const Monomial& a, const Monomial& b);
int degree(const Monomial& m);

struct PolynomialTerm {
  Monomial powers;
  ExprId coefficient;
};

/// Like terms are merged; in order of first appearance.
class Polynomial {
 public:
  void add(ExprPool& pool, const Monomial& powers, ExprId coefficient);
  const std::vector<PolynomialTerm>& terms() const { return terms_; }
  size_t size() const { return terms_.size(); }

 private:
  std::vector<PolynomialTerm> terms_;
  std::map<Monomial, size_t> index_;
};

enum class Part {
  Coefficient,  // free of generators
  Generator,    // one of them
  Inside,       // to be expanded: a sum, product, whole power, quotient, or `if` of a coefficient
};
using Classify = std::function<Part(ExprId id, const ExprNode& node)>;

struct Expansion {
  std::optional<Polynomial> polynomial;
  ExprId obstacle;  // without a polynomial: the node that is none (or that grew beyond the limit)
};

/// Terms with coefficient 0 are left out. A quotient is expanded when its divisor is a coefficient or a
/// generator; `reciprocal` then names the generator for 1/divisor (or says no with an invalid id).
Expansion expand(ExprPool& pool, ExprId root, const Classify& classify, size_t max_terms,
                 const std::function<ExprId(ExprId divisor)>& reciprocal = {});

}  // namespace hebb
