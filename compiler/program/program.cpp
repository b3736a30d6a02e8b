#include "compiler/program/program.h"

#include <cassert>

namespace hebb {

ColumnId Program::find_column(std::string_view name) const {
  for (uint32_t i = 0; i < columns.size(); ++i)
    if (columns[i].name == name) return ColumnId{i};
  return {};
}

SpaceId Program::add(Space space) {
  spaces.push_back(std::move(space));
  return SpaceId{static_cast<uint32_t>(spaces.size() - 1)};
}

ColumnId Program::add(Column column) {
  assert(!find_column(column.name).valid() && "column names are unique");
  columns.push_back(std::move(column));
  return ColumnId{static_cast<uint32_t>(columns.size() - 1)};
}

ColumnId Program::find_or_add(Column column) {
  const ColumnId found = find_column(column.name);
  return found.valid() ? found : add(std::move(column));
}

KernelId Program::add(Kernel kernel) {
  kernels.push_back(std::move(kernel));
  return KernelId{static_cast<uint32_t>(kernels.size() - 1)};
}

std::vector<ExprId> roots(const Kernel& kernel) {
  std::vector<ExprId> result;
  for (const Scan& scan : kernel.scans) result.push_back(scan.value);
  for (const Store& store : kernel.stores) result.push_back(store.value);
  for (const Accumulate& accumulate : kernel.accumulates) result.push_back(accumulate.value);
  return result;
}

}  // namespace hebb
