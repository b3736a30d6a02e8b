// From rules built by hand to programs of one synapse, run by the interpreter.

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/unit/models_by_hand.h"

namespace hebb {
namespace {

using testing::Builder;
using testing::Trial;

/// x' = -x/20 + pre.spike; y' = -y/20 + post.spike; w += 0.01 x at post, -= 0.0105 y at pre.
Rule pair_stdp(Builder& b, bool reversed = false) {
  Rule rule;
  rule.name = "PairSTDP";
  const VarId w = b.weight(rule, 0.5);
  b.model[w].bounds = {.low = 0, .high = 1};
  const VarId x = b.own(rule, "x", VarKind::State, Locus::Pre);
  const VarId y = b.own(rule, "y", VarKind::State, Locus::Post);
  const EventId pre = b.event(rule, EventKind::PreEvent, "spike");
  const EventId post = b.event(rule, EventKind::PostEvent, "spike");
  b.jump(rule, pre, x, b.num(1));
  b.jump(rule, post, y, b.num(1));
  b.jump(rule, post, w, b.mul(b.num(0.01), b.var(x)));
  b.jump(rule, pre, w, b.pool().neg(b.mul(b.num(0.0105), b.var(y))));
  if (reversed) std::reverse(rule.jumps.begin(), rule.jumps.end());
  b.decay(rule, x, 20);
  b.decay(rule, y, 20);
  return rule;
}

TEST(LowerSynapse, PairStdpGivesTheWindow) {
  Builder b;
  const Rule rule = pair_stdp(b);
  for (const double gap : {10.0, -10.0, 3.0}) {
    Trial run(lower_synapse(b.model, rule, {}));
    EXPECT_FALSE(run.program->grid_required);
    run.feed(gap > 0 ? "pre.spike" : "post.spike", {1});
    run.simulation.step(std::abs(gap));
    run.feed(gap > 0 ? "post.spike" : "pre.spike", {1});
    run.simulation.step(0);
    const double change = gap > 0 ? 0.01 * std::exp(-gap / 20) : -0.0105 * std::exp(gap / 20);
    EXPECT_NEAR(run.one("w") - 0.5, change, 1e-15);
  }
}

TEST(LowerSynapse, CoincidentSpikesSeeLeftLimits) {
  Builder b;
  const Rule rule = pair_stdp(b);
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("pre.spike", {1});
  run.feed("post.spike", {1});
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 0.5);
  EXPECT_EQ(run.one("x"), 1);
  EXPECT_EQ(run.one("y"), 1);
  run.feed("pre.spike", {1});
  run.feed("post.spike", {1});
  run.simulation.step(0);  // both traces are 1 now
  EXPECT_NEAR(run.one("w"), 0.5 + 0.01 - 0.0105, 1e-16);
}

TEST(LowerSynapse, OrderOfHandlersChangesNoBit) {
  Builder b, c;
  Trial a(lower_synapse(b.model, pair_stdp(b), {}));
  Trial z(lower_synapse(c.model, pair_stdp(c, true), {}));
  for (int n = 0; n < 200; ++n) {
    for (Trial* run : {&a, &z}) {
      run->feed("pre.spike", {n % 3 == 0 ? 1.0 : 0.0});
      run->feed("post.spike", {n % 5 == 0 ? 1.0 : 0.0});
      run->simulation.step(1.7);
    }
    ASSERT_EQ(a.one("w"), z.one("w"));
  }
  EXPECT_NE(a.one("w"), 0.5);
}

TEST(LowerSynapse, BoundsClampAndNanPassesThrough) {
  Builder b;
  const Rule rule = pair_stdp(b);
  Trial run(lower_synapse(b.model, rule, {}));
  run.set("w", {0.001});
  run.set("y", {1});
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 0);
  run.set("w", {std::nan("")});
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_TRUE(std::isnan(run.one("w")));
}

TEST(LowerSynapse, AfterReadsTheRightLimit) {
  Builder b;
  Rule rule;
  rule.name = "TM";
  const VarId u = b.own(rule, "u", VarKind::State, Locus::Pre);
  const VarId x = b.own(rule, "x", VarKind::State, Locus::Pre);
  b.model[u].init = {b.num(0.2)};
  b.model[x].init = {b.num(1)};
  const VarId marker = b.own(rule, "after(u)", VarKind::Let);
  rule.afters.push_back({.marker = marker, .of = u});
  const EventId pre = b.event(rule, EventKind::PreEvent, "spike");
  b.jump(rule, pre, x, b.pool().neg(b.mul(b.var(marker), b.var(x))));
  b.jump(rule, pre, u, b.mul(b.num(0.2), b.sub(b.num(1), b.var(u))));
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_NEAR(run.one("u"), 0.36, 1e-15);
  EXPECT_NEAR(run.one("x"), 1 - 0.36, 1e-15);
}

TEST(LowerSynapse, AssignmentReplacesTheBaseOfIncrements) {
  Builder b;
  Rule rule;
  rule.name = "R";
  const VarId w = b.weight(rule, 0.5);
  const EventId pre = b.event(rule, EventKind::PreEvent, "spike");
  b.jump(rule, pre, w, b.mul(b.num(2), b.var(w)));
  b.jump(rule, pre, w, b.num(7), /*assign=*/true);
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 8);
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 8);  // nothing happened
}

TEST(LowerSynapse, EventPortsAreFedAndLetsCanBeRead) {
  Builder b;
  Rule rule;
  rule.name = "R";
  const VarId w = b.weight(rule, 0.25);
  const VarId reward = b.own(rule, "R", VarKind::Signal, Locus::Shared);
  const VarId r = b.own(rule, "r", VarKind::PreValue);
  const VarId h = b.own(rule, "h", VarKind::Let);
  b.model[h].value = {b.mul(b.var(reward), b.var(r))};
  const EventId port = b.event(rule, EventKind::Port, "trial_end");
  b.jump(rule, port, w, b.var(h));
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("R", {0.5});
  run.feed("pre.r", {4});
  run.simulation.step(1);
  EXPECT_EQ(run.one("w"), 0.25);
  EXPECT_EQ(run.one("h"), 2);
  run.feed("trial_end", {1});
  run.simulation.step(1);
  EXPECT_EQ(run.one("w"), 2.25);
}

}  // namespace
}  // namespace hebb
