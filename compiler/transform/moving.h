#pragma once
// The flowing variables of one rule or neuron, and their closed forms. Everything else (params, neuron
// values, signals, reductions) is held over the step.

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/expr/polynomial.h"
#include "compiler/model/model.h"

namespace hebb {

/// One element of one flowing variable.
struct Mover {
  VarId variable;
  uint32_t element = 0;
  ExprId node;        // its Var node
  ExprId rate;        // lets that move are written out; simplified
};

struct Moving {
  std::vector<Mover> movers;
  std::unordered_map<uint32_t, size_t> index;  // value of the Var node → mover

  const Mover* find(ExprId id) const;
  /// Depends on a flowing variable?
  bool moves(const ExprPool& pool, ExprId root) const;
  /// Movers that `root` mentions, in order.
  std::vector<size_t> mentioned(const ExprPool& pool, ExprId root) const;
};

Moving moving_variables(Model& model, const Dynamics& dynamics);

/// z' = -decay * z + the sum of `sources`, each a constant times a product of variables of the class.
struct LinearRate {
  ExprId decay;
  std::vector<PolynomialTerm> sources;
};

/// The exp-polynomial class: variables whose rate is linear in themselves with a constant coefficient and
/// a polynomial in variables found to be in the class before. Products of such variables obey the same
/// kind of equation, so the solution is a finite sum over chains of products
///   z(t + dt) = sum of (product of coefficients) * m_n(t) * dt^n * exp[-λ_0 dt, …, -λ_n dt].
class ExactClass {
 public:
  ExactClass(Model& model, const Moving& moving);

  bool contains(size_t mover) const { return rates_[mover].has_value(); }
  const LinearRate& rate(size_t mover) const { return *rates_[mover]; }
  /// Why a variable is not in the class: one clause.
  const std::string& obstacle(size_t mover) const { return obstacles_[mover]; }
  /// Value at t + dt; invalid when the sum has too many terms to be worth it.
  ExprId next(size_t mover);

 private:
  void classify();
  std::optional<Polynomial> polynomial(size_t mover);
  bool admit(size_t mover, const Polynomial& rate);
  const LinearRate& equation_of(const Monomial& monomial);
  ExprId value_of(const Monomial& monomial);

  Model& model_;
  const Moving& moving_;
  std::vector<std::optional<LinearRate>> rates_;
  std::vector<std::string> obstacles_;
  std::map<Monomial, LinearRate> products_;
};

/// rate * time, written so that 1/tau * dt is dt/tau.
ExprId over_time(ExprPool& pool, ExprId rate, ExprId time);

}  // namespace hebb
