#pragma once
// Model → Program. Gives every variable of a network a column, turns flows and jumps into kernels in
// the order of one grid step, stages them by locus (what depends on the post neuron only is computed
// once per post neuron, …), puts polynomials in Horner form and forms fused multiply-adds.
//
// One step, at t_n: fed signals and draws → inputs summed, stateless values in projection order →
// the instant (all jumps, from left limits, then bounds) → flow to t_{n+1} (then bounds) → thresholds,
// whose events belong to t_{n+1} → what was recorded is read by the host.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/model/model.h"
#include "compiler/program/program.h"
#include "compiler/support/diagnostic.h"

namespace hebb {

struct LowerOptions {
  bool stage = true;   // off: one kernel does everything per row; same results up to rounding
  /// Post spikes wait for the next pre spike where that is exact; same results up to rounding. For hosts that
  /// run Plan::deferred, as Simulation does without a device.
  bool defer = false;
  /// Of populations from this size on traces wait too: with fewer neurons, what is launched at spikes costs more than
  /// to compute all of them.
  int64_t many_neurons = 1024;
  bool fuse = true;    // update of step t and weighted sum of step t+1 in one pass where allowed
  /// Signals, inputs and drawn lets the host will feed although the network defines them: "choice",
  /// "Task.accept". They become feeds of that name.
  std::vector<std::string> fed;
  /// Parameters that the host will set, "EE.beta", and to what; NaN: it depends. Only what is worth its cost hangs on
  /// them, no result.
  std::map<std::string, double> given;
  /// Parameters of neurons, "E.tau", of which the host will give each neuron its own.
  std::set<std::string> by_neuron;
  /// Reductions and lets of rules, and receive ports, that the host will read: "EE.s". Recorded ones are
  /// kept anyway.
  std::vector<std::string> keep;
  /// Of projections that are connected from a file: sorted, each pair once. None given: no synapses.
  std::map<std::string, std::shared_ptr<const std::vector<Edge>>> edges;
  /// "EE.axon": delays of their synapses, ms, in that order.
  std::map<std::string, std::shared_ptr<const std::vector<double>>> delays;
  /// Projections of all pairs whose synapses are looked at at events only are kept as lists of synapses from so many pairs on, to be
  /// looked at row by row; same results up to rounding. 0: never.
  int64_t lists_from = 0;
  double dt_ms = 0;    // of the run: delays that differ between synapses are whole steps of it
};

/// Columns are named POP.var, PROJ.var, and by the signal's own name.
Program lower(const Model& model, const Network& network, const LowerOptions& options);

/// One synapse with clamped neurons, for `protocol`: columns pre.NAME and post.NAME are fed for every
/// requirement of the rule (spikes as events), rule variables are named plainly ("w", "x").
Program lower_synapse(const Model& model, const Rule& rule, const LowerOptions& options);

/// A rule between all pairs of two clamped populations, for hosts with a clock of their own. Kernels take
/// their ranges from the launch: the sizes of the program's spaces mean nothing. Lists are in order.
struct Block {
  Program program;                 // its plan: `init`, and `step` and `quiet` as one grid step
  std::vector<KernelId> init;
  std::vector<KernelId> instant;   // all jumps of one moment except those `on step`
  std::vector<KernelId> step;      // a step of the grid: instant (`on step` too), then flow
  std::vector<KernelId> quiet;     // the same when no spike, port event or clock happens
  std::vector<KernelId> bounds;    // brings what the host wrote back within bounds
  bool uses_steps = false;         // the rule says `on step`
  size_t named_columns = 0;        // those after them hold what was moved out of inner loops
  ColumnId pre_count, post_count;  // valid: the host sets them to the sizes
};
Block lower_block(const Model& model, const Rule& rule);

/// The rule on synapses of some of the pairs, as a step of a network with spikes takes it: post spikes and
/// flows wait where that is exact. Sizes mean nothing; `given` are values of parameters. For `hebb explain`.
Program lower_sparse(const Model& model, const Rule& rule, const std::map<std::string, double>& given = {});

/// Stateless values that depend on each other in a circle within one step, by column name; empty: none.
std::vector<std::string> stateless_cycle(const Model& model, const Network& network);

/// One error for each network that has such a circle. It is the last thing that can be wrong with a model:
/// ask before lowering.
void report_cycles(const Model& model, Diagnostics& diags);

}  // namespace hebb
