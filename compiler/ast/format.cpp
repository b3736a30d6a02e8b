// Layout works on tokens, not on the tree: what was written is printed again with other white space,
// so nothing can be lost, and comments may stand anywhere. Line breaks inside a statement are the
// author's, and inside brackets so is how far a line stands behind its statement; a block written on one
// line stays there while it fits.

#include "compiler/ast/format.h"

#include <algorithm>

#include "compiler/support/text.h"

namespace hebb::ast {
namespace {

constexpr size_t kIndent = 2, kContinuation = 4, kTab = 4, kWidth = 100;

/// A token or a comment, with the number of line ends in front of it.
struct Piece {
  bool comment = false;
  TokenKind kind = TokenKind::Symbol;
  std::string_view text;
  size_t newlines = 0;
  size_t column = 0;       // where it was written
  size_t line_indent = 0;  // where its line began
  bool is(std::string_view word) const { return !comment && kind != TokenKind::Text && text == word; }
};

std::string_view without_trailing_space(std::string_view text) {
  const size_t last = text.find_last_not_of(" \t\r");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

/// Columns that a text takes: code points, tabs up to the next stop.
size_t width_from(size_t column, std::string_view text) {
  for (const char c : text) {
    if (c == '\t') column += kTab - column % kTab;
    else if ((c & 0xC0) != 0x80) ++column;
  }
  return column;
}

std::vector<Piece> pieces_of(const File& file, const Sources& sources) {
  const std::string_view source = sources[file.source].text;
  std::vector<Piece> out;
  size_t token = 0, comment = 0, end = 0, column = 0, line_indent = 0;
  while (token < file.tokens.size() || comment < file.comments.size()) {
    const bool take_comment =
        token == file.tokens.size() ||
        (comment < file.comments.size() &&
         file.comments[comment].span.begin < file.tokens[token].span.begin);
    const Span span = take_comment ? file.comments[comment].span : file.tokens[token].span;
    const std::string_view gap = source.substr(end, span.begin - end);
    Piece piece{.comment = take_comment,
                .text = sources.text(span),
                .newlines = static_cast<size_t>(std::ranges::count(gap, '\n'))};
    if (take_comment) piece.text = without_trailing_space(piece.text);
    else piece.kind = file.tokens[token].kind;
    const size_t newline = gap.rfind('\n');
    column = newline == std::string_view::npos ? width_from(column, gap) : width_from(0, gap.substr(newline + 1));
    if (out.empty() || piece.newlines > 0) line_indent = column;
    piece.column = column;
    piece.line_indent = line_indent;
    column = width_from(column, sources.text(span));
    out.push_back(piece);
    end = span.end;
    ++(take_comment ? comment : token);
  }
  return out;
}

bool one_of(const Piece& piece, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return piece.is(word); });
}

/// Where a statement is inside, as far as spaces depend on it.
struct Context {
  bool unit = false;            // behind ':' of a declaration
  size_t unit_bracket = 0;      // depth of '[' behind a number, 0: not inside one
  size_t brackets = 0;
  bool pop = false;             // 'pop X[3] : …' has a type behind its ':'
  const Piece* before = nullptr;
  const Piece* before_that = nullptr;

  bool in_unit() const { return unit || unit_bracket > 0; }
};

/// A piece behind which a value has ended: '-' subtracts, '(' calls, '[' subscripts.
bool ends_value(const Context& c) {
  if (!c.before) return false;
  const Piece& piece = *c.before;
  if (piece.kind == TokenKind::Symbol) return one_of(piece, {")", "]", "'"});
  if (piece.kind != TokenKind::Keyword) return true;
  const bool member = c.before_that && c.before_that->is(".");
  return member || one_of(piece, {"pre", "post", "true", "false", "inf"});
}

bool is_sign(const Piece& piece) { return one_of(piece, {"-", "+"}); }

/// Whether the piece in front is a sign of one operand, as in 2 * -x.
bool behind_unary(const Context& c) {
  if (!c.before || !is_sign(*c.before)) return false;
  Context earlier;
  earlier.before = c.before_that;
  return !ends_value(earlier);
}

bool space_before(const Piece& now, const Context& c) {
  if (!c.before) return false;
  const Piece& before = *c.before;
  if (one_of(now, {",", ";", ")", "]", ".", "..", "'", "^"})) return false;
  if (one_of(before, {"(", "[", ".", "..", "^"})) return false;
  const bool joins_units = one_of(now, {"*", "/", "-", "("}) || one_of(before, {"*", "/", "-"});
  if (c.in_unit() && joins_units) return before.is(":");
  if (one_of(now, {"(", "["})) return !ends_value(c) || before.kind == TokenKind::Number;
  return !behind_unary(c);
}

void advance(Context& c, const Piece& now) {
  if (!c.before) c.pop = now.is("pop");
  const bool opens = one_of(now, {"(", "["}), closes = one_of(now, {")", "]"});
  if (opens) ++c.brackets;
  if (now.is("[") && c.before && c.before->kind == TokenKind::Number) c.unit_bracket = c.brackets;
  if (closes) {
    if (c.unit_bracket == c.brackets) c.unit_bracket = 0;
    c.brackets -= c.brackets > 0;
  }
  if (now.is(":") && c.brackets == 0) c.unit = !c.pop;
  if (one_of(now, {"in", "=", "~", ",", "{"})) c.unit = false;
  c.before_that = c.before;
  c.before = &now;
}

/// An open bracket: what follows it on its line stood at `from` and stands at `to`.
struct Open {
  bool followed = false;
  size_t from = 0, to = 0;
};

struct Layout {
  const std::vector<Piece>& pieces;
  std::string out;
  size_t depth = 0;
  bool in_statement = false;
  bool must_break = false;   // a comment ended the line
  bool block_begins = true;  // no blank line here
  Context context;
  std::vector<Open> open;    // brackets of this statement
  size_t written_at = 0;     // where the line on which the statement begins was
};

/// Of a line inside a statement. What was aligned behind its bracket stays so, other lines inside brackets
/// keep their distance to the statement.
size_t continuation(const Layout& l, const Piece& piece) {
  const size_t statement = l.depth * kIndent;
  if (l.open.empty()) return statement + kContinuation;
  const Open& bracket = l.open.back();
  const bool closes = one_of(piece, {")", "]"});
  if (!closes && bracket.followed && piece.column == bracket.from) return bracket.to;
  const size_t distance = piece.column > l.written_at ? piece.column - l.written_at : 0;
  return statement + (distance > 0 || closes ? distance : kContinuation);
}

void start_line(Layout& l, const Piece& piece, size_t indent) {
  if (!l.out.empty()) l.out += '\n';
  const bool blank = piece.newlines >= 2 && !l.block_begins && !l.in_statement && !piece.is("}");
  if (blank) l.out += '\n';
  l.out.append(indent, ' ');
  l.must_break = l.block_begins = false;
}

void put_comment(Layout& l, const Piece& piece) {
  const bool trailing = piece.newlines == 0 && !l.out.empty();
  if (trailing) l.out += "  ";
  else start_line(l, piece, l.in_statement ? continuation(l, piece) : l.depth * kIndent);
  l.out += piece.text;
  l.must_break = true;
}

/// The block that begins at `open`, on one line; empty when it was not written so.
std::string one_line_block(const std::vector<Piece>& pieces, size_t open, size_t& behind) {
  std::string out = "{";
  size_t depth = 0;
  Context context;
  for (size_t i = open; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    if (piece.comment || (i > open && piece.newlines > 0)) return {};
    if (piece.is("{")) ++depth;
    if (i > open) out += (!context.before || space_before(piece, context) ? " " : "") + std::string(piece.text);
    advance(context, piece);
    if (one_of(piece, {"{", "}", ";"})) context = {};
    if (!piece.is("}") || --depth > 0) continue;
    behind = i + 1;
    return out;
  }
  return {};
}

size_t column(const std::string& out) {
  const size_t newline = out.rfind('\n');
  const std::string_view line = std::string_view(out).substr(newline == std::string::npos ? 0 : newline + 1);
  return static_cast<size_t>(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }));
}

void follow_brackets(Layout& l, size_t i) {
  const Piece& piece = l.pieces[i];
  if (one_of(piece, {")", "]"}) && !l.open.empty()) l.open.pop_back();
  if (!one_of(piece, {"(", "["})) return;
  Open open{.followed = i + 1 < l.pieces.size() && l.pieces[i + 1].newlines == 0 && !l.pieces[i + 1].comment};
  if (open.followed) open.from = l.pieces[i + 1].column, open.to = column(l.out);
  l.open.push_back(open);
}

/// Puts the token at `i`, or a whole block that stays on its line; gives the next one.
size_t put_token(Layout& l, size_t i) {
  const Piece& piece = l.pieces[i];
  if (piece.is("}")) {
    l.depth -= l.depth > 0;
    l.in_statement = false;
    start_line(l, piece, l.depth * kIndent);
    l.out += '}';
    return i + 1;
  }
  if (!l.in_statement) {
    start_line(l, piece, l.depth * kIndent);
    l.in_statement = true;
    l.context = {};
    l.open.clear();
    l.written_at = piece.line_indent;
  } else if (piece.newlines > 0 || l.must_break) {
    start_line(l, piece, continuation(l, piece));
  } else if (space_before(piece, l.context)) {
    l.out += ' ';
  }
  if (piece.is("{")) {
    l.in_statement = false;
    size_t behind = i;
    const std::string line = one_line_block(l.pieces, i, behind);
    if (!line.empty() && column(l.out) + line.size() <= kWidth) {
      l.out += line;
      return behind;
    }
    ++l.depth;
    l.block_begins = true;
  }
  l.out += piece.text;
  advance(l.context, piece);
  follow_brackets(l, i);
  if (piece.is(";")) l.in_statement = false;
  return i + 1;
}

}  // namespace

std::string format(const File& file, const Sources& sources) {
  const std::vector<Piece> pieces = pieces_of(file, sources);
  Layout l{.pieces = pieces};
  for (size_t i = 0; i < pieces.size();) {
    if (pieces[i].comment) put_comment(l, pieces[i++]);
    else i = put_token(l, i);
  }
  return l.out.empty() ? "" : l.out + '\n';
}

}  // namespace hebb::ast
