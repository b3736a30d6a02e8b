#pragma once
// Chains of selections in a kernel over synapses: what happens again for every one of the last events that a synapse has
// not seen,
//   v15 = 15 < count ? f(v16, a[15]) : v16, …, v0 = 0 < count ? f(v1, a[0]) : v1,
// with one f and elements of arrays of the post neuron. Written out, every synapse would take all steps; in rounds, as many
// as one of a few synapses needs.

#include <map>
#include <vector>

#include "compiler/codegen/stages.h"

namespace hebb {

struct Rounds {
  uint32_t most = 0;                  // so many; 0: there is no such chain
  ExprId count;                       // of a synapse: a whole number
  ExprId start;                       // v16: before the first round
  ExprId before, next, result;        // of the last round: v1, f, v0
  std::vector<uint32_t> turning;      // loads of the last round: of element k instead in the round before k others
  std::vector<uint32_t> first;        // what `count` and `start` need of post neuron and synapse, operands first
  std::vector<uint32_t> each;         // what `next` needs of them but for `before`
};
Rounds rounds(const Program& program, const Kernel& kernel, const Stages& stages);

/// The stages of the kernel with the result of the rounds known.
Stages after_rounds(const Program& program, const Kernel& kernel, Stages stages, const Rounds& rounds);

}  // namespace hebb
