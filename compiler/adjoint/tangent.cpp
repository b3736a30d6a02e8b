#include "compiler/adjoint/tangent.h"

#include <cassert>

#include <algorithm>
#include <map>

#include "compiler/adjoint/activity.h"
#include "compiler/adjoint/reverse_parts.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

class Forward {
 public:
  Forward(Tangent& out, const Activity& activity, const std::map<ColumnId, int64_t>& first_direction)
      : out_(out), program_(out.program), activity_(activity), first_direction_(first_direction) {}

  /// Derivatives of minima and maxima are left to `extremes`.
  Kernel operator()(Kernel kernel) {
    std::vector<Store> stores;
    std::vector<Accumulate> sums;
    kernel.scans = with_slopes(kernel.scans);
    for (const Store& store : kernel.stores) {
      if (!moves(store.into)) continue;
      const std::vector<ExprId> slopes = along_directions(store.value);
      for (size_t k = 0; k < slopes.size(); ++k)
        stores.push_back({tangent_of(store.into), element(store.element, k), slopes[k]});
    }
    for (const Accumulate& sum : kernel.accumulates) {
      if (!moves(sum.into) || sum.combine != Combine::Sum) continue;
      const std::vector<ExprId> slopes = along_directions(sum.value);
      for (size_t k = 0; k < slopes.size(); ++k)
        sums.push_back({tangent_of(sum.into), element(sum.element, k), sum.at, Combine::Sum, slopes[k]});
    }
    // A column that the kernel takes a part of only keeps the rest, as the primal does.
    kernel.stores.insert(kernel.stores.end(), stores.begin(), stores.end());
    kernel.accumulates.insert(kernel.accumulates.end(), sums.begin(), sums.end());
    std::vector<ExprId> roots;
    for (const Store& store : kernel.stores) roots.push_back(store.value);
    for (const Accumulate& sum : kernel.accumulates) roots.push_back(sum.value);
    kernel.scans = needed_scans(program_.pool, kernel.scans, roots);
    return kernel;
  }

  /// To be run after the kernel: the derivatives of its minima and maxima, those of the rows that have them.
  std::vector<KernelId> extremes(KernelId id, const KeptValues& kept) {
    const Kernel kernel = program_[id];
    ExprPool& pool = program_.pool;
    Ties ties = count_ties(program_, std::vector{id}, kept);
    if (ties.columns.empty()) return {};
    Kernel slopes{.name = cat("slopes of ", kernel.name), .domain = kernel.domain};
    slopes.scans = with_slopes(kernel.scans);
    std::vector<ExprId> roots;
    for (size_t k = 0; k < kernel.accumulates.size(); ++k) {
      const auto found = kept.find({id.value, k});
      if (found == kept.end()) continue;
      const Accumulate& sum = kernel.accumulates[k];
      const ExprId among = pool.load(ties.columns.at({sum.into, sum.element}), sum.at);
      const ExprId here = pool.make(Op::Equal, pool.load(found->second, At::Self), pool.load(sum.into, sum.at, sum.element));
      const std::vector<ExprId> along = along_directions(sum.value);
      for (size_t n = 0; n < along.size(); ++n) {
        roots.push_back(pool.select(here, pool.div(along[n], among), pool.constant(0)));
        slopes.accumulates.push_back({tangent_of(sum.into), element(sum.element, n), sum.at, Combine::Sum, roots.back()});
      }
    }
    slopes.scans = needed_scans(pool, slopes.scans, roots);
    ties.kernels.push_back(program_.add(std::move(slopes)));
    return ties.kernels;
  }

 private:
  /// Each scan, and then those of its derivatives.
  std::vector<Scan> with_slopes(const std::vector<Scan>& scans) {
    std::vector<Scan> out;
    for (const Scan& scan : scans) {
      out.push_back(scan);
      if (!scans_.contains(scan.as)) {
        const std::vector<ExprId> slopes = along_directions(scan.value);
        if (std::all_of(slopes.begin(), slopes.end(), [&](ExprId s) { return program_.pool.is_constant(s, 0); })) continue;
        std::vector<Scan>& made = scans_[scan.as];
        for (const ExprId slope : slopes)
          made.push_back({add_beside(program_, program_[scan.as].space, cat(kTangentOf, program_[scan.as].name)), scan.along, slope});
      }
      out.insert(out.end(), scans_[scan.as].begin(), scans_[scan.as].end());
    }
    return out;
  }

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
      if (moving(ColumnId{pool[leaf].leaf.index})) leaves.push_back(leaf);
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
      const auto scan = scans_.find(ColumnId{leaf.index});
      for (int64_t k = 0; k < out_.directions; ++k) {
        const ExprId slope = scan != scans_.end() ? pool.load(scan->second[k].as, At::Self)
                                                  : pool.load(tangent_of(ColumnId{leaf.index}), leaf.at, element(leaf.element, k));
        const ExprId term = pool.mul(partial, slope);
        out[k] = pool.is_constant(out[k], 0) ? term : pool.add(out[k], term);
      }
    }
    return form_fma(pool, simplify(pool, out));
  }

  bool moving(ColumnId column) const {
    return scans_.contains(column) || (column.value < activity_.from_targets.size() && activity_.active(column));
  }

  Tangent& out_;
  Program& program_;
  const Activity& activity_;
  std::map<ColumnId, std::vector<Scan>> scans_;   // by what it makes: the scans of its derivatives
  const std::map<ColumnId, int64_t>& first_direction_;
};

std::vector<KernelId> launched(const Program& program) {
  std::vector<KernelId> out;
  for (const auto* launches : {&program.plan.init, &program.plan.step})
    for (const Launch& launch : *launches)
      if (std::find(out.begin(), out.end(), launch.kernel) == out.end()) out.push_back(launch.kernel);
  return out;
}

std::optional<AdjointRefusal> refuse(const Program& program, const Activity& activity, std::span<const ColumnId> targets) {
  using Why = AdjointRefusal::Why;
  for (uint32_t i = 0; i < program.columns.size(); ++i)
    if (program.columns[i].role == Role::Indicator && activity.active(ColumnId{i}))
      return AdjointRefusal{Why::SpikeTimes, path_to(program, activity, ColumnId{i})};
  for (const Launch& launch : program.plan.init)
    for (const Accumulate& sum : program[launch.kernel].accumulates)
      if (sum.combine != Combine::Sum && activity.active(sum.into))
        return AdjointRefusal{Why::Unsupported, path_to(program, activity, sum.into)};
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
  if (auto refusal = refuse(primal, activity, targets)) return {.tangent = {}, .refusal = std::move(refusal)};
  for (uint32_t i = 0; i < primal.columns.size(); ++i) {
    const ColumnId id{i};
    if (!activity.active(id) || first_direction.contains(id)) continue;
    Column column = primal.columns[i];
    column.name = cat(kTangentOf, column.name);
    column.width *= out.directions;
    column.reset = 0;
    out.tangent_of[i] = out.program.add(std::move(column));
  }
  const KeptValues kept = keep_extremes(out.program, kernels, activity);
  Forward forward(out, activity, first_direction);
  for (const KernelId id : kernels) {
    // Before `forward` changes the kernel: what is kept stays the value that was compared.
    const std::vector<KernelId> after = forward.extremes(id, kept);
    out.program.kernels[id.value] = forward(Kernel(out.program[id]));
    if (after.empty()) continue;
    std::vector<Launch> launches;
    for (const Launch& launch : out.program.plan.step) {
      launches.push_back(launch);
      if (launch.kernel != id) continue;
      for (const KernelId added : after) launches.push_back({added, launch.when});
    }
    out.program.plan.step = std::move(launches);
  }
  return {.tangent = std::move(out), .refusal = {}};
}

}  // namespace hebb
