#include <algorithm>
#include <map>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"
#include "compiler/transform/moving.h"
#include "compiler/transform/spelling.h"

namespace hebb {

namespace {

constexpr size_t kMaxRateTerms = 256;    // of a rate as a polynomial
constexpr size_t kMaxSolutionTerms = 64; // of a closed form
constexpr size_t kMaxChain = 6;          // divided differences of up to this order
constexpr size_t kMaxChains = 512;

}  // namespace

ExprId over_time(ExprPool& pool, ExprId rate, ExprId time) {
  const ExprNode node = pool[rate];
  if (node.op == Op::Neg) return simple(pool, Op::Neg, over_time(pool, node.operands[0], time));
  if (node.op == Op::Div) {
    return simple(pool, Op::Div, over_time(pool, node.operands[0], time), node.operands[1]);
  }
  if (pool.is_constant(rate, 1)) return time;
  return simple(pool, Op::Mul, rate, time);
}

ExactClass::ExactClass(Model& model, const Moving& moving)
    : model_(model), moving_(moving), rates_(moving.movers.size()), obstacles_(moving.movers.size()) {
  classify();
}

/// The rate as a polynomial in all flowing variables.
std::optional<Polynomial> ExactClass::polynomial(size_t mover) {
  const ExprId rate = moving_.movers[mover].rate;
  std::unordered_map<uint32_t, bool> moves;
  for (const ExprId id : nodes_below(model_.pool, std::span(&rate, 1))) {
    const ExprNode node = model_.pool[id];
    bool any = moving_.index.contains(id.value);
    for (int k = 0; k < node.count; ++k) any = any || moves.at(node.operands[k].value);
    moves[id.value] = any;
  }
  const Classify classify = [&](ExprId id, const ExprNode&) {
    if (moving_.index.contains(id.value)) return Part::Generator;
    // Nodes made while expanding are products of nodes of the rate.
    const auto found = moves.find(id.value);
    const bool any = found == moves.end() ? moving_.moves(model_.pool, id) : found->second;
    return any ? Part::Inside : Part::Coefficient;
  };
  Expansion expansion = expand(model_.pool, rate, classify, kMaxRateTerms);
  if (!expansion.polynomial) {
    obstacles_[mover] = cat(spelled(model_, expansion.obstacle), " is not a decaying trace");
  }
  return std::move(expansion.polynomial);
}

bool ExactClass::admit(size_t mover, const Polynomial& rate) {
  const ExprId self = moving_.movers[mover].node;
  ExprPool& pool = model_.pool;
  LinearRate linear{.decay = pool.constant(0), .sources = {}};
  for (const PolynomialTerm& term : rate.terms()) {
    if (term.powers == Monomial{{self, 1}}) {
      linear.decay = simple(pool, Op::Neg, term.coefficient);
      continue;
    }
    for (const auto& [generator, power] : term.powers) {
      const Mover& other = moving_.movers[moving_.index.at(generator.value)];
      if (generator == self) {
        const std::string name = spelled(model_, other.variable, other.element);
        obstacles_[mover] = power > 1 || term.powers.size() == 1
                                ? cat("not linear in ", name)
                                : cat(name, " is multiplied by a variable that moves");
        return false;
      }
      if (!rates_[moving_.index.at(generator.value)]) {
        obstacles_[mover] = cat("depends on ", spelled(model_, other.variable, other.element),
                                ", which has no closed form");
        return false;
      }
    }
    linear.sources.push_back(term);
  }
  rates_[mover] = std::move(linear);
  obstacles_[mover].clear();
  return true;
}

void ExactClass::classify() {
  std::vector<std::optional<Polynomial>> rates;
  for (size_t k = 0; k < moving_.movers.size(); ++k) rates.push_back(polynomial(k));
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t k = 0; k < rates.size(); ++k) {
      if (!contains(k) && rates[k] && admit(k, *rates[k])) changed = true;
    }
  }
  for (size_t k = 0; k < rates.size(); ++k) {          // "depends on y" where y depends on x: say so
    if (contains(k) || !rates[k]) continue;
    const std::vector<size_t> others = moving_.mentioned(model_.pool, moving_.movers[k].rate);
    for (const size_t other : others) {
      if (other == k || contains(other) || !rates[other]) continue;
      const std::vector<size_t> back = moving_.mentioned(model_.pool, moving_.movers[other].rate);
      if (!std::count(back.begin(), back.end(), k) || !obstacles_[k].starts_with("depends on")) continue;
      const Mover& partner = moving_.movers[other];
      obstacles_[k] = cat("coupled both ways with ", spelled(model_, partner.variable, partner.element));
    }
  }
}

/// The equation a product of variables of the class obeys.
const LinearRate& ExactClass::equation_of(const Monomial& monomial) {
  const auto known = products_.find(monomial);
  if (known != products_.end()) return known->second;
  ExprPool& pool = model_.pool;
  ExprId decay = pool.constant(0);
  Polynomial sources;
  for (const auto& [generator, power] : monomial) {
    const LinearRate& own = *rates_[moving_.index.at(generator.value)];
    const ExprId times = pool.constant(power);
    decay = simple(pool, Op::Add, decay, simple(pool, Op::Mul, times, own.decay));
    Monomial rest = monomial;
    const auto entry = std::find_if(rest.begin(), rest.end(), [&](const auto& p) { return p.first == generator; });
    if (--entry->second == 0) rest.erase(entry);
    for (const PolynomialTerm& source : own.sources) {
      sources.add(pool, product(rest, source.powers), simple(pool, Op::Mul, times, source.coefficient));
    }
  }
  return products_[monomial] = {.decay = decay, .sources = sources.terms()};
}

ExprId ExactClass::value_of(const Monomial& monomial) {
  ExprId value = model_.pool.constant(1);
  for (const auto& [generator, power] : monomial) {
    value = simple(model_.pool, Op::Mul, value, integer_power(model_.pool, generator, power));
  }
  return value;
}

ExprId ExactClass::next(size_t mover) {
  ExprPool& pool = model_.pool;
  struct Chain { Monomial end; std::vector<ExprId> decays; ExprId coefficient; };
  // Divided differences do not depend on the order of their nodes: chains through the same products
  // in another order are one term.
  using Key = std::pair<Monomial, std::vector<ExprId>>;
  std::vector<Key> order;
  std::map<Key, ExprId> sum;

  std::vector<Chain> chains = {{.end = {{moving_.movers[mover].node, 1}}, .decays = {}, .coefficient = pool.constant(1)}};
  for (size_t k = 0; k < chains.size(); ++k) {
    if (chains.size() > kMaxChains) return {};
    Chain chain = chains[k];
    const LinearRate equation = equation_of(chain.end);
    chain.decays.push_back(equation.decay);
    if (chain.decays.size() > kMaxChain + 1) return {};
    Key key{chain.end, chain.decays};
    std::sort(key.second.begin(), key.second.end());
    const auto [entry, is_new] = sum.try_emplace(key, chain.coefficient);
    if (is_new) order.push_back(std::move(key));
    else entry->second = simple(pool, Op::Add, entry->second, chain.coefficient);
    for (const PolynomialTerm& source : equation.sources) {
      chains.push_back({.end = source.powers, .decays = chain.decays,
                        .coefficient = simple(pool, Op::Mul, chain.coefficient, source.coefficient)});
    }
  }
  if (order.size() > kMaxSolutionTerms) return {};

  const ExprId dt = pool.dt();
  ExprId result = pool.constant(0);
  for (const Key& key : order) {
    const auto& [end, decays] = key;
    std::vector<ExprId> nodes;
    for (const ExprId decay : decays) nodes.push_back(simple(pool, Op::Neg, over_time(pool, decay, dt)));
    ExprId factor = sum.at(key);
    for (size_t n = 1; n < decays.size(); ++n) factor = over_time(pool, factor, dt);
    factor = simple(pool, Op::Mul, factor, exp_divided_difference(pool, nodes));
    result = simple(pool, Op::Add, result, simple(pool, Op::Mul, value_of(end), factor));
  }
  return result;
}

}  // namespace hebb
