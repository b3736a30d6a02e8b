// Names of rules as names of C.

#include <gtest/gtest.h>

#include "compiler/embed/names.h"

namespace hebb {
namespace {

TEST(CNames, GreekIsSpelledAndTheRestNumbered) {
  EXPECT_EQ(c_identifier("w"), "w");
  EXPECT_EQ(c_identifier("τ_plus"), "tau_plus");
  EXPECT_EQ(c_identifier("Δw"), "Deltaw");
  EXPECT_EQ(c_identifier("ς"), "sigma");
  EXPECT_EQ(c_identifier("pre.r"), "pre_r");
  EXPECT_EQ(c_identifier("é"), "u00E9");
  EXPECT_EQ(c_identifier("\xF0\x9D\x9B\xBC"), "u01D6FC");
  EXPECT_EQ(c_identifier("\xFF"), "x_");  // no UTF-8: an underscore, which may not come first
}

TEST(CNames, KeywordsOfCAndCppAndReservedNamesAreNoNames) {
  for (const char* word : {"double", "class", "int", "new", "this", "NULL", "I", "and", "restrict"})
    EXPECT_EQ(c_identifier(word), std::string(word) + "_");
  EXPECT_EQ(c_identifier("_Bool"), "x_Bool");
  EXPECT_EQ(c_identifier("__x"), "x_x");
  EXPECT_EQ(c_identifier("2x"), "x2x");
  EXPECT_EQ(c_identifier(""), "x");
}

TEST(CNames, EqualNamesBecomeUnlike) {
  std::set<std::string> taken = {"row"};
  EXPECT_EQ(fresh_c_identifier("row", taken), "row_");
  EXPECT_EQ(fresh_c_identifier("τ", taken), "tau");
  EXPECT_EQ(fresh_c_identifier("tau", taken), "tau_");
  const std::string third = fresh_c_identifier("tau", taken);
  EXPECT_NE(third, "tau");
  EXPECT_NE(third, "tau_");
  EXPECT_EQ(fresh_c_identifier("class", taken), "class_");
  EXPECT_NE(fresh_c_identifier("class", taken), "class_");
}

TEST(CNames, PrefixesAreInSnakeCase) {
  EXPECT_EQ(c_prefix("PairSTDP"), "pair_stdp");
  EXPECT_EQ(c_prefix("MLP"), "mlp");
  EXPECT_EQ(c_prefix("STDPRule"), "stdp_rule");
  EXPECT_EQ(c_prefix("OjaStep2"), "oja_step2");
  EXPECT_EQ(c_prefix("Double"), "double_");
  EXPECT_EQ(c_prefix("A + B"), "a_b");
}

TEST(CNames, NothingEndsAComment) {
  EXPECT_EQ(in_comment("a */ b /* c"), "a * / b / * c");
  EXPECT_EQ(in_comment("one\ntwo\r\n\tthree"), "one two three");
  EXPECT_EQ(in_comment("?" "?/"), "? ?/");
  EXPECT_EQ(in_comment("end\\"), "end\\");
  EXPECT_EQ(in_comment("bell\a"), "bell");
}

}  // namespace
}  // namespace hebb
