#pragma once
// What a call of 'protocol' asks for: which events come when, what is held or given step by step, where states start, and
// how long it lasts, on a grid or from event to event.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/experiment/evaluate.h"
#include "compiler/experiment/synapse.h"

namespace hebb {

/// The drive of one feed: times of an event, a constant, or a number per step.
struct ProtocolDrive {
  ColumnId column;
  std::string name;
  bool event = false;
  std::vector<double> times_ms;
  std::vector<double> values;   // of a value: one, or one per step
};

struct ProtocolPlan {
  std::vector<ProtocolDrive> drives;
  std::vector<std::pair<ColumnId, std::vector<double>>> starts;   // initial values
  std::vector<double> unseen_ms;   // events the rule does not look at: they only make time pass
  bool grid = false;
  double dt_ms = 0;
  int64_t steps = 0;        // on the grid
  double until_ms = 0;
  double start_ms = 0;
  uint64_t seed = 0;
};

/// Reads the arguments after the rule. Nothing: a mistake, reported.
std::optional<ProtocolPlan> read_protocol(Evaluation& e, const Synapse& synapse, const ast::Call& call, Span span);

}  // namespace hebb
