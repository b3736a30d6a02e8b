// Optimisers, transforms, the file of a fit's state; forward mode against reverse mode.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "compiler/adjoint/tangent.h"
#include "compiler/program/interpret.h"
#include "runtime/fit/fit_state.h"
#include "runtime/fit/optimiser.h"
#include "runtime/fit/profile.h"
#include "runtime/fit/transform.h"
#include "runtime/trajectory/trajectory.h"

namespace hebb {
namespace {

TEST(adam, its_first_step_has_the_length_of_the_rate) {
  Adam adam;
  std::vector<double> x = {1, -2};
  step(adam, x, std::vector{1e-3, -50.0}, 0.1);
  EXPECT_NEAR(x[0], 0.9, 1e-5);
  EXPECT_NEAR(x[1], -1.9, 1e-9);
}

TEST(lbfgs, finds_the_minimum_of_a_narrow_valley) {
  const auto value = [](const std::vector<double>& x) { return 50 * (x[1] - x[0]) * (x[1] - x[0]) + (1 - x[0]) * (1 - x[0]); };
  const auto slope = [](const std::vector<double>& x) {
    return std::vector{-100 * (x[1] - x[0]) - 2 * (1 - x[0]), 100 * (x[1] - x[0])};
  };
  Lbfgs state;
  std::vector<double> x = {-3, 4};
  accept(state, x, slope(x));
  int updates = 0;
  for (; updates < 50 && value(x) > 1e-20; ++updates) {
    const auto d = direction(state, state.gradient);
    double t = 1;
    std::vector<double> there = x;
    for (int k = 0; k < 40; ++k, t *= 0.5) {
      for (size_t i = 0; i < x.size(); ++i) there[i] = x[i] + t * d[i];
      if (value(there) < value(x)) break;
    }
    x = there;
    accept(state, x, slope(x));
  }
  EXPECT_LT(updates, 30);
  EXPECT_NEAR(x[0], 1, 1e-9);
  EXPECT_NEAR(x[1], 1, 1e-9);
}

TEST(damped_step, without_damping_solves_the_normal_equations) {
  const auto d = damped_step(std::vector{4.0, 1.0, 1.0, 3.0}, std::vector{1.0, 2.0}, 0);
  ASSERT_EQ(d.size(), 2u);
  EXPECT_NEAR(4 * d[0] + d[1], -1, 1e-9);
  EXPECT_NEAR(d[0] + 3 * d[1], -2, 1e-9);
}

TEST(damped_step, a_direction_that_nothing_sees_stays_finite) {
  const auto d = damped_step(std::vector{1.0, 0.0, 0.0, 0.0}, std::vector{1.0, 0.0}, 1e-3);
  ASSERT_EQ(d.size(), 2u);
  EXPECT_NEAR(d[0], -1 / 1.001, 1e-9);
  EXPECT_EQ(d[1], 0);
}

TEST(inverse, leaves_out_what_cannot_be_inverted) {
  const PseudoInverse found = inverse(std::vector{2.0, 2.0, 2.0, 2.0}, 1e-12);
  EXPECT_EQ(found.left_out, 1);
  EXPECT_NEAR(found.matrix[0], 0.125, 1e-12);
}

TEST(schedule, ends_where_it_says) {
  EXPECT_EQ(schedule_factor(Schedule::Constant, 99, 100), 1);
  EXPECT_NEAR(schedule_factor(Schedule::Cosine, 50, 100), 0.5, 1e-15);
  EXPECT_NEAR(schedule_factor(Schedule::Cosine, 100, 100), 0, 1e-15);
  EXPECT_EQ(schedule_factor(Schedule::Step, 60, 100), 0.1);
}

TEST(clip_norm, shortens_only_what_is_too_long) {
  std::vector<double> g = {3, 4};
  EXPECT_EQ(clip_norm(g, 10), 5);
  EXPECT_EQ(g, (std::vector<double>{3, 4}));
  clip_norm(g, 1);
  EXPECT_NEAR(g[0], 0.6, 1e-15);
}

TEST(transform, there_and_back_and_its_slope) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const Interval i : {Interval{1, 500, true}, Interval{0, inf, true}, Interval{-inf, 2, true}, Interval{0, 1, false}}) {
    for (const double value : {1.5, 0.25, 1.99}) {
      if (value <= i.low || value >= i.high) continue;
      const double free = to_free(i, value);
      EXPECT_NEAR(from_free(i, free), value, 1e-12);
      constexpr double h = 1e-6;
      EXPECT_NEAR(slope(i, free), (from_free(i, free + h) - from_free(i, free - h)) / (2 * h), 1e-6 * (1 + slope(i, free)));
    }
  }
  EXPECT_EQ(moved_inside({0, 1, false}, 1.5), 1);
}

TEST(fit_state, its_file_is_whole_or_refused) {
  const auto path = (std::filesystem::temp_directory_path() / "hebb_fit_state_test").string();
  const FitIdentity own{.source = 42, .place = 7, .settings = 43, .data = 44};
  FitState state;
  state.starts.resize(2);
  StartState& start = state.starts[1];
  start.x = {1, 2.5};
  start.adam = {.first = {0.1, 0.2}, .second = {0.3, 0.4}, .updates = 7};
  start.lbfgs.moves = {{1, 2}, {3, 4}};
  start.best = 0.25;
  start.stopped = "in update 3";
  ASSERT_TRUE(save_state(path, own, state).ok());
  const auto read = load_state(path, own);
  ASSERT_TRUE(read.ok()) << read.error();
  ASSERT_EQ(read->starts.size(), 2u);
  EXPECT_EQ(read->starts[1].x, start.x);
  EXPECT_EQ(read->starts[1].adam.second, start.adam.second);
  EXPECT_EQ(read->starts[1].lbfgs.moves, start.lbfgs.moves);
  EXPECT_EQ(read->starts[1].best, 0.25);
  EXPECT_EQ(read->starts[1].stopped, "in update 3");
  for (uint64_t FitIdentity::* part : {&FitIdentity::source, &FitIdentity::place, &FitIdentity::settings, &FitIdentity::data}) {
    FitIdentity other = own;
    other.*part += 1;
    EXPECT_FALSE(load_state(path, other).ok());
  }
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (const size_t length : {size_t{0}, size_t{10}, size_t{20}, bytes.size() - 1}) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, length);
    EXPECT_FALSE(load_state(path, own).ok()) << length << " bytes";
  }
  bytes[40] = static_cast<char>(bytes[40] ^ 1);
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_FALSE(load_state(path, own).ok());
  std::filesystem::remove(path);
}

/// x (fed) → y = tanh(sum x w) → w += theta0 x y + theta1 w; the sum of y and of the last w.
struct Example {
  Program program;
  ColumnId theta, x, w, u, y;
  Example() {
    Program& p = program;
    const SpaceId one = p.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
    const SpaceId pre = p.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = 3});
    const SpaceId post = p.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = 2});
    const SpaceId dense = p.add(Space{.kind = SpaceKind::Dense, .name = "S", .pre = pre, .post = post});
    p.dt = p.add(Column{.name = "dt", .space = one, .role = Role::Param});
    theta = p.add(Column{.name = "S.theta", .space = one, .role = Role::Param, .width = 2});
    x = p.add(Column{.name = "x", .space = pre, .role = Role::Fed});
    w = p.add(Column{.name = "S.w", .space = dense, .role = Role::State});
    u = p.add(Column{.name = "Y.I", .space = post, .role = Role::Value});
    y = p.add(Column{.name = "Y.r", .space = post, .role = Role::Value});
    p.plan.feeds.push_back({.name = "x", .column = x});
    ExprPool& q = p.pool;
    const auto xs = q.load(x, At::Pre), ws = q.load(w, At::Self), ys = q.load(y, At::Post);
    const KernelId drive = p.add(Kernel{.name = "drive", .domain = dense,
                                        .accumulates = {{u, 0, At::Post, Combine::Sum, q.mul(xs, ws)}}});
    const KernelId rate = p.add(Kernel{.name = "rate", .domain = post,
                                       .stores = {{y, 0, q.make(Op::Tanh, q.load(u, At::Self))}}});
    const auto dw = q.add(q.mul(q.load(theta, At::Uniform, 0), q.mul(xs, ys)), q.mul(q.load(theta, At::Uniform, 1), ws));
    const KernelId update = p.add(Kernel{.name = "update", .domain = dense, .stores = {{w, 0, q.add(ws, dw)}}});
    p.plan.step = {{drive}, {rate}, {update}};
  }
};

TEST(Tangent, AgreesWithTheAdjoint) {
  constexpr int64_t kSteps = 6;
  const Example example;
  const std::vector<double> theta = {0.3, -0.1}, w = {0.1, -0.2, 0.3, 0.05, -0.15, 0.25};
  std::vector<double> x;
  for (int64_t k = 0; k < 3 * kSteps; ++k) x.push_back(std::sin(static_cast<double>(k)));
  const std::vector<FeedValues> feeds = {{.name = "x", .values = x, .rows = 3}};
  const std::vector<ColumnId> targets = {example.theta}, outputs = {example.y, example.w};

  TangentResult made = tangent(example.program, targets, outputs);
  ASSERT_TRUE(made.tangent.has_value());
  EXPECT_EQ(made.tangent->directions, 2);
  EXPECT_EQ(verify(made.tangent->program), std::vector<std::string>{});
  const auto moving = std::make_shared<const Program>(made.tangent->program);
  auto simulation = Simulation::create(moving, interpret(moving, Precision::Float64), {.precision = Precision::Float64});
  ASSERT_TRUE(simulation.ok());
  ASSERT_TRUE(simulation->set(example.theta, theta).ok());
  simulation->initialise();
  ASSERT_TRUE(simulation->set(example.w, w).ok());
  const std::vector<Recording> recordings = {
      {.name = "y", .column = made.tangent->tangent_of[example.y.value]},
      {.name = "w", .column = made.tangent->tangent_of[example.w.value], .final_only = true}};
  ASSERT_TRUE(simulation->run(kSteps, 1, feeds, recordings).ok());
  std::vector<double> forward(2);
  for (const Recorded& recorded : simulation->recorded())
    for (size_t i = 0; i < recorded.values.size(); ++i) forward[i % 2] += recorded.values[i];

  AdjointResult back = adjoint(example.program, targets, outputs);
  ASSERT_TRUE(back.adjoint.has_value());
  const auto shared = std::make_shared<const Adjoint>(std::move(*back.adjoint));
  auto trajectory = Trajectory::create(
      shared, interpret(std::shared_ptr<const Program>(shared, &shared->program), Precision::Float64), {});
  ASSERT_TRUE(trajectory.ok());
  ASSERT_TRUE(trajectory->set(example.theta, theta).ok());
  trajectory->initialise();
  ASSERT_TRUE(trajectory->set(example.w, w).ok());
  const std::vector<TrajectoryOutput> read = {{example.y}, {example.w, true}};
  const auto recorded = trajectory->forward(kSteps, 1, feeds, read);
  ASSERT_TRUE(recorded.ok());
  EXPECT_EQ((*recorded)[1].size(), 6u);
  trajectory->reverse(read, std::vector<std::vector<double>>{std::vector<double>(2 * kSteps, 1.0), std::vector<double>(6, 1.0)});
  const std::vector<double> reverse = trajectory->gradient(example.theta);
  ASSERT_EQ(reverse.size(), 2u);
  for (size_t k = 0; k < 2; ++k) EXPECT_NEAR(forward[k], reverse[k], 1e-13 * std::fabs(reverse[k]));
}

// y = a exp(-b t) with noise of known size: the ends of the profile of each coefficient, against a search for them by
// bisection with the other one minimised by golden section. The profile of b is visibly lopsided.
struct Decay {
  std::vector<double> t, y;
  double sigma = 0.3;
  Decay() {
    for (int i = 0; i < 12; ++i) {
      t.push_back(0.5 * i);
      y.push_back(2 * std::exp(-0.4 * t.back()) + sigma * std::sin(7.0 * i + 1));
    }
  }
  double loss(double a, double b) const {
    double sum = 0;
    for (size_t i = 0; i < t.size(); ++i) sum += std::pow(y[i] - a * std::exp(-b * t[i]), 2);
    return sum / static_cast<double>(t.size());
  }
  LocalLoss around(std::span<const double> x) const {
    LocalLoss out{.loss = loss(x[0], x[1]), .gradient = std::vector<double>(2), .matrix = std::vector<double>(4)};
    for (size_t i = 0; i < t.size(); ++i) {
      const double e = std::exp(-x[1] * t[i]), left = x[0] * e - y[i];
      const double slope[] = {e, -x[0] * t[i] * e};
      for (int p = 0; p < 2; ++p) {
        out.gradient[p] += 2 * left * slope[p] / static_cast<double>(t.size());
        for (int q = 0; q < 2; ++q) out.matrix[2 * p + q] += 2 * slope[p] * slope[q] / static_cast<double>(t.size());
      }
    }
    return out;
  }
  /// The least loss with coefficient k fixed.
  double least(int k, double value) const {
    double low = -1, high = 8;
    const double golden = 0.618033988749895;
    const auto at = [&](double other) { return k == 0 ? loss(value, other) : loss(other, value); };
    for (int step = 0; step < 200; ++step) {
      const double a = high - golden * (high - low), b = low + golden * (high - low);
      if (at(a) < at(b)) high = b;
      else low = a;
    }
    return at(0.5 * (low + high));
  }
};

TEST(profile, ends_where_the_likelihood_ratio_does) {
  const Decay decay;
  std::vector<double> best = {2, 0.4};
  for (int step = 0; step < 50; ++step) {
    const LocalLoss here = decay.around(best);
    const std::vector<double> d = damped_step(here.matrix, here.gradient, 1e-9);
    for (size_t i = 0; i < 2; ++i) best[i] += d[i];
  }
  const LocalLoss at_best = decay.around(best);
  const double scale = static_cast<double>(decay.t.size()) / (2 * decay.sigma * decay.sigma);
  const ProfileOptions how{.scale = scale, .low = -INFINITY, .high = INFINITY};
  const auto around = [&](std::span<const double> x) { return std::optional(decay.around(x)); };
  double widths[2][2];
  for (int k = 0; k < 2; ++k) {
    for (const int side : {-1, 1}) {
      double inside = best[k], outside = best[k] + side * 1.0;
      while (2 * scale * (decay.least(k, outside) - at_best.loss) < how.threshold) outside += side * 0.5;
      for (int step = 0; step < 60; ++step) {
        const double middle = 0.5 * (inside + outside);
        (2 * scale * (decay.least(k, middle) - at_best.loss) < how.threshold ? inside : outside) = middle;
      }
      const double got = profile_end(around, best, at_best, k, side, how);
      EXPECT_NEAR(got, inside, 0.01 * std::fabs(inside - best[k])) << "coefficient " << k << ", side " << side;
      widths[k][side > 0] = std::fabs(got - best[k]);
    }
  }
  EXPECT_GT(widths[1][1], 1.1 * widths[1][0]);
}

TEST(profile, stays_inside_its_bounds_and_says_what_nothing_ends) {
  const Decay decay;
  const std::vector<double> best = {2, 0.4};
  LocalLoss at_best = decay.around(best);
  at_best.gradient = {0, 0};
  const auto around = [&](std::span<const double> x) { return std::optional(decay.around(x)); };
  EXPECT_EQ(profile_end(around, best, at_best, 0, 1, {.scale = 1e-4, .low = 1.5, .high = 2.5}), 2.5);
  EXPECT_EQ(profile_end(around, best, at_best, 0, -1, {.scale = 1e-4, .low = 1.5, .high = 2.5}), 1.5);
  at_best.matrix = {0, 0, 0, 1};
  EXPECT_EQ(profile_end(around, best, at_best, 0, 1, {.scale = 1, .low = -INFINITY, .high = INFINITY}), INFINITY);
}

}  // namespace
}  // namespace hebb
