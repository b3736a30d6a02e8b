#include "compiler/expr/pool.h"

#include <algorithm>
#include <bit>

namespace hebb {

namespace {

uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v + 0x9E3779B97F4A7C15u + (h << 6) + (h >> 2);
  return h * 0xBF58476D1CE4E5B9u;
}

}  // namespace

size_t ExprPool::Hash::operator()(const ExprNode& node) const {
  uint64_t h = static_cast<uint64_t>(node.op);
  for (int k = 0; k < node.count; ++k) h = mix(h, node.operands[k].value);
  if (node.count == 0) {
    h = mix(h, std::bit_cast<uint64_t>(node.value));
    h = mix(h, node.leaf.index);
    h = mix(h, (uint64_t{node.leaf.element} << 8) | static_cast<uint64_t>(node.leaf.at));
  }
  return h ^ (h >> 31);
}

bool ExprPool::Same::operator()(const ExprNode& a, const ExprNode& b) const {
  // By bits: 0 and -0 are two constants, and a NaN equals itself.
  return a.op == b.op && a.count == b.count && a.operands[0] == b.operands[0] &&
         a.operands[1] == b.operands[1] && a.operands[2] == b.operands[2] &&
         std::bit_cast<uint64_t>(a.value) == std::bit_cast<uint64_t>(b.value) && a.leaf == b.leaf;
}

ExprId ExprPool::intern(const ExprNode& node) {
  const auto [entry, is_new] = index_.try_emplace(node, size());
  if (is_new) nodes_.push_back(node);
  return ExprId{entry->second};
}

ExprId ExprPool::constant(double value) { return intern({.op = Op::Const, .value = value}); }

ExprId ExprPool::variable(VarId var, uint32_t element) {
  return intern({.op = Op::Var, .leaf = {.index = var.value, .element = element}});
}

ExprId ExprPool::load(ColumnId column, At at, uint32_t element) {
  return intern({.op = Op::Load, .leaf = {.index = column.value, .element = element, .at = at}});
}

ExprId ExprPool::draw(uint32_t site, uint32_t slot) {
  return intern({.op = Op::Draw, .leaf = {.index = site, .element = slot}});
}

ExprId ExprPool::dt() { return intern({.op = Op::Dt}); }

// Folding is exact in the sense of the interpreter: the same function of the operator table, in
// double. A float program rounds the folded constant once, where it is used.
ExprId ExprPool::make(Op op, ExprId a) {
  assert(info(op).arity == 1 && a.value < size());
  if (is_constant(a)) return constant(info(op).value((*this)[a].value, 0, 0));
  return intern({.op = op, .count = 1, .operands = {a}});
}

ExprId ExprPool::make(Op op, ExprId a, ExprId b) {
  assert(info(op).arity == 2 && a.value < size() && b.value < size());
  if (is_constant(a) && is_constant(b)) {
    return constant(info(op).value((*this)[a].value, (*this)[b].value, 0));
  }
  return intern({.op = op, .count = 2, .operands = {a, b}});
}

ExprId ExprPool::make(Op op, ExprId a, ExprId b, ExprId c) {
  assert(info(op).arity == 3 && a.value < size() && b.value < size() && c.value < size());
  if (is_constant(a) && is_constant(b) && is_constant(c)) {
    return constant(info(op).value((*this)[a].value, (*this)[b].value, (*this)[c].value));
  }
  return intern({.op = op, .count = 3, .operands = {a, b, c}});
}

std::vector<bool> live_nodes(const ExprPool& pool, const std::vector<ExprId>& roots) {
  std::vector<bool> live(pool.size(), false);
  for (const ExprId id : nodes_below(pool, roots)) live[id.value] = true;
  return live;
}

std::vector<ExprId> nodes_below(const ExprPool& pool, std::span<const ExprId> roots) {
  uint32_t end = 0;
  for (const ExprId root : roots) end = std::max(end, root.valid() ? root.value + 1 : 0);
  std::vector<bool> seen(end, false);
  std::vector<ExprId> stack, found;
  const auto visit = [&](ExprId id) {
    if (!id.valid() || seen[id.value]) return;
    seen[id.value] = true;
    stack.push_back(id);
  };
  for (const ExprId root : roots) visit(root);
  while (!stack.empty()) {
    const ExprId id = stack.back();
    stack.pop_back();
    found.push_back(id);
    const ExprNode node = pool[id];
    for (int k = 0; k < node.count; ++k) visit(node.operands[k]);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace hebb
