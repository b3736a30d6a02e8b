#include "runtime/observer.h"

#include <algorithm>

#include "runtime/plan_runner.h"

namespace hebb {

std::optional<std::span<const uint32_t>> StateView::spikes(ColumnId column) const {
  if (runner_ == nullptr) return {};
  return runner_->copied_spikes(column);
}

int64_t StateView::events(ColumnId column, uint32_t* into) const {
  const auto known = spikes(column);
  if (!known) return columns_.nonzero_rows(column, into);
  std::copy(known->begin(), known->end(), into);
  return static_cast<int64_t>(known->size());
}

}  // namespace hebb
