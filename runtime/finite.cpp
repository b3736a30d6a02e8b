#include "runtime/finite.h"

#include <cmath>
#include <cstring>

namespace hebb {

namespace {

/// x - x is 0 for finite x and NaN else, and NaN survives addition. 64 bytes at a time: the memory, not
/// the arithmetic, must be what takes the time.
template <class Real>
bool row_finite(const Real* row, int64_t count) {
  constexpr int64_t kLanes = 64 / sizeof(Real);
  typedef Real Vector __attribute__((vector_size(64)));
  Vector sums = {};
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    Vector values;
    std::memcpy(&values, row + j, sizeof values);
    sums += values - values;
  }
  Real total = 0;
  for (int64_t k = 0; k < kLanes; ++k) total += sums[k];
  for (; j < count; ++j) total += row[j] - row[j];
  return total == 0;  // false for NaN
}

template <class Real>
bool column_finite(const ColumnLayout& at, const Real* base) {
  if (at.pres == 1 && at.plane == 1) return row_finite(base, at.width);
  for (int64_t e = 0; e < at.width; ++e)
    for (int64_t i = 0; i < at.pres; ++i)
      if (!row_finite(base + at.offset(i, 0, e), at.posts)) return false;
  return true;
}

}  // namespace

bool all_finite(const Columns& columns, ColumnId id) {
  const ColumnLayout& at = columns.layout(id);
  if (columns.precision() == Precision::Float32)
    return column_finite(at, static_cast<const float*>(columns.base(id)));
  return column_finite(at, static_cast<const double*>(columns.base(id)));
}

std::optional<NotFinite> first_not_finite(const Program& program, const Columns& columns, ColumnId id) {
  const ColumnLayout& at = columns.layout(id);
  const SpaceKind kind = program[program[id].space].kind;
  const bool is_float = columns.precision() == Precision::Float32;
  for (int64_t i = 0; i < at.pres; ++i) {
    for (int64_t j = 0; j < at.posts; ++j) {
      for (int64_t e = 0; e < at.width; ++e) {
        const int64_t k = at.offset(i, j, e);
        const double value = is_float ? static_cast<const float*>(columns.base(id))[k]
                                      : static_cast<const double*>(columns.base(id))[k];
        if (std::isfinite(value)) continue;
        NotFinite found{.index = {}, .value = value};
        if (kind == SpaceKind::Dense) found.index = {i, j};
        if (kind == SpaceKind::Neurons) found.index = {j};
        if (kind == SpaceKind::Sparse) {
          const Edge edge = edge_of(columns.connections(program[id].space), j);
          found.index = {edge.pre, edge.post};
        }
        if (at.width > 1) found.index.push_back(e);
        return found;
      }
    }
  }
  return {};
}

}  // namespace hebb
