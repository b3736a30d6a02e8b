#include "compiler/adjoint/tangent.h"

#include <cassert>

#include <algorithm>
#include <map>

#include "compiler/adjoint/activity.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

class Forward {
 public:
  Forward(Tangent& out, const Activity& activity, const std::map<ColumnId, int64_t>& first_direction)
      : out_(out), program_(out.program), activity_(activity), first_direction_(first_direction) {}

  Kernel operator()(Kernel kernel) {
    std::vector<Store> stores;
    std::vector<Accumulate> sums;
    for (const Store& store : kernel.stores) {
      if (!moves(store.into)) continue;
      const std::vector<ExprId> slopes = along_directions(store.value);
      for (size_t k = 0; k < slopes.size(); ++k)
        stores.push_back({tangent_of(store.into), element(store.element, k), slopes[k]});
    }
    for (const Accumulate& sum : kernel.accumulates) {
      if (!moves(sum.into)) continue;
      const std::vector<ExprId> slopes = along_directions(sum.value);
      for (size_t k = 0; k < slopes.size(); ++k)
        sums.push_back({tangent_of(sum.into), element(sum.element, k), sum.at, Combine::Sum, slopes[k]});
    }
    // A column that the kernel takes a part of only keeps the rest, as the primal does.
    kernel.stores.insert(kernel.stores.end(), stores.begin(), stores.end());
    kernel.accumulates.insert(kernel.accumulates.end(), sums.begin(), sums.end());
    return kernel;
  }

 private:
  bool moves(ColumnId column) const { return activity_.active(column) && !first_direction_.contains(column); }
  uint32_t element(uint32_t of_primal, size_t k) const {
    return of_primal * static_cast<uint32_t>(out_.directions) + static_cast<uint32_t>(k);
  }
  ColumnId tangent_of(ColumnId column) const { return out_.tangent_of[column.value]; }

  /// The derivative of `value` along each direction.
  std::vector<ExprId> along_directions(ExprId value) {
    ExprPool& pool = program_.pool;
    std::vector<ExprId> leaves;
    for (const ExprId leaf : load_leaves(pool, {value}))
      if (activity_.active(ColumnId{pool[leaf].leaf.index})) leaves.push_back(leaf);
    const std::vector<ExprId> partials = gradient(pool, value, leaves);
    std::vector<ExprId> out(out_.directions, pool.constant(0));
    for (size_t n = 0; n < leaves.size(); ++n) {
      const Leaf leaf = pool[leaves[n]].leaf;
      const ExprId partial = simplify(pool, partials[n]);
      if (pool.is_constant(partial, 0)) continue;
      const auto target = first_direction_.find(ColumnId{leaf.index});
      if (target != first_direction_.end()) {
        ExprId& sum = out[target->second + leaf.element];
        sum = pool.is_constant(sum, 0) ? partial : pool.add(sum, partial);
        continue;
      }
      for (int64_t k = 0; k < out_.directions; ++k) {
        const ExprId term = pool.mul(partial, pool.load(tangent_of(ColumnId{leaf.index}), leaf.at, element(leaf.element, k)));
        out[k] = pool.is_constant(out[k], 0) ? term : pool.add(out[k], term);
      }
    }
    return form_fma(pool, simplify(pool, out));
  }

  Tangent& out_;
  Program& program_;
  const Activity& activity_;
  const std::map<ColumnId, int64_t>& first_direction_;
};

std::vector<KernelId> launched(const Program& program) {
  std::vector<KernelId> out;
  for (const auto* launches : {&program.plan.init, &program.plan.step})
    for (const Launch& launch : *launches)
      if (std::find(out.begin(), out.end(), launch.kernel) == out.end()) out.push_back(launch.kernel);
  return out;
}

std::optional<AdjointRefusal> refuse(const Program& program, const Activity& activity,
                                     const std::vector<KernelId>& kernels, std::span<const ColumnId> targets) {
  using Why = AdjointRefusal::Why;
  for (uint32_t i = 0; i < program.columns.size(); ++i)
    if (program.columns[i].role == Role::Indicator && activity.active(ColumnId{i}))
      return AdjointRefusal{Why::SpikeTimes, path_to(program, activity, ColumnId{i})};
  for (const KernelId id : kernels) {
    for (const Accumulate& sum : program[id].accumulates)
      if (sum.combine != Combine::Sum && activity.active(sum.into))
        return AdjointRefusal{Why::Unsupported, path_to(program, activity, sum.into)};
    for (const Store& store : program[id].stores)
      if (!program[id].scans.empty() && activity.active(store.into))
        return AdjointRefusal{Why::Unsupported, path_to(program, activity, store.into)};
  }
  for (const ColumnId target : targets)
    if (!activity.to_outputs[target.value]) return AdjointRefusal{Why::NoPath, {program[target].name}};
  return {};
}

}  // namespace

TangentResult tangent(const Program& primal, std::span<const ColumnId> targets, std::span<const ColumnId> outputs) {
  assert(primal.plan.begin.empty() && "sums taken ahead have no tangent");
  Tangent out{.program = primal, .tangent_of = std::vector<ColumnId>(primal.columns.size()), .directions = 0};
  std::map<ColumnId, int64_t> first_direction;
  for (const ColumnId target : targets) {
    first_direction[target] = out.directions;
    out.directions += primal[target].width;
  }
  const std::vector<KernelId> kernels = launched(primal);
  const Activity activity = find_activity(primal, kernels, {}, targets, outputs);
  if (auto refusal = refuse(primal, activity, kernels, targets)) return {.tangent = {}, .refusal = std::move(refusal)};
  for (uint32_t i = 0; i < primal.columns.size(); ++i) {
    const ColumnId id{i};
    if (!activity.active(id) || first_direction.contains(id)) continue;
    Column column = primal.columns[i];
    column.name = cat("t/", column.name);
    column.width *= out.directions;
    column.reset = 0;
    out.tangent_of[i] = out.program.add(std::move(column));
  }
  Forward forward(out, activity, first_direction);
  for (const KernelId id : kernels) out.program.kernels[id.value] = forward(Kernel(primal[id]));
  return {.tangent = std::move(out), .refusal = {}};
}

}  // namespace hebb
