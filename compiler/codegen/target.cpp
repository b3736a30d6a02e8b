#include "compiler/codegen/target.h"

#include <llvm/ADT/StringMap.h>
#include <llvm/Config/llvm-config.h>
#include <llvm-c/Target.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/SubtargetFeature.h>
#include <llvm/TargetParser/Triple.h>

#include "compiler/support/text.h"

namespace hebb {
namespace {

std::string host_features() {
  llvm::SubtargetFeatures features;
  for (const auto& [name, enabled] : llvm::sys::getHostCPUFeatures())
    features.AddFeature(name, enabled);
  return features.getString();
}

const llvm::Target* host_target(std::string& error) {
  [[maybe_unused]] static const bool once = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  return llvm::TargetRegistry::lookupTarget(llvm::Triple(llvm::sys::getProcessTriple()), error);
}

llvm::CodeGenOptLevel codegen_level(int level) {
  if (level <= 0) return llvm::CodeGenOptLevel::None;
  if (level == 1) return llvm::CodeGenOptLevel::Less;
  return llvm::CodeGenOptLevel::Default;
}

}  // namespace

Result<std::unique_ptr<llvm::TargetMachine>> target_machine(const CodegenOptions& options) {
  std::string error;
  const llvm::Target* target = host_target(error);
  if (target == nullptr) return Failure{cat("no code generator for this machine: ", error)};

  const bool host = options.cpu == "host";
  const std::string cpu = host ? llvm::sys::getHostCPUName().str() : options.cpu;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      llvm::Triple(llvm::sys::getProcessTriple()), cpu, host ? host_features() : "",
      llvm::TargetOptions(), llvm::Reloc::PIC_, llvm::CodeModel::Small, codegen_level(options.level),
      /*JIT=*/true));
  if (machine == nullptr) return Failure{cat("no code generator for the CPU ", quoted(cpu))};
  const llvm::MCSubtargetInfo& cpu_info = *machine->getMCSubtargetInfo();
  if (!cpu_info.isCPUStringValid(cpu)) return Failure{cat("unknown CPU ", quoted(cpu))};
  if (!cpu_info.checkFeatures("+fma,+avx2"))
    return Failure{cat("the CPU ", quoted(cpu),
                       " has no AVX2 with fused multiply-add; Hebb needs x86-64-v3 or later")};
  return machine;
}

unsigned vector_bits(const llvm::TargetMachine& machine) {
  // Other machines do not know these words.
  const bool wide = machine.getTargetTriple().isX86() && machine.getMCSubtargetInfo()->checkFeatures("+avx512f,+avx512vl,+avx512dq");
  return wide ? 512 : 256;
}

std::string describe_host() {
  const auto machine = target_machine({});
  const std::string cpu = llvm::sys::getHostCPUName().str();
  if (!machine) return cat("LLVM ", LLVM_VERSION_STRING, ", ", cpu, ", ", machine.error());
  return cat("LLVM ", LLVM_VERSION_STRING, ", ", cpu, ", ", vector_bits(**machine), "-bit vectors");
}

}  // namespace hebb
