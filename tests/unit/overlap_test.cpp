// Taking the next step's weighted sum while weights are updated changes no bit of a run.

#include "compiler/program/overlap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "runtime/simulation.h"

namespace hebb {
namespace {

constexpr int64_t kPre = 5, kPost = 3, kSteps = 12;

const char* kFeedForward = R"(
neuron Source { input r : 1; let twice = 2 * r; }
neuron Unit { input I : 1; let r = tanh(I); }
rule Local { param eta = 0.05; weight w in [-1, 1]; on step { w += eta * post.r * (pre.r - post.r * w); } }
network Net {
  signal x[5];
  pop X[5] : Source(r = x);
  pop Y[3] : Unit;
  project X -> Y as S via Local { connect all; init w ~ normal(0, 0.5); drive I += 0.5 * w * pre.twice; }
}
)";

const char* kRecurrent = R"(
neuron Unit { input I : 1; state r = 0.5; r' = (tanh(I) - r) / 10 ms; }
rule Local { param eta = 0.05; weight w in [-1, 1]; on step { w += eta * post.r * (pre.r - post.r * w); } }
network Net {
  pop Y[3] : Unit;
  project Y -> Y as S via Local { connect all; init w ~ normal(0, 0.5); drive I += w * pre.r; }
}
)";

Program lowered(const char* text, bool fuse) {
  Sources sources;
  Diagnostics diags;
  const FileId file = sources.add("net.hebb", text);
  const Compilation compilation = compile(sources, file, {}, diags);
  EXPECT_FALSE(diags.has_errors()) << render(diags, sources, {});
  return lower(compilation.model, compilation.model.networks.at(0), {.fuse = fuse});
}

std::vector<FeedValues> feeds(int64_t first, int64_t steps) {
  FeedValues x{.name = "x", .rows = kPre};
  for (int64_t k = first * kPre; k < (first + steps) * kPre; ++k) {
    x.values.push_back(std::sin(static_cast<double>(k)));
  }
  return {x};
}

/// Weights after the run, then Y.r of every step; in two calls when `split` is not 0.
std::vector<double> run(const Program& program, Precision precision, bool fed, int64_t split) {
  const auto shared = std::make_shared<const Program>(program);
  Result<Simulation> simulation =
      Simulation::create(shared, interpret(shared, precision), {.precision = precision, .rows_per_thread = 1});
  EXPECT_TRUE(simulation.ok());
  simulation->initialise();
  const std::vector<Recording> recordings = {{.name = "r", .column = shared->find_column("Y.r")}};
  std::vector<double> rates;
  for (const auto& [first, steps] : {std::pair{int64_t{0}, split}, std::pair{split, kSteps - split}}) {
    EXPECT_TRUE(simulation->run(steps, 1.0, fed ? feeds(first, steps) : std::vector<FeedValues>{}, recordings).ok());
    for (const double rate : simulation->recorded().at(0).values) rates.push_back(rate);
  }
  std::vector<double> values = simulation->get(shared->find_column("S.w"));
  values.insert(values.end(), rates.begin(), rates.end());
  return values;
}

size_t sums_over_synapses(const Program& program) {
  size_t count = 0;
  for (const Launch& launch : program.plan.step) {
    const Kernel& kernel = program[launch.kernel];
    if (program[kernel.domain].kind == SpaceKind::Dense) ++count;
  }
  return count;
}

TEST(Overlap, ReadsEachWeightOncePerStep) {
  EXPECT_EQ(sums_over_synapses(lowered(kFeedForward, false)), 2u);
  EXPECT_EQ(sums_over_synapses(lowered(kFeedForward, true)), 1u);
}

TEST(Overlap, ChangesNoBit) {
  for (const Precision precision : {Precision::Float32, Precision::Float64}) {
    const std::vector<double> plain = run(lowered(kFeedForward, false), precision, true, 0);
    EXPECT_EQ(plain.size(), static_cast<size_t>(kPre * kPost + kSteps * kPost));
    EXPECT_EQ(run(lowered(kFeedForward, true), precision, true, 0), plain);
  }
}

TEST(Overlap, GoesOnInASecondRun) {
  const std::vector<double> whole = run(lowered(kFeedForward, true), Precision::Float32, true, 0);
  EXPECT_EQ(run(lowered(kFeedForward, true), Precision::Float32, true, 7), whole);
  EXPECT_EQ(run(lowered(kFeedForward, true), Precision::Float32, true, 1), whole);
}

TEST(Overlap, LeavesSumsAloneThatDependOnTheNetwork) {
  const Program plain = lowered(kRecurrent, false), fused = lowered(kRecurrent, true);
  EXPECT_EQ(sums_over_synapses(fused), sums_over_synapses(plain));
  EXPECT_EQ(run(fused, Precision::Float32, false, 0), run(plain, Precision::Float32, false, 0));
}

}  // namespace
}  // namespace hebb
