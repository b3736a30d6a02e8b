#pragma once
// measure rate = mean_rate(sim.E.spike, from = 60 s): numbers that are computed while a run goes on.

#include "compiler/experiment/settings.h"
#include "runtime/measure/measure.h"

namespace hebb {

struct MeasureFunction {
  std::string_view name;
  MeasureKind kind;
  std::vector<std::string_view> parameters;   // after the recording
};
const MeasureFunction* find_measure(std::string_view name);
std::vector<std::string> measure_names();

/// A measure of a run, ready to be gathered.
struct PreparedMeasure {
  const ast::Call* call = nullptr;
  MeasureSpec spec;
  MaybeDimension dimension;
};

/// What the calls that mention this run ask for. Reports what does not fit the network.
std::optional<std::vector<PreparedMeasure>> prepare_measures(Evaluation& e, const ast::Run& run, const Network& network,
                                                             const Program& program, const RunOptions& options);

/// The value that the run left behind, one number or one for each lane.
std::optional<Value> evaluate_measure(Evaluation& e, const ast::Call& call, Span span);

}  // namespace hebb
