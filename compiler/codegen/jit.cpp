#include "compiler/codegen/jit.h"

#include <llvm/ExecutionEngine/Orc/CompileUtils.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/Module.h>
#include <llvm/Target/TargetMachine.h>

#include <cmath>
#include <mutex>

#include "compiler/support/text.h"

namespace hebb {
namespace {

using namespace llvm::orc;

/// What the linker complained about, kept for the caller instead of printed.
struct LinkErrors {
  std::mutex mutex;
  std::string text;
};

Failure failure(llvm::Error error, LinkErrors& reported) {
  std::string text = llvm::toString(std::move(error));
  const std::lock_guard lock(reported.mutex);
  if (!reported.text.empty()) text = cat(text, "; ", reported.text);
  return Failure{cat("the compiled kernels do not load: ", text)};
}

/// All that a kernel may call: what the code generator itself turns an instruction into.
SymbolMap allowed_symbols(LLJIT& jit) {
  const auto symbol = [](auto* function) {
    return ExecutorSymbolDef(ExecutorAddr::fromPtr(function), llvm::JITSymbolFlags::Exported |
                                                                  llvm::JITSymbolFlags::Callable);
  };
  SymbolMap symbols;
  symbols[jit.mangleAndIntern("fma")] = symbol(static_cast<double (*)(double, double, double)>(std::fma));
  symbols[jit.mangleAndIntern("fmaf")] = symbol(static_cast<float (*)(float, float, float)>(std::fma));
  return symbols;
}

struct Code {
  LinkErrors errors;
  std::unique_ptr<LLJIT> jit;
};

}  // namespace

Result<Functions> load_functions(std::unique_ptr<llvm::LLVMContext> context,
                                 std::unique_ptr<llvm::Module> module,
                                 std::unique_ptr<llvm::TargetMachine> machine,
                                 std::span<const std::string> symbols) {
  const auto code = std::make_shared<Code>();
  JITTargetMachineBuilder target(machine->getTargetTriple());
  target.setCPU(machine->getTargetCPU().str());
  auto built =
      LLJITBuilder()
          .setJITTargetMachineBuilder(target)
          .setDataLayout(module->getDataLayout())
          .setLinkProcessSymbolsByDefault(false)
          .setPlatformSetUp(setUpInactivePlatform)
          .setCompileFunctionCreator([&](JITTargetMachineBuilder)
              -> llvm::Expected<std::unique_ptr<IRCompileLayer::IRCompiler>> {
            return std::make_unique<TMOwningSimpleCompiler>(std::move(machine));
          })
          .create();
  if (!built) return failure(built.takeError(), code->errors);
  code->jit = std::move(*built);
  code->jit->getExecutionSession().setErrorReporter([errors = &code->errors](llvm::Error error) {
    const std::lock_guard lock(errors->mutex);
    errors->text += llvm::toString(std::move(error));
  });

  JITDylib& library = code->jit->getMainJITDylib();
  if (llvm::Error error = library.define(absoluteSymbols(allowed_symbols(*code->jit))))
    return failure(std::move(error), code->errors);
  if (llvm::Error error = code->jit->addIRModule(
          ThreadSafeModule(std::move(module), ThreadSafeContext(std::move(context)))))
    return failure(std::move(error), code->errors);

  Functions functions;
  for (const std::string& symbol : symbols) {
    llvm::Expected<ExecutorAddr> address = code->jit->lookup(symbol);
    if (!address) return failure(address.takeError(), code->errors);
    functions.address.push_back(address->toPtr<void*>());
  }
  functions.keep_alive = code;
  return functions;
}

Result<Kernels> load_module(std::unique_ptr<llvm::LLVMContext> context,
                            std::unique_ptr<llvm::Module> module,
                            std::unique_ptr<llvm::TargetMachine> machine,
                            std::span<const std::string> symbols) {
  auto functions = load_functions(std::move(context), std::move(module), std::move(machine), symbols);
  if (!functions) return functions.failure();
  Kernels kernels;
  for (void* address : functions->address) kernels.run.emplace_back(reinterpret_cast<hebb_kernel>(address));
  kernels.keep_alive = std::move(functions->keep_alive);
  return kernels;
}

}  // namespace hebb
