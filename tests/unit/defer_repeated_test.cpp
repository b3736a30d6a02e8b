// Post spikes whose change depends on the weight, done again synapse by synapse when somebody looks, against the same
// rules with a pass over columns: random trains, bounds met often, more spikes than are kept, read at every moment.

#include "tests/unit/deferred_networks.h"

namespace hebb::testing {
namespace {

std::string rule(const std::string& bounds, const std::string& body) {
  return cat("rule R : local { param tau = 20 ms, a = 0.2, b = 0.2; weight w", bounds, "; ", body, " }\n");
}
const std::string kTraces = "x' = -x / tau + pre.spike; y' = -y / (1.5 * tau) + post.spike; ";
const std::string kSlow = "z' = -z / (4 * tau) + pre.spike; ";

const std::string kRules[] = {
    rule(" in [0, 1]", kTraces + "w' = a * (1.1 - w) * x * post.spike - b * w * y * pre.spike;"),
    rule(" in [0, inf)", kTraces + "w' = a * w^0.4 * x * post.spike - b * w * y * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = a * (exp(-w) * x - 0.6) * post.spike + 0.1 * b * y * pre.spike;"),
    rule(" in [0.2, 0.7]", kTraces + "w' = 3 * a * (w - 0.4) * (x - y) * post.spike - 0.1 * b * pre.spike;"),
    rule("", kTraces + "w' = a * (0.5 - w) * x * post.spike - 0.1 * b * w * y * pre.spike;"),
    // The weight is not asked for, the trace is no factor.
    rule(" in [0, 1]", kTraces + "w' = a * (exp(-x) - 0.5) * post.spike - 0.01 * b * y * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = a * (max(min(x, 0.8), 0.3) - 0.5) * post.spike + 0.01 * b * w * y * pre.spike;"),
    // Traces that fall at different rates, or not at all; numbers of the post neuron; a state that pre spikes set anew.
    rule(" in [0, 1]", kTraces + kSlow + "w' = a * (1 - w) * (x - 0.3 * z * y) * post.spike + 0.01 * b * pre.spike;"),
    rule(" in [0, 1]", "n' = -0.3 * n * pre.spike + pre.spike; w' = a * (0.5 * n - w) * post.g * post.spike - 0.01 * b * n * pre.spike;"),
    rule(" in [0, 1]", "x' = -x / tau + (1 - x) * pre.spike; w' = a * (x - 0.4) * (1 - w)^0.2 * post.spike;"),
    rule(" in [0, 1]", kTraces + "state q = 0.4; q' = (0.4 - q) / (9 * tau) - 0.2 * post.spike; on pre.spike { w := 0.9 * w + 0.05 * y; } on post.spike { w += a * q * (1.1 - w) * x; }"),
    // Arithmetic that is left out where no target spikes at the same time.
    rule(" in [0, 1]", kTraces + "w' = 0.3 * a * exp(-x) * (1.1 - w)^1.3 * post.spike - b * tanh(w) * exp(-y) * y * pre.spike;"),
    // A number of nobody that changes; a clock that asks for all weights.
    rule(" in [0, 1]", kTraces + "state r = 1; r' = -r / (3 * tau) + 0.1 * post.spike * 0; w' = a * r * (1.1 - w) * x * post.spike - b * w * y * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = a * (1.1 - w) * x * post.spike - 0.1 * b * y * pre.spike; on every(70 ms) { w := 0.8 * w; }"),
};

bool looks_at_post_spikes(const Ran& ran) {
  for (const Launch& launch : ran.program->plan.step) {
    const Kernel& kernel = (*ran.program)[launch.kernel];
    if (launch.when == When::Eventful) continue;
    if ((*ran.program)[kernel.domain].kind == SpaceKind::Sparse && kernel.rows != Rows::OfPre && !kernel.spikes.valid()) return true;
    if (kernel.rows == Rows::OfPost) return true;
  }
  return false;
}

TEST(Repeated, EqualsAPassOverColumnsAtEveryMoment) {
  for (const std::string& text : kRules) {
    Ran late = start(network(text, "random(p = 0.6)"), true), prompt = start(network(text, "random(p = 0.6)"), false);
    EXPECT_TRUE(deferred(late) && !looks_at_post_spikes(late)) << text;
    EXPECT_FALSE(deferred(prompt));
    for (int piece = 0; piece < 30; ++piece) {
      late.go(1 + piece * 7 % 40);
      prompt.go(1 + piece * 7 % 40);
      expect_near(late.at("S.w"), prompt.at("S.w"), cat(text, " after ", late.simulation->steps_done(), " steps"));
      expect_near(late.at("Y.g"), prompt.at("Y.g"), text);
    }
  }
}

TEST(Repeated, DelayedSpikesToo) {
  for (const char* delay : {"delay axon = 7 ms;", "delay dend = 3 ms;", "delay axon = 2 ms; delay dend = 5 ms; delay bap = 4 ms;"})
    for (const size_t k : {0, 3, 7}) {
      const std::string text = network(kRules[k], "random(p = 0.6)", delay);
      Ran late = start(text, true), prompt = start(text, false);
      for (int piece = 0; piece < 10; ++piece) {
        late.go(150);
        prompt.go(150);
        expect_near(late.at("S.w"), prompt.at("S.w"), cat(kRules[k], delay));
      }
      EXPECT_TRUE(deferred(late));
    }
}

TEST(Repeated, EnginesGiveTheSameBits) {
  for (const std::string& rule : kRules) expect_same_in_both_engines(rule);
}

// Rows of fewer and of more synapses than are taken together, and more spikes than are kept.
TEST(Repeated, AtAnySizeAndRate) {
  for (const size_t k : {0, 2, 8})
    for (const auto& [pres, posts] : {std::pair{1, 9}, {9, 1}, {1, 1}, {7, 7}, {70, 3}, {2, 200}})
      for (const char* how : {"random(p = 0.6)", "random(p = 0)"}) expect_late_as_prompt(network(kRules[k], how, "", pres, posts), cat(pres, " to ", posts));
}

TEST(Repeated, ThreadsGiveTheSameBits) {
  for (const size_t k : {0, 2, 7, 10}) expect_same_on_two_threads(kRules[k]);
}

TEST(Repeated, ReadingChangesNothing) { expect_reading_changes_nothing(kRules[0]); }

TEST(Repeated, GoesOnFromACheckpoint) { expect_goes_on_from_checkpoints(network(kRules[0], "random(p = 0.6)"), 300, 120, 150); }

TEST(Repeated, WhateverTheHostSets) {
  for (const size_t k : {0, 2, 7}) expect_late_as_prompt_whatever_is_set(kRules[k], true);
}

TEST(Repeated, StaysWithThePassOverColumnsWhereItWouldNotBeExact) {
  for (const std::string& body : {
           kTraces + "w' = a * (if x > 0.5 then 1 - w else -w) * post.spike - b * y * pre.spike;",          // on which side of a number a trace is
           kTraces + "on post.spike { let v ~ normal(0, 1); w += a * v * w * x; }",                           // drawn
           kTraces + "w' = a * tanh(x) * exp(-w) * (1 - w)^0.3 * post.spike;",                                 // long
           kTraces + "w' = -w / 1 s + a * (1 - w) * x * post.spike - b * y * pre.spike;",                     // flows
           kTraces + "e' = -e / tau + w * x * post.spike; w' = a * (1 - w) * x * post.spike - b * e * pre.spike;",  // a state of the synapse
           kTraces + "w' = a * (1 - w) * pre.left * post.spike - b * y * pre.spike;",                          // a number of the pre neuron
           std::string("x' = (0.3 - x) / tau + pre.spike; w' = a * (1 - w) * x * post.spike - b * pre.spike;")}) {
    Ran ran = start(network(rule(" in [0, 1]", body), "random(p = 0.6)"), true);
    EXPECT_TRUE(looks_at_post_spikes(ran)) << body;
  }
}

}  // namespace
}  // namespace hebb::testing
