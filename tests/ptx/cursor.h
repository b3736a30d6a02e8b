#pragma once
// Reading tokens one after another. A text that is refused ends the parse by a throw, which `parse`
// catches: it leaves this folder as a Result.

#include <optional>
#include <span>

#include "compiler/support/text.h"
#include "tests/ptx/lex.h"

namespace hebb::emulator {

struct Refused {
  uint32_t line;
  std::string why;
};

class Cursor {
 public:
  explicit Cursor(std::span<const Token> tokens) : tokens_(tokens) {}
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  uint32_t line() const { return peek().line; }
  Token take() {
    const Token token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool at(std::string_view text) const { return peek().text == text && peek().kind != TokenKind::End; }
  bool accept(std::string_view text) {
    if (!at(text)) return false;
    take();
    return true;
  }
  void expect(std::string_view text) {
    if (!accept(text)) refuse(cat("expected '", text, "', found ", found()));
  }
  std::string_view word(std::string_view what) {
    if (peek().kind != TokenKind::Word) refuse(cat("expected ", what, ", found ", found()));
    return take().text;
  }
  uint32_t count(std::string_view what);
  [[noreturn]] void refuse(std::string why) const { throw Refused{line(), std::move(why)}; }

 private:
  std::string found() const {
    return peek().kind == TokenKind::End ? std::string("the end of the text") : cat("'", peek().text, "'");
  }
  std::span<const Token> tokens_;
  size_t at_ = 0;
};

/// What is written as a number, as the bits that a register gets.
struct Immediate {
  uint64_t bits = 0;
  int real_bytes = 0;   // of 0f…, 0d…; 0: a whole number
};
Immediate read_immediate(Cursor& at);

/// ".b32" → 4; nothing when it is not a type.
struct Type {
  char letter = 'b';    // b, u, s, f, p
  int bytes = 0;        // 0 of a predicate
};
std::optional<Type> type_of(std::string_view text);

}  // namespace hebb::emulator
