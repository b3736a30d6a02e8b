#pragma once
// Program → LLVM module: one function `void (const hebb_launch*)` per kernel. Scalar loops over pre and
// post rows with everything that does not mention the row hoisted; alias scopes and loop hints let
// LLVM's vectoriser do the rest.

#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"

namespace llvm {
class LLVMContext;
class Module;
}

namespace hebb {

struct EmitOptions {
  Precision precision = Precision::Float32;
  MathMode math = MathMode::Exact;
  unsigned vector_bits = 256;
  bool whole = false;        // as in CodegenOptions
  int pointer_bytes = 8;     // 4: hebb_launch is laid out as on a machine of 32 bits
  std::vector<bool> leave_out = {};  // by number: kernels without a function; empty: all have one
  bool emits(uint32_t kernel) const { return leave_out.empty() || !leave_out[kernel]; }
};

std::unique_ptr<llvm::Module> emit_llvm(const Program& program, const EmitOptions& options,
                                        llvm::LLVMContext& context);

/// "hebb_3_EE_update": unique in the module of the program.
std::string kernel_symbol(const Program& program, KernelId kernel);

}  // namespace hebb
