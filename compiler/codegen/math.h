#pragma once
// The math functions inside a module: their names, and their bodies from the bitcode built by
// math.cmake, linked as needed and marked to be inlined.

#include <string>

#include "compiler/expr/operators.h"
#include "compiler/program/kernels.h"

namespace llvm {
class Module;
}

namespace hebb {

/// "hebb_tanhf"; the operator must be transcendental.
std::string math_function(Op op, Precision precision);

/// Gives every function of math.h that the module declares its body, private to the module. `scales`: the machine has an
/// instruction for a * 2^n; the bits are the same.
void link_math(llvm::Module& module, bool scales = false);

}  // namespace hebb
