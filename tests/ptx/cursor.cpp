#include "tests/ptx/cursor.h"

#include <charconv>

namespace hebb::emulator {
namespace {

uint64_t digits(const Cursor& at, std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    at.refuse(cat("'", text, "' is not a whole number of at most 64 bits"));
  return value;
}

}  // namespace

uint32_t Cursor::count(std::string_view what) {
  const Token token = peek();
  if (token.kind != TokenKind::Number) refuse(cat("expected ", what, ", found ", found()));
  const uint64_t value = digits(*this, token.text, 10);
  if (value > (uint64_t(1) << 28)) refuse(cat(what, " of ", value, " is too large"));
  take();
  return static_cast<uint32_t>(value);
}

Immediate read_immediate(Cursor& at) {
  const bool negative = at.accept("-");
  if (at.peek().kind != TokenKind::Number) at.refuse(cat("expected a number, found '", at.peek().text, "'"));
  std::string_view text = at.peek().text;
  const std::string_view start = text.substr(0, 2);
  Immediate result;
  if (start == "0f" || start == "0F" || start == "0d" || start == "0D") {
    result.real_bytes = start[1] == 'f' || start[1] == 'F' ? 4 : 8;
    if (negative || text.size() != 2 + 2 * static_cast<size_t>(result.real_bytes))
      at.refuse(cat("'", text, "' is not the bits of a number"));
    result.bits = digits(at, text.substr(2), 16);
    at.take();
    return result;
  }
  if (text.ends_with('U')) text.remove_suffix(1);
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (!hex && text.size() > 1 && text[0] == '0') at.refuse(cat("octal and binary numbers are not known: '", text, "'"));
  result.bits = hex ? digits(at, text.substr(2), 16) : digits(at, text, 10);
  if (negative) {
    if (result.bits > uint64_t(1) << 63) at.refuse(cat("'-", text, "' does not fit 64 bits"));
    result.bits = 0 - result.bits;
  }
  at.take();
  return result;
}

std::optional<Type> type_of(std::string_view text) {
  if (text == ".pred") return Type{'p', 0};
  if (text.size() < 3 || text[0] != '.') return {};
  const char letter = text[1];
  const std::string_view width = text.substr(2);
  const int bytes = width == "8" ? 1 : width == "16" ? 2 : width == "32" ? 4 : width == "64" ? 8 : 0;
  const bool known = letter == 'b' || letter == 'u' || letter == 's' || (letter == 'f' && bytes >= 4);
  if (!known || bytes == 0) return {};
  return Type{letter, bytes};
}

}  // namespace hebb::emulator
