#include "compiler/parse/brackets.h"

#include <algorithm>
#include <optional>

#include "compiler/parse/words.h"
#include "compiler/support/text.h"

namespace hebb::parsing {
namespace {

struct Open {
  Lexeme bracket;
  size_t line, indent;  // of the line it stands in
  bool interval;  // behind 'in': may be closed by the other kind
  bool block;     // a '{' that opens a block, not one inside an expression
};

struct Balance {
  const Sources& sources;
  Diagnostics& diags;
  Lexemes out;
  std::vector<Open> open;
  std::vector<Span> dropped;
  size_t item = 0;                  // in `out`: where the present top-level item begins
  size_t item_end = 0;              // in `out`: behind the last '}' of an item
  std::optional<Open> suspect;      // a '{' whose '}' stood further left than it should
  bool told = false;                // something about the present statement, or about this line
  size_t told_line = 0;
  size_t line = 0, indent = 0;      // of the line that is being read
  size_t line_end = 0;              // where it ends

  std::string_view before(const Lexeme& l) const {
    return std::string_view(sources[l.span.file].text).substr(0, l.span.begin);
  }
  bool first_on_line(const Lexeme& l) const {
    const std::string_view text = before(l);
    const size_t last = text.find_last_not_of(" \t\r");
    return last == std::string_view::npos || text[last] == '\n';
  }
};

std::string_view partner(std::string_view bracket) {
  if (bracket == "(") return ")";
  if (bracket == "[") return "]";
  return "}";
}

/// One statement has one bracket too many or too few; what else does not fit follows from that.
bool told_here(Balance& b) {
  if (b.told) return true;
  b.told = true;
  b.told_line = b.line;
  return false;
}

void tell_unclosed(Balance& b, const Lexeme& bracket, const Lexeme& where, std::string_view here) {
  Diagnostic& diag = b.diags.report(DiagKind::UnbalancedBracket, bracket.span,
                                    cat(quoted(bracket.text), " is never closed"));
  Span place = where.span;
  if (where.at_end() && !b.out.empty()) place = {place.file, b.out.back().span.end, b.out.back().span.end};
  diag.labels.push_back({place, std::string(here)});
}

/// Closes '(' and '[' that are still open where a statement ends.
void close_small(Balance& b, const Lexeme& where) {
  std::optional<Lexeme> outermost;
  while (!b.open.empty() && !b.open.back().block) {
    outermost = b.open.back().bracket;
    b.open.pop_back();
    b.out.push_back({LexKind::Symbol, {where.span.file, where.span.begin, where.span.begin},
                     partner(outermost->text)});
  }
  if (!outermost || told_here(b)) return;
  tell_unclosed(b, *outermost, where,
                cat(quoted(partner(outermost->text)), " is missing before this"));
}

/// Braces are open where the item must have ended: the item is told about and left out.
void drop_item(Balance& b, const Lexeme& where, std::string_view here) {
  const Lexeme bracket = b.suspect ? b.suspect->bracket : b.open.front().bracket;
  tell_unclosed(b, bracket, where, here);
  b.dropped.push_back({where.span.file, b.out[b.item].span.begin, where.span.begin});
  b.out.resize(b.item);
  b.open.clear();
  b.suspect.reset();
}

void opening(Balance& b, const Lexeme& bracket) {
  const bool interval = !b.out.empty() && b.out.back().is("in");
  const bool block = bracket.is("{") && (b.out.empty() || !expects_value(b.out.back()));
  b.open.push_back({bracket, b.line, b.indent, interval, block});
  b.out.push_back(bracket);
}

void closing_small(Balance& b, const Lexeme& bracket) {
  if (b.open.empty() || b.open.back().block) {
    if (!told_here(b)) b.diags.report(DiagKind::UnbalancedBracket, bracket.span, cat(quoted(bracket.text), " closes nothing"));
    return;
  }
  const Open open = b.open.back();
  b.open.pop_back();
  const std::string_view wanted = partner(open.bracket.text);
  if (bracket.is(wanted) || open.interval) {
    b.out.push_back(bracket);
    return;
  }
  if (!told_here(b)) {
    Diagnostic& diag =
        b.diags.report(DiagKind::UnbalancedBracket, bracket.span,
                       cat(quoted(open.bracket.text), " is closed by ", quoted(bracket.text)));
    diag.labels.push_back({open.bracket.span, "opened here"});
  }
  b.out.push_back({LexKind::Symbol, bracket.span, wanted});
}

/// Whether a '}' closes a '{' that stands inside an expression.
bool in_expression(const Balance& b) {
  for (auto open = b.open.rbegin(); open != b.open.rend() && !open->block; ++open) {
    if (open->bracket.is("{")) return true;
  }
  return false;
}

/// An item whose '{' is missing: 'rule A : local' and then a statement.
struct Headless {
  size_t begin;  // its first token
  size_t end;    // behind its header, where the '{' belongs
};
std::optional<Headless> headless_item(const Balance& b) {
  size_t begin = b.out.size();
  do {
    if (begin == b.item_end) return {};
    --begin;
  } while (!opens_item(b.out[begin]));
  const auto is = [&](size_t ahead, std::string_view text) {
    return begin + ahead < b.out.size() && b.out[begin + ahead].is(text);
  };
  if (is(2, "=")) return {};  // rule A = B;
  for (size_t i = begin; i < b.out.size() && !b.out[i].is("{"); ++i) {
    if (b.out[i].is(";")) return Headless{begin, std::min(begin + (is(2, ":") ? 4 : 2), i)};
  }
  return {};
}

/// A '}' where no block is open: one '{' is missing, or one '}' is too much.
void stray_brace(Balance& b, const Lexeme& brace) {
  size_t drop_from = b.item_end;
  if (const std::optional<Headless> item = headless_item(b)) {
    const Span header = b.out[item->end - 1].span;
    Diagnostic& diag = b.diags.report(DiagKind::UnbalancedBracket, {header.file, header.end, header.end},
                                      "this block is never opened");
    diag.note = "put '{' here";
    diag.labels.push_back({brace.span, "this closes nothing"});
    drop_from = item->begin;
  } else {
    Diagnostic& diag = b.diags.report(DiagKind::UnbalancedBracket, brace.span, "'}' closes nothing");
    if (b.item_end > 0) diag.labels.push_back({b.out[b.item_end - 1].span, "the block before ends here"});
    if (drop_from < b.out.size() && opens_item(b.out[drop_from])) return;  // rule A = B;
  }
  if (drop_from == b.out.size()) return;
  // What stands between the end of the last item and here was meant to be inside.
  b.dropped.push_back({brace.span.file, b.out[drop_from].span.begin, brace.span.begin});
  b.out.resize(drop_from);
  b.item = drop_from;
}

void closing_brace(Balance& b, const Lexeme& brace) {
  close_small(b, brace);
  if (b.open.empty()) {
    stray_brace(b, brace);
    return;
  }
  const Open open = b.open.back();
  b.open.pop_back();
  const bool further_left = b.first_on_line(brace) && b.line != open.line && b.indent < open.indent;
  if (further_left && !b.suspect) b.suspect = open;
  b.out.push_back(brace);
  if (!b.open.empty()) return;
  if (opens_item(b.out[b.item])) b.item_end = b.out.size();
  b.item = b.out.size();
  b.suspect.reset();
}

/// Tokens come in order, so lines are counted along: files of one long line stay fast.
void follow_lines(Balance& b, const Lexeme& now) {
  const std::string_view text = b.sources[now.span.file].text;
  if (b.line > 0 && now.span.begin < b.line_end) return;
  while (b.line == 0 || (b.line_end < text.size() && now.span.begin >= b.line_end)) {
    const size_t begin = b.line == 0 ? 0 : b.line_end;
    const size_t newline = text.find('\n', begin);
    b.line_end = newline == std::string_view::npos ? text.size() : newline + 1;
    ++b.line;
    b.indent = std::min(text.find_first_not_of(" \t", begin), text.size()) - begin;
  }
}

}  // namespace

Balanced balance_brackets(Lexemes lexemes, const Sources& sources, Diagnostics& diags) {
  Balance b{.sources = sources, .diags = diags};
  b.out.reserve(lexemes.size());
  for (const Lexeme& now : lexemes) {
    follow_lines(b, now);
    const bool opens = now.is("(") || now.is("[") || now.is("{");
    const bool word = now.kind == LexKind::Keyword && !b.open.empty() && opener(now.text) &&
                      !(b.out.back().is(".") || b.out.back().is("(") || b.out.back().is(",")) &&
                      b.first_on_line(now);
    const bool block = now.is("{") && (b.out.empty() || !expects_value(b.out.back()));
    if (now.is(";") || block || now.at_end() || word) close_small(b, now);
    // A statement ends, and so does its line: what comes next may be told about.
    if (b.told && b.line != b.told_line && !b.out.empty() &&
        (b.out.back().is(";") || b.out.back().is("{") || b.out.back().is("}"))) {
      b.told = false;
    }
    if (now.at_end() && !b.open.empty()) drop_item(b, now, "the file ends here");
    else if (word && opens_item(now) && !b.open.empty()) drop_item(b, now, "something new begins here");

    if (opens) opening(b, now);
    else if (now.is(")") || now.is("]") || (now.is("}") && in_expression(b))) closing_small(b, now);
    else if (now.is("}")) closing_brace(b, now);
    else b.out.push_back(now);
    if (now.is(";") && b.open.empty()) b.item = b.out.size();
    if (diags.size() >= kMostTold) break;
  }
  if (b.out.empty() || !b.out.back().at_end()) b.out.push_back(lexemes.back());
  settle_soft_keywords(b.out);
  return {std::move(b.out), std::move(b.dropped)};
}

}  // namespace hebb::parsing
