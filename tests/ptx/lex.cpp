#include "tests/ptx/lex.h"

#include <cctype>

#include "compiler/support/text.h"

namespace hebb::emulator {
namespace {

bool starts_word(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '%' || c == '$' || c == '.'; }
bool goes_on(char c) { return starts_word(c) || std::isdigit(static_cast<unsigned char>(c)); }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)); }

}  // namespace

Result<std::vector<Token>> lex(std::string_view text) {
  std::vector<Token> tokens;
  uint32_t line = 1;
  size_t at = 0;
  const auto take = [&](TokenKind kind, size_t end) {
    tokens.push_back({kind, text.substr(at, end - at), line});
    at = end;
  };
  while (at < text.size()) {
    const char c = text[at];
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (c == '\n') { ++line; ++at; continue; }
    if (std::isspace(static_cast<unsigned char>(c))) { ++at; continue; }
    if (c == '/' && next == '/') { while (at < text.size() && text[at] != '\n') ++at; continue; }
    if (c == '/' && next == '*') {
      const size_t end = text.find("*/", at + 2);
      if (end == text.npos) return Failure{cat("line ", line, ": a comment does not end")};
      for (; at < end + 2; ++at) line += text[at] == '\n';
      continue;
    }
    size_t end = at + 1;
    if (c == '"') {
      while (end < text.size() && text[end] != '"' && text[end] != '\n') ++end;
      if (end >= text.size() || text[end] != '"') return Failure{cat("line ", line, ": a string does not end")};
      take(TokenKind::Text, end + 1);
    } else if (is_digit(c)) {
      while (end < text.size() && (goes_on(text[end]))) ++end;
      take(TokenKind::Number, end);
    } else if (starts_word(c)) {
      while (end < text.size() && goes_on(text[end])) ++end;
      take(TokenKind::Word, end);
    } else if (std::string_view(",;:{}[]()<>@!=+-|").find(c) != std::string_view::npos) {
      take(TokenKind::Mark, end);
    } else {
      return Failure{cat("line ", line, ": unexpected character '", c, "'")};
    }
  }
  tokens.push_back({TokenKind::End, {}, line});
  return tokens;
}

}  // namespace hebb::emulator
