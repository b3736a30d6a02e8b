#include "compiler/parse/syntax_error.h"

#include <algorithm>

#include "compiler/parse/expectation.h"
#include "compiler/parse/words.h"
#include "compiler/support/text.h"

namespace hebb::parsing {
namespace {

/// The tokens of one statement, and what surrounds it.
struct Statement {
  size_t begin = 0, end = 0;
  Block block = Block::File;
};

struct Failed {
  Lexemes& lexemes;
  const SyntaxFailure& failure;
  const Sources& sources;
  RepairState& state;
  Diagnostics& diags;
  Statement statement;

  size_t index() const { return failure.token; }
  const Lexeme& at() const { return lexemes[index()]; }
  const Lexeme& before(size_t back = 1) const { return lexemes[index() - back]; }
  bool has_before(size_t back = 1) const { return index() >= statement.begin + back; }
  bool at_statement() const { return index() == statement.begin; }
  bool expects(std::string_view spelling) const {
    return std::ranges::count(failure.expected, spelling) > 0;
  }
  bool expects_only(std::string_view spelling) const {
    return failure.expected.size() == 1 && expects(spelling);
  }
  uint32_t line(const Lexeme& l) const { return sources.position(l.span.file, l.span.begin).line; }
};

bool starts_line(const Lexemes& lexemes, size_t i, const Sources& sources) {
  if (i == 0) return true;
  const Span here = lexemes[i].span;
  const Span gap{here.file, lexemes[i - 1].span.end, here.begin};
  return gap.begin <= gap.end && sources.text(gap).find('\n') != std::string_view::npos;
}

/// A word at the beginning of a line that opens a statement, or the name of an equation.
bool seems_statement(const Lexemes& lexemes, size_t i, const Sources& sources) {
  if (!starts_line(lexemes, i, sources)) return false;
  const Lexeme& word = lexemes[i];
  if (word.kind == LexKind::Name) {
    return lexemes[i + 1].is("'") || (is_soft_keyword(word.text) && lexemes[i + 1].is_word());
  }
  return word.kind == LexKind::Keyword && opener(word.text) && lexemes[i + 1].kind != LexKind::Symbol;
}

bool ends_statement(const Lexeme& lexeme) {
  return lexeme.is(";") || lexeme.is("{") || lexeme.is("}");
}

size_t behind_block(const Lexemes& lexemes, size_t brace) {
  size_t depth = 0;
  for (size_t i = brace; !lexemes[i].at_end(); ++i) {
    if (lexemes[i].is("{")) ++depth;
    if (lexemes[i].is("}") && --depth == 0) return i + 1;
  }
  return lexemes.size() - 1;
}

Statement statement_around(const Lexemes& lexemes, size_t item, size_t token, const Sources& sources) {
  Statement out{.begin = token};
  while (out.begin > item && !ends_statement(lexemes[out.begin - 1])) --out.begin;
  out.end = token;
  while (!lexemes[out.end].at_end()) {
    const Lexeme& now = lexemes[out.end];
    if (now.is("}") || (out.end > out.begin && seems_statement(lexemes, out.end, sources))) break;
    if (now.is("{")) {
      out.end = behind_block(lexemes, out.end);
      if (lexemes[out.end].is(";")) ++out.end;
      break;
    }
    ++out.end;
    if (now.is(";")) break;
  }
  if (out.end == out.begin && !lexemes[out.end].at_end()) ++out.end;
  // The blocks around it, from the item inwards.
  std::vector<Block> blocks = {Block::File};
  size_t first = item;
  for (size_t i = item; i < out.begin; ++i) {
    if (lexemes[i].is("{")) blocks.push_back(block_of(lexemes[first].text, blocks.back()));
    if (lexemes[i].is("}") && blocks.size() > 1) blocks.pop_back();
    if (ends_statement(lexemes[i])) first = i + 1;
  }
  out.block = blocks.back();
  return out;
}

// --- repairs -------------------------------------------------------------------------------------

void insert(Lexemes& lexemes, size_t at, std::string_view symbol, Span place) {
  lexemes.insert(lexemes.begin() + static_cast<ptrdiff_t>(at), {LexKind::Symbol, place, symbol});
  settle_soft_keyword(lexemes, at + 1);
}

void take_out(Failed& f) {
  f.lexemes.erase(f.lexemes.begin() + static_cast<ptrdiff_t>(f.statement.begin),
                  f.lexemes.begin() + static_cast<ptrdiff_t>(f.statement.end));
  settle_soft_keyword(f.lexemes, f.statement.begin);
}

/// At the top level, with what follows up to the next item: lines without their rule are one mistake.
void take_out_loose(Failed& f) {
  size_t& end = f.statement.end;
  size_t depth = 0;
  const auto goes_on = [&](const Lexeme& l) {
    return !l.at_end() && (depth > 0 || !(opens_item(l) || l.is("const")));
  };
  while (f.statement.block == Block::File && goes_on(f.lexemes[end])) {
    if (f.lexemes[end].is("{")) ++depth;
    if (f.lexemes[end].is("}") && depth > 0) --depth;
    ++end;
  }
  take_out(f);
}

/// Something about this statement has been told already; what the grammar adds is an echo.
bool already_told(const Failed& f) {
  size_t end = f.index();
  while (end < f.statement.end && !ends_statement(f.lexemes[end])) ++end;
  const uint32_t first = f.lexemes[f.statement.begin].span.begin;
  const uint32_t last = f.lexemes[end].span.end;
  if (f.state.broken_at == f.statement.begin && f.state.broken_line == f.line(f.lexemes[f.statement.begin])) {
    return true;
  }
  return std::ranges::any_of(f.diags.all(), [&](const Diagnostic& diag) {
    if (!diag.span.valid()) return false;
    if (diag.span.begin >= first && diag.span.begin < last) return true;
    // A bracket that was missed further left in this line.
    return diag.kind == DiagKind::UnbalancedBracket && diag.span.begin < first &&
           f.sources.text({diag.span.file, diag.span.begin, first}).find('\n') == std::string_view::npos;
  });
}

// --- explanations: each returns whether it was the one -----------------------------------------

/// A ';' missing in front of token `at`.
void missing_semicolon(Failed& f, size_t at) {
  const Lexeme& last = f.lexemes[at - 1];
  const Span place{last.span.file, last.span.end, last.span.end};
  const bool new_line = starts_line(f.lexemes, at, f.sources) || f.lexemes[at].at_end();
  Diagnostic& diag = f.diags.report(
      DiagKind::MissingSemicolon, place,
      new_line ? "the line before ends without ';'"
               : cat("the statement before ", quoted(f.lexemes[at].text), " ends without ';'"));
  diag.note = "put ';' here";
  diag.fixes = {{place, ";", true}};
  insert(f.lexemes, at, ";", place);
}

bool explain_semicolon(Failed& f) {
  if (!f.has_before() || f.at_statement()) return false;
  const bool value_ended = f.expects(";");
  const bool ends = f.at().is("}") || f.at().at_end() || starts_line(f.lexemes, f.index(), f.sources) ||
                    (f.at().is_word() && opener(f.at().text) &&
                     opens_in(*opener(f.at().text), f.statement.block));
  if (value_ended && ends && !f.at().is(")") && !f.at().is("]") && !f.at().is(",")) {
    missing_semicolon(f, f.index());
    return true;
  }
  // 'param a = 1' and on the next line 's' = …': the grammar took the s for a unit.
  const bool took_unit = f.has_before(2) && f.before().kind == LexKind::Name &&
                         f.before(2).is_number() && starts_line(f.lexemes, f.index() - 1, f.sources);
  if (!took_unit) return false;
  missing_semicolon(f, f.index() - 1);
  return true;
}

std::string in_block(Block block) {
  return block == Block::File ? "at the top level" : cat("in ", block_name(block));
}

/// Keywords that people would choose for a variable.
bool sounds_like_name(std::string_view word) {
  for (const std::string_view noun :
       {"weight", "state", "signal", "event", "param", "input", "rule", "neuron", "network", "test",
        "experiment", "stat", "delay", "drive", "pop", "const", "projection", "to", "over", "as"}) {
    if (word == noun) return true;
  }
  return false;
}

bool explain_keyword(Failed& f) {
  const bool wants_name = f.expects("ID");
  size_t which = f.index();
  bool as_name = f.at().kind == LexKind::Keyword && wants_name &&
                 (!f.expects("INT") || sounds_like_name(f.at().text)) &&
                 !seems_statement(f.lexemes, which, f.sources);
  // 'event' = …': the keyword in front was meant as the name.
  const bool sets = f.at().is("'") || f.at().is("+=") || f.at().is("-=") || f.at().is(":=");
  if (!as_name && sets && f.expects_only("ID") && which == f.statement.begin + 1 &&
      f.before().kind == LexKind::Keyword && sounds_like_name(f.before().text)) {
    --which;
    as_name = true;
  }
  if (!as_name) return false;
  Lexeme& word = f.lexemes[which];
  const bool told = !f.state.keyword_names.insert(std::string(word.text)).second;
  if (!told) {
    Diagnostic& diag = f.diags.report(DiagKind::KeywordAsName, word.span,
                                      cat(quoted(word.text), " is a word of the language; it cannot be a name"));
    diag.help = cat("write for example  ", word.text, "_  or ", word.text, "1");
  }
  word.kind = LexKind::Name;
  return true;
}

bool is_comparison(const Lexeme& lexeme) {
  for (const std::string_view op : {"<", "<=", ">", ">=", "==", "!="}) {
    if (lexeme.is(op)) return true;
  }
  return false;
}

bool explain_comparison(Failed& f) {
  if (!is_comparison(f.at()) || f.expects("INT")) return false;
  size_t depth = 0;
  for (size_t i = f.index(); i-- > f.statement.begin;) {
    const Lexeme& token = f.lexemes[i];
    if (token.is(")") || token.is("]")) ++depth;
    if ((token.is("(") || token.is("[")) && depth-- == 0) return false;
    if (depth > 0 || !is_comparison(token)) continue;
    Diagnostic& diag = f.diags.report(DiagKind::ChainedComparison, f.at().span, "comparisons do not chain");
    diag.labels.push_back({token.span, "the first comparison"});
    diag.help = "write  a < b and b < c";
    take_out(f);
    return true;
  }
  return false;
}

/// Inside a rule or a neuron, 'name' that is followed by something else than "'".
bool explain_equation(Failed& f) {
  const bool after_name = f.has_before() && f.index() == f.statement.begin + 1 && f.expects("'");
  if (!after_name) return false;
  const std::string_view name = f.before().text;
  if (f.at().is("+=") || f.at().is("-=") || f.at().is(":=")) {
    Diagnostic& diag = f.diags.report(DiagKind::JumpOutsideHandler, f.at().span,
                                      cat(quoted(f.at().text), " happens at an event, and none is named here"));
    diag.help = cat("write  on pre.spike { ", name, " ", f.at().text, " …; }");
    take_out(f);
    return true;
  }
  if (f.at().is("=") || f.at().is("~")) {
    const Span span = join(f.before().span, f.at().span);
    Diagnostic& diag = f.diags.report(DiagKind::PlainAssignment, span, cat("this does not define ", name));
    diag.help = f.at().is("=") ? cat("write  let ", name, " = …;  for a value,  ", name, "' = …;  for dynamics")
                               : cat("write  let ", name, " ~ …;");
    take_out(f);
    return true;
  }
  return false;
}

/// 'x = 3' in an experiment or a projection; "x' = …" outside a rule.
bool explain_assignment(Failed& f) {
  if (!f.at_statement() || f.at().kind != LexKind::Name) return false;
  const Lexeme& sign = f.lexemes[f.index() + 1];
  const Block block = f.statement.block;
  if (sign.is("=") && (block == Block::Experiment || block == Block::Projection || block == Block::Network ||
                       block == Block::File)) {
    const std::string_view word = block == Block::Experiment   ? "let"
                                  : block == Block::Projection ? "init"
                                                               : "const";
    Diagnostic& diag = f.diags.report(DiagKind::PlainAssignment, join(f.at().span, sign.span),
                                      cat("this does not define ", f.at().text));
    diag.help = cat("write  ", word, " ", f.at().text, " = …;");
    diag.fixes = {{f.at().span, cat(word, " ", f.at().text), false}};
    take_out(f);
    return true;
  }
  if (!sign.is("'") || block == Block::Rule || block == Block::Neuron) return false;
  Diagnostic& diag = f.diags.report(DiagKind::MisplacedStatement, join(f.at().span, sign.span),
                                    cat("an equation cannot stand ", in_block(block)));
  diag.help = "it belongs in a rule or a neuron:  rule NAME { … }";
  take_out_loose(f);
  return true;
}

/// A statement that begins with a word which opens none here.
bool explain_statement(Failed& f) {
  const bool unknown_first = f.at_statement() && (f.expects("}") || f.statement.block == Block::File);
  const bool unknown_name = f.index() == f.statement.begin + 1 && (f.expects("'") || f.expects(":=")) &&
                            f.before().kind == LexKind::Name && !f.at().is("'");
  const Lexeme& word = unknown_name ? f.before() : f.at();
  if ((!unknown_first && !unknown_name) || !word.is_word()) return false;
  const Opener* known = opener(word.text);
  if (known && !opens_in(*known, f.statement.block)) {
    Diagnostic& diag =
        f.diags.report(DiagKind::MisplacedStatement, word.span,
                       cat(quoted(word.text), " cannot stand ", in_block(f.statement.block)));
    diag.help = cat("it belongs in ", known->place);
    take_out_loose(f);
    return true;
  }
  if (known || word.kind != LexKind::Name) return false;
  std::vector<std::string> words;
  for (const Opener& row : all_openers()) {
    if (opens_in(row, f.statement.block)) words.emplace_back(row.word);
  }
  const std::optional<std::string> meant = did_you_mean(word.text, words);
  if (unknown_name && !meant && !f.at().is_word() && !f.at().is_number()) return false;
  Diagnostic& diag = f.diags.report(
      DiagKind::UnknownStatement, word.span,
      cat("nothing ", in_block(f.statement.block), " begins with ", quoted(word.text)));
  if (meant) {
    diag.help = cat("did you mean ", quoted(*meant), "?");
    diag.fixes = {{word.span, *meant, false}};
  } else if (f.statement.block == Block::Experiment && (word.is("report") || word.is("grad"))) {
    diag.help = cat("it is a value, which is printed or kept:  print ", word.text, "(…);  let found = ", word.text, "(…);");
  } else {
    diag.help = cat("these do: ", joined(words, ", "));
  }
  take_out_loose(f);
  return true;
}

/// a if c else b
bool explain_trailing_if(Failed& f) {
  if (!f.at().is("if") || f.expects("INT") || f.at_statement()) return false;
  Diagnostic& diag = f.diags.report(DiagKind::ControlFlow, f.at().span, "the condition comes first");
  diag.help = "write  if c then a else b";
  take_out(f);
  return true;
}

/// 8e-5 1/mV^2
bool explain_unit(Failed& f) {
  const bool number = f.has_before() && f.before().is_number() && f.at().kind == LexKind::Integer &&
                      f.at().is("1") && f.lexemes[f.index() + 1].is("/") &&
                      !starts_line(f.lexemes, f.index(), f.sources);
  if (!number) return false;
  size_t end = f.index() + 3;
  if (f.lexemes[end].is("^")) end += f.lexemes[end + 1].is("-") ? 3 : 2;
  end = std::min(end, f.statement.end);
  const Span unit = join(f.at().span, f.lexemes[end - 1].span);
  Diagnostic& diag = f.diags.report(DiagKind::UnitNeedsBrackets, unit, "a compound unit stands in brackets");
  diag.help = cat("write  ", f.before().text, " [", f.sources.text(unit), "]");
  diag.fixes = {{unit, cat("[", f.sources.text(unit), "]"), true}};
  take_out(f);
  return true;
}

/// What is left: expected this, found that.
bool explain_expectation(Failed& f) {
  Span span = f.at().span;
  if (f.at().at_end() && f.index() > 0) span = {span.file, f.before().span.end, f.before().span.end};
  const std::string wanted = expectation(f.failure.expected, f.failure.rules);
  const std::string found = found_text(f.at());
  Diagnostic& diag = f.diags.report(DiagKind::UnexpectedToken, span,
                                    wanted.empty() ? cat(found, " does not fit here")
                                                   : cat("expected ", wanted, ", found ", found));
  diag.help = hint(f.failure.expected, f.index() > 0 ? f.before() : f.at(), f.at());
  f.state.broken_at = f.statement.begin;
  f.state.broken_line = f.line(f.at());
  take_out(f);
  return true;
}

using Explanation = bool (*)(Failed&);
constexpr Explanation kExplanations[] = {
    explain_semicolon, explain_unit,      explain_equation,    explain_assignment,
    explain_statement, explain_keyword,    explain_comparison, explain_trailing_if,
    explain_expectation,
};

}  // namespace

void explain_and_repair(Lexemes& lexemes, size_t item, const SyntaxFailure& failure,
                        const Sources& sources, RepairState& state, Diagnostics& diags) {
  Failed failed{lexemes, failure, sources, state, diags,
                statement_around(lexemes, item, failure.token, sources)};
  if (already_told(failed)) {
    take_out(failed);
    return;
  }
  for (const Explanation explain : kExplanations) {
    if (explain(failed)) return;
  }
}

namespace {

void pass_on(Diagnostic diag, Diagnostics& diags) {
  Diagnostic& told = diags.report(diag.kind, diag.span, {});
  told = std::move(diag);
}

}  // namespace

void report_outside(const std::vector<Span>& dropped, const Diagnostics& told, Diagnostics& diags) {
  for (const Diagnostic& diag : told.all()) {
    const bool inside = std::ranges::any_of(dropped, [&](Span span) {
      return diag.span.begin >= span.begin && diag.span.begin < span.end;
    });
    if (!inside) pass_on(diag, diags);
  }
}

void report_in_order(const Diagnostics& found, Diagnostics& diags) {
  std::vector<Diagnostic> sorted = found.all();
  std::ranges::stable_sort(sorted, {}, [](const Diagnostic& diag) { return diag.span.begin; });
  for (Diagnostic& diag : sorted) pass_on(std::move(diag), diags);
}

}  // namespace hebb::parsing
