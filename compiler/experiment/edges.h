#pragma once
// connect file("edges.csv"): which synapses there are, and what else the file says of them.

#include "compiler/experiment/settings.h"
#include "compiler/lower/lower.h"

namespace hebb {

/// A start value for each synapse: the column it is for, and the numbers in the order of the synapses.
struct EdgeValues {
  std::string column;       // "EE.w"
  std::vector<double> values;
  Span span;
};

/// Reads the files of a network's projections. Reports what is wrong with them.
std::optional<std::vector<EdgeValues>> read_edges(Evaluation& e, const Network& network, LowerOptions& options);

}  // namespace hebb
