#pragma once
// Program → kernels for a device that runs one thread per row of a grid, without order between threads.
// Each kernel becomes one or more whose sums have one owner each: a thread goes through the rows of its
// sum in index order, so a device gives the bits of a CPU, without atomic operations. Knows no LLVM.

#include "compiler/program/kernels.h"

namespace hebb {

/// Which rows one thread computes.
enum class Spread {
  One,       // one thread: all rows
  Neurons,   // a thread per neuron
  Pairs,     // dense: a thread per post neuron and group of pre neurons; 2-D grid
  ByPost,    // dense or sparse: a thread per post neuron, its rows by pre neuron
  ByPre,     // dense or sparse: a thread per pre neuron, its rows by post neuron
  RowBlocks,     // sparse: a block per pre neuron, a thread per synapse of it
  ColumnBlocks,  // sparse: a block per post neuron, a thread per synapse of it
};

/// What the host passes a kernel, in this order.
struct DeviceParameter {
  enum class Kind {
    Column,      // address of the first row of one element of a column, in lane 0
    LaneStride,  // u64: elements between two lanes of a column
    Pres, Posts, // u32: neurons (Posts: rows of a neurons domain)
    Row,         // u32: dense, elements between two rows
    Run,         // address of 64-bit numbers: the step of the grid, then the key of each lane
    RowBegin, PostIndex, ColumnBegin, Synapse, PreIndex,  // addresses: of a sparse space, as in hebb_abi.h
  };
  Kind kind = Kind::Column;
  ColumnId column;       // Column
  uint32_t element = 0;
  bool written = false;  // Column
  friend bool operator==(const DeviceParameter&, const DeviceParameter&) = default;
};

struct DeviceKernel {
  std::string symbol;          // "hebb_3_EE_update"
  Spread spread = Spread::One;
  std::vector<DeviceParameter> parameters;
  /// Of each accumulate: begins with the `reset` of its column, not with what the column holds.
  std::vector<bool> fresh;
};

struct DeviceProgram {
  /// The same spaces, and columns by the same ids; kernels and plan made for a device. A scan whose result several threads need has memory for it. What a
  /// long row hands from one kernel to a later one (cut_row.h) has columns of its own, after all others.
  Program program;
  std::vector<DeviceKernel> kernels;            // KernelId of `program` indexes this
  std::vector<std::vector<KernelId>> pieces;    // by KernelId of the original: what it became, in order
};
/// Who sets sums to their reset before a step: the plan, or the host.
enum class Resets { InPlan, ByHost };
DeviceProgram for_device(const Program& program, Resets resets = Resets::InPlan);

/// How many threads a launch takes. Blocks are rows of `threads` threads.
struct Grid {
  uint32_t x = 1, y = 1, z = 1;  // blocks; z: lanes
  uint32_t threads = 1;
};
/// Empty (x = 0) when there is nothing to compute.
Grid grid_of(Spread spread, int64_t pres, int64_t posts, uint32_t lanes);

/// Whether a kernel over a sparse space finds synapses by post neuron.
bool reads_by_post(Spread spread);

/// Bytes that no kernel can do without for one row (one neuron) of a dense or neurons domain: every element that differs from row to
/// row, read once and written once. From the program alone.
int64_t least_bytes(const Program& program, KernelId kernel, Spread spread, Precision precision);

/// "address of EE.w [X x Y], read and written": for people.
std::string describe(const Program& program, const DeviceParameter& parameter);
std::string describe(const Program& program, KernelId kernel, Spread spread);

}  // namespace hebb
