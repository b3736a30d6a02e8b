#pragma once
// Parts of a reverse step that take more than one kernel: minima and maxima, running sums, and one neuron
// that every row reads.

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "compiler/adjoint/activity.h"

namespace hebb {

/// A dense or per-neuron column beside `like`, for the reverse step only.
ColumnId add_beside(Program& program, SpaceId space, std::string name);

// --- minima and maxima ----------------------------------------------------------------------------
// The derivative goes to the rows whose value is the extreme one, in equal parts when there are several.
// Which rows those are must not hang on a rounding, so the forward kernel keeps the values it compared.

/// A column with a minimum or maximum, and which element of it.
using ExtremeId = std::pair<ColumnId, uint32_t>;
/// By kernel and place among its accumulates: where its values are kept.
using KeptValues = std::map<std::pair<uint32_t, size_t>, ColumnId>;
/// Lets kernels keep what goes into active minima and maxima.
KeptValues keep_extremes(Program& program, const std::vector<KernelId>& kernels, const Activity& activity);

struct Ties {
  std::map<ExtremeId, ColumnId> columns;   // how many rows have the extreme value; to be zeroed before each step
  std::vector<KernelId> kernels;           // that count them; run before the rest of the reverse step
};
Ties count_ties(Program& program, const std::vector<KernelId>& forward, const KeptValues& kept);

/// The share of the adjoint of an extreme value that a row gets.
ExprId share_of_extreme(ExprPool& pool, const Accumulate& extreme, ColumnId adjoint, ColumnId kept, ColumnId ties);

// --- running sums ---------------------------------------------------------------------------------

struct PulledScans {
  ExprId total;                   // `total` and what the scanned values owe, scans held constant
  std::vector<Scan> scans;        // of the kernel that computes its derivatives
  std::vector<KernelId> before;   // to be run first
  std::vector<ColumnId> zero;     // before each step
};
/// The adjoint of a scanned value is the sum over all rows that come after it and its own: the whole sum, less
/// the running sum, and its own again.
PulledScans pull_scans(Program& program, const Kernel& forward, ExprId total);
/// Those of `scans` that something in `values` needs.
std::vector<Scan> needed_scans(const ExprPool& pool, const std::vector<Scan>& scans, const std::vector<ExprId>& values);

// --- values that steps hold -------------------------------------------------------------------------

/// `roots` with what a kernel stored read where they would compute it again. `held` are those of its stores whose columns
/// hold until the end of the step what it left there; the same bits. Only functions like tanh: a sum is cheaper than a load.
std::vector<ExprId> read_stored(ExprPool& pool, std::span<const Store> held, std::vector<ExprId> roots);

// --- one neuron read by all -----------------------------------------------------------------------

/// What every row owes one element of a neurons column (At::Fixed), summed.
struct FixedSum {
  ColumnId adjoint;        // of the column that is read
  uint32_t element;        // in the order [row][element]
  ColumnId sum;            // uniform
};
/// Adds the sums to their rows; no operation knows its row, but a running sum of ones does.
std::vector<KernelId> add_fixed_sums(Program& program, const std::vector<FixedSum>& sums);

}  // namespace hebb
