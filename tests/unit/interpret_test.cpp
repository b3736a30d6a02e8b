// The interpreter: order of rows, rounding of each operation, launch ranges.

#include "compiler/program/interpret.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/random.h"

namespace hebb {
namespace {

/// 2 pre onto 3 post neurons, memory as hebb_abi.h lays it out (rows of 16).
template <class Real>
struct Machine {
  Program program;
  SpaceId one, pre, post, dense;
  ColumnId theta, x, y, w, run;
  Real memory[6][64] = {};
  void* bases[6];
  int64_t planes[6] = {0, 0, 16, 32, 32, 32};

  Machine() {
    one = program.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
    pre = program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = 2});
    post = program.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = 3});
    dense = program.add(Space{.kind = SpaceKind::Dense, .name = "S", .pre = pre, .post = post});
    program.dt = program.add(Column{.name = "dt", .space = one, .role = Role::Param});
    theta = program.add(Column{.name = "theta", .space = one, .role = Role::State, .width = 2});
    x = program.add(Column{.name = "x", .space = pre, .role = Role::State});
    y = program.add(Column{.name = "y", .space = post, .role = Role::State});
    w = program.add(Column{.name = "w", .space = dense, .role = Role::State});
    run = program.add(Column{.name = "run", .space = dense});
    for (int k = 0; k < 6; ++k) bases[k] = memory[k];
  }
  ExprPool& pool() { return program.pool; }

  void launch(Kernel kernel, int64_t pre_begin, int64_t pre_end, int64_t post_begin, int64_t post_end) {
    const KernelId id = program.add(std::move(kernel));
    program.plan.step = {{id}};
    EXPECT_TRUE(verify(program).empty()) << verify(program).at(0);
    const hebb_launch launch = {bases, planes, 16, pre_begin, pre_end, post_begin, post_end, 3, 99, 7};
    const auto shared = std::make_shared<const Program>(program);
    constexpr Precision kPrecision = sizeof(Real) == 4 ? Precision::Float32 : Precision::Float64;
    interpret(shared, kPrecision).run[id.value](&launch);
  }
  void launch(Kernel kernel) { launch(std::move(kernel), 0, 2, 0, 3); }
  Kernel store(ColumnId into, ExprId value, uint32_t element = 0) {
    Kernel kernel{.name = "k", .domain = program[into].space};
    kernel.stores.push_back({.into = into, .element = element, .value = value});
    return kernel;
  }
  Real& at(ColumnId column, int64_t i, int64_t j) { return memory[column.value][16 * i + j]; }
};

TEST(Interpret, HonoursTheRangeOfALaunch) {
  Machine<double> m;
  m.launch(m.store(m.w, m.pool().constant(1)), 1, 2, 1, 3);
  const double want[2][3] = {{0, 0, 0}, {0, 1, 1}};
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j) EXPECT_EQ(m.at(m.w, i, j), want[i][j]);
}

TEST(Interpret, LeavesPaddingAndOtherPlanesAlone) {
  Machine<double> m;
  m.launch(m.store(m.w, m.pool().constant(1)));
  EXPECT_EQ(m.at(m.w, 0, 3), 0);
  EXPECT_EQ(m.at(m.w, 2, 0), 0);
}

TEST(Interpret, AnEmptyRangeDoesNothing) {
  Machine<double> m;
  m.launch(m.store(m.w, m.pool().constant(1)), 1, 1, 0, 3);
  m.launch(m.store(m.y, m.pool().constant(1)), 0, 0, 2, 2);
  EXPECT_EQ(m.at(m.w, 1, 0), 0);
  EXPECT_EQ(m.memory[m.y.value][2], 0);
}

TEST(Interpret, FloatRoundsEveryOperation) {
  Machine<float> m;
  m.memory[m.theta.value][0] = 0.1f;
  ExprPool& pool = m.pool();
  const ExprId a = pool.load(m.theta, At::Uniform, 0);
  // (0.1 + 1e8) - 1e8: the 0.1 is lost in float, not in double.
  m.launch(m.store(m.y, pool.sub(pool.add(a, pool.constant(1e8)), pool.constant(1e8))));
  EXPECT_EQ(m.memory[m.y.value][0], 0.0f);
  Machine<double> d;
  d.memory[d.theta.value][0] = 0.1;
  ExprPool& other = d.pool();
  const ExprId b = other.load(d.theta, At::Uniform, 0);
  d.launch(d.store(d.y, other.sub(other.add(b, other.constant(1e8)), other.constant(1e8))));
  EXPECT_NEAR(d.memory[d.y.value][0], 0.1, 1e-7);
}

TEST(Interpret, AProductIsSummedWithOneRounding) {
  Machine<double> m;
  const double a = 1 + 0x1p-30;
  for (int j = 0; j < 3; ++j) m.memory[m.y.value][j] = 0;
  for (int i = 0; i < 2; ++i) m.memory[m.x.value][i] = a;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j) m.at(m.w, i, j) = i == 0 ? -1 : a;
  ExprPool& pool = m.pool();
  Kernel kernel{.name = "sum", .domain = m.dense};
  kernel.accumulates.push_back(
      {.into = m.y, .at = At::Post, .value = pool.mul(pool.load(m.w, At::Self), pool.load(m.x, At::Pre))});
  m.launch(kernel);
  EXPECT_EQ(m.memory[m.y.value][0], std::fma(a, a, -a));
  EXPECT_NE(m.memory[m.y.value][0], a * a - a);
}

TEST(Interpret, SumsRunPreOuterPostInner) {
  Machine<double> m;
  // 1e16 + 1 + 1 is 1e16 in this order, 1e16 + 2 in the other.
  const double values[2][3] = {{1e16, 1, 1}, {-1e16, 0, 0}};
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j) m.at(m.w, i, j) = values[i][j];
  Kernel kernel{.name = "sum", .domain = m.dense};
  kernel.accumulates.push_back({.into = m.theta, .element = 1, .at = At::Uniform,
                                .value = m.pool().load(m.w, At::Self)});
  m.launch(kernel);
  EXPECT_EQ(m.memory[m.theta.value][1], 0);
  EXPECT_EQ(m.memory[m.theta.value][0], 0);
}

TEST(Interpret, MinAndMaxKeepNan) {
  Machine<double> m;
  m.at(m.w, 0, 0) = std::nan("");
  m.memory[m.y.value][0] = m.memory[m.y.value][1] = 5;
  m.at(m.w, 0, 1) = -3;
  Kernel kernel{.name = "min", .domain = m.dense};
  kernel.accumulates.push_back(
      {.into = m.y, .at = At::Post, .combine = Combine::Min, .value = m.pool().load(m.w, At::Self)});
  m.launch(kernel);
  EXPECT_TRUE(std::isnan(m.memory[m.y.value][0]));
  EXPECT_EQ(m.memory[m.y.value][1], -3);
}

TEST(Interpret, ScansRunAlongTheirAxisAndRestart) {
  for (const At along : {At::Post, At::Pre}) {
    Machine<double> m;
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 3; ++j) m.at(m.w, i, j) = 10 * i + j + 1;
    Kernel kernel = m.store(m.w, m.pool().load(m.run, At::Self));
    kernel.scans.push_back({.as = m.run, .along = along, .value = m.pool().load(m.w, At::Self)});
    m.launch(kernel);
    EXPECT_EQ(m.at(m.w, 0, 2), along == At::Post ? 6 : 3);
    EXPECT_EQ(m.at(m.w, 1, 1), along == At::Post ? 23 : 14);
  }
}

TEST(Interpret, AllLoadsOfARowComeBeforeItsStores) {
  Machine<double> m;
  m.memory[m.theta.value][0] = 1;
  m.memory[m.theta.value][1] = 2;
  Kernel swap = m.store(m.theta, m.pool().load(m.theta, At::Uniform, 1), 0);
  swap.stores.push_back({.into = m.theta, .element = 1, .value = m.pool().load(m.theta, At::Uniform, 0)});
  m.launch(swap);
  EXPECT_EQ(m.memory[m.theta.value][0], 2);
  EXPECT_EQ(m.memory[m.theta.value][1], 1);
}

TEST(Interpret, DrawsCountElementsOfTheWholeSpace) {
  Machine<double> m;
  m.launch(m.store(m.w, m.pool().draw(5, 1)), 1, 2, 2, 3);
  EXPECT_EQ(m.at(m.w, 1, 2), draw_uniform<double>(99, 5, 1, 1 * 3 + 2, 7));
  m.launch(m.store(m.y, m.pool().draw(5, 1)));
  EXPECT_EQ(m.memory[m.y.value][2], draw_uniform<double>(99, 5, 1, 2, 7));
}

}  // namespace
}  // namespace hebb
