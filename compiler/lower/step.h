#pragma once
// The kernels of a program in the order of one grid step, before anything is made fast.

#include "compiler/lower/draft.h"

namespace hebb {

/// How one column gets its value: by these kernels, in order.
struct Definition {
  ColumnId column;
  std::vector<Kernel> kernels;
};

/// Parameters and start values.
std::vector<Definition> initial_definitions(Draft& draft);
/// Everything an instant reads that is no state: signals, inputs, arrivals, lets, reductions.
std::vector<Definition> value_definitions(Draft& draft);

/// What is read comes before what reads it; else as given. A cycle is left out of `kernels`: the names
/// of its columns, in order, are in `cycle`.
struct Ordered {
  std::vector<Kernel> kernels;
  std::vector<std::string> cycle;
};
Ordered in_order(const Program& program, std::vector<Definition> definitions);

/// All jumps at once. Kernels that read more come before those that change what they read.
std::vector<Kernel> instant_kernels(Draft& draft);
/// From t to t + dt, then the threshold tests.
std::vector<Kernel> flow_kernels(Draft& draft);

/// Adds the scans whose results a kernel reads.
Kernel with_scans(Draft& draft, Kernel kernel);

}  // namespace hebb
