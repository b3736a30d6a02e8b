// What a step is to clocks, feeds, gaps and inputs taken ahead, with kernels written by hand.

#include <cmath>

#include <gtest/gtest.h>

#include "runtime/clock.h"
#include "tests/unit/by_hand.h"

namespace hebb {
namespace {

using namespace by_hand;

TEST(Clock, FiresAtThePeriodAndItsMultiples) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{1.0}).ok());
  simulation.initialise();
  const Recording recording{.name = "tick", .column = counter.tick};
  ASSERT_TRUE(simulation.run(31, 0.1, {}, std::span(&recording, 1)).ok());
  std::vector<double> expected(31, 0.0);
  for (const size_t at : {10, 20, 30}) expected[at] = 1;
  EXPECT_EQ(simulation.recorded()[0].values, expected);
  EXPECT_EQ(simulation.get(counter.clocked)[0], 3);
  EXPECT_EQ(simulation.get(counter.quiet)[0], 28);
}

TEST(Clock, FiresAtTheNearestStepWhenThePeriodIsNoMultiple) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{2.6}).ok());
  simulation.initialise();
  const Recording recording{.name = "tick", .column = counter.tick};
  ASSERT_TRUE(simulation.run(12, 1, {}, std::span(&recording, 1)).ok());
  // 2.6, 5.2, 7.8, 10.4
  EXPECT_EQ(simulation.recorded()[0].values, (std::vector<double>{0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0}));
}

TEST(Clock, FiresOncePerStepWhenThePeriodIsShorter) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{0.25}).ok());
  simulation.initialise();
  ASSERT_TRUE(simulation.run(5, 1, {}, {}).ok());
  EXPECT_EQ(simulation.get(counter.clocked)[0], 5);  // at 0 too: 0.25 is nearest to step 0
}

TEST(Clock, GoesOnAcrossRuns) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{3.0}).ok());
  simulation.initialise();
  for (int k = 0; k < 5; ++k) ASSERT_TRUE(simulation.run(2, 1, {}, {}).ok());
  EXPECT_EQ(simulation.get(counter.clocked)[0], 3);  // at 3, 6, 9
  EXPECT_EQ(simulation.time_ms(), 10);
}

TEST(Clock, DoesNotDriftInAHundredMillionSteps) {
  for (const double dt : {0.1, 0.025, 1.0 / 3}) {
    Ticker ticker;
    const double period = 1000;
    set_period(ticker, period, 0, dt / 2);
    StepTime time;
    int64_t fired = 0;
    for (int64_t step = 0; step <= 100'000'000; ++step) {
      if (fires(ticker, time.time_ms(), dt * (0.5 + 1e-9))) {
        ++fired;
        ASSERT_EQ(step, std::llround(static_cast<double>(fired) * period / dt));
      }
      time.advance(dt);
    }
    EXPECT_EQ(fired, static_cast<int64_t>(100'000'000 * dt / period + 0.5 * dt / period));
  }
}

TEST(Clock, ReadsAPeriodInFloatAsItWasWritten) {
  Bench bench;
  const ColumnId period = bench.column("period", bench.uniform(), Role::Param);
  auto columns = Columns::create(*bench.program, Precision::Float32);
  ASSERT_TRUE(columns.ok());
  for (const double value : {0.1, 0.3, 1000.0, 12.7, 1e-3}) {
    columns->fill(period, value);
    EXPECT_EQ(meant_value(*columns, period), value);
  }
}

TEST(Clock, APeriodOfZeroIsRefused) {
  Counter counter;
  for (const double bad : {0.0, -1.0, kNaN}) {
    Simulation simulation = counter.bench.simulation(in_double());
    ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{bad}).ok());
    const Status ran = simulation.run(1, 1, {}, {});
    ASSERT_FALSE(ran.ok());
    EXPECT_NE(ran.error().find("'period'"), std::string::npos);
  }
}

TEST(Feeds, EventsMakeAStepEventfulAndAreCleared) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{1000}).ok());
  simulation.initialise();
  const std::vector<FeedValues> feeds = {{.name = "event", .values = {0, 1, 0, kNaN, 0}},
                                         {.name = "spike", .values = {1, 0, 1, 0, 0}}};
  const std::vector<Recording> recordings = {{.name = "event", .column = counter.event},
                                             {.name = "spike", .column = counter.spike}};
  ASSERT_TRUE(simulation.run(5, 1, feeds, recordings).ok());
  EXPECT_EQ(simulation.get(counter.quiet)[0], 3);  // spikes are handled in every step
  EXPECT_EQ(simulation.recorded()[0].values[1], 1);
  EXPECT_EQ(simulation.recorded()[1].values, (std::vector<double>{1, 0, 1, 0, 0}));
  EXPECT_EQ(simulation.get(counter.event)[0], 0);
}

TEST(Feeds, AreCheckedBeforeTheRun) {
  RateNetwork<double> network(3, 2);
  Simulation simulation = network.bench.simulation(in_double());
  simulation.initialise();
  const auto refusal = [&](FeedValues feed) {
    const Status ran = simulation.run(4, 1, std::span(&feed, 1), {});
    EXPECT_EQ(simulation.steps_done(), 0);
    return ran.ok() ? "ran" : ran.error();
  };
  network.bench.program->name = "Net";
  EXPECT_EQ(refusal({.name = "z"}), "'Net' has no input named 'z'");
  EXPECT_EQ(refusal({.name = "x", .values = std::vector<double>(8), .rows = 2}), "'x' takes 3 numbers per step, got 2");
  EXPECT_EQ(refusal({.name = "x", .values = std::vector<double>(11), .rows = 3}), "'x' has 3 steps of data, the run needs 4");
  EXPECT_EQ(refusal({.name = "x", .values = {}, .rows = 3, .constant = true}), "'x' has 0 steps of data, the run needs 1");
}

TEST(Feeds, OneNumberAStepFillsAllRows) {
  RateNetwork<double> network(3, 1);
  Simulation simulation = network.bench.simulation(in_double());
  const FeedValues feed{.name = "x", .values = {2, 4}};
  const Recording recording{.name = "x", .column = network.x};
  ASSERT_TRUE(simulation.run(2, 1, std::span(&feed, 1), std::span(&recording, 1)).ok());
  EXPECT_EQ(simulation.recorded()[0].values, (std::vector<double>{2, 2, 2, 4, 4, 4}));
}

TEST(Step, ZeroIsAnInstantAndTimeAddsUp) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{10.0}).ok());
  simulation.initialise();
  simulation.step(7.5);
  EXPECT_EQ(simulation.get(counter.dt)[0], 7.5);
  simulation.step(0);
  EXPECT_EQ(simulation.time_ms(), 7.5);
  simulation.step(2.5);
  EXPECT_EQ(simulation.get(counter.clocked)[0], 0);  // 7.5 is not 10, however long the gap
  simulation.step(0);
  EXPECT_EQ(simulation.get(counter.clocked)[0], 1);
  simulation.step(1);                                 // 10 again: it has fired
  EXPECT_EQ(simulation.get(counter.clocked)[0], 1);
  simulation.feed(counter.event, std::vector<double>{1});
  simulation.step(0);
  EXPECT_EQ(simulation.get(counter.event)[0], 0);
  EXPECT_EQ(simulation.get(counter.quiet)[0], 4);
  EXPECT_EQ(simulation.steps_done(), 6);
  EXPECT_EQ(simulation.get(counter.n)[0], 6);
}

/// y = w x of this step, taken in the step before; then w += y.
struct TakenAhead {
  Bench bench;
  SpaceId one = bench.uniform();
  SpaceId n = bench.neurons(1);
  ColumnId x = bench.column("x", n, Role::Fed);
  ColumnId x_next = bench.column("x (next)", n, Role::Fed);
  ColumnId y = bench.column("y", n, Role::Value);
  ColumnId y_next = bench.column("y (next)", n, Role::State);
  ColumnId w = bench.column("w", n, Role::State);

  TakenAhead() {
    bench.program->plan.feeds = {{.name = "x", .column = x, .ahead = x_next}};
    bench.program->plan.begin = {{bench.kernel({.name = "first", .domain = n, .stores = {{.into = y_next}}}, [this](const hebb_launch* l) {
      *base<>(l, y_next) = *base<>(l, w) * *base<>(l, x);
    })}};
    bench.step(bench.kernel({.name = "both", .domain = n, .stores = {{.into = y}, {.into = w}}, .accumulates = {{.into = y_next}}}, [this](const hebb_launch* l) {
      *base<>(l, y) = *base<>(l, y_next);
      *base<>(l, w) += *base<>(l, y);
      *base<>(l, y_next) = *base<>(l, w) * *base<>(l, x_next);
    }));
  }
};

TEST(TakenAhead, TheFollowingStepsInputIsKnown) {
  TakenAhead made;
  Simulation simulation = made.bench.simulation(in_double());
  simulation.initialise();
  ASSERT_TRUE(simulation.set(made.w, std::vector<double>{1}).ok());
  const Recording recording{.name = "y", .column = made.y};
  const FeedValues feed{.name = "x", .values = {1, 2, 3, 4}};
  ASSERT_TRUE(simulation.run(4, 1, std::span(&feed, 1), std::span(&recording, 1)).ok());
  EXPECT_EQ(simulation.recorded()[0].values, (std::vector<double>{1, 4, 18, 96}));  // w = 1, 2, 6, 24
  EXPECT_EQ(simulation.get(made.w)[0], 120);
  const FeedValues more{.name = "x", .values = {5, 6}};
  ASSERT_TRUE(simulation.run(2, 1, std::span(&more, 1), std::span(&recording, 1)).ok());
  EXPECT_EQ(simulation.recorded()[0].values, (std::vector<double>{600, 4320}));
}

TEST(TakenAhead, WhatIsNotFedStays) {
  TakenAhead made;
  Simulation simulation = made.bench.simulation(in_double());
  simulation.initialise();
  ASSERT_TRUE(simulation.set(made.w, std::vector<double>{1}).ok());
  ASSERT_TRUE(simulation.set(made.x, std::vector<double>{1}).ok());
  ASSERT_TRUE(simulation.run(3, 1, {}, {}).ok());
  EXPECT_EQ(simulation.get(made.w)[0], 8);
  for (const double x : {1.0, 2.0}) {
    simulation.feed(made.x, std::vector<double>{x});
    simulation.step(1);
  }
  EXPECT_EQ(simulation.get(made.w)[0], 48);
}

TEST(TakenAhead, ANaNAheadIsNoDivergenceYet) {
  TakenAhead made;
  Simulation simulation = made.bench.simulation(in_double());
  simulation.initialise();
  ASSERT_TRUE(simulation.set(made.w, std::vector<double>{1}).ok());
  const FeedValues feed{.name = "x", .values = {1, 1, kNaN, 1}};
  ASSERT_TRUE(simulation.run(4, 1, std::span(&feed, 1), {}).ok());
  ASSERT_TRUE(simulation.divergence().has_value());
  EXPECT_EQ(simulation.divergence()->column, "w");
  EXPECT_EQ(simulation.divergence()->step, 2);
}

}  // namespace
}  // namespace hebb
