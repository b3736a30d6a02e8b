// Sparse projections against the same synapses stepped densely.

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"
#include "tests/unit/model_of.h"
#include "tests/unit/plastic_rules.h"

namespace hebb {
namespace {

using testing::kAssigning;
using testing::kEligible;
using testing::model_of;

struct Ran {
  std::shared_ptr<const Program> program;
  std::optional<Simulation> simulation;
  std::vector<double> at(const std::string& column) const { return simulation->get(program->find_column(column)); }
};

Ran run(const std::string& text, int64_t steps, double dt_ms) {
  const Model model = model_of(text);
  Ran out{.program = std::make_shared<const Program>(lower(model, model.networks.at(0), {}))};
  auto made = Simulation::create(out.program, interpret(out.program, Precision::Float64), {.precision = Precision::Float64, .seed = 3});
  EXPECT_TRUE(made.ok());
  out.simulation.emplace(*std::move(made));
  out.simulation->initialise();
  EXPECT_TRUE(out.simulation->run(steps, dt_ms, {}, {}).ok());
  return out;
}

/// Many spikes on both sides, so that bounds are met and spikes coincide.
std::string network(const std::string& rule, const std::string& connect, const std::string& more = "") {
  return cat(rule, R"(
neuron Clock { param rate = 100 Hz, start = 0; state left = start; let wait ~ exponential(1);
  left' = -rate; emit spike when left <= 0 { left += wait; } }
neuron Cell { param rate = 80 Hz; receive exc : 1; state g = 0, left = 1; let wait ~ exponential(1);
  g' = -g / 10 ms + exc; left' = -rate; emit spike when left <= 0 { left += wait; } }
network N {
  pop X[12] : Clock(start ~ uniform(0, 1));
  pop Y[9] : Cell;
  project X -> Y as S via R { connect )", connect, R"(; init w ~ uniform(0.1, 0.9); drive exc += w; )", more, R"( }
}
)");
}

const char* const kPair = R"(
rule R : local { param tau = 20 ms, a = 0.2; weight w in [0, 1];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  w' = a * (x + 0.1) * post.spike - a * (y + 0.1) * pre.spike; }
)";
const char* const kScaled = R"(
rule R : nonlocal { param tau = 20 ms, a = 0.1; weight w in [0, 5];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  reduce s = sum(w) per post; reduce m = mean(w) per post; reduce n = count(w) per pre;
  w' = a * x * post.spike - a * y * pre.spike;
  on every 20 ms { w := w * n / s + 0 * m; } }
)";
void expect_same_weights(const std::string& rule, const std::string& sparse, const std::string& dense,
                         const std::string& more = "") {
  const Ran a = run(network(rule, sparse, more), 3000, 1), b = run(network(rule, dense, more), 3000, 1);
  const std::vector<double> some = a.at("S.w"), all = b.at("S.w");
  ASSERT_EQ(some.size(), all.size());
  int low = 0, high = 0;
  for (size_t k = 0; k < all.size(); ++k) {
    EXPECT_NEAR(some[k], all[k], 1e-12) << k;
    low += all[k] == 0, high += all[k] == 1;
  }
  EXPECT_EQ(a.at("Y.g").size(), 9u);
  for (size_t j = 0; j < 9; ++j) EXPECT_NEAR(a.at("Y.g")[j], b.at("Y.g")[j], 1e-12);
  if (rule == kPair) { EXPECT_GT(low + high, 0) << "bounds are met"; }
}

// All pairs, as a sparse projection and as a dense one: the same synapses in the same order.
TEST(Sparse, EqualsTheDenseSteppedForm) {
  for (const char* rule : {kPair, kEligible, kScaled, kAssigning}) expect_same_weights(rule, "random(p = 1)", "all");
}

TEST(Sparse, DelayedSpikesTravelAlikeInBothForms) {
  expect_same_weights(kPair, "random(p = 1)", "all", "delay axon = 7 ms;");
}

// One synapse, both spikes at 10 ms: each sees the trace just before, the sum meets the bound once.
// 0.95 + 0.2 - 0.1 = 1.05, clamped to 1. One after the other: 1 - 0.1 = 0.9, or 0.85 + 0.2 = 1.05.
TEST(Sparse, CoincidentSpikesAddBeforeTheBound) {
  const std::string text = R"(
rule R : local { weight w in [0, 1]; on pre.spike { w -= 0.1; } on post.spike { w += 0.2; } }
neuron Once { receive exc : 1; state t = 0; t' = 1 / 10 ms + 0 * exc / 1 ms; emit spike when t > 0.95 { t := -1e6; } }
network N { pop X[1] : Once; pop Y[1] : Once;
  project X -> Y as S via R { connect one_to_one; init w = 0.95; drive exc += w; } }
)";
  EXPECT_EQ(run(text, 20, 1).at("S.w"), std::vector<double>{1});
  const std::string low = R"(
rule R : local { weight w in [0, 1]; on pre.spike { w -= 0.2; } on post.spike { w += 0.1; } }
neuron Once { receive exc : 1; state t = 0; t' = 1 / 10 ms + 0 * exc / 1 ms; emit spike when t > 0.95 { t := -1e6; } }
network N { pop X[1] : Once; pop Y[1] : Once;
  project X -> Y as S via R { connect one_to_one; init w = 0.05; drive exc += w; } }
)";
  EXPECT_EQ(run(low, 20, 1).at("S.w"), std::vector<double>{0});
}

// A spike at 10 ms arrives 7 ms later: g jumps then, and decays by exp(-1/10) a step.
TEST(Sparse, DelaysAreWholeSteps) {
  const auto text = [](const std::string& delay) {
    return cat(R"(
neuron Once { state t = 0; t' = 1 / 10 ms; emit spike when t > 0.95 { t := -1e6; } }
neuron Cell { receive exc : 1; state g = 0; g' = -g / 10 ms + exc; }
network N { pop X[3] : Once; pop Y[3] : Cell;
  project X -> Y as S { connect one_to_one; init w = 2; )", delay, R"( drive exc += w; } })");
  };
  const double decay = std::exp(-0.1);
  EXPECT_NEAR(run(text(""), 11, 1).at("Y.g")[1], 2 * decay, 1e-12);
  EXPECT_EQ(run(text("delay axon = 7 ms;"), 17, 1).at("Y.g")[1], 0);
  EXPECT_NEAR(run(text("delay axon = 7 ms;"), 18, 1).at("Y.g")[1], 2 * decay, 1e-12);
  EXPECT_NEAR(run(text("delay axon = 7 ms;"), 20, 1).at("Y.g")[2], 2 * decay * decay * decay, 1e-12);
  const Model model = model_of(text("delay axon = 0.75 ms;"));
  const auto program = std::make_shared<const Program>(lower(model, model.networks.at(0), {}));
  auto made = Simulation::create(program, interpret(program, Precision::Float64), {});
  made->initialise();
  EXPECT_FALSE(made->run(5, 0.5, {}, {}).ok()) << "one and a half steps";
}

TEST(Sparse, ThreadsAndEnginesAgree) {
  const Model model = model_of(network(kPair, "random(p = 0.4)"));
  const auto program = std::make_shared<const Program>(lower(model, model.networks.at(0), {}));
  std::vector<double> first;
  for (const int threads : {1, 3}) {
    auto kernels = jit(*program, {.precision = Precision::Float64, .level = threads});
    ASSERT_TRUE(kernels.ok());
    for (const bool compiled : {false, true}) {
      auto made = Simulation::create(program, compiled ? *kernels : interpret(program, Precision::Float64),
                                     {.precision = Precision::Float64, .threads = threads, .rows_per_thread = 1});
      made->initialise();
      ASSERT_TRUE(made->run(500, 1, {}, {}).ok());
      const std::vector<double> w = made->get(program->find_column("S.w"));
      if (first.empty()) first = w;
      EXPECT_EQ(w, first);
    }
  }
  EXPECT_GT(first.size(), 20u);
  EXPECT_LT(first.size(), 70u);
}

// What begins a run is interpreted at first and compiled once it has been called again and again: the same numbers.
TEST(Sparse, ManyBeginningsAreAllAlike) {
  const Model model = model_of("import std.neurons.LIFConductance; network N { pop X[20000] : LIFConductance(spread = 5 mV); "
                               "project X -> X as S { connect random(p = 0.0001); init w ~ normal(1, 0.1); drive exc += w; } }");
  const auto program = std::make_shared<const Program>(lower(model, model.networks.at(0), {}));
  const auto kernels = jit(*program, {.threads = 2});
  ASSERT_TRUE(kernels.ok()) << kernels.error();
  auto made = Simulation::create(program, *kernels, {});
  std::vector<double> first;
  for (int begun = 0; begun < 40; ++begun) {
    made->initialise();
    const std::vector<double> v = made->get(program->find_column("X.v"));
    if (first.empty()) first = v;
    ASSERT_EQ(v, first) << begun;
  }
  EXPECT_NE(first[0], first[1]);
  auto interpreted = Simulation::create(program, interpret(program, Precision::Float32), {});
  interpreted->initialise();
  EXPECT_EQ(interpreted->get(program->find_column("X.v")), first);
}

// A constant that its precision cannot hold is not finite, whoever looks.
TEST(Sparse, StartValuesAreSearched) {
  const auto step = [](const std::string& start, Precision precision) -> std::optional<int64_t> {
    const Model model = model_of(cat("neuron Cell { receive exc : 1; state g = 0; g' = -g / 10 ms + exc; emit spike when g > 1 { g := 0; } } network N { pop X[3] : Cell; "
                                     "project X -> X as S { connect all; init w = ", start, "; drive exc += w; } }"));
    LowerOptions how;
    how.lists_from = 1;
    const auto program = std::make_shared<const Program>(lower(model, model.networks.at(0), how));
    auto made = Simulation::create(program, interpret(program, precision), {.precision = precision});
    made->initialise();
    EXPECT_TRUE(made->run(1, 1, {}, {}).ok());
    if (!made->divergence()) return std::nullopt;
    return made->divergence()->step;
  };
  EXPECT_EQ(step("0.5", Precision::Float32), std::nullopt);
  EXPECT_EQ(step("1e300", Precision::Float64), std::nullopt);
  EXPECT_EQ(step("1e300", Precision::Float32), -1);
}

/// Long arithmetic at both sides' spikes, so that rows are computed in vectors to their ends and post spikes apart.
const char* const kLong = R"(
rule R : local { param tau = 20 ms, a = 0.02; weight w in [0, 1];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  let f = sigmoid(w - x + 2 * sigmoid(3 * y - w) + sigmoid(x * y)) + sigmoid(0.3 + w - tanh(x));
  w' = a * (f - 1.3) * pre.spike + a * (sigmoid(2 * f - w) + tanh(y * f) - exp(-w) - 0.2) * post.spike; }
)";

/// So long that its code is cut into pieces; exponentials past both ends.
const char* const kLonger = R"(
rule R : local { param tau = 20 ms, a = 0.02; param A[24, 3] ~ uniform(-3, 3), B[2, 24] ~ uniform(-1, 1); weight w in [0, 1];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  let h = sigmoid(B @ sigmoid(A @ [x, y, 60 * w]));
  w' = a * (h[0] - 0.4) * pre.spike + a * (h[1] - 0.6) * post.spike; }
)";

/// Two layers; a first sum that does not begin with its first product; hidden units that no whole number of loops takes.
const char* const kDeep = R"(
rule R : local { param tau = 20 ms, a = 0.02; param A[11, 3] ~ uniform(-3, 3), B[9, 11] ~ uniform(-1, 1), C[9] ~ uniform(-1, 1); weight w in [0, 1];
  param D[8] ~ uniform(-2, 2);
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  let h = sigmoid(B @ sigmoid(A @ [x, y, w] + 0.3));
  let g = tanh(D * (x - y) + w);
  let s = 0.1 * w + D[0] * g[0] + D[1] * g[1] + D[2] * g[2] + D[3] * g[3] + D[4] * g[4] + D[5] * g[5] + D[6] * g[6] + D[7] * g[7];
  w' = a * (C @ h) * pre.spike + a * (s - 0.2) * post.spike; }
)";

// Rows and columns of 0, 1, 7 and 200 synapses; spikes of both sides in one step, alone and together.
TEST(Sparse, LongRulesGiveTheSameBitsOnAllEngines) {
  for (const char* rule : {kLong, kLonger, kDeep}) for (const auto& [pres, posts, p] : {std::tuple(7, 9, 1.0), std::tuple(3, 200, 0.9), std::tuple(70, 1, 1.0), std::tuple(130, 40, 0.5), std::tuple(5, 300, 0.003)}) {
    std::string text = network(rule, cat("random(p = ", p, ")"));
    text.replace(text.find("X[12]"), 5, cat("X[", pres, "]")).replace(text.find("Y[9]"), 4, cat("Y[", posts, "]"));
    const Model model = model_of(text);
    const auto program = std::make_shared<const Program>(lower(model, model.networks.at(0), {.defer = true}));
    for (const Precision precision : {Precision::Float32, Precision::Float64}) {
      std::vector<std::vector<double>> weights;
      for (const bool compiled : {false, true}) {
        auto made = Simulation::create(program, compiled ? *jit(*program, {.precision = precision}) : interpret(program, precision), {.precision = precision, .seed = 4});
        made->initialise();
        const std::vector<double> start = made->get(program->find_column("S.w"));
        ASSERT_TRUE(made->run(100, 1, {}, {}).ok());
        weights.push_back(made->get(program->find_column("S.w")));
        if (!start.empty()) { EXPECT_NE(weights.back(), start); }
      }
      EXPECT_EQ(weights[0], weights[1]) << text;
    }
  }
}

// A machine that has neither fast gathers nor scatters computes them in vectors too: the logistic functions are most of the work.
TEST(Sparse, SynapsesOfALongRuleAreVectorsOnEitherMachine) {
  const Model model = model_of(network(kLonger, "random(p = 0.5)"));
  const Program program = lower(model, model.networks.at(0), {.defer = true});
  for (const auto& [cpu, division] : {std::pair("x86-64-v3", "fdiv <8 x float>"), std::pair("x86-64-v4", "fdiv <16 x float>")}) {
    const auto text = llvm_ir(program, {.cpu = cpu});
    ASSERT_TRUE(text.ok()) << text.error();
    EXPECT_NE(text->find(division), std::string::npos) << cpu;
  }
}

// 24 hidden units and two more for the spikes of one side, at either side's spikes; the rare arm needs both.
TEST(Sparse, HiddenUnitsAreALoop) {
  const Model model = model_of(network(kLonger, "random(p = 0.5)"));
  const auto text = llvm_ir(lower(model, model.networks.at(0), {.defer = true}), {.cpu = "x86-64-v3"});
  ASSERT_TRUE(text.ok()) << text.error();
  size_t divisions = 0;
  for (size_t at = text->find("fdiv <8 x float>"); at != std::string::npos; at = text->find("fdiv <8 x float>", at + 1)) ++divisions;
  EXPECT_LE(divisions, 40u);
}

// Intervals of Poisson neurons are drawn at spikes only: the same bits. With nobody to drive, and with spikes that come late,
// nothing stands between what draws and what reads. Whoever reads them, in a run or after it, finds what each neuron would have drawn.
TEST(Sparse, WhatOnlySpikesNeedIsDrawnAtSpikes) {
  const std::string head = "import std.neurons.Poisson; network N { pop X[300] : Poisson(rate = 50 Hz); ";
  for (const std::string& rest : {std::string("}"), std::string("pop Y[5] : Poisson; project X -> Y as S { connect random(p = 0.1); init w = 1; delay axon = 1 ms; } }")}) {
    const Model model = model_of(head + rest);
    const auto left = [&](const LowerOptions& options, bool seldom) {
      const auto program = std::make_shared<const Program>(lower(model, model.networks.at(0), options));
      const bool found = std::any_of(program->plan.step.begin(), program->plan.step.end(), [&](const Launch& launch) { return (*program)[launch.kernel].rows == Rows::OfSpikes; });
      EXPECT_EQ(found, seldom);
      EXPECT_EQ(!program->plan.seldom.empty(), seldom);
      auto made = Simulation::create(program, *jit(*program, {}), {.seed = 5});
      made->initialise();
      const ColumnId wait = program->find_column("X.wait");
      std::vector<double> all = made->get(wait);
      const auto also = [&](const std::vector<double>& values) { all.insert(all.end(), values.begin(), values.end()); };
      EXPECT_TRUE(made->run(3000, 0.1, {}, {}).ok());
      also(made->get(wait)), also(made->get(program->find_column("X.left")));
      EXPECT_TRUE(made->run(100, 0.1, {}, std::vector<Recording>{{.name = "wait", .column = wait, .every_steps = 7}}).ok());
      also(made->recorded()[0].values);
      EXPECT_TRUE(made->set(wait, std::vector{0.25}).ok());
      also(made->get(wait));
      EXPECT_TRUE(made->run(100, 0.1, {}, {}).ok());
      also(made->get(wait)), also(made->get(program->find_column("X.left")));
      made->initialise();
      also(made->get(wait));
      return all;
    };
    const std::vector<double> always = left({}, false);
    EXPECT_EQ(left({.defer = true}, true), always);
    EXPECT_EQ(left({.defer = true, .keep = {"X.wait", "Y.wait"}}, false), always);
  }
}

// Of what parameters say; what is read is what the last step drew, whatever they are now.
TEST(Sparse, WhatOnlySpikesNeedIsOfTheParametersOfItsStep) {
  const Model model = model_of(R"(neuron Timer { param low = 1, high = 9, rate = 200 Hz; state left = 0.5; let wait ~ uniform(low, high); left' = -rate; emit spike when left <= 0 { left += wait; } }
network N { pop X[40] : Timer(high ~ uniform(5, 9)); })");
  std::vector<std::vector<double>> read[2];
  for (const bool defer : {false, true}) {
    const auto program = std::make_shared<const Program>(lower(model, model.networks.at(0), {.defer = defer}));
    EXPECT_EQ(!program->plan.seldom.empty(), defer);
    auto made = Simulation::create(program, *jit(*program, {.precision = Precision::Float64}), {.precision = Precision::Float64, .seed = 5});
    made->initialise();
    const auto wait = [&] { read[defer].push_back(made->get(program->find_column("X.wait"))); };
    for (const double low : {0.0, 1.0, 2.0}) {
      EXPECT_TRUE(made->set(program->find_column("X.low"), std::vector{low}).ok());
      wait();
      EXPECT_TRUE(made->run(77, 0.1, {}, {}).ok());
      EXPECT_TRUE(made->run(0, 0.2, {}, {}).ok());
      wait();
      EXPECT_TRUE(made->set(program->find_column("X.high"), std::vector{9.5}).ok());
      wait();
    }
  }
  EXPECT_EQ(read[0], read[1]);
}

// What depends on more than parameters cannot be drawn afterwards: it is drawn in every step, and can be read.
TEST(Sparse, WhatDependsOnStatesIsDrawnInEveryStep) {
  const Model model = model_of(R"(neuron Timer { state left = 0.5; let wait ~ uniform(left, 2); left' = -1 / 10 ms; emit spike when left <= 0 { left += wait; } } network N { pop X[40] : Timer; })");
  const Program program = lower(model, model.networks.at(0), {.defer = true});
  EXPECT_TRUE(program.plan.seldom.empty());
  EXPECT_TRUE(program.find_column("X.wait").valid());
}

}  // namespace
}  // namespace hebb
