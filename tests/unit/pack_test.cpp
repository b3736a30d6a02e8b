// Runs that go together have the bits of runs that go alone: recordings, gradients, what signals are owed; whatever the
// runs beside them do, whether they end early or become infinite.

#include <gtest/gtest.h>

#include "runtime/trajectory/pack.h"
#include "tests/unit/recordings.h"

namespace hebb {
namespace {

using namespace recordings;

std::vector<std::vector<Found>> together(const RecordedNetwork& n, Precision precision, uint64_t count, uint64_t max_bytes) {
  auto kernels = jit(n.adjoint->program, {.precision = precision, .whole = true, .lanes = true});
  EXPECT_TRUE(kernels.ok());
  std::vector<uint64_t> keys;
  for (uint64_t r = 0; r < count; ++r) keys.push_back(random_key(9, static_cast<uint32_t>(r)));
  auto pack = TrajectoryPack::create(n.adjoint, *kernels, precision, max_bytes, keys);
  EXPECT_TRUE(pack.ok());
  std::vector<std::vector<Found>> out(count);
  for (const int turn : {0, 1}) {
    std::vector<Given> all;
    for (uint64_t r = 0; r < count; ++r) all.push_back(given(n, r, turn));
    std::vector<const std::vector<double>*> as, ws, paces;
    std::vector<const std::vector<FeedValues>*> feeds;
    for (const Given& g : all) as.push_back(&g.a), ws.push_back(&g.w), paces.push_back(&g.pace), feeds.push_back(&g.feeds);
    if (turn == 0) {
      EXPECT_TRUE(pack->feed(kSteps, feeds));
    }
    EXPECT_TRUE(!n.eventful || pack->set(n.pace, paces).ok());
    EXPECT_TRUE(pack->set(n.a, as).ok());
    pack->initialise();
    EXPECT_TRUE(pack->set(n.w, ws).ok());
    auto recorded = pack->forward(1, n.read);
    EXPECT_TRUE(recorded.ok()) << recorded.error();
    if (!recorded) return out;
    std::vector<ByLane> seeds;
    for (uint64_t r = 0; r < count; ++r) seeds.push_back(owed(r));
    pack->reverse(n.read, seeds);
    for (uint64_t r = 0; r < count; ++r) {
      const auto lane = static_cast<int64_t>(r);
      out[r].push_back({(*recorded)[r], pack->gradient(n.a, lane), pack->gradient(n.w, lane), pack->gradient_of_feed(n.x, lane)});
    }
  }
  return out;
}

void compare(Precision precision, uint64_t count, uint64_t max_bytes, bool eventful = false) {
  const RecordedNetwork n = recorded_network(eventful);
  const auto all = together(n, precision, count, max_bytes);
  size_t finite = 0;
  for (uint64_t r = 0; r < count; ++r) {
    const auto one = alone(n, precision, r, uint64_t{1} << 30);
    for (size_t turn = 0; turn < 2; ++turn) {
      const std::string what = "recording " + std::to_string(r) + ", turn " + std::to_string(turn);
      for (size_t k = 0; k < n.read.size(); ++k) expect_equal(all[r][turn].recorded[k], one[turn].recorded[k], what + ", recorded");
      expect_equal(all[r][turn].a, one[turn].a, what + ", coefficients");
      expect_equal(all[r][turn].w, one[turn].w, what + ", first weights");
      expect_equal(all[r][turn].x, one[turn].x, what + ", signal");
      finite += std::isfinite(one[turn].a[0]) && one[turn].a[0] != 0;
    }
  }
  EXPECT_GT(finite, count / 2);   // not all of it is nan or nothing
}

TEST(pack, sixteen_runs_have_the_bits_of_runs_alone) {
  compare(Precision::Float32, 16, uint64_t{1} << 30);
  compare(Precision::Float64, 16, uint64_t{1} << 30);
}

TEST(pack, a_few_runs_do_too) {
  compare(Precision::Float32, 1, uint64_t{1} << 30);
  compare(Precision::Float32, 7, uint64_t{1} << 30);
}

TEST(pack, and_runs_from_checkpoints) {
  const RecordedNetwork n = recorded_network();
  auto kernels = jit(n.adjoint->program, {.precision = Precision::Float32, .whole = true, .lanes = true});
  ASSERT_TRUE(kernels.ok());
  const std::vector<uint64_t> keys = {1, 2, 3};
  // The least memory that is enough, between too little and plenty.
  uint64_t low = 0, high = uint64_t{1} << 26;
  const auto enough = [&](uint64_t bytes) {
    auto pack = TrajectoryPack::create(n.adjoint, *kernels, Precision::Float32, bytes, keys);
    const Given g = given(n, 0, 0);
    const std::vector<const std::vector<FeedValues>*> feeds(3, &g.feeds);
    EXPECT_TRUE(pack->feed(kSteps, feeds));
    return pack->forward(1, n.read).ok();
  };
  while (high - low > 64) (enough((low + high) / 2) ? high : low) = (low + high) / 2;
  compare(Precision::Float32, 16, high);
}

TEST(pack, a_run_alone_from_checkpoints_keeps_its_states_without_padding) {
  const RecordedNetwork n = recorded_network(/*eventful=*/true);
  const Given g = given(n, 0, 0);
  const auto kept = [&](uint64_t bytes) {
    auto run = Trajectory::create(n.adjoint, interpret({n.adjoint, &n.adjoint->program}, Precision::Float64), {.max_bytes = bytes});
    const auto done = run->forward(kSteps, 1, g.feeds, n.read);
    return done ? run->memory() : TrajectoryMemory{};
  };
  const TrajectoryMemory all = kept(uint64_t{1} << 30), some = kept(all.bytes - 1);
  EXPECT_EQ(all.checkpoints, 1);
  EXPECT_GT(some.checkpoints, 2);
  // 31 numbers a state, of which rows of 5 and columns of one take whole lines: 13 lines.
  EXPECT_LT(some.bytes, all.bytes - (kSteps - 1) * 13 * 64 + 2 * kSteps * 31 * 8);
  for (const uint64_t r : {0, 1, 4, 5}) {
    const auto plenty = alone(n, Precision::Float64, r, uint64_t{1} << 30), little = alone(n, Precision::Float64, r, all.bytes - 1);
    for (size_t turn = 0; turn < 2; ++turn) {
      for (size_t k = 0; k < n.read.size(); ++k) expect_equal(little[turn].recorded[k], plenty[turn].recorded[k], "recorded");
      expect_equal(little[turn].a, plenty[turn].a, "coefficients");
      expect_equal(little[turn].w, plenty[turn].w, "first weights");
      expect_equal(little[turn].x, plenty[turn].x, "signal");
    }
  }
}

TEST(pack, and_runs_whose_events_and_clocks_differ) {
  for (const Precision precision : {Precision::Float32, Precision::Float64})
    for (const uint64_t count : {2, 16}) compare(precision, count, uint64_t{1} << 30, /*eventful=*/true);
}

}  // namespace
}  // namespace hebb
