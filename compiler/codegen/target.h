#pragma once
// Which CPU code is made for.

#include <memory>

#include "compiler/codegen/codegen.h"

namespace llvm {
class TargetMachine;
}

namespace hebb {

/// Refuses CPUs without fused multiply-add: every engine rounds once in `Op::Fma`, and without the
/// instruction that costs a library call each.
Result<std::unique_ptr<llvm::TargetMachine>> target_machine(const CodegenOptions& options);

/// Of the vectors that loops should use: 512 or 256.
unsigned vector_bits(const llvm::TargetMachine& machine);

}  // namespace hebb
