#pragma once
// Small pieces of text: concatenation, quoting, plurals, number formatting, spelling suggestions.

#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hebb {

/// The shortest decimal text that reads back as the same double ("0.1", "1e-12", "inf", "nan").
std::string shortest(double value);

inline void append(std::string& out, std::string_view piece) { out += piece; }
inline void append(std::string& out, const std::string& piece) { out += piece; }
inline void append(std::string& out, const char* piece) { out += piece; }
inline void append(std::string& out, char piece) { out += piece; }
inline void append(std::string& out, double piece) { out += shortest(piece); }
template <class Int>
  requires std::is_integral_v<Int>
void append(std::string& out, Int piece) { out += std::to_string(piece); }

/// One string of all pieces: strings, characters, numbers.
template <class... Pieces>
std::string cat(const Pieces&... pieces) {
  std::string out;
  (append(out, pieces), ...);
  return out;
}

/// 'name'
std::string quoted(std::string_view name);
/// Closer than std::quoted, which argument-dependent lookup finds where <iomanip> is included.
inline std::string quoted(const std::string& name) { return quoted(std::string_view(name)); }
/// "1 argument", "2 arguments"
std::string plural(size_t count, std::string_view noun);
/// "a, b and c"
std::string listed(std::span<const std::string> names);
std::string joined(std::span<const std::string> pieces, std::string_view separator);

/// The shortest candidate that begins with `name` (of three letters or more), else the nearest one when it is near enough
/// to be a likely slip, else nothing.
std::optional<std::string> did_you_mean(std::string_view name,
                                        std::span<const std::string> candidates);

/// Reads a whole number text with from_chars: no locale, no exceptions. Overflow gives inf.
std::optional<double> parse_double(std::string_view text);

}  // namespace hebb
