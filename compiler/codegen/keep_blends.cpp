#include "compiler/codegen/keep_blends.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>

#include <vector>

namespace hebb {
namespace {

/// Of a vector that is partly what was at `place`: the operand that was.
llvm::Use* what_was(llvm::StoreInst& store) {
  auto* const blend = llvm::dyn_cast<llvm::SelectInst>(store.getValueOperand());
  if (blend == nullptr || !blend->getType()->isVectorTy()) return nullptr;
  for (llvm::Use* const arm : {&blend->getOperandUse(1), &blend->getOperandUse(2)})
    if (const auto* const load = llvm::dyn_cast<llvm::LoadInst>(arm->get()); load && load->getPointerOperand() == store.getPointerOperand()) return arm;
  return nullptr;
}

}  // namespace

void keep_blends(llvm::Module& module) {
  std::vector<llvm::Use*> found;
  for (llvm::Function& function : module)
    for (llvm::BasicBlock& block : function)
      for (llvm::Instruction& each : block)
        if (auto* const store = llvm::dyn_cast<llvm::StoreInst>(&each))
          if (llvm::Use* const arm = what_was(*store)) found.push_back(arm);
  for (llvm::Use* const arm : found)
    if (llvm::isa<llvm::LoadInst>(arm->get())) {   // once, where two stores share a blend
      llvm::IRBuilder<> builder(llvm::cast<llvm::Instruction>(arm->getUser()));
      arm->set(builder.CreateFreeze(arm->get(), "was"));
    }
}

}  // namespace hebb
