#include "compiler/parse/habits.h"

#include <algorithm>
#include <utility>

#include "compiler/parse/words.h"
#include "compiler/support/text.h"
#include "compiler/support/utf8.h"

namespace hebb::parsing {
namespace {

enum class LastBlock { Statement, Expression };

/// Goes through the tokens once. `at` is the next to be read, `out` what the parser will see.
struct Scan {
  const Lexemes& in;
  const Sources& sources;
  Diagnostics& diags;
  size_t at = 0;
  Lexemes out;
  std::vector<Block> blocks = {Block::File};
  size_t braces = 0;              // '{' open inside an expression
  LastBlock last_block = LastBlock::Statement;  // what the last '}' closed
  size_t statement = 0;           // in `out`: where the present statement begins
  size_t brackets = 0;            // '(' and '[' open in it
  bool awaits_sign = false;       // a definition whose '=' has not come yet
  bool told_comment = false;      // once a file is enough
  size_t told_character = SIZE_MAX;  // `statement` in which an unknown character was told

  const Lexeme& now(size_t ahead = 0) const { return in[std::min(at + ahead, in.size() - 1)]; }
  bool at_statement() const { return out.size() == statement; }
  bool is_pair(std::string_view a, std::string_view b) const {
    return now().is(a) && now(1).is(b);
  }
  bool touching_pair(std::string_view a, std::string_view b) const {
    return is_pair(a, b) && touch(now(), now(1));
  }
  std::string_view source(Span span) const { return sources.text(span); }
  void put(LexKind kind, std::string_view text, Span span) { out.push_back({kind, span, text}); }
};

Fix fix(Span span, std::string text) { return {span, std::move(text), true}; }

/// One habit: looks at scan.now(); when it is there, reports it, reads the tokens and puts better ones.
using Habit = bool (*)(Scan&);

// --- comments ------------------------------------------------------------------------------------

void tell_comment(Scan& scan, Span span, std::string_view found) {
  if (std::exchange(scan.told_comment, true)) return;
  scan.diags.report(DiagKind::CommentStyle, span, cat("a comment begins with '#', not with '", found, "'"));
}

bool line_comment(Scan& scan) {
  if (!scan.touching_pair("/", "/")) return false;
  tell_comment(scan, join(scan.now().span, scan.now(1).span), "//");
  const size_t line_end = scan.sources[scan.now().span.file].text.find('\n', scan.now().span.begin);
  while (!scan.now().at_end() && scan.now().span.begin < line_end) ++scan.at;
  return true;
}

bool block_comment(Scan& scan) {
  if (!scan.touching_pair("/", "*")) return false;
  tell_comment(scan, join(scan.now().span, scan.now(1).span), "/*");
  while (!scan.now().at_end() && !scan.touching_pair("*", "/")) ++scan.at;
  scan.at = std::min(scan.at + 2, scan.in.size() - 1);
  return true;
}

// --- equations and assignments -------------------------------------------------------------------

/// dw/dt =   d(w)/dt =   d w/dt =
bool leibniz(Scan& scan) {
  if (!scan.at_statement() || scan.now().kind != LexKind::Name || scan.now().text[0] != 'd') return false;
  Lexeme variable = scan.now();
  size_t length = 1;
  if (scan.now().is("d")) {
    const bool paren = scan.now(1).is("(");
    variable = scan.now(paren ? 2 : 1);
    length = paren ? 4 : 2;
    if (paren && !scan.now(3).is(")")) return false;
  } else {
    variable.text.remove_prefix(1);
    ++variable.span.begin;
  }
  if (variable.kind != LexKind::Name || !scan.now(length).is("/") || !scan.now(length + 1).is("dt") ||
      !scan.now(length + 2).is("=")) {
    return false;
  }
  const Span span = join(scan.now().span, scan.now(length + 1).span);
  Diagnostic& diag = scan.diags.report(
      DiagKind::LeibnizDerivative, span,
      cat("write the derivative as  ", variable.text, "' = …   (found ", scan.source(span), ")"));
  diag.fixes = {fix(span, cat(variable.text, "'"))};
  scan.out.push_back(variable);
  scan.put(LexKind::Symbol, "'", {span.file, span.end, span.end});
  scan.at += length + 2;
  return true;
}

bool second_derivative(Scan& scan) {
  if (!scan.at_statement() || scan.now().kind != LexKind::Name || !scan.now(1).is("'") ||
      !scan.now(2).is("'")) {
    return false;
  }
  const std::string_view name = scan.now().text;
  Diagnostic& diag = scan.diags.report(DiagKind::HigherDerivative, join(scan.now().span, scan.now(2).span),
                                       "an equation gives the first derivative");
  diag.help = cat("give the velocity a name:  ", name, "' = v;  v' = …;");
  scan.out.push_back(scan.now());
  scan.out.push_back(scan.now(1));
  scan.at += 2;
  while (scan.now().is("'")) ++scan.at;
  return true;
}

/// Tokens of  a.b[i]  from `at` on; 0 when there is no such path.
size_t target_length(const Scan& scan) {
  if (scan.now().kind != LexKind::Name && !scan.now().is("pre") && !scan.now().is("post")) return 0;
  size_t length = 1;
  while (scan.now(length).is(".") && scan.now(length + 1).is_word()) length += 2;
  if (!scan.now(length).is("[")) return length;
  while (!scan.now(length).is("]")) {
    if (scan.now(length).at_end() || scan.now(length).is(";")) return 0;
    ++length;
  }
  return length + 1;
}

bool equals_in_handler(Scan& scan) {
  if (!scan.at_statement() || scan.blocks.back() != Block::Handler) return false;
  const size_t length = target_length(scan);
  if (length == 0 || !scan.now(length).is("=")) return false;
  const std::string_view target = scan.source(join(scan.now().span, scan.now(length - 1).span));
  const Lexeme& sign = scan.now(length);
  Diagnostic& diag = scan.diags.report(
      DiagKind::EqualsInHandler, sign.span,
      cat("'=' sets nothing inside 'on'.  Use '+=' to add to ", target, ", ':=' to replace it."));
  diag.fixes = {{sign.span, ":=", false}};
  for (size_t i = 0; i < length; ++i) scan.out.push_back(scan.now(i));
  scan.put(LexKind::Symbol, ":=", sign.span);
  scan.at += length + 1;
  return true;
}

bool equation_in_handler(Scan& scan) {
  if (!scan.at_statement() || scan.blocks.back() != Block::Handler) return false;
  if (scan.now().kind != LexKind::Name || !scan.now(1).is("'")) return false;
  const std::string_view name = scan.now().text;
  Diagnostic& diag =
      scan.diags.report(DiagKind::DerivativeInHandler, join(scan.now().span, scan.now(1).span),
                        cat("the equation of ", name, " holds at all times; it stands outside 'on'"));
  diag.help = cat("inside 'on' a variable jumps:  ", name, " += …;");
  while (!scan.now().at_end() && !scan.now().is(";") && !scan.now().is("}")) ++scan.at;
  if (scan.now().is(";")) ++scan.at;
  return true;
}

bool wrong_definition_sign(Scan& scan) {
  const Lexeme& sign = scan.now();
  const bool wrong = sign.is("==") || sign.is(":=") || sign.is("+=");
  if (!wrong || !scan.awaits_sign || scan.brackets > 0) return false;
  Diagnostic& diag = scan.diags.report(
      DiagKind::WrongDefinitionSign, sign.span,
      cat("a definition is written with '=', found ", quoted(sign.text)));
  diag.fixes = {fix(sign.span, "=")};
  scan.put(LexKind::Symbol, "=", sign.span);
  scan.awaits_sign = false;
  ++scan.at;
  return true;
}

/// w *= a   w /= a   x++
bool compound_assignment(Scan& scan) {
  for (const std::string_view op : {"*", "/", "^", "@"}) {
    if (!scan.touching_pair(op, "=")) continue;
    const Span span = join(scan.now().span, scan.now(1).span);
    Diagnostic& diag = scan.diags.report(DiagKind::CompoundAssignment, span,
                                         cat("there is no ", quoted(scan.source(span))));
    const bool simple = scan.out.size() == scan.statement + 1;
    const std::string_view target = simple ? scan.out.back().text : "w";
    diag.help = cat("write  ", target, " := ", target, " ", op, " (…);");
    scan.put(LexKind::Symbol, ":=", span);
    scan.at += 2;
    return true;
  }
  for (const std::string_view op : {"+", "-"}) {
    if (!scan.touching_pair(op, op) || !scan.now(2).is(";") || scan.at_statement()) continue;
    const Span span = join(scan.now().span, scan.now(1).span);
    Diagnostic& diag = scan.diags.report(DiagKind::CompoundAssignment, span,
                                         cat("there is no ", quoted(scan.source(span))));
    const std::string_view written = op == "+" ? "+=" : "-=";
    diag.help = cat("write  ", scan.out.back().text, " ", written, " 1;");
    diag.fixes = {fix(span, cat(" ", written, " 1"))};
    scan.put(LexKind::Symbol, written, span);
    scan.put(LexKind::Integer, "1", span);
    scan.at += 2;
    return true;
  }
  return false;
}

/// + =   instead of   +=
bool split_operator(Scan& scan) {
  static constexpr std::pair<std::string_view, std::string_view> kHalves[] = {
      {"+", "="}, {"-", "="}, {":", "="}, {"<", "="}, {">", "="}, {"=", "="}, {"-", ">"}};
  static constexpr std::string_view kWhole[] = {"+=", "-=", ":=", "<=", ">=", "==", "->"};
  for (size_t i = 0; i < std::size(kHalves); ++i) {
    if (!scan.is_pair(kHalves[i].first, kHalves[i].second)) continue;
    const Span span = join(scan.now().span, scan.now(1).span);
    Diagnostic& diag =
        scan.diags.report(DiagKind::SplitOperator, span,
                          cat("write ", quoted(kWhole[i]), " without a space inside"));
    diag.fixes = {fix(span, std::string(kWhole[i]))};
    scan.put(LexKind::Symbol, kWhole[i], span);
    scan.at += 2;
    return true;
  }
  return false;
}

// --- operators and numbers -----------------------------------------------------------------------

bool power_as_stars(Scan& scan) {
  if (!scan.touching_pair("*", "*")) return false;
  const Span span = join(scan.now().span, scan.now(1).span);
  Diagnostic& diag = scan.diags.report(DiagKind::PowerAsStars, span, "a power is written with '^', not '**'");
  diag.fixes = {fix(span, "^")};
  scan.put(LexKind::Symbol, "^", span);
  scan.at += 2;
  return true;
}

bool logic_symbol(Scan& scan) {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"&", "and"}, {"|", "or"}, {"!", "not"}};
  if (scan.now().kind != LexKind::Unknown) return false;
  for (const auto& [symbol, word] : kWords) {
    if (!scan.now().is(symbol)) continue;
    const size_t length = scan.touching_pair(symbol, symbol) ? 2 : 1;
    const Span span = join(scan.now().span, scan.now(length - 1).span);
    Diagnostic& diag = scan.diags.report(DiagKind::LogicSymbol, span,
                                         cat("write ", quoted(word), " instead of ", quoted(scan.source(span))));
    diag.fixes = {fix(span, symbol == "!" ? "not " : std::string(word))};
    scan.put(LexKind::Keyword, word, span);
    scan.at += length;
    return true;
  }
  return false;
}

void put_number(Scan& scan, Span span, std::string better) {
  Diagnostic& diag = scan.diags.report(DiagKind::NumberNeedsDigit, span,
                                       "a number has a digit on both sides of its point");
  diag.help = cat("write  ", better);
  diag.fixes = {fix(span, std::move(better))};
  scan.put(LexKind::Decimal, scan.source(span), span);
}

/// .5
bool point_first(Scan& scan) {
  const bool number = scan.now().is(".") && scan.now(1).is_number() && touch(scan.now(), scan.now(1));
  if (!number) return false;
  const bool member = !scan.out.empty() && touch(scan.out.back(), scan.now()) &&
                      (scan.out.back().is_word() || scan.out.back().is(")") || scan.out.back().is("]"));
  if (member) return false;
  const Span span = join(scan.now().span, scan.now(1).span);
  put_number(scan, span, cat("0", scan.source(span)));
  scan.at += 2;
  return true;
}

bool is_exponent(std::string_view text) {
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return false;
  return std::ranges::all_of(text.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

/// 1.   1.e5
bool point_last(Scan& scan) {
  const bool number = scan.now().kind == LexKind::Integer && scan.now(1).is(".") &&
                      touch(scan.now(), scan.now(1));
  if (!number) return false;
  const bool exponent = touch(scan.now(1), scan.now(2)) && is_exponent(scan.now(2).text);
  const Span span = join(scan.now().span, scan.now(exponent ? 2 : 1).span);
  put_number(scan, span, cat(scan.now().text, ".0", exponent ? scan.now(2).text : ""));
  scan.at += exponent ? 3 : 2;
  return true;
}

// --- texts and characters ------------------------------------------------------------------------

bool unclosed_text(Scan& scan) {
  const Lexeme& text = scan.now();
  if (text.kind != LexKind::UnclosedText) return false;
  // The text swallowed the end of the line; what closes brackets and statement there is given back.
  const size_t end = text.text.find_last_not_of(") ];\t");
  const std::string_view tail = text.text.substr(end == std::string_view::npos ? 1 : end + 1);
  const uint32_t quote = text.span.end - static_cast<uint32_t>(tail.size());
  Diagnostic& diag = scan.diags.report(DiagKind::UnclosedText, text.span, "this text is not closed on its line");
  diag.fixes = {{{text.span.file, quote, quote}, "\"", false}};
  diag.help = "close it with '\"'";
  scan.put(LexKind::Text, "\"\"", {text.span.file, text.span.begin, quote});
  for (const char& c : tail) {
    if (c != ' ' && c != '\t') scan.put(LexKind::Symbol, {&c, 1}, text.span);
  }
  ++scan.at;
  return true;
}

struct Character {
  std::string_view text;
  std::string_view means;  // "" : nothing stands for it
  std::string_view help;
};
constexpr Character kCharacters[] = {
    {"−", "-", "this is a minus sign of typesetters; write '-'"},
    {"–", "-", "this is a dash; write '-'"},
    {"×", "*", "write '*'"},
    {"·", "*", "write '*'"},
    {"⋅", "*", "write '*'"},
    {"÷", "/", "write '/'"},
    {"≤", "<=", "write '<='"},
    {"≥", ">=", "write '>='"},
    {"≠", "!=", "write '!='"},
    {"→", "->", "write '->'"},
    {"²", "", "write ^2"},
    {"³", "", "write ^3"},
    {"′", "'", "write a straight '"},
    {"’", "'", "write a straight '"},
    {"“", "", "a text stands between straight quotes: \"…\""},
    {"”", "", "a text stands between straight quotes: \"…\""},
    {"\xC2\xA0", "", "this is a no-break space; write a plain one"},
    {"\xEF\xBB\xBF", "", "this is a byte order mark inside the file"},
    {"?", "", "a choice is written  if c then a else b"},
    {"%", "", "a comment begins with '#'; the remainder is  mod(a, b)"},
};

std::string code_point(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  uint32_t value = utf8_code_point(text, 0);
  std::string digits;
  for (; value > 0 || digits.size() < 4; value /= 16) digits.insert(digits.begin(), kHex[value % 16]);
  return cat("U+", digits);
}

bool unknown_character(Scan& scan) {
  const Lexeme& lexeme = scan.now();
  if (lexeme.kind != LexKind::Unknown) return false;
  const auto row = std::ranges::find(kCharacters, lexeme.text, &Character::text);
  const bool known = row != std::end(kCharacters);
  if (scan.told_character != scan.statement) {
    scan.told_character = scan.statement;
    const bool printable = static_cast<unsigned char>(lexeme.text[0]) > 0x20 && lexeme.text != "\x7F";
    const std::string shown = printable ? cat(quoted(lexeme.text), " (", code_point(lexeme.text), ")")
                                        : code_point(lexeme.text);
    Diagnostic& diag = scan.diags.report(DiagKind::UnknownCharacter, lexeme.span,
                                         cat("the language has no character ", shown));
    if (known) diag.help = row->help;
    if (known && !row->means.empty()) diag.fixes = {fix(lexeme.span, std::string(row->means))};
  }
  if (known && !row->means.empty()) scan.put(LexKind::Symbol, row->means, lexeme.span);
  ++scan.at;
  return true;
}

// --- statements ----------------------------------------------------------------------------------

bool elif_written(Scan& scan) {
  if (scan.now().kind != LexKind::Name || !(scan.now().is("elif") || scan.now().is("elseif"))) return false;
  if (scan.at_statement()) return false;
  const Span span = scan.now().span;
  Diagnostic& diag = scan.diags.report(DiagKind::ElifWritten, span,
                                       cat("write 'else if' instead of ", quoted(scan.now().text)));
  diag.fixes = {fix(span, "else if")};
  scan.put(LexKind::Keyword, "else", span);
  scan.put(LexKind::Keyword, "if", span);
  ++scan.at;
  return true;
}

bool semicolon_after_block(Scan& scan) {
  if (!scan.now().is(";") || scan.out.size() < 2 || !scan.out.back().is("}")) return false;
  if (scan.last_block != LastBlock::Statement) return false;
  const Lexeme& inside = scan.out[scan.out.size() - 2];
  ++scan.at;
  // '} ;' for '; }' lacks a ';' inside, and that is told.
  if (!inside.is(";") && !inside.is("{") && !inside.is("}")) return true;
  Diagnostic& diag = scan.diags.report(DiagKind::SemicolonAfterBlock, scan.in[scan.at - 1].span,
                                       "no ';' follows a '}'");
  diag.fixes = {fix(scan.in[scan.at - 1].span, "")};
  return true;
}

/// Reads one statement or block: to its ';', or past its braces, or to the '}' around it.
void skip_statement(Scan& scan) {
  size_t depth = 0;
  while (!scan.now().at_end()) {
    if (depth == 0 && scan.now().is("}")) return;
    if (scan.now().is("{")) ++depth;
    const bool ends = (scan.now().is(";") && depth == 0) || (scan.now().is("}") && --depth == 0);
    ++scan.at;
    if (ends) return;
  }
}

bool control_flow(Scan& scan) {
  if (!scan.at_statement()) return false;
  const Lexeme& word = scan.now();
  const bool choice = word.is("if");
  const bool rounds = word.is("for") && scan.blocks.back() == Block::Experiment && scan.now(1).kind == LexKind::Name &&
                      scan.now(2).is("in");
  const bool loop = (word.is("for") && !rounds) || ((word.is("while") || word.is("foreach")) && scan.now(1).is("("));
  // In 'fun f(x) { return x; }' the braces are the mistake, and the grammar tells it.
  const bool in_braces_of_fun = scan.blocks.size() > 1 && scan.blocks.back() == Block::File;
  const bool leave = word.kind == LexKind::Name && word.is("return") && !scan.now(1).is("'") &&
                     !in_braces_of_fun;
  if (!choice && !loop && !leave) return false;
  Diagnostic& diag = scan.diags.report(
      DiagKind::ControlFlow, word.span,
      choice ? "'if' is an expression, not a statement"
      : loop ? cat("there is no loop ", quoted(word.text))
             : "there is no 'return'");
  diag.help = choice ? "write the choice where its value goes:  x += if c then a else b;"
              : loop && scan.blocks.back() == Block::Experiment ? "rounds of an experiment are  for k in 0..9 { … }"
              : loop ? "a sum over an index is  sum(x[i] for i in 0..9);  a batch is a list where a number stands"
                     : "a function is one expression:  fun f(x) = x^2;";
  do skip_statement(scan);
  while (scan.now().is("else") || scan.now().is("elif"));
  return true;
}

constexpr Habit kHabits[] = {
    line_comment,        block_comment,         leibniz,           second_derivative,
    equals_in_handler,   equation_in_handler,   control_flow,      wrong_definition_sign,
    compound_assignment, split_operator,        power_as_stars,    logic_symbol,
    point_first,         point_last,            unclosed_text,     unknown_character,
    elif_written,        semicolon_after_block,
};

// --- the scan ------------------------------------------------------------------------------------

bool defines(const Lexeme& word) {
  for (const std::string_view one : {"let", "const", "param", "state", "weight", "signal", "reduce",
                                     "stat", "measure"}) {
    if (word.is(one)) return true;
  }
  return false;
}

/// Copies one token and keeps track of statements and blocks.
void copy(Scan& scan) {
  const Lexeme& token = scan.now();
  const std::string_view first = scan.at_statement() ? token.text : scan.out[scan.statement].text;
  if (scan.at_statement()) {
    scan.brackets = 0;
    scan.awaits_sign = defines(token) || (token.kind == LexKind::Name && scan.now(1).is("'"));
  }
  if (token.is("(") || token.is("[")) ++scan.brackets;
  else if ((token.is(")") || token.is("]")) && scan.brackets > 0) --scan.brackets;
  else if (scan.brackets == 0 && (token.is("=") || token.is("~"))) scan.awaits_sign = false;
  else if (scan.brackets == 0 && token.is(",")) scan.awaits_sign = first == "param" || first == "state";
  const bool expression = token.is("{") && !scan.out.empty() && expects_value(scan.out.back());
  scan.out.push_back(token);
  ++scan.at;
  if (expression || (token.is("{") && scan.braces > 0)) {
    ++scan.braces;
    return;
  }
  if (token.is("}") && scan.braces > 0) {
    --scan.braces;
    scan.last_block = LastBlock::Expression;
    return;
  }
  const bool opens = token.is("{"), closes = token.is("}");
  if (closes) scan.last_block = LastBlock::Statement;
  if (token.is(";")) scan.braces = 0;
  if (opens) scan.blocks.push_back(block_of(first, scan.blocks.back()));
  if (closes && scan.blocks.size() > 1) scan.blocks.pop_back();
  if (opens || closes || token.is(";")) scan.statement = scan.out.size();
}

}  // namespace

Lexemes replace_old_habits(Lexemes lexemes, const Sources& sources, Diagnostics& diags) {
  Scan scan{.in = lexemes, .sources = sources, .diags = diags};
  scan.out.reserve(lexemes.size());
  while (!scan.now().at_end()) {
    const bool found = diags.size() < kMostTold && std::ranges::any_of(kHabits, [&](Habit habit) { return habit(scan); });
    if (!found) copy(scan);
  }
  scan.out.push_back(scan.now());
  settle_soft_keywords(scan.out);
  return std::move(scan.out);
}

}  // namespace hebb::parsing
