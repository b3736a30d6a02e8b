#pragma once
// Recordings of one small network that end early, are not looked at, or become infinite, and what each gives alone:
// runs that go together must give the same.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "runtime/random.h"
#include "runtime/trajectory/pack.h"

namespace hebb::recordings {

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

struct RecordedNetwork {
  std::shared_ptr<const Adjoint> adjoint;
  ColumnId a, w, x, y, pace;
  bool eventful = false;
  std::vector<TrajectoryOutput> read;
};

inline RecordedNetwork recorded_network(bool eventful = false) {
  Sources sources;
  Diagnostics diags;
  const Compilation made = compile(sources, sources.add("net.hebb", eventful ? kEventful : kNetwork), {}, diags);
  EXPECT_FALSE(diags.has_errors()) << render(diags, sources, {});
  LowerOptions how;
  how.fuse = false;
  how.fed = {"T.choice"};
  const Program program = lower(made.model, made.model.networks.at(0), how);
  RecordedNetwork out;
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

inline double number(uint64_t what, uint64_t k) { return 2 * draw_uniform<double>(what, 1, 0, k, 0) - 1; }

/// What recording `r` is given in the run with these coefficients.
struct Given {
  std::vector<double> a, w, pace;
  std::vector<FeedValues> feeds;
};
inline Given given(const RecordedNetwork& n, uint64_t r, int turn) {
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
inline ByLane owed(uint64_t r) {
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

inline void expect_equal(const std::vector<double>& one, const std::vector<double>& other, const std::string& what) {
  ASSERT_EQ(one.size(), other.size()) << what;
  for (size_t k = 0; k < one.size(); ++k) {
    const bool same = std::bit_cast<uint64_t>(one[k]) == std::bit_cast<uint64_t>(other[k]) || (std::isnan(one[k]) && std::isnan(other[k]));
    ASSERT_TRUE(same) << what << " [" << k << "]: together " << one[k] << ", alone " << other[k];
  }
}

/// Two turns with different coefficients: the second computes again only what they change.
inline std::vector<Found> alone(const RecordedNetwork& n, Precision precision, uint64_t r, uint64_t max_bytes) {
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

}  // namespace hebb::recordings
