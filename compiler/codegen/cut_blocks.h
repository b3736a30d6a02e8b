#pragma once
// Long straight-line code in pieces that the machine can keep busy.

namespace llvm {
class Module;
}

namespace hebb {

/// The attribute of functions that cut_long_blocks looks at.
constexpr const char* kLongBlocks = "hebb-long-blocks";

/// LLVM's scheduler takes a block as a whole: in one of a thousand vector operations it moves all divisions to its end, where
/// they wait for each other, and what lies in between to the stack. Such blocks are cut where few values are alive, and the
/// operations of a piece are put in an order in which neighbours do not wait for each other. Bits stay. Pieces are as long as the
/// machine has registers for: 32 of 512 bits, 16 of 256.
void cut_long_blocks(llvm::Module& module, unsigned vector_bits);

}  // namespace hebb
