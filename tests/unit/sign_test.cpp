// What is known of the sign of a value: never more than is true.

#include "compiler/lower/sign.h"

#include <gtest/gtest.h>

namespace hebb {
namespace {

struct Values {
  Program program;
  SpaceId uniform = program.add(Space{});
  ExprId param(const char* name) {
    return program.pool.load(program.add(Column{.name = name, .space = uniform, .role = Role::Param}), At::Uniform);
  }
  ExprId state(const char* name) {
    return program.pool.load(program.add(Column{.name = name, .space = uniform, .role = Role::State}), At::Uniform);
  }
  std::optional<Sign> sign(ExprId value) { return sign_of(program.pool, value, signs_of_parameters(program)); }
  ExprId number(double value) { return program.pool.constant(value); }
};

const Sign kUp{}, kDown{.negative = true, .of = {}};

TEST(Sign, OfNumbersAndFunctions) {
  Values v;
  ExprPool& p = v.program.pool;
  const ExprId x = v.state("x"), y = v.state("y");
  EXPECT_EQ(v.sign(v.number(2)), kUp);
  EXPECT_EQ(v.sign(v.number(-2)), kDown);
  EXPECT_FALSE(v.sign(x));
  EXPECT_EQ(v.sign(p.mul(x, x)), kUp);
  EXPECT_EQ(v.sign(p.make(Op::Exp, x)), kUp);
  EXPECT_EQ(v.sign(p.make(Op::Max, x, v.number(0))), kUp);
  EXPECT_EQ(v.sign(p.make(Op::Min, x, v.number(0))), kDown);
  EXPECT_FALSE(v.sign(p.make(Op::Max, x, v.number(-1))));
  EXPECT_FALSE(v.sign(p.make(Op::Tanh, x)));
  EXPECT_EQ(v.sign(p.neg(p.make(Op::Abs, x))), kDown);
  EXPECT_EQ(v.sign(p.select(y, p.mul(x, x), v.number(0))), kUp);
  EXPECT_FALSE(v.sign(p.select(y, p.mul(x, x), v.number(-1))));
  EXPECT_FALSE(v.sign(p.mul(x, y)));
  EXPECT_FALSE(v.sign(p.add(p.mul(x, x), x)));
  EXPECT_EQ(v.sign(p.sub(p.mul(x, x), v.number(-1))), kUp);
  EXPECT_FALSE(v.sign(p.sub(p.mul(x, x), v.number(1))));
}

// A parameter has whichever sign, but keeps it.
TEST(Sign, OfParameters) {
  Values v;
  ExprPool& p = v.program.pool;
  const ExprId a = v.param("a"), b = v.param("b"), x = v.state("x"), square = p.mul(x, x);
  EXPECT_EQ(v.sign(p.mul(a, square)), v.sign(a));
  EXPECT_EQ(v.sign(p.add(p.mul(a, square), a)), v.sign(a));
  EXPECT_NE(v.sign(a), v.sign(b));
  EXPECT_NE(v.sign(a), v.sign(p.neg(a)));
  EXPECT_FALSE(v.sign(p.add(p.mul(a, square), p.mul(b, square))));
  EXPECT_TRUE(v.sign(p.add(a, b))) << "a sum of parameters keeps its sign as well";
  EXPECT_EQ(v.sign(p.mul(p.mul(a, b), a)), v.sign(b));
  EXPECT_FALSE(v.sign(p.mul(a, x)));
  EXPECT_FALSE(v.sign(p.add(p.mul(a, square), v.number(1))));
}

// Steps are fixed: what depends on them and parameters alone keeps its sign, whatever it is.
TEST(Sign, OfSteps) {
  Values v;
  ExprPool& p = v.program.pool;
  v.program.dt = v.program.add(Column{.name = "dt", .space = v.uniform, .role = Role::Param});
  const ExprId dt = p.load(v.program.dt, At::Uniform), a = v.param("a"), x = v.state("x"), square = p.mul(x, x);
  EXPECT_EQ(v.sign(dt), kUp);
  const ExprId some = p.sub(p.mul(a, dt), v.number(3));
  ASSERT_TRUE(v.sign(some));
  EXPECT_EQ(v.sign(p.add(p.mul(some, square), some)), v.sign(some));
}

}  // namespace
}  // namespace hebb
