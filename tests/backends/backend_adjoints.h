#pragma once
// Of the suite: steps and what goes back through them.

#include "compiler/adjoint/adjoint.h"
#include "tests/backends/backend_suite.h"

namespace hebb {

/// Runs both in each step.
inline Program step_and_reverse(Adjoint adjoint) {
  Program both = std::move(adjoint.program);
  both.plan.step.clear();
  for (const auto& kernels : {adjoint.quiet.forward, adjoint.quiet.reverse})
    for (const KernelId kernel : kernels) both.plan.step.push_back({kernel});
  return both;
}

/// A network of twelve units inside each row, asked three times; its derivative wants every hidden value again.
TEST_P(BackendSuite, NetworksInRowsAndTheirAdjoints) {
  constexpr uint32_t kUnits = 12;
  Bench b(3, 18);
  ExprPool& pool = b.pool();
  const ColumnId weights = b.program.add(Column{.name = "weights", .space = b.one, .role = Role::Param, .width = 2 * kUnits});
  const ColumnId bias = b.program.add(Column{.name = "bias", .space = b.post, .role = Role::Param, .width = kUnits});
  const ExprId start = pool.load(b.w, At::Self);
  ExprId w = start;
  for (int stage = 0; stage < 3; ++stage) {
    ExprId sum = pool.load(b.x, At::Pre);
    for (uint32_t k = 0; k < kUnits; ++k) {
      const ExprId in = pool.make(Op::Fma, pool.load(weights, At::Uniform, k), w, pool.load(bias, At::Post, k));
      sum = pool.make(Op::Fma, pool.load(weights, At::Uniform, kUnits + k), pool.make(Op::Tanh, in), sum);
    }
    w = pool.make(Op::Fma, pool.constant(0.1), sum, start);
  }
  Kernel update{.name = "update", .domain = b.dense};
  update.stores.push_back({.into = b.w, .value = w});
  b.step(update);
  expect_same(b.program, Numbers::Plain, 2, "network");
  const ColumnId targets[] = {weights, bias, b.w, b.x}, outputs[] = {b.w};
  AdjointResult result = adjoint(b.program, targets, outputs);
  ASSERT_TRUE(result.adjoint.has_value());
  expect_same(step_and_reverse(*std::move(result.adjoint)), Numbers::Plain, 2, "adjoint of the network");
}

/// Sums, units, a rule, noise: the step and its reverse.
TEST_P(BackendSuite, AStepAndItsAdjoint) {
  for (const auto& [pres, posts] : {std::pair<int64_t, int64_t>{7, 33}, {17, 1}, {1, 16}}) {
    Bench b(pres, posts);
    ExprPool& pool = b.pool();
    const ExprId w = pool.load(b.w, At::Self), x = pool.load(b.x, At::Pre), y = pool.load(b.y, At::Post, 0);
    Kernel inputs{.name = "inputs", .domain = b.dense}, units{.name = "units", .domain = b.post};
    Kernel update{.name = "update", .domain = b.dense}, noise{.name = "noise", .domain = b.pre};
    inputs.accumulates.push_back({.into = b.sum_post, .at = At::Post, .value = pool.mul(w, x)});
    units.stores.push_back({.into = b.y, .element = 0, .value = pool.make(Op::Tanh, pool.load(b.sum_post, At::Self))});
    const ExprId growth = pool.sub(pool.mul(x, y), pool.mul(pool.mul(y, y), w));
    update.stores.push_back({.into = b.w, .value = pool.make(Op::Fma, pool.load(b.theta, At::Uniform, 0), growth, w)});
    noise.stores.push_back({.into = b.x, .value = pool.add(pool.mul(pool.load(b.theta, At::Uniform, 1), pool.load(b.x, At::Self)), pool.draw(5, 0))});
    for (const Kernel& kernel : {inputs, units, update, noise}) b.step(kernel);

    const ColumnId targets[] = {b.theta, b.w, b.x}, outputs[] = {b.w, b.y};
    AdjointResult result = adjoint(b.program, targets, outputs);
    ASSERT_TRUE(result.adjoint.has_value());
    EXPECT_GE(result.adjoint->quiet.reverse.size(), 4u);
    expect_same(step_and_reverse(*std::move(result.adjoint)), Numbers::Plain, 2, "adjoint");
  }
}

/// Those of the random programs that have derivatives: about one in ten.
TEST_P(BackendSuite, AdjointsOfRandomPrograms) {
  int made = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Program program = RandomProgram(seed).make();
    std::vector<ColumnId> targets, outputs;
    for (uint32_t c = 0; c < program.columns.size(); ++c) {
      const Role role = program.columns[c].role;
      if (role == Role::State) outputs.push_back({c});
      if (role == Role::State || (role == Role::Param && ColumnId{c} != program.dt)) targets.push_back({c});
    }
    AdjointResult result = adjoint(program, targets, outputs);
    if (!result.adjoint) continue;
    ++made;
    expect_same(step_and_reverse(*std::move(result.adjoint)), Numbers::Plain, 2, "adjoint of seed " + std::to_string(seed));
  }
  EXPECT_GE(made, 5);
}

}  // namespace hebb
