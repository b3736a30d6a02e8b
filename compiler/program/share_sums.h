#pragma once
// Sums of one kernel, shared among several that each work out what their sums need: a thread has few registers.

#include <cstdint>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// Numbers of the kernel's accumulates, in parts. A part keeps its sums, and what its sums take from the arithmetic that all
/// effects of the kernel need: together no more than `most` values, where that can be.
std::vector<std::vector<size_t>> share_sums(const ExprPool& pool, const Kernel& kernel, size_t most);

}  // namespace hebb
