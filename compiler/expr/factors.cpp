// Products of a synapse with factors that are the same for a whole row of synapses.

#include <algorithm>

#include "compiler/expr/transform.h"

namespace hebb {

namespace {

constexpr int kPre = 1, kPost = 2, kRow = 3;
constexpr size_t kMostFactors = 8;

class Gather {
 public:
  Gather(ExprPool& pool, const LevelOf& level) : pool_(pool), level_(level) {}

  std::vector<ExprId> operator()(std::span<const ExprId> roots) {
    for (const ExprId id : nodes_below(pool_, roots)) done_[id.value] = rewrite(pool_[id], id);
    std::vector<ExprId> out;
    for (const ExprId root : roots) out.push_back(root.valid() ? done_.at(root.value) : root);
    return out;
  }

 private:
  ExprId rewrite(const ExprNode& node, ExprId id) {
    ExprId operands[3];
    bool same = true;
    for (int k = 0; k < node.count; ++k) {
      operands[k] = done_.at(node.operands[k].value);
      same = same && operands[k] == node.operands[k];
    }
    if (node.op == Op::Mul) return product(operands[0], operands[1]);
    return same ? id : remake(pool_, node.op, std::span(operands, node.count));
  }

  ExprId product(ExprId a, ExprId b) {
    std::vector<ExprId> factors, rows, others;
    flatten(a, factors);
    flatten(b, factors);
    for (const ExprId factor : factors) (level(factor) <= kPre ? rows : others).push_back(factor);
    if (rows.size() < 2 || others.empty() || factors.size() > kMostFactors) return pool_.mul(a, b);
    return pool_.mul(multiplied(others), multiplied(rows));
  }

  void flatten(ExprId id, std::vector<ExprId>& factors) {
    const ExprNode node = pool_[id];
    if (node.op != Op::Mul || factors.size() > kMostFactors) return factors.push_back(id);
    flatten(node.operands[0], factors);
    flatten(node.operands[1], factors);
  }

  ExprId multiplied(const std::vector<ExprId>& factors) {
    ExprId product = factors[0];
    for (size_t k = 1; k < factors.size(); ++k) product = pool_.mul(product, factors[k]);
    return product;
  }

  /// Of what its leaves mention; pre and post together make a value of the row.
  int level(ExprId id) {
    if (const auto found = levels_.find(id.value); found != levels_.end()) return found->second;
    const ExprNode node = pool_[id];
    int out = info(node.op).is_leaf ? level_(node) : 0;
    for (int k = 0; k < node.count; ++k) {
      const int operand = level(node.operands[k]);
      const bool mixed = (out == kPre && operand == kPost) || (out == kPost && operand == kPre);
      out = mixed ? kRow : std::max(out, operand);
    }
    return levels_[id.value] = out;
  }

  ExprPool& pool_;
  const LevelOf& level_;
  std::unordered_map<uint32_t, ExprId> done_;
  std::unordered_map<uint32_t, int> levels_;
};

}  // namespace

int level_over_synapses(const ExprNode& leaf) {
  if (leaf.op == Op::Const) return 0;
  if (leaf.op == Op::Draw) return kRow;
  switch (leaf.leaf.at) {
    case At::Uniform:
    case At::Fixed: return 0;
    case At::Pre: return kPre;
    case At::Post: return kPost;
    case At::Self: break;
  }
  return kRow;
}

std::vector<ExprId> gather_row_factors(ExprPool& pool, std::span<const ExprId> roots, const LevelOf& level) {
  return Gather(pool, level)(roots);
}

}  // namespace hebb
