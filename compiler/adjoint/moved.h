#pragma once
// Which kernels of a step must run again: when only the targets have changed since the last run, and on the way back
// where a step keeps no more than it must.

#include "compiler/adjoint/adjoint.h"

namespace hebb {

/// Of an adjoint that is complete but for this.
Moved find_moved(const Adjoint& adjoint);

}  // namespace hebb
