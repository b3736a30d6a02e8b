#pragma once
// PTX text as tokens. Comments go.

#include <cstdint>
#include <string_view>
#include <vector>

#include "compiler/support/result.h"

namespace hebb::emulator {

enum class TokenKind { Word, Number, Text, Mark, End };

/// A word keeps its dots: `.param`, `ld.global.b32`, `%tid.x`, `$L__BB0_2`. A number is what is written
/// without a sign. A mark is one character.
struct Token {
  TokenKind kind = TokenKind::End;
  std::string_view text;
  uint32_t line = 0;
};

/// The views are into `text`. The last token is End.
Result<std::vector<Token>> lex(std::string_view text);

}  // namespace hebb::emulator
