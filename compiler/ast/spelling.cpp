#include "compiler/ast/spelling.h"

#include "compiler/support/text.h"

namespace hebb::ast {

std::string_view spelling(BinaryOp op) {
  switch (op) {
    case BinaryOp::Add: return "+";
    case BinaryOp::Subtract: return "-";
    case BinaryOp::Multiply: return "*";
    case BinaryOp::Divide: return "/";
    case BinaryOp::MatMul: return "@";
    case BinaryOp::Power: return "^";
    case BinaryOp::Less: return "<";
    case BinaryOp::LessEqual: return "<=";
    case BinaryOp::Greater: return ">";
    case BinaryOp::GreaterEqual: return ">=";
    case BinaryOp::Equal: return "==";
    case BinaryOp::NotEqual: return "!=";
    case BinaryOp::And: return "and";
    case BinaryOp::Or: return "or";
  }
  return {};
}

std::string_view spelling(UnaryOp op) {
  switch (op) {
    case UnaryOp::Minus: return "-";
    case UnaryOp::Plus: return "+";
    case UnaryOp::Not: return "not ";
  }
  return {};
}

std::string_view spelling(JumpOp op) {
  switch (op) {
    case JumpOp::Add: return "+=";
    case JumpOp::Subtract: return "-=";
    case JumpOp::Assign: return ":=";
  }
  return {};
}

std::string_view spelling(Per per) {
  switch (per) {
    case Per::Pre: return "pre";
    case Per::Post: return "post";
    case Per::Projection: return "projection";
  }
  return {};
}

std::string spelling(const Unit& unit) {
  std::string out;
  for (const UnitFactor& factor : unit.factors) {
    const bool below = factor.exponent_numerator < 0;
    if (!out.empty()) out += below ? '/' : '*';
    else if (below) out += "1/";
    out += factor.name.empty() ? shortest(factor.number) : factor.name;
    const int64_t above = below ? -factor.exponent_numerator : factor.exponent_numerator;
    if (factor.exponent_denominator != 1) out += cat("^(", above, '/', factor.exponent_denominator, ')');
    else if (above != 1) out += cat('^', above);
  }
  return out;
}

std::string spelling(const Path& path) {
  std::string out;
  for (const Name& part : path.parts) out += (out.empty() ? "" : ".") + part.text;
  return out;
}

std::string text_literal(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c == '"' || c == '\\') out += cat('\\', c);
    else out += c;
  }
  return out + '"';
}

bool is_plain(const Unit& unit) {
  if (unit.factors.size() != 1) return false;
  const UnitFactor& only = unit.factors.front();
  return !only.name.empty() && only.exponent_numerator == 1 && only.exponent_denominator == 1;
}

}  // namespace hebb::ast
