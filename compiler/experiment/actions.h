#pragma once
// What an experiment does: print, plot, save, assert. A mistake is reported; the next action still runs.

#include "compiler/experiment/evaluate.h"

namespace hebb {

void perform(Evaluation& e, const ast::Action& action);

/// A file name of the experiment in the output folder.
std::string output_path(const Evaluation& e, const std::string& name);

/// The name a saved or plotted value gets: "sim.W.w" for itself and for final(sim.W.w).
std::string value_name(const ast::Expr& expr);

void perform_plot(Evaluation& e, const ast::Plot& plot);

/// JSON that says where a saved value comes from: program, source and its hash, seed.
std::string provenance(const Evaluation& e, Span span);

}  // namespace hebb
