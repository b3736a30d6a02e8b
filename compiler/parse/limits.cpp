#include "compiler/parse/limits.h"

#include "compiler/parse/parse.h"
#include "compiler/support/text.h"
#include "compiler/support/utf8.h"

namespace hebb::parsing {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kDeepest = 256;
constexpr size_t kMostTokens = 400'000;  // of one item: about 1 kB of tree each
constexpr std::string_view kBulkHelp =
    "numbers in bulk belong in a CSV, NPY or HDF5 file:  let data = load(\"data.csv\");";

/// How much deeper than its surroundings one open bracket is: each count is one more recursion.
struct Level {
  size_t ifs = 0, powers = 0, prefixes = 0, suffixes = 0;
  size_t depth() const { return 1 + ifs + powers + prefixes + suffixes; }
};

bool is_prefix(const Lexeme& lexeme) {
  return lexeme.is("-") || lexeme.is("+") || lexeme.is("not");
}
/// A token behind which a value has ended, so that '-' subtracts and '(' calls.
bool ends_value(const Lexeme& lexeme) {
  return lexeme.is_number() || lexeme.is_word() || lexeme.is(")") || lexeme.is("]");
}

/// Counts what token `i` adds to the level it stands in.
void count(const Lexemes& lexemes, size_t i, Level& level) {
  const Lexeme& now = lexemes[i];
  const bool behind_value = i > 0 && ends_value(lexemes[i - 1]) && !lexemes[i - 1].is("not");
  if (now.is(";") || now.is(",")) level = {};
  else if (now.is("if")) ++level.ifs;
  else if (now.is("^")) ++level.powers;
  else if (is_prefix(now) && !behind_value) ++level.prefixes;
  else if (now.is(".")) ++level.suffixes;
  else if (now.kind == LexKind::Symbol && !now.is("(") && !now.is("[")) {
    level.powers = level.prefixes = level.suffixes = 0;  // an operator starts a new operand
  }
}

}  // namespace

uint32_t byte_order_mark(std::string_view text) {
  return text.starts_with(kByteOrderMark) ? static_cast<uint32_t>(kByteOrderMark.size()) : 0;
}

bool readable(const Sources& sources, FileId file, Diagnostics& diags) {
  const std::string_view text = sources[file].text;
  if (text.size() > kMaxSourceBytes) {
    Diagnostic& diag = diags.report(DiagKind::FileTooLarge, {},
                                    cat(quoted(sources[file].path), " has ", text.size(),
                                        " bytes; a source file has at most ", kMaxSourceBytes));
    diag.help = kBulkHelp;
    return false;
  }
  const auto at = [&](size_t offset) {
    const auto begin = static_cast<uint32_t>(offset);
    return Span{file, begin, begin + 1};
  };
  if (const std::optional<size_t> bad = first_invalid_utf8(text)) {
    const bool utf16 = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
    Diagnostic& diag = diags.report(DiagKind::NotUtf8Text, at(*bad), "this file is not UTF-8 text");
    diag.note = utf16 ? "this looks like UTF-16" : "this byte";
    diag.help = "save the file as UTF-8";
    return false;
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    Diagnostic& diag = diags.report(DiagKind::NotUtf8Text, at(nul),
                                    "this file holds a NUL byte; it is not a text");
    diag.note = "this byte";
    return false;
  }
  return true;
}

bool within_limits(const Lexemes& lexemes, Diagnostics& diags) {
  std::vector<Level> levels(1);
  size_t depth_below = 0;  // of all levels but the innermost
  size_t item = 0;         // where the present item begins
  for (size_t i = 0; i + 1 < lexemes.size(); ++i) {
    const Lexeme& now = lexemes[i];
    const bool opens = now.is("(") || now.is("[") || now.is("{");
    const bool closes = now.is(")") || now.is("]") || now.is("}");
    if (opens) {
      if (i > 0 && ends_value(lexemes[i - 1])) ++levels.back().suffixes;
      depth_below += levels.back().depth();
      levels.push_back({});
    } else if (closes && levels.size() > 1) {
      levels.pop_back();
      depth_below -= levels.back().depth();
      if (now.is("}")) levels.back() = {};
    } else {
      count(lexemes, i, levels.back());
    }
    const bool item_ends = levels.size() == 1 && (now.is("}") || now.is(";"));
    if (item_ends) item = i + 1;
    if (i - item > kMostTokens && !item_ends) {
      Diagnostic& diag = diags.report(DiagKind::FileTooLarge, lexemes[item].span,
                                      cat("what begins here has more than ", kMostTokens, " words and signs"));
      diag.help = kBulkHelp;
      return false;
    }
    if (depth_below + levels.back().depth() <= kDeepest) continue;
    Diagnostic& diag = diags.report(DiagKind::NestingTooDeep, now.span,
                                    cat("this is nested more than ", kDeepest, " deep"));
    diag.help = "give a part of it a name with let";
    return false;
  }
  return true;
}

}  // namespace hebb::parsing
