#pragma once
// What a derivative of a run needs before it can be taken: which recordings the loss reads, what is given and drawn; and what
// is said where there is none.

#include "compiler/experiment/grad_run.h"

namespace hebb {

/// A leaf of the loss that is a recording of this run.
struct Seen {
  int leaf = 0;
  TrajectoryOutput read;
  RecordMap map;
  MaybeDimension dimension;
};
/// False: reported.
bool add_outputs(Evaluation& e, const LossGraph& graph, const ast::Run& run, const PreparedRun& prepared, std::vector<Seen>& out);

/// Columns that say when a neuron of the network emits.
std::vector<ColumnId> event_columns(const Model& model, const Network& network, const Program& program);
void report_refusal(Evaluation& e, const Network& network, const ast::Run& run, const AdjointRefusal& refusal,
                    std::span<const Target> targets);

/// Where the host sets a state, its initial value is no function of anything.
PreparedRun without_given_states(PreparedRun prepared);
/// `copies` of each recording at once, which may be given values of their own.
PreparedRun repeated(PreparedRun prepared, int64_t copies);
/// One of them alone.
PreparedRun one_copy(const PreparedRun& prepared, int64_t copy);
/// The initial values of a column that this run would draw: one for each lane, or those of the first.
Tensor initial_values(const PreparedRun& prepared, ColumnId column, bool each_lane);
Extents shape_as_fed(const PreparedRun& prepared, const std::string& name);

}  // namespace hebb
