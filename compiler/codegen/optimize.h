#pragma once
// The passes that make a kernel fast. The only file that includes PassBuilder is optimize.cpp.

namespace llvm {
class Module;
class TargetMachine;
}

namespace hebb {

/// Level 0 only inlines what must be inlined. Results do not depend on the level.
/// `lanes`: of emit_lanes.
void optimize(llvm::Module& module, llvm::TargetMachine& machine, int level, bool lanes = false);

/// For code of one thread of a device: no vectors, no copies of loops. Results do not change.
void optimize_threads(llvm::Module& module, llvm::TargetMachine& machine);

/// Folds into functions what all their callers pass them, and drops what is then never done: for code that
/// is written for every rule and linked to one. Small code.
void specialise(llvm::Module& module, llvm::TargetMachine& machine);

}  // namespace hebb
