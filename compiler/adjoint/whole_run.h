#pragma once
// What is the same in every step: values that only parameters decide are computed once before the first
// step, and what all steps owe them is pulled back once after the last. Sums over neurons of what a parameter
// is owed are kept per neuron until then, so that no row of a reverse kernel waits for another and a run may
// be cut by postsynaptic neurons without changing a bit.

#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// Kernels of a step, in order, that only parameters decide, and that alone store what they store. None that
/// stores one of `outputs`, which are wanted at every step.
std::vector<KernelId> whole_run_kernels(const Program& program, std::span<const KernelId> quiet,
                                        std::span<const KernelId> eventful, std::span<const ColumnId> outputs);

/// Sums that uniform adjoints are owed, one for each neuron.
class OwedByNeuron {
 public:
  explicit OwedByNeuron(Program& program) : program_(program) {}
  /// Beside the uniform column `adjoint`: what the neurons of `space` owe it. Never zeroed between steps.
  ColumnId column(ColumnId adjoint, SpaceId space, uint32_t element);
  /// Kernels that add all of it, neurons in order.
  std::vector<KernelId> add_up();
  std::vector<ColumnId> columns() const;

 private:
  struct Owed {
    ColumnId column;
    std::set<uint32_t> elements;
  };
  Program& program_;
  std::map<std::pair<ColumnId, uint32_t>, Owed> owed_;   // by adjoint and space
};

/// adjoint[element] += column[element] of every neuron, in order.
Kernel add_over_neurons(Program& program, ColumnId column, ColumnId adjoint, const std::set<uint32_t>& elements);

}  // namespace hebb
