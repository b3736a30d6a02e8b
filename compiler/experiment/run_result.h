#pragma once
// What the lanes of a run recorded, as one value.

#include <vector>

#include "compiler/experiment/lanes.h"
#include "compiler/experiment/prepared_run.h"

namespace hebb {

/// A table of what was recorded and measured: one row of each array a lane where the run is a batch.
Value result_of(const PreparedRun& prepared, const std::vector<LaneResult>& results);

}  // namespace hebb
