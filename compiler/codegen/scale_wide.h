#pragma once
// a * 2^n in vectors.

namespace llvm {
class Module;
}

namespace hebb {

/// Exponentials have n twice: as a real, and as a whole number in the low bits of a large real (math/inline.cpp). LLVM turns
/// the whole number into a real again for the instruction that scales 512 bits; this gives it the one that is there. Same bits.
void scale_by_reals(llvm::Module& module);

}  // namespace hebb
