// Variables → columns.

#include "compiler/lower/draft.h"

#include <algorithm>
#include <limits>

#include "compiler/expr/transform.h"
#include "compiler/lower/draft_parts.h"
#include "compiler/lower/reader.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

std::string unit_of(const Variable& variable) {
  return variable.dimension ? unit_text(*variable.dimension) : std::string();
}

class Drafter {
 public:
  Drafter(const Model& model, const Network* network, const LowerOptions& options)
      : options_(options) {
    draft_.model = &model;
    draft_.network = network;
    draft_.uniform = draft_.program.add(Space{.kind = SpaceKind::Uniform, .name = "uniform"});
    draft_.dt = draft_.program.add(
        Column{.name = "dt", .space = draft_.uniform, .role = Role::Param, .unit = "ms"});
    draft_.program.dt = draft_.dt;
  }

  Draft network() {
    draft_.program.name = draft_.network->name;
    for (const PopulationDef& population : draft_.network->populations) add_population(population);
    for (const std::string& event : draft_.network->events)
      draft_.ports[event] = add_event(event, draft_.uniform, false);
    for (const VarId id : draft_.network->signals) add_signal(id);
    for (Instance& population : draft_.populations) add_columns(population);
    for (const ProjectionDef& projection : draft_.network->projections) add_projection(projection);
    for (Instance& population : draft_.populations) feed_what_nothing_drives(population);
    keep_recorded(draft_, options_);
    number_draws(draft_);
    say_delays(draft_, options_);
    return std::move(draft_);
  }

  Draft synapse(const Rule& rule) {
    add_clamped("pre", 1);
    add_clamped("post", 1);
    add_only_rule(rule);
    Instance& synapse = draft_.projections.back();
    for (const VarId id : rule.variables) add_let(synapse, id);
    for (uint32_t i = 0; i < draft_.program.columns.size(); ++i) draft_.visible.insert(i);
    number_draws(draft_);
    return std::move(draft_);
  }

  /// The sizes only tell the two sides apart.
  Draft block(const Rule& rule) {
    add_clamped("pre", 2);
    add_clamped("post", 3);
    for (const Reduction& reduction : rule.reductions) {
      if (reduction.function != ReduceFunction::Mean && reduction.function != ReduceFunction::Count) continue;
      draft_.pre_count = draft_.program.find_or_add(
          Column{.name = "pre.count", .space = draft_.uniform, .role = Role::Param, .unit = "1"});
      draft_.post_count = draft_.program.find_or_add(
          Column{.name = "post.count", .space = draft_.uniform, .role = Role::Param, .unit = "1"});
    }
    add_only_rule(rule);
    for (uint32_t i = 0; i < draft_.program.columns.size(); ++i)
      if (draft_.program.columns[i].role == Role::Indicator) draft_.passing.insert(i);
    number_draws(draft_);
    return std::move(draft_);
  }

 private:
  void add_clamped(const char* side, int64_t size) {
    Instance clamped{.name = side, .prefix = cat(side, ".")};
    clamped.space = draft_.program.add(Space{.kind = SpaceKind::Neurons, .name = side, .size = size});
    draft_.populations.push_back(std::move(clamped));
  }

  void add_only_rule(const Rule& rule) {
    draft_.program.name = rule.name;
    Instance instance{.name = rule.name, .dynamics = &rule, .rule = &rule, .pre = 0, .post = 1};
    clamp(rule);
    add_rule(std::move(instance), "synapse");
  }

  const Model& model() const { return *draft_.model; }

  bool fed(const std::string& name) const {
    return std::find(options_.fed.begin(), options_.fed.end(), name) != options_.fed.end();
  }

  ColumnId add(std::string name, SpaceId space, Role role, const Variable* variable = nullptr) {
    return add_column(draft_, std::move(name), space, role, variable);
  }

  ColumnId add_feed(std::string name, SpaceId space, const Variable* variable = nullptr) {
    const ColumnId column = add(name, space, Role::Fed, variable);
    draft_.program.plan.feeds.push_back({.name = std::move(name), .column = column});
    return column;
  }

  ColumnId add_event(std::string name, SpaceId space, bool always) {
    const ColumnId column = add(name, space, Role::Indicator);
    draft_.program.plan.feeds.push_back(
        {.name = std::move(name), .column = column, .event = true, .always = always});
    if (!always) draft_.passing.insert(column.value);
    return column;
  }

  // --- signals ---------------------------------------------------------------------------------

  void add_signal(VarId id) {
    const Variable& variable = model()[id];
    if (!variable.value.empty() && !fed(variable.name)) {
      draft_.signals[id] = add(variable.name, draft_.uniform, Role::Value, &variable);
      draft_.visible.insert(draft_.signals[id].value);
      return;
    }
    if (variable.shape.scalar()) {
      draft_.signals[id] = add_feed(variable.name, draft_.uniform, &variable);
      return;
    }
    const SpaceId space = draft_.program.add(
        Space{.kind = SpaceKind::Neurons, .name = variable.name, .size = variable.shape.size()});
    const ColumnId column = add_feed(variable.name, space);
    draft_.program.columns[column.value].unit = unit_of(variable);
    draft_.signals[id] = column;
  }

  // --- populations -----------------------------------------------------------------------------

  void add_population(const PopulationDef& population) {
    Instance instance{.name = population.name, .prefix = population.name + "."};
    instance.population = &population;
    instance.neuron = &model().neurons[population.neuron];
    instance.dynamics = instance.neuron;
    instance.space = draft_.program.add(
        Space{.kind = SpaceKind::Neurons, .name = population.name, .size = population.size});
    draft_.populations.push_back(std::move(instance));
  }

  void add_columns(Instance& instance) {
    for (const VarId id : instance.neuron->variables) add_neuron_variable(instance, id);
    for (const After& after : instance.neuron->afters) instance.afters[after.marker] = after.of;
    add_clocks(instance);
    find_moving(instance);
    for (const Emission& emission : instance.neuron->emissions) add_emission(instance, emission);
    for (const Event& event : instance.neuron->events)
      if (event.kind == EventKind::Port) add_port(instance, event.name, instance.space);
    if (instance.neuron->refractory.valid())
      instance.refractory_left =
          add(instance.prefix + "refractory_left", instance.space, Role::State);
    bool indexed = false;
    for (const Assignment& setting : instance.population->settings)
      indexed |= setting.per_neuron && !whole_signal(draft_, instance, setting).valid();
    if (indexed) add_index(instance);
  }

  void add_neuron_variable(Instance& instance, VarId id) {
    const Variable& variable = model()[id];
    const std::string name = instance.prefix + variable.name;
    switch (variable.kind) {
      case VarKind::Param:
        instance.columns[id] = add(name, param_space(instance, id), Role::Param, &variable);
        break;
      case VarKind::State:
      case VarKind::Weight:
        instance.columns[id] = add(name, instance.space, Role::State, &variable);
        break;
      case VarKind::Signal:
      case VarKind::Draw:
        add_value(instance, id, variable.value.empty() &&
                                    !find_setting(instance.population->settings, id));
        break;
      case VarKind::Let:
        if (!is_marker(*instance.neuron, id)) add_value(instance, id, false);
        break;
      case VarKind::Input: break;  // fed or driven: known when all projections are
      case VarKind::Receive:
        add_value(instance, id, false);
        draft_.visible.erase(instance.columns[id].value);  // until somebody asks
        break;
      case VarKind::Reduce:
      case VarKind::PreValue:
      case VarKind::PostValue:
      case VarKind::Population: break;
    }
  }

  static bool is_marker(const Dynamics& dynamics, VarId id) {
    for (const After& after : dynamics.afters)
      if (after.marker == id) return true;
    return false;
  }

  void add_value(Instance& instance, VarId id, bool nothing_defines_it) {
    const Variable& variable = model()[id];
    const std::string name = instance.prefix + variable.name;
    if (nothing_defines_it || fed(name)) {
      instance.columns[id] = add_feed(name, instance.space, &variable);
      return;
    }
    instance.columns[id] = add(name, instance.space, Role::Value, &variable);
    draft_.visible.insert(instance.columns[id].value);
  }

  void feed_what_nothing_drives(Instance& instance) {
    for (const VarId id : instance.neuron->variables) {
      if (model()[id].kind != VarKind::Input) continue;
      const bool set = find_setting(instance.population->settings, id);
      add_value(instance, id, !set && !driven(draft_, instance, id));
    }
  }

  /// One number for all neurons, unless it is drawn, given per neuron, or made of such.
  SpaceId param_space(const Instance& instance, VarId id) const {
    const Assignment* setting = find_setting(instance.population->settings, id);
    const Variable& variable = model()[id];
    if (options_.by_neuron.contains(instance.prefix + variable.name)) return instance.space;
    if (setting ? setting->per_neuron || setting->drawn : variable.drawn) return instance.space;
    const std::vector<ExprId>& value = setting ? setting->value : variable.init;
    for (const ExprId node_id : nodes_below(model().pool, value)) {
      const ExprNode node = model().pool[node_id];
      if (node.op == Op::Draw) return instance.space;
      if (node.op != Op::Var) continue;
      const auto column = instance.columns.find(VarId{node.leaf.index});
      if (column != instance.columns.end() && draft_.program[column->second].space == instance.space)
        return instance.space;
    }
    return draft_.uniform;
  }

  /// Lets that mention a state, or such a let: what a flow moves.
  void find_moving(Instance& instance) {
    for (const VarId id : instance.neuron->variables) {
      const Variable& variable = model()[id];
      if (variable.kind == VarKind::State) instance.moving.insert(id);
    }
    for (size_t before = SIZE_MAX; before != instance.moving.size();) {
      before = instance.moving.size();
      for (const VarId id : instance.neuron->variables)
        if (model()[id].kind == VarKind::Let && mentions(model()[id].value, instance.moving))
          instance.moving.insert(id);
    }
  }

  bool mentions(const std::vector<ExprId>& roots, const std::set<VarId>& variables) const {
    for (const ExprId id : nodes_below(model().pool, roots)) {
      const ExprNode node = model().pool[id];
      if (node.op == Op::Var && variables.contains(VarId{node.leaf.index})) return true;
    }
    return false;
  }

  void add_emission(Instance& instance, const Emission& emission) {
    const std::string name = instance.prefix + emission.event;
    if (!instance.events.contains(emission.event)) {
      const ColumnId column = add(name, instance.space, Role::Value);
      draft_.visible.insert(column.value);
      instance.events[emission.event] = column;
    }
    if (instantaneous(draft_, instance, emission)) return;
    if (!instance.next_events.contains(emission.event))
      instance.next_events[emission.event] = add(name + "_next", instance.space, Role::State);
  }

  /// An `event` port of a neuron or rule: the network's event of that name, else fed by itself.
  void add_port(Instance& instance, const std::string& event, SpaceId space) {
    if (instance.events.contains(event)) return;
    if (const ColumnId emitted = emitted_by_one(event); emitted.valid()) {
      instance.events[event] = emitted;
      return;
    }
    const auto port = draft_.ports.find(event);
    instance.events[event] =
        port != draft_.ports.end()
            ? port->second
            : add_event(instance.prefix + event, space, /*always=*/space != draft_.uniform);
  }

  /// "T.trial_end": the event of the one neuron of T; invalid: the name means none.
  ColumnId emitted_by_one(const std::string& event) const {
    for (const Instance& population : draft_.populations) {
      if (!event.starts_with(population.prefix) || population.prefix.empty()) continue;
      const auto found = population.events.find(event.substr(population.prefix.size()));
      if (found != population.events.end()) return found->second;
    }
    return {};
  }

  void add_clocks(Instance& instance) {
    for (uint32_t i = 0; i < instance.dynamics->events.size(); ++i) {
      if (instance.dynamics->events[i].kind != EventKind::Every) continue;
      const std::string name = cat(instance.prefix, "every", instance.clocks.size());
      const ColumnId period = add(name + "_period", draft_.uniform, Role::Param);
      draft_.program.columns[period.value].unit = "ms";
      const ColumnId indicator = add(name, draft_.uniform, Role::Indicator);
      draft_.program.plan.clocks.push_back({.indicator = indicator,
                                           .period = period,
                                           .written = cat("every ", instance.dynamics->events[i].name)});
      draft_.passing.insert(indicator.value);
      instance.clocks[i] = indicator;
    }
  }

  void add_index(Instance& population) {
    if (!population.index.valid())
      population.index = add(population.prefix + "index", population.space, Role::Param);
  }

  // --- projections -----------------------------------------------------------------------------

  void add_projection(const ProjectionDef& projection) {
    Instance instance{.name = projection.name, .prefix = projection.name + "."};
    instance.projection = &projection;
    instance.rule = &projection.rule;
    instance.dynamics = instance.rule;
    instance.pre = projection.pre;
    instance.post = projection.post;
    const bool all = projection.connect == ConnectKind::All;
    bool indexed = all && !projection.self && projection.pre == projection.post;
    for (const InitDef& init : projection.inits)
      indexed |= given_by_synapse(model(), instance, init.variable);
    if (indexed) add_index(draft_.populations[projection.pre]);
    if (indexed) add_index(draft_.populations[projection.post]);
    add_rule(std::move(instance), projection.name);
  }

  void add_rule(Instance instance, const std::string& space_name) {
    const bool sparse = instance.projection && (instance.projection->connect != ConnectKind::All || listed(draft_, options_, instance));
    instance.space = draft_.program.add(Space{.kind = sparse ? SpaceKind::Sparse : SpaceKind::Dense,
                                              .name = space_name,
                                              .pre = draft_.populations[instance.pre].space,
                                              .post = draft_.populations[instance.post].space,
                                              .connect = sparse ? connect_of(draft_, options_, instance) : Connect{}});
    if (instance.projection) add_delays(draft_, instance);
    for (const Reduction& reduction : instance.rule->reductions)
      instance.reductions[reduction.variable] = &reduction;
    for (const After& after : instance.rule->afters) instance.afters[after.marker] = after.of;
    for (const VarId id : instance.rule->variables) add_rule_variable(instance, id);
    add_clocks(instance);
    for (const Event& event : instance.rule->events)
      if (event.kind == EventKind::Port) add_port(instance, event.name, draft_.uniform);
    draft_.projections.push_back(std::move(instance));
  }

  /// One number for all synapses of a projection without a rule, unless each draws its own.
  bool one_weight(const Instance& instance, VarId id) const {
    if (!instance.projection || instance.projection->plastic || instance.projection->connect == ConnectKind::All) return false;
    for (const InitDef& init : instance.projection->inits)
      if (init.variable == id && (init.drawn || init.value.size() != 1)) return false;
    return true;
  }

  void add_rule_variable(Instance& instance, VarId id) {
    const Variable& variable = model()[id];
    const std::string name = instance.prefix + variable.name;
    const SpaceId space = space_of(draft_, instance, frame_of(variable.locus));
    switch (variable.kind) {
      case VarKind::Param:
        instance.columns[id] = add(name, draft_.uniform, Role::Param, &variable);
        break;
      case VarKind::Weight:
        instance.columns[id] =
            add(name, one_weight(instance, id) ? draft_.uniform : instance.space, Role::State, &variable);
        break;
      case VarKind::State: instance.columns[id] = add(name, space, Role::State, &variable); break;
      case VarKind::Signal:
        if (!bound(instance, id) && variable.value.empty())
          instance.columns[id] = add_feed(name, draft_.uniform, &variable);
        break;
      case VarKind::Draw:  // per synapse: written out where it is read
        if (variable.locus != Locus::Synapse)
          instance.columns[id] = add(name, space, Role::Value, &variable);
        break;
      case VarKind::Reduce: add_reduction(instance, id); break;
      case VarKind::Let:
      case VarKind::Input:
      case VarKind::Receive:
      case VarKind::PreValue:
      case VarKind::PostValue:
      case VarKind::Population: break;
    }
  }

  static bool bound(const Instance& instance, VarId id) {
    if (!instance.projection) return false;
    for (const BindDef& bind : instance.projection->binds)
      if (bind.target == id) return true;
    return false;
  }

  void add_reduction(Instance& instance, VarId id) {
    const Reduction& reduction = *instance.reductions.at(id);
    const std::string name = instance.prefix + model()[id].name;
    SpaceId space = draft_.uniform;
    if (reduction.per == ast::Per::Pre) space = draft_.populations[instance.pre].space;
    if (reduction.per == ast::Per::Post) space = draft_.populations[instance.post].space;
    if (reduction.function == ReduceFunction::CumSum) space = instance.space;
    const ColumnId column = add(name, space, Role::Value, &model()[id]);
    const double infinity = std::numeric_limits<double>::infinity();
    if (reduction.function == ReduceFunction::Min) draft_.program.columns[column.value].reset = infinity;
    if (reduction.function == ReduceFunction::Max) draft_.program.columns[column.value].reset = -infinity;
    instance.columns[id] = column;
  }

  // --- one synapse -----------------------------------------------------------------------------

  void clamp(const Rule& rule) {
    for (const VarId id : rule.variables) {
      const Variable& variable = model()[id];
      if (variable.kind == VarKind::PreValue) add_member(draft_.populations[0], variable);
      if (variable.kind == VarKind::PostValue) add_member(draft_.populations[1], variable);
    }
    for (const Event& event : rule.events) {
      if (event.kind == EventKind::PreEvent) add_train(draft_.populations[0], event.name);
      if (event.kind == EventKind::PostEvent) add_train(draft_.populations[1], event.name);
    }
  }

  void add_member(Instance& neuron, const Variable& variable) {
    const std::string member = member_of(variable);
    if (!neuron.members.contains(member))
      neuron.members[member] = add_feed(neuron.prefix + member, neuron.space, &variable);
  }

  void add_train(Instance& neuron, const std::string& event) {
    if (!neuron.events.contains(event))
      neuron.events[event] = add_event(neuron.prefix + event, neuron.space, /*always=*/true);
  }

  void add_let(Instance& synapse, VarId id) {
    const Variable& variable = model()[id];
    if (variable.kind != VarKind::Let && variable.kind != VarKind::Draw) return;
    if (is_marker(*synapse.dynamics, id) || synapse.columns.contains(id)) return;
    synapse.let_columns[id] = add(variable.name, synapse.space, Role::Value, &variable);
  }

  const LowerOptions& options_;
  Draft draft_;
};

}  // namespace

ColumnId add_column(Draft& draft, std::string name, SpaceId space, Role role, const Variable* variable) {
  Column column{.name = std::move(name), .space = space, .role = role};
  if (variable) {
    column.width = std::max<int64_t>(variable->shape.size(), 1);
    column.unit = unit_of(*variable);
  }
  return draft.program.add(std::move(column));
}

Draft draft(const Model& model, const Network& network, const LowerOptions& options) {
  return Drafter(model, &network, options).network();
}

Draft draft_synapse(const Model& model, const Rule& rule) {
  return Drafter(model, nullptr, {}).synapse(rule);
}

Draft draft_block(const Model& model, const Rule& rule) {
  return Drafter(model, nullptr, {}).block(rule);
}

}  // namespace hebb
