#pragma once
// Program → Program: the weighted sum of step t+1 is taken while the weights of step t are updated, so
// that a step reads each weight once. Done for every sum over synapses whose weights one kernel changes
// last, and whose other arguments in step t+1 depend on fed signals and parameters only. The sum is
// kept in a state, "NAME (next)", that the coming step starts from; `plan.begin` makes the first one.

#include "compiler/program/program.h"

namespace hebb {

Program overlap(Program program);

}  // namespace hebb
