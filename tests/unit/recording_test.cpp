// What a run records, and where it finds numbers that are not finite, with kernels written by hand.

#include <cmath>

#include <gtest/gtest.h>

#include "runtime/finite.h"
#include "tests/unit/by_hand.h"

namespace hebb {
namespace {

using namespace by_hand;

// --------------------------------------------------------------------------------------- recording

TEST(Recording, KeepsWhatWasAsked) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{1000}).ok());
  simulation.initialise();
  const std::vector<Recording> recordings = {
      {.name = "all", .column = counter.n},
      {.name = "third", .column = counter.n, .every_steps = 3},
      {.name = "last", .column = counter.n, .final_only = true},
      {.name = "event", .column = counter.event, .final_only = true},
  };
  const FeedValues feed{.name = "event", .values = {0, 0, 0, 0, 0, 0, 1}};
  ASSERT_TRUE(simulation.run(7, 1, std::span(&feed, 1), recordings).ok());
  const auto recorded = simulation.take_recorded();
  EXPECT_EQ(recorded[0].values, (std::vector<double>{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(recorded[1].values, (std::vector<double>{1, 4, 7}));
  EXPECT_EQ(recorded[1].samples, 3);
  EXPECT_EQ(recorded[2].values, (std::vector<double>{7}));
  EXPECT_EQ(recorded[2].samples, 1);
  EXPECT_EQ(recorded[3].values, (std::vector<double>{1}));  // as acted on in the last step
  EXPECT_TRUE(simulation.recorded().empty());
  ASSERT_TRUE(simulation.run(0, 1, {}, recordings).ok());
  EXPECT_EQ(simulation.recorded()[0].samples, 0);
  EXPECT_EQ(simulation.recorded()[2].values, (std::vector<double>{7}));
}

TEST(Recording, SpikesAreThoseActedOnNotTheNextOnes) {
  Bench bench;
  const SpaceId n = bench.neurons(2);
  const ColumnId v = bench.column("v", n, Role::State);
  const ColumnId spike = bench.column("spike", n, Role::Indicator);
  bench.step(bench.kernel({.name = "threshold", .domain = n, .stores = {{.into = v}, {.into = spike}}}, [=](const hebb_launch* l) {
    for (int64_t i = l->post_begin; i < l->post_end; ++i) {
      double& now = base<>(l, v)[i];
      now = base<>(l, spike)[i] != 0 ? 0 : now + 1 + static_cast<double>(i);
      base<>(l, spike)[i] = now >= 2;
    }
  }));
  Simulation simulation = bench.simulation(in_double());
  simulation.initialise();
  const std::vector<Recording> recordings = {{.name = "spike", .column = spike}, {.name = "v", .column = v}};
  ASSERT_TRUE(simulation.run(4, 1, {}, recordings).ok());
  EXPECT_EQ(simulation.recorded()[1].values, (std::vector<double>{1, 2, 2, 0, 0, 2, 1, 0}));
  EXPECT_EQ(simulation.recorded()[0].values, (std::vector<double>{0, 0, 0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(simulation.recorded()[0].shape, (std::vector<int64_t>{2}));
}

TEST(Recording, ReducesInIndexOrder) {
  Bench bench;
  const SpaceId n = bench.neurons(2), m = bench.neurons(2);
  const ColumnId w = bench.column("w", bench.dense(n, m), Role::State);
  Simulation simulation = bench.simulation(in_double());
  std::vector<Recording> recordings;
  for (const RecordReduce reduce : {RecordReduce::None, RecordReduce::Mean, RecordReduce::Sum, RecordReduce::Min, RecordReduce::Max})
    recordings.push_back({.name = "w", .column = w, .reduce = reduce, .final_only = true});
  // 1e16 swallows a 1 added to it: the order shows.
  ASSERT_TRUE(simulation.set(w, std::vector<double>{1e16, 1, -1e16, 3}).ok());
  ASSERT_TRUE(simulation.run(0, 1, {}, recordings).ok());
  const auto& recorded = simulation.recorded();
  EXPECT_EQ(recorded[0].shape, (std::vector<int64_t>{2, 2}));
  EXPECT_TRUE(recorded[1].shape.empty());
  EXPECT_EQ(recorded[1].values[0], 0.75);
  EXPECT_EQ(recorded[2].values[0], 3);
  EXPECT_EQ(recorded[3].values[0], -1e16);
  EXPECT_EQ(recorded[4].values[0], 1e16);
}

TEST(Recording, MinAndMaxOfNaNAreNaN) {
  for (const std::vector<double>& values : {std::vector<double>{kNaN, 1}, std::vector<double>{1, kNaN}}) {
    Bench bench;
    const ColumnId x = bench.column("x", bench.neurons(2), Role::Fed);
    Simulation simulation = bench.simulation(in_double());
    ASSERT_TRUE(simulation.set(x, values).ok());
    const std::vector<Recording> recordings = {
        {.name = "min", .column = x, .reduce = RecordReduce::Min, .final_only = true},
        {.name = "max", .column = x, .reduce = RecordReduce::Max, .final_only = true}};
    ASSERT_TRUE(simulation.run(0, 1, {}, recordings).ok());
    EXPECT_TRUE(std::isnan(simulation.recorded()[0].values[0]));
    EXPECT_TRUE(std::isnan(simulation.recorded()[1].values[0]));
  }
}

TEST(Recording, RefusesWhatDoesNotFit) {
  RateNetwork<double> network(100, 100);
  Simulation simulation = network.bench.simulation(in_double());
  const Recording recording{.name = "w", .column = network.w};
  const Status ran = simulation.run(1'000'000'000'000, 1, {}, std::span(&recording, 1));
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().find("the recordings of 1000000000000 steps need 80 PB of memory, "), 0u) << ran.error();
  const Recording never{.name = "w", .column = network.w, .every_steps = 0};
  EXPECT_FALSE(simulation.run(1, 1, {}, std::span(&never, 1)).ok());
}

// -------------------------------------------------------------------------------------- divergence

TEST(Divergence, IsFoundAtItsStepAndElementInLargeColumns) {
  for (const int64_t bad_step : {0, 1, 62, 63, 64, 65, 100, 149}) {
    Bench bench;
    const SpaceId n = bench.neurons(7), m = bench.neurons(17);
    const ColumnId w = bench.column("W.w", bench.dense(n, m), Role::State, 2);
    const ColumnId count = bench.column("count", n, Role::State);
    bench.step(bench.kernel({.name = "learn", .domain = bench.program->columns[0].space, .stores = {{.into = w}}}, [=](const hebb_launch* l) {
      // From the bad step on, the infinity spreads: the first one must be named all the same.
      if (l->step >= bad_step) base<>(l, w)[l->planes[w.value] + 3 * l->row + 5] = kInf;
      if (l->step > bad_step) base<>(l, w)[0] = kNaN;
    }));
    bench.step(bench.kernel({.name = "count", .domain = n, .stores = {{.into = count}}}, [=](const hebb_launch* l) {
      for (int64_t i = l->post_begin; i < l->post_end; ++i) base<>(l, count)[i] += 1;
    }));
    Simulation simulation = bench.simulation(in_double());
    simulation.initialise();
    const Recording recording{.name = "count", .column = count, .reduce = RecordReduce::Max};
    ASSERT_TRUE(simulation.run(150, 0.5, {}, std::span(&recording, 1)).ok());
    ASSERT_TRUE(simulation.divergence().has_value()) << bad_step;
    EXPECT_EQ(simulation.divergence()->column, "W.w");
    EXPECT_EQ(simulation.divergence()->index, (std::vector<int64_t>{3, 5, 1}));
    EXPECT_EQ(simulation.divergence()->step, bad_step);
    EXPECT_EQ(simulation.divergence()->time_ms, 0.5 * static_cast<double>(bad_step + 1));
    EXPECT_EQ(simulation.divergence()->value, kInf);
    // It stops there, as if it had never gone further.
    EXPECT_EQ(simulation.steps_done(), bad_step + 1);
    EXPECT_EQ(simulation.get(count)[0], static_cast<double>(bad_step + 1));
    EXPECT_EQ(simulation.recorded()[0].samples, bad_step + 1);
    EXPECT_EQ(simulation.recorded()[0].values.back(), static_cast<double>(bad_step + 1));
  }
}

TEST(Divergence, IsFoundInAStateTooLargeToCopy) {
  for (const int64_t earlier_steps : {0, 3}) {
    Bench bench;
    const SpaceId n = bench.neurons(3000);
    const SpaceId dense = bench.dense(n, n);
    const ColumnId w = bench.column("W.w", dense, Role::State);
    const ColumnId start = bench.column("start", bench.uniform(), Role::Param);
    bench.program->plan.init = {{bench.kernel({.name = "init", .domain = dense, .stores = {{.into = w}}}, [=](const hebb_launch* l) {
      base<float>(l, w)[0] = base<float>(l, start)[0];
    })}};
    // Doubles from 1 and 4: row 0 overflows after row 2999.
    bench.step(bench.kernel({.name = "grow", .domain = dense, .stores = {{.into = w}}}, [=](const hebb_launch* l) {
      base<float>(l, w)[0] *= 2;
      base<float>(l, w)[2999 * l->row + 7] *= 2;
    }));
    Simulation simulation = bench.simulation();
    ASSERT_TRUE(simulation.set(start, std::vector<double>{1}).ok());
    simulation.initialise();
    std::vector<double> weights = simulation.get(w);
    weights[2999 * 3000 + 7] = 4;
    ASSERT_TRUE(simulation.set(w, weights).ok());
    const Recording recording{.name = "max", .column = w, .every_steps = 64, .reduce = RecordReduce::Max};
    ASSERT_TRUE(simulation.run(earlier_steps, 1, {}, {}).ok());
    ASSERT_TRUE(simulation.run(200, 1, {}, std::span(&recording, 1)).ok());
    ASSERT_TRUE(simulation.divergence().has_value());
    EXPECT_EQ(simulation.divergence()->step, 125);
    EXPECT_EQ(simulation.divergence()->index, (std::vector<int64_t>{2999, 7}));
    EXPECT_EQ(simulation.steps_done(), 126);
    EXPECT_EQ(simulation.get(w)[0], 0x1p126);
    EXPECT_EQ(simulation.recorded()[0].samples, 2);
  }
}

// Synapses that would take long to copy are copied seldom, and only where all steps so far cannot be done again: the host
// set something between them. What is found late is then looked for in parts.
TEST(Divergence, IsFoundInALongWindow) {
  for (const auto& [bad_step, touched] : {std::pair<int64_t, bool>{20, true}, {511, true}, {512, true}, {1234, true}, {2999, true}, {20, false}, {2999, false}}) {
    Bench bench;
    const SpaceId n = bench.neurons(2100);
    const SpaceId synapses = bench.program->add(Space{.kind = SpaceKind::Sparse, .name = "W", .pre = n, .post = n, .connect = {.p = 1}});
    const ColumnId w = bench.column("W.w", synapses, Role::State);
    const ColumnId count = bench.column("count", bench.uniform(), Role::State);
    const int64_t bad = bad_step;
    bench.step(bench.kernel({.name = "grow", .domain = synapses, .stores = {{.into = w}, {.into = count}}}, [=](const hebb_launch* l) {
      base<float>(l, count)[0] += 1;
      if (l->step == bad) base<float>(l, w)[1'000'003] = kInf;
    }));
    Simulation simulation = bench.simulation();
    simulation.initialise();
    ASSERT_TRUE(simulation.run(7, 1, {}, {}).ok());
    if (touched) {
      ASSERT_TRUE(simulation.set(count, std::vector<double>{7}).ok());
    }
    const Recording recording{.name = "count", .column = count};
    ASSERT_TRUE(simulation.run(3000, 1, {}, std::span(&recording, 1)).ok());
    ASSERT_TRUE(simulation.divergence().has_value()) << bad_step;
    EXPECT_EQ(simulation.divergence()->step, bad_step);
    EXPECT_EQ(simulation.divergence()->index, (std::vector<int64_t>{476, 403}));
    EXPECT_EQ(simulation.steps_done(), bad_step + 1);
    EXPECT_EQ(simulation.get(count)[0], static_cast<double>(bad_step + 1));
    EXPECT_EQ(simulation.recorded()[0].samples, bad_step + 1 - 7);
    EXPECT_EQ(simulation.recorded()[0].values.back(), static_cast<double>(bad_step + 1));
  }
}

TEST(Divergence, InNeuronsThatHealIsStillSeen) {
  Bench bench;
  const SpaceId n = bench.neurons(3);
  const ColumnId v = bench.column("N.v", n, Role::State);
  bench.step(bench.kernel({.name = "v", .domain = n, .stores = {{.into = v}}},
                          [=](const hebb_launch* l) { base<>(l, v)[2] = l->step == 5 ? kNaN : 0; }));
  Simulation simulation = bench.simulation(in_double());
  simulation.initialise();
  ASSERT_TRUE(simulation.run(40, 1, {}, {}).ok());
  ASSERT_TRUE(simulation.divergence().has_value());
  EXPECT_EQ(simulation.divergence()->step, 5);
  EXPECT_EQ(simulation.divergence()->index, (std::vector<int64_t>{2}));
}

TEST(Divergence, IsAboutStatesNotAboutDataOrTemporaries) {
  RateNetwork<double> network(2, 2);
  Simulation simulation = network.bench.simulation(in_double());
  simulation.initialise();
  const FeedValues hole{.name = "x", .values = {1, 1, 1, kNaN, 1, 1}, .rows = 2};
  ASSERT_TRUE(simulation.run(3, 1, std::span(&hole, 1), {}).ok());
  ASSERT_TRUE(simulation.divergence().has_value());
  EXPECT_EQ(simulation.divergence()->column, "W.w");
  EXPECT_EQ(simulation.divergence()->step, 1);
  EXPECT_TRUE(std::isnan(simulation.divergence()->value));

  Counter counter;  // reads nothing of its feeds but the clock's
  Simulation deaf = counter.bench.simulation(in_double());
  ASSERT_TRUE(deaf.set(counter.period, std::vector<double>{1}).ok());
  deaf.initialise();
  const FeedValues event{.name = "event", .values = {kNaN, kNaN}};
  ASSERT_TRUE(deaf.run(2, 1, std::span(&event, 1), {}).ok());
  EXPECT_FALSE(deaf.divergence().has_value());
}

TEST(Divergence, OfAStartValueIsBeforeTheFirstStep) {
  RateNetwork<double> network(2, 2);
  Simulation simulation = network.bench.simulation(in_double());
  simulation.initialise();
  ASSERT_TRUE(simulation.set(network.w, std::vector<double>{1, 2, kInf, 3}).ok());
  ASSERT_TRUE(simulation.run(3, 1, {}, {}).ok());
  ASSERT_TRUE(simulation.divergence().has_value());
  EXPECT_EQ(simulation.divergence()->step, -1);
  EXPECT_EQ(simulation.divergence()->index, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(simulation.steps_done(), 0);
}

TEST(Divergence, CanBeLetPass) {
  RateNetwork<double> network(2, 2);
  Simulation simulation = network.bench.simulation({.precision = Precision::Float64, .stop_on_nonfinite = false});
  simulation.initialise();
  ASSERT_TRUE(simulation.set(network.w, std::vector<double>{kNaN}).ok());
  ASSERT_TRUE(simulation.run(3, 1, {}, {}).ok());
  EXPECT_FALSE(simulation.divergence().has_value());
  EXPECT_EQ(simulation.steps_done(), 3);
}

TEST(Divergence, IsSeenAfterASingleStepToo) {
  RateNetwork<double> network(1, 1);
  Simulation simulation = network.bench.simulation(in_double());
  simulation.initialise();
  simulation.feed(network.x, std::vector<double>{kInf});
  simulation.step(1);
  ASSERT_TRUE(simulation.divergence().has_value());
  EXPECT_EQ(simulation.divergence()->step, 0);
}

TEST(Finite, SeesEveryElementButNoPadding) {
  for (const Precision precision : {Precision::Float32, Precision::Float64}) {
    for (const int64_t m : {1, 7, 16, 17, 33}) {
      Bench bench;
      const SpaceId n = bench.neurons(3), post = bench.neurons(m);
      const ColumnId w = bench.column("w", bench.dense(n, post), Role::State, 2);
      auto columns = Columns::create(*bench.program, precision);
      ASSERT_TRUE(columns.ok());
      const size_t size = static_cast<size_t>(columns->layout(w).size());
      for (size_t k = 0; k < size; ++k) {
        columns->fill(w, kNaN);  // padding stays NaN
        std::vector<double> values(size, 1e30);
        columns->write(w, values);
        ASSERT_TRUE(all_finite(*columns, w));
        values[k] = k % 2 ? kInf : kNaN;
        columns->write(w, values);
        EXPECT_FALSE(all_finite(*columns, w)) << k;
        const auto found = first_not_finite(*bench.program, *columns, w);
        ASSERT_TRUE(found.has_value());
        const std::vector<int64_t>& at = found->index;
        EXPECT_EQ(static_cast<size_t>((at[0] * m + at[1]) * 2 + at[2]), k);
      }
    }
  }
}

}  // namespace
}  // namespace hebb
