#include "runtime/finite.h"

#include <algorithm>
#include <atomic>
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

constexpr int64_t kWorthAThread = 1 << 16;  // numbers

template <class Real>
bool column_finite(const ColumnLayout& at, const Real* base, ThreadPool* pool) {
  if (at.pres == 1 && at.plane == 1) return row_finite(base, at.width);
  std::atomic<bool> finite = true;
  for (int64_t e = 0; e < at.width && finite; ++e) {
    if (at.pres == 1) {
      in_pieces(pool, at.posts, kWorthAThread, 64, [&](int64_t begin, int64_t end) {
        if (!row_finite(base + at.offset(0, begin, e), end - begin)) finite = false;
      });
      continue;
    }
    in_pieces(pool, at.pres, kWorthAThread / std::max<int64_t>(at.posts, 1) + 1, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end && finite; ++i)
        if (!row_finite(base + at.offset(i, 0, e), at.posts)) finite = false;
    });
  }
  return finite;
}

}  // namespace

bool all_finite(const Columns& columns, ColumnId id, ThreadPool* pool) {
  const ColumnLayout& at = columns.layout(id);
  if (columns.precision() == Precision::Float32)
    return column_finite(at, static_cast<const float*>(columns.base(id)), pool);
  return column_finite(at, static_cast<const double*>(columns.base(id)), pool);
}

std::optional<NotFinite> first_not_finite(const Program& program, const Columns& columns, ColumnId id) {
  const ColumnLayout& at = columns.layout(id);
  const SpaceKind kind = program[program[id].space].kind;
  const bool is_float = columns.precision() == Precision::Float32;
  std::optional<NotFinite> found;
  const auto look = [&](int64_t i, int64_t j) {
    for (int64_t e = 0; e < at.width && !found; ++e) {
      const int64_t k = at.offset(i, j, e);
      const double value = is_float ? static_cast<const float*>(columns.base(id))[k]
                                    : static_cast<const double*>(columns.base(id))[k];
      if (std::isfinite(value)) continue;
      found = NotFinite{.index = {}, .value = value};
      if (kind == SpaceKind::Dense) found->index = {i, j};
      if (kind == SpaceKind::Neurons) found->index = {j};
      if (kind == SpaceKind::Sparse) {
        const Edge edge = edge_of(columns.connections(program[id].space), j);
        found->index = {edge.pre, edge.post};
      }
      if (at.width > 1) found->index.push_back(e);
    }
  };
  if (kind == SpaceKind::Sparse) {
    each_stretch(columns.connections(program[id].space), [&](int64_t, int64_t place, int64_t count) {
      for (int64_t s = place; s < place + count && !found; ++s) look(0, s);
    });
    return found;
  }
  for (int64_t i = 0; i < at.pres && !found; ++i)
    for (int64_t j = 0; j < at.posts && !found; ++j) look(i, j);
  return found;
}

}  // namespace hebb
