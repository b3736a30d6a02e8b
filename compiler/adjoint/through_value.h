#pragma once
// What a synapse's state is owed through the value it gets. A reverse sweep finds l·(a + w·b) + (l·w)·b for a + w·(a + w·b)
// or the like; l·(a + w·2b), whose doubled coefficients are computed once per neuron, takes an operation less in every
// synapse.

#include <span>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// `partials` of `total`, a sum over what a kernel over all pairs stores and sums, by the loads `leaves`: those of the own
/// row as (what a stored polynomial is owed) × (its derivative in Horner form) where all of them together are then less
/// work per synapse. Equal up to rounding.
std::vector<ExprId> through_values(ExprPool& pool, ExprId total, std::span<const Store> stores, std::span<const ExprId> leaves,
                                   std::vector<ExprId> partials);

}  // namespace hebb
