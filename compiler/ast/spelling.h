#pragma once
// How the language spells operators, units and paths.

#include <string>

#include "compiler/ast/ast.h"

namespace hebb::ast {

std::string_view spelling(BinaryOp op);
std::string_view spelling(UnaryOp op);  // "not " with its space
std::string_view spelling(JumpOp op);
std::string_view spelling(Per per);
/// "mV/ms", "1/s", "mV^(1/2)"
std::string spelling(const Unit& unit);
std::string spelling(const Path& path);
/// "text" with its quotes and escapes
std::string text_literal(const std::string& text);
/// Whether the unit may stand behind a number without brackets: one name, no exponent.
bool is_plain(const Unit& unit);

}  // namespace hebb::ast
