#include "compiler/sema/lints.h"

#include <algorithm>

#include "compiler/sema/signs.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

bool wanted(const Reading& reading) {
  return reading.frame.session.options.lints && reading.frame.file->is_main;
}

/// Names in order of their declaration: messages must not depend on a hash.
std::vector<std::pair<std::string, const Symbol*>> in_order(const Scope& scope) {
  std::vector<std::pair<std::string, const Symbol*>> out;
  for (const auto& [name, symbol] : scope.names) out.emplace_back(name, &symbol);
  std::ranges::sort(out, {}, [](const auto& entry) { return entry.second->span.begin; });
  return out;
}

/// States that nothing but their own equation reads, in a rule whose weight moves: a trace that was
/// forgotten. Without a moving weight the state itself is what a 'drive' reads.
bool forgotten_state(const Reading& reading, const Symbol& symbol) {
  if (symbol.kind != SymbolKind::State || reading.rule == nullptr) return false;
  const VarId weight = reading.rule->weight;
  const auto moves = [&](const auto& change) { return change.variable == weight; };
  return weight.valid() && (std::ranges::any_of(reading.dynamics.flows, moves) ||
                            std::ranges::any_of(reading.dynamics.jumps, moves));
}

void report_unused(Reading& reading) {
  Session& session = reading.frame.session;
  for (const auto& [name, symbol] : in_order(reading.scope)) {
    if (symbol->used || session.mentioned.contains(name)) continue;
    bool lint = false;
    switch (symbol->kind) {
      case SymbolKind::Constant:
      case SymbolKind::Parameter:
        lint = true;
        break;
      case SymbolKind::Let:
      case SymbolKind::Signal:
      case SymbolKind::Reduce:
      case SymbolKind::Stat:
        lint = !reading.is_neuron;
        break;
      case SymbolKind::Event:
        lint = !reading.is_neuron;
        break;
      case SymbolKind::State:
        lint = forgotten_state(reading, *symbol);
        break;
      case SymbolKind::Local:
      case SymbolKind::Weight:
      case SymbolKind::Input:
      case SymbolKind::Receive:
      case SymbolKind::Population:
      case SymbolKind::Projection:
      case SymbolKind::Broken:
        break;
    }
    if (!lint) continue;
    const bool state = symbol->kind == SymbolKind::State;
    session.diags.report(DiagKind::UnusedName, symbol->span,
                         cat(quoted(name), state ? " is never read" : " is never used"));
  }
}

void report_only_grows(Reading& reading) {
  const Rule& rule = *reading.rule;
  if (!rule.weight.valid()) return;
  Model& model = reading.frame.session.model;
  const Variable& weight = model[rule.weight];
  if (weight.high.valid() || weight.bounds.high < std::numeric_limits<double>::infinity()) return;
  std::map<uint32_t, Sign> signs = signs_of(model, rule);
  bool changes = false;
  const auto grows = [&](ExprId value) {
    const Sign sign = sign_of(model, value, signs);
    changes |= sign == Sign::Positive;
    return sign == Sign::Positive || sign == Sign::Zero;
  };
  Span where;
  for (const Flow& flow : rule.flows) {
    if (flow.variable != rule.weight) continue;
    if (!grows(flow.rate)) return;
    where = flow.span;
  }
  for (const Jump& jump : rule.jumps) {
    if (jump.variable != rule.weight) continue;
    if (jump.assign || !grows(jump.value)) return;
    where = jump.span;
  }
  if (!changes) return;
  reading.frame.session.diags
      .report(DiagKind::OnlyGrows, where,
              cat(weight.name, " only grows: no term of ", weight.name, "' is ever negative and ",
                  weight.name, " has no upper bound"))
      .help = cat("give it one:  weight ", weight.name, " in [0, 1];");
}

/// One letter more, less or other, or two neighbours the wrong way round.
bool one_slip(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 1 || a == b) return false;
  size_t at = 0;
  while (at < a.size() && a[at] == b[at]) ++at;
  if (a.size() < b.size()) return a.substr(at) == b.substr(at + 1);
  if (a.substr(at + 1) == b.substr(at + 1)) return true;
  return at + 1 < a.size() && a[at] == b[at + 1] && a[at + 1] == b[at] && a.substr(at + 2) == b.substr(at + 2);
}

/// "pre.spke", which the rule takes for a number, or for an event of that name.
void report_near_events(Reading& reading) {
  Session& session = reading.frame.session;
  for (const VarId id : reading.dynamics.variables) {
    const Variable& variable = session.model[id];
    if (variable.kind != VarKind::PreValue && variable.kind != VarKind::PostValue) continue;
    const std::string side = variable.kind == VarKind::PreValue ? "pre." : "post.";
    std::set<std::string> events = {cat(side, "spike")};
    for (const std::string& event : reading.frame.event_members)
      if (event.starts_with(side)) events.insert(event);
    const std::string name = cat(side, variable.member);
    for (const std::string& event : events) {
      if (!one_slip(name, event)) continue;
      session.diags
          .report(DiagKind::NearEvent, variable.span,
                  cat(quoted(name), " is a value that the neuron must have, not the event ", quoted(event)))
          .help = cat("did you mean ", quoted(event), "?");
      break;
    }
  }
  for (const Event& event : reading.dynamics.events) {
    const bool pre = event.kind == EventKind::PreEvent;
    if (!(pre || event.kind == EventKind::PostEvent) || !one_slip(event.name, "spike")) continue;
    const std::string side = pre ? "pre." : "post.";
    session.diags
        .report(DiagKind::NearEvent, event.span,
                cat(quoted(cat(side, event.name)), " is an event that the neuron must emit, not ", quoted(cat(side, "spike"))))
        .help = cat("did you mean ", quoted(cat(side, "spike")), "?");
  }
}

struct Mentions {
  std::set<std::string>& names;

  void operator()(const ast::ExprPtr& start) {
    std::vector<const ast::Expr*> stack;
    const auto push = [&](const ast::ExprPtr& expr) {
      if (expr != nullptr) stack.push_back(expr.get());
    };
    push(start);
    while (!stack.empty()) {
      const ast::Expr* expr = stack.back();
      stack.pop_back();
      if (const auto* node = std::get_if<ast::NameRef>(&expr->node)) names.insert(node->name);
      if (const auto* node = std::get_if<ast::Member>(&expr->node))
        names.insert(node->member.text), push(node->object);
      if (const auto* node = std::get_if<ast::Paren>(&expr->node)) push(node->inner);
      if (const auto* node = std::get_if<ast::Unary>(&expr->node)) push(node->operand);
      if (const auto* node = std::get_if<ast::Binary>(&expr->node)) push(node->left), push(node->right);
      if (const auto* node = std::get_if<ast::Subscript>(&expr->node)) push(node->object);
      if (const auto* node = std::get_if<ast::IfThenElse>(&expr->node))
        push(node->condition), push(node->then_value), push(node->else_value);
      if (const auto* node = std::get_if<ast::VectorLiteral>(&expr->node))
        for (const auto& element : node->elements) push(element);
      if (const auto* node = std::get_if<ast::Call>(&expr->node)) {
        push(node->callee);
        for (const ast::Argument& argument : node->arguments) push(argument.value);
      }
      if (const auto* node = std::get_if<ast::Run>(&expr->node)) {
        for (const ast::Setting& setting : node->settings) path(setting.path), push(setting.value);
      }
    }
  }
  /// Only x of pre.x and post.x.
  void members(const ast::ExprPtr& start) {
    std::set<std::string> all;
    Mentions every{all};
    every(start);
    if (all.contains("pre") || all.contains("post")) names.insert(all.begin(), all.end());
  }
  void path(const ast::Path& where) {
    for (const ast::Name& part : where.parts) names.insert(part.text);
  }
};

}  // namespace

void lint_rule(Reading& reading) {
  if (!wanted(reading)) return;
  report_unused(reading);
  report_only_grows(reading);
  report_near_events(reading);
}

void lint_neuron(Reading& reading) {
  if (wanted(reading)) report_unused(reading);
}

void collect_mentioned(Session& session, const ast::File& file) {
  Mentions mention{session.mentioned};
  const auto actions = [&](const std::vector<ast::Action>& list) {
    ast::for_each_action(list, [&](const ast::Action& action) {
      if (const auto* node = std::get_if<ast::Let>(&action)) mention(node->value);
      if (const auto* node = std::get_if<ast::Assert>(&action)) mention(node->condition);
      if (const auto* node = std::get_if<ast::Measure>(&action)) mention(node->value);
      if (const auto* node = std::get_if<ast::Accept>(&action)) mention(node->condition);
      if (const auto* node = std::get_if<ast::Print>(&action))
        for (const auto& value : node->values) mention(value);
      if (const auto* node = std::get_if<ast::Plot>(&action))
        for (const auto& value : node->values) mention(value);
      if (const auto* node = std::get_if<ast::Save>(&action))
        for (const auto& value : node->values) mention(value);
      if (const auto* node = std::get_if<ast::Fit>(&action))
        for (const auto& path : node->paths) mention.path(path);
      if (const auto* node = std::get_if<ast::Search>(&action))
        for (const auto& path : node->paths) mention.path(path);
      if (const auto* node = std::get_if<ast::For>(&action))
        for (const ast::Loop& loop : node->loops) mention(loop.first), mention(loop.last);
    });
  };
  for (const ast::Item& item : file.items) {
    if (const auto* node = std::get_if<ast::ExperimentDecl>(&item)) actions(node->actions);
    if (const auto* node = std::get_if<ast::TestDecl>(&item)) actions(node->actions);
    if (const auto* node = std::get_if<ast::RuleDecl>(&item)) {
      // post.theta of a rule reads a parameter of its neuron.
      for (const ast::RuleItem& part : node->items) {
        if (const auto* let = std::get_if<ast::Let>(&part)) mention.members(let->value);
        if (const auto* ode = std::get_if<ast::Ode>(&part)) mention.members(ode->rate);
      }
    }
    const auto* network = std::get_if<ast::NetworkDecl>(&item);
    if (network == nullptr) continue;
    for (const ast::NetworkItem& part : network->items) {
      if (const auto* node = std::get_if<ast::Record>(&part)) mention(node->what), mention(node->on);
      if (const auto* node = std::get_if<ast::Signal>(&part)) mention(node->value);
      if (const auto* node = std::get_if<ast::Projection>(&part)) {
        for (const ast::ProjectionItem& line : node->items) {
          if (const auto* drive = std::get_if<ast::Drive>(&line)) mention(drive->value);
          if (const auto* bind = std::get_if<ast::Bind>(&line)) mention(bind->value);
        }
      }
    }
  }
}

}  // namespace hebb::sema
