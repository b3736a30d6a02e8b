#pragma once
// The kernels of an adjoint, and kernels for what the host does between them where it computes itself: begin sums, zero
// adjoints, record, owe.

#include <memory>
#include <span>
#include <vector>

#include "compiler/adjoint/adjoint.h"
#include "runtime/trajectory/trajectory.h"

namespace hebb {

struct DeviceAdjoint {
  std::shared_ptr<const Adjoint> adjoint;
  /// Columns of the adjoint's program under the same ids, then `rows` of what is copied; kernels of its own.
  Program program;
  struct Lists { std::vector<KernelId> forward, reverse; };
  Lists quiet, eventful, init, once, begin;
  std::vector<ColumnId> now, next;                     // of carried states that move
  std::vector<ColumnId> now_adjoints, next_adjoints;
  std::vector<KernelId> begin_step;      // sums begin with their reset
  std::vector<KernelId> begin_init;      // states are 0 and sums begin
  std::vector<KernelId> zero_step;       // adjoints, before each reverse step
  std::vector<KernelId> zero_begin;      // those that are not what initial values are owed
  std::vector<KernelId> zero_all;        // adjoints, before the first
  struct Copied {
    ColumnId column;                     // of the network
    ColumnId rows;                       // takes it, or is added to its adjoint; invalid: there is nothing to do
    std::vector<KernelId> kernel;
  };
  std::vector<Copied> recorded, owed;    // by output
  std::vector<Copied> fed;               // what each step's row of a feed is owed
  bool dense_values = false;             // forward steps leave dense values the reverse reads
  std::vector<ColumnId> per_step;        // of neurons: kept for every step
};

DeviceAdjoint adjoint_on_device(std::shared_ptr<const Adjoint> adjoint, std::span<const TrajectoryOutput> outputs);

}  // namespace hebb
