#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"
#include "compiler/transform/transform.h"

namespace hebb {

namespace {

using Renaming = std::map<VarId, VarId>;

/// Keeps references to both: use it while they live.
Substitution substitution_of(Model& model, const Renaming& renaming) {
  return Substitution(model.pool, model.pool, [&model, &renaming](const ExprNode& leaf) {
    if (leaf.op != Op::Var) return ExprId{};
    const auto found = renaming.find(VarId{leaf.leaf.index});
    if (found == renaming.end()) return ExprId{};
    return model.pool.variable(found->second, leaf.leaf.element);
  });
}

VarId renamed(const Renaming& renaming, VarId id) {
  const auto found = renaming.find(id);
  return found == renaming.end() ? id : found->second;
}

/// Applies a renaming everywhere in a rule; variables renamed away leave the rule.
void rename(Model& model, const Renaming& renaming, Rule& rule) {
  if (renaming.empty()) return;
  Substitution substitution = substitution_of(model, renaming);
  std::erase_if(rule.variables, [&](VarId id) { return renaming.contains(id); });
  for (const VarId id : rule.variables) {
    Variable variable = model[id];
    variable.low = substitution(variable.low);
    variable.high = substitution(variable.high);
    for (ExprId& init : variable.init) init = substitution(init);
    for (ExprId& value : variable.value) value = substitution(value);
    model[id] = std::move(variable);
  }
  for (Event& event : rule.events) event.period = substitution(event.period);
  for (Flow& flow : rule.flows) {
    flow.variable = renamed(renaming, flow.variable);
    flow.rate = substitution(flow.rate);
  }
  for (Jump& jump : rule.jumps) {
    jump.variable = renamed(renaming, jump.variable);
    jump.value = substitution(jump.value);
  }
  for (After& after : rule.afters) {
    after.marker = renamed(renaming, after.marker);
    after.of = renamed(renaming, after.of);
  }
  for (Reduction& reduction : rule.reductions) {
    reduction.variable = renamed(renaming, reduction.variable);
    reduction.argument = substitution(reduction.argument);
  }
  rule.weight = renamed(renaming, rule.weight);
}

/// The narrower of two bounds, by `op`; invalid when both are plain numbers.
ExprId narrower(Model& model, Op op, ExprId a, double a_number, ExprId b, double b_number) {
  if (!a.valid() && !b.valid()) return {};
  ExprPool& pool = model.pool;
  return simple(pool, op, a.valid() ? a : pool.constant(a_number), b.valid() ? b : pool.constant(b_number));
}

void intersect(Model& model, VarId into, VarId other) {
  Variable a = model[into];
  const Variable b = model[other];
  a.low = narrower(model, Op::Max, a.low, a.bounds.low, b.low, b.bounds.low);
  a.high = narrower(model, Op::Min, a.high, a.bounds.high, b.high, b.bounds.high);
  const auto same_or = [](double x, double y, bool x_open, bool y_open, bool take_y) {
    return x == y ? x_open || y_open : take_y ? y_open : x_open;
  };
  a.bounds = {
      .low = std::max(a.bounds.low, b.bounds.low),
      .high = std::min(a.bounds.high, b.bounds.high),
      .low_open = same_or(a.bounds.low, b.bounds.low, a.bounds.low_open, b.bounds.low_open,
                          b.bounds.low > a.bounds.low),
      .high_open = same_or(a.bounds.high, b.bounds.high, a.bounds.high_open, b.bounds.high_open,
                           b.bounds.high < a.bounds.high),
  };
  if (a.init.empty()) a.init = b.init;
  if (!a.dimension) a.dimension = b.dimension;
  model[into] = std::move(a);
}

/// What two parts ask of their surroundings under one name is one thing: a requirement, a signal.
Renaming shared_requirements(Model& model, const Rule& rule) {
  Renaming renaming;
  std::map<std::pair<VarKind, std::string>, VarId> first;
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    const bool asked = variable.kind == VarKind::PreValue || variable.kind == VarKind::PostValue ||
                       variable.kind == VarKind::Signal;
    if (!asked) continue;
    const auto [entry, is_new] = first.try_emplace({variable.kind, variable.name}, id);
    if (is_new || !(model[entry->second].shape == variable.shape)) continue;
    renaming[id] = entry->second;
    if (!model[entry->second].dimension) model[entry->second].dimension = variable.dimension;
  }
  return renaming;
}

void merge_events(Rule& rule) {
  std::vector<Event> merged;
  std::vector<EventId> to;
  for (const Event& event : rule.events) {
    const auto same = std::find_if(merged.begin(), merged.end(), [&](const Event& e) {
      return e.kind == event.kind && e.name == event.name && e.period == event.period && e.port == event.port;
    });
    to.push_back(EventId{static_cast<uint32_t>(same - merged.begin())});
    if (same == merged.end()) merged.push_back(event);
  }
  for (Jump& jump : rule.jumps) {
    for (EventId& id : jump.events) id = to[id.value];
  }
  rule.events = std::move(merged);
}

/// after(x) of two parts is one value when x is one variable.
Renaming shared_markers(const Rule& rule) {
  Renaming renaming;
  std::map<VarId, VarId> first;
  for (const After& after : rule.afters) {
    const auto [entry, is_new] = first.try_emplace(after.of, after.marker);
    if (!is_new && entry->second != after.marker) renaming[after.marker] = entry->second;
  }
  return renaming;
}

void drop_repeated_afters(Rule& rule) {
  std::set<VarId> seen;
  std::erase_if(rule.afters, [&](const After& after) { return !seen.insert(after.marker).second; });
}

// --- equal traces ------------------------------------------------------------------------------------

using Behaviour = std::vector<std::tuple<int, std::vector<uint32_t>, uint32_t, uint32_t>>;

/// All that decides a variable's course, with the variable itself renamed to `self`: comparable.
Behaviour behaviour(Model& model, const Rule& rule, VarId id, VarId self) {
  const Renaming to_self = {{id, self}};
  Substitution substitution = substitution_of(model, to_self);
  const auto value_of = [&](ExprId root) { return substitution(root).value; };
  const Variable variable = model[id];
  Behaviour all;
  for (const Flow& flow : rule.flows) {
    if (flow.variable == id) all.emplace_back(0, std::vector<uint32_t>{}, flow.element, value_of(flow.rate));
  }
  for (const Jump& jump : rule.jumps) {
    if (jump.variable != id) continue;
    std::vector<uint32_t> events;
    for (const EventId event : jump.events) events.push_back(event.value);
    std::sort(events.begin(), events.end());
    all.emplace_back(jump.assign ? 2 : 1, std::move(events), jump.element, value_of(jump.value));
  }
  for (uint32_t k = 0; k < variable.init.size(); ++k) {
    all.emplace_back(3, std::vector<uint32_t>{}, k, value_of(variable.init[k]));
  }
  all.emplace_back(4, std::vector<uint32_t>{}, value_of(variable.low), value_of(variable.high));
  std::sort(all.begin(), all.end());
  return all;
}

/// Only what must be equal whatever parameters are set to: two taus of the same default are two.
Renaming equal_states(Model& model, const Rule& rule) {
  constexpr size_t kMostCompared = 200;                // pairs are compared; large rules are not sums
  if (rule.variables.size() > kMostCompared) return {};
  for (size_t i = 0; i < rule.variables.size(); ++i) {
    const VarId a = rule.variables[i];
    if (model[a].kind != VarKind::State) continue;
    const Behaviour of_a = behaviour(model, rule, a, a);
    for (size_t j = i + 1; j < rule.variables.size(); ++j) {
      const VarId b = rule.variables[j];
      const Variable &x = model[a], &y = model[b];
      if (y.kind != VarKind::State || !(x.shape == y.shape) || x.dimension != y.dimension) continue;
      const Bounds &p = x.bounds, &q = y.bounds;
      const bool same_bounds = p.low == q.low && p.high == q.high && p.low_open == q.low_open &&
                               p.high_open == q.high_open;
      if (same_bounds && of_a == behaviour(model, rule, b, a)) return {{b, a}};
    }
  }
  return {};
}

void merge_equal_states(Model& model, Rule& rule) {
  for (Renaming merged = equal_states(model, rule); !merged.empty(); merged = equal_states(model, rule)) {
    const VarId dropped = merged.begin()->first;
    std::erase_if(rule.flows, [&](const Flow& flow) { return flow.variable == dropped; });
    std::erase_if(rule.jumps, [&](const Jump& jump) { return jump.variable == dropped; });
    rename(model, merged, rule);
  }
}

// --- names -------------------------------------------------------------------------------------------

void separate_names(Model& model, const Rule& rule, const std::map<VarId, std::string>& part_of) {
  std::map<std::string, std::set<std::string>> parts_with;
  for (const VarId id : rule.variables) {
    const Variable& variable = model[id];
    if (part_of.contains(id)) parts_with[variable.name].insert(part_of.at(id));
  }
  for (const VarId id : rule.variables) {
    Variable& variable = model[id];
    const bool asked = variable.kind == VarKind::PreValue || variable.kind == VarKind::PostValue;
    if (asked || id == rule.weight || parts_with[variable.name].size() < 2) continue;
    variable.name = cat(part_of.at(id), ".", variable.name);
  }
}

/// The names of the parts, told apart: "Decay", "Decay2".
std::vector<std::string> part_names(const std::vector<Rule>& parts) {
  std::map<std::string, int> count;
  std::vector<std::string> names;
  for (const Rule& part : parts) {
    const int number = ++count[part.name];
    names.push_back(number == 1 ? part.name : cat(part.name, number));
  }
  return names;
}

Contract joint(Contract a, Contract b) {
  // A sum keeps a promise that both parts make: the weaker one.
  if (a == Contract::None || b == Contract::None) return Contract::None;
  return std::max(a, b);
}

void sum_flows(Model& model, Rule& rule) {
  std::vector<Flow> summed;
  for (const Flow& flow : rule.flows) {
    const auto same = std::find_if(summed.begin(), summed.end(), [&](const Flow& f) {
      return f.variable == flow.variable && f.element == flow.element;
    });
    if (same == summed.end()) summed.push_back(flow);
    else same->rate = model.pool.add(same->rate, flow.rate);
  }
  rule.flows = std::move(summed);
}

}  // namespace

Rule compose(Model& model, std::string name, std::vector<Rule> parts) {
  assert(!parts.empty() && "a sum of rules has parts");
  const std::vector<std::string> names = part_names(parts);
  std::map<VarId, std::string> part_of;
  Rule result;
  result.contract = parts.front().contract;
  result.span = parts.front().span;
  result.doc = parts.size() == 1 ? parts.front().doc : std::string();
  Renaming one_weight;
  for (size_t k = 0; k < parts.size(); ++k) {
    Rule& part = parts[k];
    result.contract = joint(result.contract, part.contract);
    for (const VarId id : part.variables) part_of[id] = names[k];
    if (part.weight.valid() && !result.weight.valid()) {
      result.weight = part.weight;
    } else if (part.weight.valid() && part.weight != result.weight) {
      intersect(model, result.weight, part.weight);
      one_weight[part.weight] = result.weight;
    }
    for (Jump& jump : part.jumps) {
      for (EventId& event : jump.events) event.value += static_cast<uint32_t>(result.events.size());
    }
    const auto append = [](auto& into, const auto& from) { into.insert(into.end(), from.begin(), from.end()); };
    append(result.variables, part.variables);
    append(result.events, part.events);
    append(result.flows, part.flows);
    append(result.jumps, part.jumps);
    append(result.afters, part.afters);
    append(result.reductions, part.reductions);
    if (part.parts.empty()) result.parts.push_back({.rule = part.name, .span = part.span});
    else append(result.parts, part.parts);
  }
  result.name = std::move(name);

  rename(model, one_weight, result);
  rename(model, shared_requirements(model, result), result);
  rename(model, shared_markers(result), result);
  drop_repeated_afters(result);
  merge_events(result);
  sum_flows(model, result);
  if (parts.size() > 1) merge_equal_states(model, result);
  separate_names(model, result, part_of);
  return result;
}

}  // namespace hebb
