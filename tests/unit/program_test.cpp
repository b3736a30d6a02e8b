// Programs: names, the promises verify checks, the printed form, and the random numbers.

#include <gtest/gtest.h>

#include "compiler/program/program.h"
#include "runtime/random.h"

namespace hebb {
namespace {

/// Two neurons onto three: x (fed) → u = sum of w x; w is a state.
struct Small {
  Program program;
  SpaceId one, pre, post, dense;
  ColumnId x, w, u, total;
  Small() {
    program.name = "small";
    one = program.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
    pre = program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = 2});
    post = program.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = 3});
    dense = program.add(Space{.kind = SpaceKind::Dense, .name = "S", .pre = pre, .post = post});
    program.dt = program.add(Column{.name = "dt", .space = one, .role = Role::Param, .unit = "ms"});
    x = program.add(Column{.name = "x", .space = pre, .role = Role::Fed});
    w = program.add(Column{.name = "S.w", .space = dense, .role = Role::State});
    u = program.add(Column{.name = "Y.u", .space = post});
    total = program.add(Column{.name = "total", .space = one});
  }
  ExprPool& pool() { return program.pool; }
  Kernel drive() {
    Kernel kernel{.name = "S.drive", .domain = dense};
    kernel.accumulates.push_back(
        {.into = u, .at = At::Post, .value = pool().mul(pool().load(w, At::Self), pool().load(x, At::Pre))});
    return kernel;
  }
  std::vector<std::string> faults_of(Kernel kernel) {
    Program copy = program;
    copy.plan.step.push_back({copy.add(std::move(kernel))});
    return verify(copy);
  }
};

TEST(Program, FindsColumnsByName) {
  const Small small;
  EXPECT_EQ(small.program.find_column("S.w"), small.w);
  EXPECT_FALSE(small.program.find_column("S").valid());
}

TEST(Program, ASoundProgramHasNoFaults) {
  Small small;
  EXPECT_TRUE(small.faults_of(small.drive()).empty());
}

TEST(Program, EveryBrokenPromiseIsNamed) {
  Small small;
  ExprPool& pool = small.pool();
  const auto store = [&](SpaceId domain, ColumnId into, ExprId value, uint32_t element = 0) {
    Kernel kernel{.name = "k", .domain = domain};
    kernel.stores.push_back({.into = into, .element = element, .value = value});
    return kernel;
  };
  const ExprId one = pool.constant(1);
  struct Case {
    Kernel kernel;
    const char* says;
  };
  Kernel twice = store(small.dense, small.w, one);
  twice.stores.push_back(twice.stores[0]);
  Kernel reads_sum = small.drive();
  reads_sum.accumulates[0].value = pool.load(small.u, At::Post);
  Kernel elsewhere = small.drive();
  elsewhere.accumulates[0].at = At::Pre;
  Kernel scan{.name = "k", .domain = small.post};
  scan.scans.push_back({.as = small.u, .value = one});
  const Case cases[] = {
      {store(small.dense, small.u, one), "stores into Y.u of another space"},
      {store(small.dense, small.w, one, 1), "writes element 1 of S.w"},
      {store(small.dense, small.w, pool.load(small.x, At::Self)), "cannot read x"},
      {store(small.dense, small.w, pool.load(small.x, At::Post)), "cannot read x"},
      {store(small.dense, small.w, pool.load(small.total, At::Self)), "cannot read total"},
      {store(small.dense, small.w, pool.load(small.x, At::Fixed, 2)), "reads element 2 of x"},
      {store(small.dense, small.w, pool.variable(VarId{0})), "mentions a variable of the model"},
      {store(small.dense, small.w, pool.draw(1 << 16, 0)), "draws at a site out of range"},
      {store(small.pre, small.x, one), "writes x in a step"},
      {store(small.post, small.u, pool.load(small.u, At::Fixed, 0)), "reads a fixed row of Y.u"},
      {store(small.one, small.program.dt, one), "writes dt in a step"},
      {store(small.dense, small.w, ExprId{}), "an effect without a value"},
      {twice, "writes S.w twice"},
      {reads_sum, "reads Y.u while summing into it"},
      {elsewhere, "cannot accumulate into Y.u"},
      {scan, "scans along no axis"},
  };
  for (const Case& c : cases) {
    const std::vector<std::string> faults = small.faults_of(c.kernel);
    ASSERT_FALSE(faults.empty()) << c.says;
    EXPECT_NE(faults[0].find(c.says), std::string::npos) << faults[0] << " / " << c.says;
  }
}

TEST(Program, FaultsOutsideKernelsAreNamed) {
  Small small;
  Program p = small.program;
  p.columns.push_back(p.columns[1]);
  EXPECT_EQ(verify(p).at(0), "two columns are called x");
  p = small.program;
  p.dt = small.x;
  EXPECT_EQ(verify(p).at(0), "dt is not a uniform parameter");
  p = small.program;
  p.plan.feeds.push_back({.name = "x", .column = small.x, .event = true});
  EXPECT_EQ(verify(p).at(0), "feed x writes a column of another role");
  p = small.program;
  p.plan.clocks.push_back({.indicator = small.x, .period = small.program.dt});
  EXPECT_EQ(verify(p).at(0), "a clock has no indicator");
}

TEST(Program, PrintsSpacesColumnsKernelsAndPlan) {
  Small small;
  const Kernel drive = small.drive();
  Program p = small.program;
  p.plan.feeds.push_back({.name = "x", .column = small.x});
  p.plan.step.push_back({p.add(drive), When::Eventful});
  EXPECT_EQ(print(p), R"(program small

space uniform uniform
space X neurons 2
space Y neurons 3
space S dense X -> Y

column dt param over uniform in ms
column x fed over X
column S.w state over S
column Y.u value over Y
column total value over uniform

kernel S.drive over S {
  Y.u[post] += S.w * x[pre]
}

init {
}
step {
  S.drive when eventful
}
feed x into x
)");
}

// Vectors of the authors' own test (Random123, kat_vectors).
TEST(Random, PhiloxGivesThePublishedWords) {
  const PhiloxWords zero = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(philox4x32(0, {0, 0, 0, 0}), zero);
  const PhiloxWords ones = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  EXPECT_EQ(philox4x32(~0ull, {~0u, ~0u, ~0u, ~0u}), ones);
  const PhiloxWords pi = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  EXPECT_EQ(philox4x32(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}), pi);
}

TEST(Random, UniformsStayInsideAndDifferByPlace) {
  double sum = 0;
  for (int64_t step = -1; step < 9999; ++step) {
    const double u = draw_uniform<double>(7, 3, 1, 12345678901, step);
    const float f = draw_uniform<float>(7, 3, 1, 12345678901, step);
    ASSERT_TRUE(u > 0 && u < 1 && f > 0 && f < 1);
    ASSERT_NEAR(u, f, 0x1p-22);  // the same leading bits
    sum += u;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.01);
  const double here = draw_uniform<double>(7, 3, 0, 1, 5);
  EXPECT_NE(here, draw_uniform<double>(8, 3, 0, 1, 5));
  EXPECT_NE(here, draw_uniform<double>(7, 4, 0, 1, 5));
  EXPECT_NE(here, draw_uniform<double>(7, 3, 1, 1, 5));
  EXPECT_NE(here, draw_uniform<double>(7, 3, 0, 1ll << 40, 5));
  EXPECT_NE(here, draw_uniform<double>(7, 3, 0, 1, 5 + (1ll << 33)));
  EXPECT_NE(random_key(1, 0), random_key(1, 1));
  EXPECT_NE(random_key(1, 0), random_key(2, 0));
}

}  // namespace
}  // namespace hebb
