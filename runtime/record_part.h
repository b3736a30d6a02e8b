#pragma once
// Which numbers of a column a recording keeps.

#include <span>

#include "runtime/columns.h"
#include "runtime/simulation.h"

namespace hebb {

struct RecordPart {
  bool whole = true;
  std::vector<int64_t> places;   // in a sample of the whole column; not used when `whole`
  std::vector<int64_t> shape;    // of what is kept
  int64_t size() const {
    int64_t size = 1;
    for (const int64_t extent : shape) size *= extent;
    return size;
  }
};

/// Refuses ranges beyond what there is.
Result<RecordPart> record_part(const Program& program, const Columns& columns, const Recording& recording);
/// Of a column that is no column of synapses that are not all there: of its shape.
Result<RecordPart> record_part(const std::vector<int64_t>& shape, const Recording& recording);

/// In index order, so that no engine or thread count can change a bit. NaN wins over every number.
double reduced(RecordReduce reduce, std::span<const double> values);

}  // namespace hebb
