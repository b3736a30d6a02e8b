#pragma once
// Changes of a weight at post spikes that wait until the synapse is looked at. Between two pre spikes of a
// synapse each post spike changes the weight by
//   trace * amount,
// where the trace belongs to the pre neuron and only decays meanwhile, and the amount is a number of the
// post neuron at its spike. With scale, which falls from 1 as the trace does, and sum, to which each post
// spike adds scale * amount, all changes since the sum was `seen` are
//   trace / scale * (sum - seen).
// They have one sign, so bounds met at each of them and bounds met once at the end give the same weight.

#include <string>
#include <vector>

#include "compiler/lower/draft.h"

namespace hebb {

struct Deferral {
  std::string obstacle;   // not empty: why every post spike has to look at its synapses
  VarId weight;
  ColumnId pre_spikes, post_spikes;
  ExprId trace;           // of a synapse: product of traces of the pre neuron
  ExprId amount;          // of a synapse: reads the post neuron
  ExprId decay;           // factor of the trace in one step
  ColumnId scale, sum, seen;
};

/// Whether the post spikes of a sparse projection can wait; without columns.
Deferral deferral(Draft& draft, const Instance& projection);

/// Decides for every sparse projection, and adds the columns of those that can.
void defer_post_spikes(Draft& draft);

/// What has to run in a step, in the order of the step: before anything reads the weight, with the jumps,
/// with the flows.
Kernel catch_up_kernel(Draft& draft, const Instance& projection);
std::vector<Kernel> deferred_jumps(Draft& draft, const Instance& projection, Kernel jumps);
Kernel scale_kernel(Draft& draft, const Instance& projection);

/// Adds the kernels that bring all weights up to date, and the start.
void add_settling(Draft& draft);

}  // namespace hebb
