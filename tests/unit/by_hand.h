#pragma once
// Programs and kernels written by hand for the tests of the runner of plans: a bench to build them on, a rate network, a counter.

#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "runtime/random.h"
#include "runtime/simulation.h"

namespace hebb::by_hand {

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();

using KernelFunction = std::function<void(const hebb_launch*)>;

/// A program under construction with its kernels.
struct Bench {
  std::shared_ptr<Program> program = std::make_shared<Program>();
  Kernels kernels;

  SpaceId uniform() { return space({.kind = SpaceKind::Uniform, .name = "uniform"}); }
  SpaceId neurons(int64_t n) { return space({.kind = SpaceKind::Neurons, .name = "N", .size = n}); }
  SpaceId dense(SpaceId pre, SpaceId post) {
    return space({.kind = SpaceKind::Dense, .name = "W", .pre = pre, .post = post});
  }
  SpaceId space(Space space) {
    program->spaces.push_back(std::move(space));
    return {static_cast<uint32_t>(program->spaces.size() - 1)};
  }
  ColumnId column(std::string name, SpaceId space, Role role, int64_t width = 1, double reset = 0) {
    program->columns.push_back({.name = std::move(name), .space = space, .role = role, .width = width, .reset = reset});
    return {static_cast<uint32_t>(program->columns.size() - 1)};
  }
  KernelId kernel(Kernel shape, KernelFunction run) {
    program->kernels.push_back(std::move(shape));
    kernels.run.push_back(std::move(run));
    return {static_cast<uint32_t>(program->kernels.size() - 1)};
  }
  void step(KernelId id, When when = When::Always) { program->plan.step.push_back({id, when}); }
  Simulation simulation(SimulationOptions options = {}) {
    auto made = Simulation::create(program, kernels, options);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error());
    return *std::move(made);
  }
};

template <class Real = double>
Real* base(const hebb_launch* launch, ColumnId id) {
  return static_cast<Real*>(launch->columns[id.value]);
}

inline SimulationOptions in_double() { return {.precision = Precision::Float64}; }

/// A rate network: y = sum_i w[i][j] x[i]; w += 0.01 (x y - w), plus noise; row sums; a total.
template <class Real>
struct RateNetwork {
  Bench bench;
  SpaceId one = bench.uniform();
  SpaceId pre, post, dense;
  ColumnId x, w, y, rows, total;

  RateNetwork(int64_t n, int64_t m) : pre(bench.neurons(n)), post(bench.neurons(m)), dense(bench.dense(pre, post)) {
    x = bench.column("X.r", pre, Role::Fed);
    w = bench.column("W.w", dense, Role::State);
    y = bench.column("Y.r", post, Role::Value);
    rows = bench.column("W.rows", pre, Role::Value, 1, 0.5);
    total = bench.column("total", one, Role::Value);
    bench.program->plan.feeds = {{.name = "x", .column = x}};
    const auto draw = [this](const hebb_launch* l, int64_t i, int64_t j) {
      return draw_uniform<Real>(l->key, 0, 0, static_cast<uint64_t>(i * l->post_count + j), l->step);
    };
    const KernelId start = bench.kernel({.name = "start", .domain = dense, .stores = {{.into = w}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j) base<Real>(l, w)[i * l->row + j] = draw(l, i, j);
    });
    const KernelId input = bench.kernel({.name = "input", .domain = dense, .accumulates = {{.into = y, .at = At::Post}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j)
          base<Real>(l, y)[j] += base<Real>(l, w)[i * l->row + j] * base<Real>(l, x)[i];
    });
    const KernelId learn = bench.kernel({.name = "learn", .domain = dense, .stores = {{.into = w}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j) {
          Real& weight = base<Real>(l, w)[i * l->row + j];
          weight += Real(0.01) * (base<Real>(l, x)[i] * base<Real>(l, y)[j] - weight + draw(l, i, j));
        }
    });
    const KernelId sums = bench.kernel({.name = "sums", .domain = dense, .accumulates = {{.into = rows, .at = At::Pre}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->pre_begin; i < l->pre_end; ++i)
        for (int64_t j = l->post_begin; j < l->post_end; ++j) base<Real>(l, rows)[i] += base<Real>(l, w)[i * l->row + j];
    });
    const KernelId all = bench.kernel({.name = "all", .domain = pre, .accumulates = {{.into = total, .at = At::Uniform}}}, [=, this](const hebb_launch* l) {
      for (int64_t i = l->post_begin; i < l->post_end; ++i) base<Real>(l, total)[0] += base<Real>(l, rows)[i];
    });
    bench.program->plan.init = {{start}};
    for (const KernelId id : {input, learn, sums, all}) bench.step(id);
  }
};

/// Counts instants: n += 1 always, clocked += indicator in eventful steps only, quiet += 1 in quiet ones.
struct Counter {
  Bench bench;
  SpaceId one = bench.uniform();
  ColumnId n = bench.column("n", one, Role::State);
  ColumnId clocked = bench.column("clocked", one, Role::State);
  ColumnId quiet = bench.column("quiet", one, Role::State);
  ColumnId tick = bench.column("tick", one, Role::Indicator);
  ColumnId period = bench.column("period", one, Role::Param);
  ColumnId event = bench.column("event", one, Role::Indicator);
  ColumnId spike = bench.column("spike", one, Role::Indicator);
  ColumnId dt = bench.column("dt", one, Role::Param);

  template <class Real = double>
  explicit Counter(Real = {}) {
    bench.program->dt = dt;
    bench.program->plan.clocks = {{.indicator = tick, .period = period}};
    bench.program->plan.feeds = {{.name = "event", .column = event, .event = true},
                                 {.name = "spike", .column = spike, .event = true, .always = true}};
    const auto add = [this](std::string name, ColumnId into, auto value) {
      return bench.kernel({.name = std::move(name), .domain = one, .stores = {{.into = into}}},
                          [=](const hebb_launch* l) { *base<Real>(l, into) += value(l); });
    };
    bench.step(add("count", n, [](const hebb_launch*) { return Real(1); }));
    bench.step(add("clocked", clocked, [this](const hebb_launch* l) { return *base<Real>(l, tick); }), When::Eventful);
    bench.step(add("quiet", quiet, [](const hebb_launch*) { return Real(1); }), When::Quiet);
  }
};

}  // namespace hebb::by_hand
