#pragma once
// PTX text → Module, for the subset that our kernels use. Whatever is not understood to the last
// modifier is refused, with line and text: nothing is skipped and nothing is guessed.

#include <string_view>

#include "compiler/support/result.h"
#include "tests/ptx/module.h"

namespace hebb::emulator {

/// The tables of the module lie from `variables` on.
Result<Module> parse(std::string_view text, uint64_t variables = kVariables);

}  // namespace hebb::emulator
