#include "compiler/lower/reader.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

#include "compiler/expr/transform.h"
#include "compiler/support/hash.h"
#include "compiler/support/text.h"

namespace hebb {

Frame frame_of(Locus locus) {
  switch (locus) {
    case Locus::Shared: return Frame::Shared;
    case Locus::Pre: return Frame::Pre;
    case Locus::Post: return Frame::Post;
    case Locus::Synapse: return Frame::Synapse;
  }
  return Frame::Synapse;
}

SpaceId space_of(const Draft& draft, const Instance& instance, Frame frame) {
  switch (frame) {
    case Frame::Shared: return draft.uniform;
    case Frame::Neuron:
    case Frame::Synapse: return instance.space;
    case Frame::Pre: return draft.populations[instance.pre].space;
    case Frame::Post: return draft.populations[instance.post].space;
  }
  return {};
}

Reader::Reader(Draft& draft, const Instance& instance, Frame frame, Phase phase)
    : draft_(draft), instance_(instance), frame_(frame), phase_(phase) {}

ExprId Reader::operator()(ExprId root) { return simplify(pool(), translate(root)); }

ExprId Reader::translate(ExprId root) {
  const ExprPool& from = draft_.model->pool;
  for (const ExprId id : nodes_below(from, {&root, 1})) {
    if (done_.contains(id.value)) continue;
    const ExprNode node = from[id];
    ExprId result;
    if (node.count == 0) {
      result = leaf(node);
    } else {
      ExprId operands[3];
      for (int k = 0; k < node.count; ++k) operands[k] = done_.at(node.operands[k].value);
      if (node.count == 1) result = pool().make(node.op, operands[0]);
      if (node.count == 2) result = pool().make(node.op, operands[0], operands[1]);
      if (node.count == 3) result = pool().make(node.op, operands[0], operands[1], operands[2]);
    }
    done_[id.value] = result;
  }
  return done_.at(root.value);
}

ExprId Reader::leaf(const ExprNode& node) {
  switch (node.op) {
    case Op::Const: return pool().constant(node.value);
    case Op::Dt: return pool().load(draft_.dt, At::Uniform);
    case Op::Var: return variable(VarId{node.leaf.index}, node.leaf.element);
    case Op::Draw: return pool().draw(instance_.sites.at(node.leaf.index), node.leaf.element);
    default: break;
  }
  assert(false && "a model has no other leaves");
  return {};
}

ExprId Reader::load(ColumnId column, uint32_t element, Locus side) {
  const SpaceKind kind = draft_.program[draft_.program[column].space].kind;
  if (kind == SpaceKind::Uniform) return pool().load(column, At::Uniform, element);
  switch (frame_) {
    case Frame::Shared: assert(false && "what is shared reads no single neuron"); break;
    case Frame::Neuron: break;
    case Frame::Pre: assert(side == Locus::Pre && "a pre variable reads pre neurons"); break;
    case Frame::Post: assert(side == Locus::Post && "a post variable reads post neurons"); break;
    case Frame::Synapse:
      if (is_synaptic(kind)) break;
      assert(side != Locus::Synapse && "a synapse reads neurons on one side");
      return pool().load(column, side == Locus::Pre ? At::Pre : At::Post, element);
  }
  return pool().load(column, At::Self, element);
}

ExprId Reader::variable(VarId id, uint32_t element) {
  if (draft_.signals.contains(id)) return signal(id, element);
  const Variable& variable = (*draft_.model)[id];
  if (variable.kind != VarKind::Population) return own(id, element);
  const Instance& population = draft_.populations[variable.population];
  for (const auto& [member, column] : population.columns)
    if ((*draft_.model)[member].name == variable.member) {
      const Column& found = draft_.program[column];
      if (found.space == draft_.uniform) return pool().load(column, At::Uniform, element);
      return pool().load(column, At::Fixed, element);
    }
  return pool().load(population.events.at(variable.member), At::Fixed, element);
}

ExprId Reader::signal(VarId id, uint32_t element) {
  const ColumnId column = draft_.signals.at(id);
  if (draft_.program[column].space == draft_.uniform)
    return pool().load(column, At::Uniform, element);
  return pool().load(column, At::Fixed, element);
}

static Locus side_of(const Reduction& reduction) {
  if (reduction.function == ReduceFunction::CumSum) return Locus::Synapse;
  switch (reduction.per) {
    case ast::Per::Pre: return Locus::Pre;
    case ast::Per::Post: return Locus::Post;
    case ast::Per::Projection: break;
  }
  return Locus::Shared;
}

ExprId Reader::own(VarId id, uint32_t element) {
  if (const auto after = instance_.afters.find(id); after != instance_.afters.end())
    return right_limit(after->second, element);
  const Variable& variable = (*draft_.model)[id];
  switch (variable.kind) {
    case VarKind::Let: return let(id, element);
    case VarKind::PreValue: return requirement(id, element, instance_.pre, Locus::Pre);
    case VarKind::PostValue: return requirement(id, element, instance_.post, Locus::Post);
    case VarKind::Signal:
      if (instance_.projection) {
        for (const BindDef& bind : instance_.projection->binds)
          if (bind.target == id) return translate(bind.value);
      }
      if (!instance_.columns.contains(id)) return translate(variable.value.at(element));
      break;
    case VarKind::Draw:
      if (!instance_.columns.contains(id)) return translate(variable.value.at(element));
      break;
    case VarKind::Reduce:
      return load(instance_.columns.at(id), element, side_of(*instance_.reductions.at(id)));
    default: break;
  }
  return load(instance_.columns.at(id), element, variable.locus);
}

ExprId Reader::let(VarId id, uint32_t element) {
  const bool held =
      phase_ == Phase::Instant || (phase_ == Phase::Moving && !instance_.moving.contains(id));
  if (instance_.neuron && held) return load(instance_.columns.at(id), element);
  return translate((*draft_.model)[id].value.at(element));
}

ExprId Reader::requirement(VarId id, uint32_t element, int population, Locus side) {
  if (instance_.projection) {
    for (const BindDef& bind : instance_.projection->binds)
      if (bind.target == id) return translate(bind.value);
  }
  return member(draft_.populations[population], member_of((*draft_.model)[id]), element, side);
}

/// What a state of neurons is in this step, kept until it is seen: the value before the instant, or, by what flows, after it.
ColumnId Reader::held(ColumnId state) {
  const bool after = phase_ == Phase::Moving;
  const Column source = draft_.program[state];
  const ColumnId as = draft_.program.find_or_add(
      Column{.name = cat(source.name, after ? ".after" : ".before"), .space = source.space, .role = Role::Value, .width = source.width});
  if (std::none_of(draft_.held.begin(), draft_.held.end(), [&](const Draft::Held& known) { return known.as == as; }))
    draft_.held.push_back({.state = state, .as = as, .after = after});
  return as;
}

/// A value of a neuron as a projection with a delay sees it.
ExprId Reader::late_value(ColumnId from, uint32_t element, Locus side) {
  const bool pre = side == Locus::Pre;
  const ProjectionDef* projection = instance_.projection;
  const bool each = projection != nullptr && instance_.bucketed >= 0 && (pre ? projection->axon.each() : projection->bap.each());
  const std::string name = cat(instance_.prefix, pre ? "delay_axon" : "delay_bap");
  const auto delay = std::find_if(instance_.delays.begin(), instance_.delays.end(),
                                  [&](const auto& known) { return draft_.program[known.first].name == name; });
  const Role role = draft_.program[from].role;
  const bool moves = role == Role::Value || role == Role::Fed || role == Role::State;
  const bool late_here = projection != nullptr && (each || delay != instance_.delays.end());
  if (!late_here || !moves || draft_.program[from].space == draft_.uniform) return load(from, element, side);
  const ColumnId start = role == Role::State ? from : ColumnId{};
  if (start.valid()) from = held(from);
  const Column source = draft_.program[from];
  const ColumnId late = draft_.program.find_or_add(
      Column{.name = cat(instance_.prefix, pre ? "pre." : "post.", source.name), .space = source.space, .role = Role::Fed, .width = source.width});
  Plan& plan = draft_.program.plan;
  const auto known = [&](const auto& one) { return one.into == late; };
  if (each) {
    auto& list = plan.bucketed[static_cast<size_t>(instance_.bucketed)].late;
    if (std::none_of(list.begin(), list.end(), known)) list.push_back({.from = from, .into = late, .pre = pre, .values = true, .start = start});
  } else if (std::none_of(plan.delays.begin(), plan.delays.end(), known)) {
    plan.delays.push_back({.from = from, .into = late, .delay = delay->first, .values = true, .start = start});
  }
  draft_.visible.insert(from.value);
  return load(late, element, side);
}

ExprId Reader::member(const Instance& population, const std::string& name, uint32_t element,
                      Locus side) {
  if (const auto fed = population.members.find(name); fed != population.members.end())
    return load(fed->second, element, side);
  for (const auto& [id, column] : population.columns)
    if ((*draft_.model)[id].name == name) return late_value(column, element, side);
  return load(population.events.at(name), 0, side);
}

ExprId Reader::event(const Event& event, EventId id) {
  switch (event.kind) {
    case EventKind::Step: return pool().constant(draft_.on_grid ? 1 : 0);
    case EventKind::Arrival: return pool().make(Op::NotEqual, own(event.port, 0), pool().constant(0));
    case EventKind::PreEvent:
      return passing(arriving(draft_, instance_, event.name), Locus::Pre);
    case EventKind::PostEvent:
      return passing(returning(draft_, instance_, event.name), Locus::Post);
    case EventKind::OwnEvent: return load(instance_.events.at(event.name), 0);
    case EventKind::Port: return port(instance_.events.at(event.name));
    case EventKind::Every: return passing(instance_.clocks.at(id.value));
  }
  return {};
}

/// What a rule is handed: an event of the network, or what one neuron somewhere in it emits.
ExprId Reader::port(ColumnId indicator) {
  if (draft_.program[indicator].role != Role::Value) return passing(indicator);
  return pool().load(indicator, At::Fixed, 0);
}

ExprId Reader::passing(ColumnId indicator, Locus side) {
  if (draft_.quiet && draft_.passing.contains(indicator.value)) return pool().constant(0);
  return load(indicator, 0, side);
}

ExprId Reader::active(const std::vector<EventId>& events) {
  ExprId any = pool().constant(0);
  for (const EventId id : events) {
    const ExprId one = event(instance_.dynamics->events[id.value], id);
    if (pool().is_constant(one, 0)) continue;
    if (pool().is_constant(one, 1)) return one;
    any = pool().is_constant(any, 0) ? one : pool().make(Op::Or, any, one);
  }
  return any;
}

/// Where nothing arrives it adds 0: whether something does need not be asked.
bool Reader::adds_what_arrives(const Jump& jump) {
  if (jump.assign || jump.events.size() != 1) return false;
  const Event& event = instance_.dynamics->events[jump.events[0].value];
  if (event.kind != EventKind::Arrival) return false;
  const std::optional<Affine> affine = affine_in(pool(), translate(jump.value), own(event.port, 0));
  return affine && pool().is_constant(affine->rest, 0);
}

ExprId Reader::increments(VarId id, uint32_t element) {
  std::vector<std::pair<uint64_t, ExprId>> terms;
  for (const Jump& jump : instance_.dynamics->jumps) {
    if (jump.variable != id || jump.element != element || jump.assign) continue;
    const ExprId when = adds_what_arrives(jump) ? pool().constant(1) : active(jump.events);
    if (pool().is_constant(when, 0)) continue;
    const ExprId amount = translate(jump.value);
    const ExprId term = simplify(pool(), pool().is_constant(when, 1)
                                             ? amount
                                             : pool().select(when, amount, pool().constant(0)));
    terms.emplace_back(fingerprint(draft_.program, term), term);
  }
  std::sort(terms.begin(), terms.end());
  ExprId sum;
  for (const auto& [order, term] : terms) sum = sum.valid() ? pool().add(sum, term) : term;
  return sum;
}

ExprId Reader::right_limit(VarId id, uint32_t element) {
  ExprId value = load(instance_.columns.at(id), element, (*draft_.model)[id].locus);
  bool jumps = false;
  for (const Jump& jump : instance_.dynamics->jumps) {
    if (jump.variable != id || jump.element != element) continue;
    const ExprId when = adds_what_arrives(jump) ? pool().constant(1) : active(jump.events);
    if (pool().is_constant(when, 0)) continue;
    jumps = true;
    if (jump.assign) value = pool().select(when, translate(jump.value), value);
  }
  if (!jumps) return value;
  if (const ExprId sum = increments(id, element); sum.valid()) value = pool().add(value, sum);
  return simplify(pool(), clamped(id, value));
}

Reader::Bounds Reader::bounds(VarId id) {
  const Variable& variable = (*draft_.model)[id];
  const auto bound = [&](ExprId expression, double number) {
    if (expression.valid()) return translate(expression);
    return std::isinf(number) ? ExprId{} : pool().constant(number);
  };
  return {.low = bound(variable.low, variable.bounds.low), .high = bound(variable.high, variable.bounds.high)};
}

ExprId Reader::clamped(VarId id, ExprId value) {
  const auto [low, high] = bounds(id);
  ExprId result = value;
  if (high.valid()) result = pool().select(pool().make(Op::Less, high, value), high, result);
  if (low.valid()) result = pool().select(pool().make(Op::Less, value, low), low, result);
  return result;
}

ExprId Reader::if_connected(ExprId value, double otherwise) {
  if (!instance_.projection || instance_.projection->self || instance_.pre != instance_.post)
    return value;
  if (is_sparse(draft_, instance_)) return value;
  const ColumnId index = draft_.populations[instance_.pre].index;
  const ExprId other = pool().make(Op::NotEqual, pool().load(index, At::Pre),
                                   pool().load(index, At::Post));
  return pool().select(other, value, pool().constant(otherwise));
}

/// values[row - first], by halving.
ExprId Reader::chosen(ExprId row, std::span<const ExprId> values, size_t first) {
  if (values.size() == 1) return values[0];
  const size_t half = values.size() / 2;
  const ExprId low = chosen(row, values.first(half), first);
  const ExprId high = chosen(row, values.subspan(half), first + half);
  if (low == high) return low;
  const ExprId middle = pool().constant(static_cast<double>(first + half));
  return pool().select(pool().make(Op::Less, row, middle), low, high);
}

std::vector<ExprId> Reader::per_neuron(std::span<const ExprId> values, size_t width) {
  const ExprId row = pool().load(instance_.index, At::Self);
  std::vector<ExprId> result;
  for (size_t element = 0; element < width; ++element) {
    std::vector<ExprId> rows;
    for (size_t k = element; k < values.size(); k += width) rows.push_back((*this)(values[k]));
    result.push_back(chosen(row, rows));
  }
  return result;
}

ExprId Reader::per_synapse(std::span<const ExprId> values) {
  const Instance& pre = draft_.populations[instance_.pre];
  const Instance& post = draft_.populations[instance_.post];
  const auto posts = static_cast<size_t>(draft_.program[post.space].size);
  std::vector<ExprId> rows;
  for (size_t i = 0; i * posts < values.size(); ++i) {
    std::vector<ExprId> row;
    for (const ExprId value : values.subspan(i * posts, posts)) row.push_back((*this)(value));
    rows.push_back(chosen(pool().load(post.index, At::Post), row));
  }
  return chosen(pool().load(pre.index, At::Pre), rows);
}

ExprId Reader::truth(ExprId condition) {
  const ExprId value = (*this)(condition);
  switch (pool()[value].op) {
    case Op::Less:
    case Op::LessEqual:
    case Op::Equal:
    case Op::NotEqual:
    case Op::And:
    case Op::Or:
    case Op::Not: return value;
    default: return pool().make(Op::NotEqual, value, pool().constant(0));
  }
}

ExprId assuming(ExprPool& pool, ExprId root, ColumnId indicator, At at, double value) {
  const ExprId known = Substitution(pool, pool, [&](const ExprNode& leaf) -> ExprId {
    if (leaf.op != Op::Load || leaf.leaf.index != indicator.value || leaf.leaf.at != at) return {};
    return pool.constant(value);
  })(root);
  return simplify(pool, known);
}

uint64_t fingerprint(const Program& program, ExprId root) {
  std::unordered_map<uint32_t, uint64_t> hashes;
  for (const ExprId id : nodes_below(program.pool, {&root, 1})) {
    const ExprNode node = program.pool[id];
    uint64_t hash = mix(1, static_cast<uint64_t>(node.op));
    if (node.op == Op::Const) hash = mix(hash, std::bit_cast<uint64_t>(node.value));
    if (node.op == Op::Load) hash = mix(hash, hash_text(program.columns[node.leaf.index].name));
    if (node.op == Op::Draw) hash = mix(hash, node.leaf.index);
    if (node.count == 0)
      hash = mix(mix(hash, node.leaf.element), static_cast<uint64_t>(node.leaf.at));
    for (int k = 0; k < node.count; ++k) hash = mix(hash, hashes.at(node.operands[k].value));
    hashes[id.value] = hash;
  }
  return hashes.at(root.value);
}

}  // namespace hebb
