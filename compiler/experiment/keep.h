#pragma once
// From the names an experiment mentions ("Y.r", "w_mean") to what a simulation records.

#include "compiler/experiment/settings.h"
#include "runtime/simulation.h"

namespace hebb {

struct Kept {
  Recording recording;
  MaybeDimension dimension;
  std::string unit;                // that its numbers are in: "mV", "1/ms"
  /// The columns of an event: its name, "E.spike", gets ".times" and ".neurons".
  bool events() const { return recording.events; }
};

std::optional<std::vector<Kept>> recordings_to_keep(Evaluation& e, const ast::Run& run, const Network& network,
                                                    const Program& program, const RunOptions& options);

}  // namespace hebb
