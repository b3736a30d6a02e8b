#pragma once
// In which order the arithmetic of one row needs few registers.

#include <cstdint>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// What happens with values: each effect is a store or a sum, and needs these.
struct RowEffect {
  std::vector<ExprId> needs;
  std::vector<uint32_t> after = {};   // numbers of other effects that come first; never in a circle
};

/// The factors of a product, which is fused with its sum; else the value itself.
std::vector<ExprId> taken_by(const ExprPool& pool, const Accumulate& sum);

/// `order` holds numbers of nodes, and of effects as pool.size() + k, each after what it needs. Leaves and values from
/// outside the row are not in it: they are there, or are read when first needed.
struct RowOrder {
  std::vector<uint32_t> order;
  size_t live = 0;     // values that exist at once, at the worst place
};

/// `inside`: by ExprId, whether the row computes the node. `kept`: by ExprId, or empty: what it stands for, where it is made
/// again whenever it is needed (see remake.h). `lasting`: the same of values that are made in their place and again later; they do
/// not count. Of several orders the one with the fewest values at once.
RowOrder order_of_row(const ExprPool& pool, const std::vector<bool>& inside, const std::vector<RowEffect>& effects,
                      const std::vector<ExprId>& kept = {}, const std::vector<ExprId>& lasting = {});

/// Values that exist at once where everything is computed in the order of the pool, and effects come last.
size_t live_unordered(const ExprPool& pool, const std::vector<bool>& inside, const std::vector<RowEffect>& effects);

}  // namespace hebb
