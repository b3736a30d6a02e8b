#pragma once
// The oracle: runs one kernel row by row, operation by operation, straight from the operator table.
// Written for clarity. In Float32 each operation is rounded to float, as compiled code does.

#include "compiler/program/kernels.h"

namespace hebb {

/// Kernels that share the program (kept alive by them).
Kernels interpret(std::shared_ptr<const Program> program, Precision precision);

/// Seconds of a launch over all rows, roughly.
double interpreting_seconds(const Program& program, KernelId kernel);

}  // namespace hebb
