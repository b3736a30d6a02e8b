// How diagnostics look: for people, in colour, for programs.

#include "compiler/support/diagnostic.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "compiler/support/machine_format.h"
#include "compiler/support/text.h"
#include "compiler/support/utf8.h"

namespace hebb {
namespace {

struct Told {
  Sources sources;
  Diagnostics diags;
  FileId file;

  explicit Told(std::string text, std::string path = "r.hebb") : file(sources.add(std::move(path), std::move(text))) {}
  Span at(std::string_view word) const {
    const size_t begin = sources[file].text.find(word);
    EXPECT_NE(begin, std::string::npos) << word;
    return {file, static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + word.size())};
  }
  std::string one(MessageFormat format, bool colour = false) const {
    return render(diags.all().at(0), sources, {.format = format, .colour = colour});
  }
};

TEST(Human, MessageLineUnderlineLabelHelp) {
  Told told("rule R {\n  param A = 1 mV;\n  w' = A * pre.spike;\n}\n");
  Diagnostic& diag = told.diags.report(DiagKind::DimensionMismatch, told.at("A * pre.spike"), "the sides differ");
  diag.note = "this is voltage/time";
  diag.labels.push_back({told.at("1 mV"), "fixed here"});
  diag.help = "write  A / 1 mV";
  EXPECT_EQ(told.one(MessageFormat::Human),
            "r.hebb:3:8: error[D01]: the sides differ\n"
            "  3 |   w' = A * pre.spike;\n"
            "    |        ^~~~~~~~~~~~~ this is voltage/time\n"
            "  2 |   param A = 1 mV;\n"
            "    |             ^~~~ fixed here\n"
            "  help: write  A / 1 mV\n");
}

TEST(Human, TwoMarksInOneLineShowItOnce) {
  Told told("a < b < c\n");
  told.diags.report(DiagKind::ChainedComparison, {told.file, 6, 7}, "m").labels.push_back({told.at("<"), "first"});
  EXPECT_EQ(told.one(MessageFormat::Human),
            "r.hebb:1:7: error[P24]: m\n  1 | a < b < c\n    |       ^\n    |   ^ first\n");
}

TEST(Human, ALabelInAnotherFileNamesIt) {
  Told told("w' = x;\n");
  const FileId other = told.sources.add("std/pair.hebb", "\n\n  weight w;\n");
  told.diags.report(DiagKind::UnknownName, told.at("x"), "m").labels.push_back({{other, 4, 10}, "here"});
  EXPECT_EQ(told.one(MessageFormat::Human),
            "r.hebb:1:6: error[N01]: m\n  1 | w' = x;\n    |      ^\n"
            "  std/pair.hebb:3:3:\n  3 |   weight w;\n    |   ^~~~~~ here\n");
}

TEST(Human, ColumnsCountCharactersNotBytes) {
  Told told("αβγ x\n");
  told.diags.report(DiagKind::UnknownName, told.at("x"), "m");
  EXPECT_EQ(told.one(MessageFormat::Human), "r.hebb:1:5: error[N01]: m\n  1 | αβγ x\n    |     ^\n");
  Told greek("x αβγ\n");
  greek.diags.report(DiagKind::UnknownName, greek.at("αβγ"), "m");
  EXPECT_EQ(greek.one(MessageFormat::Human), "r.hebb:1:3: error[N01]: m\n  1 | x αβγ\n    |   ^~~\n");
}

TEST(Human, TabsAreWidened) {
  Told told("\tx\ty;\n");
  told.diags.report(DiagKind::UnknownName, told.at("y"), "m");
  EXPECT_EQ(told.one(MessageFormat::Human), "r.hebb:1:4: error[N01]: m\n  1 |   x  y;\n    |      ^\n");
}

TEST(Human, ControlCharactersCannotDriveATerminal) {
  Told told("x\x1b[2J y\x9b\x7f\n", "r\x1b.hebb");
  told.diags.report(DiagKind::UnknownName, told.at("y"), "bad \x1b[31m").help = "\x07";
  const std::string text = told.one(MessageFormat::Human);
  EXPECT_EQ(text,
            "r\\x1b.hebb:1:7: error[N01]: bad \\x1b[31m\n  1 | x\\x1b[2J y\\x9b\\x7f\n    |          ^\n  help: \\x07\n");
}

TEST(Human, LongLinesAreShownAroundTheMark) {
  Told told(std::string(5000, 'a') + " x " + std::string(5000, 'b') + "\n");
  told.diags.report(DiagKind::UnknownName, told.at("x"), "m");
  const std::string text = told.one(MessageFormat::Human);
  EXPECT_LT(text.size(), 400u);
  EXPECT_NE(text.find("…a"), std::string::npos);
  EXPECT_NE(text.find("b…"), std::string::npos);
  // The caret stands under the x: in both lines, count what is in front of it.
  const std::string line = text.substr(text.find('\n') + 1);
  const std::string source = line.substr(0, line.find('\n'));
  const std::string marks = line.substr(line.find('\n') + 1);
  EXPECT_EQ(source.find(" x ") + 1 - 2, marks.find('^')) << "the … in front has three bytes and one column";
}

TEST(Human, PlacesAtTheEndOfTheFileHaveALine) {
  for (const char* text : {"", "x", "x\n", "x\r\n"}) {
    Told told(text);
    const auto end = static_cast<uint32_t>(std::string_view(text).size());
    told.diags.report(DiagKind::UnexpectedToken, {told.file, end, end}, "m");
    EXPECT_NE(told.one(MessageFormat::Human).find("^"), std::string::npos) << text;
  }
}

TEST(Human, SpansOverLinesMarkTheFirst) {
  Told told("abc\ndef\n");
  told.diags.report(DiagKind::UnexpectedToken, {told.file, 1, 6}, "m");
  EXPECT_EQ(told.one(MessageFormat::Human), "r.hebb:1:2: error[P02]: m\n  1 | abc\n    |  ^~\n");
}

TEST(Human, WithoutAPlaceThereIsNoSnippet) {
  Told told("");
  told.diags.report(DiagKind::FileTooLarge, {}, "too large").help = "smaller";
  EXPECT_EQ(told.one(MessageFormat::Human), "error[P18]: too large\n  help: smaller\n");
}

TEST(Human, ColourWrapsButDoesNotChangeTheText) {
  Told told("x\n");
  told.diags.report(DiagKind::UnknownName, told.at("x"), "m").help = "h";
  std::string text = told.one(MessageFormat::Human, true);
  EXPECT_NE(text.find("\033[1;31merror[N01]: \033[0m"), std::string::npos);
  for (size_t escape; (escape = text.find('\033')) != std::string::npos;) {
    text.erase(escape, text.find('m', escape) + 1 - escape);
  }
  EXPECT_EQ(text, told.one(MessageFormat::Human));
}

TEST(Human, CountsComeLastAndObeyTheLimit) {
  Told told("x\n");
  EXPECT_EQ(render(told.diags, told.sources, {}), "");
  for (int i = 0; i < 5; ++i) told.diags.report(DiagKind::UnknownName, told.at("x"), cat("e", i));
  told.diags.report(DiagKind::UnusedName, told.at("x"), "w");
  EXPECT_EQ(told.diags.errors(), 5u);
  const std::string all = render(told.diags, told.sources, {.error_limit = 0});
  EXPECT_NE(all.find("e4"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\n5 errors, 1 warning\n")) << all;
  const std::string some = render(told.diags, told.sources, {.error_limit = 2});
  EXPECT_EQ(some.find("]: e2"), std::string::npos);
  EXPECT_TRUE(some.ends_with("5 errors, 1 warning (the first 2 shown; --error-limit=0 shows all)\n")) << some;
}

TEST(Short, OneLine) {
  Told told("\n x\n");
  told.diags.report(DiagKind::UnusedName, told.at("x"), "m").help = "h";
  EXPECT_EQ(told.one(MessageFormat::Short), "r.hebb:2:2: warning[W01]: m\n");
}

TEST(Github, EscapesWhatItsCommandsReserve) {
  Told told("\n x\n", "a,b:c.hebb");
  told.diags.report(DiagKind::UnknownName, told.at("x"), "100% wrong").help = "h";
  EXPECT_EQ(told.one(MessageFormat::Github),
            "::error file=a%2cb%3ac.hebb,line=2,endLine=2,col=2,endColumn=3,title=N01::100%25 wrong%0ahelp: h\n");
}

TEST(Json, OneObjectALineWithSpansAndFixes) {
  Told told("param tau = 20 ms\n");
  Diagnostic& diag = told.diags.report(DiagKind::MissingSemicolon, {told.file, 17, 17}, "say \"so\"");
  diag.help = "h";
  diag.fixes.push_back({{told.file, 17, 17}, ";", true});
  const std::string text = told.one(MessageFormat::Json);
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
  for (const char* piece :
       {"\"$message_type\":\"diagnostic\"", "\"message\":\"say \\\"so\\\"\"", "\"code\":{\"code\":\"P01\"",
        "\"level\":\"error\"", "\"byte_start\":17", "\"line_start\":1", "\"column_start\":18", "\"is_primary\":true",
        "\"suggested_replacement\":\";\"", "\"suggestion_applicability\":\"MachineApplicable\"", "\"rendered\":\"r.hebb:1:18"}) {
    EXPECT_NE(text.find(piece), std::string::npos) << piece << "\n" << text;
  }
}

TEST(Json, StringsAreAlwaysValid) {
  EXPECT_EQ(json_string("a\"\\\n\t\x01µ"), "\"a\\\"\\\\\\n\\u0009\\u0001µ\"");
  EXPECT_EQ(json_string("\xff\xc3"), "\"\\ufffd\\ufffd\"");
}

TEST(DidYouMean, TakesANameThatBeginsSoBeforeANearerOne) {
  const std::vector<std::string> names = {"tan", "fano_temporal", "fano_spatial", "sin", "sigmoid", "no"};
  EXPECT_EQ(did_you_mean("fano", names), "fano_spatial");
  EXPECT_EQ(did_you_mean("sig", names), "sigmoid");
  EXPECT_EQ(did_you_mean("si", names), "sin");             // two letters begin too much
  EXPECT_EQ(did_you_mean("sigmiod", names), "sigmoid");
  EXPECT_EQ(did_you_mean("sigmoid", std::vector<std::string>{"sigmoid"}), std::nullopt);
  EXPECT_EQ(did_you_mean("fanatic", names), std::nullopt);
}

TEST(Utf8, TellsValidFromInvalid) {
  EXPECT_FALSE(first_invalid_utf8("aé€😀").has_value());
  EXPECT_EQ(utf8_code_point("€", 0), 0x20ACu);
  EXPECT_EQ(utf8_code_point("😀", 0), 0x1F600u);
  EXPECT_EQ(first_invalid_utf8("ab\x80"), 2u);
  EXPECT_EQ(first_invalid_utf8("\xC0\x80"), 0u) << "overlong";
  EXPECT_EQ(first_invalid_utf8("\xF4\x90\x80\x80"), 0u) << "above U+10FFFF";
  EXPECT_EQ(first_invalid_utf8("a\xE2\x82"), 1u) << "cut off";
}

TEST(Kinds, HaveCodesOfTheirOwn) {
  std::set<std::string_view> codes;
  for (const DiagInfo& kind : all_diagnostics()) {
    EXPECT_TRUE(codes.insert(kind.code).second) << kind.code;
    EXPECT_EQ(kind.code.size(), 3u) << kind.code;
    EXPECT_FALSE(kind.title.empty());
    EXPECT_EQ(info(kind.kind).code, kind.code);
  }
}

}  // namespace
}  // namespace hebb
