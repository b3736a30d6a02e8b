#include "compiler/codegen/nvptx.h"

#include <llvm-c/Target.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>

#include "compiler/codegen/jit.h"
#include "compiler/codegen/math.h"
#include "compiler/codegen/nvptx_emit.h"
#include "compiler/codegen/optimize.h"
#include "compiler/codegen/target.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

struct Target {
  int sm;
  const char* ptx;  // the first version of PTX that knows it, or later
};
constexpr Target kTargets[] = {{75, "+ptx81"}, {80, "+ptx81"}, {90, "+ptx81"}, {100, "+ptx86"}};

Result<std::unique_ptr<llvm::TargetMachine>> nvptx_machine(int sm) {
  [[maybe_unused]] static const bool once = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  const Target* const known = std::find_if(std::begin(kTargets), std::end(kTargets), [&](const Target& t) { return t.sm == sm; });
  assert(known != std::end(kTargets) && "asked for one of ptx_targets()");
  const llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target* const target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (target == nullptr) return Failure{cat("this LLVM writes no PTX: ", error)};
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, cat("sm_", sm), known->ptx, llvm::TargetOptions(), std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Default));
  if (machine == nullptr) return Failure{cat("LLVM writes no PTX for sm_", sm)};
  return machine;
}

std::unique_ptr<llvm::Module> threads_module(const DeviceProgram& device, Precision precision, ThreadTarget target,
                                             llvm::TargetMachine& machine, llvm::LLVMContext& context) {
  auto module = emit_threads(device, precision, target, context);
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  link_math(*module);
  std::string faults;
  llvm::raw_string_ostream stream(faults);
  const auto check = [&] {
    if (!llvm::verifyModule(*module, &stream)) return;
    llvm::errs() << faults;
    assert(false && "emitted code is valid LLVM");
  };
  check();
  optimize_threads(*module, machine);
  check();
  return module;
}

std::string_view line_at(std::string_view text, size_t begin) {
  return text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
}

/// A sentence over each kernel, and what it is beside each parameter.
std::string with_comments(std::string_view text, const DeviceProgram& device, Precision precision, const llvm::Module& module) {
  std::string out = cat("// ", device.program.name, ", ", precision == Precision::Float32 ? "float" : "double",
                        ". Exact: every operation rounds once, to nearest, and none is contracted.\n");
  const DeviceKernel* kernel = nullptr;
  constexpr std::string_view kEntry = ".entry ", kParameter = "_param_";
  for (size_t at = 0; at < text.size();) {
    const std::string_view line = line_at(text, at);
    at += line.size() + 1;
    if (const size_t entry = line.find(kEntry); entry != std::string_view::npos) {
      const std::string_view rest = line.substr(entry + kEntry.size());
      const std::string_view name = rest.substr(0, rest.find('('));
      for (uint32_t k = 0; k < device.kernels.size(); ++k) {
        if (device.kernels[k].symbol != name) continue;
        kernel = &device.kernels[k];
        out += cat("// ", describe(device.program, KernelId{k}, kernel->spread), "\n");
        if (device.program[device.program[KernelId{k}].domain].kind == SpaceKind::Sparse || kernel->spread == Spread::One) continue;
        const int again = reread_values(*module.getFunction(kernel->symbol));
        out += cat("// for one row: ", least_bytes(device.program, KernelId{k}, kernel->spread, precision), " bytes",
                   again == 0 ? "" : cat(", and ", again * (precision == Precision::Float32 ? 4 : 8), " again that stay the same"), "\n");
      }
    }
    out += line;
    const size_t parameter = line.rfind(kParameter);
    if (kernel != nullptr && line.starts_with("\t.param ") && parameter != std::string_view::npos) {
      const size_t index = std::strtoul(std::string(line.substr(parameter + kParameter.size())).c_str(), nullptr, 10);
      out += cat("  // ", describe(device.program, kernel->parameters[index]));
    }
    out += '\n';
  }
  return out;
}

}  // namespace

const std::vector<int>& ptx_targets() {
  static const std::vector<int> all = [] {
    std::vector<int> out;
    for (const Target& target : kTargets) out.push_back(target.sm);
    return out;
  }();
  return all;
}

Result<std::string> ptx(const DeviceProgram& device, const PtxOptions& options) {
  auto machine = nvptx_machine(options.sm);
  if (!machine) return machine.failure();
  llvm::LLVMContext context;
  const auto module = threads_module(device, options.precision, ThreadTarget::Gpu, **machine, context);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  for (llvm::Function& function : *module) {
    // Passes of the back end that compare every address with many others take minutes for these, and gain nothing.
    constexpr unsigned kLong = 2000;
    if (function.isDeclaration() || function.getInstructionCount() < kLong) continue;
    function.addFnAttr(llvm::Attribute::NoInline);
    function.addFnAttr(llvm::Attribute::OptimizeNone);
  }
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return Failure{"LLVM cannot print PTX"};
  passes.run(*module);
  return options.comments ? with_comments(text.str(), device, options.precision, *module) : text.str().str();
}

Result<HostThreads> host_threads(const DeviceProgram& device, Precision precision) {
  auto machine = target_machine({.precision = precision});
  if (!machine) return machine.failure();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto module = threads_module(device, precision, ThreadTarget::Host, **machine, *context);
  std::vector<std::string> symbols;
  for (const DeviceKernel& kernel : device.kernels) symbols.push_back(kernel.symbol);
  auto functions = load_functions(std::move(context), std::move(module), *std::move(machine), symbols);
  if (!functions) return functions.failure();
  HostThreads threads;
  for (void* address : functions->address)
    threads.run.emplace_back(reinterpret_cast<void (*)(void* const*, const uint32_t*)>(address));
  threads.keep_alive = functions->keep_alive;
  return threads;
}

}  // namespace hebb
