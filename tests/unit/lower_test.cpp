// From models built by hand to programs, run by the interpreter.

#include "compiler/lower/lower.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/expr/transform.h"
#include "compiler/program/interpret.h"
#include "runtime/simulation.h"

namespace hebb {
namespace {

/// A model under construction, with short names for what tests need.
struct Builder {
  Model model;
  Builder() { model.networks.emplace_back().name = "Net"; }

  ExprPool& pool() { return model.pool; }
  Network& net() { return model.networks[0]; }
  ExprId num(double value) { return pool().constant(value); }
  ExprId var(VarId id, uint32_t element = 0) { return pool().variable(id, element); }
  ExprId add(ExprId a, ExprId b) { return pool().add(a, b); }
  ExprId sub(ExprId a, ExprId b) { return pool().sub(a, b); }
  ExprId mul(ExprId a, ExprId b) { return pool().mul(a, b); }

  VarId variable(std::string name, VarKind kind, Locus locus = Locus::Synapse) {
    Variable v{.name = std::move(name), .kind = kind, .locus = locus};
    v.member = v.name;
    return model.add(std::move(v));
  }
  VarId own(Dynamics& dynamics, std::string name, VarKind kind, Locus locus = Locus::Synapse) {
    const VarId id = variable(std::move(name), kind, locus);
    dynamics.variables.push_back(id);
    return id;
  }
  VarId param(Dynamics& dynamics, std::string name, double value) {
    const VarId id = own(dynamics, std::move(name), VarKind::Param, Locus::Shared);
    model[id].init = {num(value)};
    return id;
  }
  VarId weight(Rule& rule, double start = 0) {
    rule.weight = own(rule, "w", VarKind::Weight);
    model[rule.weight].init = {num(start)};
    return rule.weight;
  }
  EventId event(Dynamics& dynamics, EventKind kind, std::string name = {}, double period = 0) {
    Event e{.kind = kind, .name = std::move(name)};
    if (kind == EventKind::Every) e.period = num(period);
    dynamics.events.push_back(e);
    return {static_cast<uint32_t>(dynamics.events.size() - 1)};
  }
  void jump(Dynamics& dynamics, EventId event, VarId id, ExprId value, bool assign = false) {
    dynamics.jumps.push_back({.events = {event}, .variable = id, .assign = assign, .value = value});
  }
  /// x' = -x / tau, solved.
  void decay(Dynamics& dynamics, VarId x, double tau) {
    const ExprId exponent = pool().div(pool().neg(pool().dt()), num(tau));
    dynamics.solutions.push_back({.variable = x,
                                  .solver = Solver::Exact,
                                  .next = mul(var(x), pool().make(Op::Exp, exponent))});
  }

  int neuron(Neuron neuron) {
    model.neurons.push_back(std::move(neuron));
    return static_cast<int>(model.neurons.size() - 1);
  }
  /// input r; nothing else.
  int source(VarId* r) {
    Neuron n;
    n.name = "Input";
    *r = own(n, "r", VarKind::Input);
    return neuron(std::move(n));
  }
  /// input I; let r = I.
  int linear(VarId* input) {
    Neuron n;
    n.name = "Linear";
    *input = own(n, "I", VarKind::Input);
    const VarId r = own(n, "r", VarKind::Let);
    model[r].value = {var(*input)};
    return neuron(std::move(n));
  }
  int population(std::string name, int64_t size, int neuron) {
    net().populations.push_back({.name = std::move(name), .size = size, .neuron = neuron});
    return static_cast<int>(net().populations.size() - 1);
  }
  ProjectionDef& project(std::string name, int pre, int post, Rule rule) {
    net().projections.push_back(
        {.name = std::move(name), .pre = pre, .post = post, .rule = std::move(rule)});
    return net().projections.back();
  }
};

/// A program on the interpreter, columns by name.
struct Trial {
  std::shared_ptr<const Program> program;
  Simulation simulation;
  explicit Trial(Program p, Precision precision = Precision::Float64)
      : program(std::make_shared<const Program>(std::move(p))),
        simulation(*Simulation::create(program, interpret(program, precision), {.precision = precision})) {
    simulation.initialise();
  }
  ColumnId column(const std::string& name) const {
    const ColumnId id = program->find_column(name);
    EXPECT_TRUE(id.valid()) << name << "\n" << print(*program);
    return id;
  }
  void set(const std::string& name, std::vector<double> values) {
    EXPECT_TRUE(simulation.set(column(name), values).ok());
  }
  void feed(const std::string& name, std::vector<double> values) {
    simulation.feed(column(name), values);
  }
  std::vector<double> get(const std::string& name) const { return simulation.get(column(name)); }
  double one(const std::string& name, size_t at = 0) const { return get(name).at(at); }
};

Program lowered(const Builder& b, LowerOptions options = {}) {
  return lower(b.model, b.model.networks[0], options);
}

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
  const Program program = lowered(OjaNet(3, 2));
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

/// x' = -x/20 + pre.spike; y' = -y/20 + post.spike; w += 0.01 x at post, -= 0.0105 y at pre.
Rule pair_stdp(Builder& b, bool reversed = false) {
  Rule rule;
  rule.name = "PairSTDP";
  const VarId w = b.weight(rule, 0.5);
  b.model[w].bounds = {.low = 0, .high = 1};
  const VarId x = b.own(rule, "x", VarKind::State, Locus::Pre);
  const VarId y = b.own(rule, "y", VarKind::State, Locus::Post);
  const EventId pre = b.event(rule, EventKind::PreEvent, "spike");
  const EventId post = b.event(rule, EventKind::PostEvent, "spike");
  b.jump(rule, pre, x, b.num(1));
  b.jump(rule, post, y, b.num(1));
  b.jump(rule, post, w, b.mul(b.num(0.01), b.var(x)));
  b.jump(rule, pre, w, b.pool().neg(b.mul(b.num(0.0105), b.var(y))));
  if (reversed) std::reverse(rule.jumps.begin(), rule.jumps.end());
  b.decay(rule, x, 20);
  b.decay(rule, y, 20);
  return rule;
}

TEST(LowerSynapse, PairStdpGivesTheWindow) {
  Builder b;
  const Rule rule = pair_stdp(b);
  for (const double gap : {10.0, -10.0, 3.0}) {
    Trial run(lower_synapse(b.model, rule, {}));
    EXPECT_FALSE(run.program->grid_required);
    run.feed(gap > 0 ? "pre.spike" : "post.spike", {1});
    run.simulation.step(std::abs(gap));
    run.feed(gap > 0 ? "post.spike" : "pre.spike", {1});
    run.simulation.step(0);
    const double change = gap > 0 ? 0.01 * std::exp(-gap / 20) : -0.0105 * std::exp(gap / 20);
    EXPECT_NEAR(run.one("w") - 0.5, change, 1e-15);
  }
}

TEST(LowerSynapse, CoincidentSpikesSeeLeftLimits) {
  Builder b;
  const Rule rule = pair_stdp(b);
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("pre.spike", {1});
  run.feed("post.spike", {1});
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 0.5);
  EXPECT_EQ(run.one("x"), 1);
  EXPECT_EQ(run.one("y"), 1);
  run.feed("pre.spike", {1});
  run.feed("post.spike", {1});
  run.simulation.step(0);  // both traces are 1 now
  EXPECT_NEAR(run.one("w"), 0.5 + 0.01 - 0.0105, 1e-16);
}

TEST(LowerSynapse, OrderOfHandlersChangesNoBit) {
  Builder b, c;
  Trial a(lower_synapse(b.model, pair_stdp(b), {}));
  Trial z(lower_synapse(c.model, pair_stdp(c, true), {}));
  for (int n = 0; n < 200; ++n) {
    for (Trial* run : {&a, &z}) {
      run->feed("pre.spike", {n % 3 == 0 ? 1.0 : 0.0});
      run->feed("post.spike", {n % 5 == 0 ? 1.0 : 0.0});
      run->simulation.step(1.7);
    }
    ASSERT_EQ(a.one("w"), z.one("w"));
  }
  EXPECT_NE(a.one("w"), 0.5);
}

TEST(LowerSynapse, BoundsClampAndNanPassesThrough) {
  Builder b;
  const Rule rule = pair_stdp(b);
  Trial run(lower_synapse(b.model, rule, {}));
  run.set("w", {0.001});
  run.set("y", {1});
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 0);
  run.set("w", {std::nan("")});
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_TRUE(std::isnan(run.one("w")));
}

TEST(LowerSynapse, AfterReadsTheRightLimit) {
  Builder b;
  Rule rule;
  rule.name = "TM";
  const VarId u = b.own(rule, "u", VarKind::State, Locus::Pre);
  const VarId x = b.own(rule, "x", VarKind::State, Locus::Pre);
  b.model[u].init = {b.num(0.2)};
  b.model[x].init = {b.num(1)};
  const VarId marker = b.own(rule, "after(u)", VarKind::Let);
  rule.afters.push_back({.marker = marker, .of = u});
  const EventId pre = b.event(rule, EventKind::PreEvent, "spike");
  b.jump(rule, pre, x, b.pool().neg(b.mul(b.var(marker), b.var(x))));
  b.jump(rule, pre, u, b.mul(b.num(0.2), b.sub(b.num(1), b.var(u))));
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_NEAR(run.one("u"), 0.36, 1e-15);
  EXPECT_NEAR(run.one("x"), 1 - 0.36, 1e-15);
}

TEST(LowerSynapse, AssignmentReplacesTheBaseOfIncrements) {
  Builder b;
  Rule rule;
  rule.name = "R";
  const VarId w = b.weight(rule, 0.5);
  const EventId pre = b.event(rule, EventKind::PreEvent, "spike");
  b.jump(rule, pre, w, b.mul(b.num(2), b.var(w)));
  b.jump(rule, pre, w, b.num(7), /*assign=*/true);
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("pre.spike", {1});
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 8);
  run.simulation.step(0);
  EXPECT_EQ(run.one("w"), 8);  // nothing happened
}

TEST(LowerSynapse, EventPortsAreFedAndLetsCanBeRead) {
  Builder b;
  Rule rule;
  rule.name = "R";
  const VarId w = b.weight(rule, 0.25);
  const VarId reward = b.own(rule, "R", VarKind::Signal, Locus::Shared);
  const VarId r = b.own(rule, "r", VarKind::PreValue);
  const VarId h = b.own(rule, "h", VarKind::Let);
  b.model[h].value = {b.mul(b.var(reward), b.var(r))};
  const EventId port = b.event(rule, EventKind::Port, "trial_end");
  b.jump(rule, port, w, b.var(h));
  Trial run(lower_synapse(b.model, rule, {}));
  run.feed("R", {0.5});
  run.feed("pre.r", {4});
  run.simulation.step(1);
  EXPECT_EQ(run.one("w"), 0.25);
  EXPECT_EQ(run.one("h"), 2);
  run.feed("trial_end", {1});
  run.simulation.step(1);
  EXPECT_EQ(run.one("w"), 2.25);
}

}  // namespace
}  // namespace hebb
