// Horner staging. The value of a synapse's expression depends on four kinds of leaves: uniform (0), pre (1),
// post (2) and row (3). Only what mentions the row, or pre and post together, has to be computed per
// synapse. So a polynomial is written with the row's variables outside,
//   A_0 + w*(A_1 + w*A_2),   A_c = B_0c + x*(B_1c + x*B_2c),
// where each B mentions post and uniform leaves only and is computed once per post neuron.

#include <algorithm>

#include "compiler/expr/polynomial.h"
#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"

namespace hebb {

namespace {

constexpr int kPre = 1, kPost = 2, kRow = 3;
constexpr size_t kMaxTerms = 4096;
constexpr uint8_t kUnknown = 0xFF;
using Terms = std::vector<PolynomialTerm>;

class Staging {
 public:
  Staging(ExprPool& pool, const LevelOf& level, ExprId root, bool multiply_out) : pool_(pool), level_(level) {
    uses_.assign(root.value + 1, 0);
    if (multiply_out) return;   // as if nothing were shared
    for (const ExprId id : nodes_below(pool, std::span(&root, 1))) {
      const ExprNode node = pool[id];
      for (int k = 0; k < node.count; ++k) ++uses_[node.operands[k].value];
    }
  }

  ExprId rewrite(ExprId id);

 private:
  // --- which leaves a node mentions: bits 1 << level of the levels above uniform
  uint8_t mask(ExprId root);
  /// Uniform 0, pre 1, post 2; 3 for the row, and for what mixes pre and post.
  int place(ExprId id) {
    switch (mask(id)) {
      case 0: return 0;
      case 1 << kPre: return kPre;
      case 1 << kPost: return kPost;
      default: return kRow;
    }
  }

  ExprId rewrite_operands(ExprId id, const ExprNode& node);
  ExprId rewrite_polynomial(ExprId id);
  ExprId rewrite_atom(ExprId id);
  ExprId rewrite_atoms(ExprId id);
  Part classify(ExprId id, const ExprNode& node);
  bool is_shared(ExprId id) const { return id.value < uses_.size() && uses_[id.value] > 1; }
  bool is_common(ExprId id, const ExprNode& node);
  Expansion expanded(ExprId id);
  int row_cost(ExprId root);

  // Not `simple`: x * (1/tau) must stay a product with a hoisted reciprocal.
  ExprId times(ExprId a, ExprId b) {
    if (pool_.is_constant(a, 1)) return b;
    if (pool_.is_constant(b, 1)) return a;
    return pool_.mul(a, b);
  }
  ExprId plus(ExprId a, ExprId b) {
    if (!a.valid()) return b;
    if (!b.valid()) return a;
    // a + (-1)*b, as a difference
    if (pool_[b].op == Op::Neg) return pool_.sub(a, pool_[b].operands[0]);
    return pool_.add(a, b);
  }

  int count_in(const PolynomialTerm& term, int place_wanted) {
    int count = 0;
    for (const auto& [generator, power] : term.powers) count += place(generator) == place_wanted;
    return count;
  }
  ExprId most_frequent(const Terms& terms, int place_wanted);
  /// Horner in the generators of one place; what is left of each coefficient goes to `rest`.
  ExprId horner_in(int place_wanted, Terms terms, const std::function<ExprId(const Terms&)>& rest);
  struct Piece { ExprId generator, factor; };
  void take_single_terms(int place_wanted, Terms& terms,
                         const std::function<ExprId(const Terms&)>& rest, std::vector<Piece>& pieces);
  ExprId constant_sum(const Terms& terms);
  ExprId pure(int place_wanted, const Terms& terms);
  ExprId outer(const Terms& terms);

  ExprPool& pool_;
  const LevelOf& level_;
  std::vector<uint8_t> mask_;
  std::vector<uint32_t> uses_;                         // of the nodes the root had
  std::map<ExprId, bool> common_;
  std::vector<ExprId> done_;
};

uint8_t Staging::mask(ExprId root) {
  if (mask_.size() <= root.value) mask_.resize(std::max<size_t>(pool_.size(), root.value + 1), kUnknown);
  if (mask_[root.value] != kUnknown) return mask_[root.value];
  std::vector<ExprId> stack = {root};
  while (!stack.empty()) {
    const ExprId id = stack.back();
    const ExprNode node = pool_[id];
    uint8_t bits = 0;
    bool ready = true;
    for (int k = 0; k < node.count; ++k) {
      const uint8_t below = mask_[node.operands[k].value];
      if (below == kUnknown) {
        stack.push_back(node.operands[k]);
        ready = false;
      }
      bits |= below;
    }
    if (!ready) continue;
    stack.pop_back();
    if (node.count == 0 && node.op != Op::Const) {
      const int level = std::min(level_(node), kRow);
      bits = level <= 0 ? 0 : static_cast<uint8_t>(1 << level);
    }
    mask_[id.value] = bits;
  }
  return mask_[root.value];
}

bool is_whole_power(const ExprPool& pool, const ExprNode& node) {
  if (node.op != Op::Pow || !pool.is_constant(node.operands[1])) return false;
  const double exponent = pool[node.operands[1]].value;
  return exponent >= 1 && exponent <= 12 && exponent == static_cast<int>(exponent);
}

bool is_sum(const ExprNode& node) {
  return node.op == Op::Add || node.op == Op::Sub || node.op == Op::Fma;
}

Part Staging::classify(ExprId id, const ExprNode& node) {
  const int where = place(id);
  if (where == 0) return Part::Coefficient;
  if (node.op == Op::Mul || node.op == Op::Neg || is_whole_power(pool_, node)) return Part::Inside;
  // A sum of one outer place is computed there as it stands.
  if (where < kRow) return Part::Generator;
  if (is_sum(node)) return Part::Inside;
  if (node.op == Op::Div && place(node.operands[1]) < kRow) return Part::Inside;
  return Part::Generator;
}

ExprId Staging::most_frequent(const Terms& terms, int place_wanted) {
  std::vector<std::pair<ExprId, int>> counts;
  std::map<ExprId, size_t> index;
  for (const PolynomialTerm& term : terms) {
    for (const auto& [generator, power] : term.powers) {
      if (place(generator) != place_wanted) continue;
      const auto [entry, is_new] = index.try_emplace(generator, counts.size());
      if (is_new) counts.emplace_back(generator, 0);
      ++counts[entry->second].second;
    }
  }
  const auto best = std::max_element(counts.begin(), counts.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return best == counts.end() ? ExprId{} : best->first;
}

void Staging::take_single_terms(int place_wanted, Terms& terms,
                                const std::function<ExprId(const Terms&)>& rest,
                                std::vector<Piece>& pieces) {
  Terms without;
  for (PolynomialTerm& term : terms) {
    const auto power = std::find_if(term.powers.begin(), term.powers.end(),
                                    [&](const auto& p) { return place(p.first) == place_wanted; });
    if (power == term.powers.end()) {
      without.push_back(std::move(term));
      continue;
    }
    const ExprId generator = power->first;
    if (--power->second == 0) term.powers.erase(power);
    pieces.push_back({generator, horner_in(place_wanted, {std::move(term)}, rest)});
  }
  terms = std::move(without);
}

ExprId Staging::horner_in(int place_wanted, Terms terms,
                          const std::function<ExprId(const Terms&)>& rest) {
  std::vector<Piece> pieces;
  while (true) {
    const ExprId generator = most_frequent(terms, place_wanted);
    if (!generator.valid()) break;
    Terms with, without;
    for (PolynomialTerm& term : terms) {
      const auto power = std::find_if(term.powers.begin(), term.powers.end(),
                                      [&](const auto& p) { return p.first == generator; });
      if (power == term.powers.end()) {
        without.push_back(std::move(term));
        continue;
      }
      if (--power->second == 0) term.powers.erase(power);
      with.push_back(std::move(term));
    }
    const bool each_once = with.size() == 1;
    pieces.push_back({generator, horner_in(place_wanted, std::move(with), rest)});
    terms = std::move(without);
    if (each_once) {                                   // one pass for the rest of a long linear sum
      take_single_terms(place_wanted, terms, rest, pieces);
      break;
    }
  }
  ExprId sum = terms.empty() ? ExprId{} : rest(terms);
  for (const auto& [generator, factor] : pieces) {
    if (pool_.is_constant(factor, -1)) sum = plus(sum, pool_.neg(generator));
    else sum = plus(sum, times(generator, factor));
  }
  return sum;
}

ExprId Staging::constant_sum(const Terms& terms) {
  ExprId sum;
  for (const PolynomialTerm& term : terms) {
    assert(term.powers.empty() && "all generators have been factored out");
    sum = plus(sum, term.coefficient);
  }
  return sum;
}

ExprId Staging::pure(int place_wanted, const Terms& terms) {
  return horner_in(place_wanted, terms, [&](const Terms& t) { return constant_sum(t); });
}

bool divides(const Monomial& a, const Monomial& b) {
  return std::all_of(a.begin(), a.end(), [&](const auto& factor) {
    return std::any_of(b.begin(), b.end(), [&](const auto& other) {
      return other.first == factor.first && other.second >= factor.second;
    });
  });
}

/// Terms in pre and post generators: as few operations as possible mention both.
ExprId Staging::outer(const Terms& terms) {
  const auto part_at = [&](const PolynomialTerm& term, int where) {
    Monomial part;
    for (const auto& factor : term.powers) {
      if (place(factor.first) == where) part.push_back(factor);
    }
    return part;
  };
  std::vector<Monomial> mixed_pre, mixed_post;         // distinct monomials among the mixed terms
  const auto insert = [](std::vector<Monomial>& set, Monomial m) {
    if (std::find(set.begin(), set.end(), m) == set.end()) set.push_back(std::move(m));
  };
  for (const PolynomialTerm& term : terms) {
    if (count_in(term, kPre) == 0 || count_in(term, kPost) == 0) continue;
    insert(mixed_pre, part_at(term, kPre));
    insert(mixed_post, part_at(term, kPost));
  }
  // `a` keeps its powers in the inner loop; the coefficients live at `b`.
  const bool keep_pre = mixed_pre.size() <= mixed_post.size();
  const int a = keep_pre ? kPre : kPost, b = keep_pre ? kPost : kPre;
  const std::vector<Monomial>& mixed = keep_pre ? mixed_pre : mixed_post;

  Terms staged, alone;                                 // alone: computed at `a` as a whole
  for (const PolynomialTerm& term : terms) {
    const bool only_a = count_in(term, a) > 0 && count_in(term, b) == 0;
    const Monomial part = part_at(term, a);
    const bool rides = std::any_of(mixed.begin(), mixed.end(),
                                   [&](const Monomial& m) { return divides(part, m); });
    (only_a && !rides ? alone : staged).push_back(term);
  }
  const ExprId inner = horner_in(a, staged, [&](const Terms& t) { return pure(b, t); });
  return plus(inner, alone.empty() ? ExprId{} : pure(a, alone));
}

/// Operations of the inner loop, roughly: a sum with a product of its own counts once.
int Staging::row_cost(ExprId root) {
  const std::vector<ExprId> nodes = nodes_below(pool_, std::span(&root, 1));
  std::vector<uint8_t> uses(root.value + 1, 0);
  const auto in_row = [&](ExprId id) { return place(id) == kRow && pool_[id].count > 0; };
  for (const ExprId id : nodes) {
    const ExprNode node = pool_[id];
    for (int k = 0; k < node.count; ++k) {
      uint8_t& count = uses[node.operands[k].value];
      count = static_cast<uint8_t>(std::min(count + 1, 2));
    }
  }
  int cost = 0;
  for (const ExprId id : nodes) {
    if (!in_row(id)) continue;
    const ExprNode node = pool_[id];
    if (info(node.op).is_transcendental) cost += 40;
    else if (node.op == Op::Div || node.op == Op::Sqrt || node.op == Op::Mod) cost += 10;
    else cost += node.op == Op::Neg ? 1 : 2;
    if (node.op != Op::Add && node.op != Op::Sub) continue;
    for (int k = 0; k < 2; ++k) {
      const ExprId product = node.operands[k];
      if (pool_[product].op != Op::Mul || !in_row(product) || uses[product.value] != 1) continue;
      cost -= 2;
      break;
    }
  }
  return cost;
}

ExprId Staging::rewrite_operands(ExprId id, const ExprNode& node) {
  if (node.count == 0) return id;
  ExprId operands[3];
  bool same = true;
  for (int k = 0; k < node.count; ++k) {
    operands[k] = rewrite(node.operands[k]);
    same = same && operands[k] == node.operands[k];
  }
  return same ? id : remake(pool_, node.op, std::span(operands, node.count));
}

ExprId Staging::rewrite_atom(ExprId id) {
  const ExprNode node = pool_[id];
  return classify(id, node) == Part::Inside ? rewrite(id) : rewrite_operands(id, node);
}

ExprId Staging::rewrite_polynomial(ExprId id) {
  const Expansion expansion = expanded(id);
  if (!expansion.polynomial) return {};
  if (expansion.polynomial->size() == 0) return pool_.constant(0);

  // Atoms, too, have polynomials inside.
  Terms terms;
  for (const PolynomialTerm& term : expansion.polynomial->terms()) {
    PolynomialTerm staged{.powers = {}, .coefficient = term.coefficient};
    for (const auto& [generator, power] : term.powers) {
      const bool is_atom = place(generator) == kRow && pool_[generator].count > 0;
      const ExprId atom = is_atom ? rewrite_atom(generator) : generator;
      if (place(atom) > 0) {
        staged.powers = product(staged.powers, {{atom, power}});
      } else {                                         // what it mentioned has cancelled
        staged.coefficient = times(staged.coefficient, integer_power(pool_, atom, power));
      }
    }
    terms.push_back(std::move(staged));
  }
  return horner_in(kRow, std::move(terms), [&](const Terms& t) { return outer(t); });
}

/// A polynomial that others need too is computed once and not multiplied out, unless all but one of its
/// terms can be hoisted.
bool Staging::is_common(ExprId id, const ExprNode& node) {
  if (!is_shared(id) || place(id) < kRow || classify(id, node) != Part::Inside) return false;
  const auto known = common_.find(id);
  if (known != common_.end()) return known->second;
  const Expansion expansion = expanded(id);
  int row_terms = 0;
  if (expansion.polynomial) {
    for (const PolynomialTerm& term : expansion.polynomial->terms()) {
      row_terms += count_in(term, kRow) > 0 || (count_in(term, kPre) > 0 && count_in(term, kPost) > 0);
    }
  }
  return common_[id] = !expansion.polynomial || row_terms > 1;
}

Expansion Staging::expanded(ExprId id) {
  const auto reciprocal = [&](ExprId divisor) {
    return place(divisor) < kRow ? pool_.div(pool_.constant(1), divisor) : ExprId{};
  };
  const auto part_of = [&](ExprId part, const ExprNode& node) {
    return part != id && is_common(part, node) ? Part::Generator : classify(part, node);
  };
  const size_t as_written = nodes_below(pool_, std::span(&id, 1)).size();
  return expand(pool_, id, part_of, std::max(kMaxTerms, as_written), reciprocal);
}

/// The polynomial as the user wrote it, with its atoms rewritten.
ExprId Staging::rewrite_atoms(ExprId root) {
  std::vector<ExprId> region, stack = {root};
  std::map<ExprId, ExprId> rewritten;
  while (!stack.empty()) {
    const ExprId id = stack.back();
    stack.pop_back();
    if (rewritten.contains(id)) continue;
    const ExprNode node = pool_[id];
    if (place(id) < kRow || node.count == 0) {
      rewritten[id] = id;
    } else if (classify(id, node) != Part::Inside || (id != root && is_common(id, node))) {
      rewritten[id] = rewrite(id);
    } else {
      rewritten[id] = {};
      region.push_back(id);
      stack.insert(stack.end(), node.operands, node.operands + node.count);
    }
  }
  std::sort(region.begin(), region.end());
  for (const ExprId id : region) {
    const ExprNode node = pool_[id];
    ExprId operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = rewritten.at(node.operands[k]);
    rewritten[id] = remake(pool_, node.op, std::span(operands, node.count));
  }
  return rewritten.at(root);
}

ExprId Staging::rewrite(ExprId id) {
  if (done_.size() <= id.value) done_.resize(std::max<size_t>(pool_.size(), id.value + 1));
  if (done_[id.value].valid()) return done_[id.value];
  const ExprNode node = pool_[id];
  ExprId result = id;
  if (place(id) == kRow && node.count > 0) {
    if (classify(id, node) == Part::Inside) {
      // Where staging saves nothing the expression stays as the user wrote it.
      const ExprId staged = rewrite_polynomial(id);
      result = rewrite_atoms(id);
      if (staged.valid() && row_cost(staged) < row_cost(result)) result = staged;
    } else {
      result = rewrite_operands(id, node);
    }
  }
  if (done_.size() <= id.value) done_.resize(pool_.size());
  return done_[id.value] = result;
}

}  // namespace

ExprId horner(ExprPool& pool, ExprId root, const LevelOf& level, bool multiply_out) {
  return Staging(pool, level, root, multiply_out).rewrite(root);
}

}  // namespace hebb
