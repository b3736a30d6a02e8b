// Values of experiments and tests: shapes, printing, what a run keeps, batches, the protocol's schedule.

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/experiment.h"
#include "compiler/experiment/format.h"
#include "compiler/experiment/settings.h"
#include "compiler/experiment/tensor.h"
#include "compiler/experiment/wanted.h"
#include "compiler/parse/parse.h"
#include "compiler/pipeline.h"
#include "runtime/linear.h"

namespace hebb {
namespace {

Tensor array(Extents shape, std::vector<double> values, MaybeDimension dimension = Dimension{}) {
  return {.shape = std::move(shape), .values = std::move(values), .dimension = dimension};
}

Dimension time() { return find_unit("ms")->dimension; }

// --- tensors ------------------------------------------------------------------------------------------

TEST(Tensor, ShapesLineUpAtTheLastAxis) {
  EXPECT_EQ(broadcast({}, {3}), Extents({3}));
  EXPECT_EQ(broadcast({4, 3}, {3}), Extents({4, 3}));
  EXPECT_EQ(broadcast({4, 1}, {3}), Extents({4, 3}));
  EXPECT_EQ(broadcast({0}, {1}), Extents({0}));
  EXPECT_EQ(broadcast({4, 3}, {4}), std::nullopt);
}

TEST(Tensor, ExpandingRepeatsAlongAxesOfLengthOne) {
  EXPECT_EQ(expand(array({2, 1}, {1, 2}), {2, 3}).values, std::vector<double>({1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(expand(array({3}, {1, 2, 3}), {2, 3}).values, std::vector<double>({1, 2, 3, 1, 2, 3}));
  EXPECT_TRUE(expand(array({1}, {1}), {0}).values.empty());
}

TEST(Tensor, SlicesKeepRangesAndDropSingleIndices) {
  const Tensor x = array({2, 3}, {0, 1, 2, 3, 4, 5});
  const Tensor row = slice(x, {{1, 1, false}});
  EXPECT_EQ(row.shape, Extents({3}));
  EXPECT_EQ(row.values, std::vector<double>({3, 4, 5}));
  const Tensor column = slice(x, {{0, 1, true}, {2, 2, false}});
  EXPECT_EQ(column.shape, Extents({2}));
  EXPECT_EQ(column.values, std::vector<double>({2, 5}));
}

TEST(Tensor, TransposeReversesAllAxes) {
  const Tensor x = array({1, 2, 3}, {0, 1, 2, 3, 4, 5});
  const Tensor t = transpose(x);
  EXPECT_EQ(t.shape, Extents({3, 2, 1}));
  EXPECT_EQ(t.values, std::vector<double>({0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(transpose(t).values, x.values);
}

TEST(Tensor, ReductionsFollowAnyAxis) {
  const Tensor x = array({2, 3}, {0, 1, 2, 3, 4, 5});
  const auto sum = [](const std::vector<double>& line) {
    double total = 0;
    for (const double value : line) total += value;
    return total;
  };
  EXPECT_EQ(reduce(x, 0, sum).values, std::vector<double>({3, 5, 7}));
  EXPECT_EQ(reduce(x, 1, sum).values, std::vector<double>({3, 12}));
  EXPECT_EQ(reduce(x, std::nullopt, sum).values, std::vector<double>({15}));
}

// --- printing -----------------------------------------------------------------------------------------

TEST(Format, NumbersHaveSixDigitsAndAReadableUnit) {
  EXPECT_EQ(format(scalar(1.0 / 3)), "0.333333");
  EXPECT_EQ(format(scalar(12.5, time())), "12.5 ms");
  EXPECT_EQ(format(scalar(60000, time())), "60 s");
  EXPECT_EQ(format(scalar(0.01, power(time(), make_rational(-1, 1)))), "10 Hz");
  EXPECT_EQ(format(scalar(std::nan(""))), "nan");
  EXPECT_EQ(format(scalar(-INFINITY)), "-inf");
  EXPECT_EQ(format_exactly(scalar(0.1 + 0.2)), "0.30000000000000004");
}

TEST(Format, LongArraysAreAbbreviated) {
  EXPECT_EQ(format(array({0}, {})), "array [0], empty");
  EXPECT_EQ(format(array({2}, {1, 2}, time())), "[1, 2] ms");
  std::vector<double> many(50, 1);
  EXPECT_EQ(format(array({50}, many)), "[1, 1, 1, …, 1, 1, 1] (50 values)");
  EXPECT_EQ(format(array({25, 2}, many)), "array [25, 2] from 1 to 1, mean 1");
}

// --- what a run keeps -----------------------------------------------------------------------------------

struct Parsed {
  Sources sources;
  Diagnostics diags;
  ast::File file;
  explicit Parsed(const std::string& text) {
    file = parse(sources, sources.add("test.hebb", text), diags);
    EXPECT_EQ(diags.size(), 0u) << render(diags, sources, {});
  }
  const std::vector<ast::Action>& actions() const {
    return std::get<ast::ExperimentDecl>(file.items.back()).actions;
  }
};

std::vector<std::string> names(const std::map<std::string, Span>& from) {
  std::vector<std::string> out;
  for (const auto& [name, span] : from) out.push_back(name);
  return out;
}

TEST(Wanted, OnlyWhatIsMentioned) {
  const Parsed parsed(
      "experiment E { let sim = run N for 3; let y = sim.Y; let w = sim.W.w;"
      "  print final(w), y.r[0], sum(sim.mean_w); }");
  const auto wanted = wanted_recordings(parsed.actions());
  ASSERT_EQ(wanted.size(), 1u);
  const Wanted& of_run = wanted.begin()->second;
  EXPECT_EQ(names(of_run.whole), std::vector<std::string>({"Y.r", "mean_w"}));
  EXPECT_EQ(names(of_run.final), std::vector<std::string>({"W.w"}));
  EXPECT_FALSE(of_run.everything);
}

TEST(Wanted, ARunInsideTheSettingsOfAnother) {
  const Parsed parsed(
      "experiment E { let a = run N for 3; let b = run N for 3 with (W.w = final(a.W.w)); print b; }");
  const auto wanted = wanted_recordings(parsed.actions());
  ASSERT_EQ(wanted.size(), 2u);
  int everything = 0, finals = 0;
  for (const auto& [run, of_run] : wanted) {
    everything += of_run.everything;
    finals += static_cast<int>(of_run.final.size());
  }
  EXPECT_EQ(everything, 1);
  EXPECT_EQ(finals, 1);
}

TEST(Wanted, CyclicLetsEnd) {
  const Parsed parsed("experiment E { let a = b; let b = a; print a.w; }");
  EXPECT_TRUE(wanted_recordings(parsed.actions()).empty());
}

// --- lanes ------------------------------------------------------------------------------------------------

TEST(Lanes, OneMoreAxisIsABatch) {
  EXPECT_FALSE(fit_lanes(scalar(1), {2, 3})->batched);
  EXPECT_FALSE(fit_lanes(array({2, 3}, std::vector<double>(6)), {2, 3})->batched);
  const auto numbers = fit_lanes(array({4}, {1, 2, 3, 4}), {});
  ASSERT_TRUE(numbers && numbers->batched);
  EXPECT_EQ(numbers->lanes[2], std::vector<double>({3}));
  const auto arrays = fit_lanes(array({2, 2}, {1, 2, 3, 4}), {2});
  EXPECT_TRUE(arrays && arrays->batched);
}

TEST(Lanes, AxesOfLengthOneDoNotMatter) {
  EXPECT_FALSE(fit_lanes(array({64}, std::vector<double>(64)), {64, 1})->batched);
  EXPECT_FALSE(fit_lanes(array({5, 7}, std::vector<double>(35)), {3}).has_value());
}

// --- linear algebra -----------------------------------------------------------------------------------------

TEST(Linear, PrincipalComponentsOfAKnownCovariance) {
  // Points on the line (3, 4): one component, the other orthogonal; the larger part is positive.
  const std::vector<double> data = {-3, -4, 3, 4, -6, -8, 6, 8};
  const auto p = principal_components(data, 4, 2, 2);
  EXPECT_NEAR(p[0], 0.6, 1e-12);
  EXPECT_NEAR(p[1], 0.8, 1e-12);
  EXPECT_NEAR(p[0] * p[2] + p[1] * p[3], 0, 1e-12);
  const auto values = symmetric_eigenvalues(covariance_matrix(data, 4, 2), 2);
  EXPECT_NEAR(values[0], 62.5, 1e-9);
  EXPECT_NEAR(values[1], 0, 1e-9);
}

// --- whole experiments ----------------------------------------------------------------------------------------

struct Outcomes {
  Outcome outcome = Outcome::Ok;
  std::string out;
  std::vector<std::string> codes;
};

Outcomes run_text(const std::string& text) {
  Sources sources;
  Diagnostics diags;
  CheckOptions check;
  check.std_root = HEBB_SOURCE_DIR "/stdlib";
  const Compilation compilation = compile(sources, sources.add("test.hebb", text), check, diags);
  EXPECT_FALSE(diags.has_errors()) << render(diags, sources, {});
  ExperimentOptions options;
  options.engine = ExperimentOptions::Engine::Interpreter;
  options.file = &compilation.file;
  std::ostringstream out;
  const auto& experiment = std::get<ast::ExperimentDecl>(compilation.file.items.back());
  Outcomes result;
  result.outcome = run_experiment(compilation.model, experiment, sources, options, out, diags);
  result.out = out.str();
  for (const Diagnostic& diag : diags.all())
    if (info(diag.kind).severity == Severity::Error) result.codes.emplace_back(info(diag.kind).code);
  return result;
}

constexpr const char* kPair =
    "rule Pair { param tau = 20 ms, A = 0.01; weight w in [0, 1]; x' = -x / tau + pre.spike; w' = A * x * post.spike; }\n";

TEST(Experiment, LetsAreLazyAndComputedOnce) {
  const auto result = run_text("experiment E { let bad = [1, 2] + [1, 2, 3]; let a = b + 1; let b = 2; print a, a; }");
  EXPECT_EQ(result.out, "3 3\n");
  EXPECT_TRUE(result.codes.empty()) << "nobody asked for 'bad'";
}

TEST(Experiment, AMistakeIsReportedOnceAndTheNextActionRuns) {
  const auto result = run_text("experiment E { let bad = [1, 2] + [1, 2, 3]; print bad; print bad; print 5; }");
  EXPECT_EQ(result.out, "5\n");
  EXPECT_EQ(result.codes, std::vector<std::string>({"R05"}));
  EXPECT_EQ(result.outcome, Outcome::BadFile);
}

TEST(Experiment, AFailedAssertIsANumericFailure) {
  EXPECT_EQ(run_text("experiment E { assert 1 == 2; }").outcome, Outcome::NumericFailure);
}

TEST(Experiment, FunctionsSeeOnlyTheirParameters) {
  const auto result = run_text("const c = 2;\nfun f(z) = z * c + y where y = z;\nexperiment E { let z = 10; print f(1), z; }");
  EXPECT_EQ(result.out, "3 10\n");
}

TEST(Experiment, AnEmptyRangeAddsNothing) {
  const auto result = run_text("experiment E { print sum(i for i in 0..-1); }");
  EXPECT_EQ(result.out, "0\n") << "an empty range adds nothing";
}

TEST(Protocol, TimeGoesFromEventToEvent) {
  const auto result = run_text(std::string(kPair) +
      "experiment E { let p = protocol(Pair, pre = [0 ms], post = [10 ms, 1 s], w = 0.5);"
      "  assert p.post.x[0] == exp(-0.5);  assert abs(p.x - exp(-50)) < 1e-30;  assert p.w - 0.5 == p.dw; }");
  EXPECT_TRUE(result.codes.empty());
}

TEST(Protocol, EventsBeforeZeroAndAfterTheEnd) {
  const auto result = run_text(std::string(kPair) +
      "experiment E { let p = protocol(Pair, pre = [-10 ms], post = [0 ms, 50 ms], until = 20 ms);"
      "  assert length(p.post.x) == 1 and abs(p.post.x[0] - exp(-0.5)) < 1e-15 and abs(p.x - exp(-1.5)) < 1e-15; }");
  EXPECT_TRUE(result.codes.empty());
}

TEST(Protocol, SumsOfRulesWithParametersOfTheirOwn) {
  const auto result = run_text(std::string(kPair) +
      "rule Decay { param rate = 1 [1/s]; weight w; w' = -rate * w; }\n"
      "experiment E { let p = protocol(Pair(A = 0) + Decay(rate = 2 [1/s]), until = 1 s, w = 0.5);"
      "  assert abs(p.w - 0.5 * exp(-2)) < 1e-12; }");
  EXPECT_TRUE(result.codes.empty());
}

TEST(Protocol, MistakesAreNamed) {
  const auto code = [](const std::string& arguments) {
    return run_text(std::string(kPair) + "experiment E { print protocol(Pair" + arguments + ").w; }").codes;
  };
  EXPECT_EQ(code("(tua = 1 ms)"), std::vector<std::string>({"N08"}));
  EXPECT_EQ(code("(tau = 1 mV)"), std::vector<std::string>({"D01"}));
  EXPECT_EQ(code(", pre = [10]"), std::vector<std::string>({"D01"}));
  EXPECT_EQ(code(", pre = [10 ms], until = 5 ms, y = 1"), std::vector<std::string>({"N08"}));
  EXPECT_EQ(code(", tau = 5 ms"), std::vector<std::string>({"R06"}));
  EXPECT_EQ(code(", [0 ms]"), std::vector<std::string>({"R06"}));
  EXPECT_EQ(code(", pre = [0 / 0]"), std::vector<std::string>({"R06"}));
  EXPECT_EQ(code(", steps = 2.5"), std::vector<std::string>({"R06"}));
  EXPECT_EQ(code(", dt = 0 ms, steps = 2"), std::vector<std::string>({"R06"}));
}

}  // namespace
}  // namespace hebb
