#include "compiler/lower/sites.h"

#include <algorithm>
#include <bit>
#include <set>
#include <tuple>
#include <unordered_map>

#include "compiler/expr/transform.h"
#include "compiler/support/hash.h"

namespace hebb {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

/// What a node computes, by names; draws are all alike but those of the site `marked`.
uint64_t hash_of(const Model& model, const ExprNode& node, const std::unordered_map<uint32_t, uint64_t>& below,
                 uint32_t marked) {
  uint64_t hash = mix(1, static_cast<uint64_t>(node.op));
  if (node.op == Op::Const) hash = mix(hash, std::bit_cast<uint64_t>(node.value));
  if (node.op == Op::Var) {
    const Variable& variable = model[VarId{node.leaf.index}];
    hash = mix(mix(hash, hash_text(variable.name)), static_cast<uint64_t>(variable.kind));
  }
  if (node.op == Op::Draw) hash = mix(hash, node.leaf.index == marked);
  if (node.count == 0) hash = mix(hash, node.leaf.element);
  for (int k = 0; k < node.count; ++k) hash = mix(hash, below.at(node.operands[k].value));
  return hash;
}

uint64_t marked_hash(const Model& model, ExprId root, uint32_t site) {
  std::unordered_map<uint32_t, uint64_t> hashes;
  for (const ExprId id : nodes_below(model.pool, {&root, 1}))
    hashes[id.value] = hash_of(model, model.pool[id], hashes, site);
  return hashes.at(root.value);
}

/// The sites below `root`, from left to right.
std::vector<uint32_t> sites_below(const Model& model, ExprId root) {
  std::vector<uint32_t> sites;
  std::set<uint32_t> seen, found;
  std::vector<ExprId> stack = {root};
  while (!stack.empty()) {
    const ExprId id = stack.back();
    stack.pop_back();
    if (!seen.insert(id.value).second) continue;
    const ExprNode node = model.pool[id];
    if (node.op == Op::Draw && found.insert(node.leaf.index).second) sites.push_back(node.leaf.index);
    for (int k = node.count; k-- > 0;) stack.push_back(node.operands[k]);
  }
  return sites;
}

struct Root {
  DrawRoot is;
  uint64_t hash = 0;  // with all draws alike
  uint64_t uses = 0;  // where else its draws stand; only where the rest does not tell roots apart
};

auto place(const Root& root) { return std::tie(root.is.key, root.is.element, root.hash); }

/// Two handlers that do the same to x differ by what they do to y with the same draws.
uint64_t uses_of(const Model& model, const std::vector<Root>& roots, const Root& root) {
  uint64_t uses = 0;
  for (const uint32_t site : sites_below(model, root.is.root)) {
    for (const Root& other : roots) {
      const uint64_t hash = marked_hash(model, other.is.root, site);
      if (hash == other.hash) continue;  // the site is not in it
      uses += mix(mix(hash_text(other.is.key), other.is.element), hash);
    }
  }
  return uses;
}

/// The roots that draw, with their hashes.
std::vector<Root> drawing(const Model& model, std::vector<DrawRoot> all) {
  std::erase_if(all, [](const DrawRoot& root) { return !root.root.valid(); });
  std::vector<ExprId> ids;
  for (const DrawRoot& root : all) ids.push_back(root.root);
  std::unordered_map<uint32_t, uint64_t> hashes;
  std::set<uint32_t> draws;
  for (const ExprId id : nodes_below(model.pool, ids)) {
    const ExprNode node = model.pool[id];
    hashes[id.value] = hash_of(model, node, hashes, kNone);
    bool draws_here = node.op == Op::Draw;
    for (int k = 0; k < node.count; ++k) draws_here |= draws.contains(node.operands[k].value);
    if (draws_here) draws.insert(id.value);
  }
  std::vector<Root> roots;
  for (DrawRoot& root : all) {
    const uint32_t id = root.root.value;
    if (draws.contains(id)) roots.push_back({.is = std::move(root), .hash = hashes.at(id)});
  }
  return roots;
}

}  // namespace

std::vector<uint32_t> sites_in_order(const Model& model, std::vector<DrawRoot> all) {
  std::vector<Root> roots = drawing(model, std::move(all));
  std::ranges::stable_sort(roots, [](const Root& a, const Root& b) { return place(a) < place(b); });
  for (size_t i = 0; i < roots.size(); ++i) {
    const bool alike = (i > 0 && place(roots[i]) == place(roots[i - 1])) ||
                       (i + 1 < roots.size() && place(roots[i]) == place(roots[i + 1]));
    if (alike) roots[i].uses = uses_of(model, roots, roots[i]);
  }
  std::ranges::stable_sort(roots, [](const Root& a, const Root& b) {
    return place(a) != place(b) ? place(a) < place(b) : a.uses < b.uses;
  });
  std::vector<uint32_t> order;
  std::set<uint32_t> done;
  for (const Root& root : roots)
    for (const uint32_t site : sites_below(model, root.is.root))
      if (done.insert(site).second) order.push_back(site);
  return order;
}

}  // namespace hebb
