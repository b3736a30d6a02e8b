#pragma once
// A row with very many values at once, as several kernels: what one hands to a later one lies in memory meanwhile.

#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// Kernels that do what `kernel`, over a uniform space, does, to be launched one after the other; none works with more than `most` values of its own
/// at once. Empty: the row has no more than that. What is handed on gets a column of the program, called after `name`.
std::vector<Kernel> cut_row(Program& program, const Kernel& kernel, const std::string& name, size_t most);

}  // namespace hebb
