#pragma once
// One suite for every engine: programs run on the interpreter in one piece and on the engine under test;
// every element of every column must have the same bits. The payload of a NaN is free.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <limits>

#include "compiler/program/interpret.h"
#include "compiler/support/result.h"
#include "runtime/plan_runner.h"
#include "tests/backends/random_program.h"

namespace hebb {

struct Engine {
  std::string name;
  Precision precision = Precision::Float64;
  std::function<Result<Kernels>(std::shared_ptr<const Program>)> compile;
  int threads = 1;   // launches are cut into as many parts as rows allow
  bool large = true; // false: without the largest programs, where an engine takes long
  int lanes = 1;     // of a device: runs at once
};

inline void PrintTo(const Engine& engine, std::ostream* out) { *out << engine.name; }

class BackendSuite : public ::testing::TestWithParam<Engine> {
 protected:
  using Memory = std::vector<std::vector<double>>;

  /// Numbers of all signs and sizes; `special` adds the edges of the format.
  static std::vector<double> numbers(uint64_t seed, size_t count, bool special) {
    const double infinity = std::numeric_limits<double>::infinity();
    const std::vector<double> edges = {0.0,  -0.0,  infinity, -infinity, std::nan(""), 1e-310, 1e-40, 3e38,
                                       -1e9, 88.8, -104.5,   709.9,     -745.2,       0.5,    1.0,   -2.5};
    std::mt19937_64 random(seed);
    std::vector<double> values;
    for (size_t k = 0; k < count; ++k) {
      const double unit = static_cast<double>(random() >> 11) * 0x1p-53;
      values.push_back(special && random() % 2 ? edges[random() % edges.size()] : 4 * unit - 2);
    }
    return values;
  }

  static Memory run(const Program& program, const Kernels& kernels, const Engine& engine, int threads,
                    bool special, int steps) {
    Result<Columns> columns = Columns::create(program, engine.precision);
    EXPECT_TRUE(columns.ok());
    for (uint32_t c = 0; c < program.columns.size(); ++c) {
      const auto size = static_cast<size_t>(columns->layout({c}).size());
      columns->write({c}, numbers(c + 1, size, special));
    }
    constexpr uint64_t kKey = 0x1234567890abcdef;
    if (kernels.device != nullptr) return run_on_device(program, kernels, engine, *std::move(columns), kKey, steps);
    PlanRunner runner(program, kernels, *columns, kKey, threads, /*rows_per_part=*/1);
    runner.run_init();
    for (int n = 0; n < steps; ++n) runner.run_step(step_number(n), n % 2 == 1);
    return read_all(program, *columns);
  }

  static int64_t step_number(int n) {
    constexpr int64_t when[] = {0, 1, (int64_t{1} << 33) + 5, 3};
    return when[n % 4];
  }

  static Memory read_all(const Program& program, const Columns& columns) {
    Memory memory;
    for (uint32_t c = 0; c < program.columns.size(); ++c) {
      memory.emplace_back(static_cast<size_t>(columns.layout({c}).size()));
      columns.read({c}, memory.back());
    }
    return memory;
  }

  /// The last of `engine.lanes` runs that a device computes at once; the others have other numbers and draws.
  static Memory run_on_device(const Program& program, const Kernels& kernels, const Engine& engine, Columns last, uint64_t key, int steps) {
    std::vector<Columns> all;
    std::vector<uint64_t> keys;
    for (int lane = 1; lane < engine.lanes; ++lane) {
      Result<Columns> other = Columns::create(program, engine.precision);
      EXPECT_TRUE(other.ok());
      for (uint32_t c = 0; c < program.columns.size(); ++c)
        other->write({c}, numbers(c + 1000 * static_cast<uint32_t>(lane), static_cast<size_t>(other->layout({c}).size()), false));
      all.push_back(*std::move(other));
      keys.push_back(key + static_cast<uint64_t>(lane));
    }
    all.push_back(std::move(last));
    keys.push_back(key);
    std::vector<Columns*> places;
    for (Columns& one : all) places.push_back(&one);
    auto batch = kernels.device->start(places, keys);
    EXPECT_TRUE(batch.ok()) << batch.error();
    std::deque<PlanRunner> runners;
    for (size_t lane = 0; lane < all.size(); ++lane) {
      all[lane].set_device((*batch)->of(static_cast<int64_t>(lane)));
      runners.emplace_back(program, kernels, all[lane], keys[lane], 1, 1).run_init();
    }
    for (int n = 0; n < steps; ++n) {
      for (PlanRunner& runner : runners) runner.before_launches(false);
      (*batch)->run(n % 2 == 1 ? DeviceRun::List::Eventful : DeviceRun::List::Quiet, 0, static_cast<int64_t>(all.size()), step_number(n));
      for (PlanRunner& runner : runners) runner.after_launches();
    }
    EXPECT_EQ(all.back().device()->failure(), "");
    return read_all(program, all.back());
  }

  static bool same_bits(double a, double b) {
    return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
  }

  /// Columns that scans run in have no memory.
  static bool is_scanned(const Program& program, uint32_t column) {
    for (const Kernel& kernel : program.kernels)
      for (const Scan& scan : kernel.scans) if (scan.as.value == column) return true;
    return false;
  }

  enum class Numbers { Plain, Special, Both };

  void expect_same(Program made, Numbers numbers, int steps, const std::string& what) {
    const std::vector<std::string> faults = verify(made);
    ASSERT_TRUE(faults.empty()) << what << ": " << faults[0] << "\n" << print(made);
    const auto program = std::make_shared<const Program>(std::move(made));
    const Engine& engine = GetParam();
    const Result<Kernels> kernels = engine.compile(program);
    ASSERT_TRUE(kernels.ok()) << what << ": " << kernels.error();
    for (const bool special : {false, true}) {
      if (numbers == (special ? Numbers::Plain : Numbers::Special)) continue;
      compare(*program, run(*program, interpret(program, engine.precision), engine, 1, special, steps),
              run(*program, *kernels, engine, engine.threads, special, steps), what);
    }
  }

  static void compare(const Program& program, const Memory& want, const Memory& got,
                      const std::string& what) {
    for (uint32_t c = 0; c < want.size(); ++c) {
      if (is_scanned(program, c)) continue;
      for (size_t k = 0; k < want[c].size(); ++k)
        ASSERT_TRUE(same_bits(want[c][k], got[c][k]))
            << what << ": " << program.columns[c].name << " [" << k << "] is " << got[c][k]
            << ", the interpreter has " << want[c][k] << "\n" << print(program);
    }
  }

  /// Spaces of odd sizes with a column each, for cases written by hand.
  struct Bench {
    Program program;
    SpaceId one, pre, post, dense;
    ColumnId theta, x, y, w, v, sum_all, sum_pre, sum_post, run;
    explicit Bench(int64_t pres = 7, int64_t posts = 33) {
      program.name = "bench";
      one = program.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
      pre = program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = pres});
      post = program.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = posts});
      dense = program.add(Space{.kind = SpaceKind::Dense, .name = "S", .pre = pre, .post = post});
      program.dt = program.add(Column{.name = "dt", .space = one, .role = Role::Param});
      theta = program.add(Column{.name = "theta", .space = one, .role = Role::Param, .width = 3});
      x = program.add(Column{.name = "x", .space = pre, .role = Role::State});
      y = program.add(Column{.name = "y", .space = post, .role = Role::State, .width = 2});
      w = program.add(Column{.name = "w", .space = dense, .role = Role::State});
      v = program.add(Column{.name = "v", .space = dense, .role = Role::State, .width = 2});
      sum_all = program.add(Column{.name = "sum_all", .space = one});
      sum_pre = program.add(Column{.name = "sum_pre", .space = pre});
      sum_post = program.add(Column{.name = "sum_post", .space = post, .reset = -0.0});
      run = program.add(Column{.name = "run", .space = dense});
    }
    ExprPool& pool() { return program.pool; }
    void step(Kernel kernel, When when = When::Always) {
      program.plan.step.push_back({program.add(std::move(kernel)), when});
    }
  };
};

TEST_P(BackendSuite, EveryOperatorOnNumbersAndEdges) {
  for (int k = static_cast<int>(Op::Neg); k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    Bench b(17, 33);
    ExprPool& pool = b.pool();
    const ExprId a = pool.load(b.v, At::Self, 0), c = pool.load(b.v, At::Self, 1);
    const ExprId d = pool.load(b.y, At::Post, 1);
    const ExprId value = info(op).arity == 1   ? pool.make(op, a)
                         : info(op).arity == 2 ? pool.make(op, a, c)
                                               : pool.make(op, a, c, d);
    Kernel kernel{.name = "op", .domain = b.dense};
    kernel.stores.push_back({.into = b.w, .value = value});
    b.step(std::move(kernel));
    expect_same(b.program, Numbers::Both, 1, std::string(info(op).name));
  }
}

TEST_P(BackendSuite, RowsReadEveryPlaceBeforeTheyStore) {
  Bench b;
  ExprPool& pool = b.pool();
  Kernel swap{.name = "swap", .domain = b.dense};  // v0, v1 := v1, v0 + pre, post and uniform elements
  swap.stores.push_back({.into = b.v, .element = 0, .value = pool.load(b.v, At::Self, 1)});
  ExprId sum = pool.add(pool.load(b.v, At::Self, 0), pool.load(b.x, At::Pre));
  sum = pool.add(sum, pool.mul(pool.load(b.y, At::Post, 1), pool.load(b.theta, At::Uniform, 2)));
  sum = pool.add(sum, pool.add(pool.load(b.x, At::Fixed, 3), pool.load(b.y, At::Fixed, 2 * 20 + 1)));
  swap.stores.push_back({.into = b.v, .element = 1, .value = sum});
  b.step(std::move(swap));
  expect_same(b.program, Numbers::Plain, 4, "swap");
}

/// Rows with more values than a thread has registers, each of which overwrites what another store of the row keeps: a
/// queue either way, which has an order that needs nothing kept, and a ring, which has none.
TEST_P(BackendSuite, LongRowsReadWhatTheyOverwriteFirst) {
  constexpr uint32_t kPlaces = 40;
  for (const int way : {1, -1, 0}) {
    Bench b;
    ExprPool& pool = b.pool();
    const ColumnId queue = b.program.add(Column{.name = "queue", .space = b.post, .role = Role::State, .width = kPlaces});
    const ExprId comes = pool.make(Op::Less, pool.load(b.y, At::Self, 0), pool.constant(0.5));
    Kernel shift{.name = "shift", .domain = b.post};
    for (uint32_t k = 0; k < kPlaces; ++k) {
      const uint32_t from = way == 0 ? (k + 1) % kPlaces : static_cast<uint32_t>(std::clamp<int>(static_cast<int>(k) + way, 0, kPlaces - 1));
      const ExprId kept = pool.load(queue, At::Self, k), moved = pool.load(queue, At::Self, from);
      shift.stores.push_back({.into = queue, .element = k, .value = pool.make(Op::Select, comes, pool.mul(moved, pool.load(b.y, At::Self, 1)), kept)});
    }
    shift.stores.push_back({.into = b.y, .element = 0, .value = pool.add(pool.load(queue, At::Self, 0), pool.load(queue, At::Self, kPlaces - 1))});
    b.step(std::move(shift));
    expect_same(b.program, Numbers::Both, 4, "queue");
  }
}

/// A row of one thread that needs values again in the reverse order, and overwrites what it reads: several kernels for a device.
TEST_P(BackendSuite, LongRowsOfOneThreadHandOnWhatTheyNeedLater) {
  constexpr uint32_t kTerms = 90;
  for (const bool overwrites : {false, true}) {
    Bench b;
    ExprPool& pool = b.pool();
    const ColumnId state = b.program.add(Column{.name = "state", .space = b.one, .role = Role::State, .width = 3});
    const auto held = [&](uint32_t k) { return pool.load(state, At::Uniform, k); };
    std::vector<ExprId> powers = {held(0)}, terms = {held(1)};
    for (uint32_t k = 0; k < kTerms; ++k) {
      powers.push_back(pool.mul(powers.back(), pool.load(b.theta, At::Uniform, 0)));
      terms.push_back(pool.make(Op::Fma, terms.back(), pool.load(b.theta, At::Uniform, 1), powers.back()));
    }
    ExprId series = pool.constant(1), slope = held(2);
    for (uint32_t k = kTerms; k-- > 0;) {
      series = pool.add(pool.mul(series, terms[k]), pool.constant(1.0 / (k + 1)));
      const ExprId positive = pool.make(Op::Less, terms[k / 2], powers[k]);
      slope = pool.select(positive, pool.make(Op::Fma, slope, powers[k], series), pool.sub(slope, terms[k]));
    }
    Kernel kernel{.name = "series", .domain = b.one};
    const ColumnId into = overwrites ? state : b.program.add(Column{.name = "result", .space = b.one, .role = Role::State, .width = 3});
    kernel.stores.push_back({.into = into, .element = 1, .value = series});
    kernel.stores.push_back({.into = into, .element = 0, .value = pool.add(slope, held(1))});
    kernel.accumulates.push_back({.into = b.sum_all, .at = At::Uniform, .value = pool.mul(terms[7], slope)});
    b.step(std::move(kernel));
    expect_same(b.program, Numbers::Both, 4, overwrites ? "in place" : "elsewhere");
  }
}

/// More sums than a thread should keep, behind a network that all of them need.
TEST_P(BackendSuite, ManySumsBehindOneNetwork) {
  constexpr uint32_t kUnits = 24;
  Bench b(5, 17);
  ExprPool& pool = b.pool();
  const ColumnId weights = b.program.add(Column{.name = "weights", .space = b.one, .role = Role::Param, .width = 2 * kUnits});
  const ColumnId sums = b.program.add(Column{.name = "sums", .space = b.post, .width = kUnits});
  const ColumnId totals = b.program.add(Column{.name = "totals", .space = b.pre, .width = kUnits});
  const ExprId w = pool.load(b.w, At::Self);
  std::vector<ExprId> hidden;
  ExprId out = pool.load(b.x, At::Pre);
  for (uint32_t k = 0; k < kUnits; ++k) {
    hidden.push_back(pool.make(Op::Tanh, pool.mul(pool.load(weights, At::Uniform, k), w)));
    out = pool.make(Op::Fma, pool.load(weights, At::Uniform, kUnits + k), hidden[k], out);
  }
  Kernel kernel{.name = "network", .domain = b.dense};
  kernel.stores.push_back({.into = b.w, .value = pool.add(out, w)});
  for (uint32_t k = 0; k < kUnits; ++k) {
    kernel.accumulates.push_back({.into = sums, .element = k, .at = At::Post, .value = pool.mul(out, hidden[k])});
    kernel.accumulates.push_back({.into = totals, .element = k, .at = At::Pre, .value = pool.mul(hidden[k], pool.mul(out, hidden[(k + 1) % kUnits]))});
  }
  b.step(std::move(kernel));
  expect_same(b.program, Numbers::Plain, 3, "network");
}

/// More uniform numbers than there are registers: stores that have nothing to compute in common, that share a product, and of
/// which one replaces what the others read.
TEST_P(BackendSuite, ManyUniformNumbersOfANeuron) {
  constexpr uint32_t kStores = 8;
  for (const int64_t neurons : {1, 3, 10, 33}) {
    for (const char* how : {"apart", "shared", "replaced"}) {
      Bench b(2, neurons);
      ExprPool& pool = b.pool();
      const ColumnId numbers = b.program.add(Column{.name = "numbers", .space = b.one, .role = Role::Param, .width = 5 * kStores});
      const ColumnId out = b.program.add(Column{.name = "out", .space = b.post, .width = kStores});
      const ExprId y = pool.load(b.y, At::Self, 0), square = pool.mul(y, y);
      Kernel kernel{.name = how, .domain = b.post};
      for (uint32_t k = 0; k < kStores; ++k) {
        ExprId value = std::string_view(how) == "shared" ? square : y;
        for (uint32_t n = 0; n < 5; ++n) value = pool.make(Op::Fma, value, y, pool.load(numbers, At::Uniform, (5 * k + 11 * n) % (5 * kStores)));
        kernel.stores.push_back({.into = out, .element = k, .value = value});
      }
      if (std::string_view(how) == "replaced") kernel.stores.insert(kernel.stores.begin(), {.into = b.y, .element = 0, .value = pool.mul(y, pool.constant(0.5))});
      b.step(std::move(kernel));
      expect_same(b.program, Numbers::Plain, 2, how);
    }
  }
}

/// More sums over neurons than stay in registers, of products and of single values.
TEST_P(BackendSuite, ManySumsOverNeurons) {
  constexpr uint32_t kSums = 31;
  for (const int64_t neurons : {1, 3, 10, 64, 65}) {
    Bench b(2, neurons);
    ExprPool& pool = b.pool();
    const ColumnId totals = b.program.add(Column{.name = "totals", .space = b.one, .width = kSums});
    const ExprId y = pool.load(b.y, At::Self, 0), z = pool.load(b.y, At::Self, 1);
    ExprId power = z;
    Kernel kernel{.name = "totals", .domain = b.post};
    for (uint32_t k = 0; k < kSums; ++k) {
      kernel.accumulates.push_back({.into = totals, .element = k, .at = At::Uniform, .value = k % 3 == 0 ? power : pool.mul(power, y)});
      power = pool.add(pool.mul(power, pool.constant(0.9)), y);
    }
    kernel.stores.push_back({.into = b.y, .element = 0, .value = power});
    b.step(std::move(kernel));
    expect_same(b.program, Numbers::Plain, 2, "totals");
  }
}

TEST_P(BackendSuite, SumsRunInIndexOrder) {
  const std::pair<int64_t, int64_t> sizes[] = {{1, 1}, {1, 33}, {33, 1}, {7, 16}, {17, 17}, {16, 33}};
  for (const auto& [pres, posts] : sizes)
    for (const Combine combine : {Combine::Sum, Combine::Min, Combine::Max})
      for (const bool product : {false, true}) {
        Bench b(pres, posts);
        ExprPool& pool = b.pool();
        const ExprId w = pool.load(b.w, At::Self);
        const ExprId value = product ? pool.mul(w, pool.load(b.x, At::Pre)) : w;
        Kernel post{.name = "post", .domain = b.dense}, pre{.name = "pre", .domain = b.dense};
        Kernel all{.name = "all", .domain = b.dense};
        post.accumulates.push_back({.into = b.sum_post, .at = At::Post, .combine = combine, .value = value});
        pre.accumulates.push_back({.into = b.sum_pre, .at = At::Pre, .combine = combine, .value = value});
        all.accumulates.push_back({.into = b.sum_all, .at = At::Uniform, .combine = combine, .value = value});
        for (const Kernel& kernel : {post, pre, all}) b.step(kernel);
        expect_same(b.program, Numbers::Both, 2, "sums");
      }
}

TEST_P(BackendSuite, StoresAndSumsInOnePass) {
  Bench b(17, 33);
  ExprPool& pool = b.pool();
  const ExprId grown = pool.make(Op::Fma, pool.load(b.x, At::Pre), pool.load(b.y, At::Post), pool.load(b.w, At::Self));
  Kernel kernel{.name = "update", .domain = b.dense};
  kernel.stores.push_back({.into = b.w, .value = grown});
  kernel.accumulates.push_back({.into = b.sum_post, .at = At::Post, .value = pool.mul(grown, pool.load(b.x, At::Pre))});
  kernel.accumulates.push_back({.into = b.sum_pre, .at = At::Pre, .value = grown});
  b.step(std::move(kernel));
  expect_same(b.program, Numbers::Plain, 3, "update");
}

TEST_P(BackendSuite, ScansRunAlongTheirAxis) {
  for (const At along : {At::Post, At::Pre})
    for (const auto& [pres, posts] : {std::pair<int64_t, int64_t>{1, 17}, {17, 1}, {7, 33}}) {
      Bench b(pres, posts);
      ExprPool& pool = b.pool();
      const ExprId w = pool.load(b.w, At::Self);
      Kernel kernel{.name = "scan", .domain = b.dense};
      kernel.scans.push_back({.as = b.run, .along = along, .value = pool.mul(w, pool.load(b.y, At::Post))});
      kernel.stores.push_back({.into = b.w, .value = pool.sub(w, pool.mul(pool.constant(0.1), pool.load(b.run, At::Self)))});
      b.step(std::move(kernel));
      expect_same(b.program, Numbers::Plain, 3, "scan");
    }
}

TEST_P(BackendSuite, DrawsDependOnPlaceAndStepOnly) {
  Bench b(17, 33);
  ExprPool& pool = b.pool();
  const ExprId u = pool.draw(3, 0), v = pool.draw(65535, 1);
  const auto into = [&](const char* name, SpaceId domain, ColumnId column, uint32_t element) {
    Kernel kernel{.name = name, .domain = domain};
    kernel.stores.push_back({.into = column, .element = element, .value = pool.sub(u, pool.mul(v, u))});
    return kernel;
  };
  const Column scale{.name = "scale", .space = b.one, .role = Role::State};
  const ColumnId uniform = b.program.add(scale);
  for (const Kernel& kernel : {into("dense", b.dense, b.v, 1), into("neurons", b.post, b.y, 1), into("one", b.one, uniform, 0)}) {
    b.step(kernel);
    b.program.plan.init.push_back({b.program.plan.step.back().kernel});
  }
  expect_same(b.program, Numbers::Plain, 3, "draws");
}

/// A bench with synapses, spikes of both sides and values of each synapse.
struct SparseBench {
  Program program;
  SpaceId one, pre, post, synapses;
  ColumnId x, pre_spike, y, post_spike, w, e, into_post, into_pre, total;
  SparseBench(int64_t pres, int64_t posts, Connect connect) {
    program.name = "sparse";
    one = program.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
    pre = program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = pres});
    post = program.add(Space{.kind = SpaceKind::Neurons, .name = "Y", .size = posts});
    synapses = program.add(Space{.kind = SpaceKind::Sparse, .name = "S", .pre = pre, .post = post,
                                 .connect = std::move(connect)});
    program.dt = program.add(Column{.name = "dt", .space = one, .role = Role::Param});
    x = program.add(Column{.name = "x", .space = pre, .role = Role::State});
    pre_spike = program.add(Column{.name = "pre_spike", .space = pre});
    y = program.add(Column{.name = "y", .space = post, .role = Role::State, .width = 2});
    post_spike = program.add(Column{.name = "post_spike", .space = post});
    w = program.add(Column{.name = "w", .space = synapses, .role = Role::State});
    e = program.add(Column{.name = "e", .space = synapses, .role = Role::State, .width = 2});
    into_post = program.add(Column{.name = "into_post", .space = post});
    into_pre = program.add(Column{.name = "into_pre", .space = pre});
    total = program.add(Column{.name = "total", .space = one});
  }
  ExprPool& pool() { return program.pool; }
  void step(Kernel kernel) { program.plan.step.push_back({program.add(std::move(kernel))}); }
  /// Spikes of about a quarter of the neurons, others in each step.
  void draw_spikes() {
    for (const auto& [space, column] : {std::pair{pre, pre_spike}, {post, post_spike}}) {
      Kernel kernel{.name = "spikes", .domain = space};
      kernel.stores.push_back({.into = column, .value = pool().make(Op::Less, pool().draw(column.value, 0), pool().constant(0.25))});
      step(std::move(kernel));
    }
  }
  ExprId changed() {
    const ExprId grown = pool().make(Op::Fma, pool().load(x, At::Pre), pool().load(y, At::Post, 1), pool().load(w, At::Self));
    return pool().add(grown, pool().mul(pool().load(e, At::Self, 1), pool().draw(99, 0)));
  }
};

inline const std::vector<Connect>& some_wirings() {
  static const auto edges = std::make_shared<const std::vector<Edge>>(std::vector<Edge>{{0, 0}, {0, 3}, {4, 1}, {6, 0}, {6, 6}});
  static const std::vector<Connect> wirings = {{.wiring = Wiring::Random, .p = 0.3, .site = 7}, {.wiring = Wiring::Random, .p = 1},
                                               {.wiring = Wiring::Random, .p = 0}, {.wiring = Wiring::FixedIndegree, .degree = 3, .site = 1},
                                               {.wiring = Wiring::FixedOutdegree, .degree = 5, .site = 2}, {.wiring = Wiring::List, .edges = edges}};
  return wirings;
}

TEST_P(BackendSuite, SparseRowsOfAllOfPreAndOfPost) {
  for (const Connect& connect : some_wirings())
    for (const auto& [pres, posts] : {std::pair<int64_t, int64_t>{7, 33}, {70, 17}, {7, 70'000}}) {
      if (posts > 1000 && (connect.p == 1 || !GetParam().large)) continue;
      for (const Rows rows : {Rows::All, Rows::OfPre, Rows::OfPost}) {
        SparseBench b(pres, posts, connect);
        b.draw_spikes();
        Kernel kernel{.name = "rows", .domain = b.synapses, .rows = rows};
        if (rows != Rows::All) kernel.spikes = rows == Rows::OfPre ? b.pre_spike : b.post_spike;
        kernel.stores.push_back({.into = b.w, .value = b.changed()});
        kernel.stores.push_back({.into = b.e, .element = 0, .value = b.pool().load(b.e, At::Self, 1)});
        kernel.stores.push_back({.into = b.e, .element = 1, .value = b.pool().load(b.e, At::Self, 0)});
        b.step(std::move(kernel));
        expect_same(b.program, Numbers::Plain, posts > 1000 ? 2 : 4, "sparse rows");
      }
    }
}

TEST_P(BackendSuite, SparseSumsRunInIndexOrder) {
  for (const Connect& connect : some_wirings())
    for (const Rows rows : {Rows::All, Rows::OfPre})
      for (const bool product : {false, true}) {
        SparseBench b(70, 33, connect);
        b.draw_spikes();
        const ExprId w = b.pool().load(b.w, At::Self);
        const ExprId value = product ? b.pool().mul(w, b.pool().load(b.x, At::Pre)) : w;
        const auto sum = [&](ColumnId into, At at, bool stores) {
          Kernel kernel{.name = "sum", .domain = b.synapses, .rows = rows};
          if (rows != Rows::All) kernel.spikes = b.pre_spike;
          kernel.accumulates.push_back({.into = into, .at = at, .value = value});
          if (stores) kernel.stores.push_back({.into = b.w, .value = b.changed()});
          b.step(std::move(kernel));
        };
        sum(b.into_post, At::Post, true);
        sum(b.into_pre, At::Pre, false);
        sum(b.total, At::Uniform, false);
        expect_same(b.program, Numbers::Both, 4, "sparse sums");
      }
}

TEST_P(BackendSuite, QuietAndEventfulStepsRunTheirOwnKernels) {
  Bench b;
  ExprPool& pool = b.pool();
  const auto plus = [&](const char* name, double amount) {
    Kernel kernel{.name = name, .domain = b.post};
    kernel.stores.push_back({.into = b.y, .value = pool.add(pool.load(b.y, At::Self), pool.constant(amount))});
    return kernel;
  };
  b.step(plus("quiet", 0.3), When::Quiet);
  b.step(plus("eventful", 10), When::Eventful);
  expect_same(b.program, Numbers::Plain, 3, "flavours");
}

/// HEBB_RANDOM_PROGRAMS=1000:500 makes those of the seeds from 1000 to 1499 instead.
TEST_P(BackendSuite, RandomPrograms) {
  uint64_t first = 0, count = 40;
  const char* const asked = std::getenv("HEBB_RANDOM_PROGRAMS");
  const bool understood = asked == nullptr || std::sscanf(asked, "%" SCNu64 ":%" SCNu64, &first, &count) == 2;
  ASSERT_TRUE(understood) << asked;
  for (uint64_t seed = first; seed < first + count; ++seed)
    expect_same(RandomProgram(seed).make(), Numbers::Both, 3, "seed " + std::to_string(seed));
}

}  // namespace hebb
