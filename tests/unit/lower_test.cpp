// From networks built by hand to programs, run by the interpreter.

#include "compiler/lower/lower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/expr/transform.h"
#include "tests/unit/models_by_hand.h"

namespace hebb {
namespace {

using testing::Builder;
using testing::lowered;
using testing::Trial;

struct OjaNet : Builder {
  OjaNet(int pres, int posts) {
    VarId r, input;
    const int x = population("X", pres, source(&r)), y = population("Y", posts, linear(&input));
    Rule rule;
    rule.name = "OjaStep";
    const VarId eta = param(rule, "eta", 0.1), w = weight(rule, 0.5);
    const VarId pre = own(rule, "r", VarKind::PreValue), post = own(rule, "r", VarKind::PostValue);
    const EventId step = event(rule, EventKind::Step);
    jump(rule, step, w, mul(mul(var(eta), var(post)), sub(var(pre), mul(var(post), var(w)))));
    project("W", x, y, rule).drives.push_back({.port = input, .value = mul(var(w), var(pre))});
  }
};

TEST(Lower, OneOjaStepIsTheFormula) {
  Trial run(lowered(OjaNet(3, 2)));
  run.set("W.w", {0.1, 0.2, 0.3, 0.4, 0.5, 0.6});
  const std::vector<double> x = {1, -2, 0.5}, w = run.get("W.w");
  run.feed("X.r", x);
  run.simulation.step(1);
  for (size_t j = 0; j < 2; ++j) {
    const double y = w[j] * x[0] + w[2 + j] * x[1] + w[4 + j] * x[2];
    EXPECT_NEAR(run.one("Y.r", j), y, 1e-15);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(run.one("W.w", 2 * i + j), w[2 * i + j] + 0.1 * y * (x[i] - y * w[2 * i + j]), 1e-15);
  }
}

TEST(Lower, OjaIsOneDenseUpdateAfterTheSum) {
  const Program program = lowered(OjaNet(3, 2), {.fuse = false});
  std::vector<std::string> dense;
  for (const Launch& launch : program.plan.step)
    if (program[program[launch.kernel].domain].kind == SpaceKind::Dense)
      dense.push_back(program[launch.kernel].name);
  EXPECT_EQ(dense, (std::vector<std::string>{"W.drive.I", "W.instant"})) << print(program);
}

TEST(Lower, OjaFindsTheFirstPrincipalComponent) {
  Trial run(lowered(OjaNet(2, 1)), Precision::Float32);
  run.set("W.w", {0.6, 0.1});
  for (int n = 0; n < 4000; ++n) {  // variance 1 along (0.6, 0.8), 0.04 across
    const double a = std::sin(0.7 * n) * 1.4142, b = 0.2 * std::sin(1.9 * n + 1) * 1.4142;
    run.feed("X.r", {0.6 * a - 0.8 * b, 0.8 * a + 0.6 * b});
    run.simulation.step(1);
  }
  EXPECT_NEAR(run.one("W.w", 0), 0.6, 0.06);
  EXPECT_NEAR(run.one("W.w", 1), 0.8, 0.06);
}

/// Sanger: w += eta y_j (x_i - sum over k <= j of w_ik y_k), a running sum along the row.
struct SangerNet : Builder {
  SangerNet(int pres, int posts) {
    VarId r, input;
    const int x = population("X", pres, source(&r)), y = population("Y", posts, linear(&input));
    Rule rule;
    rule.name = "Sanger";
    const VarId w = weight(rule);
    const VarId pre = own(rule, "r", VarKind::PreValue), post = own(rule, "r", VarKind::PostValue);
    const VarId s = own(rule, "s", VarKind::Reduce);
    rule.reductions.push_back({.variable = s,
                               .function = ReduceFunction::CumSum,
                               .per = ast::Per::Pre,
                               .argument = mul(var(w), var(post))});
    const EventId step = event(rule, EventKind::Step);
    jump(rule, step, w, mul(mul(num(0.05), var(post)), sub(var(pre), var(s))));
    project("W", x, y, rule).drives.push_back({.port = input, .value = mul(var(w), var(pre))});
  }
};

std::vector<double> ramp(size_t n, double from, double by) {
  std::vector<double> values;
  for (size_t i = 0; i < n; ++i) values.push_back(from + by * static_cast<double>(i));
  return values;
}

TEST(Lower, SangerIsTheDirectDoubleSum) {
  constexpr size_t kPres = 5, kPosts = 3;
  Trial run(lowered(SangerNet(kPres, kPosts)));
  std::vector<double> w = ramp(kPres * kPosts, -0.4, 0.07);
  run.set("W.w", w);
  for (int n = 0; n < 3; ++n) {
    const std::vector<double> x = ramp(kPres, 1 - n, 0.3);
    run.feed("X.r", x);
    run.simulation.step(1);
    std::vector<double> y(kPosts, 0.0), before = w;
    for (size_t i = 0; i < kPres; ++i)
      for (size_t j = 0; j < kPosts; ++j) y[j] += before[i * kPosts + j] * x[i];
    for (size_t i = 0; i < kPres; ++i)
      for (size_t j = 0; j < kPosts; ++j) {
        double s = 0;
        for (size_t k = 0; k <= j; ++k) s += before[i * kPosts + k] * y[k];
        w[i * kPosts + j] += 0.05 * y[j] * (x[i] - s);
      }
  }
  const std::vector<double> got = run.get("W.w");
  for (size_t k = 0; k < w.size(); ++k) EXPECT_NEAR(got[k], w[k], 1e-13);
}

/// Every reduction, per post and per pre, of a 3 x 2 projection.
TEST(Lower, ReductionsAreSumsOverTheirSynapses) {
  struct Case {
    ReduceFunction function;
    ast::Per per;
    std::vector<double> expected;
  };
  const std::vector<double> w = {1, -2, 3, 4, 5, -6};
  const Case cases[] = {
      {ReduceFunction::Sum, ast::Per::Post, {9, -4}},
      {ReduceFunction::Sum, ast::Per::Pre, {-1, 7, -1}},
      {ReduceFunction::Sum, ast::Per::Projection, {5}},
      {ReduceFunction::Mean, ast::Per::Post, {3, -4.0 / 3}},
      {ReduceFunction::Mean, ast::Per::Projection, {5.0 / 6}},
      {ReduceFunction::Min, ast::Per::Pre, {-2, 3, -6}},
      {ReduceFunction::Max, ast::Per::Post, {5, 4}},
      {ReduceFunction::Max, ast::Per::Projection, {5}},
      {ReduceFunction::Count, ast::Per::Post, {3, 3}},
      {ReduceFunction::Count, ast::Per::Projection, {6}},
  };
  for (const Case& c : cases) {
    Builder b;
    VarId r, input;
    const int x = b.population("X", 3, b.source(&r)), y = b.population("Y", 2, b.linear(&input));
    Rule rule;
    rule.name = "R";
    b.weight(rule);
    const VarId s = b.own(rule, "s", VarKind::Reduce);
    rule.reductions.push_back(
        {.variable = s, .function = c.function, .per = c.per, .argument = b.var(rule.weight)});
    b.project("W", x, y, rule);
    Trial run(lowered(b, {.keep = {"W.s"}}));
    run.set("W.w", w);
    run.simulation.step(1);
    const std::vector<double> got = run.get("W.s");
    ASSERT_EQ(got.size(), c.expected.size());
    for (size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], c.expected[k], 1e-15);
  }
}

/// Recurrent, no synapse from a neuron to itself.
TEST(Lower, NoSelfMeansNoWeightNoDriveNoSum) {
  Builder b;
  Neuron unit;
  unit.name = "Unit";
  const VarId in = b.own(unit, "I", VarKind::Input), z = b.own(unit, "z", VarKind::State);
  b.model[z].init = {b.num(1)};
  const int e = b.population("E", 3, b.neuron(unit));
  Rule rule;
  rule.name = "R";
  const VarId w = b.weight(rule, 2);
  const VarId pre = b.own(rule, "z", VarKind::PreValue);
  const VarId s = b.own(rule, "s", VarKind::Reduce), m = b.own(rule, "m", VarKind::Reduce);
  rule.reductions = {{s, ReduceFunction::Sum, ast::Per::Post, b.add(b.var(w), b.num(1)), {}},
                     {m, ReduceFunction::Mean, ast::Per::Projection, b.var(w), {}}};
  b.jump(rule, b.event(rule, EventKind::Step), w, b.num(1));
  ProjectionDef& p = b.project("EE", e, e, rule);
  p.self = false;
  p.drives.push_back({.port = in, .value = b.mul(b.add(b.var(w), b.num(10)), b.var(pre))});
  Trial run(lowered(b, {.keep = {"EE.s", "EE.m"}}));
  EXPECT_EQ(run.get("EE.w"), (std::vector<double>{0, 2, 2, 2, 0, 2, 2, 2, 0}));
  run.simulation.step(1);
  EXPECT_EQ(run.get("EE.w"), (std::vector<double>{0, 3, 3, 3, 0, 3, 3, 3, 0}));
  EXPECT_EQ(run.get("E.I"), (std::vector<double>{24, 24, 24}));
  EXPECT_EQ(run.get("EE.s"), (std::vector<double>{6, 6, 6}));
  EXPECT_EQ(run.get("EE.m"), (std::vector<double>{2}));
}

/// tau v' = E - v + drive, refractory 2 ms, reset to v_r; spikes stamped at the end of the step.
struct LifNet : Builder {
  VarId v;
  LifNet() {
    Neuron n;
    n.name = "LIF";
    v = own(n, "v", VarKind::State);
    const ExprId exponent = pool().make(Op::Exp, pool().div(pool().neg(pool().dt()), num(20)));
    const ExprId next = add(num(30), mul(sub(var(v), num(30)), exponent));
    n.solutions.push_back({.variable = v, .solver = Solver::Exact, .next = next});
    n.emissions.push_back({.event = "spike", .condition = pool().make(Op::Less, num(20), var(v))});
    jump(n, event(n, EventKind::OwnEvent, "spike"), v, num(0), /*assign=*/true);
    n.refractory = num(2);
    n.held = {v};
    population("E", 1, neuron(std::move(n)));
  }
};

TEST(Lower, RefractoryLifHasTheClosedFormPeriod) {
  Trial run(lowered(LifNet()));
  EXPECT_TRUE(run.program->grid_required);
  constexpr double kDt = 0.1;
  const int rise = static_cast<int>(std::ceil(20 * std::log(30.0 / 10.0) / kDt));  // steps to threshold
  std::vector<int> spikes;
  for (int n = 0; n < 1200; ++n) {
    const double before = run.one("E.v");
    run.simulation.step(kDt);
    if (run.one("E.spike") == 0) continue;
    spikes.push_back(n);
    EXPECT_GT(before, 20);          // the spike's own instant still sees the value above threshold
    EXPECT_EQ(run.one("E.v"), 0);   // reset, and held
  }
  ASSERT_GE(spikes.size(), 3u);
  EXPECT_EQ(spikes[0], rise);
  EXPECT_EQ(spikes[1] - spikes[0], 20 + rise);
  EXPECT_EQ(spikes[2] - spikes[1], 20 + rise);
}

TEST(Lower, ASpikeArrivesThroughItsWeightAtItsInstant) {
  LifNet b;
  Neuron target;
  target.name = "Target";
  const VarId exc = b.own(target, "exc", VarKind::Receive);
  const VarId g = b.own(target, "g", VarKind::State);
  target.events.push_back({.kind = EventKind::Arrival, .port = exc});
  b.jump(target, EventId{0}, g, b.mul(b.num(3), b.var(exc)));
  const int t = b.population("T", 2, b.neuron(target));
  Rule fixed;
  fixed.name = "static";
  const VarId w = b.weight(fixed, 0.25);
  b.project("S", 0, t, fixed).drives.push_back({.port = exc, .value = b.mul(b.num(2), b.var(w))});
  Trial run(lowered(b));
  run.set("S.w", {0.25, 0.5});
  double spikes = 0;
  for (int n = 0; n < 600; ++n) {
    run.simulation.step(0.1);
    spikes += run.one("E.spike");
    EXPECT_EQ(run.get("T.exc"), (std::vector<double>{0.5 * run.one("E.spike"), run.one("E.spike")}));
  }
  EXPECT_GE(spikes, 2);
  EXPECT_DOUBLE_EQ(run.one("T.g", 0), spikes * 3 * 0.5);
  EXPECT_DOUBLE_EQ(run.one("T.g", 1), spikes * 3 * 1.0);
}

/// on every 5 ms { w := w * total / s }, with drift on each step.
TEST(Lower, ClocksFireAtTheirPeriodAndQuietStepsSkipTheirWork) {
  Builder b;
  VarId r, input;
  const int x = b.population("X", 4, b.source(&r)), y = b.population("Y", 1, b.linear(&input));
  Rule rule;
  rule.name = "Normalise";
  const VarId w = b.weight(rule, 1), s = b.own(rule, "s", VarKind::Reduce);
  rule.reductions.push_back(
      {.variable = s, .function = ReduceFunction::Sum, .per = ast::Per::Post, .argument = b.var(w)});
  b.jump(rule, b.event(rule, EventKind::Every, {}, 5), w,
         b.pool().div(b.mul(b.var(w), b.num(8)), b.var(s)), /*assign=*/true);
  b.project("W", x, y, rule);
  Trial run(lowered(b));
  for (const Launch& launch : run.program->plan.step) {
    if (launch.when == When::Eventful) continue;
    EXPECT_NE((*run.program)[(*run.program)[launch.kernel].domain].kind, SpaceKind::Dense);
  }
  run.set("W.w", {1, 2, 3, 4});
  for (int n = 0; n <= 4; ++n) {
    run.simulation.step(1);
    EXPECT_EQ(run.one("W.w", 3), 4) << n;
  }
  run.simulation.step(1);  // t = 5
  EXPECT_NEAR(run.one("W.w", 3), 3.2, 1e-15);
}

struct NoisyNet : Builder {
  explicit NoisyNet(bool swapped) {
    VarId r;
    const int x = population("X", 3, source(&r));
    Neuron n;
    n.name = "Noisy";
    const VarId in = own(n, "I", VarKind::Input), xi = own(n, "xi", VarKind::Draw);
    model[xi].drawn = true;
    model[xi].value = {pool().draw(model.draw_sites++, 0)};
    const VarId z = own(n, "z", VarKind::State);
    jump(n, event(n, EventKind::Step), z, add(var(in), var(xi)));
    const int type = neuron(std::move(n));
    const int a = population("A", 2, type), c = population("C", 2, type);
    Rule rule;
    rule.name = "R";
    const VarId w = weight(rule);
    const ExprId start = pool().draw(model.draw_sites++, 0);
    const VarId pre = own(rule, "r", VarKind::PreValue);
    const auto drive = [&](const char* name, int to) {
      ProjectionDef& p = project(name, x, to, rule);
      p.inits.push_back({.variable = w, .value = {start}, .drawn = true});
      p.drives.push_back({.port = in, .value = mul(var(w), var(pre))});
    };
    drive("P", a);
    drive("Q", a);
    drive("S", c);
    if (swapped) std::reverse(net().projections.begin(), net().projections.end());
  }
};

TEST(Lower, DrawsAreReproducibleAndEachPlaceHasItsOwn) {
  Trial a(lowered(NoisyNet(false))), b(lowered(NoisyNet(false)));
  EXPECT_EQ(a.get("P.w"), b.get("P.w"));
  EXPECT_NE(a.get("P.w"), a.get("Q.w"));
  EXPECT_NE(a.get("P.w"), a.get("S.w"));
  std::vector<double> all = a.get("P.w");
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
  for (Trial* run : {&a, &b}) run->simulation.step(1);
  EXPECT_EQ(a.get("A.xi"), b.get("A.xi"));
  EXPECT_NE(a.get("A.xi"), a.get("C.xi"));
  EXPECT_NE(a.one("A.xi", 0), a.one("A.xi", 1));
  const std::vector<double> first = a.get("A.xi");
  a.simulation.step(1);
  EXPECT_NE(a.get("A.xi"), first);
}

TEST(Lower, OrderOfProjectionsChangesNoBit) {
  Trial a(lowered(NoisyNet(false)), Precision::Float32), b(lowered(NoisyNet(true)), Precision::Float32);
  for (int n = 0; n < 20; ++n)
    for (Trial* run : {&a, &b}) {
      run->feed("X.r", {0.1 + n, 0.7, -0.3});
      run->simulation.step(1);
    }
  EXPECT_EQ(a.get("A.z"), b.get("A.z"));
  EXPECT_EQ(a.get("C.z"), b.get("C.z"));
}

TEST(Lower, AFedDrawIsTakenAsGiven) {
  Trial run(lowered(NoisyNet(false), {.fed = {"A.xi"}}));
  run.feed("A.xi", {5, 6});
  run.simulation.step(1);
  EXPECT_EQ(run.get("A.z"), (std::vector<double>{5, 6}));
}

/// A rule with terms at every level: w' = eta (pre^2 post + tanh(post) w + exp(-dt/tau) pre post w^2).
struct LevelsNet : Builder {
  LevelsNet() {
    VarId r, input;
    const int x = population("X", 7, source(&r)), y = population("Y", 5, linear(&input));
    Rule rule;
    rule.name = "Levels";
    const VarId eta = param(rule, "eta", 0.001), w = weight(rule);
    const ExprId a = var(own(rule, "r", VarKind::PreValue)), p = var(own(rule, "r", VarKind::PostValue));
    const ExprId ww = mul(var(w), var(w));
    const ExprId fade = pool().make(Op::Exp, pool().div(pool().neg(pool().dt()), num(20)));
    ExprId sum = mul(mul(a, a), p);
    sum = add(sum, mul(pool().make(Op::Tanh, mul(p, num(2))), var(w)));
    sum = add(sum, mul(mul(mul(fade, a), p), ww));
    jump(rule, event(rule, EventKind::Step), w, mul(var(eta), sum));
    project("W", x, y, rule).drives.push_back({.port = input, .value = mul(var(w), a)});
  }
};

TEST(Lower, StagingChangesRoundingOnly) {
  const Program plain = lowered(LevelsNet(), {.stage = false});
  const Program fast = lowered(LevelsNet());
  EXPECT_TRUE(fast.find_column("W.post 0").valid()) << print(fast);
  EXPECT_FALSE(plain.find_column("W.post 0").valid());
  Trial a(plain), b(fast), c(fast, Precision::Float32);
  for (Trial* run : {&a, &b, &c}) {
    run->set("W.w", ramp(35, -0.5, 0.03));
    for (int n = 0; n < 50; ++n) {
      run->feed("X.r", ramp(7, 0.3 * std::sin(n), 0.1));
      run->simulation.step(1);
    }
  }
  const std::vector<double> want = a.get("W.w"), got = b.get("W.w"), single = c.get("W.w");
  for (size_t k = 0; k < want.size(); ++k) {
    EXPECT_NEAR(got[k], want[k], 1e-12);
    EXPECT_NEAR(single[k], want[k], 1e-4);
  }
}

TEST(Lower, AnArraySignalFeedsAPopulationRowByRow) {
  Builder b;
  const VarId odor = b.variable("odor", VarKind::Signal);
  b.model[odor].shape.extents = {3};
  b.net().signals = {odor};
  VarId r;
  b.population("X", 3, b.source(&r));
  b.net().populations[0].settings.push_back(
      {.variable = r, .value = {b.var(odor, 0), b.var(odor, 1), b.var(odor, 2)}, .per_neuron = true});
  Trial run(lowered(b));
  run.feed("odor", {1, 2, 3});
  run.simulation.step(1);
  EXPECT_EQ(run.get("X.r"), (std::vector<double>{1, 2, 3}));
}

TEST(Lower, ParametersMayDifferByNeuron) {
  Builder b;
  Neuron n;
  n.name = "N";
  const VarId tau = b.param(n, "tau", 20), half = b.own(n, "half", VarKind::Param);
  b.model[half].init = {b.mul(b.num(0.5), b.var(tau))};
  const VarId z = b.own(n, "z", VarKind::State);
  b.model[z].init = {b.var(half)};
  const int type = b.neuron(std::move(n));
  b.population("A", 5, type);
  b.population("B", 5, type);
  b.net().populations[0].settings.push_back(
      {.variable = tau,
       .value = {b.num(1), b.num(2), b.num(3), b.num(4), b.num(5)},
       .per_neuron = true});
  Trial run(lowered(b));
  EXPECT_EQ(run.get("A.z"), (std::vector<double>{0.5, 1, 1.5, 2, 2.5}));
  EXPECT_EQ(run.get("B.z"), (std::vector<double>(5, 10.0)));
  EXPECT_EQ(run.get("B.tau"), (std::vector<double>{20}));
}

TEST(Lower, ACircleOfStatelessValuesIsNamed) {
  Builder b;
  VarId input;
  const int type = b.linear(&input);
  const int x = b.population("X", 2, type), y = b.population("Y", 2, type);
  Rule rule;
  rule.name = "static";
  const VarId w = b.weight(rule, 1);
  const VarId pre = b.own(rule, "r", VarKind::PreValue);
  b.project("XY", x, y, rule).drives.push_back({.port = input, .value = b.mul(b.var(w), b.var(pre))});
  EXPECT_TRUE(stateless_cycle(b.model, b.net()).empty());
  b.project("YX", y, x, rule).drives.push_back({.port = input, .value = b.mul(b.var(w), b.var(pre))});
  const std::vector<std::string> cycle = stateless_cycle(b.model, b.net());
  EXPECT_EQ(cycle.size(), 4u);
  EXPECT_NE(std::find(cycle.begin(), cycle.end(), "X.r"), cycle.end());
}

TEST(Lower, AConditionOnDrawsIsAnEventOfThisInstant) {
  Builder b;
  Neuron n;
  n.name = "Task";
  const VarId p = b.own(n, "p", VarKind::Input);
  n.emissions.push_back({.event = "go", .condition = b.pool().make(Op::Less, b.num(0.5), b.var(p))});
  const VarId trials = b.own(n, "trials", VarKind::State);
  b.jump(n, b.event(n, EventKind::OwnEvent, "go"), trials, b.num(1));
  b.population("T", 1, b.neuron(std::move(n)));
  Trial run(lowered(b));
  run.feed("T.p", {0.9});
  run.simulation.step(1);
  EXPECT_EQ(run.one("T.go"), 1);
  EXPECT_EQ(run.one("T.trials"), 1);
  run.feed("T.p", {0.1});
  run.simulation.step(1);
  EXPECT_EQ(run.one("T.trials"), 1);
}

}  // namespace
}  // namespace hebb
