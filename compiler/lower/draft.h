#pragma once
// What the pieces of the lowering share: the program so far, and for each population and projection
// the columns of its variables. `draft` fills it once; the other pieces read it and make kernels.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "compiler/lower/lower.h"

namespace hebb {

struct Deferral;

/// One population or one projection: a neuron type or a rule with columns of its own.
struct Instance {
  std::string name;                      // "E", "EE"; the rule's own name for a single synapse
  std::string prefix;                    // of its columns: "EE."; empty for a single synapse
  const Dynamics* dynamics = nullptr;    // null: a clamped neuron, everything about it is fed
  SpaceId space;                         // neurons, or dense
  std::map<VarId, ColumnId> columns;
  std::map<uint32_t, ColumnId> clocks;   // EventId of an Every event → its indicator
  std::map<VarId, VarId> afters;         // marker → the variable whose right limit it stands for
  std::map<uint32_t, uint32_t> sites;    // draw site of the model → of the program

  // populations
  const PopulationDef* population = nullptr;
  const Neuron* neuron = nullptr;
  std::map<std::string, ColumnId> events;       // event name → indicator acted on in this step
  std::map<std::string, ColumnId> next_events;  // → indicator of the coming step, set by a threshold
  std::map<std::string, ColumnId> members;      // clamped neurons: fed value by name
  ColumnId refractory_left;                     // ms; invalid: none
  ColumnId index;                               // row number; invalid: nobody needs it
  std::set<VarId> moving;                       // states, and lets that mention one

  // projections
  const ProjectionDef* projection = nullptr;    // null: a single synapse
  const Rule* rule = nullptr;
  int pre = -1, post = -1;                      // indices into Draft::populations
  std::map<std::string, ColumnId> arrivals;     // pre events that come late, by name
  std::map<std::string, ColumnId> returns;      // post events that come late, by name
  std::vector<std::pair<ColumnId, double>> delays;  // parameters and what they are, ms
  ColumnId dendrite;                            // delay of the drive; invalid: none
  int bucketed = -1;                            // index into Plan::bucketed; -1: no delays of single synapses
  std::map<VarId, const Reduction*> reductions;
  std::map<VarId, ColumnId> let_columns;        // lets the host may read
  std::shared_ptr<const Deferral> deferral;     // of post spikes; null: they look at their synapses
};

struct Draft {
  const Model* model = nullptr;
  const Network* network = nullptr;             // null: a single synapse
  Program program;
  SpaceId uniform;
  ColumnId dt;
  std::map<VarId, ColumnId> signals;            // of the network
  std::map<std::string, ColumnId> ports;        // `event` ports of the network → indicator
  Instance outside;                             // for the signals' own expressions
  std::vector<Instance> populations, projections;
  std::set<uint32_t> passing;                   // indicators of clocks and fed events
  bool quiet = false;                           // those are 0 in the step that is being made
  bool on_grid = true;                          // `on step` happens in what is being made
  ColumnId pre_count, post_count;               // a block: how many neurons there are, when a rule asks
  std::set<uint32_t> visible;                   // Value columns that the host may read
  std::set<uint32_t> drawn;                     // those of neurons that it has not asked for: random numbers
  std::map<std::string, double> given;          // parameters that the host will set; see LowerOptions

  /// A state of a neuron that is seen late, as each step begins or, for what flows, as its instant leaves it.
  struct Held {
    ColumnId state, as;
    bool after = false;
  };
  std::vector<Held> held;
};

/// Spaces, columns, feeds and clocks of a network; of one synapse between two clamped neurons.
Draft draft(const Model& model, const Network& network, const LowerOptions& options);
Draft draft_synapse(const Model& model, const Rule& rule);
/// As draft_synapse, for populations whose sizes only a run knows, with nothing but states to be read.
Draft draft_block(const Model& model, const Rule& rule);

/// The assignment a population or projection makes to a variable; null: none.
const Assignment* find_setting(const std::vector<Assignment>& settings, VarId variable);

/// Does the projection start this variable from one value for each of its synapses?
bool given_by_synapse(const Model& model, const Instance& projection, VarId variable);

/// Are its synapses some of the pairs only?
bool is_sparse(const Draft& draft, const Instance& projection);

/// The indicator of an event of the pre neurons, as it arrives at the synapses.
ColumnId arriving(const Draft& draft, const Instance& projection, const std::string& event);
/// The same of the post neurons.
ColumnId returning(const Draft& draft, const Instance& projection, const std::string& event);
/// The event that makes a synapse act on a `receive` port.
ColumnId driving(const Draft& draft, const Instance& projection);

/// "r" of a requirement pre.r.
std::string member_of(const Variable& requirement);

/// The fed signal whose row i this assignment gives to neuron i; invalid: it is something else.
ColumnId whole_signal(const Draft& draft, const Instance& population, const Assignment& setting);

/// Does some projection drive `port` of this population?
bool driven(const Draft& draft, const Instance& population, VarId port);

/// Does this emission's condition mention no state? Then the event belongs to this very instant.
bool instantaneous(const Draft& draft, const Instance& population, const Emission& emission);

}  // namespace hebb
