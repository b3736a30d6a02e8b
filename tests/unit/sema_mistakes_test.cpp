// Wrong programs that need more than one look, and what lints do and do not report.

#include <algorithm>

#include <gtest/gtest.h>

#include "compiler/support/text.h"
#include "tests/unit/checked.h"

namespace hebb {
namespace {

using testing::check_text;
using testing::Checked;

std::vector<DiagKind> kinds(const Checked& result) {
  std::vector<DiagKind> out;
  for (const Diagnostic& diag : result.diags.all()) out.push_back(diag.kind);
  return out;
}

TEST(Mistakes, OneRootCauseOneMessage) {
  // A name used three times, a wrong unit used in three equations.
  const auto name =
      check_text("rule R { weight w in [0, 1]; on step { w += bar; } on pre.spike { w -= bar + 2 * bar; } }");
  EXPECT_EQ(kinds(*name), std::vector{DiagKind::UnknownName}) << name->text();
  const auto unit = check_text(
      "rule R { param p = 3 ms; weight w in [0, 1]; on step { w += p; w += 2 * p; w += sin(p); } }");
  EXPECT_EQ(kinds(*unit), std::vector{DiagKind::DimensionMismatch}) << unit->text();
  const auto rule = check_text(
      "rule R { weight w in [0, 1]; on step { w += bar; } }\nrule S = R + R;\n"
      "network N { pop X[1] : Nothing; pop Y[1] : Nothing; project X -> Y as A via S { connect all; drive I "
      "+= w; } }");
  EXPECT_EQ(kinds(*rule), (std::vector{DiagKind::UnknownName, DiagKind::UnknownName})) << rule->text();
}

TEST(Mistakes, AFailedImportIsTheOnlyMessage) {
  const auto r = check_text(
      "import std.neurons.Linearr;\nnetwork N { pop X[1] : Linear; pop Y[1] : Linear; project X -> Y as A { "
      "connect all; drive I += w * pre.r; } }");
  EXPECT_EQ(kinds(*r), std::vector{DiagKind::ImportNotFound}) << r->text();
}

TEST(Mistakes, FunctionsThatNothingCallsAreLookedAt) {
  const auto r =
      check_text("const k = 2;\nfun f(x, y) = x * k + z + sum(x[i] for i in 0..2) + q where q = y;");
  ASSERT_EQ(kinds(*r), std::vector{DiagKind::UnknownName}) << r->text();
  EXPECT_EQ(r->sources.text(r->diags.all()[0].span), "z");
}

TEST(Mistakes, TwoIndependentErrorsAreBothSaid) {
  const auto r = check_text(
      "rule R { param p = 3 ms, q = 2 mV; weight w in [0, 1]; on step { w += p; } on pre.spike { w += q; } "
      "}");
  EXPECT_EQ(r->diags.size(), 2u) << r->text();
}

TEST(Mistakes, ASumOfTwentyThousandTermsIsFine) {
  std::string sum = "0";
  for (int i = 1; i < 20'000; ++i) sum += cat(" + ", i, "e-9 * w");
  const auto r = check_text(cat("rule R { weight w in [0, 1]; on step { w -= ", sum, "; } }"));
  ASSERT_CLEAN(r);
  EXPECT_EQ(r->model.rules[0].jumps.size(), 1u);
}

TEST(Mistakes, ExponentialFunctionsStop) {
  std::string source = "fun f0(x) = x + 1;\n";
  for (int i = 1; i < 60; ++i) source += cat("fun f", i, "(x) = f", i - 1, "(x) + f", i - 1, "(x);\n");
  const auto r = check_text(source + "rule R { weight w in [0, 1]; on step { w := f59(w); } }");
  EXPECT_EQ(kinds(*r), std::vector{DiagKind::TooLarge});
}

TEST(Mistakes, ZeroFitsEveryDimension) {
  const auto r = check_text(R"(const z = 0;
    rule R { param theta = -50 mV; weight w in [0, inf); on step { w += if post.u > 0 then 0 else max(0, (post.u - theta) / 1 mV) + z; }
      on pre.spike { w -= if post.u > z then w else z; } })");
  ASSERT_CLEAN(r);
}

TEST(Mistakes, FractionsAreFineAsExponents) {
  const auto r =
      check_text("rule R { param v = 4 mV; weight w in [0, 1]; on step { w += v^1.5 / v / sqrt(v) - w; } }");
  ASSERT_CLEAN(r);
}

TEST(Lints, GrowthIsOnlyReportedWhenItIsProved) {
  const auto warns = [](const std::string& body) {
    const auto r = check_text(cat("rule R { param tau = 20 ms, A = 0.01;\n", body, " }"));
    EXPECT_FALSE(r->diags.has_errors()) << r->text();
    return std::ranges::count(kinds(*r), DiagKind::OnlyGrows) == 1;
  };
  EXPECT_TRUE(warns("weight w; x' = -x / tau + pre.spike; w' = A * x * post.spike;"));
  EXPECT_FALSE(warns("weight w in [0, 1]; x' = -x / tau + pre.spike; w' = A * x * post.spike;"));
  EXPECT_FALSE(warns("weight w; x' = -x / tau + pre.spike; w' = A * x * post.spike - w / tau;"));
  EXPECT_FALSE(warns("weight w; x' = -x / tau - pre.spike; w' = A * x * post.spike;")) << "x is negative";
  EXPECT_FALSE(warns("weight w; on step { w += A * pre.r * post.r * tau / 1 ms; }"))
      << "rates have no known sign";
  EXPECT_TRUE(warns("weight w; on step { w += A * post.r^2 * tau / 1 ms; }"));
}

TEST(Lints, OneSlipFromAnEventIsReported) {
  const auto warns = [](const std::string& name, const std::string& handler = "") {
    const auto r = check_text(cat("rule R { weight w in [0, 1]; w' = 0.1 [1/s] * ", name, "; ", handler, " }"));
    EXPECT_FALSE(r->diags.has_errors()) << r->text();
    return std::ranges::count(kinds(*r), DiagKind::NearEvent) == 1;
  };
  for (const char* name : {"pre.spke", "post.spikes", "pre.pike", "post.spkie", "pre.spiek", "post.spiky", "pre.Spike"}) EXPECT_TRUE(warns(name)) << name;
  for (const char* name : {"pre.r", "post.spark", "pre.strike", "post.spi"}) EXPECT_FALSE(warns(name)) << name;
  EXPECT_TRUE(warns("post.burts", "on post.burst { w += 0.1; }"));
  EXPECT_FALSE(warns("pre.burts", "on post.burst { w += 0.1; }")) << "of the other side";
}

TEST(Lints, UsedNamesAreNotReported) {
  // In a bound, a start value, a clock, a shape, a drive, an experiment.
  const auto r = check_text(R"(import std.neurons.LIF;
    rule R { const n = 2; param top = 3, s0 = 1, T = 1 s, trace_tau = 20 ms; weight w in [0, top]; state h[n] = s0;
      x' = -x / trace_tau + pre.spike;
      on every T { w := 0.5 * h[0]; } }
    network N { pop X[1] : LIF; project X -> X as A via R { connect all; drive exc += 1 pA * w * x; } })");
  ASSERT_CLEAN(r);
}

}  // namespace
}  // namespace hebb
