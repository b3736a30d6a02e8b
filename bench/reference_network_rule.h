#pragma once
// The arithmetic of a rule that is a network (stdlib/families/MLPRule.hebb: 50 and 4 hidden units) written by hand: what its synapses
// cost where everything they need lies side by side in the first cache and nothing else is done. Compiled with -O3 -march=native.

namespace hebb::bench {

struct NetworkRule {
  double at_pre = 0, at_post = 0;   // ns a synapse: of a row, where five inputs differ, and of a column, where two do
  double error = 0;                 // largest difference of a change from that in double precision by exp, relative to the largest change
};

/// The best of some rounds over 4096 synapses; single precision, one thread.
NetworkRule run_network_rule();

}  // namespace hebb::bench
