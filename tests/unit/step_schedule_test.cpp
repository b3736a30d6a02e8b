// Which way of a step is taken, in which order threads do it, and what is left out of it.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "runtime/faster_way.h"
#include "runtime/step_constants.h"
#include "runtime/step_schedule.h"
#include "runtime/threads.h"

namespace hebb {
namespace {

constexpr uint32_t kA = 0, kB = 1;

Task all(std::vector<Touch> touches) { return {.touches = std::move(touches)}; }
Task first(std::vector<Touch> touches) { return {.first_thread = true, .touches = std::move(touches)}; }

TEST(Levels, ThreadsThatKeepToTheirOwnNeedNotMeet) {
  const std::vector<Task> tasks = {all({{kA, true, Reach::OwnNeurons}}), all({{kA, false, Reach::OwnNeurons}, {kB, true, Reach::OwnByPost}}),
                                   all({{kB, true, Reach::OwnByPost}})};
  EXPECT_EQ(levels(tasks), (std::vector<int>{1, 1, 1}));
}

TEST(Levels, ReadersOfOthersComeLaterAndSoDoWritersAfterThem) {
  const std::vector<Task> tasks = {all({{kA, true, Reach::OwnNeurons}}), all({{kA, false, Reach::Any}}), all({{kA, true, Reach::OwnNeurons}}),
                                   all({{kA, false, Reach::OwnNeurons}}), all({{kB, true, Reach::OwnNeurons}})};
  EXPECT_EQ(levels(tasks), (std::vector<int>{1, 3, 5, 5, 1}));
}

TEST(Levels, OnlyReadersShareALevelHoweverFarTheyReach) {
  const std::vector<Task> tasks = {all({{kA, false, Reach::Any}}), all({{kA, false, Reach::OwnByPre}}), first({{kA, false, Reach::First}})};
  EXPECT_EQ(levels(tasks), (std::vector<int>{1, 1, 0}));
}

TEST(Levels, TheFirstThreadWorksBetweenTheOthers) {
  const std::vector<Task> tasks = {first({{kA, true, Reach::First}}), all({{kA, false, Reach::Any}, {kB, true, Reach::OwnNeurons}}),
                                   first({{kB, false, Reach::First}}), all({{kB, true, Reach::OwnByPre}}), all({{kB, true, Reach::OwnByPost}})};
  EXPECT_EQ(levels(tasks), (std::vector<int>{0, 1, 2, 3, 5}));
  Task beside = first({{kA, true, Reach::First}});
  beside.beside = true;
  EXPECT_EQ(levels(std::vector<Task>{beside}), (std::vector<int>{1}));
}

/// Share of `steps` done in the second way, which takes `cost(step)` where the first takes 1.
template <class Cost>
double share_of_second(int steps, Cost cost) {
  FasterWay way;
  int second = 0;
  for (int k = 0; k < steps; ++k) {
    second += way.second() ? 1 : 0;
    way.took(way.second() ? cost(k) : 1.0);
  }
  return second / static_cast<double>(steps);
}

TEST(FasterWay, TakesWhatIsFaster) {
  EXPECT_GT(share_of_second(100'000, [](int) { return 0.6; }), 0.98);
  EXPECT_LT(share_of_second(100'000, [](int) { return 1.2; }), 0.02);
}

// Another process has the second processor: most steps are fast, a few take a time slice.
TEST(FasterWay, LeavesWhatIsFasterMostOfTheTimeAndWaitsForLong) {
  const auto stalls = [](int k) { return k % 100 == 99 ? 300.0 : 0.6; };
  FasterWay way;
  double took = 0;
  constexpr int kSteps = 400'000;
  for (int k = 0; k < kSteps; ++k) {
    const double now = way.second() ? stalls(k) : 1.0;
    took += now;
    way.took(now);
  }
  EXPECT_LT(took, 1.05 * kSteps) << "twice as long as one thread would be 2";
}

// Stalls of a time slice, often and seldom: never dear, whatever was won in between.
TEST(FasterWay, StallsStayCheap) {
  for (const int every : {50, 200, 1000, 3000})
    for (const double stall : {30.0, 300.0, 3000.0}) {
      FasterWay way;
      double took = 0;
      constexpr int kSteps = 400'000;
      for (int k = 0; k < kSteps; ++k) {
        const double now = !way.second() ? 1.0 : k % every == every - 1 ? stall : 0.8;
        took += now;
        way.took(now);
      }
      EXPECT_LT(took, 1.1 * kSteps) << stall << " every " << every;
    }
}

TEST(FasterWay, FollowsWhenThingsChange) {
  EXPECT_LT(share_of_second(200'000, [](int k) { return k < 100'000 ? 0.5 : 3.0; }), 0.52);
  EXPECT_GT(share_of_second(400'000, [](int k) { return k < 20'000 ? 3.0 : 0.5; }), 0.85);
}

// Neurons are silent for 2000 steps, when two threads only wait for each other; then they spike together every 90 steps.
TEST(FasterWay, JudgesNetworksThatBegin) {
  FasterWay way;
  int second = 0;
  for (int k = 0; k < 20'000; ++k) {
    const double work = k < 2000 ? 1 : k % 90 < 15 ? 12 : 2;
    if (k >= 4000) second += way.second() ? 1 : 0;
    way.took(!way.second() ? work : k < 2000 ? 1.3 : 0.55 * work + 0.3);
  }
  EXPECT_GT(second, 0.9 * 16'000);
}

// Silent for so long that a trial is rare; then it must not wait for the next one.
TEST(FasterWay, LooksAgainWhenThereIsMoreToDo) {
  for (const int silent : {3000, 50'000}) {
    FasterWay way;
    int second = 0;
    for (int k = 0; k < silent + 10'000; ++k) {
      const double work = k < silent ? 1 : 3;
      if (k >= silent) second += way.second() ? 1 : 0;
      way.took(!way.second() ? work : k < silent ? 1.3 : 0.6 * work);
    }
    EXPECT_GT(second, 9000) << silent;
  }
}

TEST(Meeting, NobodyGoesOnBeforeAllAreThere) {
  for (const int threads : {1, 2, 5}) {
    Meeting meeting(threads);
    ThreadPool pool(threads);
    constexpr int kRounds = 200;
    std::vector<int> at(static_cast<size_t>(threads) * 64);
    int between = 0;
    std::atomic<int> wrong{0};
    pool.run(threads, [&](int thread) {
      for (int round = 1; round <= kRounds; ++round) {
        at[static_cast<size_t>(thread) * 64] = round;
        if (thread == threads - 1 && round % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // others sleep
        meeting.meet(thread, [&] { ++between; });
        for (int other = 0; other < threads; ++other) wrong += at[static_cast<size_t>(other) * 64] != round;
        wrong += between != 2 * round - 1;
        meeting.meet(thread, [&] { ++between; });
      }
    });
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(between, 2 * kRounds);
  }
}

TEST(StepConstants, AreWhatDependsOnParametersAlone) {
  Program program;
  const SpaceId one = program.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
  const ColumnId tau = program.add(Column{.name = "tau", .space = one, .role = Role::Param});
  const ColumnId trace = program.add(Column{.name = "trace", .space = one, .role = Role::State});
  const ColumnId decay = program.add(Column{.name = "decay", .space = one});
  const ColumnId twice = program.add(Column{.name = "twice", .space = one});
  ExprPool& pool = program.pool;
  const auto load = [&](ColumnId column) { return pool.load(column, At::Uniform); };
  const ExprId of_tau = pool.make(Op::Exp, load(tau));
  const KernelId constant = program.add(Kernel{.name = "constant", .domain = one, .stores = {{.into = decay, .value = of_tau}}});
  const KernelId again = program.add(Kernel{.name = "again", .domain = one, .stores = {{.into = decay, .value = of_tau}, {.into = twice, .value = load(trace)}}});
  program.plan.step = {{constant}, {again}};
  StepConstants found = step_constants(program);
  EXPECT_EQ(found.kernels, (std::vector<bool>{true, false}));
  EXPECT_TRUE(found.columns[decay.value] && !found.columns[twice.value] && !found.columns[trace.value]);
  // Only in some steps, or another value elsewhere: not the same in every step.
  program.plan.step = {{constant, When::Quiet}, {again}};
  EXPECT_FALSE(step_constants(program).kernels[constant.value]);
  program.plan.step = {{constant}, {again}};
  program.plan.init = {{program.add(Kernel{.name = "other", .domain = one, .stores = {{.into = decay, .value = load(trace)}}})}};
  EXPECT_FALSE(step_constants(program).kernels[constant.value]);
}

}  // namespace
}  // namespace hebb
