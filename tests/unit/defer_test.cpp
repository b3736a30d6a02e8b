// Post spikes that wait for the next pre spike, against the same rules with a pass over columns and against
// dense steps: random trains, bounds met often, read at every moment.

#include "tests/unit/deferred_networks.h"

namespace hebb::testing {
namespace {

std::string rule(const std::string& bounds, const std::string& body) {
  return cat("rule R : local { param tau = 20 ms, a = 0.2, b = 0.2; weight w", bounds, "; ", body, " }\n");
}
const std::string kTraces = "x' = -x / tau + pre.spike; y' = -y / (1.5 * tau) + post.spike; ";

const std::string kRules[] = {
    rule(" in [0, 1]", kTraces + "w' = a * x * post.spike - b * y * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = b * y * pre.spike - a * x * post.spike;"),
    rule(" in [0, inf)", kTraces + "w' = a * (y - 0.8) * pre.spike + a * x * post.spike;"),
    rule("", kTraces + "w' = 1e-3 * x * post.spike - 1e-3 * y * pre.spike;"),
    // What a pre spike does may depend on the weight in any way.
    rule(" in [0, 1]", kTraces + "w' = a * x * post.spike - b * w * w * pre.spike;"),
    rule(" in [0.2, 0.7]", kTraces + "on pre.spike { w := 0.5 * (w + y); } on post.spike { w += a * x; }"),
    // A product of traces; a number of the post neuron that is never negative; a constant.
    rule(" in [0, 1]", kTraces + "z' = -z / (4 * tau) + pre.spike; w' = a * x * z^2 * post.spike - b * y * pre.spike;"),
    rule(" in [0, 1]", "x' = -x / tau + pre.spike; state y in [0, inf) = 0; y' = -y / tau + post.spike;"
                       " w' = a * x * y * post.spike - b * pre.spike;"),
    rule(" in [0, 1]", "w' = 0.02 * a * post.spike - 0.02 * b * pre.spike;  x' = -x / tau + pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = a * x * post.spike;"),
    // Terms of either sign: bounds are met now and then, always, never; one bound; no constant; three terms.
    rule(" in [0, 1]", kTraces + "w' = a * (x - 0.3) * post.spike - 0.1 * b * y * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = 8 * a * (0.3 - x) * post.spike + b * y * pre.spike;"),
    rule(" in [-100, 100]", kTraces + "w' = a * (x - 0.3) * post.spike - b * y * pre.spike;"),
    rule(" in [0.2, inf)", kTraces + "w' = a * (x - 0.6) * post.spike - 0.1 * b * y * pre.spike;"),
    rule(" in (-inf, 0.7]", kTraces + "w' = a * (0.4 - x) * post.spike - 0.1 * b * y * pre.spike;"),
    rule(" in [0, 1]", kTraces + "z' = -z / (4 * tau) + pre.spike; w' = a * (x - 0.4 * z) * post.spike + 0.01 * b * pre.spike;"),
    rule(" in [0, 1]", kTraces + "z' = -z / (4 * tau) + pre.spike; w' = a * (0.2 + x^2 - 0.6 * z) * post.spike - 0.01 * b * w * pre.spike;"),
    // Of a sign that the target decides, spike by spike; beside terms that keep theirs; that parameters decide; of each target.
    rule(" in [0, 1]", kTraces + "w' = a * x * (y - 0.7) * post.spike - 0.1 * b * (y - 0.5) * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = a * (x - y) * post.spike + 0.1 * b * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = a * (0.6 * x * post.g - 0.2 * y^2 * post.g^2) * post.spike - 0.01 * b * y * pre.spike;"),
    rule(" in [0.2, inf)", kTraces + "w' = a * (x - 0.3 * y) * (post.g - 0.4) * post.spike - 0.1 * b * y * pre.spike;"),
    rule(" in (-inf, 0.7]", kTraces + "z' = -z / (4 * tau) + pre.spike; w' = a * (x * (0.6 - y) + 0.02 * z^2 - 0.3) * post.spike + 0.1 * b * pre.spike;"),
    rule(" in [0, 1]", kTraces + "state q = 0.4; q' = (0.4 - q) / (9 * tau) - 0.2 * post.spike; w' = a * x * q * post.spike - 0.1 * b * y * pre.spike;"),
    rule(" in [-100, 100]", kTraces + "w' = a * (x - y) * post.spike + 0.1 * b * pre.spike;"),
};
constexpr size_t kEitherSign = 10, kTurning = 17;  // where those begin

TEST(Deferred, EqualsAPassOverColumnsAtEveryMoment) {
  for (const std::string& text : kRules) {
    Ran late = start(network(text, "random(p = 0.6)"), true), prompt = start(network(text, "random(p = 0.6)"), false);
    EXPECT_TRUE(deferred(late)) << text;
    EXPECT_TRUE(traces_wait(late) || text.find("y'") == std::string::npos) << text;
    EXPECT_FALSE(deferred(prompt) || traces_wait(prompt));
    for (int piece = 0; piece < 30; ++piece) {
      late.go(1 + piece * 7 % 40);
      prompt.go(1 + piece * 7 % 40);
      expect_near(late.at("S.w"), prompt.at("S.w"), cat(text, " after ", late.simulation->steps_done(), " steps"));
      expect_near(late.at("Y.g"), prompt.at("Y.g"), text);
    }
  }
}

TEST(Deferred, EqualsDenseSteps) {
  for (const std::string& text : kRules) {
    Ran late = start(network(text, "random(p = 1)"), true), dense = start(network(text, "all"), true);
    EXPECT_FALSE(deferred(dense) || traces_wait(dense));
    late.go(800);
    dense.go(800);
    ASSERT_EQ(late.at("X.left"), dense.at("X.left")) << "the same spikes";
    // Start values are drawn at other sites: only those are set.
    late = start(network(text, "random(p = 1)"), true), dense = start(network(text, "all"), true);
    const std::vector<double> w = dense.at("S.w");
    EXPECT_TRUE(late.simulation->set(late.column("S.w"), w).ok());
    late.go(800);
    dense.go(800);
    expect_near(late.at("S.w"), dense.at("S.w"), text);
  }
}

TEST(Deferred, DelayedSpikesToo) {
  Ran late = start(network(kRules[0], "random(p = 0.6)", "delay axon = 7 ms;"), true);
  Ran prompt = start(network(kRules[0], "random(p = 0.6)", "delay axon = 7 ms;"), false);
  late.go(2000);
  prompt.go(2000);
  EXPECT_TRUE(deferred(late));
  expect_near(late.at("S.w"), prompt.at("S.w"), "delayed");
}

// Traces of many neurons wait, others do not: the same traces.
TEST(Deferred, TracesAreWhatTheyWouldBe) {
  const std::string text = network(kRules[0], "random(p = 0.6)");
  Ran late = start(text, true), few = start(text, true, Precision::Float64, Engine::Interpreter, 1, 10);  // 11 pre, 9 post
  EXPECT_TRUE(traces_wait(late) && traces_wait(few));
  for (int piece = 0; piece < 20; ++piece) {
    late.go(1 + piece * 7 % 40);
    few.go(1 + piece * 7 % 40);
    for (const char* name : {"S.x", "S.y", "S.w", "X.left", "Y.left", "Y.g"}) expect_near(late.at(name), few.at(name), name);
    if (piece % 5 != 4) continue;
    for (Ran* ran : {&late, &few})
      EXPECT_TRUE(ran->simulation->set(ran->column("S.x"), std::vector<double>(11, 0.1 * piece)).ok());
  }
}

// States that others' spikes add to, that one's own set anew, and that every step reads.
TEST(Deferred, WhatStepsReadWaitsToo) {
  const std::string text = R"(
rule Still : local { weight w; }
neuron Source { param rate = 40 Hz; state left = 0.5; let wait ~ exponential(1); left' = -rate; emit spike when left <= 0 { left += wait; } }
neuron Cell { receive exc : 1; receive inh : 1; state v = 0, raised = 0, gone = 7, low = 3;
  ge' = -ge / 5 ms + exc; gi' = -gi / 12 ms + inh; raised' = -raised / 6 ms; gone' = -gone / 0.2 ms; low' = -low / 8 ms;
  v' = (ge * (3 - v) - gi * v - v + gone) / 20 ms; emit spike when v > 1 + raised { v := 0; raised := 2 + v; low := 0.5 * low; } }
network N {
  pop X[30] : Source;
  pop Y[40] : Cell;
  project X -> Y as A { connect random(p = 0.3); init w = 0.3; delay axon = 2 ms; drive exc += w; }
  project Y -> Y as B { connect random(p = 0.2); init w = 0.4; drive inh += w; }
})";
  for (const Precision precision : {Precision::Float64, Precision::Float32}) {
    Ran late = start(text, true, precision), fast = start(text, true, precision, Engine::Jit), two = start(text, true, precision, Engine::Jit, 2);
    Ran prompt = start(text, true, precision, Engine::Interpreter, 1, 1000);
    const auto waits = [](const Ran& ran, const std::string& name) { return ran.program->find_column(name + " falls").valid(); };
    for (const char* name : {"Y.ge", "Y.gi", "Y.raised", "Y.gone"}) EXPECT_TRUE(waits(late, name) && !waits(prompt, name)) << name;
    EXPECT_FALSE(waits(late, "Y.low")) << "halved at spikes";
    int64_t spikes = 0;
    for (int piece = 0; piece < 12; ++piece) {
      for (Ran* ran : {&late, &fast, &two, &prompt}) ran->go(1 + piece * 37 % 150);
      for (const double one : prompt.at("Y.spike")) spikes += one != 0;
      expect_same_states(late, fast, "the same program");
      expect_same_states(late, two, "the same program on two threads");
      if (precision == Precision::Float64)
        for (const char* name : {"Y.ge", "Y.gi", "Y.raised", "Y.gone", "Y.v", "Y.low"}) expect_near(late.at(name), prompt.at(name), name);
    }
    EXPECT_GT(spikes, 0);
  }
}

// A trace that is gone after a step, one that never decays.
TEST(Deferred, TracesOfAnyLength) {
  for (const std::string tau : {"1 us", "0.1 ms", "1e9 s"}) {
    std::string text = kRules[0];
    text.replace(text.find("tau = 20 ms"), 11, "tau = " + tau);
    for (const Precision precision : {Precision::Float64, Precision::Float32}) {
      Ran late = start(network(text, "random(p = 0.6)"), true, precision), prompt = start(network(text, "random(p = 0.6)"), false, precision);
      EXPECT_TRUE(traces_wait(late));
      late.go(700);
      prompt.go(700);
      for (const char* name : {"S.x", "S.y", "S.w"}) {
        const std::vector<double> got = late.at(name), want = prompt.at(name);
        for (size_t k = 0; k < want.size(); ++k) EXPECT_NEAR(got[k], want[k], (precision == Precision::Float64 ? 1e-9 : 1e-4) * std::max(1.0, want[k])) << name << " " << tau;
      }
    }
  }
}

TEST(Deferred, ReadingChangesNothing) { expect_reading_changes_nothing(kRules[0]); }

TEST(Deferred, EnginesGiveTheSameBits) {
  for (const std::string& rule : kRules) expect_same_in_both_engines(rule);
}

// What was earned under old parameters and weights stays earned under them.
TEST(Deferred, WhatTheHostSetsCountsFromThenOn) {
  Ran late = start(network(kRules[0], "random(p = 0.6)"), true), prompt = start(network(kRules[0], "random(p = 0.6)"), false);
  for (const double a : {0.2, -0.3, 0.1}) {
    for (Ran* ran : {&late, &prompt}) {
      EXPECT_TRUE(ran->simulation->set(ran->column("S.a"), std::vector{a}).ok());
      ran->go(137);
      EXPECT_TRUE(ran->simulation->set(ran->column("S.w"), std::vector{0.5}).ok());
      ran->go(41);
    }
    expect_near(late.at("S.w"), prompt.at("S.w"), cat("a = ", a));
  }
}

TEST(Deferred, StaysWithThePassOverColumnsWhereItWouldNotBeExact) {
  for (const std::string& body : {
           kTraces + "w' = -w / 1 s + a * x * post.spike - b * y * pre.spike;",      // flows
           kTraces + "w' = a * (x - y) * post.spike; on step { w -= 1e-3 * x; }",    // terms of either sign, in every step
           kTraces + "on post.spike { w := x; } on pre.spike { w -= b * y; }",       // sets
           std::string("x' = (0.3 - x) / tau + pre.spike; w' = a * x * post.spike - b * pre.spike;")}) {
    Ran ran = start(network(rule(" in [0, 1]", body), "random(p = 0.6)"), true);
    EXPECT_FALSE(deferred(ran)) << body;
  }
}

// More spikes of a target than are kept, many times; one of each, few of each.
TEST(Deferred, OfEitherSignAtAnySizeAndRate) {
  for (const size_t k : {kEitherSign, kTurning, kTurning + 2})
    for (const auto& [pres, posts] : {std::pair{1, 9}, {9, 1}, {1, 1}, {3, 70}, {70, 3}})
      for (const char* how : {"random(p = 0.6)", "random(p = 1)"}) expect_late_as_prompt(network(kRules[k], how, "", pres, posts), cat(pres, " to ", posts));
}

TEST(Deferred, OfEitherSignOnThreads) {
  for (size_t k = kEitherSign; k < std::size(kRules); ++k) expect_same_on_two_threads(kRules[k]);
}

// Right after a target has had as many spikes as are kept, too.
TEST(Deferred, OfEitherSignFromACheckpoint) {
  for (const size_t k : {kEitherSign, kTurning + 2}) expect_goes_on_from_checkpoints(network(kRules[k], "random(p = 0.6)"), 200, 40, 60);
}

TEST(Deferred, OfEitherSignWhateverTheHostSets) {
  for (size_t k = kEitherSign; k < std::size(kRules); ++k) expect_late_as_prompt_whatever_is_set(kRules[k], false);
}

}  // namespace
}  // namespace hebb::testing
