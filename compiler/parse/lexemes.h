#pragma once
// The tokens of a file as the parser's own stages see them: old habits, brackets and limits are
// looked for here, before and without ANTLR. A stage may repair the list, so that the parser reads on.

#include <string_view>
#include <vector>

#include "compiler/support/source.h"

namespace hebb::parsing {

enum class LexKind : uint8_t {
  Name, Keyword, Integer, Decimal, Text, UnclosedText, Symbol, Unknown, Comment, End
};

struct Lexeme {
  LexKind kind = LexKind::End;
  Span span;              // zero wide for a token that a repair put in
  std::string_view text;  // in the source, or a literal for a token that a repair put in

  bool is(std::string_view word) const { return kind != LexKind::Text && text == word; }
  bool is_number() const { return kind == LexKind::Integer || kind == LexKind::Decimal; }
  bool is_word() const { return kind == LexKind::Name || kind == LexKind::Keyword; }
  bool at_end() const { return kind == LexKind::End; }
};

/// Without comments, ending in one End.
using Lexemes = std::vector<Lexeme>;

/// A stage that has told this much stops looking: nobody reads on, and a hostile file stays cheap.
inline constexpr size_t kMostTold = 200;

/// A sign behind which only a value can stand: a '{' there opens no block.
inline bool expects_value(const Lexeme& before) {
  if (before.kind != LexKind::Symbol) return false;
  for (const std::string_view sign : {")", "]", "'", ";", "{", "}", ":"}) {
    if (before.text == sign) return false;
  }
  return true;
}

/// `b` follows `a` without any space.
inline bool touch(const Lexeme& a, const Lexeme& b) { return a.span.end == b.span.begin; }

}  // namespace hebb::parsing
