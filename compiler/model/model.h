#pragma once
// What a file means: names resolved, dimensions known, functions inlined, arrays unrolled into
// scalars, order of statements gone. Spike trains are split off: what multiplies one is a Jump, the
// rest of an ODE is a Flow. Experiments and tests stay syntax; compiler/experiment evaluates them.
// Values are in internal units (ms, mV, pA).

#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/ast/ast.h"
#include "compiler/expr/pool.h"
#include "compiler/support/source.h"
#include "compiler/units/dimension.h"

namespace hebb {

/// Extents of a small array; empty for a scalar. Row-major.
struct Shape {
  std::vector<int64_t> extents;
  int64_t size() const;
  bool scalar() const { return extents.empty(); }
  friend bool operator==(const Shape&, const Shape&) = default;
};

enum class VarKind {
  Param,       // constant during a run; set by an instance, an experiment, a fit
  Weight,      // the one efficacy of a rule
  State,       // has a flow, jumps, or both
  Signal,      // of a rule: bound in the network. Of a network: fed, drawn or defined
  Input,       // of a neuron: continuous port, re-summed at every step
  Receive,     // of a neuron: the sum of weighted spikes that arrive at this instant
  Let,         // a named value; `value` holds its elements
  Draw,        // a `let ~`: one draw per instant of its event (or per step); `value` holds its elements
  Reduce,      // of a rule: a sum over synapses; see Reduction
  PreValue,    // pre.NAME, seen by a rule; which neuron variable it is, a network says
  PostValue,   // post.NAME
  Population,  // POP.NAME[i] in a network's own expressions; see `population`, `member`
};

/// Where a variable lives; filled by locate.
enum class Locus { Shared, Pre, Post, Synapse };

struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false, high_open = false;
  bool bounded() const;
};

struct Variable {
  std::string name;
  VarKind kind = VarKind::State;
  Shape shape;
  std::optional<Dimension> dimension;  // none: generic, nothing in the declaration decides it
  Bounds bounds;
  ExprId low, high;             // bounds as expressions, when they mention parameters; else invalid
  std::vector<ExprId> init;     // one per element: Param, Weight, State. Empty: 0. May hold draws
  std::vector<ExprId> value;    // one per element: Let, Draw, defined or drawn Signal. Empty: fed
  bool drawn = false;           // declared with '~'
  Locus locus = Locus::Synapse;
  std::string owner;            // name of the rule or neuron type it was declared in
  Span span;                    // of its declaration (of its first use for PreValue, PostValue)
  int population = -1;          // Population: index into Network::populations
  std::string member;           // Population: the neuron's variable; PreValue, PostValue: same as name
};

enum class EventKind {
  PreEvent,   // pre.NAME  (usually spike), as it arrives at the synapse
  PostEvent,  // post.NAME
  OwnEvent,   // of a neuron: its own emitted event NAME
  Port,       // `event NAME;` of a rule, a neuron or a network
  Step,       // every step of the grid
  Every,      // a clock: period, 2*period, …
  Arrival,    // of a neuron: something arrives at a `receive` port; the amount is the port's value
};

struct Event {
  EventKind kind = EventKind::Step;
  std::string name;
  ExprId period;   // Every: ms; mentions parameters only
  VarId port;      // Arrival
  Span span;
};
struct EventId {
  uint32_t value = UINT32_MAX;
  friend bool operator==(EventId, EventId) = default;
};

/// variable' = rate, between instants.
struct Flow {
  VarId variable;
  uint32_t element = 0;
  ExprId rate;
  Span span;
};

/// At any of `events`: variable += value, or variable := value. All expressions read left limits.
struct Jump {
  std::vector<EventId> events;
  VarId variable;
  uint32_t element = 0;
  bool assign = false;
  ExprId value;
  Span span;
};

enum class ReduceFunction { Sum, Mean, Min, Max, Count, CumSum };
/// variable = function(argument) over the synapses of one pre neuron, one post neuron, or all.
/// CumSum per pre runs over posts in index order up to and including this synapse; per post over pres.
struct Reduction {
  VarId variable;
  ReduceFunction function;
  ast::Per per;
  ExprId argument;
  Span span;
};

/// after(x): the value just after this instant. `marker` is the Var node's variable that stands for it
/// in expressions (kind Let, name "after(x)"); lowering replaces it by the right limit of `of`.
struct After {
  VarId marker;
  VarId of;
  Span span;
};

enum class Solver { None /* only jumps */, Exact, ExponentialEuler, RungeKutta4 };
/// How a flowing variable gets from t to t + dt; filled by solve.
struct Solution {
  VarId variable;
  uint32_t element = 0;
  Solver solver = Solver::None;
  ExprId next;          // value at t + dt from values at t and pool.dt()
  std::string reason;   // one clause for `explain`: "linear with constant rate 1/tau_plus"
  /// Exact, yet only on the grid: a bound may be met and left again between events.
  bool needs_grid = false;
};

/// What rules and neurons have in common.
struct Dynamics {
  std::string name;
  std::string doc;
  Span span;
  std::vector<VarId> variables;      // in order of declaration; requirements (PreValue…) at first use
  std::vector<Event> events;         // EventId indexes this
  std::vector<Flow> flows;
  std::vector<Jump> jumps;
  std::vector<After> afters;
  std::vector<Solution> solutions;   // filled by solve: one per flow
};

enum class Contract { None, Local, ThreeFactor, Nonlocal };

struct RulePart { std::string rule; Span span; };  // for composed rules: where each part came from

struct Rule : Dynamics {
  Contract contract = Contract::None;
  VarId weight;                      // invalid: the rule has no weight (short-term plasticity may)
  std::vector<Reduction> reductions;
  std::vector<RulePart> parts;
};

struct Emission {
  std::string event;     // "spike"
  ExprId condition;      // tested after the flow; the event is stamped with the next grid time
  Span span;
};

struct Neuron : Dynamics {
  std::vector<Emission> emissions;   // their jumps are in `jumps` with an OwnEvent
  ExprId refractory;                 // ms; invalid: none
  std::vector<VarId> held;           // flows suspended for that long after any own event
};

// --- networks ----------------------------------------------------------------------------------------

/// A value given to a variable of an instance: parameter, input or signal of a neuron; parameter of a rule.
struct Assignment {
  VarId variable;
  std::vector<ExprId> value;   // one per element, or (populations) one per neuron when `per_neuron`
  bool drawn = false;          // drawn anew for each neuron (populations) or once (rules)
  bool per_neuron = false;
  Span span;
};

struct PopulationDef {
  std::string name;
  int64_t size = 0;
  std::vector<int64_t> grid;   // as declared: E[20, 30] has 600 neurons, number 30*i + j at (i, j)
  int neuron = -1;             // index into Model::neurons
  std::vector<Assignment> settings;
  Span span;
};

enum class ConnectKind { All, OneToOne, Random, FixedIndegree, FixedOutdegree, Distance, File };
struct DriveDef {
  VarId port;                  // Input or Receive of the post population's neuron
  ExprId value;                // in the rule's variables and network signals
  Span span;
};
struct BindDef {
  VarId target;                // Signal, PreValue or PostValue of the rule
  ExprId value;                // in network signals, Population references, PreValue/PostValue of other names
  Span span;
};
struct InitDef {
  VarId variable;
  std::vector<ExprId> value;
  bool drawn = false;
  std::string file_column;     // one number for each synapse, from the file of its connections; `value` is empty
  Span span;
};
/// delay axon ~ uniform(1 ms, 3 ms);  delay axon = file.delay;
struct SynapseDelayDef {
  ExprId drawn;                // in constants and draws; invalid: not drawn
  std::string file_column;     // one number for each synapse, from the file of its connections
  Span span;
  bool each() const { return drawn.valid() || !file_column.empty(); }
};
struct ProjectionDef {
  std::string name;
  int pre = -1, post = -1;     // indices into Network::populations
  Rule rule;                   // composed copy with its own variables; a static projection has a weight only
  bool plastic = false;
  bool frozen = false;         // the weight keeps its value; everything else of the rule goes on
  ConnectKind connect = ConnectKind::All;
  bool self = true;            // false: no synapse from a neuron to itself (pre == post)
  double p = 0;                // Random: of each pair
  int64_t degree = 0;          // FixedIndegree, FixedOutdegree
  double sigma = 0, within = std::numeric_limits<double>::infinity();  // Distance: in steps of the post grid
  bool wrap = false;           // Distance: the grid is a torus
  std::string file;            // File: its name, as written
  Span file_span;
  double axon_ms = 0;          // pre events are seen that much later
  double bap_ms = 0;           // post events are
  double dend_ms = 0;          // the drive reaches the soma
  SynapseDelayDef axon, bap, dend;  // the same where they differ between synapses
  std::vector<Assignment> settings;
  std::vector<InitDef> inits;
  std::vector<DriveDef> drives;
  std::vector<BindDef> binds;
  Span span;
};

/// A value to keep: POP.var, PROJ.var, a network signal, or a reduction of one of them.
struct RecordDef {
  std::string name;            // under which results find it: "w_mean", "Y.r"
  ast::ExprPtr what;
  ExprId every;                // ms; invalid: every step
  std::string on;              // an event, "E.spike": a sample whenever it happens; empty: every `every`
  int64_t bins = 0;            // histogram(what, bins, low, high); without low and high: the bounds of the variable
  std::optional<double> low, high;
  Span span;
};

/// A number that a run hands to the condition of an 'abort when'.
struct WatchedDef {
  enum class What { Rate, Mean, Sum, Min, Max } what = What::Rate;
  std::string column;          // "E.spike", "EE.w"
  double over_ms = 1000;       // Rate: time constant of the running mean over the population
  double start = 0;            // Rate: what it is at the beginning, 1/ms
  VarId stands_for;            // in the condition
  Span span;
};
/// abort when condition: the run stops.
struct AbortDef {
  ExprId condition;
  std::vector<WatchedDef> watched;
  std::string text;            // as written
  Span span;
};

struct Network {
  std::string name;
  std::string doc;
  Span span;
  std::vector<VarId> signals;            // Signal variables, in order
  std::vector<std::string> events;       // `event` ports; fed 0/1 per step under their name
  std::vector<PopulationDef> populations;
  std::vector<ProjectionDef> projections;
  std::vector<RecordDef> records;
  std::vector<AbortDef> aborts;
};

struct Model {
  ExprPool pool;
  std::vector<Variable> variables;       // VarId indexes this
  std::vector<Rule> rules;               // declared ones, imported ones included
  std::vector<Neuron> neurons;
  std::vector<Network> networks;
  std::map<std::string, double> constants;  // file constants that are scalars, in internal units
  std::set<std::string> set_outside;        // "Net.S.eta": parameters in networks that --set gives
  /// …and their dimensions. None: a literal 0 or inf, which fits any.
  std::map<std::string, std::optional<Dimension>> constant_dimensions;
  /// What imported files declare with `fun`, under the names the main file uses: for experiments.
  std::map<std::string, ast::FunctionDecl> functions;
  uint32_t draw_sites = 0;               // Draw leaves use sites [0, draw_sites)

  const Variable& operator[](VarId id) const { return variables[id.value]; }
  Variable& operator[](VarId id) { return variables[id.value]; }
  VarId add(Variable variable);
  const Rule* find_rule(std::string_view name) const;
  const Neuron* find_neuron(std::string_view name) const;
  const Network* find_network(std::string_view name) const;
};

/// The whole model as text, one variable, flow and jump a line, for `hebb build --emit=model`.
std::string print(const Model& model);

}  // namespace hebb
