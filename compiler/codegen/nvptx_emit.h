#pragma once
// DeviceProgram → LLVM module: what one thread of each kernel does, on scalars. The same code for a GPU,
// where the numbers of block and thread come from registers, and for the host, where they are arguments.

#include <memory>

#include "compiler/codegen/codegen.h"
#include "compiler/program/device.h"

namespace llvm {
class Function;
class LLVMContext;
class Module;
}

namespace hebb {

/// Gpu: `ptx_kernel` functions of the parameters of each DeviceKernel.
/// Host: `void (void* const* parameters, const uint32_t* thread)`, parameters[k] pointing at the value of
/// parameter k; `thread` holds block x, y, z, blocks y, thread x and threads of a block.
enum class ThreadTarget { Gpu, Host };

std::unique_ptr<llvm::Module> emit_threads(const DeviceProgram& device, Precision precision, ThreadTarget target,
                                           llvm::LLVMContext& context);

/// Values that a kernel reads in every row although they stay the same: registers are few.
int reread_values(const llvm::Function& kernel);

}  // namespace hebb
