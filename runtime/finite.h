#pragma once
// Finds values that are not finite in a column; padding is not looked at.

#include <optional>
#include <vector>

#include "runtime/columns.h"
#include "runtime/threads.h"

namespace hebb {

/// One pass at memory speed, by all of these threads where there is much to look at.
bool all_finite(const Columns& columns, ColumnId id, ThreadPool* pool = nullptr);

struct NotFinite {
  std::vector<int64_t> index;  // {i}, {i, j}; then the element when the width is above 1
  double value = 0;
};
/// The first in logical order.
std::optional<NotFinite> first_not_finite(const Program& program, const Columns& columns, ColumnId id);

}  // namespace hebb
