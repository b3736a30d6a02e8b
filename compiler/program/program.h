#pragma once
// What to run: index spaces, columns, kernels and a step plan. Knows no rules and no LLVM. The
// interpreter, the JIT and every writer start here, and all compute the same bits.

#include <limits>
#include <memory>
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

enum class SpaceKind { Uniform, Neurons, Dense, Sparse };

/// A delay of each synapse, ms: drawn, from an expression of constants and draws, or as many numbers as there are
/// synapses, by pre and then by post.
struct SynapseDelay {
  ExprId drawn;
  std::shared_ptr<const std::vector<double>> listed;
  bool each() const { return drawn.valid() || listed; }
};

/// Which synapses a sparse space has. Never two of one pair.
enum class Wiring { All, OneToOne, Random, FixedIndegree, FixedOutdegree, Distance, List };
struct Edge {
  uint32_t pre = 0, post = 0;
  friend auto operator<=>(const Edge&, const Edge&) = default;
};
struct Connect {
  Wiring wiring = Wiring::Random;
  double p = 0;              // Random: of each pair; Distance: at distance 0
  // Distance d of two places on the post grid, onto which the pre grid is stretched: p * exp(-d²/(2 sigma²))
  // up to `within`; sigma 0: p everywhere up to there.
  double sigma = 0, within = 0;
  bool wrap = false;         // what leaves the grid comes in on the other side
  std::vector<int64_t> pre_grid, post_grid;
  int64_t degree = 0;        // FixedIndegree, FixedOutdegree
  bool self = true;          // false: none from row i to row i
  uint32_t site = 0;         // of its draws
  std::shared_ptr<const std::vector<Edge>> edges;  // List: sorted, each once
  SynapseDelay axon, dend, bap;   // those that differ between synapses; whole steps of
  double dt_ms = 0;
  bool delayed() const { return axon.each() || dend.each() || bap.each(); }
};

/// Uniform has one row. Neurons: `size` rows (a population, or a signal array). Dense: every pair of a
/// row of `pre` and a row of `post`. Sparse: some pairs, by pre and then by post; how many is known when
/// they have been drawn.
struct Space {
  SpaceKind kind = SpaceKind::Uniform;
  std::string name;
  int64_t size = 1;          // Uniform, Neurons
  SpaceId pre, post;         // Dense, Sparse
  Connect connect;           // Sparse
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

/// Which rows of its domain a kernel computes. OfPre and OfPost are for sparse domains: all synapses of each
/// neuron whose element of `spikes` is not 0, neurons in index order. OfSpikes is for neurons: those neurons.
/// All with valid `spikes` is all rows, but only when some element of that column is not 0.
enum class Rows { All, OfPre, OfPost, OfSpikes };

/// One straight-line computation for every row of a space. All loads of a row happen before its stores.
/// A load reads a uniform column At::Uniform, whatever the domain. In a neurons domain At::Self may also
/// read the same row of another space of the same size. In a dense domain At::Pre and At::Post read
/// neurons, At::Self the space's own columns and the results of earlier scans.
/// A dense kernel with an Accumulate At::Post is split over threads by post, one with an Accumulate
/// At::Pre or a Scan along Post by pre; one with both, or At::Uniform, runs on one thread.
/// A sparse kernel reads as a dense one and has no scans. It is split over threads by post when it has an
/// Accumulate At::Post or is over the rows of spiking pre neurons, else by pre or by spiking neuron; with
/// sums At::Uniform, or on both sides, it runs on one thread. Rows::OfPost has no accumulates: its rows
/// come column by column.
struct Kernel {
  std::string name;
  SpaceId domain;
  std::vector<Scan> scans;
  std::vector<Store> stores;
  std::vector<Accumulate> accumulates;
  Rows rows = Rows::All;
  ColumnId spikes;           // OfPre: a column of the pre space; OfPost: of the post space; OfSpikes: of its own;
                             // All: of any neurons, or uniform
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
  std::string written = {};  // "every T", as the source has it: for messages
};

/// What the host may write before each step. A Signal of a Neurons space takes one row a step.
struct Feed {
  std::string name;    // "odor", "pre.r", "pre.spike"
  ColumnId column;
  bool event = false;  // an indicator: 0 or 1, makes the step Eventful unless `always`
  bool always = false; // spikes of clamped populations: handled in every step
  ColumnId ahead;      // when valid: takes the row of the following step (in the last step, the same row)
};

/// into[row] = from[row] of `delay` ms earlier, set before each step; until then `start`, as it is before the first step, or 0.
/// All are columns of one neurons space; `from` is what it is when the step ends.
struct Delayed {
  ColumnId from, into;
  ColumnId delay;              // uniform Param, ms; a whole number of steps, at least one
  bool values = false;         // any numbers; else 0 or 1, few of them 1
  ColumnId start = {};         // invalid: 0
};

/// A sparse space whose synapses see or act with delays of their own. Those with the same delays are a bucket, and kernels
/// that read `into` or add to `sum` run once for each bucket, with what these columns stand for there: the events and values of
/// the bucket's delay ago; what arrives after its delay.
struct Bucketed {
  struct Late {
    ColumnId from, into;        // of pre or of post neurons
    bool pre = true;
    bool values = false;        // any numbers; else events
    ColumnId start = {};        // as in Delayed
  };
  struct Sum {
    ColumnId sum, arrives;      // columns of post neurons
  };
  SpaceId space;
  std::vector<Late> late;
  std::vector<Sum> sums;
};

/// Synapses that are behind: what happened since they were last looked at is yet to be added. Whoever reads
/// one of the columns runs `now` first, and puts back what they were (bits must not depend on who reads).
/// `settle` adds all that waits and begins anew: run before a scale becomes too small for the precision, before a step
/// that finds one of `counts` at `most`, and before the host sets anything.
struct Deferred {
  std::vector<ColumnId> behind;
  std::vector<ColumnId> scales;     // uniform State: 1 after `settle`, fall
  KernelId now;
  std::vector<KernelId> settle;     // in order
  std::vector<ColumnId> copies = {};  // State of synapses, holds what states of neurons were
  std::vector<ColumnId> waiting = {}; // State of neurons, or of nobody: what is yet to be added to the first that is behind
  ColumnId counts = {};             // of neurons: grows by 1 at each of `events`, 0 after `settle`; invalid: nothing counts
  ColumnId events = {};
  double most = 0;
};

/// A value that steps compute only for neurons that spike. Whoever reads it runs `all` first, with the number of the last
/// step: of parameters and draws alone, it is what the step would have computed.
struct Seldom {
  ColumnId column;
  KernelId all;
};

struct Plan {
  std::vector<Launch> init;   // once, in order, with step -1
  std::vector<Launch> begin;  // whenever a run begins or goes on, before its first step
  std::vector<Launch> step;   // one grid step, in order
  std::vector<Clock> clocks;
  std::vector<Feed> feeds;
  std::vector<Delayed> delays;
  std::vector<Deferred> deferred;
  std::vector<Seldom> seldom;
  std::vector<Bucketed> bucketed;
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

/// Synapses have a pre and a post neuron.
/// Its columns are matrices [pre, post]: every pair has a synapse, by pre and then by post.
inline bool is_matrix(const Space& space) {
  const bool all = space.connect.wiring == Wiring::All && (space.connect.self || space.pre != space.post);
  return space.kind == SpaceKind::Dense || (space.kind == SpaceKind::Sparse && all);
}
inline bool is_synaptic(SpaceKind kind) {
  return kind == SpaceKind::Dense || kind == SpaceKind::Sparse;
}
/// Bytes of a number of a neuron in the index of a sparse space.
inline int index_bytes(int64_t neurons) { return neurons <= 65536 ? 2 : 4; }

/// Whether a name of the language finds it: no such name has a space, and all that the compiler adds has one.
inline bool has_name(const Column& column) { return column.name.find(' ') == std::string::npos; }

/// Every expression of a kernel: scans, stores, accumulates, in order.
std::vector<ExprId> roots(const Kernel& kernel);

/// Empty when the program keeps every promise above; else one sentence per broken one. Ours to fix.
std::vector<std::string> verify(const Program& program);

/// For `hebb build --emit=program`.
std::string print(const Program& program);

}  // namespace hebb
