#pragma once
// Pieces of drafting that stand alone: which synapses a projection has and how they are kept, how late events come to
// them, what the host may read, and which number each draw has.

#include "compiler/lower/draft.h"

namespace hebb {

/// As wide as `variable` and in its unit; null: one number.
ColumnId add_column(Draft& draft, std::string name, SpaceId space, Role role, const Variable* variable = nullptr);

/// Are the synapses of a projection of all pairs kept as a list? With delays of their own, and where spikes are all that ever looks at one.
bool listed(const Draft& draft, const LowerOptions& options, const Instance& instance);
Connect connect_of(const Draft& draft, const LowerOptions& options, const Instance& instance);

/// Parameters for the delays of a projection, and columns that show the events of its neurons late.
void add_delays(Draft& draft, Instance& projection);
/// What the delays of single synapses are, once draws have numbers.
void say_delays(Draft& draft, const LowerOptions& options);

/// Makes visible what the experiment asks for or the network records: reductions, lets, arrivals; notes which draws
/// nobody asks for.
void keep_recorded(Draft& draft, const LowerOptions& options);

/// Numbers draws by the names of what they belong to.
void number_draws(Draft& draft);

}  // namespace hebb
