// The parser: what it builds, where it says things stand, and what it does with bad text.

#include "compiler/parse/parse.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "compiler/ast/format.h"
#include "compiler/ast/print.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;

struct Parsed {
  Sources sources;
  Diagnostics diags;
  ast::File file;

  explicit Parsed(std::string text) {
    const FileId id = sources.add("r.hebb", std::move(text));
    file = parse(sources, id, diags);
  }
  std::string codes() const {
    std::string out;
    for (const Diagnostic& diag : diags.all()) out += cat(out.empty() ? "" : " ", info(diag.kind).code);
    return out;
  }
  std::string told() const { return render(diags, sources, {}); }
};

std::string in_rule(const std::string& lines) {
  return cat("rule R {\n  weight w in [0, 1];\n", lines, "\n}\n");
}
const ast::RuleDecl& rule(const Parsed& parsed) { return std::get<ast::RuleDecl>(parsed.file.items.at(0)); }
std::string repeated(std::string_view piece, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += piece;
  return out;
}

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}
std::vector<fs::path> files_in(const char* folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(HEBB_SOURCE_DIR) / folder)) {
    if (entry.path().extension() == ".hebb") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}
std::vector<fs::path> right_programs() {
  std::vector<fs::path> out;
  for (const char* folder : {"tests/parse", "stdlib", "examples"}) {
    for (fs::path& path : files_in(folder)) out.push_back(std::move(path));
  }
  return out;
}

// --- what is built -------------------------------------------------------------------------------

TEST(Parse, EveryExampleAndLibraryFile) {
  for (const fs::path& path : right_programs()) {
    const Parsed parsed(read(path));
    EXPECT_EQ(parsed.diags.size(), 0u) << path << "\n" << parsed.told();
    EXPECT_FALSE(parsed.file.items.empty()) << path;
  }
}

TEST(Parse, SpansCoverWhatWasWritten) {
  const Parsed parsed(in_rule("  # α\n  w' = 2 ms * (pre.r + f(x, y = 3)[1])^2;"));
  ASSERT_EQ(parsed.diags.size(), 0u) << parsed.told();
  const auto& ode = std::get<ast::Ode>(rule(parsed).items.at(1));
  const auto text = [&](Span span) { return std::string(parsed.sources.text(span)); };
  EXPECT_EQ(text(ode.span), "w' = 2 ms * (pre.r + f(x, y = 3)[1])^2;");
  EXPECT_EQ(text(ode.name.span), "w");
  EXPECT_EQ(text(ode.rate->span), "2 ms * (pre.r + f(x, y = 3)[1])^2");
  const auto& product = std::get<ast::Binary>(ode.rate->node);
  EXPECT_EQ(text(product.op_span), "*");
  EXPECT_EQ(text(product.left->span), "2 ms");
  EXPECT_EQ(text(std::get<ast::Number>(product.left->node).unit->span), "ms");
  const auto& power = std::get<ast::Binary>(product.right->node);
  const auto& sum = std::get<ast::Binary>(std::get<ast::Paren>(power.left->node).inner->node);
  EXPECT_EQ(text(std::get<ast::Member>(sum.left->node).member.span), "r");
  const auto& at = std::get<ast::Subscript>(sum.right->node);
  EXPECT_EQ(text(at.object->span), "f(x, y = 3)");
  EXPECT_EQ(text(std::get<ast::Call>(at.object->node).arguments.at(1).name->span), "y");
}

TEST(Parse, UnitsAreFlattened) {
  const Parsed parsed(in_rule("  param a = 1 [mV*s/(pA*nS^2)^(1/2)];"));
  ASSERT_EQ(parsed.diags.size(), 0u) << parsed.told();
  const auto& param = std::get<ast::Param>(rule(parsed).items.at(1)).declarations.at(0);
  std::string factors;
  for (const ast::UnitFactor& f : std::get<ast::Number>(param.value->node).unit->factors) {
    factors += cat(f.name, '^', f.exponent_numerator, '/', f.exponent_denominator, ' ');
  }
  EXPECT_EQ(factors, "mV^1/1 s^1/1 pA^-1/2 nS^-1/1 ");
}

TEST(Parse, PowersBindToTheRightAndTighterThanSigns) {
  const Parsed parsed("const a = -2^3^2 - 1 - 1;\n");
  EXPECT_EQ(ast::print(parsed.file), "const a = (- (- (- (^ 2 (^ 3 2))) 1) 1)\n");
}

TEST(Parse, DocCommentsBelongToTheItemBelow) {
  const Parsed parsed("## not this\n\n## one\n##   two\nrule A { weight w; }  # c\nrule B { weight w; }\n");
  EXPECT_EQ(rule(parsed).doc, "one\ntwo");
  EXPECT_EQ(std::get<ast::RuleDecl>(parsed.file.items.at(1)).doc, "");
  ASSERT_EQ(parsed.file.comments.size(), 4u);
  EXPECT_EQ(parsed.file.comments[3].text, "# c");
}

TEST(Parse, WordsOfExperimentsAreNamesElsewhere) {
  const Parsed parsed("neuron N { let accept ~ bernoulli(1); record' = -record + accept; state print = 1; }\n"
                      "experiment E { accept ok when accept > 1; print print; }\n");
  EXPECT_EQ(parsed.diags.size(), 0u) << parsed.told();
}

TEST(Parse, ArgumentsMayBePaths) {
  const Parsed parsed("test \"t\" { let p = protocol(R, pre.r = 0.3, w = 1); }\n");
  ASSERT_EQ(parsed.diags.size(), 0u) << parsed.told();
  const auto& test = std::get<ast::TestDecl>(parsed.file.items.at(0));
  const auto& call = std::get<ast::Call>(std::get<ast::Let>(test.actions.at(0)).value->node);
  EXPECT_EQ(call.arguments.at(1).name->text, "pre.r");
}

TEST(Parse, TextsKeepTheirEscapes) {
  const Parsed parsed("experiment E { print \"a\\\"b\\\\c\\n\", \"\"; }\n");
  const auto& print = std::get<ast::Print>(std::get<ast::ExperimentDecl>(parsed.file.items.at(0)).actions.at(0));
  EXPECT_EQ(std::get<ast::String>(print.values.at(0)->node).value, "a\"b\\c\n");
  EXPECT_EQ(std::get<ast::String>(print.values.at(1)->node).value, "");
}

TEST(Parse, NumbersReadExactly) {
  const Parsed parsed("const a = [1_000, 0.1, 5e-324, 1.7976931348623157e308, 0e-999, 3e2];\n");
  ASSERT_EQ(parsed.diags.size(), 0u) << parsed.told();
  const auto& list = std::get<ast::VectorLiteral>(std::get<ast::Const>(parsed.file.items.at(0)).value->node);
  const std::vector<double> want = {1000, 0.1, 5e-324, 1.7976931348623157e308, 0, 300};
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(std::get<ast::Number>(list.elements.at(i)->node).value, want[i]) << i;
  }
  EXPECT_TRUE(std::get<ast::Number>(list.elements.at(0)->node).integer);
  EXPECT_FALSE(std::get<ast::Number>(list.elements.at(5)->node).integer);
}

TEST(Parse, EmptyFilesAreEmpty) {
  for (const char* text : {"", "\n\n", "# only this", "\xEF\xBB\xBF", "\r\n"}) {
    const Parsed parsed(text);
    EXPECT_EQ(parsed.diags.size(), 0u) << parsed.told();
    EXPECT_TRUE(parsed.file.items.empty());
  }
}

TEST(Tokenize, SoftKeywordsOpenStatements) {
  Sources sources;
  Diagnostics diags;
  const FileId id = sources.add("r.hebb", "{ # c\n print print; }");
  std::string kinds;
  for (const Token& token : tokenize(sources, id, diags)) kinds += token.kind + " ";
  EXPECT_EQ(kinds, "symbol comment keyword name symbol symbol ");
}

TEST(Tokenize, NamesEveryToken) {
  Sources sources;
  Diagnostics diags;
  const FileId id = sources.add("r.hebb", "rule α { # c\n x' = 2.5 ms; } \"t\" 3");
  std::string kinds;
  for (const Token& token : tokenize(sources, id, diags)) {
    kinds += cat(token.kind, ':', sources.text(token.span), ' ');
  }
  EXPECT_EQ(kinds, "keyword:rule name:α symbol:{ comment:# c name:x symbol:' symbol:= decimal:2.5 "
                   "name:ms symbol:; symbol:} text:\"t\" integer:3 ");
}

// --- one diagnostic per root cause ---------------------------------------------------------------

TEST(Errors, IndependentOnesAreAllTold) {
  const Parsed parsed(
      "rule A {\n  param tau = 20 ms\n  weight w in [0, 1];\n  w' = -w ** 2 / tau;\n"
      "  on pre.spike { w = 1; w += .5; }\n}\nrule B {\n  w' = * 3;\n  let a = (1;\n  parm c = 3;\n}\n"
      "rule C { weight w; }\n");
  EXPECT_EQ(parsed.codes(), "P01 P11 P07 P10 P02 P03 P30") << parsed.told();
  EXPECT_EQ(parsed.file.items.size(), 3u);
}

TEST(Errors, GoodItemsSurviveBadOnes) {
  const Parsed parsed("rule A { weight w; }\nrul B { weight w; }\nrule C { weight w; }\n");
  EXPECT_EQ(parsed.codes(), "P30");
  EXPECT_EQ(ast::print(parsed.file), "rule A\n  weight w\nrule C\n  weight w\n");
}

TEST(Errors, SemicolonIsMissedAtTheEndOfTheLineBefore) {
  const Parsed parsed(in_rule("  param tau = 20 ms  # a comment\n  w' = -w / tau;"));
  ASSERT_EQ(parsed.codes(), "P01");
  const Diagnostic& diag = parsed.diags.all()[0];
  const LineColumn at = parsed.sources.position(diag.span.file, diag.span.begin);
  EXPECT_EQ(at.line, 3u);
  EXPECT_EQ(at.column, 20u);
  EXPECT_EQ(diag.note, "put ';' here");
}

TEST(Errors, AKeywordNameIsToldOnce) {
  EXPECT_EQ(Parsed(in_rule("  param event = 1;\n  let a = event + 2 * event;\n  event' = event;")).codes(), "P06");
}

TEST(Errors, AnUnclosedRuleDoesNotSpoilTheNext) {
  const Parsed parsed("rule A {\n  weight w;\n  on pre.spike {\n    w += 1;\n  w' = -w;\n}\nrule B { weight w; }\n");
  EXPECT_EQ(parsed.codes(), "P03") << parsed.told();
  EXPECT_EQ(parsed.sources.text(parsed.diags.all()[0].span), "{");
  EXPECT_EQ(parsed.sources.position(parsed.diags.all()[0].span.file, parsed.diags.all()[0].span.begin).line, 3u);
  EXPECT_EQ(ast::print(parsed.file), "rule B\n  weight w\n");
}

TEST(Errors, FixesCureWhatTheyAreFor) {
  size_t cured = 0;
  for (const fs::path& path : files_in("tests/diagnostics")) {
    const std::string text = read(path);
    const Parsed parsed(text);
    if (parsed.diags.size() != 1 || parsed.diags.all()[0].fixes.empty()) continue;
    const Fix& fix = parsed.diags.all()[0].fixes[0];
    if (!fix.certain) continue;
    std::string better = text;
    better.replace(fix.span.begin, fix.span.end - fix.span.begin, fix.replacement);
    const Parsed again(better);
    EXPECT_EQ(again.diags.size(), 0u) << path << "\n" << again.told();
    ++cured;
  }
  EXPECT_GE(cured, 12u);
}

// --- limits --------------------------------------------------------------------------------------

TEST(Limits, DeepNestingOfEveryKindIsAClearError) {
  constexpr size_t kDeep = 100'000;
  const std::pair<std::string, std::string> forms[] = {
      {"(", ")"}, {"[", "]"}, {"-", ""}, {"not ", ""}, {"2^", ""}, {"if 1 then 1 else ", ""}, {"f(", ")"}};
  for (const auto& [open, close] : forms) {
    const Parsed parsed(in_rule(cat("w' = ", repeated(open, kDeep), "w", repeated(close, kDeep), ";")));
    EXPECT_EQ(parsed.codes(), "P17") << open;
  }
  for (const std::string suffix : {".a", "(1)", "[1]"}) {
    EXPECT_EQ(Parsed(in_rule(cat("w' = w", repeated(suffix, kDeep), ";"))).codes(), "P17") << suffix;
  }
}

TEST(Limits, NestingBelowTheLimitParses) {
  const Parsed parsed(in_rule(cat("w' = ", repeated("(", 200), "w", repeated(")", 200), ";")));
  EXPECT_EQ(parsed.diags.size(), 0u) << parsed.told();
  // Depth is counted per operand: many short chains are no deep one.
  EXPECT_EQ(Parsed(in_rule(cat("w' = w", repeated(" + -w.a^2 * f(-w)", 1000), ";"))).diags.size(), 0u);
}

TEST(Limits, ASumOf20000TermsIsALoopEverywhere) {
  const Parsed parsed(in_rule(cat("w' = w", repeated(" + w", 19'999), ";")));
  ASSERT_EQ(parsed.diags.size(), 0u);
  const auto& ode = std::get<ast::Ode>(rule(parsed).items.at(1));
  EXPECT_EQ(ast::left_spine(*ode.rate).size(), 19'999u);
  EXPECT_EQ(ast::to_source(*ode.rate).size(), 1 + 19'999 * 4u);
  EXPECT_GT(ast::print(parsed.file).size(), 19'999u * 4);
}

TEST(Limits, AFileOfOneLineTakesNoLongerThanOneOfMany) {
  const Parsed parsed(repeated("rule R { weight w; on pre.spike { w += 1; } } ", 20'000));
  EXPECT_EQ(parsed.diags.size(), 0u);
  EXPECT_EQ(parsed.file.items.size(), 20'000u);
}

TEST(Limits, UnclosedBracketsByTheThousand) {
  for (const std::string bracket : {"(", "[", "{"}) {
    const Parsed parsed("rule R { weight w; w' = " + repeated(bracket, 50'000));
    EXPECT_GE(parsed.diags.errors(), 1u);
    EXPECT_LE(parsed.diags.errors(), 2u) << parsed.told();
  }
}

TEST(Limits, AFileTooLargeIsRefusedUnread) {
  const Parsed parsed(std::string(kMaxSourceBytes + 1, '#'));
  EXPECT_EQ(parsed.codes(), "P18");
}

TEST(Limits, AnItemTooLongIsRefused) {
  const Parsed parsed(cat("const a = [", repeated("1,", 300'000), "1];\n"));
  EXPECT_EQ(parsed.codes(), "P18");
}

TEST(Limits, BytesThatAreNoText) {
  EXPECT_EQ(Parsed("rule R { \xFF }").codes(), "P08");
  EXPECT_EQ(Parsed("rule R { \xC0\xAF }").codes(), "P08") << "overlong";
  EXPECT_EQ(Parsed("rule R { \xED\xA0\x80 }").codes(), "P08") << "surrogate";
  EXPECT_EQ(Parsed(std::string("rule R { \0 }", 12)).codes(), "P08");
  EXPECT_EQ(Parsed("rule R \xE2\x82").codes(), "P08") << "cut off";
}

TEST(Limits, AHopelessFileIsGivenUpOn) {
  const Parsed parsed(in_rule(repeated("x = * 3;\n", 5000)));
  EXPECT_GE(parsed.diags.errors(), 20u);
  EXPECT_LE(parsed.diags.errors(), 300u);
}

TEST(Limits, AByteOrderMarkIsNotPartOfTheFirstLine) {
  const Parsed parsed("\xEF\xBB\xBFrule R { weight w }");
  ASSERT_EQ(parsed.codes(), "P01");
  EXPECT_EQ(parsed.sources.position(parsed.diags.all()[0].span.file, parsed.diags.all()[0].span.begin).column, 18u);
}

// --- mutations -----------------------------------------------------------------------------------

/// A small generator of its own: the same mutations on every machine.
struct Dice {
  uint64_t state;
  size_t below(size_t count) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state >> 33) % count);
  }
};

/// The text with one token deleted, doubled, swapped with its neighbour, or replaced by another.
std::string mutated(const std::string& text, const std::vector<ast::Token>& tokens, Dice& dice) {
  const size_t which = dice.below(tokens.size() - 1);
  const Span one = tokens[which].span, next = tokens[which + 1].span;
  const auto word = [&](Span span) { return text.substr(span.begin, span.end - span.begin); };
  std::string out = text;
  switch (dice.below(4)) {
    case 0: return out.erase(one.begin, one.end - one.begin);
    case 1: return out.insert(one.end, " " + word(one));
    case 2: return out.replace(one.begin, next.end - one.begin, word(next) + " " + word(one));
    default:
      return out.replace(one.begin, one.end - one.begin, word(tokens[dice.below(tokens.size())].span));
  }
}

/// Whatever was told: it has a place in the file and no word of the parser generator.
void expect_presentable(const Parsed& parsed, const std::string& text) {
  for (const Diagnostic& diag : parsed.diags.all()) {
    ASSERT_TRUE(diag.span.valid());
    ASSERT_LE(diag.span.begin, diag.span.end) << text;
    ASSERT_LE(diag.span.end, text.size()) << text;
    for (const char* word : {"viable", "mismatched", "extraneous", "T__", "<EOF>", "EOF", " ID", " INT", "FLOAT", "STRING"}) {
      ASSERT_EQ(diag.message.find(word), std::string::npos) << diag.message << "\n" << text;
    }
    ASSERT_FALSE(diag.message.empty());
  }
}

TEST(Mutations, NeverCrashAndAreToldPresentably) {
  size_t wrong = 0, cases = 0;
  for (const fs::path& path : right_programs()) {
    const std::string text = read(path);
    const Parsed original(text);
    if (original.file.tokens.size() < 2) continue;
    Dice dice{std::hash<size_t>{}(text.size())};
    for (int i = 0; i < 60; ++i, ++cases) {
      std::string changed = mutated(text, original.file.tokens, dice);
      if (i % 3 == 0) changed = mutated(changed, Parsed(changed).file.tokens, dice);
      const Parsed parsed(changed);
      expect_presentable(parsed, changed);
      if (HasFatalFailure()) return;
      if (parsed.diags.has_errors()) {
        ++wrong;
        continue;
      }
      const std::string formatted = ast::format(parsed.file, parsed.sources);
      const Parsed again(formatted);
      ASSERT_EQ(ast::print(again.file), ast::print(parsed.file)) << changed;
      ASSERT_EQ(ast::format(again.file, again.sources), formatted) << changed;
    }
  }
  EXPECT_GE(cases, 2000u);
  EXPECT_GE(wrong, cases / 3) << "most changes must be mistakes, or the test tests nothing";
}

TEST(Mutations, BytesOfEveryValueNeverCrash) {
  const std::string text = read(fs::path(HEBB_SOURCE_DIR) / "tests/parse/everything.hebb");
  Dice dice{7};
  for (int i = 0; i < 1500; ++i) {
    std::string changed = text;
    changed[dice.below(changed.size())] = static_cast<char>(dice.below(256));
    changed.erase(dice.below(changed.size()), dice.below(4));
    const Parsed parsed(changed);
    expect_presentable(parsed, changed);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace hebb
