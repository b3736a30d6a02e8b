#include "compiler/adjoint/whole_run.h"

#include <algorithm>

#include "compiler/adjoint/activity.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

/// How many kernels write each column.
std::map<ColumnId, int> writers(const Program& program, std::span<const KernelId> quiet,
                                std::span<const KernelId> eventful) {
  std::set<uint32_t> kernels;
  for (const KernelId id : quiet) kernels.insert(id.value);
  for (const KernelId id : eventful) kernels.insert(id.value);
  std::map<ColumnId, int> out;
  for (const uint32_t index : kernels) {
    const Kernel& kernel = program.kernels[index];
    std::set<ColumnId> written;
    for (const Store& store : kernel.stores) written.insert(store.into);
    for (const Accumulate& sum : kernel.accumulates) written.insert(sum.into);
    for (const ColumnId column : written) ++out[column];
  }
  return out;
}

bool draws(const Program& program, const Kernel& kernel) {
  const std::vector<bool> live = live_nodes(program.pool, roots(kernel));
  for (uint32_t i = 0; i < live.size(); ++i)
    if (live[i] && program.pool[ExprId{i}].op == Op::Draw) return true;
  return false;
}

}  // namespace

std::vector<KernelId> whole_run_kernels(const Program& program, std::span<const KernelId> quiet,
                                        std::span<const KernelId> eventful, std::span<const ColumnId> outputs) {
  const std::map<ColumnId, int> written_by = writers(program, quiet, eventful);
  std::set<ColumnId> known;
  std::vector<KernelId> out;
  const auto always = [&](KernelId id) { return std::find(eventful.begin(), eventful.end(), id) != eventful.end(); };
  const auto same = [&](const Kernel& kernel) {
    const SpaceKind kind = program[kernel.domain].kind;
    if (kind != SpaceKind::Uniform && kind != SpaceKind::Neurons) return false;
    if (!kernel.accumulates.empty() || !kernel.scans.empty() || draws(program, kernel)) return false;
    for (const Store& store : kernel.stores) {
      const bool wanted = std::find(outputs.begin(), outputs.end(), store.into) != outputs.end();
      if (program[store.into].role != Role::Value || written_by.at(store.into) != 1 || wanted) return false;
    }
    for (const ExprId leaf : load_leaves(program.pool, roots(kernel))) {
      const ColumnId read{program.pool[leaf].leaf.index};
      if (program[read].role != Role::Param && !known.contains(read)) return false;
    }
    return true;
  };
  for (const KernelId id : quiet) {
    if (!always(id) || !same(program[id])) continue;
    for (const Store& store : program[id].stores) known.insert(store.into);
    out.push_back(id);
  }
  return out;
}

ColumnId OwedByNeuron::column(ColumnId adjoint, SpaceId space, uint32_t element) {
  Owed& owed = owed_[{adjoint, space.value}];
  if (!owed.column.valid()) {
    Column column = program_[adjoint];
    column.name = cat(column.name, "/", program_[space].name, program_.columns.size());
    column.space = space;
    owed.column = program_.add(std::move(column));
  }
  owed.elements.insert(element);
  return owed.column;
}

std::vector<KernelId> OwedByNeuron::add_up() {
  std::vector<KernelId> out;
  for (const auto& [where, owed] : owed_)
    out.push_back(program_.add(add_over_neurons(program_, owed.column, where.first, owed.elements)));
  return out;
}

std::vector<ColumnId> OwedByNeuron::columns() const {
  std::vector<ColumnId> out;
  for (const auto& [where, owed] : owed_) out.push_back(owed.column);
  return out;
}

Kernel add_over_neurons(Program& program, ColumnId column, ColumnId adjoint, const std::set<uint32_t>& elements) {
  Kernel kernel{.name = cat("sum of ", program[column].name), .domain = program[column].space};
  for (const uint32_t element : elements)
    kernel.accumulates.push_back({adjoint, element, At::Uniform, Combine::Sum,
                                  program.pool.load(column, At::Self, element)});
  return kernel;
}

}  // namespace hebb
