// Compiled kernels against the interpreter: every kind of domain and effect, odd sizes, both precisions,
// optimised and not, give equal bits. And: the code of a plain rule is the code we want.

#include "compiler/codegen/codegen.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "compiler/program/interpret.h"

namespace hebb {
namespace {

int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// A program of one projection pre → post with the columns most tests need, and its kernels to be.
struct Bench {
  Program program;
  SpaceId uniform, pre, post, dense;
  ColumnId eta, x, y, u, w, v, total, c;

  explicit Bench(int64_t pre_count = 7, int64_t post_count = 21) {
    program.name = "bench";
    uniform = program.add(Space{.kind = SpaceKind::Uniform, .name = "all"});
    pre = program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = pre_count});
    post = program.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = post_count});
    dense = program.add(Space{.kind = SpaceKind::Dense, .name = "W", .pre = pre, .post = post});
    program.dt = column("dt", uniform, Role::Param);
    eta = column("eta", uniform, Role::Param);
    x = column("X.r", pre, Role::Fed);
    y = column("Y.r", post, Role::State);
    u = column("Y.u", post, Role::Value);
    w = column("W.w", dense, Role::State, 2);
    v = column("W.v", dense, Role::State);
    total = column("total", uniform, Role::Value);
    c = column("W.c", dense, Role::Value);
  }

  ColumnId column(const char* name, SpaceId space, Role role, int64_t width = 1) {
    return program.add(Column{.name = name, .space = space, .role = role, .width = width});
  }
  ExprId load(ColumnId column, At at, uint32_t element = 0) {
    return program.pool.load(column, at, element);
  }
  ExprId number(double value) { return program.pool.constant(value); }
};

/// Columns in the layout of hebb_abi.h.
template <class Real>
struct Memory {
  std::vector<std::vector<Real>> storage;
  std::vector<void*> columns;
  std::vector<int64_t> planes;
  hebb_launch launch{};

  explicit Memory(const Program& program, const Space& dense) {
    const int64_t pre = program[dense.pre].size, post = program[dense.post].size;
    uint64_t random = 88172645463325252u;
    for (const Column& column : program.columns) {
      const Space& space = program[column.space];
      int64_t plane = 0, size = column.width;
      if (space.kind == SpaceKind::Neurons) plane = padded(space.size);
      if (space.kind == SpaceKind::Dense) plane = program[space.pre].size * padded(program[space.post].size);
      if (plane != 0) size = plane * column.width;
      std::vector<Real>& values = storage.emplace_back(static_cast<size_t>(size));
      for (Real& value : values) {  // both signs, a few exact zeros
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        value = random % 16 == 0 ? Real(0) : static_cast<Real>(static_cast<double>(random >> 11) * 0x1p-52 - 1);
      }
      planes.push_back(plane);
    }
    for (auto& values : storage) columns.push_back(values.data());
    launch = {.columns = columns.data(), .planes = planes.data(), .row = padded(post),
              .pre_begin = 0, .pre_end = pre, .post_begin = 0, .post_end = post,
              .post_count = post, .key = 0x123456789abcdef0u, .step = 5};
  }
  Memory(const Memory&) = delete;

  /// Values of a column without its padding.
  std::vector<Real> values(const Program& program, ColumnId id) const {
    const Space& space = program[program[id].space];
    const std::vector<Real>& all = storage[id.value];
    if (space.kind == SpaceKind::Uniform) return all;
    const int64_t rows = space.kind == SpaceKind::Dense ? program[space.pre].size : 1;
    const int64_t count = space.kind == SpaceKind::Dense ? program[space.post].size : space.size;
    std::vector<Real> result;
    for (int64_t e = 0; e < program[id].width; ++e)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < count; ++j)
          result.push_back(all[static_cast<size_t>(e * planes[id.value] + i * padded(count) + j)]);
    return result;
  }
};

template <class Real>
bool same_bits(Real a, Real b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

template <class Real>
void expect_equal(const Program& program, const Memory<Real>& want, const Memory<Real>& got,
                  const std::string& engine) {
  for (uint32_t c = 0; c < program.columns.size(); ++c) {
    const std::vector<Real> a = want.values(program, ColumnId{c}), b = got.values(program, ColumnId{c});
    for (size_t k = 0; k < a.size(); ++k)
      ASSERT_TRUE(same_bits(a[k], b[k])) << engine << ": " << program.columns[c].name << "[" << k
                                         << "] is " << b[k] << ", interpreted " << a[k];
  }
}

template <class Real>
void run_all(const Program& program, const Kernels& kernels, Memory<Real>& memory) {
  for (uint32_t k = 0; k < program.kernels.size(); ++k) {
    hebb_launch launch = memory.launch;
    const Space& domain = program[program.kernels[k].domain];
    if (domain.kind == SpaceKind::Neurons) launch.post_end = domain.size, launch.pre_end = 0;
    kernels.run[k](&launch);
  }
}

template <class Real>
void check_precision(const Program& program, const Space& dense, Precision precision) {
  const auto shared = std::make_shared<const Program>(program);
  Memory<Real> want(program, dense);
  run_all(program, interpret(shared, precision), want);
  for (const int level : {0, 1, 3})
    for (const char* cpu : {"host", "x86-64-v3"}) {
      const auto kernels = jit(program, {.precision = precision, .level = level, .cpu = cpu});
      ASSERT_TRUE(kernels.ok()) << kernels.error();
      Memory<Real> got(program, dense);
      run_all(program, *kernels, got);
      expect_equal(program, want, got, std::string("O") + std::to_string(level) + " " + cpu);
    }
}

void expect_engines_agree(const Program& program, SpaceId dense) {
  ASSERT_EQ(verify(program), std::vector<std::string>{});
  check_precision<float>(program, program[dense], Precision::Float32);
  check_precision<double>(program, program[dense], Precision::Float64);
}

/// w += eta * y * (x - y*w), and u = sum of x*w over the new w.
Program oja(Bench& b) {
  ExprPool& pool = b.program.pool;
  const ExprId w = b.load(b.w, At::Self), x = b.load(b.x, At::Pre), y = b.load(b.y, At::Post);
  const ExprId ey = pool.mul(b.load(b.eta, At::Uniform), y);
  const ExprId decay = pool.make(Op::Fma, pool.neg(ey), y, b.number(1));
  const ExprId next = pool.make(Op::Fma, w, decay, pool.mul(ey, x));
  b.program.add(Kernel{.name = "update", .domain = b.dense, .stores = {{.into = b.w, .value = next}},
                       .accumulates = {{.into = b.u, .at = At::Post, .value = pool.mul(x, next)}}});
  return b.program;
}

TEST(Codegen, UpdateAndSumPerPostAgree) {
  // The last two are large enough for several rows at once, and for tiles.
  for (const auto& [pre, post] : {std::pair{7, 21}, {1, 1}, {4, 16}, {3, 15}, {67, 101}, {523, 517}}) {
    Bench b(pre, post);
    expect_engines_agree(oja(b), b.dense);
  }
}

TEST(Codegen, TilesFromEitherSideMakeTheSameSums) {
  Bench b(523, 517);
  const Program program = oja(b);
  const auto kernels = jit(program, {});
  ASSERT_TRUE(kernels.ok()) << kernels.error();
  Memory<float> odd(program, program[b.dense]), even(program, program[b.dense]);
  even.launch.step = 6;
  kernels->run[0](&odd.launch);
  kernels->run[0](&even.launch);
  expect_equal(program, odd, even, "even step");
}

/// Nine values per post, a choice by row and post, and three sums: one vector of posts goes through all rows.
Program folded(Bench& b) {
  ExprPool& pool = b.program.pool;
  const ColumnId c = b.column("Y.c", b.post, Role::Value, 9), sums = b.column("Y.sums", b.post, Role::Value, 2);
  const ExprId x = b.load(b.x, At::Pre), y = b.load(b.y, At::Post);
  ExprId sum = b.load(b.v, At::Self);
  for (uint32_t k = 0; k < 9; ++k) sum = pool.make(Op::Fma, sum, x, b.load(c, At::Post, k));
  const ExprId chosen = pool.make(Op::Select, pool.make(Op::Less, pool.mul(x, x), y), sum, b.load(b.eta, At::Uniform));
  b.program.add(Kernel{.name = "fold", .domain = b.dense, .stores = {{.into = b.v, .value = chosen}},
                       .accumulates = {{.into = b.u, .at = At::Post, .value = pool.mul(sum, x)},
                                       {.into = sums, .at = At::Post, .value = pool.mul(x, y)},
                                       {.into = sums, .element = 1, .at = At::Post, .value = x}}});
  return b.program;
}

TEST(Codegen, ManyValuesPerPostAgree) {
  // Rows of 128 and 256 numbers meet in the cache and go row by row, and so does what is larger than it.
  for (const auto& [pre, post] : {std::pair{77, 101}, {41, 128}, {300, 14}, {18, 250}, {4099, 1}, {523, 517}}) {
    Bench b(pre, post);
    expect_engines_agree(folded(b), b.dense);
  }
}

// Fewer kernels than threads, more, none; each part is a module of its own.
TEST(Codegen, SeveralThreadsMakeTheSameCode) {
  for (const int kernels_of_each : {0, 1, 5}) {
    Bench b(41, 128);
    Program program = b.program;
    for (int k = 0; k < kernels_of_each; ++k) {
      if (k == 0) folded(b);
      ExprPool& pool = b.program.pool;
      ExprId value = b.load(b.y, At::Self);
      for (int j = 0; j <= 20 * k; ++j) value = pool.make(Op::Exp, pool.mul(value, b.load(b.eta, At::Uniform)));
      b.program.add(Kernel{.name = "grow", .domain = b.post, .stores = {{.into = b.y, .value = value}}});
      program = oja(b);
    }
    const auto one = jit(program, {}), four = jit(program, {.threads = 4});
    ASSERT_TRUE(one.ok() && four.ok());
    ASSERT_EQ(four->run.size(), static_cast<size_t>(2 * kernels_of_each + (kernels_of_each > 0)));
    Memory<float> want(program, program[b.dense]), got(program, program[b.dense]);
    run_all(program, *one, want);
    run_all(program, *four, got);
    expect_equal(program, want, got, "four threads");
  }
}

TEST(Codegen, AFailureOfOnePartIsTheFailureOfAll) {
  Bench b;
  for (int k = 0; k < 30; ++k) oja(b);
  const auto kernels = jit(b.program, {.cpu = "x86-64", .threads = 4});
  ASSERT_FALSE(kernels.ok());
  EXPECT_NE(kernels.error().find("x86-64-v3"), std::string::npos);
}

TEST(Codegen, ChunksOfManyValuesPerPostMakeTheWhole) {
  Bench b(77, 101);
  const Program program = folded(b);
  const auto kernels = jit(program, {});
  ASSERT_TRUE(kernels.ok()) << kernels.error();
  Memory<float> whole(program, program[b.dense]), parts(program, program[b.dense]);
  kernels->run[0](&whole.launch);
  for (const auto& [begin, end] : {std::pair{0, 7}, {7, 48}, {48, 101}})
    for (const auto& [first, last] : {std::pair{0, 3}, {3, 77}}) {
      hebb_launch launch = parts.launch;
      launch.post_begin = begin, launch.post_end = end;
      launch.pre_begin = first, launch.pre_end = last;
      kernels->run[0](&launch);
    }
  expect_equal(program, whole, parts, "in parts");
}

TEST(Codegen, EveryOperatorAgreesOnHardValues) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> values = {0.0, -0.0, 1, -1, 0.5, 2.5, 3.5, -2.5, 1e-310, 1e-40, 1e30, -1e300,
                                      kInf, -kInf, nan, 0.3, 7, -7, 1e5, 3.1415926535897931, -88, -103, -740, 88};
  Bench b(static_cast<int64_t>(values.size()), static_cast<int64_t>(values.size()));
  ExprPool& pool = b.program.pool;
  const ExprId x = b.load(b.x, At::Pre), y = b.load(b.y, At::Post), v = b.load(b.v, At::Self);
  Kernel kernel{.name = "ops", .domain = b.dense};
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (info(op).is_leaf) continue;
    const ExprId value = info(op).arity == 1   ? pool.make(op, y)
                         : info(op).arity == 2 ? pool.make(op, x, y)
                                               : pool.make(op, x, y, v);
    const ColumnId into = b.column(("op " + std::to_string(k)).c_str(), b.dense, Role::Value);
    kernel.stores.push_back({.into = into, .value = value});
  }
  b.program.add(kernel);
  const auto fill = [&](auto& memory) {
    for (size_t k = 0; k < values.size(); ++k) {
      using Real = std::decay_t<decltype(memory.storage[0][0])>;
      memory.storage[b.x.value][k] = static_cast<Real>(values[k]);
      memory.storage[b.y.value][k] = static_cast<Real>(values[k]);
    }
  };
  ASSERT_EQ(verify(b.program), std::vector<std::string>{});
  const auto check = [&]<class Real>(Real, Precision precision) {
    Memory<Real> want(b.program, b.program[b.dense]);
    fill(want);
    run_all(b.program, interpret(std::make_shared<const Program>(b.program), precision), want);
    for (const int level : {0, 3}) {
      const auto kernels = jit(b.program, {.precision = precision, .level = level});
      ASSERT_TRUE(kernels.ok()) << kernels.error();
      Memory<Real> got(b.program, b.program[b.dense]);
      fill(got);
      run_all(b.program, *kernels, got);
      expect_equal(b.program, want, got, "O" + std::to_string(level));
    }
  };
  check(float{}, Precision::Float32);
  check(double{}, Precision::Float64);
}

TEST(Codegen, LogicTakesNumbersAndTruths) {
  Bench b;
  ExprPool& pool = b.program.pool;
  const ExprId x = b.load(b.x, At::Pre), y = b.load(b.y, At::Post), v = b.load(b.v, At::Self);
  const ExprId less = pool.make(Op::Less, x, y);
  const ExprId both = pool.make(Op::And, less, v);          // a truth and a number
  const ExprId either = pool.make(Op::Or, both, pool.make(Op::Not, y));
  const ExprId sum = pool.add(either, pool.mul(less, x));   // truths as numbers
  const ExprId picked = pool.select(v, sum, pool.select(either, less, y));
  b.program.add(Kernel{.name = "logic", .domain = b.dense, .stores = {{.into = b.v, .value = picked}}});
  expect_engines_agree(b.program, b.dense);
}

TEST(Codegen, SumsOverPostAndOverAllRunInOrder) {
  Bench b(75, 101);
  ExprPool& pool = b.program.pool;
  const ColumnId s = b.column("X.s", b.pre, Role::Value), low = b.column("X.low", b.pre, Role::Value),
                 high = b.column("Y.high", b.post, Role::Value), m = b.column("mean", b.uniform, Role::Value);
  const ExprId v = b.load(b.v, At::Self), y = b.load(b.y, At::Post);
  b.program.add(Kernel{.name = "per_pre", .domain = b.dense,
                       .stores = {{.into = b.w, .element = 1, .value = pool.mul(v, y)}},
                       .accumulates = {{.into = s, .at = At::Pre, .value = pool.add(v, y)},
                                       {.into = low, .at = At::Pre, .combine = Combine::Min, .value = v},
                                       {.into = high, .at = At::Post, .combine = Combine::Max, .value = v}}});
  b.program.add(Kernel{.name = "all", .domain = b.dense,
                       .accumulates = {{.into = b.total, .at = At::Uniform, .value = pool.mul(v, v)},
                                       {.into = b.u, .at = At::Post, .value = v}}});
  b.program.add(Kernel{.name = "mean", .domain = b.post,
                       .accumulates = {{.into = m, .at = At::Uniform, .value = b.load(b.y, At::Self)}}});
  expect_engines_agree(b.program, b.dense);
}

TEST(Codegen, ScansRunAlongBothAxes) {
  for (const bool with_total : {false, true})
    for (const int post : {5, 1100}) {  // more posts than one tile of scratch
      Bench b(post == 5 ? 6 : 21, post);
      ExprPool& pool = b.program.pool;
      const ColumnId along_pre = b.column("p", b.dense, Role::Value), along_post = b.column("q", b.dense, Role::Value);
      const ExprId v = b.load(b.v, At::Self), p = b.load(along_pre, At::Self), q = b.load(along_post, At::Self);
      Kernel down{.name = "down", .domain = b.dense,
                  .scans = {{.as = along_pre, .along = At::Pre, .value = pool.mul(v, b.load(b.x, At::Pre))}},
                  .stores = {{.into = b.v, .value = pool.sub(v, p)}},
                  .accumulates = {{.into = b.u, .at = At::Post, .value = p}}};
      if (with_total)
        down.accumulates.push_back({.into = b.total, .at = At::Uniform, .value = p});
      b.program.add(down);
      // The second scan runs over the first.
      b.program.add(Kernel{.name = "both", .domain = b.dense,
                           .scans = {{.as = along_post, .along = At::Post, .value = pool.mul(v, v)},
                                     {.as = along_pre, .along = At::Pre, .value = pool.add(q, v)}},
                           .stores = {{.into = b.c, .value = pool.add(p, q)}}});
      expect_engines_agree(b.program, b.dense);
    }
}

TEST(Codegen, DrawsAgreeInEveryDomain) {
  Bench b(5, 19);
  ExprPool& pool = b.program.pool;
  const ExprId u0 = pool.draw(3, 0), u1 = pool.draw(3, 1), u2 = pool.draw(65535, 0);
  const ExprId normal = pool.mul(pool.make(Op::Sqrt, pool.mul(b.number(-2), pool.make(Op::Log, u0))),
                                 pool.make(Op::Cos, pool.mul(b.number(6.283185307179586), u1)));
  b.program.add(Kernel{.name = "dense", .domain = b.dense, .stores = {{.into = b.v, .value = normal}}});
  b.program.add(Kernel{.name = "neurons", .domain = b.post, .stores = {{.into = b.y, .value = u2}}});
  b.program.add(Kernel{.name = "one", .domain = b.uniform, .stores = {{.into = b.total, .value = u1}}});
  expect_engines_agree(b.program, b.dense);
}

TEST(Codegen, NeuronsReadOtherPopulationsAndFixedRows) {
  Bench b(21, 21);
  ExprPool& pool = b.program.pool;
  const ExprId value = pool.add(pool.mul(b.load(b.x, At::Self), b.load(b.eta, At::Uniform)),
                                b.load(b.x, At::Fixed, 20));
  b.program.add(Kernel{.name = "neurons", .domain = b.post, .stores = {{.into = b.y, .value = value}}});
  const ExprId fixed = pool.mul(b.load(b.w, At::Self, 1), b.load(b.x, At::Fixed, 3));
  b.program.add(Kernel{.name = "dense", .domain = b.dense, .stores = {{.into = b.w, .value = fixed}}});
  expect_engines_agree(b.program, b.dense);
}

TEST(Codegen, ChunksOfALaunchMakeTheWhole) {
  Bench b(81, 101);
  const Program program = oja(b);
  const auto kernels = jit(program, {});
  ASSERT_TRUE(kernels.ok()) << kernels.error();
  Memory<float> whole(program, program[b.dense]), parts(program, program[b.dense]);
  kernels->run[0](&whole.launch);
  for (const auto& [begin, end] : {std::pair{0, 16}, {16, 48}, {48, 101}})
    for (const auto& [first, last] : {std::pair{0, 3}, {3, 81}}) {
      hebb_launch launch = parts.launch;
      launch.post_begin = begin, launch.post_end = end;
      launch.pre_begin = first, launch.pre_end = last;
      kernels->run[0](&launch);
    }
  expect_equal(program, whole, parts, "in parts");
}

TEST(Codegen, AnEmptyLaunchDoesNothing) {
  Bench b;
  const Program program = oja(b);
  const auto kernels = jit(program, {});
  ASSERT_TRUE(kernels.ok()) << kernels.error();
  Memory<float> before(program, program[b.dense]), after(program, program[b.dense]);
  after.launch.pre_end = 0;
  kernels->run[0](&after.launch);
  after.launch.pre_end = 7, after.launch.post_end = 0;
  kernels->run[0](&after.launch);
  expect_equal(program, before, after, "empty");
}

TEST(Codegen, CodeOutlivesEverythingButItsKernels) {
  Kernels kept;
  {
    Bench b;
    auto kernels = jit(oja(b), {});
    ASSERT_TRUE(kernels.ok()) << kernels.error();
    kept = *std::move(kernels);
  }
  Bench b;
  const Program program = oja(b);
  Memory<float> memory(program, program[b.dense]);
  const float before = memory.storage[b.w.value][0];
  kept.run[0](&memory.launch);
  EXPECT_NE(memory.storage[b.w.value][0], before);
}

TEST(Codegen, FastMathStaysClose) {
  Bench b(40, 40);
  const Program program = oja(b);
  Memory<double> exact(program, program[b.dense]), fast(program, program[b.dense]);
  const auto exact_kernels = jit(program, {.precision = Precision::Float64});
  const auto fast_kernels = jit(program, {.precision = Precision::Float64, .math = MathMode::Fast});
  ASSERT_TRUE(exact_kernels.ok() && fast_kernels.ok());
  exact_kernels->run[0](&exact.launch);
  fast_kernels->run[0](&fast.launch);
  const std::vector<double> a = exact.values(program, b.u), c = fast.values(program, b.u);
  for (size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(a[k], c[k], 1e-12);
}

TEST(Codegen, APlainRuleIsPackedArithmeticWithoutCalls) {
  Bench b(100, 1000);
  const Program program = oja(b);
  const auto wide = assembly(program, {.cpu = "x86-64-v4"});
  ASSERT_TRUE(wide.ok()) << wide.error();
  EXPECT_NE(wide->find("%zmm"), std::string::npos);
  EXPECT_NE(wide->find("vfmadd"), std::string::npos);
  EXPECT_EQ(wide->find("call"), std::string::npos);
  const auto narrow = assembly(program, {.cpu = "x86-64-v3"});
  ASSERT_TRUE(narrow.ok()) << narrow.error();
  EXPECT_EQ(narrow->find("%zmm"), std::string::npos);
  EXPECT_NE(narrow->find("%ymm"), std::string::npos);
  EXPECT_EQ(narrow->find("call"), std::string::npos);
}

TEST(Codegen, RefusesCpusWithoutFusedMultiplyAdd) {
  Bench b;
  const Program program = oja(b);
  const auto kernels = jit(program, {.cpu = "x86-64"});
  ASSERT_FALSE(kernels.ok());
  EXPECT_NE(kernels.error().find("x86-64-v3"), std::string::npos);
}

TEST(Codegen, TextOfTheModuleNamesItsKernels) {
  Bench b;
  const Program program = oja(b);
  const auto text = llvm_ir(program, {.cpu = "x86-64-v4"});
  ASSERT_TRUE(text.ok()) << text.error();
  EXPECT_NE(text->find("define void @hebb_0_update"), std::string::npos);
  EXPECT_NE(text->find("<16 x float>"), std::string::npos);
  const auto narrow = llvm_ir(program, {.cpu = "x86-64-v3"});
  ASSERT_TRUE(narrow.ok()) << narrow.error();
  EXPECT_NE(narrow->find("<8 x float>"), std::string::npos);
  EXPECT_EQ(narrow->find("<16 x float>"), std::string::npos);
  EXPECT_NE(describe_host().find("LLVM 22"), std::string::npos);
}

}  // namespace
}  // namespace hebb
