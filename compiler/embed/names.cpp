#include "compiler/embed/names.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "compiler/support/utf8.h"

namespace hebb {
namespace {

constexpr std::array kGreek = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "omicron", "pi", "rho", "sigma", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"};

const std::set<std::string_view>& keywords() {
  static const std::set<std::string_view> words = {
      // C11 and C23
      "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
      "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
      "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while",
      "typeof", "typeof_unqual",
      // C++
      "alignas", "alignof", "and", "and_eq", "asm", "bitand", "bitor", "bool", "catch", "char8_t", "char16_t",
      "char32_t", "class", "compl", "concept", "consteval", "constexpr", "constinit", "const_cast", "co_await",
      "co_return", "co_yield", "decltype", "delete", "dynamic_cast", "explicit", "export", "false", "friend",
      "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private",
      "protected", "public", "reinterpret_cast", "requires", "static_assert", "static_cast", "template", "this",
      "thread_local", "throw", "true", "try", "typeid", "typename", "using", "virtual", "wchar_t", "xor", "xor_eq",
      // macros of common headers and compilers
      "NULL", "EOF", "errno", "assert", "linux", "unix", "i386", "near", "far", "I", "complex", "imaginary",
      "signbit", "isnan", "isinf", "NAN", "INFINITY", "EDOM", "ERANGE", "BUFSIZ", "stdin", "stdout", "stderr",
      "min", "max", "small", "interface", "NDEBUG", "M_PI", "M_E"};
  return words;
}

struct Letter {
  uint32_t code = 0;
  size_t bytes = 1;
};

Letter letter_at(std::string_view text, size_t at) {
  const size_t bytes = utf8_length_at(text, at);
  return bytes == 0 ? Letter{'_', 1} : Letter{utf8_code_point(text, at), bytes};
}

bool is_ascii_word(uint32_t code) {
  return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || (code >= '0' && code <= '9') || code == '_';
}

std::string spelled(uint32_t code) {
  if (code >= 0x3B1 && code < 0x3B1 + kGreek.size()) return kGreek[code - 0x3B1];
  if (code >= 0x391 && code < 0x391 + kGreek.size()) {
    std::string name = kGreek[code - 0x391];
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
    return name;
  }
  if (code == 0x3F5) return "epsilon";
  if (code == 0x3D5) return "phi";
  if (code == 0x3D1) return "theta";
  std::string out = "u";
  for (int shift = code > 0xFFFF ? 20 : 12; shift >= 0; shift -= 4) out += "0123456789ABCDEF"[code >> shift & 0xF];
  return out;
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string c_identifier(std::string_view name) {
  std::string out;
  for (size_t at = 0; at < name.size();) {
    const Letter letter = letter_at(name, at);
    at += letter.bytes;
    if (is_ascii_word(letter.code)) out += static_cast<char>(letter.code);
    else if (letter.code < 0x80) out += '_';
    else out += spelled(letter.code);
  }
  // Names that begin with '_' belong to the implementation, and those with a digit are none.
  if (out.empty() || out[0] == '_' || (out[0] >= '0' && out[0] <= '9')) out = "x" + out;
  // So do, in C++, those with two in a row.
  for (size_t at; (at = out.find("__")) != std::string::npos;) out.erase(at, 1);
  if (keywords().contains(out)) out += '_';
  return out;
}

std::string fresh_c_identifier(std::string_view name, std::set<std::string>& taken) {
  const std::string first = c_identifier(name);
  std::string out = first;
  for (int number = 2; taken.contains(out); ++number)
    out = first + (first.back() == '_' ? "" : "_") + (number == 2 && !taken.contains(first + "_") && first.back() != '_'
                                                           ? std::string()
                                                           : std::to_string(number));
  taken.insert(out);
  return out;
}

std::string c_prefix(std::string_view rule) {
  const std::string name = c_identifier(rule);
  std::string out;
  for (size_t k = 0; k < name.size(); ++k) {
    const bool starts_word = is_upper(name[k]) && k > 0 && name[k - 1] != '_' &&
                             (is_lower(name[k - 1]) || (k + 1 < name.size() && is_lower(name[k + 1]) &&
                                                        !(name[k + 1] >= '0' && name[k + 1] <= '9')));
    if (starts_word) out += '_';
    out += is_upper(name[k]) ? static_cast<char>(name[k] - 'A' + 'a') : name[k];
  }
  while (out.size() > 1 && out.back() == '_') out.pop_back();
  return c_identifier(out);
}

std::string in_comment(std::string_view text) {
  std::string out;
  for (size_t k = 0; k < text.size(); ++k) {
    const char c = text[k];
    if (c == '\n' || c == '\r' || c == '\t') {
      if (!out.empty() && out.back() != ' ') out += ' ';
      continue;
    }
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) continue;
    out += c;
    const char next = k + 1 < text.size() ? text[k + 1] : 0;
    // No comment ends, none seems to begin, and no '??' or last backslash means something to C.
    if ((c == '*' && next == '/') || (c == '/' && next == '*') || (c == '?' && next == '?') || c == '\\') out += ' ';
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace hebb
