#include "compiler/codegen/scale_wide.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PatternMatch.h>

#include <vector>

namespace hebb {
namespace {

/// The large real of which `whole` is the low bits, when it is one of 16 that way; else null.
llvm::Value* large_real(llvm::Value* whole) {
  using namespace llvm::PatternMatch;
  constexpr uint32_t kMinusShift = 0u - 0x4b400000u;   // the bits of 0x1.8p23f
  llvm::Value* bits = nullptr;
  if (!match(whole, m_Add(m_Value(bits), m_SpecificInt(llvm::APInt(32, kMinusShift))))) return nullptr;
  const auto* const cast = llvm::dyn_cast<llvm::BitCastInst>(bits);
  const auto* const type = cast ? llvm::dyn_cast<llvm::FixedVectorType>(cast->getSrcTy()) : nullptr;
  return type && type->getElementType()->isFloatTy() && type->getNumElements() == 16 ? cast->getOperand(0) : nullptr;
}

}  // namespace

void scale_by_reals(llvm::Module& module) {
  std::vector<llvm::IntrinsicInst*> found;
  for (llvm::Function& function : module)
    for (llvm::BasicBlock& block : function)
      for (llvm::Instruction& each : block)
        if (auto* const call = llvm::dyn_cast<llvm::IntrinsicInst>(&each); call && call->getIntrinsicID() == llvm::Intrinsic::ldexp)
          if (large_real(call->getArgOperand(1)) != nullptr) found.push_back(call);
  for (llvm::IntrinsicInst* call : found) {
    auto* const whole = llvm::cast<llvm::Instruction>(call->getArgOperand(1));
    llvm::Value* const large = large_real(whole);
    llvm::IRBuilder<> builder(call);
    llvm::Value* const value = call->getArgOperand(0);
    llvm::Value* const n = builder.CreateFAdd(large, llvm::ConstantFP::get(large->getType(), -0x1.8p23));
    constexpr int kAll = -1, kAsSet = 4;   // elements; rounding
    call->replaceAllUsesWith(builder.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                                                     {value, n, llvm::PoisonValue::get(value->getType()), builder.getInt16(static_cast<uint16_t>(kAll)), builder.getInt32(kAsSet)}));
    call->eraseFromParent();
    if (whole->use_empty()) {
      auto* const cast = llvm::cast<llvm::Instruction>(whole->getOperand(0));
      whole->eraseFromParent();
      if (cast->use_empty()) cast->eraseFromParent();
    }
  }
}

}  // namespace hebb
