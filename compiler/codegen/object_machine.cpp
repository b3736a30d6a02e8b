#include "compiler/codegen/object_machine.h"

#include <llvm-c/Target.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/SubtargetFeature.h>
#include <llvm/TargetParser/Triple.h>

#include "compiler/support/text.h"

extern "C" const char hebb_block_x86_64_begin[], hebb_block_x86_64_end[], hebb_block_aarch64_begin[],
    hebb_block_aarch64_end[], hebb_block_wasm32_begin[], hebb_block_wasm32_end[], hebb_block_x86_64_vjp_begin[],
    hebb_block_x86_64_vjp_end[], hebb_block_aarch64_vjp_begin[], hebb_block_aarch64_vjp_end[],
    hebb_block_wasm32_vjp_begin[], hebb_block_wasm32_vjp_end[];

namespace hebb {
namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

ObjectMachine::Variant host_variant() {
  llvm::SubtargetFeatures features;
  const auto found = llvm::sys::getHostCPUFeatures();
  for (const auto& [name, enabled] : found) features.AddFeature(name, enabled);
  const bool wide = found.lookup("avx512f") && found.lookup("avx512vl") && found.lookup("avx512dq");
  return {.suffix = "_host", .cpu = llvm::sys::getHostCPUName().str(), .features = features.getString(),
          .level = wide ? 4 : 3, .vector_bits = wide ? 512u : 256u};
}

#define HEBB_BLOCK_BITCODE(name) \
  (vjp ? between(hebb_block_##name##_vjp_begin, hebb_block_##name##_vjp_end) : between(hebb_block_##name##_begin, hebb_block_##name##_end))

}  // namespace

ObjectMachine machine_of(Target target, bool vjp) {
  const ObjectMachine::Variant v3{.suffix = "_v3", .cpu = "x86-64-v3", .level = 3, .vector_bits = 256};
  const ObjectMachine::Variant v4{.suffix = "_v4", .cpu = "x86-64-v4", .level = 4, .vector_bits = 512};
  ObjectMachine machine{.triple = "x86_64-unknown-linux-gnu", .cpu = "x86-64",
                  .block = HEBB_BLOCK_BITCODE(x86_64)};
  switch (target) {
    case Target::Portable: machine.variants = {v3, v4}; break;
    case Target::X86_64_v3: machine.variants = {v3}; break;
    case Target::X86_64_v4: machine.variants = {v4}; break;
    case Target::Host: machine.variants = {host_variant()}; break;
    case Target::Aarch64:
      machine = {.triple = "aarch64-unknown-linux-gnu", .cpu = "generic",
                 .block = HEBB_BLOCK_BITCODE(aarch64), .variants = {{}}};
      break;
    case Target::Wasm32:
      machine = {.triple = "wasm32-unknown-unknown", .cpu = "generic", .features = "+simd128",
                 .block = HEBB_BLOCK_BITCODE(wasm32), .variants = {{}},
                 .pointer_bytes = 4};
      break;
  }
  return machine;
}
#undef HEBB_BLOCK_BITCODE

void initialise_targets() {
  [[maybe_unused]] static const bool once = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();  // block.c has inline assembly
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeWebAssemblyTargetInfo();
    LLVMInitializeWebAssemblyTarget();
    LLVMInitializeWebAssemblyTargetMC();
    LLVMInitializeWebAssemblyAsmPrinter();
    return true;
  }();
}

Result<std::unique_ptr<llvm::TargetMachine>> target_machine(const ObjectMachine& machine, int level) {
  initialise_targets();
  std::string error;
  const llvm::Triple triple(machine.triple);
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (target == nullptr) return Failure{cat("no code generator for ", machine.triple, ": ", error)};
  llvm::TargetOptions options;
  options.MCOptions.X86RelaxRelocations = false;  // understood by linkers of any age
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, machine.cpu, machine.features, options,
      machine.pointer_bytes == 4 ? llvm::Reloc::Static : llvm::Reloc::PIC_, std::nullopt,
      level <= 0 ? llvm::CodeGenOptLevel::None : llvm::CodeGenOptLevel::Default));
}

}  // namespace hebb
