#pragma once
// The little that is needed of UTF-8: how long a character is, whether it is one at all, its number.

#include <cstdint>
#include <optional>
#include <string_view>

namespace hebb {

/// Bytes of the valid character at `at`; 0 when the bytes there are not UTF-8 (overlong forms,
/// surrogates and numbers above U+10FFFF are not).
size_t utf8_length_at(std::string_view text, size_t at);

/// The code point at `at`, which must be valid.
uint32_t utf8_code_point(std::string_view text, size_t at);

/// The first byte that is not part of valid UTF-8.
std::optional<size_t> first_invalid_utf8(std::string_view text);

}  // namespace hebb
