#pragma once
// connect …; and delay …; of a projection: which synapses there are, and how late they see a spike.

#include "compiler/sema/frame.h"

namespace hebb::sema {

void read_connect(Frame& frame, const Network& network, const ast::Connect& connect, ProjectionDef& def);
void read_delay(Frame& frame, const ast::Delay& delay, ProjectionDef& def);

/// What only synapses of all pairs can do so far.
/// `pre` and `post`: neuron types of the two sides; null where they are wrong.
void check_sparse(Frame& frame, const ast::Projection& decl, const ProjectionDef& def);

}  // namespace hebb::sema
