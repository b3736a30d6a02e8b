#pragma once
// What neurons owe parameters, nobody asks for before the last step. Added up in every step, many such sums pass through
// memory each time; here each step leaves what they are made of, and several steps are added up at once, in their order, by
// kernels of so few sums that these stay in registers.

#include "compiler/adjoint/adjoint.h"

namespace hebb {

/// Fills `adjoint.late` where neurons have many such sums. For hosts that know of it; bits stay.
void sum_late(Adjoint& adjoint);

}  // namespace hebb
