// Networks whose steps threads share: the bits of one thread, whatever the rule, the sizes and what is looked at.

#include <gtest/gtest.h>

#include <limits>

#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"
#include "runtime/step_constants.h"
#include "runtime/step_schedule.h"
#include "tests/unit/model_of.h"
#include "tests/unit/plastic_rules.h"

namespace hebb {
namespace {

using testing::kAssigning;
using testing::kEligible;
using testing::model_of;

struct Size {
  int pres, posts;
};

/// Spikes at a rate that its input raises.
constexpr std::string_view kClock = R"(
neuron Clock { param rate = 100 Hz; receive exc : 1; state left = 1, g = 0; let wait ~ exponential(1); let first ~ uniform(0, 1);
  g' = -g / 10 ms + exc; left' = -rate * (1 + 0.1 * g); emit spike when left <= 0 { left += wait; } })";

/// Many spikes on both sides; each population drives the other, and itself with a delay.
std::string network(const std::string& rule, Size size) {
  return cat(rule, kClock, R"(
network N {
  pop X[)", size.pres, R"(] : Clock;
  pop Y[)", size.posts, R"(] : Clock(rate = 80 Hz);
  project X -> Y as S via R { connect random(p = 0.6); init w ~ uniform(0.1, 0.9); drive exc += w; }
  project Y -> X as B via R { connect random(p = 0.3); init w ~ uniform(0.1, 0.9); delay axon = 3 ms; drive exc += w; }
  project Y -> Y as C { connect random(p = 0.5); init w = 0.01; delay axon = 1 ms; drive exc += w; }
}
)");
}

const char* const kPair = R"(
rule R : local { param tau = 20 ms, a = 0.02; weight w in [0, 1];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  w' = a * x * post.spike - a * y * pre.spike; }
)";
const char* const kScaled = R"(
rule R : nonlocal { param tau = 20 ms, a = 0.1; weight w in [0, 5];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  reduce s = sum(w) per post; reduce m = mean(w) per post; reduce n = count(w) per pre; reduce q = sum(w * w) per pre;
  w' = a * x * post.spike - a * y * pre.spike;
  on every 20 ms { w := w * n / (s + 1) + 0 * m - 0.001 * q; } }
)";
const char* const kOfAll = R"(
rule R : nonlocal { param tau = 20 ms, a = 0.1; weight w in [0, 5];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  reduce m = mean(w) per projection;
  w' = a * x * post.spike - a * y * pre.spike;
  on every 20 ms { w -= 0.1 * (w - m); } }
)";
struct Built {
  std::shared_ptr<const Program> program;
  Kernels kernels;
};

/// `many_neurons` 1: traces wait, as in large populations.
Built build(const std::string& text, bool defer, bool compiled, int64_t many_neurons = 1) {
  const Model model = model_of(text);
  Built out{.program = std::make_shared<const Program>(lower(model, model.networks.at(0), {.defer = defer, .many_neurons = many_neurons, .dt_ms = 1})), .kernels = {}};
  out.kernels = compiled ? *jit(*out.program, {.precision = Precision::Float64}) : interpret(out.program, Precision::Float64);
  return out;
}

Simulation start(const Built& built, int threads, int64_t rows_per_thread = 1) {
  auto made = Simulation::create(built.program, built.kernels, {.precision = Precision::Float64, .seed = 5, .threads = threads, .rows_per_thread = rows_per_thread});
  EXPECT_TRUE(made.ok());
  made->initialise();
  return *std::move(made);
}

std::vector<Recording> recordings(const Program& program, Size size) {
  const ColumnId w = program.find_column("S.w");
  return {{.name = "spikes", .column = program.find_column("Y.spike"), .events = true},
          {.name = "mean", .column = w, .every_steps = 7, .reduce = RecordReduce::Mean},
          {.name = "some", .column = w, .every_steps = 9, .ranges = {{.first = 0, .last = size.pres / 2}, {.first = size.posts / 3, .last = -1}}},
          {.name = "first", .column = w, .every_steps = 9, .ranges = {{.first = 0, .last = 0}}}};
}

/// Everything that can be seen of a run.
std::vector<std::vector<double>> seen(const Built& built, const Simulation& simulation) {
  std::vector<std::vector<double>> out;
  for (const Recorded& recorded : simulation.recorded()) out.push_back(recorded.values);
  for (uint32_t k = 0; k < built.program->columns.size(); ++k)
    if (built.program->columns[k].role == Role::State) out.push_back(simulation.get(ColumnId{k}));
  return out;
}

TEST(Sharing, AnyNumberOfThreadsHasTheBitsOfOne) {
  for (const char* rule : {kPair, kEligible, kScaled, kOfAll, kAssigning})
    for (const Size size : {Size{12, 9}, Size{7, 1}, Size{1, 70}, Size{40, 50}}) {
      const Built built = build(network(rule, size), /*defer=*/true, /*compiled=*/size.pres == 40, /*many_neurons=*/size.pres == 7 ? 1024 : 1);
      std::vector<std::vector<double>> expected;
      for (const int threads : {1, 2, 3, 7}) {
        Simulation simulation = start(built, threads);
        EXPECT_EQ(simulation.connections(built.program->columns[built.program->find_column("S.w").value].space).blocks.empty(), threads == 1 || rule == kOfAll);
        ASSERT_TRUE(simulation.run(120, 1, {}, recordings(*built.program, size)).ok());
        ASSERT_FALSE(simulation.divergence());
        if (threads == 1) expected = seen(built, simulation);
        else EXPECT_EQ(seen(built, simulation), expected) << rule << size.pres << " x " << size.posts << ", " << threads << " threads";
      }
      EXPECT_GT(expected[0].size(), 0u) << "neurons spike";
    }
}

/// Each synapse with delays of its own, in a projection with a rule and in one without; and one with a delay for all.
std::string delayed_network(const std::string& rule, Size size) {
  return cat(rule, kClock, R"(
network N {
  pop X[)", size.pres, R"(] : Clock;
  pop Y[)", size.posts, R"(] : Clock(rate = 80 Hz);
  project X -> Y as S via R { connect random(p = 0.6); init w ~ uniform(0.1, 0.9); delay axon ~ uniform(0.6 ms, 3.4 ms); delay bap ~ uniform(0.6 ms, 2.4 ms); drive exc += w; }
  project Y -> X as B via R { connect random(p = 0.3); init w ~ uniform(0.1, 0.9); delay dend ~ uniform(0.6 ms, 4.4 ms); drive exc += w; }
  project Y -> Y as C { connect random(p = 0.5); init w = 0.01; delay axon ~ uniform(0.6 ms, 2.4 ms); drive exc += w; }
  project X -> X as D via R { connect random(p = 0.5); init w ~ uniform(0.1, 0.9); delay axon = 2 ms; drive exc += 0.1 * w; }
}
)");
}

TEST(Sharing, DelaysOfSingleSynapsesHaveTheBitsOfOneThread) {
  for (const char* rule : {kPair, kEligible, kScaled, kOfAll, kAssigning})
    for (const Size size : {Size{12, 9}, Size{7, 1}, Size{1, 70}, Size{40, 50}})
      for (const bool defer : {true, false}) {
        const Built built = build(delayed_network(rule, size), defer, /*compiled=*/size.pres == 40);
        ASSERT_EQ(built.program->plan.bucketed.size(), 3u);
        std::vector<std::vector<double>> expected;
        for (const int threads : {1, 2, 3, 7}) {
          Simulation simulation = start(built, threads);
          ASSERT_TRUE(simulation.run(120, 1, {}, recordings(*built.program, size)).ok());
          ASSERT_FALSE(simulation.divergence());
          if (threads == 1) expected = seen(built, simulation);
          else EXPECT_EQ(seen(built, simulation), expected) << rule << size.pres << " x " << size.posts << ", " << threads << " threads";
        }
        EXPECT_GT(expected[0].size(), 0u) << "neurons spike";
      }
}

// Steps go over from threads to one and back as their times have it: the same bits.
TEST(Sharing, WhoeverDoesAStepLeavesTheSameBits) {
  const Size size{40, 50};
  const Built built = build(network(kPair, size), true, true);
  Simulation alone = start(built, 1), tries = start(built, 2, 2);
  for (Simulation* simulation : {&alone, &tries}) ASSERT_TRUE(simulation->run(1500, 1, {}, recordings(*built.program, size)).ok());
  EXPECT_EQ(seen(built, tries), seen(built, alone));
}

// Whoever knows who spiked need not read the column: what is recorded is what the column holds.
TEST(Sharing, SpikesAreRecordedAsTheirColumnHoldsThem) {
  const Size size{12, 50};
  const Built built = build(network(kPair, size), true, false);
  const ColumnId spike = built.program->find_column("Y.spike");
  for (const int threads : {1, 2}) {
    Simulation simulation = start(built, threads);
    const std::vector<Recording> all = {{.name = "column", .column = spike},
                                        {.name = "mean", .column = spike, .reduce = RecordReduce::Mean},
                                        {.name = "sum", .column = spike, .reduce = RecordReduce::Sum},
                                        {.name = "half", .column = spike, .reduce = RecordReduce::Sum, .ranges = {{.first = 0, .last = 24}}},
                                        {.name = "events", .column = spike, .events = true}};
    ASSERT_TRUE(simulation.run(120, 1, {}, all).ok());
    const std::vector<Recorded>& recorded = simulation.recorded();
    std::vector<double> events;
    for (size_t step = 0; step < 120; ++step) {
      double sum = 0, half = 0;
      for (size_t row = 0; row < 50; ++row) {
        const double value = recorded[0].values[step * 50 + row];
        sum += value;
        if (row < 25) half += value;
        if (value != 0) events.insert(events.end(), {static_cast<double>(step), static_cast<double>(row)});
      }
      EXPECT_EQ(recorded[1].values[step], sum / 50);
      EXPECT_EQ(recorded[2].values[step], sum);
      EXPECT_EQ(recorded[3].values[step], half);
    }
    EXPECT_EQ(recorded[4].values, events);
    EXPECT_GT(events.size(), 100u);
  }
}

TEST(Sharing, WeightsAreSetAndReadInTheirOrder) {
  const Size size{12, 40};
  const Built built = build(network(kAssigning, size), false, false);
  const ColumnId w = built.program->find_column("S.w");
  for (const int threads : {1, 2, 7}) {
    Simulation simulation = start(built, threads);
    std::vector<double> values(simulation.get(w).size());
    for (size_t k = 0; k < values.size(); ++k) values[k] = 0.5 + 1e-4 * static_cast<double>(k);
    ASSERT_TRUE(simulation.set(w, values).ok());
    EXPECT_EQ(simulation.get(w), values);
  }
}

// Stopped with some threads, gone on with others.
TEST(Sharing, ACheckpointDoesNotKnowOfThreads) {
  const Size size{20, 50};
  for (const char* rule : {kPair, kEligible, kAssigning}) {
    const Built built = build(network(rule, size), true, false);
    Simulation whole = start(built, 1);
    ASSERT_TRUE(whole.run(300, 1, {}, recordings(*built.program, size)).ok());
    for (const int before : {1, 2, 7}) {
      std::string kept;
      int64_t steps = 0;
      Simulation cut = start(built, before);
      cut.pause_with({.due = [&] { return ++steps == 137; }, .keep = [&](std::string bytes) { kept = std::move(bytes); return Status(Done{}); }, .from = {}});
      ASSERT_TRUE(cut.run(300, 1, {}, recordings(*built.program, size)).ok());
      for (const int after : {1, 2, 3}) {
        Simulation resumed = start(built, after);
        resumed.pause_with({.due = {}, .keep = {}, .from = kept});
        ASSERT_TRUE(resumed.run(300, 1, {}, recordings(*built.program, size)).ok());
        EXPECT_EQ(seen(built, resumed), seen(built, whole)) << rule << before << " threads, then " << after;
      }
    }
  }
}

// Scales, and traces that only a few spikes change, cost nothing: threads that have copies of them need not meet for them.
TEST(Sharing, EachThreadHasWhatCostsNothingForItself) {
  const Model model = model_of(network(kPair, {12, 9}));
  const Program program = lower(model, model.networks.at(0), {.defer = true, .many_neurons = 1, .dt_ms = 1});
  const std::vector<bool> unchanging = step_constants(program).columns, none(program.columns.size());
  const auto of = [&](const std::vector<bool>& columns, const char* name) { return columns.at(program.find_column(name).value); };
  const Copied all = copied(program, unchanging, none);
  EXPECT_TRUE(of(all.columns, "B.waits scale0"));
  EXPECT_TRUE(of(all.columns, "B.x falls"));
  EXPECT_TRUE(of(all.columns, "B.x")) << "every thread reads it, at the neurons whose spikes arrive";
  EXPECT_FALSE(of(all.columns, "B.y")) << "only the thread of a neuron reads it there";
  EXPECT_TRUE(of(all.columns, "S.x")) << "jumps when the neuron's own state does, but apart from it";
  EXPECT_FALSE(of(all.columns, "X.left")) << "changes in every step";
  EXPECT_FALSE(of(all.columns, "Y.g")) << "a sum";
  EXPECT_FALSE(of(all.columns, "B.w"));
  for (uint32_t k = 0; k < program.kernels.size(); ++k) {
    if (!all.kernels[k]) continue;
    for (const Store& store : program.kernels[k].stores) EXPECT_TRUE(all.columns[store.into.value]) << program.kernels[k].name;
  }
  // What is barred is left to all, and so is what is made of it.
  std::vector<bool> barred = none;
  barred[program.find_column("B.x falls").value] = true;
  const Copied fewer = copied(program, unchanging, barred);
  EXPECT_FALSE(of(fewer.columns, "B.x falls"));
  EXPECT_FALSE(of(fewer.columns, "B.x"));
  EXPECT_TRUE(of(fewer.columns, "B.waits scale0"));
}

TEST(Sharing, WhatTheHostWritesReachesEveryThread) {
  const Size size{12, 40};
  const Built built = build(network(kPair, size), true, true);
  std::vector<std::vector<double>> expected;
  for (const int threads : {1, 2, 3}) {
    Simulation simulation = start(built, threads);
    for (int part = 0; part < 3; ++part) {
      ASSERT_TRUE(simulation.run(60, 1, {}, {}).ok());
      ASSERT_TRUE(simulation.set(built.program->find_column("B.x"), std::vector<double>(40, 0.5 + part)).ok());
      ASSERT_TRUE(simulation.set(built.program->find_column("B.tau"), std::vector{10.0 + 5 * part}).ok());
    }
    ASSERT_TRUE(simulation.run(60, 1, {}, recordings(*built.program, size)).ok());
    if (threads == 1) expected = seen(built, simulation);
    else EXPECT_EQ(seen(built, simulation), expected) << threads << " threads";
  }
}

// Two bad weights: the one that comes first by pre and post neuron is named, wherever it lies.
TEST(Sharing, TheFirstBadValueIsTheSameOne) {
  const Size size{12, 64};
  const Built built = build(network(kAssigning, size), false, false);
  const ColumnId w = built.program->find_column("S.w");
  std::vector<std::vector<int64_t>> found;
  const Simulation whole = start(built, 1);
  const Connections& synapses = whole.connections(built.program->columns[w.value].space);
  for (const int threads : {1, 2, 3}) {
    Simulation simulation = start(built, threads);
    std::vector<double> values = simulation.get(w);
    // The last of the first neuron's, and the first of the second's, which lies before it in blocks.
    values[static_cast<size_t>(synapses.row_begin[1]) - 1] = values[static_cast<size_t>(synapses.row_begin[1])] = std::numeric_limits<double>::quiet_NaN();
    ASSERT_TRUE(simulation.set(w, values).ok());
    ASSERT_TRUE(simulation.run(5, 1, {}, {}).ok());
    ASSERT_TRUE(simulation.divergence());
    EXPECT_EQ(simulation.divergence()->column, "S.w");
    found.push_back(simulation.divergence()->index);
  }
  EXPECT_EQ(found[0].at(0), 0);
  EXPECT_EQ(found[1], found[0]);
  EXPECT_EQ(found[2], found[0]);
}

}  // namespace
}  // namespace hebb
