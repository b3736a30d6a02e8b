#include "compiler/parse/literals.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "compiler/support/text.h"

namespace hebb::parsing {
namespace {

std::string without_underscores(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

/// The tokens of `span`, spelled as written with single spaces where there was space.
std::string spelled(const Lexemes& lexemes, Span span) {
  std::string out;
  const auto first = std::partition_point(lexemes.begin(), lexemes.end(), [&](const Lexeme& l) {
    return l.span.begin < span.begin;
  });
  for (auto it = first; it != lexemes.end() && it->span.end <= span.end && !it->at_end(); ++it) {
    if (it != first && !touch(*(it - 1), *it)) out += ' ';
    out += it->text;
  }
  return out;
}

}  // namespace

double read_number(const Lexeme& lexeme, Diagnostics& diags) {
  const std::string digits = without_underscores(lexeme.text);
  const double value = parse_double(digits).value_or(0);
  const std::string mantissa = digits.substr(0, digits.find_first_of("eE"));
  const bool written_zero = mantissa.find_first_of("123456789") == std::string::npos;
  if (std::isfinite(value) && (value != 0 || written_zero)) return value;
  Diagnostic& diag = diags.report(
      DiagKind::NumberOutOfRange, lexeme.span,
      cat("this number is too ", value == 0 ? "small" : "large", ": doubles reach from 5e-324 to 1.8e308"));
  diag.help = value == 0 ? "write 0" : "infinity is written  inf";
  return 1;
}

int64_t read_exponent(const Lexeme& lexeme, Diagnostics& diags) {
  constexpr int64_t kLargest = 1000;
  const double value = parse_double(without_underscores(lexeme.text)).value_or(0);
  if (value <= kLargest) return static_cast<int64_t>(value);
  diags.report(DiagKind::NumberOutOfRange, lexeme.span,
               cat("an exponent of a unit is at most ", kLargest));
  return 1;
}

ast::UnitFactor raised(ast::UnitFactor factor, int64_t above, int64_t below) {
  assert(below != 0 && "checked where it is read");
  factor.exponent_numerator *= above;
  factor.exponent_denominator *= below;
  const int64_t common = std::gcd(factor.exponent_numerator, factor.exponent_denominator);
  if (common > 1) {
    factor.exponent_numerator /= common;
    factor.exponent_denominator /= common;
  }
  return factor;
}

std::string read_text(std::string_view quoted_text) {
  assert(quoted_text.size() >= 2);
  const std::string_view inner = quoted_text.substr(1, quoted_text.size() - 2);
  std::string out;
  for (size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] != '\\' || i + 1 == inner.size()) {
      out += inner[i];
      continue;
    }
    const char escaped = inner[++i];
    out += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
  }
  return out;
}

ast::BinaryOp binary_op(std::string_view spelling) {
  using ast::BinaryOp;
  static constexpr std::pair<std::string_view, BinaryOp> kOperators[] = {
      {"+", BinaryOp::Add},        {"-", BinaryOp::Subtract},      {"*", BinaryOp::Multiply},
      {"/", BinaryOp::Divide},     {"@", BinaryOp::MatMul},        {"^", BinaryOp::Power},
      {"<", BinaryOp::Less},       {"<=", BinaryOp::LessEqual},    {">", BinaryOp::Greater},
      {">=", BinaryOp::GreaterEqual}, {"==", BinaryOp::Equal},     {"!=", BinaryOp::NotEqual},
      {"and", BinaryOp::And},      {"or", BinaryOp::Or}};
  for (const auto& [text, op] : kOperators) {
    if (text == spelling) return op;
  }
  assert(false && "the grammar has no other operator");
  return BinaryOp::Add;
}

ast::Token ast_token(const Lexeme& lexeme) {
  switch (lexeme.kind) {
    case LexKind::Name: return {ast::TokenKind::Name, lexeme.span};
    case LexKind::Keyword: return {ast::TokenKind::Keyword, lexeme.span};
    case LexKind::Integer:
    case LexKind::Decimal: return {ast::TokenKind::Number, lexeme.span};
    case LexKind::Text:
    case LexKind::UnclosedText: return {ast::TokenKind::Text, lexeme.span};
    case LexKind::Symbol:
    case LexKind::Unknown:
    case LexKind::Comment:
    case LexKind::End: break;
  }
  return {ast::TokenKind::Symbol, lexeme.span};
}

void check_unit_power(const Lexemes& lexemes, Span base, Span exponent, Span whole,
                      Diagnostics& diags) {
  const std::string quantity = spelled(lexemes, base);
  const size_t space = quantity.find_first_not_of("0123456789._eE+-");
  if (space == std::string::npos) return;  // a plain number
  std::string number = quantity.substr(0, quantity.find_first_of(" ["));
  std::string unit = quantity.substr(number.size());
  std::erase(unit, ' ');
  const std::string power = spelled(lexemes, exponent);
  const bool bracketed = unit.starts_with('[');
  if (bracketed) unit = unit.substr(1, unit.size() - 2);
  const bool compound = unit.find_first_of("*/^") != std::string::npos;
  const std::string inside = compound ? cat("(", unit, ")") : unit;
  diags.report(DiagKind::AmbiguousUnitPower, whole,
               cat(quantity, "^", power, " can be read two ways.  Write ", number, " [", inside, "^",
                   power, "] or (", quantity, ")^", power, "."));
}

}  // namespace hebb::parsing
