#pragma once
// Program → LLVM module for several runs at once: one function `void (const hebb_launch*)` per kernel, its vectors made of
// the same number of each run. Every run has the bits it has alone: numbers of different runs never meet, and
// sums go in the same order.

#include <memory>

#include "compiler/codegen/emit_llvm.h"

namespace hebb {

/// Memory: element e of run l at base[e * kLanesTogether + l], elements in the logical order of runtime/columns.h, parameters
/// too. Launches are whole; `keys` of the launch holds one key for each run.
std::unique_ptr<llvm::Module> emit_lanes(const Program& program, const EmitOptions& options, llvm::LLVMContext& context);

}  // namespace hebb
