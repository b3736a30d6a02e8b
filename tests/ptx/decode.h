#pragma once
// The statements of one function: registers, local and shared variables, labels, instructions.

#include <map>
#include <string>
#include <unordered_map>

#include "tests/ptx/cursor.h"
#include "tests/ptx/module.h"

namespace hebb::emulator {

/// Decodes the statements between the braces of `function`; what `module` has declared may be named.
void decode_body(Cursor& at, const Module& module, Function& function);

/// Spelling and operands of every instruction of opcodes.def.
std::vector<std::pair<std::string_view, std::string_view>> known_instructions();

}  // namespace hebb::emulator
