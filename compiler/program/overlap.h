#pragma once
// Program → Program: the weighted sum of step t+1 is taken while the weights of step t are updated, so
// that a step reads each weight once. Done for every sum over synapses whose weights one kernel changes
// last, and whose other arguments in step t+1 depend on fed signals and parameters only. The sum is
// kept in a state, "NAME (next)", that the coming step starts from; `plan.begin` makes the first one.
// Columns keep their ids.

#include <span>

#include "compiler/program/program.h"

namespace hebb {

/// `apart`: columns, such as those a derivative is taken for, that a sum taken ahead must not read but from its synapses.
Program overlap(Program program, std::span<const ColumnId> apart = {});

}  // namespace hebb
