#include <algorithm>
#include <map>

#include "compiler/expr/transform.h"
#include "compiler/transform/transform.h"

namespace hebb {

namespace {

Locus join(Locus a, Locus b) {
  if (a == b || b == Locus::Shared) return a;
  return a == Locus::Shared ? b : Locus::Synapse;
}

class Placing {
 public:
  explicit Placing(Model& model) : model_(model) {}

  /// What the network says about the rule's variables: see ProjectionDef.
  void bound(const ProjectionDef& projection) {
    // What comes to each synapse at a time of its own is counted there.
    if (projection.axon.each()) pre_ = Locus::Synapse;
    if (projection.bap.each()) post_ = Locus::Synapse;
    for (const BindDef& bind : projection.binds) mentions_[bind.target].push_back(bind.value);
    for (const InitDef& init : projection.inits) {
      for (const ExprId value : init.value) mentions_[init.variable].push_back(value);
      // One draw, or one given number, for each synapse, wherever the equations would let it live.
      const auto elements = static_cast<size_t>(std::max<int64_t>(model_[init.variable].shape.size(), 1));
      if (init.drawn || init.value.size() > elements) floor_[init.variable] = Locus::Synapse;
    }
  }

  void rule(const Rule& rule) {
    std::map<VarId, Locus> place;
    for (const VarId id : rule.variables) place[id] = start(id);
    for (const After& after : rule.afters) place[after.marker] = Locus::Shared;
    if (rule.weight.valid()) place[rule.weight] = Locus::Synapse;
    for (const Reduction& reduction : rule.reductions) place[reduction.variable] = of(reduction);
    for (const Jump& jump : rule.jumps) {
      for (const EventId event : jump.events) raise(place, jump.variable, of(rule.events[event.value]));
    }
    collect(rule);
    for (const VarId id : drawn_) raise(place, id, Locus::Synapse);
    for (bool changed = true; changed;) {
      changed = false;
      for (auto& [id, locus] : place) {
        Locus least = locus;
        for (const VarId leaf : reads_[id]) {
          const auto found = place.find(leaf);
          // Not of this rule: a network's signal, one neuron of a population.
          if (found != place.end()) least = join(least, found->second);
        }
        if (least != locus) {
          locus = least;
          changed = true;
        }
      }
    }
    for (const auto& [id, locus] : place) model_[id].locus = locus;
  }

 private:
  Locus start(VarId id) const {
    const auto floor = floor_.find(id);
    if (floor != floor_.end()) return floor->second;
    switch (model_[id].kind) {
      case VarKind::Weight: case VarKind::Draw: return Locus::Synapse;
      case VarKind::PreValue: return pre_;
      case VarKind::PostValue: return post_;
      case VarKind::Param: case VarKind::State: case VarKind::Signal: case VarKind::Input:
      case VarKind::Receive: case VarKind::Let: case VarKind::Reduce: case VarKind::Population:
        return Locus::Shared;
    }
    return Locus::Synapse;
  }

  Locus of(const Event& event) const {
    switch (event.kind) {
      case EventKind::PreEvent: return pre_;
      case EventKind::PostEvent: return post_;
      case EventKind::OwnEvent: case EventKind::Port: case EventKind::Step: case EventKind::Every:
      case EventKind::Arrival: return Locus::Shared;
    }
    return Locus::Synapse;
  }

  static Locus of(const Reduction& reduction) {
    if (reduction.function == ReduceFunction::CumSum) return Locus::Synapse;
    switch (reduction.per) {
      case ast::Per::Pre: return Locus::Pre;
      case ast::Per::Post: return Locus::Post;
      case ast::Per::Projection: return Locus::Shared;
    }
    return Locus::Synapse;
  }

  static void raise(std::map<VarId, Locus>& place, VarId id, Locus at_least) {
    place[id] = join(place[id], at_least);
  }

  void collect(const Rule& rule) {
    reads_.clear();
    drawn_.clear();
    for (const VarId id : rule.variables) {
      const Variable& variable = model_[id];
      // A drawn start value of a parameter is drawn once and shared; of a state, once for each synapse.
      const bool per_synapse = variable.kind != VarKind::Param;
      for (const ExprId init : variable.init) read(id, init, per_synapse);
      for (const ExprId value : variable.value) read(id, value, true);
      read(id, variable.low, true);
      read(id, variable.high, true);
      for (const ExprId more : mentions_[id]) read(id, more, true);
    }
    for (const Flow& flow : rule.flows) read(flow.variable, flow.rate, true);
    for (const Jump& jump : rule.jumps) read(jump.variable, jump.value, true);
    for (const After& after : rule.afters) reads_[after.marker].push_back(after.of);
  }

  void read(VarId id, ExprId root, bool draws_per_synapse) {
    if (!root.valid()) return;
    for (const ExprId node_id : nodes_below(model_.pool, std::span(&root, 1))) {
      const ExprNode node = model_.pool[node_id];
      if (node.op == Op::Var) reads_[id].push_back(VarId{node.leaf.index});
      if (node.op == Op::Draw && draws_per_synapse) drawn_.push_back(id);
    }
  }

  Model& model_;
  Locus pre_ = Locus::Pre, post_ = Locus::Post;        // where spikes of the two sides are counted
  std::map<VarId, std::vector<ExprId>> mentions_;
  std::map<VarId, Locus> floor_;
  std::map<VarId, std::vector<VarId>> reads_;
  std::vector<VarId> drawn_;                           // hold a draw made once for each synapse
};

}  // namespace

Model locate(Model model) {
  for (const Rule& rule : model.rules) Placing(model).rule(rule);
  for (const Network& network : model.networks) {
    for (const ProjectionDef& projection : network.projections) {
      Placing placing(model);
      placing.bound(projection);
      placing.rule(projection.rule);
    }
  }
  return model;
}

}  // namespace hebb
