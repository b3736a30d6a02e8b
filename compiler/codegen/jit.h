#pragma once
// A module in memory as callable kernels. The only file that includes ORC is jit.cpp.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/program/kernels.h"
#include "compiler/support/result.h"

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
}

namespace hebb {

/// Addresses of `symbols`, in order; the code lives as long as `keep_alive`.
struct Functions {
  std::vector<void*> address;
  std::shared_ptr<const void> keep_alive;
};
Result<Functions> load_functions(std::unique_ptr<llvm::LLVMContext> context,
                                 std::unique_ptr<llvm::Module> module,
                                 std::unique_ptr<llvm::TargetMachine> machine,
                                 std::span<const std::string> symbols);

/// Compiles and links `module` by itself: it may call nothing outside but fma. `symbols` become the
/// kernels, in order; the code lives as long as `keep_alive`.
Result<Kernels> load_module(std::unique_ptr<llvm::LLVMContext> context,
                            std::unique_ptr<llvm::Module> module,
                            std::unique_ptr<llvm::TargetMachine> machine,
                            std::span<const std::string> symbols);

}  // namespace hebb
