#include "compiler/codegen/optimize.h"

#include "compiler/codegen/cut_blocks.h"
#include "compiler/codegen/keep_blends.h"
#include "compiler/codegen/scale_wide.h"
#include "compiler/codegen/target.h"

#include <llvm/Analysis/TargetTransformInfo.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/PassManager.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/IPO/AlwaysInliner.h>
#include <llvm/Transforms/IPO/DeadArgumentElimination.h>
#include <llvm/Transforms/IPO/GlobalDCE.h>
#include <llvm/Transforms/IPO/SCCP.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/ADCE.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/IndVarSimplify.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopDeletion.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/LCSSA.h>
#include <llvm/Transforms/Utils/LoopSimplify.h>
#include <llvm/Transforms/Vectorize/LoopVectorize.h>

namespace hebb {
namespace {

/// Kernels are born rotated, hoisted and free of branches, so a short list makes the code of the
/// standard pipeline in half its time.
llvm::FunctionPassManager kernel_passes(bool lanes) {
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(
      llvm::LICMPass(llvm::LICMOptions()), /*UseMemorySSA=*/true));
  passes.addPass(llvm::LoopVectorizePass());
  if (lanes) {   // loops over lanes have become vectors in memory: back into registers
    passes.addPass(llvm::SimplifyCFGPass());
    passes.addPass(llvm::InstCombinePass());
    passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  }
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(
      llvm::LICMPass(llvm::LICMOptions()), /*UseMemorySSA=*/true));
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::ADCEPass());
  return passes;
}

}  // namespace

namespace {

/// Runs `passes` with every analysis that a pass may ask for.
void run(llvm::Module& module, llvm::PassBuilder& builder, llvm::ModulePassManager passes) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  passes.run(module, modules);
}

}  // namespace

void optimize(llvm::Module& module, llvm::TargetMachine& machine, int level, bool lanes) {
  llvm::PassBuilder builder(&machine);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass());
  passes.addPass(llvm::GlobalDCEPass());
  if (level > 0) passes.addPass(llvm::createModuleToFunctionPassAdaptor(kernel_passes(lanes)));
  run(module, builder, std::move(passes));
  if (level == 0) return;
  if (vector_bits(machine) == 512) scale_by_reals(module);
  else keep_blends(module);
  cut_long_blocks(module, vector_bits(machine));
}

void optimize_threads(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::PassBuilder builder(&machine);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AlwaysInlinerPass());
  passes.addPass(llvm::GlobalDCEPass());
  llvm::FunctionPassManager each;
  each.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  for (int round = 0; round < 2; ++round) {
    each.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
    each.addPass(llvm::InstCombinePass());
    each.addPass(llvm::SimplifyCFGPass());
    each.addPass(llvm::createFunctionToLoopPassAdaptor(
        llvm::LICMPass(llvm::LICMOptions()), /*UseMemorySSA=*/true));
  }
  each.addPass(llvm::ADCEPass());
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(each)));
  run(module, builder, std::move(passes));
}

void specialise(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::PassBuilder builder(&machine);
  llvm::ModulePassManager passes;
  for (int round = 0; round < 2; ++round) {
    passes.addPass(llvm::IPSCCPPass());
    passes.addPass(llvm::DeadArgumentEliminationPass());
    llvm::FunctionPassManager each;
    each.addPass(llvm::InstCombinePass());
    each.addPass(llvm::SimplifyCFGPass());
    each.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LoopDeletionPass()));
    each.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
    each.addPass(llvm::ADCEPass());
    each.addPass(llvm::SimplifyCFGPass());
    passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(each)));
    passes.addPass(llvm::GlobalDCEPass());
  }
  run(module, builder, std::move(passes));
}

}  // namespace hebb
