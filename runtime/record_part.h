#pragma once
// Which numbers of a column a recording keeps.

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

}  // namespace hebb
