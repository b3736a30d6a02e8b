// Gradients of whole trajectories against central differences of the same trajectories.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <map>

#include "compiler/adjoint/adjoint.h"
#include "compiler/adjoint/in_place.h"
#include "compiler/program/interpret.h"
#include "compiler/program/overlap.h"
#include "runtime/trajectory/trajectory.h"

namespace hebb {
namespace {

/// x (fed) → u = sum x w → y = tanh(u); then w += theta0 x y + theta1 y^2 w + theta2 e; e decays and grows
/// with x y. Two kernels store to e, so that it has versions.
struct Example {
  Program program;
  ColumnId theta, x, w, e, u, y, d;
  explicit Example(int64_t posts = 2) {
    Program& p = program;
    p.name = "example";
    const SpaceId one = p.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
    const SpaceId pre = p.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = 3});
    const SpaceId post = p.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = posts});
    const SpaceId dense = p.add(Space{.kind = SpaceKind::Dense, .name = "S", .pre = pre, .post = post});
    p.dt = p.add(Column{.name = "dt", .space = one, .role = Role::Param});
    theta = p.add(Column{.name = "S.theta", .space = one, .role = Role::Param, .width = 3});
    x = p.add(Column{.name = "x", .space = pre, .role = Role::Fed});
    w = p.add(Column{.name = "S.w", .space = dense, .role = Role::State});
    e = p.add(Column{.name = "S.e", .space = dense, .role = Role::State});
    d = p.add(Column{.name = "Y.d", .space = post, .role = Role::State});
    u = p.add(Column{.name = "Y.I", .space = post, .role = Role::Value});
    y = p.add(Column{.name = "Y.r", .space = post, .role = Role::Value});
    p.plan.feeds.push_back({.name = "x", .column = x});

    ExprPool& q = p.pool;
    const auto xs = q.load(x, At::Pre), ws = q.load(w, At::Self), es = q.load(e, At::Self);
    const auto ys = q.load(y, At::Post);
    const auto th = [&](uint32_t k) { return q.load(theta, At::Uniform, k); };
    const KernelId drive = p.add(Kernel{.name = "drive", .domain = dense,
                                        .accumulates = {{u, 0, At::Post, Combine::Sum, q.mul(xs, ws)}}});
    const KernelId rate = p.add(Kernel{
        .name = "rate", .domain = post,
        .stores = {{y, 0, q.make(Op::Tanh, q.add(q.load(u, At::Self), q.load(d, At::Self)))},
                   {d, 0, q.mul(q.constant(0.5), q.add(q.load(d, At::Self), q.load(u, At::Self)))}}});
    const KernelId jump = p.add(Kernel{.name = "jump", .domain = dense,
                                       .stores = {{e, 0, q.add(es, q.mul(xs, ys))}}});
    const auto dw = q.add(q.add(q.mul(th(0), q.mul(xs, ys)), q.mul(th(1), q.mul(q.mul(ys, ys), ws))),
                          q.mul(th(2), es));
    const auto moved = q.add(ws, dw);
    const auto bound = q.constant(0.6);
    const KernelId update = p.add(Kernel{
        .name = "update", .domain = dense,
        .stores = {{w, 0, q.select(q.make(Op::Less, bound, moved), bound, moved)},
                   {e, 0, q.mul(es, q.make(Op::Exp, q.neg(th(0))))}}});
    p.plan.step = {{drive}, {rate}, {jump}, {update}};
  }
};

const std::vector<double> kTheta = {0.3, -0.2, 0.1};
const std::vector<double> kW = {0.1, -0.2, 0.3, 0.05, -0.15, 0.25};
const std::vector<double> kX = {0.5, -1.0, 0.25, 1.5, 0.75, -0.5, 0.1, 0.9, -0.3, -0.7, 0.2, 1.1, 0.4, 0.4, 0.8};
constexpr int64_t kSteps = 5;

struct Loss {
  double value = 0;
  std::vector<double> theta, w, x;
  int64_t segment = 0;
  uint64_t bytes = 0;
};

/// sum of squares of y over the run plus the sum of the last weights.
struct Form {
  bool fed_is_target = true;
  bool ahead = false;      // the sum of a step is taken with the update before it
  bool in_place = false;   // what synapses are owed
  bool back_twice = false;
};
Loss run(const std::vector<double>& theta, const std::vector<double>& w, const std::vector<double>& x,
         uint64_t max_bytes, const Form& form = {}) {
  const Example example;
  std::vector<ColumnId> targets = {example.theta, example.w};
  if (form.fed_is_target) targets.push_back(example.x);
  const std::vector<ColumnId> outputs = {example.y, example.w};
  AdjointResult made = adjoint(form.ahead ? overlap(example.program, targets) : example.program, targets, outputs);
  EXPECT_TRUE(made.adjoint.has_value());
  EXPECT_EQ(made.adjoint->begin.forward.empty(), !form.ahead || form.fed_is_target);
  const auto apart = [&] {
    return std::ranges::count_if(made.adjoint->carried, [](const auto& c) { return c.now_adjoint != c.next_adjoint; });
  };
  const auto apart_before = apart();
  if (form.in_place) reverse_in_place(*made.adjoint);
  EXPECT_EQ(apart() < apart_before, form.in_place);
  const auto shared = std::make_shared<const Adjoint>(std::move(*made.adjoint));
  EXPECT_EQ(verify(shared->program), std::vector<std::string>{});
  const auto program = std::shared_ptr<const Program>(shared, &shared->program);
  Result<Trajectory> trajectory = Trajectory::create(shared, interpret(program, Precision::Float64),
                                                     {.max_bytes = max_bytes});
  EXPECT_TRUE(trajectory.ok());
  trajectory->initialise();
  EXPECT_TRUE(trajectory->set(example.theta, theta).ok());
  EXPECT_TRUE(trajectory->set(example.w, w).ok());
  const std::vector<FeedValues> feeds = {{.name = "x", .values = x, .rows = 3}};
  const std::vector<TrajectoryOutput> read = {{example.y}, {example.w}};
  const auto recorded = trajectory->forward(kSteps, 1.0, feeds, read);
  EXPECT_TRUE(recorded.ok()) << recorded.error();
  Loss loss;
  std::vector<std::vector<double>> seeds(2);
  for (const double y : (*recorded)[0]) {
    loss.value += y * y;
    seeds[0].push_back(2 * y);
  }
  seeds[1].assign((*recorded)[1].size(), 0);
  for (size_t k = (kSteps - 1) * kW.size(); k < seeds[1].size(); ++k) {
    loss.value += (*recorded)[1][k];
    seeds[1][k] = 1;
  }
  if (form.back_twice) trajectory->reverse(read, std::vector{std::vector<double>(seeds[0].size(), 0.5), seeds[1]});
  trajectory->reverse(read, seeds);
  loss.theta = trajectory->gradient(example.theta);
  loss.w = trajectory->gradient(example.w);
  loss.x = trajectory->gradient_of_feed(example.x);
  loss.segment = trajectory->memory().segment;
  loss.bytes = trajectory->memory().bytes;
  return loss;
}

constexpr uint64_t kPlenty = uint64_t{1} << 30;

void expect_gradient(const std::vector<double>& got, std::vector<double> at,
                     const std::function<double(const std::vector<double>&)>& value) {
  ASSERT_EQ(got.size(), at.size());
  constexpr double h = 1e-6;
  for (size_t k = 0; k < at.size(); ++k) {
    std::vector<double> up = at, down = at;
    up[k] += h;
    down[k] -= h;
    EXPECT_NEAR(got[k], (value(up) - value(down)) / (2 * h), 1e-7) << "element " << k;
  }
}

TEST(Adjoint, SumsTakenAheadAndOnePlaceForWhatIsOwedChangeNothing) {
  const auto with = [](Form form, bool checkpoints) {
    form.fed_is_target = false;
    Loss loss = run(kTheta, kW, kX, kPlenty, form);
    if (checkpoints) loss = run(kTheta, kW, kX, loss.bytes - 1, form);
    EXPECT_EQ(loss.segment < kSteps, checkpoints);
    return loss;
  };
  for (const bool checkpoints : {false, true}) {
    const Loss plain = with({}, checkpoints), in_place = with({.in_place = true}, checkpoints);
    EXPECT_EQ(in_place.theta, plain.theta);
    EXPECT_EQ(in_place.w, plain.w);
    const Loss both = with({.ahead = true, .in_place = true}, checkpoints);
    EXPECT_DOUBLE_EQ(both.value, plain.value);
    for (size_t k = 0; k < kTheta.size(); ++k) EXPECT_NEAR(both.theta[k], plain.theta[k], 1e-13);
    for (size_t k = 0; k < kW.size(); ++k) EXPECT_NEAR(both.w[k], plain.w[k], 1e-13);
  }
  // Its own derivative is wanted: it is not taken ahead.
  const Loss fed = run(kTheta, kW, kX, kPlenty, {.ahead = true});
  EXPECT_EQ(fed.x, run(kTheta, kW, kX, kPlenty).x);
}

TEST(Adjoint, AgreesWithCentralDifferencesForParametersStatesAndFeeds) {
  const Loss loss = run(kTheta, kW, kX, kPlenty);
  expect_gradient(loss.theta, kTheta, [](auto& t) { return run(t, kW, kX, kPlenty).value; });
  expect_gradient(loss.w, kW, [](auto& w) { return run(kTheta, w, kX, kPlenty).value; });
  expect_gradient(loss.x, kX, [](auto& x) { return run(kTheta, kW, x, kPlenty).value; });
}

TEST(Adjoint, CheckpointsChangeNoBit) {
  const Loss all = run(kTheta, kW, kX, kPlenty);
  EXPECT_EQ(all.segment, kSteps);
  const Loss some = run(kTheta, kW, kX, all.bytes - 1);   // too little for every step
  EXPECT_LT(some.segment, kSteps);
  EXPECT_GT(some.segment, 0);
  EXPECT_EQ(some.theta, all.theta);
  EXPECT_EQ(some.w, all.w);
  EXPECT_EQ(some.x, all.x);
}

TEST(Adjoint, GoingBackAgainDoesNotSeeWhatTheFirstTimeLeft) {
  for (const bool ahead : {false, true}) {
    const Form once = {.fed_is_target = !ahead, .ahead = ahead}, twice = {.fed_is_target = !ahead, .ahead = ahead, .back_twice = true};
    const Loss all = run(kTheta, kW, kX, kPlenty, once);
    for (const uint64_t bytes : {kPlenty, all.bytes - 1}) {
      const Loss again = run(kTheta, kW, kX, bytes, twice);
      EXPECT_EQ(again.theta, all.theta);
      EXPECT_EQ(again.w, all.w);
    }
  }
}

/// Gradients by theta and by the first weights of 37 units, and what they did; `runs`: one after another, the last one counts.
struct Wide {
  std::vector<double> theta, w, y, last_w;
  TrajectoryMemory memory;
  TrajectoryAtBounds bounds;
};
Wide run_wide(int64_t tile_posts, int threads, uint64_t max_bytes, int runs = 1) {
  constexpr int64_t kPosts = 37, kWideSteps = 23;
  const Example example(kPosts);
  const std::vector<ColumnId> targets = {example.theta, example.w}, outputs = {example.y, example.w};
  AdjointResult made = adjoint(example.program, targets, outputs);
  EXPECT_TRUE(made.adjoint.has_value());
  const auto shared = std::make_shared<const Adjoint>(std::move(*made.adjoint));
  const auto program = std::shared_ptr<const Program>(shared, &shared->program);
  Result<Trajectory> trajectory =
      Trajectory::create(shared, interpret(program, Precision::Float64),
                         {.max_bytes = max_bytes, .threads = threads, .tile_posts = tile_posts});
  EXPECT_TRUE(trajectory.ok());
  std::vector<double> w, x;
  for (int64_t k = 0; k < 3 * kPosts; ++k) w.push_back(0.3 * std::sin(static_cast<double>(k)));
  for (int64_t k = 0; k < 3 * kWideSteps; ++k) x.push_back(std::cos(0.7 * static_cast<double>(k)));
  const std::vector<FeedValues> feeds = {{.name = "x", .values = x, .rows = 3}};
  const std::vector<TrajectoryOutput> read = {{example.y}, {example.w, true}};
  Wide out;
  for (int run = 1; run <= runs; ++run) {
    std::vector<double> theta = kTheta;
    if (run < runs) theta[0] += 0.1;   // an update in between
    EXPECT_TRUE(trajectory->set(example.theta, theta).ok());
    trajectory->initialise();
    EXPECT_TRUE(trajectory->set(example.w, w).ok());
    auto recorded = trajectory->forward(kWideSteps, 1.0, feeds, read);
    EXPECT_TRUE(recorded.ok()) << recorded.error();
    out.y = (*recorded)[0];
    out.last_w = (*recorded)[1];
    std::vector<std::vector<double>> seeds = *recorded;
    std::fill(seeds[0].end() - 5 * kPosts, seeds[0].end(), 0.0);   // the last five steps do not count
    if (run == 2) std::fill(seeds[1].begin(), seeds[1].end(), 0.0);
    trajectory->reverse(read, seeds);
    out.bounds = trajectory->at_bounds(example.w, -10, 0.6);
  }
  out.theta = trajectory->gradient(example.theta);
  out.w = trajectory->gradient(example.w);
  out.memory = trajectory->memory();
  return out;
}

void expect_same(const Wide& a, const Wide& b) {
  EXPECT_EQ(a.theta, b.theta);
  EXPECT_EQ(a.w, b.w);
  EXPECT_EQ(a.y, b.y);
  EXPECT_EQ(a.last_w, b.last_w);
  EXPECT_EQ(a.bounds.at, b.bounds.at);
  EXPECT_EQ(a.bounds.all, b.bounds.all);
}

TEST(Adjoint, TilesAndThreadsChangeNoBit) {
  const Wide whole = run_wide(64, 1, kPlenty);
  EXPECT_EQ(whole.memory.tiles, 1);
  EXPECT_GT(whole.bounds.at, 0);
  for (const int threads : {1, 3}) {
    const Wide tiles = run_wide(16, threads, kPlenty);
    EXPECT_EQ(tiles.memory.tiles, 3);
    expect_same(tiles, whole);
  }
}

TEST(Adjoint, ASecondRunOfWhatMovesIsTheFirst) {
  const Wide once = run_wide(64, 1, kPlenty);
  expect_same(run_wide(64, 1, kPlenty, 3), once);
  expect_same(run_wide(16, 2, kPlenty, 3), once);
}

/// In the way back of a step of `p`.
int count_of_tanh(const Program& p, const Example& example) {
  const AdjointResult made = adjoint(p, std::vector{example.theta}, std::vector{example.y});
  int count = 0;
  for (const KernelId id : made.adjoint->quiet.reverse) {
    std::vector<ExprId> roots;
    for (const Store& store : made.adjoint->program[id].stores) roots.push_back(store.value);
    for (const Accumulate& sum : made.adjoint->program[id].accumulates) roots.push_back(sum.value);
    for (const ExprId node : nodes_below(made.adjoint->program.pool, roots)) count += made.adjoint->program.pool[node].op == Op::Tanh;
  }
  return count;
}

TEST(Adjoint, ReadsATanhThatTheStepStoredUnlessItsColumnChangesLater) {
  Example example;
  Program& p = example.program;
  EXPECT_EQ(count_of_tanh(p, example), 0);
  const KernelId later = p.add(Kernel{.name = "later", .domain = p[example.w].space,
                                      .accumulates = {{example.y, 0, At::Post, Combine::Sum, p.pool.load(example.x, At::Pre)}}});
  const auto rate = std::find_if(p.plan.step.begin(), p.plan.step.end(), [&](const Launch& launch) { return p[launch.kernel].name == "rate"; });
  ASSERT_NE(rate, p.plan.step.end());
  p.plan.step.insert(rate + 1, {later});
  EXPECT_EQ(count_of_tanh(p, example), 1);
}

TEST(Adjoint, RefusesATargetThatReachesNothing) {
  Example example;
  const ColumnId lonely = example.program.add(
      Column{.name = "S.unused", .space = example.program[example.theta].space, .role = Role::Param});
  const AdjointResult made = adjoint(example.program, std::vector{lonely}, std::vector{example.y});
  ASSERT_TRUE(made.refusal.has_value());
  EXPECT_EQ(made.refusal->why, AdjointRefusal::Why::NoPath);
  EXPECT_EQ(made.refusal->path, std::vector<std::string>{"S.unused"});
}

TEST(Adjoint, RefusesSpikeTimesAndSaysByWhichPath) {
  Example example;
  Program& p = example.program;
  const ColumnId spike = p.add(Column{.name = "Y.spike", .space = p[example.y].space, .role = Role::Indicator});
  const ColumnId count = p.add(Column{.name = "Y.count", .space = p[example.y].space, .role = Role::State});
  ExprPool& q = p.pool;
  const KernelId test = p.add(Kernel{
      .name = "threshold", .domain = p[example.y].space,
      .stores = {{spike, 0, q.make(Op::Less, q.constant(0), q.load(example.y, At::Self))}}});
  const KernelId sum = p.add(Kernel{
      .name = "count", .domain = p[example.y].space,
      .stores = {{count, 0, q.add(q.load(count, At::Self), q.load(spike, At::Self))}}});
  p.plan.step.push_back({test});
  p.plan.step.push_back({sum});
  const AdjointResult made = adjoint(p, std::vector{example.theta}, std::vector{count});
  ASSERT_TRUE(made.refusal.has_value());
  EXPECT_EQ(made.refusal->why, AdjointRefusal::Why::SpikeTimes);
  EXPECT_EQ(made.refusal->path.front(), "S.theta");
  EXPECT_EQ(made.refusal->path.back(), "Y.spike");
}

// One kernel, against a complex step: Im f(x + ih) / h has no cancellation, so h may be tiny and the derivative is
// right to rounding.
using Complex = std::complex<double>;
Complex in_complex(const ExprPool& pool, ExprId root, const std::function<Complex(const Leaf&)>& leaf) {
  std::map<uint32_t, Complex> value;
  for (const ExprId id : nodes_below(pool, std::vector{root})) {
    const ExprNode node = pool[id];
    const auto x = [&](int k) { return value.at(node.operands[k].value); };
    Complex& out = value[id.value];
    if (node.op == Op::Const) out = node.value;
    else if (node.op == Op::Load) out = leaf(node.leaf);
    else if (node.op == Op::Add) out = x(0) + x(1);
    else if (node.op == Op::Sub) out = x(0) - x(1);
    else if (node.op == Op::Mul) out = x(0) * x(1);
    else if (node.op == Op::Div) out = x(0) / x(1);
    else if (node.op == Op::Neg) out = -x(0);
    else if (node.op == Op::Fma) out = x(0) * x(1) + x(2);
    else if (node.op == Op::Exp) out = std::exp(x(0));
    else if (node.op == Op::Tanh) out = std::tanh(x(0));
    else ADD_FAILURE() << "an operation that has no complex value here: " << info(node.op).name;
  }
  return value.at(root.value);
}

TEST(adjoint, agrees_with_a_complex_step_to_1e_9) {
  Program p;
  const SpaceId one = p.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
  const SpaceId rows = p.add(Space{.kind = SpaceKind::Neurons, .name = "N", .size = 1});
  p.dt = p.add(Column{.name = "dt", .space = one, .role = Role::Param});
  const ColumnId theta = p.add(Column{.name = "theta", .space = one, .role = Role::Param, .width = 4});
  const ColumnId w = p.add(Column{.name = "w", .space = rows, .role = Role::State});
  const ColumnId x = p.add(Column{.name = "x", .space = rows, .role = Role::State});
  ExprPool& q = p.pool;
  const auto th = [&](uint32_t k) { return q.load(theta, At::Uniform, k); };
  const ExprId ws = q.load(w, At::Self), xs = q.load(x, At::Self);
  const ExprId y = q.make(Op::Tanh, q.mul(ws, xs));
  const ExprId decay = q.make(Op::Exp, q.neg(q.div(xs, th(3))));
  const ExprId moved = q.add(q.mul(ws, decay), q.add(q.mul(th(0), q.mul(xs, y)), q.sub(q.mul(th(1), q.mul(y, q.mul(y, ws))), th(2))));
  p.plan.step = {{p.add(Kernel{.name = "update", .domain = rows, .stores = {{w, 0, moved}}})}};
  AdjointResult made = adjoint(p, std::vector{theta, w, x}, std::vector{w});
  ASSERT_TRUE(made.adjoint.has_value());
  const auto shared = std::make_shared<const Adjoint>(std::move(*made.adjoint));
  auto trajectory = Trajectory::create(shared, interpret(std::shared_ptr<const Program>(shared, &shared->program), Precision::Float64), {});
  ASSERT_TRUE(trajectory.ok());
  const std::vector<double> at = {0.7, -0.4, 0.2, 1.7, 0.9, 1.3};   // theta, w, x
  trajectory->initialise();
  ASSERT_TRUE(trajectory->set(theta, std::span(at).first(4)).ok());
  ASSERT_TRUE(trajectory->set(w, std::span(at).subspan(4, 1)).ok());
  ASSERT_TRUE(trajectory->set(x, std::span(at).subspan(5, 1)).ok());
  const std::vector<TrajectoryOutput> read = {{w, true}};
  ASSERT_TRUE(trajectory->forward(1, 1, {}, read).ok());
  trajectory->reverse(read, std::vector<std::vector<double>>{{1.0}});
  std::vector<double> got = trajectory->gradient(theta);
  got.push_back(trajectory->gradient(w)[0]);
  got.push_back(trajectory->gradient(x)[0]);
  constexpr double h = 1e-30;
  for (size_t k = 0; k < at.size(); ++k) {
    const Complex f = in_complex(q, moved, [&](const Leaf& leaf) {
      const size_t place = leaf.index == theta.value ? leaf.element : leaf.index == w.value ? 4 : 5;
      return Complex(at[place], place == k ? h : 0.0);
    });
    EXPECT_NEAR(got[k], f.imag() / h, 1e-14 * std::fabs(got[k]) + 1e-16) << "element " << k;
  }
}

}  // namespace
}  // namespace hebb
