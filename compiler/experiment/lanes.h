#pragma once
// The lanes of a run: each one simulation, several at a time.

#include "compiler/experiment/prepared_run.h"
#include "compiler/experiment/run_store.h"

namespace hebb {

/// What one lane left behind.
struct LaneResult {
  std::vector<Recorded> recorded;
  std::vector<double> measured;
  std::optional<Divergence> divergence;
  std::string aborted;       // by the network's 'abort when': what was seen
  std::string failure;
};

/// Where a run is kept for going on; no store: nowhere.
struct StoredRun {
  RunStore* store = nullptr;
  size_t number = 0;
};
/// Reports a checkpoint that belongs to something else.
std::optional<StoredRun> store_of(Evaluation& e, const PreparedRun& prepared, Span span);

/// Where the records of a run go.
struct RecordFile {
  std::string folder;
  std::string provenance;
};

/// `file`: nothing, records of a file are left out.
LaneResult run_lane(const Model& model, const PreparedRun& prepared, const Kernels& kernels, int64_t lane, int threads,
                    const std::atomic<bool>* interrupted, StoredRun stored, const RecordFile* file);
std::vector<LaneResult> run_lanes(Evaluation& e, const PreparedRun& prepared, const Kernels& kernels, StoredRun stored, Span span);

}  // namespace hebb
