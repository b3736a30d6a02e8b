#include "compiler/adjoint/versions.h"

#include <cassert>

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

std::set<ColumnId> states_stored(const Program& program, const Kernel& kernel) {
  std::set<ColumnId> stored;
  for (const Store& store : kernel.stores) {
    if (program[store.into].role == Role::State) stored.insert(store.into);
  }
  return stored;
}

/// How a kernel over the rows of a column reads it.
At own_place(const Program& program, ColumnId column) {
  return program[program[column].space].kind == SpaceKind::Uniform ? At::Uniform : At::Self;
}

}  // namespace

ColumnId add_like(Program& program, ColumnId like, std::string name, Role role) {
  Column column = program[like];
  column.name = std::move(name);
  column.role = role;
  column.reset = 0;
  return program.add(std::move(column));
}

std::set<ColumnId> states_stored(const Program& program, std::span<const KernelId> kernels) {
  std::set<ColumnId> stored;
  for (const KernelId id : kernels) stored.merge(states_stored(program, program[id]));
  return stored;
}

Versions::Versions(Program& program, const std::set<ColumnId>& stored) : program_(program) {
  for (const ColumnId column : stored) {
    next_[column] = add_like(program_, column, cat(program_[column].name, "'"), Role::Value);
  }
}

ColumnId Versions::next(ColumnId state) const {
  const auto found = next_.find(state);
  return found == next_.end() ? state : found->second;
}

std::vector<KernelId> Versions::rewrite(const std::vector<KernelId>& kernels) {
  std::map<ColumnId, int> stores_left;
  for (const KernelId id : kernels) {
    for (const ColumnId column : states_stored(program_, program_[id])) ++stores_left[column];
  }
  std::map<ColumnId, ColumnId> current;
  std::vector<KernelId> result;
  for (const KernelId id : kernels) {
    const std::set<ColumnId> stored = states_stored(program_, program_[id]);
    Kernel kernel = redirect_loads(program_[id], current);
    for (const ColumnId column : stored) {
      const bool last = --stores_left[column] == 0;
      const ColumnId version =
          last ? next_.at(column)
               : add_like(program_, column, cat(program_[column].name, "'", program_.columns.size()), Role::Value);
      const ColumnId before = current.contains(column) ? current[column] : column;
      redirect_stores(kernel, column, before, version);
      current[column] = version;
    }
    for (Accumulate& sum : kernel.accumulates) {
      if (program_[sum.into].role != Role::State) continue;
      assert(current.contains(sum.into) && "a state that sums begins with a store");
      sum.into = current[sum.into];
    }
    result.push_back(program_.add(std::move(kernel)));
  }
  for (const auto& [column, next] : next_) {
    if (!current.contains(column)) result.push_back(copy_kernel(column, next));
  }
  return result;
}

Kernel Versions::redirect_loads(Kernel kernel, const std::map<ColumnId, ColumnId>& current) {
  if (current.empty()) return kernel;
  ExprPool& pool = program_.pool;
  Substitution redirect(pool, pool, [&](const ExprNode& leaf) {
    if (leaf.op != Op::Load) return ExprId{};
    const auto found = current.find(ColumnId{leaf.leaf.index});
    return found == current.end() ? ExprId{} : pool.load(found->second, leaf.leaf.at, leaf.leaf.element);
  });
  for (Scan& scan : kernel.scans) scan.value = redirect(scan.value);
  for (Store& store : kernel.stores) store.value = redirect(store.value);
  for (Accumulate& sum : kernel.accumulates) sum.value = redirect(sum.value);
  return kernel;
}

void Versions::redirect_stores(Kernel& kernel, ColumnId column, ColumnId before, ColumnId version) {
  std::vector<bool> written(program_[column].width);
  for (Store& store : kernel.stores) {
    if (store.into != column) continue;
    store.into = version;
    written[store.element] = true;
  }
  for (uint32_t element = 0; element < written.size(); ++element) {
    if (written[element]) continue;
    kernel.stores.push_back({version, element, program_.pool.load(before, own_place(program_, column), element)});
  }
}

KernelId Versions::copy_kernel(ColumnId from, ColumnId to) {
  Kernel kernel{.name = cat("keep ", program_[from].name), .domain = program_[from].space};
  for (uint32_t element = 0; element < program_[from].width; ++element) {
    kernel.stores.push_back({to, element, program_.pool.load(from, own_place(program_, from), element)});
  }
  return program_.add(std::move(kernel));
}

}  // namespace hebb
