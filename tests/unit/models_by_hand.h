#pragma once
// Models built by hand, for the tests of lowering, and their programs on the interpreter.

#include <gtest/gtest.h>

#include "compiler/lower/lower.h"
#include "compiler/program/interpret.h"
#include "runtime/simulation.h"

namespace hebb::testing {

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

inline Program lowered(const Builder& b, LowerOptions options = {}) {
  return lower(b.model, b.model.networks[0], options);
}

}  // namespace hebb::testing
