// Synapses that change between spikes, looked at only at spikes and by readers: against the same rules with all synapses
// stepped. Random trains, bounds met often, signs that turn, reads at odd moments.

#include "tests/unit/deferred_networks.h"

namespace hebb::testing {
namespace {

struct Case {
  std::string rule, binds;
};

Case three_factor(const std::string& bounds, const std::string& body) {
  return {cat("rule R : three_factor { param tau = 20 ms, tau_e = 90 ms, a = 0.2, b = 0.2; signal M : 1; event reward; weight w", bounds, "; ", body, " }\n"),
          "bind M = T.m[0]; bind reward = T.reward;"};
}
Case local(const std::string& bounds, const std::string& body) {
  return {cat("rule R : local { param tau = 20 ms, tau_e = 90 ms, a = 0.2, b = 0.2; weight w", bounds, "; ", body, " }\n"), ""};
}
const std::string kPair = "x' = -x / tau + pre.spike; y' = -y / (1.5 * tau) + post.spike; ";
const std::string kEligibility = kPair + "e' = -e / tau_e + a * x * post.spike - b * y * pre.spike; ";

std::vector<Case> cases() {
  return {
      // Eligibility times a modulator of either sign, one that decays after pulses, a number of the post neuron.
      three_factor(" in [0, 1]", kEligibility + "w' = M * e / 30 ms;"),
      three_factor(" in [0, 1]", kEligibility + "d' = -d / (3 * tau); on reward { d += 0.7; } w' = e * d / 20 ms;"),
      three_factor(" in [0.2, 0.7]", kEligibility + "w' = e * (post.g - 0.5) / 20 ms;"),
      three_factor("", kEligibility + "w' = 1e-2 * M * e / 20 ms;"),
      three_factor(" in [0, 1]", kEligibility + "w' = M * e / 30 ms; on reward { w += 0.1 * e; }"),
      // At synapses that no pre spike looks at but to deliver.
      three_factor(" in [0, 1]", kPair + "e' = -e / tau_e + a * x * post.spike; w' = M * e / 20 ms;"),
      // Clocks look at all synapses.
      three_factor(" in [0, 1]", kEligibility + "w' = M * e / 30 ms; on every 70 ms { w := 0.9 * w; e := 0.5 * e; }"),
      three_factor(" in [0, 1]", kPair + "w' = a * x * post.spike - b * y * pre.spike; on every 30 ms { w := w * w; }"),
      // States of the synapse that only decay.
      local(" in [0, 1]", "x' = -x / tau + (1 - x) * pre.spike - x * post.spike; y' = -y / tau + (1 - y) * post.spike - y * pre.spike;"
                          " w' = a * x * post.spike - b * y * pre.spike;"),
      local(" in [0, 1]", kPair + "state e = 0.1; e' = -e / tau_e + (x - 0.5) * post.spike; w' = a * e * pre.spike - b * w * post.spike;"),
      // What the post neuron does between spikes, times a trace.
      local(" in [0, 1]", kPair + "up' = (post.g - up) / tau_e; w' = a * x * max(post.g - 0.3, 0) * max(up - 0.2, 0) / 5 ms - b * pre.spike * max(up - 0.1, 0);"),
      local(" in [0, 1]", kPair + "w' = a * x * (post.g - 0.5) / 4 ms;"),
      local(" in [0, 1]", kPair + "w' = a * x * (post.g - 0.5) / 4 ms + 0.5 * a * x * y * post.spike - b * y * pre.spike;"),
      local(" in [0, 1]", "w' = (post.g - 0.5) / 40 ms - b * pre.spike;"),
      local(" in [0, 1]", kPair + "on step { w += 0.02 * x * (post.g - 0.5); }"),
      local("", kPair + "w' = 1e-3 * x * (post.g - 0.5) / 4 ms - 1e-3 * x * x * y * post.spike;"),
      three_factor(" in [0, 1]", kPair + "w' = a * x * (post.g - 0.5) / 4 ms; on reward { w -= 0.1 * x; }"),
      // Post spikes: amounts of several terms, several traces, a sign that turns.
      local(" in [0, 1]", kPair + "o' = -o / tau_e + post.spike; w' = x * (0.05 + a * o) * post.spike - b * y * pre.spike;"),
      local(" in [0, 1]", kPair + "z' = -z / tau_e + pre.spike; w' = (a * x + 0.3 * a * z * y + 0.01) * post.spike - b * y * pre.spike;"),
      local("", kPair + "z' = -z / tau_e + (1 - z) * pre.spike; w' = 1e-3 * (x + z) * (y - 0.6) * a * post.spike - b * (y - 0.4) * pre.spike;"),
      local(" in [0, 1]", kPair + "w' = a * x * (y - 0.6) * post.spike - b * (y - 0.4) * pre.spike;"),
      local("", kPair + "w' = 1e-3 * (x - 0.3) * post.spike - 1e-3 * y * pre.spike;"),
  };
}

std::string network(const Case& c, const std::string& connect, const std::string& more = "", int pres = 11, int posts = 9) {
  return testing::network(c.rule, connect, c.binds + more, pres, posts);
}

TEST(DeferredFlow, EqualsStepsOfAllSynapsesAtEveryMoment) {
  for (const Case& c : cases()) {
    Ran late = start(network(c, "random(p = 0.6)"), true), prompt = start(network(c, "random(p = 0.6)"), false);
    EXPECT_TRUE(deferred(late)) << c.rule;
    // No step looks at all synapses, but where signs turn, and where clocks do.
    for (const Launch& launch : late.program->plan.step) {
      const Kernel& kernel = (*late.program)[launch.kernel];
      const bool all = (*late.program)[kernel.domain].kind == SpaceKind::Sparse && kernel.rows == Rows::All && !kernel.spikes.valid();
      EXPECT_FALSE(all && launch.when != When::Eventful) << kernel.name << " of " << c.rule;
    }
    bool bound = false, inside = false;
    for (int piece = 0; piece < 40; ++piece) {
      late.go(1 + piece * 7 % 40);
      prompt.go(1 + piece * 7 % 40);
      const std::string when = cat(c.rule, " after ", late.simulation->steps_done(), " steps");
      for (const Column& column : prompt.program->columns)
        if (column.role == Role::State) expect_near(late.at(column.name), prompt.at(column.name), cat(column.name, " of ", when));
      if (::testing::Test::HasFailure()) return;
      for (const double w : prompt.at("S.w")) (w == 0 || w == 1 || w == 0.2 || w == 0.7 ? bound : inside) = true;
    }
    EXPECT_TRUE(inside) << c.rule;
    EXPECT_TRUE(bound || c.rule.find("weight w;") != std::string::npos) << c.rule;
  }
}

TEST(DeferredFlow, EnginesGiveTheSameBits) {
  for (const Case& c : cases())
    for (const Precision precision : {Precision::Float64, Precision::Float32}) {
      Ran one = start(network(c, "random(p = 0.6)"), true, precision, Engine::Interpreter);
      Ran other = start(network(c, "random(p = 0.6)"), true, precision, Engine::Jit);
      one.go(300);
      other.go(300);
      expect_same_states(one, other, c.rule);
    }
}

TEST(DeferredFlow, ThreadsGiveTheSameBits) {
  for (const Case& c : cases()) {
    const std::string text = network(c, "random(p = 0.6)", "", 40, 40);
    Ran one = start(text, true), two = start(text, true, Precision::Float64, Engine::Interpreter, 2);
    one.go(200);
    two.go(200);
    expect_same_states(one, two, c.rule);
  }
}

TEST(DeferredFlow, SmallAndEmptyOnes) {
  for (const Case& c : cases())
    for (const auto& [pres, posts] : {std::pair{1, 1}, {7, 1}, {1, 7}})
      for (const char* connect : {"random(p = 0)", "random(p = 1)"}) {
        Ran late = start(network(c, connect, "", pres, posts), true), prompt = start(network(c, connect, "", pres, posts), false);
        late.go(300);
        prompt.go(300);
        expect_near(late.at("S.w"), prompt.at("S.w"), c.rule);
      }
}

TEST(DeferredFlow, ReadingChangesNothing) {
  for (const Case& c : cases()) {
    Ran watched = start(network(c, "random(p = 0.6)"), true), alone = start(network(c, "random(p = 0.6)"), true);
    const std::vector<Recording> recordings = {{.name = "w", .column = watched.column("S.w")}};
    EXPECT_TRUE(watched.simulation->run(400, 1, {}, recordings).ok());
    alone.go(400);
    expect_same_states(watched, alone, c.rule);
  }
}

TEST(DeferredFlow, DelayedSpikesToo) {
  for (const Case& c : cases())
    for (const std::string more : {"delay axon = 7 ms;", "delay bap = 5 ms;"}) {
      Ran late = start(network(c, "random(p = 0.6)", more), true), prompt = start(network(c, "random(p = 0.6)", more), false);
      late.go(600);
      prompt.go(600);
      EXPECT_TRUE(deferred(late)) << c.rule;
      expect_near(late.at("S.w"), prompt.at("S.w"), cat(c.rule, more));
    }
}

// Parameters, weights and traces that the host sets, whatever their sign.
TEST(DeferredFlow, WhatTheHostSetsCountsFromThenOn) {
  for (const Case& c : cases()) {
    Ran late = start(network(c, "random(p = 0.6)"), true), prompt = start(network(c, "random(p = 0.6)"), false);
    for (const double a : {0.2, -0.3, 0.1}) {
      for (Ran* ran : {&late, &prompt}) {
        EXPECT_TRUE(ran->simulation->set(ran->column("S.a"), std::vector{a}).ok());
        ran->go(137);
        EXPECT_TRUE(ran->simulation->set(ran->column("S.w"), std::vector{0.5}).ok());
        for (const char* trace : {"S.x", "S.z", "S.e", "S.y"})
          if (ran->column(trace).valid()) {
            EXPECT_TRUE(ran->simulation->set(ran->column(trace), std::vector{-a}).ok());
          }
        ran->go(41);
      }
      expect_near(late.at("S.w"), prompt.at("S.w"), cat(c.rule, " a = ", a));
    }
  }
}

TEST(DeferredFlow, GoesOnFromACheckpoint) {
  for (const Case& c : cases()) {
    Ran whole = start(network(c, "random(p = 0.6)"), true), cut = start(network(c, "random(p = 0.6)"), true);
    whole.go(500);
    std::string kept;
    int steps = 0;
    cut.simulation->pause_with({.due = [&] { return ++steps == 237; }, .keep = [&](std::string bytes) { kept = std::move(bytes); return Status(Done{}); }, .from = {}});
    cut.go(500);
    ASSERT_FALSE(kept.empty());
    Ran resumed = start(network(c, "random(p = 0.6)"), true);
    resumed.simulation->pause_with({.due = {}, .keep = {}, .from = kept});
    resumed.go(500);
    expect_same_states(whole, resumed, c.rule);
  }
}

// A step of another length has amounts of another size.
TEST(DeferredFlow, StepsMayChangeTheirLength) {
  for (const Case& c : cases()) {
    Ran late = start(network(c, "random(p = 0.6)"), true), prompt = start(network(c, "random(p = 0.6)"), false);
    for (const double dt : {1.0, 0.25, 5.0})
      for (Ran* ran : {&late, &prompt}) EXPECT_TRUE(ran->simulation->run(100, dt, {}, {}).ok());
    expect_near(late.at("S.w"), prompt.at("S.w"), c.rule);
  }
}

}  // namespace
}  // namespace hebb::testing
