#pragma once
// A run before its first step: the lowered network and what each of its lanes is given.

#include "compiler/experiment/keep.h"
#include "compiler/experiment/measures.h"

namespace hebb {

struct PreparedRun {
  const Network* network = nullptr;
  std::shared_ptr<const Program> program;
  RunOptions options;
  std::vector<std::pair<ColumnId, LaneValues>> columns;
  std::vector<std::pair<FeedValues, LaneValues>> feeds;   // `values` of the first are filled per lane
  std::vector<Kept> kept;
  std::vector<PreparedMeasure> measures;
  int64_t lanes = 1;
  int64_t copies = 1;           // of each recording, with values of their own: lane k is recording k / copies; columns are by lane, feeds by recording
  bool batched = false;
  bool tells_aborted = false;   // the experiment asks for sim.aborted
};

/// Reports what does not fit. `fuse`: as in LowerOptions; a run that is differentiated is not fused.
std::optional<PreparedRun> prepare_run(Evaluation& e, const ast::Run& run, bool fuse);

/// What the draws of a lane are made from. Lanes that only set other values share their draws; those of `batch`, of a
/// list of seeds or of several recordings have their own.
struct DrawsOfLane {
  uint64_t seed = 1;
  uint32_t lane = 0;
};
DrawsOfLane draws_of_lane(const PreparedRun& prepared, int64_t lane);

const std::vector<double>& values_of_lane(const LaneValues& values, int64_t lane);
/// What a lane is fed; `values` are those of one of prepared.feeds.
const std::vector<double>& fed_to_lane(const PreparedRun& prepared, const LaneValues& values, int64_t lane);

/// 'W.w' and 'W.w.init' set the same.
bool same_setting(std::string_view a, std::string_view b);

/// Whether a run of the path's network uses what a fit gives `path`. It does not when it sets the same itself; and what
/// a fit found for the beginning of a run is not for runs that set anything else of that fit: those are
/// another network, a teacher.
bool takes_fitted(const std::vector<std::string>& settings, const std::string& path,
                  const std::vector<std::string>& all_paths);

/// Runs one lane to say where a value stops being finite. `kernels` compute in double.
std::optional<Divergence> find_divergence(const Model& model, const PreparedRun& prepared, const Kernels& kernels, int64_t lane);
/// "'W.w' became inf at synapse [3, 4] in step 7, t = 7 ms"
std::string divergence_text(const Divergence& bad, const Program& program);

}  // namespace hebb
