#pragma once
// What a condition holds, written back with a plain store.

namespace llvm {
class Module;
}

namespace hebb {

/// LLVM makes `store (if held then what was there else new)` a store under a mask. Vectors of 128 and 256 bits have no such store
/// that is fast: on AMD's processors it takes longer than all else a neuron does in a step. What was there is frozen, which costs nothing
/// and which that rewriting does not see through. Same bits.
void keep_blends(llvm::Module& module);

}  // namespace hebb
