#include "runtime/record_part.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/support/text.h"

namespace hebb {

namespace {

std::string range_text(const RecordRange& range) {
  return range.keep ? cat(range.first, "..", range.last < 0 ? std::string("end") : std::to_string(range.last)) : cat(range.first);
}

/// The numbers of a range in an axis of `extent`; false when it reaches beyond.
bool inside(const RecordRange& range, int64_t extent, int64_t& last) {
  last = range.last < 0 ? extent - 1 : range.last;
  return range.first >= 0 && last < extent && (range.first <= last || range.last < 0);
}

/// Synapses whose neurons are in two ranges, by pre and then by post.
Result<std::vector<int64_t>> synapses_between(const Connections& known, int64_t pres, int64_t posts, const Recording& recording) {
  int64_t last_pre = 0, last_post = 0;
  const RecordRange& pre = recording.ranges[0];
  const RecordRange& post = recording.ranges[1];
  if (!inside(pre, pres, last_pre) || !inside(post, posts, last_post))
    return Failure{cat("the record ", quoted(recording.name), " keeps ", range_text(pre), ", ", range_text(post), " of ", pres, " and ", posts, " neurons")};
  std::vector<int64_t> out;
  for (int64_t i = pre.first; i <= last_pre; ++i)
    for (int64_t k = known.row_begin[static_cast<size_t>(i)]; k < known.row_begin[static_cast<size_t>(i) + 1]; ++k) {
      const int64_t j = known.post[static_cast<size_t>(place_of(known, i, k))];
      if (j >= post.first && j <= last_post) out.push_back(k);
    }
  return out;
}

/// `out` holds what is chosen along the axes before `axis`, whose ranges are those before `range`.
Result<RecordPart> along_axes(RecordPart out, const std::vector<int64_t>& extents, size_t axis, size_t range, const Recording& recording,
                              const char* first_axis) {
  for (; axis < extents.size(); ++axis, ++range) {
    const RecordRange all{};
    const RecordRange& one = range < recording.ranges.size() ? recording.ranges[range] : all;
    int64_t last = 0;
    if (!inside(one, extents[axis], last))
      return Failure{cat("the record ", quoted(recording.name), " keeps ", range_text(one), " of ", extents[axis], axis == 0 ? first_axis : " values")};
    std::vector<int64_t> finer;
    for (const int64_t place : out.places)
      for (int64_t k = one.first; k <= last; ++k) finer.push_back(place * extents[axis] + k);
    out.places = std::move(finer);
    if (one.keep) out.shape.push_back(last - one.first + 1);
  }
  if (range < recording.ranges.size())
    return Failure{cat("the record ", quoted(recording.name), " has ", recording.ranges.size(), " indices, and there are ", extents.size(), " axes")};
  return out;
}

}  // namespace

Result<RecordPart> record_part(const Program& program, const Columns& columns, const Recording& recording) {
  const Column& column = program[recording.column];
  const Space& space = program[column.space];
  std::vector<int64_t> extents;
  if (space.kind == SpaceKind::Neurons) extents = {space.size};
  const bool listed = space.kind == SpaceKind::Sparse && !is_matrix(space);
  if (listed) extents = {columns.layout(recording.column).posts};
  if (is_matrix(space)) extents = {program[space.pre].size, program[space.post].size};
  if (column.width > 1) extents.push_back(column.width);
  if (recording.ranges.empty()) return RecordPart{.whole = true, .places = {}, .shape = extents};

  if (!listed || recording.ranges.size() < 2)
    return along_axes({.whole = false, .places = {0}, .shape = {}}, extents, 0, 0, recording, listed ? " synapses" : " values");
  auto chosen = synapses_between(columns.connections(column.space), program[space.pre].size, program[space.post].size, recording);
  if (!chosen) return chosen.failure();
  const auto count = static_cast<int64_t>(chosen->size());
  return along_axes({.whole = false, .places = *std::move(chosen), .shape = {count}}, extents, 1, 2, recording, " synapses");
}

Result<RecordPart> record_part(const std::vector<int64_t>& shape, const Recording& recording) {
  if (recording.ranges.empty()) return RecordPart{.whole = true, .places = {}, .shape = shape};
  return along_axes({.whole = false, .places = {0}, .shape = {}}, shape, 0, 0, recording, " values");
}

double reduced(RecordReduce reduce, std::span<const double> values) {
  double sum = 0;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double value : values) {
    sum += value;
    if (std::isnan(value)) low = high = value;
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
  switch (reduce) {
    case RecordReduce::None:
    case RecordReduce::Histogram: break;
    case RecordReduce::Mean: return sum / static_cast<double>(values.size());
    case RecordReduce::Sum: return sum;
    case RecordReduce::Min: return low;
    case RecordReduce::Max: return high;
  }
  return sum;
}

}  // namespace hebb
