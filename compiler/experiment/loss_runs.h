#pragma once
// Which runs of a loss move with what is fitted, and which are teachers: their data are what they were before the fit.

#include "compiler/experiment/grad_run.h"

namespace hebb {

/// The run uses what a fit gives `path`: it does not set it, or says so (`S.b = Net.S.b`). See `takes_fitted`.
bool takes(const Evaluation& e, const ast::Run& run, const std::string& path, const std::vector<std::string>& all_paths);

/// False, reported: the run sets some of the targets and takes others without saying so, or one of its settings is
/// computed from a target.
bool check_run_of_loss(Evaluation& e, const ast::Run& run, std::span<const Target> targets);

/// Says so where a loss compares two runs that both move, neither of which says that it does: one may be meant as data.
void note_moving_data(Evaluation& e, const LossGraph& graph, std::span<const Target> targets);

}  // namespace hebb
