#include "compiler/codegen/rounds.h"

#include <algorithm>
#include <optional>
#include <set>

namespace hebb {
namespace {

constexpr uint32_t kFewest = 4;

/// Whether the steps of a chain are one step with other elements.
class Comparison {
 public:
  Comparison(const ExprPool& pool, ExprId before, ExprId last_before, uint32_t k)
      : pool_(pool), before_(before), last_before_(last_before), k_(k) {}

  bool same(ExprId a, ExprId b) {
    if (a == before_ || b == last_before_) return a == before_ && b == last_before_;
    if (const auto known = seen_.find(b); known != seen_.end()) return known->second == a;
    if (!alike(a, b)) return false;
    seen_[b] = a;
    return true;
  }
  /// Of the last step: those that read other elements in others, and those that all have in common.
  const std::set<uint32_t>& turning() const { return turning_; }
  const std::vector<ExprId>& common() const { return common_; }

 private:
  bool alike(ExprId a, ExprId b) {
    if (a == b) return common_.push_back(b), true;
    const ExprNode x = pool_[a], y = pool_[b];
    if (x.op != y.op || x.count != y.count) return false;
    if (x.op == Op::Load) {
      const bool element = x.leaf.at == At::Post && y.leaf.at == At::Post && x.leaf.index == y.leaf.index && x.leaf.element == k_ && y.leaf.element == 0;
      if (element) turning_.insert(b.value);
      return element;
    }
    if (x.count == 0) return false;
    if (operands(x, y, false)) return true;
    const bool either_order = x.op == Op::Add || x.op == Op::Mul || x.op == Op::Fma;
    return either_order && operands(x, y, true);
  }
  bool operands(const ExprNode& x, const ExprNode& y, bool swapped) {
    for (int i = 0; i < x.count; ++i)
      if (!same(x.operands[swapped && i < 2 ? 1 - i : i], y.operands[i])) return false;
    return true;
  }

  const ExprPool& pool_;
  const ExprId before_, last_before_;
  const uint32_t k_;
  std::map<ExprId, ExprId> seen_;
  std::set<uint32_t> turning_;
  std::vector<ExprId> common_;
};

/// The count that a choice of round k asks.
std::optional<ExprId> asked(const ExprPool& pool, ExprId id, uint32_t k) {
  const ExprNode node = pool[id];
  if (node.op != Op::Select) return {};
  const ExprNode condition = pool[node.operands[0]];
  if (condition.op != Op::Less || !pool.is_constant(condition.operands[0], k)) return {};
  return condition.operands[1];
}

std::vector<bool> needed(const ExprPool& pool, const std::vector<ExprId>& roots, ExprId known) {
  std::vector<bool> live(pool.size());
  uint32_t last = 0;
  for (const ExprId root : roots) live[root.value] = true, last = std::max(last, root.value);
  for (uint32_t i = last + 1; i-- > 0;) {
    if (!live[i] || ExprId{i} == known) continue;
    const ExprNode node = pool[ExprId{i}];
    for (int k = 0; k < node.count; ++k) live[node.operands[k].value] = true;
  }
  return live;
}

std::vector<uint32_t> of_post_and_synapse(const std::vector<bool>& wanted, const Stages& stages, const std::set<uint32_t>& without) {
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < wanted.size(); ++i)
    if (wanted[i] && (stages.level[i] & kPost) != 0 && !without.contains(i)) ids.push_back(i);
  return ids;
}

/// The rounds that end with `result`; `most` 0: it is no such end.
Rounds rounds_to(const ExprPool& pool, const Stages& stages, ExprId result) {
  const std::optional<ExprId> count = asked(pool, result, 0);
  if (!count || stages.level[count->value] != kRow) return {};
  Rounds found{.most = 0, .count = *count, .start = {}, .before = pool[result].operands[2], .next = pool[result].operands[1], .result = result};
  found.start = found.before;
  std::set<uint32_t> turning;
  std::vector<ExprId> common;
  uint32_t k = 1;
  for (; asked(pool, found.start, k) == count; ++k) {
    const ExprNode choice = pool[found.start];
    Comparison steps(pool, choice.operands[2], found.before, k);
    if (!steps.same(choice.operands[1], found.next)) return {};
    if (k > 1 && steps.turning() != turning) return {};
    turning = steps.turning();
    common.insert(common.end(), steps.common().begin(), steps.common().end());
    found.start = choice.operands[2];
  }
  if (k < kFewest) return {};
  // What all have in common is the same in each, and only the value itself is stored meanwhile.
  const std::vector<bool> shared = needed(pool, common, {});
  const std::vector<bool> each = needed(pool, {found.next}, found.before);
  if (shared[found.before.value] || std::any_of(turning.begin(), turning.end(), [&](uint32_t id) { return shared[id]; })) return {};
  for (uint32_t i = 0; i < each.size(); ++i)
    if (each[i] && pool[ExprId{i}].op == Op::Draw) return {};
    else if (each[i] && ExprId{i} != found.before && pool[ExprId{i}].op == Op::Load && pool[ExprId{i}].leaf.at == At::Self) return {};
  found.most = k;
  found.turning.assign(turning.begin(), turning.end());
  turning.insert(found.before.value);
  found.first = of_post_and_synapse(needed(pool, {found.count, found.start}, {}), stages, {});
  found.each = of_post_and_synapse(each, stages, turning);
  return found;
}

}  // namespace

Rounds rounds(const Program& program, const Kernel& kernel, const Stages& stages) {
  if (program[kernel.domain].kind != SpaceKind::Sparse || kernel.rows == Rows::OfPost) return {};
  const std::vector<bool> usual = rare_arms(program, kernel, stages).live_without;  // empty: all
  for (auto i = static_cast<uint32_t>(stages.live.size()); i-- > 0;) {
    if (!stages.live[i] || (!usual.empty() && !usual[i])) continue;
    if (Rounds found = rounds_to(program.pool, stages, ExprId{i}); found.most > 0) return found;
  }
  return {};
}

Stages after_rounds(const Program& program, const Kernel& kernel, Stages stages, const Rounds& rounds) {
  if (rounds.most == 0) return stages;
  const std::vector<bool> live = needed(program.pool, roots(kernel), rounds.result);
  const auto keep = [&](std::vector<uint32_t>& ids) { std::erase_if(ids, [&](uint32_t id) { return !live[id]; }); };
  for (uint32_t i = 0; i < stages.live.size(); ++i)
    if ((stages.level[i] & kPost) != 0) stages.live[i] = stages.live[i] && live[i];
  keep(stages.post);
  for (std::vector<uint32_t>& ids : stages.rows) keep(ids);
  return stages;
}

}  // namespace hebb
