#pragma once
// What a synapse is owed after a step and before it may lie in one place where the kernel that finds the second is
// the last to read the first, row by row: half the memory passes through the caches.

#include "compiler/adjoint/adjoint.h"

namespace hebb {

/// `next_adjoint` of a carried dense state becomes its `now_adjoint` where no kernel can tell. For hosts that keep both
/// themselves; bits stay.
void reverse_in_place(Adjoint& adjoint);

}  // namespace hebb
