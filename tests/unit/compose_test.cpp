// Sums of rules, copies of rules and neurons, and where their variables live.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "compiler/expr/transform.h"
#include "compiler/transform/transform.h"

namespace hebb {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Builder {
  Model& model;
  Rule rule;

  Builder(Model& m, const std::string& name, Contract contract = Contract::Local) : model(m) {
    rule.name = name;
    rule.contract = contract;
  }
  ExprPool& pool() { return model.pool; }
  ExprId num(double value) { return pool().constant(value); }
  VarId declare(VarKind kind, const std::string& name, std::vector<ExprId> init = {}, Bounds bounds = {}) {
    Variable variable;
    variable.name = name;
    variable.kind = kind;
    variable.init = std::move(init);
    variable.bounds = bounds;
    variable.owner = rule.name;
    const VarId id = model.add(std::move(variable));
    rule.variables.push_back(id);
    if (kind == VarKind::Weight) rule.weight = id;
    return id;
  }
  ExprId read(VarId id) { return pool().variable(id); }
  EventId event(EventKind kind, const std::string& name = "spike", ExprId period = {}) {
    rule.events.push_back({.kind = kind, .name = name, .period = period});
    return EventId{static_cast<uint32_t>(rule.events.size() - 1)};
  }
  void flow(VarId id, ExprId rate) { rule.flows.push_back({.variable = id, .rate = rate}); }
  void jump(EventId on, VarId id, ExprId value, bool assign = false) {
    rule.jumps.push_back({.events = {on}, .variable = id, .assign = assign, .value = value});
  }
};

/// x' = -x / tau + pre.spike; w' = A * x * post.spike. A number for tau, or a parameter.
Rule pair_rule(Model& model, const std::string& name, double tau_number, bool literal, Bounds bounds = {}) {
  Builder b(model, name);
  const ExprId tau = literal ? b.num(tau_number) : b.read(b.declare(VarKind::Param, "tau", {b.num(tau_number)}));
  const ExprId A = b.read(b.declare(VarKind::Param, "A", {b.num(0.01)}));
  const VarId w = b.declare(VarKind::Weight, "w", {}, bounds), x = b.declare(VarKind::State, "x");
  const EventId pre = b.event(EventKind::PreEvent), post = b.event(EventKind::PostEvent);
  b.flow(x, b.pool().neg(b.pool().div(b.read(x), tau)));
  b.jump(pre, x, b.num(1));
  b.jump(post, w, b.pool().mul(A, b.read(x)));
  return b.rule;
}

Rule decay_rule(Model& model, Bounds bounds = {}) {
  Builder b(model, "Decay");
  const ExprId tau = b.read(b.declare(VarKind::Param, "tau", {b.num(1000)}));
  const VarId w = b.declare(VarKind::Weight, "w", {}, bounds);
  b.flow(w, b.pool().neg(b.pool().div(b.read(w), tau)));
  return b.rule;
}

std::set<std::string> names(const Model& model, const Rule& rule) {
  std::set<std::string> result;
  for (const VarId id : rule.variables) result.insert(model[id].name);
  return result;
}

/// Every variable that the rule's expressions read is one of the rule's.
void expect_closed(const Model& model, const Rule& rule) {
  std::vector<ExprId> roots;
  for (const Flow& flow : rule.flows) roots.push_back(flow.rate);
  for (const Jump& jump : rule.jumps) {
    roots.push_back(jump.value);
    for (const EventId event : jump.events) EXPECT_LT(event.value, rule.events.size());
  }
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    roots.insert(roots.end(), variable.init.begin(), variable.init.end());
    roots.insert(roots.end(), variable.value.begin(), variable.value.end());
    roots.push_back(variable.low);
    roots.push_back(variable.high);
  }
  std::set<uint32_t> own;
  for (const VarId id : rule.variables) own.insert(id.value);
  for (const After& after : rule.afters) own.insert(after.marker.value);
  for (const ExprId id : nodes_below(model.pool, roots)) {
    const ExprNode node = model.pool[id];
    if (node.op != Op::Var) continue;
    EXPECT_TRUE(own.contains(node.leaf.index)) << model[VarId{node.leaf.index}].name;
  }
}

TEST(compose, sums_flows_on_one_weight_and_intersects_bounds) {
  Model model;
  const Rule pair = pair_rule(model, "Pair", 20, false, {.low = 0, .high = kInf});
  const Rule decay = decay_rule(model, {.low = -5, .high = 1, .low_open = true});
  const Rule sum = compose(model, "Stable", {pair, decay});
  EXPECT_EQ(sum.name, "Stable");
  EXPECT_EQ(sum.parts.size(), 2u);
  EXPECT_EQ(sum.weight, pair.weight);
  EXPECT_EQ(model[sum.weight].bounds.low, 0);
  EXPECT_EQ(model[sum.weight].bounds.high, 1);
  EXPECT_FALSE(model[sum.weight].bounds.low_open);
  ASSERT_EQ(sum.flows.size(), 2u);
  EXPECT_EQ(sum.flows[1].variable, sum.weight);
  EXPECT_EQ(sum.jumps.size(), 2u);
  EXPECT_EQ(names(model, sum), (std::set<std::string>{"A", "w", "x", "Pair.tau", "Decay.tau"}));
  expect_closed(model, sum);
}

TEST(compose, adds_two_rates_of_the_weight) {
  Model model;
  const Rule sum = compose(model, "Twice", {decay_rule(model), decay_rule(model)});
  ASSERT_EQ(sum.flows.size(), 1u);
  EXPECT_EQ(model.pool[sum.flows[0].rate].op, Op::Add);
  EXPECT_EQ(names(model, sum), (std::set<std::string>{"w", "Decay.tau", "Decay2.tau"}));
  expect_closed(model, sum);
}

TEST(compose, merges_events_and_requirements) {
  Model model;
  const auto hebb = [&](const std::string& name) {
    Builder b(model, name);
    const VarId w = b.declare(VarKind::Weight, "w"), r = b.declare(VarKind::PreValue, "r");
    const VarId R = b.declare(VarKind::Signal, "R");
    b.jump(b.event(EventKind::PostEvent), w, b.pool().mul(b.read(r), b.read(R)));
    b.jump(b.event(EventKind::Every, "", b.num(1000)), w, b.num(-1));
    return b.rule;
  };
  const Rule sum = compose(model, "Sum", {hebb("A"), hebb("B")});
  EXPECT_EQ(sum.events.size(), 2u);
  EXPECT_EQ(sum.jumps.size(), 4u);
  EXPECT_EQ(sum.jumps[0].value, sum.jumps[2].value);
  EXPECT_EQ(names(model, sum), (std::set<std::string>{"w", "r", "R"}));
  EXPECT_EQ(sum.variables.size(), 3u);
  expect_closed(model, sum);
}

TEST(compose, merges_traces_that_cannot_differ) {
  Model model;
  const Rule sum = compose(model, "Sum", {pair_rule(model, "A", 20, true), pair_rule(model, "B", 20, true)});
  EXPECT_EQ(names(model, sum), (std::set<std::string>{"A.A", "B.A", "w", "x"}));
  EXPECT_EQ(sum.flows.size(), 1u);
  EXPECT_EQ(sum.jumps.size(), 3u);                     // x once, w twice
  expect_closed(model, sum);
}

TEST(compose, keeps_traces_that_may_differ) {
  Model model;
  const Rule numbers = compose(model, "S", {pair_rule(model, "A", 20, true), pair_rule(model, "B", 21, true)});
  EXPECT_EQ(numbers.flows.size(), 2u);
  // Equal defaults, but each can be set.
  const Rule params = compose(model, "S", {pair_rule(model, "A", 20, false), pair_rule(model, "B", 20, false)});
  EXPECT_EQ(params.flows.size(), 2u);
  EXPECT_TRUE(names(model, params).contains("A.x"));
  EXPECT_TRUE(names(model, params).contains("B.x"));
}

TEST(compose, a_sum_promises_what_all_parts_promise) {
  Model model;
  const auto with = [&](Contract contract) {
    Rule rule = decay_rule(model);
    rule.contract = contract;
    return rule;
  };
  const auto joint = [&](Contract a, Contract b) { return compose(model, "S", {with(a), with(b)}).contract; };
  EXPECT_EQ(joint(Contract::Local, Contract::Local), Contract::Local);
  EXPECT_EQ(joint(Contract::Local, Contract::ThreeFactor), Contract::ThreeFactor);
  EXPECT_EQ(joint(Contract::Nonlocal, Contract::ThreeFactor), Contract::Nonlocal);
  EXPECT_EQ(joint(Contract::Nonlocal, Contract::None), Contract::None);
}

TEST(instantiate, copies_share_no_variable_and_no_draw) {
  Model model;
  Builder b(model, "Noisy");
  const uint32_t site = model.draw_sites++;
  const ExprId noise = b.pool().draw(site, 0);
  const VarId s = b.declare(VarKind::Param, "s", {b.num(2)});
  const VarId w = b.declare(VarKind::Weight, "w", {b.pool().mul(b.read(s), noise)});
  Variable marker;
  marker.name = "after(w)";
  marker.kind = VarKind::Let;
  const VarId after = model.add(std::move(marker));
  b.rule.afters.push_back({.marker = after, .of = w});
  b.jump(b.event(EventKind::Every, "", b.read(s)), w, b.pool().add(b.read(after), noise));
  model.rules.push_back(b.rule);

  const Rule copy = instantiate(model, model.rules[0]);
  EXPECT_NE(copy.weight, w);
  EXPECT_EQ(copy.variables.size(), 2u);
  EXPECT_EQ(model[copy.weight].name, "w");
  EXPECT_NE(copy.afters[0].marker, after);
  EXPECT_EQ(copy.afters[0].of, copy.weight);
  EXPECT_EQ(copy.events[0].period, model.pool.variable(copy.variables[0]));
  expect_closed(model, copy);
  EXPECT_EQ(model.draw_sites, 2u);
  // One site of the original is one site of the copy.
  EXPECT_EQ(model.pool[copy.jumps[0].value].operands[1], model.pool.draw(1, 0));
  EXPECT_EQ(model.pool[model[copy.weight].init[0]].operands[1], model.pool.draw(1, 0));
  // The original is as it was.
  EXPECT_EQ(model.rules[0].jumps[0].variable, w);
  EXPECT_EQ(model[w].init[0], model.pool.mul(b.read(s), noise));
}

TEST(instantiate, copies_neurons_with_their_emissions) {
  Model model;
  Neuron neuron;
  neuron.name = "Unit";
  Variable v;
  v.name = "v";
  const VarId id = model.add(std::move(v));
  neuron.variables = {id};
  neuron.held = {id};
  neuron.emissions = {{.event = "spike", .condition = model.pool.variable(id)}};
  neuron.refractory = model.pool.variable(id);
  const Neuron copy = instantiate(model, neuron);
  ASSERT_NE(copy.variables[0], id);
  EXPECT_EQ(copy.held[0], copy.variables[0]);
  EXPECT_EQ(copy.emissions[0].condition, model.pool.variable(copy.variables[0]));
  EXPECT_EQ(copy.refractory, copy.emissions[0].condition);
}

// --- places ------------------------------------------------------------------------------------------

Locus place_of(const Model& model, const std::string& name) {
  for (const Variable& variable : model.variables) {
    if (variable.name == name) return variable.locus;
  }
  ADD_FAILURE() << name;
  return Locus::Synapse;
}

TEST(locate, variables_live_at_the_least_place_that_covers_their_equations) {
  Model model;
  Builder b(model, "R");
  ExprPool& p = model.pool;
  const VarId tau = b.declare(VarKind::Param, "tau", {p.draw(0, 0)});
  const VarId w = b.declare(VarKind::Weight, "w");
  const VarId x = b.declare(VarKind::State, "x"), y = b.declare(VarKind::State, "y");
  const VarId z = b.declare(VarKind::State, "z"), clock = b.declare(VarKind::State, "clock");
  const VarId copy = b.declare(VarKind::State, "copy"), noisy = b.declare(VarKind::State, "noisy");
  const VarId u = b.declare(VarKind::PostValue, "u"), let = b.declare(VarKind::Let, "let");
  const VarId s = b.declare(VarKind::Reduce, "s"), started = b.declare(VarKind::State, "started", {p.draw(1, 0)});
  const EventId pre = b.event(EventKind::PreEvent), post = b.event(EventKind::PostEvent), step = b.event(EventKind::Step);
  for (const VarId id : {x, y, z, clock}) b.flow(id, p.neg(p.div(b.read(id), b.read(tau))));
  b.jump(pre, x, b.num(1));
  b.jump(post, y, b.num(1));
  b.jump(post, z, b.read(x));
  b.jump(step, clock, b.num(1));
  b.flow(copy, b.read(let));
  model[let].value = {p.add(b.read(u), b.read(y))};
  b.jump(step, noisy, p.draw(2, 0));
  b.rule.reductions.push_back({.variable = s, .function = ReduceFunction::Sum, .per = ast::Per::Post,
                               .argument = p.mul(b.read(w), b.read(x))});
  b.jump(step, started, b.num(0));
  model.rules.push_back(b.rule);
  model = locate(std::move(model));
  EXPECT_EQ(place_of(model, "tau"), Locus::Shared);
  EXPECT_EQ(place_of(model, "w"), Locus::Synapse);
  EXPECT_EQ(place_of(model, "x"), Locus::Pre);
  EXPECT_EQ(place_of(model, "y"), Locus::Post);
  EXPECT_EQ(place_of(model, "z"), Locus::Synapse);
  EXPECT_EQ(place_of(model, "clock"), Locus::Shared);
  EXPECT_EQ(place_of(model, "let"), Locus::Post);
  EXPECT_EQ(place_of(model, "copy"), Locus::Post);
  EXPECT_EQ(place_of(model, "noisy"), Locus::Synapse);
  EXPECT_EQ(place_of(model, "s"), Locus::Post);
  EXPECT_EQ(place_of(model, "started"), Locus::Synapse);
}

TEST(locate, a_bound_signal_is_where_its_value_is) {
  Model model;
  Builder b(model, "R");
  const VarId w = b.declare(VarKind::Weight, "w"), R = b.declare(VarKind::Signal, "R");
  const VarId v = b.declare(VarKind::PostValue, "v"), e = b.declare(VarKind::State, "e");
  b.flow(e, b.read(R));
  Network network;
  ProjectionDef projection;
  projection.rule = b.rule;
  projection.binds = {{.target = R, .value = b.read(v)}};
  network.projections.push_back(projection);
  model.networks.push_back(network);
  const Model bound = locate(model);
  EXPECT_EQ(bound[R].locus, Locus::Post);
  EXPECT_EQ(bound[e].locus, Locus::Post);
  EXPECT_EQ(bound[w].locus, Locus::Synapse);

  model.networks[0].projections[0].binds.clear();
  EXPECT_EQ(locate(model)[e].locus, Locus::Shared);
  model.networks[0].projections[0].inits = {{.variable = e, .value = {model.pool.draw(0, 0)}, .drawn = true}};
  EXPECT_EQ(locate(model)[e].locus, Locus::Synapse);
}

}  // namespace
}  // namespace hebb
