// What can be said only when all of a rule or neuron has been read.

#include <algorithm>

#include "compiler/expr/transform.h"
#include "compiler/sema/dynamics.h"
#include "compiler/support/text.h"

namespace hebb::sema {

std::vector<VarId> reads(const Model& model, ExprId root) {
  std::vector<VarId> found;
  std::set<uint32_t> seen;
  std::vector<ExprId> roots = {root};
  while (!roots.empty()) {
    std::vector<ExprId> next;
    for (const ExprId id : nodes_below(model.pool, roots)) {
      const ExprNode node = model.pool[id];
      if (node.op != Op::Var || !seen.insert(node.leaf.index).second) continue;
      const VarId variable{node.leaf.index};
      found.push_back(variable);
      const Variable& v = model[variable];
      const bool defined = v.kind == VarKind::Let || v.kind == VarKind::Draw;
      if (defined) next.insert(next.end(), v.value.begin(), v.value.end());
    }
    roots = std::move(next);
  }
  return found;
}

namespace {

bool reaches_itself(std::map<uint32_t, std::set<uint32_t>>& needs, uint32_t start) {
  std::set<uint32_t> reached;
  std::vector<uint32_t> stack(needs[start].begin(), needs[start].end());
  while (!stack.empty()) {
    const uint32_t now = stack.back();
    stack.pop_back();
    if (!reached.insert(now).second) continue;
    stack.insert(stack.end(), needs[now].begin(), needs[now].end());
  }
  return reached.contains(start);
}

/// after(x) needs all jumps of x, which may need after(y): a cycle has no first.
void report_after_cycles(Session& session, const Dynamics& dynamics) {
  const Model& model = session.model;
  std::map<uint32_t, VarId> marker_of;
  for (const After& after : dynamics.afters) marker_of[after.marker.value] = after.of;
  std::map<uint32_t, std::set<uint32_t>> needs;  // x → y: a jump of x reads after(y)
  for (const Jump& jump : dynamics.jumps) {
    if (dynamics.afters.empty()) break;
    for (const VarId read : reads(model, jump.value)) {
      const auto marker = marker_of.find(read.value);
      if (marker != marker_of.end()) needs[jump.variable.value].insert(marker->second.value);
    }
  }
  for (const After& after : dynamics.afters) {
    if (!reaches_itself(needs, after.of.value)) continue;
    const std::string& name = model[after.of].name;
    session.diags.report(
        DiagKind::AfterCycle, after.span,
        cat("after(", name, ") needs itself: ", quoted(name), " jumps by an amount that reads it"));
    return;
  }
}

/// A sum over synapses that needs itself has no value at any instant.
void report_reduction_cycles(Session& session, const Rule& rule) {
  std::map<uint32_t, std::set<uint32_t>> needs;
  for (const Reduction& reduction : rule.reductions) {
    for (const VarId read : reads(session.model, reduction.argument)) {
      if (session.model[read].kind == VarKind::Reduce) needs[reduction.variable.value].insert(read.value);
    }
  }
  for (const Reduction& reduction : rule.reductions) {
    if (!reaches_itself(needs, reduction.variable.value)) continue;
    session.diags.report(
        DiagKind::CyclicDefinition, reduction.span,
        cat("the definition of ", quoted(session.model[reduction.variable].name), " needs itself"));
    return;
  }
}

/// The order of jumps must not depend on the order of lines, since sums are rounded.
void sort_jumps(const Model& model, Dynamics& dynamics) {
  const auto name = [&](const ExprNode& leaf) {
    return leaf.op == Op::Var ? cat(static_cast<int>(model[VarId{leaf.leaf.index}].kind),
                                    model[VarId{leaf.leaf.index}].name, leaf.leaf.element)
                              : cat("draw.", leaf.leaf.element);  // which one is numbered later, by name
  };
  const auto event_key = [&](const Jump& jump) {
    std::string out;
    for (const EventId id : jump.events) {
      const Event& event = dynamics.events[id.value];
      out += cat(static_cast<int>(event.kind), event.name, ';');
      if (event.period.valid()) out += to_text(model.pool, event.period, name);
    }
    return out;
  };
  struct Keyed {
    std::string variable, events;
    Jump jump;
  };
  std::vector<Keyed> keyed;
  for (Jump& jump : dynamics.jumps) {
    std::ranges::sort(jump.events, {}, [&](EventId id) {
      return std::pair(static_cast<int>(dynamics.events[id.value].kind), dynamics.events[id.value].name);
    });
    const std::string& variable = model[jump.variable].name;
    std::string events = event_key(jump);
    keyed.push_back({variable, std::move(events), std::move(jump)});
  }
  std::ranges::stable_sort(keyed, [&](const Keyed& a, const Keyed& b) {
    if (a.variable != b.variable) return a.variable < b.variable;
    if (a.jump.element != b.jump.element) return a.jump.element < b.jump.element;
    if (a.jump.assign != b.jump.assign) return a.jump.assign;
    if (a.events != b.events) return a.events < b.events;
    if (a.jump.value == b.jump.value) return false;
    return to_text(model.pool, a.jump.value, name) < to_text(model.pool, b.jump.value, name);
  });
  dynamics.jumps.clear();
  for (Keyed& one : keyed) dynamics.jumps.push_back(std::move(one.jump));
}

}  // namespace

void report_conflicts(Session& session, const Dynamics& dynamics) {
  std::map<std::pair<uint32_t, uint32_t>, const Jump*> assigned;
  std::set<uint32_t> reported;
  for (const Jump& jump : dynamics.jumps) {
    if (!jump.assign) continue;
    const auto [first, is_new] = assigned.try_emplace({jump.variable.value, jump.element}, &jump);
    if (is_new || !reported.insert(jump.variable.value).second) continue;
    const std::string& name = session.model[jump.variable].name;
    const bool same = first->second->events == jump.events;
    const bool earlier = first->second->span.begin <= jump.span.begin;
    const Jump& one = earlier ? *first->second : jump;
    const Jump& other = earlier ? jump : *first->second;
    Diagnostic& diag = session.diags.report(
        DiagKind::ConflictingAssignments, other.span,
        same ? cat(quoted(name), " is set twice by one event")
             : cat(quoted(name), " is set by two events that can happen at the same instant"));
    diag.labels.push_back({one.span, "set here too"});
    std::vector<std::string> events;
    for (const Jump* jump_of : {&one, &other}) {
      const Event& event = dynamics.events[jump_of->events.front().value];
      events.push_back(event.kind == EventKind::PreEvent    ? cat("pre.", event.name)
                       : event.kind == EventKind::PostEvent ? cat("post.", event.name)
                                                            : event.name);
    }
    const bool named = dynamics.events[one.events.front().value].kind != EventKind::Every &&
                       dynamics.events[other.events.front().value].kind != EventKind::Every;
    diag.help = same || !named ? "increments (+=) always combine; ':=' replaces the value"
                               : cat("increments (+=) always combine; or merge them with  on ", events[0],
                                     " or ", events[1]);
  }
}

void finish(Reading& reading) {
  Session& session = reading.frame.session;
  Model& model = session.model;
  Dynamics& dynamics = reading.dynamics;
  // Lets that turned out to be abbreviations have no variable of their own.
  std::set<uint32_t> dropped;
  for (const VarId id : dynamics.variables) {
    if (model[id].kind == VarKind::Let && model[id].value.empty()) dropped.insert(id.value);
  }
  std::erase_if(dynamics.variables, [&](VarId id) { return dropped.contains(id.value); });
  std::ranges::stable_sort(dynamics.variables, {}, [&](VarId id) { return model[id].span.begin; });
  for (const auto& [id, term] : reading.variable_dimensions) {
    model[VarId{id}].dimension = reading.dimensions.value(term);
  }
  for (const After& after : dynamics.afters) model[after.marker].dimension = model[after.of].dimension;
  report_conflicts(session, dynamics);
  report_after_cycles(session, dynamics);
  if (reading.rule != nullptr) report_reduction_cycles(session, *reading.rule);
  sort_jumps(model, dynamics);
}

}  // namespace hebb::sema
