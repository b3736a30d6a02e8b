// Runs that go together have the bits of runs that go alone: recordings, gradients, what signals are owed; whatever the
// runs beside them do, whether they end early or become infinite.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "runtime/random.h"
#include "runtime/trajectory/pack.h"

namespace hebb {
namespace {

const char* const kNetwork = R"(
neuron Input { input r : 1; }
neuron Task {
  input p : 1;
  state count = 0;
  let noise ~ normal(0, 0.1);
  let choice ~ bernoulli(p);
  emit done when choice == 1 { count += 1; }
}
neuron Unit { input I : 1; let r = tanh(I); }
rule Taught : three_factor {
  param a[4] = 0, limit = 2;
  signal n : 1;
  event done;
  weight w in [-limit, limit];
  on done { w += a[0] * pre.r * n + a[1] * post.r * w^2; }
  on step { w += a[2] * pre.r * post.r + a[3] * w; }
}
network Net {
  signal x[3];
  pop X[3] : Input(r = x);
  pop Y[5] : Unit;
  pop T[1] : Task(p = Y.r[0]);
  project X -> Y as S via Taught {
    connect all;
    init w ~ normal(0, 0.3);
    bind n = T.noise[0];
    bind done = T.done;
    drive I += w * pre.r;
  }
}
)";

/// The same with a clock and an event that is fed, which come at different steps in different recordings.
const char* const kEventful = R"(
neuron Input { input r : 1; }
neuron Task { input p : 1; state count = 0; let choice ~ bernoulli(p); }
neuron Unit { input I : 1; let r = tanh(I); state slow = 0; slow' = (r - slow) / (5 ms); }
rule Taught : three_factor {
  param a[4] = 0, limit = 2, pace = 3 ms;
  event pulse;
  weight w in [-limit, limit];
  x' = -x / (4 ms);
  on pulse { w += a[0] * pre.r + a[1] * x; x += a[3]; }
  on every pace { w := w * (1 - a[3]); x += post.r; }
  on step { w += a[2] * pre.r * post.r; }
}
network Net {
  signal x[3];
  event pulse;
  pop X[3] : Input(r = x);
  pop Y[5] : Unit;
  pop T[1] : Task(p = Y.r[0]);
  project X -> Y as S via Taught { connect all; init w ~ normal(0, 0.3); bind pulse = pulse; drive I += w * pre.r; }
}
)";

constexpr int64_t kSteps = 23;

struct Network {
  std::shared_ptr<const Adjoint> adjoint;
  ColumnId a, w, x, y, pace;
  bool eventful = false;
  std::vector<TrajectoryOutput> read;
};

Network network(bool eventful = false) {
  Sources sources;
  Diagnostics diags;
  const Compilation made = compile(sources, sources.add("net.hebb", eventful ? kEventful : kNetwork), {}, diags);
  EXPECT_FALSE(diags.has_errors()) << render(diags, sources, {});
  LowerOptions how;
  how.fuse = false;
  how.fed = {"T.choice"};
  const Program program = lower(made.model, made.model.networks.at(0), how);
  Network out;
  out.eventful = eventful;
  out.pace = program.find_column("S.pace");
  out.a = program.find_column("S.a"), out.w = program.find_column("S.w"), out.y = program.find_column("Y.r");
  for (const Feed& feed : program.plan.feeds)
    if (feed.name == "x") out.x = feed.column;
  AdjointResult derived = adjoint(program, std::vector{out.a, out.w, out.x}, std::vector{out.y, out.w});
  EXPECT_TRUE(derived.adjoint.has_value());
  out.adjoint = std::make_shared<const Adjoint>(std::move(*derived.adjoint));
  out.read = {{out.y}, {out.w, true}};
  return out;
}

double number(uint64_t what, uint64_t k) { return 2 * draw_uniform<double>(what, 1, 0, k, 0) - 1; }

/// What recording `r` is given in the run with these coefficients.
struct Given {
  std::vector<double> a, w, pace;
  std::vector<FeedValues> feeds;
};
Given given(const Network& n, uint64_t r, int turn) {
  Given out;
  out.pace = {r % 3 == 0 ? 3.0 : r % 3 == 1 ? 1.5 : 0.5 + static_cast<double>(r)};
  for (uint64_t k = 0; k < 4; ++k) out.a.push_back(0.1 * number(50 + static_cast<uint64_t>(turn), k));
  for (uint64_t k = 0; k < 15; ++k) out.w.push_back(0.3 * number(100 + r, k));
  std::vector<double> x, choice;
  for (uint64_t k = 0; k < kSteps; ++k) {
    for (uint64_t i = 0; i < 3; ++i) x.push_back(number(200 + r, 3 * k + i));
    choice.push_back(number(300 + r, k) > 0.2);
  }
  if (r % 5 == 3) x[3 * 15] = INFINITY;    // long after its loss was read
  if (r % 5 == 4) x[0] = std::nan("");
  out.feeds = {{.name = "x", .values = x, .rows = 3}, {.name = "T.choice", .values = choice}};
  if (!n.eventful) return out;
  std::vector<double> pulse;
  for (uint64_t k = 0; k < kSteps; ++k) pulse.push_back(r != 1 && number(500 + r, k) > 0.4);
  out.feeds.push_back({.name = "pulse", .values = pulse});
  return out;
}

/// d(loss)/d(outputs): recording r is looked at for its own number of steps; r = 2 not at all.
ByLane owed(uint64_t r) {
  ByLane out = {std::vector<double>(kSteps * 5), std::vector<double>(15)};
  const size_t until = r == 2 ? 0 : 5 * (4 + r * 7 % 9);
  for (size_t k = 0; k < until; ++k) out[0][k] = number(400 + r, k);
  if (r % 5 < 2)
    for (double& value : out[1]) value = 0.5;
  return out;
}

struct Found {
  ByLane recorded;
  std::vector<double> a, w, x;
};

void expect_equal(const std::vector<double>& one, const std::vector<double>& other, const std::string& what) {
  ASSERT_EQ(one.size(), other.size()) << what;
  for (size_t k = 0; k < one.size(); ++k) {
    const bool same = std::bit_cast<uint64_t>(one[k]) == std::bit_cast<uint64_t>(other[k]) || (std::isnan(one[k]) && std::isnan(other[k]));
    ASSERT_TRUE(same) << what << " [" << k << "]: together " << one[k] << ", alone " << other[k];
  }
}

/// Two turns with different coefficients: the second computes again only what they change.
std::vector<Found> alone(const Network& n, Precision precision, uint64_t r, uint64_t max_bytes) {
  auto run = Trajectory::create(n.adjoint, interpret({n.adjoint, &n.adjoint->program}, precision),
                                {.precision = precision, .seed = 9, .lane = static_cast<uint32_t>(r), .max_bytes = max_bytes});
  EXPECT_TRUE(run.ok());
  std::vector<Found> out;
  for (const int turn : {0, 1}) {
    const Given g = given(n, r, turn);
    EXPECT_TRUE(!n.eventful || run->set(n.pace, g.pace).ok());
    EXPECT_TRUE(run->set(n.a, g.a).ok());
    run->initialise();
    EXPECT_TRUE(run->set(n.w, g.w).ok());
    auto recorded = run->forward(kSteps, 1, g.feeds, n.read);
    EXPECT_TRUE(recorded.ok());
    run->reverse(n.read, owed(r));
    out.push_back({*recorded, run->gradient(n.a), run->gradient(n.w), run->gradient_of_feed(n.x)});
  }
  return out;
}

std::vector<std::vector<Found>> together(const Network& n, Precision precision, uint64_t count, uint64_t max_bytes) {
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
  const Network n = network(eventful);
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
  const Network n = network();
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

TEST(pack, and_runs_whose_events_and_clocks_differ) {
  for (const Precision precision : {Precision::Float32, Precision::Float64})
    for (const uint64_t count : {2, 16}) compare(precision, count, uint64_t{1} << 30, /*eventful=*/true);
}

}  // namespace
}  // namespace hebb
