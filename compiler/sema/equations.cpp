// Equations and events: what multiplies a spike train becomes a jump, the rest a flow.

#include <algorithm>

#include "compiler/expr/transform.h"
#include "compiler/sema/dynamics.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// The variable that an equation or an assignment changes; a report and nothing when it cannot.
Symbol* changeable(Frame& frame, const std::string& name, Span span) {
  Symbol* symbol = find_symbol(frame, name);
  if (symbol == nullptr) {
    unknown_name(frame, name, span);
    return nullptr;
  }
  if (symbol->kind == SymbolKind::Broken) return nullptr;
  if (symbol->kind == SymbolKind::Weight || symbol->kind == SymbolKind::State) return symbol;
  Diagnostic& diag = report(frame, DiagKind::NotAState, span,
                            cat(quoted(name), " is ", describe(symbol->kind), " and does not change"));
  diag.labels.push_back({symbol->span, "declared here"});
  diag.help = "only the weight and states have equations and jumps";
  symbol->used = true;
  return nullptr;
}

bool mentions_marker(const Frame& frame, ExprId root, const std::vector<After>& afters) {
  if (!root.valid() || afters.empty()) return false;
  for (const VarId id : reads(frame.session.model, root)) {
    for (const After& after : afters) {
      if (after.marker == id) return true;
    }
  }
  return false;
}

/// One element (or several) that a jump changes.
struct Target {
  uint32_t element = 0;
  ExprId condition;  // index equals this place; invalid: always
  size_t value_index = 0;
};

struct TargetList {
  std::vector<Target> targets;
  Shape shape;  // what the value must fit
};

std::optional<TargetList> read_targets(Frame& frame, const Shape& shape, const ast::JumpStatement& jump) {
  const size_t rank = shape.extents.size();
  ExprPool& pool = frame.pool();
  if (jump.indices.size() > rank) {
    report(frame, DiagKind::ShapeMismatch, jump.target.span,
           cat(quoted(jump.target.parts[0].text), " has shape ", to_text(shape), ", got ",
               jump.indices.size(), jump.indices.size() == 1 ? " index" : " indices"));
    return {};
  }
  TargetList out;
  out.targets.push_back({});
  for (size_t axis = 0; axis < rank; ++axis) {
    const int64_t extent = shape.extents[axis];
    int64_t first = 0, last = extent - 1;
    bool kept = true;
    ExprId dynamic;
    if (axis < jump.indices.size() && jump.indices[axis].first != nullptr) {
      const ast::IndexItem& item = jump.indices[axis];
      kept = item.last != nullptr;
      if (kept) {
        const auto from = integer_constant(frame, *item.first, "the first index of a range");
        const auto to = integer_constant(frame, *item.last, "the last index of a range");
        if (!from || !to) return {};
        first = *from, last = *to;
      } else {
        const Value index = evaluate_as(frame, *item.first, {}, nullptr);
        if (index.poisoned) return {};
        expect_plain(frame, index, *item.first, "an index");
        if (const auto constant = constant_of(frame, index.only())) {
          const bool whole = *constant >= 0 && *constant < static_cast<double>(extent) &&
                             *constant == static_cast<double>(static_cast<int64_t>(*constant));
          first = last = whole ? static_cast<int64_t>(*constant) : -1;
        } else {
          dynamic = index.only();
        }
      }
      if (first < 0 || last >= extent || first > last) {
        report(frame, DiagKind::IndexOutOfRange, item.first->span,
               cat("an index of ", quoted(jump.target.parts[0].text), " is not within 0..", extent - 1))
            .help = "indices start at 0";
        return {};
      }
    }
    const int64_t kept_extent = last - first + 1;
    std::vector<Target> next;
    for (const Target& target : out.targets) {
      for (int64_t k = first; k <= last; ++k) {
        Target one = target;
        one.element = static_cast<uint32_t>(target.element * extent + k);
        if (kept)
          one.value_index =
              target.value_index * static_cast<size_t>(kept_extent) + static_cast<size_t>(k - first);
        if (dynamic.valid()) {
          const ExprId here = pool.make(Op::Equal, dynamic, pool.constant(static_cast<double>(k)));
          one.condition = one.condition.valid() ? pool.make(Op::And, one.condition, here) : here;
        }
        next.push_back(one);
      }
    }
    out.targets = std::move(next);
    if (kept) out.shape.extents.push_back(kept_extent);
  }
  return out;
}

void resolve_jump(Reading& reading, const ast::JumpStatement& jump, const std::vector<EventId>& events) {
  Frame& frame = reading.frame;
  const std::string& name = jump.target.parts[0].text;
  if (jump.target.parts.size() > 1) {
    const bool neuron = name == "pre" || name == "post";
    report(frame, neuron ? DiagKind::NotSupportedYet : DiagKind::NotAState, jump.target.span,
           neuron ? "not supported yet: a rule that changes a variable of its neuron"
                  : cat(quoted(source_text(frame, jump.target.span)), " cannot be changed here"));
    return;
  }
  Symbol* symbol = changeable(frame, name, jump.target.span);
  if (symbol == nullptr) return;
  const VarId id = symbol->variable;
  const auto targets = read_targets(frame, frame.session.model[id].shape, jump);
  if (!targets) return;
  Restore target(frame.target, id);
  const Expectation expected{symbol->value.dimension, name, {}};
  const Value value = evaluate_as(frame, *jump.value, targets->shape, &expected);
  if (value.poisoned) return;
  ExprPool& pool = frame.pool();
  for (const Target& one : targets->targets) {
    ExprId amount = value.elements.size() == 1 ? value.only() : value.elements[one.value_index];
    if (jump.op == ast::JumpOp::Subtract) amount = pool.neg(amount);
    if (one.condition.valid()) {
      const ExprId otherwise =
          jump.op == ast::JumpOp::Assign ? pool.variable(id, one.element) : pool.constant(0);
      amount = pool.select(one.condition, amount, otherwise);
    }
    reading.dynamics.jumps.push_back({.events = events,
                                      .variable = id,
                                      .element = one.element,
                                      .assign = jump.op == ast::JumpOp::Assign,
                                      .value = amount,
                                      .span = jump.span});
  }
}

std::optional<EventId> resolve_event(Reading& reading, const ast::Path& path) {
  Frame& frame = reading.frame;
  Dynamics& dynamics = reading.dynamics;
  const std::string& first = path.parts[0].text;
  if (path.parts.size() == 2 && (first == "pre" || first == "post")) {
    if (reading.is_neuron) {
      report(frame, DiagKind::WrongKindOfName, path.span,
             cat("a neuron has no ", quoted(first), ": only a synapse lies between two neurons"));
      return {};
    }
    const EventKind kind = first == "pre" ? EventKind::PreEvent : EventKind::PostEvent;
    return event_of(dynamics,
                    {.kind = kind, .name = path.parts[1].text, .period = {}, .port = {}, .span = path.span});
  }
  if (path.parts.size() == 1) {
    Symbol* symbol = find_symbol(frame, first);
    if (symbol != nullptr && (symbol->kind == SymbolKind::Event || symbol->kind == SymbolKind::Receive)) {
      symbol->used = true;
      return symbol->event;
    }
    if (symbol == nullptr && first == "step") {
      return event_of(dynamics,
                      {.kind = EventKind::Step, .name = "step", .period = {}, .port = {}, .span = path.span});
    }
    if (symbol != nullptr && symbol->kind == SymbolKind::Broken) return {};
    if (symbol != nullptr) symbol->used = true;
  }
  const std::string text = source_text(frame, path.span);
  Diagnostic& diag = report(frame, DiagKind::NotAnEvent, path.span, cat(quoted(text), " is not an event"));
  std::vector<std::string> names = {"step"};
  for (const auto& [name, symbol] : reading.scope.names) {
    if (symbol.kind == SymbolKind::Event || symbol.kind == SymbolKind::Receive) names.push_back(name);
  }
  if (!reading.is_neuron) names.insert(names.end(), {"pre.spike", "post.spike"});
  if (const auto near = did_you_mean(text, names)) {
    diag.help = cat("did you mean ", quoted(*near), "?");
  } else {
    diag.help =
        reading.is_neuron
            ? cat("events are 'step', 'every T', what the neuron emits or receives, and  event ", text, ";")
            : cat("events are pre.spike, post.spike, 'step', 'every T', and  event ", text, ";");
  }
  return {};
}

std::optional<EventId> resolve_clock(Reading& reading, const ast::Expr& period) {
  Frame& frame = reading.frame;
  Restore phase(frame.phase, Phase::Initial);
  const Expectation time{time_dimension(), "a period", {}};
  const Value value = evaluate_as(frame, period, {}, &time);
  if (value.poisoned) return {};
  const auto constant = constant_of(frame, value.only());
  if (constant && !(*constant > 0 && *constant < std::numeric_limits<double>::infinity())) {
    report(frame, DiagKind::BadPeriod, period.span,
           cat("a period must be longer than 0, got ", *constant, " ms"));
    return {};
  }
  return event_of(reading.dynamics, {.kind = EventKind::Every,
                                     .name = source_text(frame, period.span),
                                     .period = value.only(),
                                     .port = {},
                                     .span = period.span});
}

}  // namespace

bool reject_after(Frame& frame, const Value& value, Span span, std::string_view what) {
  if (!value.after || value.poisoned) return false;
  report(frame, DiagKind::AfterWithoutInstant, span, cat("after(x) has no value in ", what)).help =
      "use it in an 'on' block, next to a spike train, or in a 'drive'";
  return true;
}

void resolve_ode(Reading& reading, const ast::Ode& ode) {
  Frame& frame = reading.frame;
  Symbol* symbol = changeable(frame, ode.name.text, ode.name.span);
  if (symbol == nullptr) return;
  const VarId id = symbol->variable;
  const auto [first, is_new] = reading.equations.try_emplace(id.value, ode.name.span);
  if (!is_new) {
    report(frame, DiagKind::TwoEquations, ode.name.span, cat(quoted(ode.name.text), " has two equations"))
        .labels.push_back({first->second, "the first one"});
    return;
  }
  Restore phase(frame.phase, Phase::Rate);
  Restore target(frame.target, id);
  const Shape shape = frame.session.model[id].shape;
  const Expectation expected{symbol->value.dimension / time_dimension(), cat(ode.name.text, "'"), {}};
  const Value value = evaluate(frame, *ode.rate, &expected);
  if (value.poisoned) return;
  if (value.shape != shape && !value.scalar()) {
    Diagnostic& diag = report(frame, DiagKind::ShapeMismatch, ode.rate->span,
                              cat("this has shape ", to_text(value.shape), ", but ", quoted(ode.name.text),
                                  " is ", to_text(shape)));
    if (symbol->declaration == nullptr)
      diag.help = cat("declare its shape:  state ", ode.name.text, to_text(value.shape), " = 0;");
    return;
  }
  const auto at = [](const std::vector<ExprId>& elements, uint32_t i) {
    return elements.size() == 1 ? elements[0] : elements[i];
  };
  for (uint32_t i = 0; i < static_cast<uint32_t>(shape.size()); ++i) {
    const ExprId rate = at(value.elements, i);
    if (value.after && mentions_marker(frame, rate, reading.dynamics.afters)) {
      report(frame, DiagKind::AfterWithoutInstant, ode.rate->span, "after(x) has a value only at an instant")
          .help = "multiply its term by a spike train, or use it in an 'on' block";
      return;
    }
    if (rate.valid() && !frame.pool().is_constant(rate, 0)) {
      reading.dynamics.flows.push_back({.variable = id, .element = i, .rate = rate, .span = ode.span});
    }
    for (const Train& train : value.trains) {
      const ExprId factor = at(train.factor, i);
      if (!factor.valid()) continue;
      reading.dynamics.jumps.push_back({.events = {train.event},
                                        .variable = id,
                                        .element = i,
                                        .assign = false,
                                        .value = factor,
                                        .span = ode.span});
    }
  }
}

void resolve_handler(Reading& reading, const std::vector<ast::HandlerItem>& items,
                     const std::vector<EventId>& events) {
  Frame& frame = reading.frame;
  Scope scope{.parent = frame.scope, .names = {}};
  Restore inside(frame.scope, &scope);
  Restore phase(frame.phase, Phase::Instant);
  Restore draws(frame.draws_allowed, true);
  for (const ast::HandlerItem& item : items) {
    const auto* let = std::get_if<ast::Let>(&item);
    if (let == nullptr) continue;
    Symbol symbol{.kind = SymbolKind::Local};
    symbol.definition = let->value.get();
    symbol.progress = Symbol::Progress::Lazy;
    declare(frame, scope, let->name, std::move(symbol));
  }
  for (const ast::HandlerItem& item : items) {
    std::visit(Overload{
                   [&](const ast::Let& let) {
                     Symbol& symbol = scope.names[let.name.text];
                     force(frame, let.name.text, symbol);
                     if (let.drawn && !symbol.value.poisoned && !symbol.value.drawn) {
                       report(frame, DiagKind::MisplacedDraw, let.value->span,
                              cat(quoted(let.name.text), " is declared with '~', but nothing here is drawn"))
                           .help = cat("write  let ", let.name.text,
                                       " = …  for a value; '~' wants a distribution such as normal(0, 1)");
                     }
                   },
                   [&](const ast::JumpStatement& jump) { resolve_jump(reading, jump, events); },
                   [&](const ast::PruneStatement& prune) {
                     report(frame, DiagKind::NotSupportedYet, prune.span, "not supported yet: 'prune'");
                   },
                   [&](const ast::GrowStatement& grow) {
                     report(frame, DiagKind::NotSupportedYet, grow.span, "not supported yet: 'grow'");
                   },
               },
               item);
  }
  if (!frame.session.options.lints || frame.session.diags.has_errors() || !frame.file->is_main) return;
  for (const ast::HandlerItem& item : items) {
    const auto* let = std::get_if<ast::Let>(&item);
    if (let == nullptr || scope.names[let->name.text].used) continue;
    report(frame, DiagKind::UnusedName, let->name.span, cat(quoted(let->name.text), " is never used"));
  }
}

void resolve_on(Reading& reading, const ast::On& on) {
  std::vector<EventId> events;
  if (on.event.period != nullptr) {
    const auto event = resolve_clock(reading, *on.event.period);
    if (!event) return;
    events.push_back(*event);
  }
  for (const ast::Path& path : on.event.events) {
    const auto event = resolve_event(reading, path);
    if (!event) return;
    if (std::ranges::find(events, *event) == events.end()) events.push_back(*event);
  }
  resolve_handler(reading, on.items, events);
}

}  // namespace hebb::sema
