#pragma once
// What to run: index spaces, columns, kernels and a step plan. Knows no rules and no LLVM. The
// interpreter, the JIT and every writer start here, and all compute the same bits.

#include <limits>
#include <string>
#include <vector>

#include "compiler/expr/pool.h"

namespace hebb {

struct SpaceId {
  uint32_t value = UINT32_MAX;
  bool valid() const { return value != UINT32_MAX; }
  friend bool operator==(SpaceId, SpaceId) = default;
};
struct KernelId {
  uint32_t value = UINT32_MAX;
  friend bool operator==(KernelId, KernelId) = default;
};

enum class SpaceKind { Uniform, Neurons, Dense };
/// Uniform has one row. Neurons: `size` rows (a population, or a signal array). Dense: every pair of a
/// row of `pre` and a row of `post`.
struct Space {
  SpaceKind kind = SpaceKind::Uniform;
  std::string name;
  int64_t size = 1;          // Uniform, Neurons
  SpaceId pre, post;         // Dense
};

enum class Role {
  Param,      // set before a run, never stored to in a step
  State,      // carried from step to step: what a checkpoint holds
  Value,      // recomputed in each step before it is read (inputs, lets, reductions, temporaries)
  Fed,        // written by the host before each step
  Indicator,  // an event of this instant: 0 or 1
};

struct Column {
  std::string name;          // "EE.w", "Y.r", "dt": unique; what results and settings are found by
  SpaceId space;
  Role role = Role::Value;
  int64_t width = 1;         // elements of a small array
  double reset = 0;          // Value columns that are accumulated into start each step from this
  std::string unit;          // for people: "mV", "1"
};

/// column[row][element] = value, after all loads of the row.
struct Store {
  ColumnId into;
  uint32_t element = 0;
  ExprId value;
  friend bool operator==(const Store&, const Store&) = default;
};

enum class Combine { Sum, Min, Max };
/// column[pre, post or uniform element of this row] = combine(column[…], value), rows in index order
/// (pre outer, post inner). The runner resets the column before the first launch of a step.
struct Accumulate {
  ColumnId into;
  uint32_t element = 0;
  At at = At::Post;
  Combine combine = Combine::Sum;
  ExprId value;
  friend bool operator==(const Accumulate&, const Accumulate&) = default;
};

/// A running sum along one axis of a dense space, in index order: after row (i, j) it holds the sum of
/// `value` over k <= j of row i (along Post) or over k <= i of column j (along Pre). Other effects of
/// the kernel read it as a Load of column `as`, At::Self; the column has no memory.
struct Scan {
  ColumnId as;
  At along = At::Post;
  ExprId value;
  friend bool operator==(const Scan&, const Scan&) = default;
};

/// One straight-line computation for every row of a space. All loads of a row happen before its stores.
/// A load reads a uniform column At::Uniform, whatever the domain. In a neurons domain At::Self may also
/// read the same row of another space of the same size. In a dense domain At::Pre and At::Post read
/// neurons, At::Self the space's own columns and the results of earlier scans.
/// A dense kernel with an Accumulate At::Post is split over threads by post, one with an Accumulate
/// At::Pre or a Scan along Post by pre; one with both, or At::Uniform, runs on one thread.
struct Kernel {
  std::string name;
  SpaceId domain;
  std::vector<Scan> scans;
  std::vector<Store> stores;
  std::vector<Accumulate> accumulates;
};

enum class When {
  Always,
  Quiet,     // steps at which no clock and no fed event fires
  Eventful,  // steps at which some does
};
struct Launch {
  KernelId kernel;
  When when = When::Always;
};

/// Fires at t = period, 2*period, …: the runner sets the indicator. The period, in ms, is the value of
/// a uniform Param column.
struct Clock {
  ColumnId indicator;
  ColumnId period;
};

/// What the host may write before each step. A Signal of a Neurons space takes one row a step.
struct Feed {
  std::string name;    // "odor", "pre.r", "pre.spike"
  ColumnId column;
  bool event = false;  // an indicator: 0 or 1, makes the step Eventful unless `always`
  bool always = false; // spikes of clamped populations: handled in every step
  ColumnId ahead;      // when valid: takes the row of the following step (in the last step, the same row)
};

struct Plan {
  std::vector<Launch> init;   // once, in order, with step -1
  std::vector<Launch> begin;  // whenever a run begins or goes on, before its first step
  std::vector<Launch> step;   // one grid step, in order
  std::vector<Clock> clocks;
  std::vector<Feed> feeds;
};

struct Program {
  std::string name;
  ExprPool pool;
  std::vector<Space> spaces;
  std::vector<Column> columns;
  std::vector<Kernel> kernels;
  Plan plan;
  ColumnId dt;                // uniform Param, ms; the host may change it from step to step
  bool grid_required = false; // some variable is not solved exactly: dt must stay small

  const Space& operator[](SpaceId id) const { return spaces[id.value]; }
  const Column& operator[](ColumnId id) const { return columns[id.value]; }
  const Kernel& operator[](KernelId id) const { return kernels[id.value]; }
  ColumnId find_column(std::string_view name) const;  // invalid: none
  SpaceId add(Space space);
  ColumnId add(Column column);
  ColumnId find_or_add(Column column);  // by name
  KernelId add(Kernel kernel);
};

/// Every expression of a kernel: scans, stores, accumulates, in order.
std::vector<ExprId> roots(const Kernel& kernel);

/// Empty when the program keeps every promise above; else one sentence per broken one. Ours to fix.
std::vector<std::string> verify(const Program& program);

/// For `hebb build --emit=program`.
std::string print(const Program& program);

}  // namespace hebb
