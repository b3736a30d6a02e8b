#include "compiler/adjoint/through_value.h"

#include <algorithm>

#include "compiler/expr/transform.h"

namespace hebb {

namespace {

/// Of sums and products alone: nothing in it that a reverse sweep would keep under a condition.
bool is_polynomial(const ExprPool& pool, ExprId root) {
  const std::vector<ExprId> nodes = nodes_below(pool, std::span(&root, 1));
  return std::all_of(nodes.begin(), nodes.end(), [&](ExprId id) {
    switch (pool[id].op) {
      case Op::Add: case Op::Sub: case Op::Mul: case Op::Neg: case Op::Fma: return true;
      default: return info(pool[id].op).is_leaf && pool[id].op != Op::Draw;
    }
  });
}

/// Operations that every synapse takes for all of `roots`.
int64_t row_operations(ExprPool& pool, std::span<const ExprId> roots) {
  const std::vector<ExprId> fused = form_fma(pool, gather_row_factors(pool, roots, level_over_synapses));
  constexpr uint8_t kRowBit = 4;
  std::vector<uint8_t> level(pool.size());   // a bit for pre, post and the row
  int64_t count = 0;
  for (const ExprId id : nodes_below(pool, fused)) {
    const ExprNode node = pool[id];
    if (node.count == 0) {
      const int own = level_over_synapses(node);
      level[id.value] = own == 0 ? 0 : static_cast<uint8_t>(1 << (own - 1));
    }
    for (int k = 0; k < node.count; ++k) level[id.value] |= level[node.operands[k].value];
    const bool of_row = (level[id.value] & kRowBit) != 0 || level[id.value] == 3;
    count += node.count > 0 && of_row;
  }
  return count;
}

}  // namespace

std::vector<ExprId> through_values(ExprPool& pool, ExprId total, std::span<const Store> stores, std::span<const ExprId> leaves,
                                   std::vector<ExprId> partials) {
  for (size_t k = 0; k < leaves.size(); ++k) {
    const Leaf leaf = pool[leaves[k]].leaf;
    if (leaf.at != At::Self) continue;
    const auto stored = std::find_if(stores.begin(), stores.end(), [&](const Store& store) {
      const ExprId value = store.value;
      const std::vector<ExprId> below = nodes_below(pool, std::span(&value, 1));
      return pool[value].count > 0 && std::find(below.begin(), below.end(), leaves[k]) != below.end() && is_polynomial(pool, value);
    });
    if (stored == stores.end()) continue;
    const std::vector<ExprId> owed = gradient(pool, total, std::vector{stored->value, leaves[k]});
    if (!pool.is_constant(owed[1], 0)) continue;   // some of it passes by
    const ExprId slope = horner(pool, simplify(pool, gradient(pool, stored->value, std::span(&leaves[k], 1))[0]), level_over_synapses, /*multiply_out=*/true);
    std::vector<ExprId> other = partials;
    other[k] = pool.mul(simplify(pool, owed[0]), slope);
    if (row_operations(pool, other) < row_operations(pool, partials)) partials = std::move(other);
  }
  return partials;
}

}  // namespace hebb
