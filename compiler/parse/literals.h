#pragma once
// What a token stands for: numbers, exponents, texts, operators.

#include "compiler/ast/ast.h"
#include "compiler/parse/lexemes.h"
#include "compiler/support/diagnostic.h"

namespace hebb::parsing {

/// The value of a number token; reports one too large or too small for double.
double read_number(const Lexeme& lexeme, Diagnostics& diags);
/// The value of an exponent of a unit; reports one beyond 1000, which no unit has.
int64_t read_exponent(const Lexeme& lexeme, Diagnostics& diags);
/// (factor)^(above/below), in lowest terms; `below` is not 0.
ast::UnitFactor raised(ast::UnitFactor factor, int64_t above, int64_t below);
/// The text between quotes; \" \\ \n \t are what they are in C, any other \c is c.
std::string read_text(std::string_view quoted_text);
ast::BinaryOp binary_op(std::string_view spelling);
ast::Token ast_token(const Lexeme& lexeme);

/// Reports 'base^exponent' when `base` is a number with a unit (U02).
void check_unit_power(const Lexemes& lexemes, Span base, Span exponent, Span whole,
                      Diagnostics& diags);

}  // namespace hebb::parsing
