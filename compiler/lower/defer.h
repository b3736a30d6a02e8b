#pragma once
// Synapses of sparse projections that are looked at only now and then. Between two looks a synapse has carriers, which
// fall by one factor in each step: products of traces of its pre neuron, states of its own that only decay.
// What post spikes, other events and the flow add to the weight meanwhile is a sum of
//   carrier * amount,
// where the amount is a number of the post neuron, or of none. With scale, which falls from 1 as the carrier does,
// and sum, to which each of them adds scale * amount, all changes since the sum was `seen` are
//   carrier / scale * (sum - seen).
// Between two spikes of its pre neuron, carrier / scale is the same number. So what is stored of the weight can be what is
// left of it without all that the sums have ever brought, weight - carrier / scale * sum (`relative`); nothing is then kept of
// what was seen. A weight at a bound is stored a few roundings beyond it, so that it is at the bound whenever it is read.
// As long as they have one sign, bounds met at each of them and bounds met once at the end give the same weight.
// Where the sign of the amounts may change, `ups` and `downs` say which signs a target has had since its synapses
// were last looked at, and before an amount of the other sign comes, they are.
// Where post spikes add terms of either sign, or of a sign that differs from spike to spike, bounds met at each change
// and bounds met once may differ. How far what went up and what went down since then can have moved the weight says
// whether they can: where none of the two takes it past a bound, or where one of them is smaller than what each post
// spike adds the other way, they do not. At any other synapse its changes are done again one after another, from what the
// last post spikes of its target added (`past`). When a target has had as many of those as are kept, all that waits is
// settled.
// What a post spike adds may also depend on the weight, or on the carriers in any continuous way (`repeated`). Then
// no sum stands for it: all that the last post spikes of a target read beside the synapse's own is kept, and each synapse
// does again, one after another, those that it has not seen.

#include <array>
#include <string>
#include <vector>

#include "compiler/lower/draft.h"
#include "compiler/lower/step.h"

namespace hebb {

struct Deferral {
  std::string obstacle;         // not empty: the projection stays with looks at all changes
  std::string post_obstacle;    // not empty: each post spike looks at its synapses, because
  std::string others_obstacle;  // not empty: so do clocks and fed events at all synapses, because
  VarId weight;
  ColumnId weight_column;
  ColumnId pre_spikes;          // look at rows; invalid: nothing does
  ColumnId post_spikes;         // look at columns where post_obstacle says so
  bool with_post_spikes = false;  // what is added at instants is added at post spikes only

  struct Scale {
    ExprId decay;               // in one step
    ColumnId column;            // invalid: always 1
    ColumnId past = {};         // Repeated: what it was at the last spikes of the post neuron
  };
  struct Kept {                 // a state of the synapse, stored as value / scale
    VarId id;
    ColumnId column;
    size_t scale = 0;
  };
  struct Product {
    ExprId carrier;             // of a synapse: product of traces of the pre neuron, or 1
    int kept = -1;              // or this state of its own
    size_t scale = 0;
    ExprId at_instants, at_flow;  // amounts of a synapse; invalid: none
    bool uniform = true;        // they read no neuron
    bool one_amount = false;    // at instants it is one number for all neurons that spike
    bool summed = false;        // Replayed: the sum is of scale * amount; else of scales, and what it gives times the amount
    bool either_sign = false;   // Replayed: its amounts may be of either sign
    ColumnId sum;
    ColumnId seen;              // of the synapse; relative: there is none
    ColumnId ratio, next_ratio; // relative: carrier / scale of the pre neuron, and after its spike; invalid: 1
    ColumnId next;              // the sum after this instant; of one amount, or Replayed: what it is increased by; invalid: 1
    ColumnId past;              // Replayed: what it was increased by at the last spikes of the post neuron; invalid: 1
    ColumnId reach;             // of either sign: the sum of the sizes of what it was increased by since all were up to date
  };
  /// The one that falls by `decay`.
  size_t scale_of(ExprId decay);

  std::vector<Scale> scales;
  std::vector<Kept> kept;
  std::vector<Product> products;

  enum class Signs {
    Fixed,                      // there are no bounds, or all amounts have one sign
    Steady,                     // they have, with the parameters as they are; others would cost a sweep
    Changing,
    Replayed,                   // they differ in sign, from term to term or from spike to spike
  };
  static constexpr uint32_t kMostPast = 8, kMostRepeated = 16;
  Signs signs = Signs::Fixed;
  bool relative = false;        // the weight is stored without what the sums have brought
  bool by_neuron = false;       // some amount reads the post neuron, or comes with its spikes
  bool of_parameters = false;   // amounts read parameters only: their signs are those of nobody
  size_t counter = 0;           // Replayed: the product whose sum counts spikes
  size_t level = 0;             // Replayed: the product whose carrier is 1, which each spike adds for certain; their number: there is none
  ColumnId most, least;         // Replayed: the largest and smallest that `level` was increased by since all were up to date
  std::vector<ExprId> traces;   // several carriers: that these are not negative is counted on
  ColumnId ups, downs, turned;  // of post neurons, or of none: what they had; they turn in this instant or flow
  ColumnId rounding;            // relative, bounded: the distance from 1 to the next number
  ColumnId below;               // uniform: some of the traces are negative after all

  struct Faded {                // a trace of the pre neuron
    ExprId trace;
    size_t scale = 0;
  };
  struct Remembered {           // an expression of the post neuron, or of nobody
    ExprId value;
    ColumnId past;              // what it was at the last spikes of the post neuron
  };
  ExprId repeated;              // Replayed: what a post spike adds, in any way; invalid: `products` say it
  std::string repeated_because;
  std::vector<Faded> faded;     // what `repeated` reads beside the weight and parameters
  std::vector<Remembered> remembered;

  bool waits_for_flow() const;
  bool waits_at_instants() const;
  /// Whether signs are remembered for each post neuron.
  bool signs_by_neuron() const { return by_neuron && !of_parameters; }
  bool replayed() const { return signs == Signs::Replayed; }
  /// Replayed: so many spikes of a post neuron are kept.
  uint32_t most_past() const { return repeated.valid() ? kMostRepeated : kMostPast; }
  /// Whether `ups` and `downs` are kept.
  bool remembers_signs() const { return signs != Signs::Fixed && !replayed(); }
};

/// How a sparse projection can be looked at less; without columns.
Deferral deferral(Draft& draft, const Instance& projection);
/// The same of a rule on its own, with these values of parameters.
Deferral sparse_deferral(const Model& model, const Rule& rule, const std::map<std::string, double>& given = {});

/// Whether weights can be stored without what the sums have brought.
bool can_be_relative(const ExprPool& pool, const Deferral& how);

/// Decides for every sparse projection, and adds the columns of those that can.
void defer_changes(Draft& draft);

/// What of the post neurons, or of nobody, is yet to be added to weights.
std::vector<ColumnId> waiting_columns(const Deferral& how);
/// What is stored, one after the other, to know the distance from 1 to the next number of the precision.
std::array<ExprId, 2> rounding_values(ExprPool& pool, ColumnId rounding);

/// What has to run in a step, in the order of the step: sums after the instant; before anything reads the
/// weight; with the jumps; with the flows, before and after those of the traces.
std::vector<Definition> deferred_sums(Draft& draft);
std::vector<Kernel> catch_up_kernels(Draft& draft, const Instance& projection);
std::vector<Kernel> deferred_jumps(Draft& draft, const Instance& projection, const Kernel& jumps);
std::vector<Kernel> deferred_flows(Draft& draft, const Instance& projection);
std::vector<Kernel> scale_kernels(Draft& draft, const Instance& projection);

/// Adds the kernels that bring all synapses up to date, and the start.
void add_settling(Draft& draft);

}  // namespace hebb
