// The runner of plans, with programs and kernels written here by hand.

#include "runtime/simulation.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "compiler/support/memory.h"
#include "runtime/clock.h"
#include "runtime/columns.h"
#include "runtime/finite.h"
#include "runtime/plan_runner.h"
#include "runtime/random.h"

namespace hebb {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

using KernelFunction = std::function<void(const hebb_launch*)>;

/// A program under construction with its kernels.
struct Bench {
  std::shared_ptr<Program> program = std::make_shared<Program>();
  Kernels kernels;

  SpaceId uniform() { return space({.kind = SpaceKind::Uniform, .name = "uniform"}); }
  SpaceId neurons(int64_t n) { return space({.kind = SpaceKind::Neurons, .name = "N", .size = n}); }
  SpaceId dense(SpaceId pre, SpaceId post) {
    return space({.kind = SpaceKind::Dense, .name = "W", .pre = pre, .post = post});
  }
  SpaceId space(Space space) {
    program->spaces.push_back(std::move(space));
    return {static_cast<uint32_t>(program->spaces.size() - 1)};
  }
  ColumnId column(std::string name, SpaceId space, Role role, int64_t width = 1, double reset = 0) {
    program->columns.push_back({.name = std::move(name), .space = space, .role = role, .width = width, .reset = reset});
    return {static_cast<uint32_t>(program->columns.size() - 1)};
  }
  KernelId kernel(Kernel shape, KernelFunction run) {
    program->kernels.push_back(std::move(shape));
    kernels.run.push_back(std::move(run));
    return {static_cast<uint32_t>(program->kernels.size() - 1)};
  }
  void step(KernelId id, When when = When::Always) { program->plan.step.push_back({id, when}); }
  Simulation simulation(SimulationOptions options = {}) {
    auto made = Simulation::create(program, kernels, options);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error());
    return *std::move(made);
  }
};

template <class Real = double>
Real* base(const hebb_launch* launch, ColumnId id) {
  return static_cast<Real*>(launch->columns[id.value]);
}

SimulationOptions in_double() { return {.precision = Precision::Float64}; }

// ---------------------------------------------------------------------------------------- columns

TEST(Columns, KeepEveryElementInItsPlaceAtOddSizes) {
  for (const Precision precision : {Precision::Float32, Precision::Float64}) {
    for (const int64_t n : {0, 1, 7, 16, 17}) {
      for (const int64_t m : {0, 1, 7, 16, 17}) {
        for (const int64_t width : {1, 3}) {
          Bench bench;
          const SpaceId pre = bench.neurons(n), post = bench.neurons(m);
          const ColumnId a = bench.column("a", pre, Role::State, width);
          const ColumnId w = bench.column("w", bench.dense(pre, post), Role::State, width);
          const ColumnId u = bench.column("u", bench.uniform(), Role::State, width);
          auto columns = Columns::create(*bench.program, precision);
          ASSERT_TRUE(columns.ok());
          for (const ColumnId id : {a, w, u}) {
            const int64_t size = columns->layout(id).size();
            ASSERT_EQ(size, id == a ? n * width : id == w ? n * m * width : width);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(columns->base(id)) % 64, 0u);
            std::vector<double> values(static_cast<size_t>(size));
            std::iota(values.begin(), values.end(), 1.0);
            if (size == 1) values[0] = 5;
            columns->write(id, values);
            std::vector<double> back(values.size());
            columns->read(id, back);
            EXPECT_EQ(back, values);
          }
          EXPECT_EQ(columns->planes()[a.value] % 16, 0);
          EXPECT_EQ(columns->planes()[u.value], 0);
          EXPECT_EQ(columns->layout(w).row % 16, 0);
          EXPECT_GE(columns->layout(w).row, m);
        }
      }
    }
  }
}

TEST(Columns, PutElementEOfNeuronIAtPlaneEPlusI) {
  Bench bench;
  const SpaceId n = bench.neurons(5);
  const ColumnId a = bench.column("a", n, Role::State, 2);
  const ColumnId w = bench.column("w", bench.dense(n, n), Role::State, 2);
  auto columns = Columns::create(*bench.program, Precision::Float64);
  ASSERT_TRUE(columns.ok());
  std::vector<double> values(50);
  std::iota(values.begin(), values.end(), 0.0);
  columns->write(w, values);
  const double* p = static_cast<const double*>(columns->base(w));
  // (2, 3) element 1, by the formula of hebb_abi.h
  EXPECT_EQ(p[1 * columns->planes()[w.value] + 2 * 16 + 3], (2 * 5 + 3) * 2 + 1);
  columns->write(a, std::span(values).first(10));
  EXPECT_EQ(static_cast<const double*>(columns->base(a))[1 * 16 + 4], 9);
}

TEST(Columns, RefuseWhatDoesNotFitAndSayHowMuch) {
  Bench bench;
  bench.program->name = "Cortex";
  const SpaceId n = bench.neurons(900'000);
  bench.column("w", bench.dense(n, n), Role::State);
  const auto made = Simulation::create(bench.program, bench.kernels, {});
  ASSERT_FALSE(made.ok());
  EXPECT_TRUE(made.error().starts_with("'Cortex' needs 3.2 TB of memory, ")) << made.error();
  EXPECT_TRUE(made.error().ends_with(" available")) << made.error();
}

TEST(Columns, RefuseSizesThatOverflowSixtyFourBits) {
  Bench bench;
  const SpaceId n = bench.neurons(int64_t{1} << 40);
  bench.column("w", bench.dense(n, n), Role::State, 1000);
  EXPECT_FALSE(Simulation::create(bench.program, bench.kernels, {}).ok());
}

TEST(Columns, BytesAreWrittenForPeople) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(812), "812 B");
  EXPECT_EQ(bytes_text(1500), "1.5 kB");
  EXPECT_EQ(bytes_text(23e9), "23 GB");
  EXPECT_EQ(bytes_text(3.24e12), "3.2 TB");
  EXPECT_EQ(bytes_text(999.9e6), "1.0 GB");
  EXPECT_EQ(bytes_text(5e21), "5000 EB");
}

TEST(Columns, SetSaysWhatItTakes) {
  Bench bench;
  const SpaceId pre = bench.neurons(3), post = bench.neurons(4);
  const ColumnId w = bench.column("W.w", bench.dense(pre, post), Role::State);
  Simulation simulation = bench.simulation(in_double());
  const Status wrong = simulation.set(w, std::vector<double>(5));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error(), "'W.w' takes 12 numbers (3 x 4), got 5");
  EXPECT_FALSE(simulation.set(w, {}).ok());
  ASSERT_TRUE(simulation.set(w, std::vector<double>{2.5}).ok());
  EXPECT_EQ(simulation.get(w), std::vector<double>(12, 2.5));
}

// ------------------------------------------------------------------------------------------- cuts

TEST(Cut, FollowsTheSumsOfTheKernel) {
  Bench bench;
  const SpaceId one = bench.uniform(), n = bench.neurons(100), dense = bench.dense(n, n);
  const ColumnId sum = bench.column("sum", n, Role::Value);
  const auto way = [&](SpaceId domain, std::vector<Scan> scans, std::vector<At> ats) {
    Kernel kernel{.domain = domain, .scans = std::move(scans)};
    for (const At at : ats) kernel.accumulates.push_back({.into = sum, .at = at});
    return allowed_cut(*bench.program, kernel);
  };
  EXPECT_EQ(way(one, {}, {}), Cut::None);
  EXPECT_EQ(way(n, {}, {}), Cut::ByPost);
  EXPECT_EQ(way(n, {}, {At::Uniform}), Cut::None);
  EXPECT_EQ(way(dense, {}, {}), Cut::Either);
  EXPECT_EQ(way(dense, {}, {At::Post}), Cut::ByPost);
  EXPECT_EQ(way(dense, {}, {At::Pre}), Cut::ByPre);
  EXPECT_EQ(way(dense, {}, {At::Pre, At::Post}), Cut::None);
  EXPECT_EQ(way(dense, {}, {At::Uniform}), Cut::None);
  EXPECT_EQ(way(dense, {{.along = At::Post}}, {}), Cut::ByPre);
  EXPECT_EQ(way(dense, {{.along = At::Pre}}, {}), Cut::ByPost);
  EXPECT_EQ(way(dense, {{.along = At::Post}}, {At::Post}), Cut::None);
}

TEST(Cut, CoversEveryRowOnceAndNeverSharesAVector) {
  for (const int64_t n : {0, 1, 7, 16, 17, 100, 1000}) {
    for (const int64_t m : {0, 1, 7, 16, 17, 100, 1000}) {
      for (const int threads : {1, 2, 3, 8, 64}) {
        for (const At at : {At::Pre, At::Post, At::Self}) {
          Bench bench;
          const SpaceId pre = bench.neurons(n), post = bench.neurons(m);
          Kernel kernel{.domain = bench.dense(pre, post)};
          if (at != At::Self) kernel.accumulates.push_back({.at = at});
          const std::vector<Part> parts = cut(*bench.program, kernel, threads, 1);
          ASSERT_LE(parts.size(), static_cast<size_t>(threads));
          int64_t rows = 0;
          for (size_t k = 0; k < parts.size(); ++k) {
            const Part& p = parts[k];
            rows += (p.pre_end - p.pre_begin) * (p.post_end - p.post_begin);
            EXPECT_EQ(p.post_begin % 16, 0);
            EXPECT_TRUE(p.post_end == m || p.post_end % 16 == 0);
            if (parts.size() > 1 && n * m > 0) {
              EXPECT_LT(p.pre_begin, p.pre_end);
              EXPECT_LT(p.post_begin, p.post_end);
            }
            if (at == At::Post) {
              EXPECT_EQ(p.pre_end - p.pre_begin, n);
            }
            if (at == At::Pre) {
              EXPECT_EQ(p.post_end - p.post_begin, m);
            }
          }
          EXPECT_EQ(rows, n * m);
        }
      }
    }
  }
}

TEST(Cut, LeavesTinyLaunchesOnOneThread) {
  Bench bench;
  const SpaceId n = bench.neurons(100);
  const Kernel kernel{.domain = n};
  EXPECT_EQ(cut(*bench.program, kernel, 8, 8192).size(), 1u);
  EXPECT_EQ(cut(*bench.program, kernel, 8, 40).size(), 2u);
}

// ---------------------------------------------------------------------------------------- threads

TEST(ThreadPool, RunsEveryPartOnceManyTimes) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 500; ++round) {
      const int count = round % 11;
      std::vector<int> calls(static_cast<size_t>(count));
      pool.run(count, [&](int k) { ++calls[static_cast<size_t>(k)]; });
      EXPECT_EQ(calls, std::vector<int>(static_cast<size_t>(count), 1));
    }
  }
}

/// A rate network: y = sum_i w[i][j] x[i]; w += 0.01 (x y - w), plus noise; row sums; a total.
template <class Real>
struct RateNetwork {
  Bench bench;
  SpaceId one = bench.uniform();
  SpaceId pre, post, dense;
  ColumnId x, w, y, rows, total;

  RateNetwork(int64_t n, int64_t m) : pre(bench.neurons(n)), post(bench.neurons(m)), dense(bench.dense(pre, post)) {
    x = bench.column("X.r", pre, Role::Fed);
    w = bench.column("W.w", dense, Role::State);
    y = bench.column("Y.r", post, Role::Value);
    rows = bench.column("W.rows", pre, Role::Value, 1, 0.5);
    total = bench.column("total", one, Role::Value);
    bench.program->plan.feeds = {{.name = "x", .column = x}};
    const auto draw = [this](const hebb_launch* l, int64_t i, int64_t j) {
      return draw_uniform<Real>(l->key, 0, 0, static_cast<uint64_t>(i * l->post_count + j), l->step);
    };
    const KernelId start = bench.kernel({.name = "start", .domain = dense, .stores = {{.into = w}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j) base<Real>(l, w)[i * l->row + j] = draw(l, i, j);
    });
    const KernelId input = bench.kernel({.name = "input", .domain = dense, .accumulates = {{.into = y, .at = At::Post}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j)
          base<Real>(l, y)[j] += base<Real>(l, w)[i * l->row + j] * base<Real>(l, x)[i];
    });
    const KernelId learn = bench.kernel({.name = "learn", .domain = dense, .stores = {{.into = w}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j) {
          Real& weight = base<Real>(l, w)[i * l->row + j];
          weight += Real(0.01) * (base<Real>(l, x)[i] * base<Real>(l, y)[j] - weight + draw(l, i, j));
        }
    });
    const KernelId sums = bench.kernel({.name = "sums", .domain = dense, .accumulates = {{.into = rows, .at = At::Pre}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j) base<Real>(l, rows)[i] += base<Real>(l, w)[i * l->row + j];
    });
    const KernelId all = bench.kernel({.name = "all", .domain = pre, .accumulates = {{.into = total, .at = At::Uniform}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->post_begin; i < l->post_end; ++i) base<Real>(l, total)[0] += base<Real>(l, rows)[i];
    });
    bench.program->plan.init = {{start}};
    for (const KernelId id : {input, learn, sums, all}) bench.step(id);
  }
};

template <class Real>
void expect_same_bits_for_any_number_of_threads(int64_t n, int64_t m) {
  std::vector<Recorded> reference;
  for (const int threads : {1, 2, 3, 8}) {
    RateNetwork<Real> network(n, m);
    Simulation simulation = network.bench.simulation({
        .precision = sizeof(Real) == 4 ? Precision::Float32 : Precision::Float64,
        .seed = 7, .threads = threads, .rows_per_thread = 1});
    simulation.initialise();
    FeedValues feed{.name = "x", .values = {}, .rows = n};
    for (int64_t k = 0; k < 20 * n; ++k) feed.values.push_back(std::sin(0.37 * static_cast<double>(k)));
    const std::vector<Recording> recordings = {{.name = "w", .column = network.w},
                                               {.name = "rows", .column = network.rows},
                                               {.name = "total", .column = network.total}};
    const Status ran = simulation.run(20, 1, std::span(&feed, 1), recordings);
    ASSERT_TRUE(ran.ok()) << ran.error();
    std::vector<Recorded> got = simulation.take_recorded();
    if (threads == 1) {
      reference = std::move(got);
      continue;
    }
    ASSERT_EQ(got.size(), reference.size());
    for (size_t k = 0; k < got.size(); ++k) {
      ASSERT_EQ(got[k].values.size(), reference[k].values.size());
      EXPECT_EQ(0, std::memcmp(got[k].values.data(), reference[k].values.data(), got[k].values.size() * sizeof(double)))
          << got[k].name << " with " << threads << " threads, " << n << " x " << m;
    }
  }
}

TEST(Threads, GiveTheSameBits) {
  for (const int64_t n : {1, 7, 17, 64}) {
    for (const int64_t m : {1, 7, 17, 100}) {
      expect_same_bits_for_any_number_of_threads<float>(n, m);
      expect_same_bits_for_any_number_of_threads<double>(n, m);
    }
  }
}

TEST(Simulation, RunsAnEmptyNetwork) {
  RateNetwork<double> network(0, 7);
  Simulation simulation = network.bench.simulation(in_double());
  simulation.initialise();
  const FeedValues feed{.name = "x", .values = {}, .rows = 0, .constant = true};
  const Recording recording{.name = "w", .column = network.w};
  const Status ran = simulation.run(1, 1, std::span(&feed, 1), std::span(&recording, 1));
  EXPECT_FALSE(ran.ok());  // zero numbers a step are no data
  ASSERT_TRUE(simulation.run(3, 1, {}, std::span(&recording, 1)).ok());
  EXPECT_EQ(simulation.recorded()[0].samples, 3);
  EXPECT_TRUE(simulation.recorded()[0].values.empty());
}

TEST(Simulation, DrawsDifferBetweenSeedsAndLanesAndRepeat) {
  const auto first_weight = [](uint64_t seed, uint32_t lane) {
    RateNetwork<double> network(1, 1);
    Simulation simulation = network.bench.simulation({.precision = Precision::Float64, .seed = seed, .lane = lane});
    simulation.initialise();
    const double first = simulation.get(network.w)[0];
    (void)simulation.run(3, 1, {}, {});
    simulation.initialise();
    EXPECT_EQ(simulation.get(network.w)[0], first);
    EXPECT_EQ(simulation.steps_done(), 0);
    return first;
  };
  EXPECT_EQ(first_weight(1, 0), draw_uniform<double>(random_key(1, 0), 0, 0, 0, -1));
  EXPECT_NE(first_weight(1, 0), first_weight(2, 0));
  EXPECT_NE(first_weight(1, 0), first_weight(1, 1));
}

// ------------------------------------------------------------------------- a counter, step by step

/// Counts instants: n += 1 always, clocked += indicator in eventful steps only, quiet += 1 in quiet ones.
struct Counter {
  Bench bench;
  SpaceId one = bench.uniform();
  ColumnId n = bench.column("n", one, Role::State);
  ColumnId clocked = bench.column("clocked", one, Role::State);
  ColumnId quiet = bench.column("quiet", one, Role::State);
  ColumnId tick = bench.column("tick", one, Role::Indicator);
  ColumnId period = bench.column("period", one, Role::Param);
  ColumnId event = bench.column("event", one, Role::Indicator);
  ColumnId spike = bench.column("spike", one, Role::Indicator);
  ColumnId dt = bench.column("dt", one, Role::Param);

  template <class Real = double>
  explicit Counter(Real = {}) {
    bench.program->dt = dt;
    bench.program->plan.clocks = {{.indicator = tick, .period = period}};
    bench.program->plan.feeds = {{.name = "event", .column = event, .event = true},
                                 {.name = "spike", .column = spike, .event = true, .always = true}};
    const auto add = [this](std::string name, ColumnId into, auto value) {
      return bench.kernel({.name = std::move(name), .domain = one, .stores = {{.into = into}}},
                          [=](const hebb_launch* l) { *base<Real>(l, into) += value(l); });
    };
    bench.step(add("count", n, [](const hebb_launch*) { return Real(1); }));
    bench.step(add("clocked", clocked, [this](const hebb_launch* l) { return *base<Real>(l, tick); }), When::Eventful);
    bench.step(add("quiet", quiet, [](const hebb_launch*) { return Real(1); }), When::Quiet);
  }
};

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

TEST(Simulation, StartsSumsFromTheirResetValueEveryStep) {
  RateNetwork<double> network(2, 3);
  Simulation simulation = network.bench.simulation(in_double());
  const FeedValues feed{.name = "x", .values = {0, 0}, .rows = 2, .constant = true};
  ASSERT_TRUE(simulation.set(network.w, std::vector<double>{1, 2, 3, 4, 5, 6}).ok());
  ASSERT_TRUE(simulation.run(3, 1, std::span(&feed, 1), {}).ok());
  const std::vector<double> w = simulation.get(network.w);
  EXPECT_EQ(simulation.get(network.rows), (std::vector<double>{0.5 + w[0] + w[1] + w[2], 0.5 + w[3] + w[4] + w[5]}));
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

// Synapses that would take long to copy are copied seldom; what is found late is then looked for in parts.
TEST(Divergence, IsFoundInALongWindow) {
  for (const int64_t bad_step : {20, 511, 512, 1234, 2999}) {
    Bench bench;
    const SpaceId n = bench.neurons(2100);
    const SpaceId synapses = bench.program->add(Space{.kind = SpaceKind::Sparse, .name = "W", .pre = n, .post = n, .connect = {.p = 1}});
    const ColumnId w = bench.column("W.w", synapses, Role::State);
    const ColumnId count = bench.column("count", bench.uniform(), Role::State);
    bench.step(bench.kernel({.name = "grow", .domain = synapses, .stores = {{.into = w}, {.into = count}}}, [=](const hebb_launch* l) {
      base<float>(l, count)[0] += 1;
      if (l->step == bad_step) base<float>(l, w)[1'000'003] = kInf;
    }));
    Simulation simulation = bench.simulation();
    simulation.initialise();
    ASSERT_TRUE(simulation.run(7, 1, {}, {}).ok());
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

// --------------------------------------------------------------------------------------- interrupt

TEST(Interrupt, EndsTheRunBetweenSteps) {
  std::atomic<bool> stop = false;
  Counter counter;
  counter.bench.step(counter.bench.kernel({.name = "stop", .domain = counter.one}, [&](const hebb_launch* l) { stop = l->step == 9; }));
  Simulation simulation = counter.bench.simulation({.precision = Precision::Float64, .interrupted = &stop});
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{1000}).ok());
  simulation.initialise();
  const std::vector<Recording> recordings = {{.name = "n", .column = counter.n}, {.name = "end", .column = counter.n, .final_only = true}};
  ASSERT_TRUE(simulation.run(100, 1, {}, recordings).ok());
  EXPECT_EQ(simulation.steps_done(), 10);
  EXPECT_EQ(simulation.recorded()[0].samples, 10);
  EXPECT_EQ(simulation.recorded()[1].values, (std::vector<double>{10}));
  ASSERT_TRUE(simulation.run(5, 1, {}, {}).ok());  // still raised: nothing runs
  EXPECT_EQ(simulation.steps_done(), 10);
}

TEST(Simulation, RefusesStepsAndTimesThatAreNone) {
  Counter counter;
  Simulation simulation = counter.bench.simulation(in_double());
  ASSERT_TRUE(simulation.set(counter.period, std::vector<double>{1}).ok());
  EXPECT_FALSE(simulation.run(-1, 1, {}, {}).ok());
  for (const double dt : {-1.0, kNaN, kInf}) EXPECT_FALSE(simulation.run(1, dt, {}, {}).ok());
}

}  // namespace
}  // namespace hebb
