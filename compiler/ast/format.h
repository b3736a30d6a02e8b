#pragma once
// The canonical layout of a file (`hebb fmt`): idempotent, keeps every comment and blank-line group.

#include <string>

#include "compiler/ast/ast.h"

namespace hebb::ast {

std::string format(const File& file, const Sources& sources);

}  // namespace hebb::ast
