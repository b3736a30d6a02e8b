// The canonical layout: nothing is lost, and a second time changes nothing.

#include "compiler/ast/format.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "compiler/ast/print.h"
#include "compiler/parse/parse.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;

struct Once {
  std::string text, tree;
  size_t comments = 0;
};
Once formatted(const std::string& text) {
  Sources sources;
  Diagnostics diags;
  const ast::File file = parse(sources, sources.add("r.hebb", text), diags);
  EXPECT_EQ(diags.size(), 0u) << render(diags, sources, {});
  return {ast::format(file, sources), ast::print(file), file.comments.size()};
}

/// The text has this layout, and the layout is its own.
void expect_layout(const std::string& text, const std::string& layout) {
  EXPECT_EQ(formatted(text).text, layout);
  EXPECT_EQ(formatted(layout).text, layout);
}

TEST(Format, KeepsTheMeaningOfEveryFile) {
  size_t files = 0;
  for (const char* folder : {"tests/parse", "stdlib", "examples"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(HEBB_SOURCE_DIR) / folder)) {
      if (entry.path().extension() != ".hebb") continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      const Once first = formatted(std::string(std::istreambuf_iterator<char>(stream), {}));
      const Once second = formatted(first.text);
      EXPECT_EQ(first.text, second.text) << entry.path();
      EXPECT_EQ(first.tree, second.tree) << entry.path();
      EXPECT_EQ(first.comments, second.comments) << entry.path();
      ++files;
    }
  }
  EXPECT_GT(files, 20u);
}

TEST(Format, SpacesAndIndents) {
  expect_layout("rule  R:local{param tau=20ms,a[3]=[1,-2,3];weight w in[0,inf);\n"
                "w'=-w/tau+a[0]*(w-1)^2*f(w,x=-1);}",
                "rule R : local {\n"
                "  param tau = 20 ms, a[3] = [1, -2, 3];\n"
                "  weight w in [0, inf);\n"
                "  w' = -w / tau + a[0] * (w - 1)^2 * f(w, x = -1);\n"
                "}\n");
}

TEST(Format, UnitsAreTight) {
  expect_layout("rule R{\nparam a = 1 [ mV * s / ( pA * nS ^ - 2 ) ] ;signal R:mV / ms=1 [ 1 / s ]-2 ;\n}",
                "rule R {\n  param a = 1 [mV*s/(pA*nS^-2)];\n  signal R : mV/ms = 1 [1/s] - 2;\n}\n");
}

TEST(Format, SignsOfOneAndOfTwoOperands) {
  expect_layout("const a=-1- -b*-c^-d+(-e)-f(-g)-g[-1];", "const a = -1 - -b * -c^-d + (-e) - f(-g) - g[-1];\n");
}

TEST(Format, BlocksOnOneLineStayWhileTheyFit) {
  expect_layout("rule R{weight w;on pre.spike{w+=1;}}", "rule R { weight w; on pre.spike { w += 1; } }\n");
  const std::string name(60, 'n');
  expect_layout("rule R{weight " + name + ";on pre.spike{" + name + "+=1;}}",
                "rule R {\n  weight " + name + ";\n  on pre.spike { " + name + " += 1; }\n}\n");
  expect_layout("rule R{\n}", "rule R {\n}\n");
  expect_layout("rule R{}", "rule R { }\n");
}

TEST(Format, CommentsStayWhereTheyAre) {
  expect_layout("#first\n\n\n\n## doc  \nrule R{ # open\n# own line\nweight w;#behind\n\n# last\n}#end\n# tail",
                "#first\n\n## doc\nrule R {  # open\n  # own line\n  weight w;  #behind\n\n  # last\n}  #end\n# tail\n");
}

TEST(Format, CommentsInsideAStatement) {
  expect_layout("rule R {\n  w' = a  # one\n  # two\n + b;\n}\n",
                "rule R {\n  w' = a  # one\n      # two\n      + b;\n}\n");
}

TEST(Format, BlankLinesGroupButDoNotPileUp) {
  expect_layout("\n\nrule A {\n\n\n  weight w;\n\n\n\n  w' = -w;\n\n}\n\n\nrule B { weight w; }\n\n",
                "rule A {\n  weight w;\n\n  w' = -w;\n}\n\nrule B { weight w; }\n");
}

TEST(Format, LineBreaksInsideAStatementAreTheAuthors) {
  expect_layout("experiment E {\n fit a minimize b\n with (c = 1,\n d = 2);\n}\n",
                "experiment E {\n  fit a minimize b\n      with (c = 1,\n      d = 2);\n}\n");
}

TEST(Format, LinesInsideBracketsKeepTheirDistance) {
  expect_layout("rule R = T(theta = [\n  [1,2],\n      [3,\n        4]\n]);\n",
                "rule R = T(theta = [\n  [1, 2],\n      [3,\n        4]\n]);\n");
  expect_layout("rule R {\n      w' = sum(\n        a[i]\n\t\t for i in 0..2\n      );\n}\n",
                "rule R {\n  w' = sum(\n    a[i]\n     for i in 0..2\n  );\n}\n");
  expect_layout("const a = f(\n1,\n  # two\n  2\n);\n", "const a = f(\n    1,\n  # two\n  2\n);\n");
}

TEST(Format, LinesAlignedBehindABracketStayAligned) {
  expect_layout("rule R {\n const a=f( 1,\n            g( 2,\n               [ 3,\n                 4]));\n}\n",
                "rule R {\n  const a = f(1,\n              g(2,\n                [3,\n                 4]));\n}\n");
}

TEST(Format, WindowsLineEndsBecomeOurs) { expect_layout("# c\r\nconst a = 1;\r\n", "# c\nconst a = 1;\n"); }

TEST(Format, NothingIsNothing) { expect_layout("\n \n", ""); }

}  // namespace
}  // namespace hebb
