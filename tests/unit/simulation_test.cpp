// The runner of plans, with programs and kernels written by hand: columns, cuts, threads.

#include <cmath>
#include <cstring>
#include <fstream>
#include <numeric>

#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "compiler/support/memory.h"
#include "runtime/columns.h"
#include "runtime/plan_runner.h"
#include "tests/unit/by_hand.h"

namespace hebb {
namespace {

using namespace by_hand;

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

TEST(Simulation, StartsSumsFromTheirResetValueEveryStep) {
  RateNetwork<double> network(2, 3);
  Simulation simulation = network.bench.simulation(in_double());
  const FeedValues feed{.name = "x", .values = {0, 0}, .rows = 2, .constant = true};
  ASSERT_TRUE(simulation.set(network.w, std::vector<double>{1, 2, 3, 4, 5, 6}).ok());
  ASSERT_TRUE(simulation.run(3, 1, std::span(&feed, 1), {}).ok());
  const std::vector<double> w = simulation.get(network.w);
  EXPECT_EQ(simulation.get(network.rows), (std::vector<double>{0.5 + w[0] + w[1] + w[2], 0.5 + w[3] + w[4] + w[5]}));
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

TEST(Memory, IsWhatALimitOfAddressesLeaves) {
  uint64_t pages = 0;
  ASSERT_TRUE(std::ifstream("/proc/self/statm") >> pages);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  constexpr uint64_t kLeft = uint64_t{256} << 20;
  const rlimit now{.rlim_cur = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + kLeft, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &now), 0);
  const uint64_t left = available_memory();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_LE(left, kLeft);
  EXPECT_GT(left, kLeft / 2);
  EXPECT_GT(available_memory(), kLeft);
}

}  // namespace
}  // namespace hebb
