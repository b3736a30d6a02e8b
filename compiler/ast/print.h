#pragma once
// The AST as an indented tree, for `hebb build --emit=ast`; and one expression in source notation.

#include <string>

#include "compiler/ast/ast.h"

namespace hebb::ast {

std::string print(const File& file);
std::string to_source(const Expr& expr);

}  // namespace hebb::ast
