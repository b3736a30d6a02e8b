#pragma once
// Kernels of one step → fewer, cheaper kernels with the same results.

#include <map>
#include <set>
#include <span>

#include "compiler/program/program.h"

namespace hebb {

/// Without stores that nobody reads: values not in `visible`, states that keep their value.
std::vector<Kernel> without_dead(const Program& program, std::vector<Kernel> kernels,
                                 const std::set<uint32_t>& visible);

/// Kernels over the same rows become one where no other kernel between them stands in the way; what
/// one reads of another's results becomes part of its own expression. What makes a column of `apart` stays apart from
/// what reads it.
std::vector<Kernel> merged(Program& program, std::vector<Kernel> kernels, const std::set<uint32_t>& apart = {});

/// What spikes deliver, added up only to be added to a state: added to the state itself. Not for sums in
/// `visible`. Equal up to rounding.
std::vector<Kernel> summed_straight(Program& program, std::vector<Kernel> kernels,
                                    const std::set<uint32_t>& visible);

/// Columns that hold what was moved out of inner loops, by the space they live in and what they hold.
using Staged = std::map<std::pair<uint32_t, ExprId>, ColumnId>;
/// Staging by locus: polynomials in Horner form, and what depends on the post neuron only, on the pre
/// neuron only or on neither, is computed once per neuron or once, just before.
std::vector<Kernel> staged(Program& program, std::vector<Kernel> kernels, Staged& columns);

/// Fused multiply-adds, kernel by kernel.
std::vector<Kernel> with_fma(Program& program, std::vector<Kernel> kernels);

/// Of random numbers in `drawn`, those that a step uses only for neurons that spike are drawn for these alone: the
/// same bits.
std::vector<Kernel> seldom_drawn(Program& program, std::vector<Kernel> kernels,
                                 const std::set<uint32_t>& drawn);
/// How those are read nevertheless (Plan::seldom). Of a program whose steps are complete.
void let_seldom_be_read(Program& program, const std::set<uint32_t>& drawn);

/// Of populations of `many` neurons and more, what a state does at an event alone is computed for those neurons that
/// have it, just before.
std::vector<Kernel> jumps_at_spikes(Program& program, std::vector<Kernel> kernels, int64_t many);

/// Of such populations, states that only decay and have something added at spikes are kept relative to a scale that falls
/// instead (Plan::deferred). Of a program that is complete. Equal up to rounding.
void let_traces_wait(Program& program, int64_t many);
/// Of such a program: what a spike adds to a trace that synapses read of their presynaptic neuron is a kernel of its own, apart from
/// what it does to states that change in every step. Threads can then each do it for themselves (runtime/step_schedule.h). The same bits.
void let_traces_jump_alone(Program& program);

/// A uniform scale after a step in which what is kept relative to it falls by `factor`: never 0, or nothing could be
/// said relative to it where steps are much longer than the decay takes.
inline ExprId fallen_scale(ExprPool& pool, ColumnId scale, ExprId factor) {
  return pool.make(Op::Max, pool.mul(pool.load(scale, At::Uniform), factor), pool.constant(1e-30));
}

/// The kernel with other expressions, in the order of roots().
Kernel with_roots(Kernel kernel, std::span<const ExprId> values);

}  // namespace hebb
