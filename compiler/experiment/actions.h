#pragma once
// What an experiment does: print, plot, save, assert. A mistake is reported; the next action still runs.

#include <functional>

#include "compiler/experiment/evaluate.h"
#include "compiler/support/result.h"

namespace hebb {

void perform(Evaluation& e, const ast::Action& action);
/// Says on the notes how many actions were left out because a fit that they need failed.
void note_skipped(const Evaluation& e);

/// The actions of a block for every combination of its names; see docs/language.md.
void perform_rounds(Evaluation& e, const ast::For& block);

/// Writes a file of this name in the output folder and says so; reports what the world refuses.
void write_output(Evaluation& e, Span span, const std::string& name,
                  const std::function<Status(const std::string& path)>& write);

/// The name a saved or plotted value gets: "sim.W.w" for itself and for final(sim.W.w).
std::string value_name(const ast::Expr& expr);

void perform_plot(Evaluation& e, const ast::Plot& plot);

struct RunOptions;
/// JSON that says where a saved value comes from: command, program, source and its hash, seed, precision and
/// threads, those of a run where it is one run's.
std::string provenance(const Evaluation& e, Span span, const RunOptions* run = nullptr);

}  // namespace hebb
