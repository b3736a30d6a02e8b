#include "compiler/codegen/row_plan.h"

#include <algorithm>
#include <utility>

#include "compiler/program/remake.h"
#include "compiler/program/row_order.h"

namespace hebb {
namespace {

/// Values from outside the loop over rows that a thread keeps in registers. With more, fewer warps would fit: those that
/// lie in memory are read in every row instead, where they come out of the first-level cache.
constexpr size_t kHeld = 20;
/// Columns that get a pointer of their own which moves from row to row.
constexpr std::ptrdiff_t kColumns = 12;
/// Values of a row that exist at once; with more, stores and sums take theirs as soon as they are there.
constexpr size_t kLive = 20, kUnordered = 40;
/// Values, sums included, for which 64 registers are enough beside addresses.
constexpr size_t kRoom = 36;
/// Two operations and two reads cost less than a register.
constexpr int kLittle = 10;

class RowPlanner {
 public:
  RowPlanner(const DeviceProgram& device, KernelId id, const Stages& stages)
      : program_(device.program), kernel_(program_[id]), pool_(program_.pool), device_(device), id_(id), stages_(stages),
        outside_(pool_.size()) {}

  RowPlan run() {
    find_effects();
    std::vector<bool> inside(pool_.size());
    for (uint32_t id = 0; id < pool_.size(); ++id) inside[id] = stages_.live[id] && of_row(id) && !is_leaf(id);
    const size_t held = find_outside(inside);
    const auto& parameters = device_.kernels[id_.value].parameters;
    const auto columns = std::count_if(parameters.begin(), parameters.end(), [](const DeviceParameter& each) {
      return each.kind == DeviceParameter::Kind::Column;
    });
    // Running sums are read in between: such rows keep their order.
    const bool ordered = kernel_.scans.empty();
    const RowOrder ordered_row = ordered ? order_of_row(pool_, inside, effects_) : RowOrder{};
    const bool wide = ordered && (ordered_row.live > kLive || live_unordered(pool_, inside, effects_) > kUnordered);
    RowPlan plan{.crowded = held > kHeld || columns > kColumns || wide};
    plan.again.resize(pool_.size());
    plan.once.resize(pool_.size());
    plan.fades.resize(pool_.size());
    if (!plan.crowded) return plan;
    find_leaves(held > kHeld, plan);
    if (!ordered) return plan;
    std::vector<bool> leaves = plan.again;
    for (uint32_t id = 0; id < pool_.size(); ++id)
      if (pool_[ExprId{id}].op == Op::Draw) leaves[id] = false;
    const Remakes little = remakes(pool_, stages_.live, leaves, kLittle, /*anchored=*/false);
    for (uint32_t id = 0; id < pool_.size(); ++id) {
      if (is_leaf(id) || !stages_.live[id]) continue;
      plan.again[id] = little.again[id];
      if (little.again[id]) inside[id] = false;
    }
    RowOrder order = order_of_row(pool_, inside, effects_, little.kept);
    if (order.live + kernel_.accumulates.size() > kRoom) {
      const Remakes much = remakes(pool_, stages_.live, leaves, kRemakeOperations, /*anchored=*/true);
      for (uint32_t id = 0; id < pool_.size(); ++id) plan.fades[id] = much.again[id] && inside[id];
      order = order_of_row(pool_, inside, effects_, little.kept, much.kept);
    }
    plan.order = std::move(order.order);
    return plan;
  }

 private:
  bool is_leaf(uint32_t id) const { return info(pool_[ExprId{id}].op).is_leaf; }
  /// Of the present row alone: computed there, or read there when it is first needed.
  bool of_row(uint32_t id) const {
    return program_[kernel_.domain].kind == SpaceKind::Uniform || stages_.level[id] == kRow;
  }
  bool stays(uint32_t id) const { return hebb::stays(device_, id_, stages_.level[id]); }

  bool stores_to(uint32_t id) const {
    const ExprNode node = pool_[ExprId{id}];
    return node.op == Op::Load && std::any_of(kernel_.stores.begin(), kernel_.stores.end(), [&](const Store& store) {
             return store.into.value == node.leaf.index && (node.leaf.at == At::Fixed || store.element == node.leaf.element);
           });
  }

  /// Stores and sums, and before each store those that see what it overwrites: unless that goes round in a circle, nothing
  /// has to be kept that is to be overwritten.
  void find_effects() {
    for (const Store& store : kernel_.stores) effects_.push_back({{store.value}});
    for (const Accumulate& sum : kernel_.accumulates) effects_.push_back({taken_by(pool_, sum)});
    const size_t stores = kernel_.stores.size();
    std::vector<std::vector<uint32_t>> readers(stores);
    std::vector<uint32_t> overwritten;
    for (uint32_t id = 0; id < pool_.size(); ++id)
      if (stages_.live[id] && stores_to(id)) overwritten.push_back(id);
    if (overwritten.size() < 2) return;
    std::vector<uint32_t> seen(pool_.size(), UINT32_MAX), open;
    for (uint32_t effect = 0; effect < effects_.size(); ++effect) {
      for (const ExprId need : effects_[effect].needs) open.push_back(need.value);
      while (!open.empty()) {
        const uint32_t id = open.back();
        open.pop_back();
        if (std::exchange(seen[id], effect) == effect) continue;
        const ExprNode node = pool_[ExprId{id}];
        for (int k = 0; k < node.count; ++k) open.push_back(node.operands[k].value);
        if (node.op != Op::Load) continue;
        for (uint32_t store = 0; store < stores; ++store)
          if (store != effect && kernel_.stores[store].into.value == node.leaf.index &&
              (node.leaf.at == At::Fixed || kernel_.stores[store].element == node.leaf.element))
            readers[store].push_back(effect);
      }
    }
    take_turns(readers);
  }
  void take_turns(const std::vector<std::vector<uint32_t>>& readers) {
    std::vector<bool> done(effects_.size());
    for (size_t turns = 0; turns < effects_.size(); ++turns) {
      uint32_t next = UINT32_MAX, first = UINT32_MAX;
      for (uint32_t effect = 0; effect < effects_.size() && next == UINT32_MAX; ++effect) {
        if (done[effect]) continue;
        first = std::min(first, effect);
        const bool waits = effect < readers.size() &&
                           std::any_of(readers[effect].begin(), readers[effect].end(), [&](uint32_t reader) { return !done[reader]; });
        if (!waits) next = effect;
      }
      if (next == UINT32_MAX) next = first;
      done[next] = true;
      if (next >= readers.size()) continue;
      for (const uint32_t reader : readers[next])
        if (done[reader] && reader != next) effects_[next].after.push_back(reader);
    }
  }

  /// What the row takes from outside; how many of these would stay in registers.
  size_t find_outside(const std::vector<bool>& inside) {
    size_t held = 0;
    for (uint32_t id = 0; id < pool_.size(); ++id) {
      if (!inside[id]) continue;
      const ExprNode node = pool_[ExprId{id}];
      for (int k = 0; k < node.count; ++k) {
        const uint32_t from = node.operands[k].value;
        if (outside_[from] || !stays(from) || pool_[node.operands[k]].op == Op::Const) continue;
        outside_[from] = true;
        ++held;
      }
    }
    return held;
  }

  void find_leaves(bool many, RowPlan& plan) const {
    for (uint32_t id = 0; id < pool_.size(); ++id) {
      if (!stages_.live[id] || !is_leaf(id)) continue;
      const Op op = pool_[ExprId{id}].op;
      plan.again[id] = stays(id) ? many && op == Op::Load : kernel_.scans.empty();
      plan.once[id] = op != Op::Load || stores_to(id);
    }
  }

  const Program& program_;
  const Kernel& kernel_;
  const ExprPool& pool_;
  const DeviceProgram& device_;
  const KernelId id_;
  const Stages& stages_;
  std::vector<RowEffect> effects_;
  std::vector<bool> outside_;
};

}  // namespace

bool stays(const DeviceProgram& device, KernelId id, Level level) {
  const bool one_row = device.program[device.program[id].domain].kind == SpaceKind::Uniform;
  if (level == kUniform) return !one_row;
  switch (device.kernels[id.value].spread) {
    case Spread::Pairs: case Spread::ByPost: case Spread::ColumnBlocks: return level == kPost;
    case Spread::One: case Spread::ByPre: case Spread::RowBlocks: return level == kPre;
    case Spread::Neurons: break;
  }
  return false;
}

RowPlan plan_row(const DeviceProgram& device, KernelId id, const Stages& stages) { return RowPlanner(device, id, stages).run(); }

}  // namespace hebb
