#pragma once
// Pieces of drafting that stand alone: which synapses a projection has and how they are kept, and which number each draw has.

#include "compiler/lower/draft.h"

namespace hebb {

/// Are the synapses of a projection of all pairs kept as a list? With delays of their own, and where spikes are all that ever looks at one.
bool listed(const Draft& draft, const LowerOptions& options, const Instance& instance);
Connect connect_of(const Draft& draft, const LowerOptions& options, const Instance& instance);

/// Numbers draws by the names of what they belong to.
void number_draws(Draft& draft);

}  // namespace hebb
