#pragma once
// Which columns of a step carry a derivative: those that depend on a target and that an output depends
// on, through any number of steps.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// Columns by index.
struct Activity {
  std::vector<bool> from_targets;   // depends on some target
  std::vector<bool> to_outputs;     // some output depends on it
  std::vector<ColumnId> cause;      // one step back towards a target; invalid at a target
  bool active(ColumnId column) const {
    return from_targets[column.value] && to_outputs[column.value];
  }
};

/// Edges are loads → stores and accumulates of `kernels`, and the `carries` from a step to the next.
Activity find_activity(const Program& program, std::span<const KernelId> kernels,
                       std::span<const std::pair<ColumnId, ColumnId>> carries,
                       std::span<const ColumnId> targets, std::span<const ColumnId> outputs);

/// Names of the columns from a target to `column`.
std::vector<std::string> path_to(const Program& program, const Activity& activity, ColumnId column);

/// Distinct Load leaves below `roots`, in pool order.
std::vector<ExprId> load_leaves(const ExprPool& pool, const std::vector<ExprId>& roots);

}  // namespace hebb
