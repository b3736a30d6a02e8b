#pragma once
// What rules and neurons have in common: declarations, equations, what happens at events.

#include "compiler/sema/frame.h"

namespace hebb::sema {

/// A rule or neuron while it is being read. Not movable: the frame points into it.
struct Reading {
  Reading(Session& session, FileTable& file, Dynamics& dynamics, bool is_neuron);
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  DimensionSystem dimensions;
  std::map<uint32_t, DimensionTerm> variable_dimensions;
  Scope scope;
  Frame frame;
  Dynamics& dynamics;
  bool is_neuron;
  Rule* rule = nullptr;
  Neuron* neuron = nullptr;
  std::map<uint32_t, Span> equations;                   // by VarId: where its equation is
  std::map<std::string, std::pair<bool, Span>> unread;  // states: only their own equation reads them
};

/// Finds or adds an event.
EventId event_of(Dynamics& dynamics, Event event);
/// The requirement pre.NAME or post.NAME as a variable, added at first use.
VarId requirement(Model& model, Dynamics& dynamics, bool pre, const ast::Name& name);

/// A new variable with its name in the scope; `declaration` may be null.
Symbol& add_variable(Reading& reading, const ast::Name& name, VarKind kind, SymbolKind symbol_kind,
                     Shape shape);
void declare_variable(Reading& reading, const ast::Declaration& declaration, VarKind kind,
                      SymbolKind symbol_kind);
void resolve_declaration(Reading& reading, const ast::Declaration& declaration);
void declare_constant(Reading& reading, const ast::Const& constant);
void declare_let(Reading& reading, const ast::Let& let);
void declare_signal(Reading& reading, const ast::Signal& signal);
void resolve_signal(Reading& reading, const ast::Signal& signal);
void declare_stat(Reading& reading, const ast::Stat& stat);
void resolve_stat(Reading& reading, const ast::Stat& stat);
void resolve_let(Reading& reading, const ast::Let& let);

// --- equations.cpp ---
void resolve_ode(Reading& reading, const ast::Ode& ode);
void resolve_on(Reading& reading, const ast::On& on);
void resolve_handler(Reading& reading, const std::vector<ast::HandlerItem>& items,
                     const std::vector<EventId>& events);
/// Variables that `root` reads, through lets.
std::vector<VarId> reads(const Model& model, ExprId root);
/// E03 where after(x), perhaps through a let, stands in what is no instant; `what` names it.
bool reject_after(Frame& frame, const Value& value, Span span, std::string_view what);
/// E05, cycles of after(x); settles dimensions; puts jumps into their canonical order.
void finish(Reading& reading);
void report_conflicts(Session& session, const Dynamics& dynamics);

void read_rule(Reading& reading, const ast::RuleDecl& decl);
void read_neuron(Reading& reading, const ast::NeuronDecl& decl);

}  // namespace hebb::sema
