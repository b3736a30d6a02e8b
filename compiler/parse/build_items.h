#pragma once
// From ANTLR's trees to ours: rules, neurons, networks, experiments and what else a file holds.

#include "compiler/parse/build_expressions.h"

namespace hebb::parsing {

struct Builder : ExpressionBuilder {
  // --- pieces of rules and neurons ---

  // constDecl : 'const' ID '=' expr ';'
  ast::Const constant(Grammar::ConstDeclContext* ctx) const {
    return {name(ctx->name), expr(ctx->value), span(ctx)};
  }
  // decl : ID shape? (':' unit)? ('in' interval)? (('=' | '~') expr)?
  ast::Declaration declaration(Grammar::DeclContext* ctx) const {
    ast::Declaration out{.name = name(ctx->name),
                         .shape = shape(ctx->shape()),
                         .unit = maybe_unit(ctx->unit()),
                         .drawn = is(ctx->op, "~"),
                         .value = maybe_expr(ctx->value),
                         .span = span(ctx)};
    if (ctx->interval()) out.bounds = interval(ctx->interval());
    if (out.value && is_interval_test(*out.value)) {
      diags.report(DiagKind::UnexpectedToken, std::get<ast::Binary>(out.value->node).op_span,
                   "the bounds stand before the start value")
          .help = cat("write  ", out.name.text, " in [low, high] ", out.drawn ? "~" : "=", " value");
    }
    return out;
  }
  /// What `inside` builds: an 'and' that stands where its two comparisons stand.
  static bool is_interval_test(const ast::Expr& expr) {
    const auto* both = std::get_if<ast::Binary>(&expr.node);
    if (both == nullptr || both->op != ast::BinaryOp::And) return false;
    const auto* low = std::get_if<ast::Binary>(&both->left->node);
    return low != nullptr && low->op_span == both->op_span;
  }
  std::vector<ast::Declaration> declarations(const std::vector<Grammar::DeclContext*>& list) const {
    return each(list, [&](auto* d) { return declaration(d); });
  }
  // paramDecl : 'param' decl (',' decl)* ';'
  ast::Param param(Grammar::ParamDeclContext* ctx) const {
    return {declarations(ctx->decls), span(ctx)};
  }
  // stateDecl : 'state' decl (',' decl)* ';'
  ast::State state(Grammar::StateDeclContext* ctx) const {
    return {declarations(ctx->decls), span(ctx)};
  }
  // weightDecl : 'weight' decl ';'
  ast::Weight weight(Grammar::WeightDeclContext* ctx) const {
    return {declaration(ctx->decl()), span(ctx)};
  }
  // signalDecl : 'signal' ID shape? (':' unit)? (('=' | '~') expr)? ';'
  ast::Signal signal(Grammar::SignalDeclContext* ctx) const {
    return {name(ctx->name),  shape(ctx->shape()),    maybe_unit(ctx->unit()),
            is(ctx->op, "~"), maybe_expr(ctx->value), span(ctx)};
  }
  // eventDecl : 'event' ID ';'
  ast::EventPort event_port(Grammar::EventDeclContext* ctx) const {
    return {name(ctx->name), span(ctx)};
  }
  // portDecl : ('receive' | 'input') ID (':' unit)? ';'
  ast::Port port(Grammar::PortDeclContext* ctx) const {
    const bool receives = is(ctx->kind, "receive");
    return {receives ? ast::PortKind::Receive : ast::PortKind::Input, name(ctx->name),
            maybe_unit(ctx->unit()), span(ctx)};
  }
  // letDecl : 'let' ID ('=' | '~') expr ';'
  ast::Let let(Grammar::LetDeclContext* ctx) const {
    return {name(ctx->name), is(ctx->op, "~"), expr(ctx->value), span(ctx)};
  }
  // reduceDecl : 'reduce' ID '=' ID '(' expr ')' 'per' ('pre' | 'post' | 'projection') ';'
  ast::Reduce reduce(Grammar::ReduceDeclContext* ctx) const {
    const ast::Per per = is(ctx->where_, "pre")    ? ast::Per::Pre
                         : is(ctx->where_, "post") ? ast::Per::Post
                                                   : ast::Per::Projection;
    return {name(ctx->name), name(ctx->function), expr(ctx->argument), per, span(ctx)};
  }
  // statDecl : 'stat' ID '=' ID '(' expr, … ')' 'over' sum ';'
  ast::Stat stat(Grammar::StatDeclContext* ctx) const {
    return {name(ctx->name), name(ctx->function), exprs(ctx->arguments), sum(ctx->window),
            span(ctx)};
  }
  // ode : ID "'" '=' expr ';'
  ast::Ode ode(Grammar::OdeContext* ctx) const {
    return {name(ctx->name), expr(ctx->rate), span(ctx)};
  }
  // event : 'every' sum | path ('or' path)*
  ast::EventExpr event(Grammar::EventContext* ctx) const {
    ast::EventExpr out{.span = span(ctx)};
    if (auto* clock = dynamic_cast<Grammar::EveryEventContext*>(ctx)) {
      out.period = sum(clock->period);
      return out;
    }
    auto* named = dynamic_cast<Grammar::NamedEventContext*>(ctx);
    out.events = each(named->names, [&](auto* p) { return path(p); });
    return out;
  }
  // jump : path ('[' index, … ']')? ('+=' | '-=' | ':=') expr ';'
  ast::JumpStatement jump(Grammar::JumpContext* ctx) const {
    const ast::JumpOp op = is(ctx->op, "+=")   ? ast::JumpOp::Add
                           : is(ctx->op, "-=") ? ast::JumpOp::Subtract
                                               : ast::JumpOp::Assign;
    return {path(ctx->target), each(ctx->indices, [&](auto* i) { return index(i); }), op,
            expr(ctx->value), span(ctx)};
  }
  // handlerItem : letDecl | 'prune' 'when' expr ';' | 'grow' 'when' expr ';' | jump
  ast::HandlerItem handler_item(Grammar::HandlerItemContext* ctx) const {
    if (auto* one = ctx->letDecl()) return let(one);
    if (auto* one = ctx->prune()) return ast::PruneStatement{expr(one->condition), span(one)};
    if (auto* one = ctx->grow()) return ast::GrowStatement{expr(one->condition), span(one)};
    return jump(ctx->jump());
  }
  std::vector<ast::HandlerItem> handler(
      const std::vector<Grammar::HandlerItemContext*>& items) const {
    return each(items, [&](auto* i) { return handler_item(i); });
  }
  // onBlock : 'on' event '{' handlerItem* '}'
  ast::On on_block(Grammar::OnBlockContext* ctx) const {
    return {event(ctx->event()), handler(ctx->items), span(ctx)};
  }
  // emitDecl : 'emit' ID 'when' expr ('{' handlerItem* '}' | ';')
  ast::Emit emit(Grammar::EmitDeclContext* ctx) const {
    return {name(ctx->name), expr(ctx->condition), handler(ctx->items), span(ctx)};
  }
  // refractory : 'refractory' sum 'holds' ID (',' ID)* ';'
  ast::Refractory refractory(Grammar::RefractoryContext* ctx) const {
    return {sum(ctx->duration), each(ctx->held, [&](auto* n) { return name(n); }), span(ctx)};
  }
  ast::RuleItem rule_item(Grammar::RuleItemContext* ctx) const {
    if (auto* one = ctx->constDecl()) return constant(one);
    if (auto* one = ctx->paramDecl()) return param(one);
    if (auto* one = ctx->weightDecl()) return weight(one);
    if (auto* one = ctx->stateDecl()) return state(one);
    if (auto* one = ctx->signalDecl()) return signal(one);
    if (auto* one = ctx->eventDecl()) return event_port(one);
    if (auto* one = ctx->letDecl()) return let(one);
    if (auto* one = ctx->reduceDecl()) return reduce(one);
    if (auto* one = ctx->statDecl()) return stat(one);
    if (auto* one = ctx->ode()) return ode(one);
    return on_block(ctx->onBlock());
  }
  ast::NeuronItem neuron_item(Grammar::NeuronItemContext* ctx) const {
    if (auto* one = ctx->constDecl()) return constant(one);
    if (auto* one = ctx->paramDecl()) return param(one);
    if (auto* one = ctx->stateDecl()) return state(one);
    if (auto* one = ctx->portDecl()) return port(one);
    if (auto* one = ctx->signalDecl()) return signal(one);
    if (auto* one = ctx->eventDecl()) return event_port(one);
    if (auto* one = ctx->letDecl()) return let(one);
    if (auto* one = ctx->statDecl()) return stat(one);
    if (auto* one = ctx->ode()) return ode(one);
    if (auto* one = ctx->emitDecl()) return emit(one);
    if (auto* one = ctx->refractory()) return refractory(one);
    return on_block(ctx->onBlock());
  }

  // --- networks ---

  // popDecl : 'pop' ID shape ':' instance ';'
  ast::Population population(Grammar::PopDeclContext* ctx) const {
    return {name(ctx->name), shape(ctx->shape()), instance(ctx->instance()), span(ctx)};
  }
  ast::ProjectionItem projection_item(Grammar::ProjectItemContext* ctx) const {
    const Span at = span(ctx);
    if (auto* one = dynamic_cast<Grammar::ConnectContext*>(ctx)) {
      return ast::Connect{expr(one->how), at};
    }
    if (auto* one = dynamic_cast<Grammar::InitContext*>(ctx)) {
      return ast::Init{name(one->name), is(one->op, "~"), expr(one->value), at};
    }
    if (auto* one = dynamic_cast<Grammar::DelayContext*>(ctx)) {
      return ast::Delay{name(one->name), is(one->op, "~"), expr(one->value), at};
    }
    if (auto* one = dynamic_cast<Grammar::DriveContext*>(ctx)) {
      return ast::Drive{name(one->port), expr(one->value), at};
    }
    auto* one = dynamic_cast<Grammar::BindContext*>(ctx);
    return ast::Bind{path(one->target), expr(one->value), at};
  }
  // projectDecl : 'project' ID '->' ID 'as' ID ('via' ruleSum)? '{' projectItem* '}'
  ast::Projection projection(Grammar::ProjectDeclContext* ctx) const {
    return {name(ctx->pre),
            name(ctx->post),
            name(ctx->name),
            rule_sum(ctx->via),
            each(ctx->items, [&](auto* i) { return projection_item(i); }),
            span(ctx)};
  }
  // recordDecl : 'record' postfix ('every' sum | 'on' postfix)? ('as' ID)? ';'
  ast::Record record(Grammar::RecordDeclContext* ctx) const {
    return {postfix(ctx->what), maybe_sum(ctx->period), ctx->trigger ? postfix(ctx->trigger) : nullptr, maybe_name(ctx->alias), span(ctx)};
  }
  ast::NetworkItem network_item(Grammar::NetworkItemContext* ctx) const {
    if (auto* one = ctx->constDecl()) return constant(one);
    if (auto* one = ctx->signalDecl()) return signal(one);
    if (auto* one = ctx->eventDecl()) return event_port(one);
    if (auto* one = ctx->popDecl()) return population(one);
    if (auto* one = ctx->projectDecl()) return projection(one);
    if (auto* one = ctx->recordDecl()) return record(one);
    if (auto* one = ctx->abortDecl()) return ast::AbortWhen{expr(one->condition), span(one)};
    return ast::Freeze{path(ctx->freezeDecl()->what), span(ctx)};
  }

  // --- experiments ---

  std::string text(const antlr4::Token* token) const {
    return read_text(lexeme(token).text);
  }
  std::vector<ast::ExprPtr> disjs(const std::vector<Grammar::DisjContext*>& list) const {
    return each(list, [&](auto* e) { return disj(e); });
  }
  std::vector<ast::Path> paths(const std::vector<Grammar::PathContext*>& list) const {
    return each(list, [&](auto* p) { return path(p); });
  }
  // loop : ID 'in' sum ('..' sum)?
  ast::Loop loop(Grammar::LoopContext* ctx) const {
    return {name(ctx->name), sum(ctx->first), maybe_sum(ctx->last), span(ctx)};
  }
  ast::Action action(Grammar::ActionContext* ctx) const {
    const Span at = span(ctx);
    if (auto* one = dynamic_cast<Grammar::LetActionContext*>(ctx)) return let(one->letDecl());
    if (auto* one = dynamic_cast<Grammar::PrintContext*>(ctx)) {
      return ast::Print{exprs(one->values), at};
    }
    if (auto* one = dynamic_cast<Grammar::AssertContext*>(ctx)) {
      return ast::Assert{expr(one->condition), at};
    }
    if (auto* one = dynamic_cast<Grammar::PlotContext*>(ctx)) {
      ast::Plot plot{.values = disjs(one->values), .settings = with(one->with()), .span = at};
      if (one->to) plot.to = text(one->to);
      return plot;
    }
    if (auto* one = dynamic_cast<Grammar::SaveContext*>(ctx)) {
      return ast::Save{disjs(one->values), text(one->to), at};
    }
    if (auto* one = dynamic_cast<Grammar::FitContext*>(ctx)) {
      return ast::Fit{paths(one->paths), disj(one->loss), with(one->with()), at};
    }
    if (auto* one = dynamic_cast<Grammar::SearchContext*>(ctx)) {
      return ast::Search{paths(one->paths), disj(one->objective), with(one->with()), at};
    }
    if (auto* one = dynamic_cast<Grammar::MeasureContext*>(ctx)) {
      return ast::Measure{name(one->name), expr(one->value), at};
    }
    if (auto* one = dynamic_cast<Grammar::ForContext*>(ctx)) {
      return ast::For{each(one->loops, [&](auto* l) { return loop(l); }),
                      std::make_shared<const ast::ActionBlock>(ast::ActionBlock{actions(one->actions)}), at};
    }
    auto* one = dynamic_cast<Grammar::AcceptContext*>(ctx);
    return ast::Accept{name(one->name), expr(one->condition), at};
  }
  std::vector<ast::Action> actions(const std::vector<Grammar::ActionContext*>& list) const {
    return each(list, [&](auto* a) { return action(a); });
  }

  // --- items ---

  // importDecl : 'import' (qname | STRING) ('as' ID)? ';'
  ast::Import import(Grammar::ImportDeclContext* ctx) const {
    ast::Import out{.as = maybe_name(ctx->alias), .span = span(ctx)};
    if (ctx->module) out.path = qname(ctx->module);
    else out.file = text(ctx->text);
    return out;
  }
  // funDecl : 'fun' ID '(' ID, … ')' '=' expr ('where' binding, …)? ';'
  ast::FunctionDecl function(Grammar::FunDeclContext* ctx, std::string doc) const {
    ast::FunctionDecl out{.name = name(ctx->name), .body = expr(ctx->body), .doc = std::move(doc),
                          .span = span(ctx)};
    for (const antlr4::Token* parameter : ctx->params) out.parameters.push_back(name(parameter));
    for (Grammar::BindingContext* binding : ctx->bindings) {
      out.where.emplace_back(name(binding->name), expr(binding->value));
    }
    return out;
  }
  // ruleDecl : 'rule' ID (ruleBody | '=' ruleSum ';')
  ast::RuleDecl rule(Grammar::RuleDeclContext* ctx, std::string doc) const {
    ast::RuleDecl out{.name = name(ctx->name), .doc = std::move(doc), .span = span(ctx)};
    if (auto* body = ctx->ruleBody()) {
      out.contract = maybe_name(body->contract);
      out.items = each(body->items, [&](auto* i) { return rule_item(i); });
      return out;
    }
    out.sum = rule_sum(ctx->ruleSum());
    out.is_sum = true;
    return out;
  }
  ast::Item item(Grammar::ItemContext* ctx, std::string doc) const {
    if (auto* one = ctx->importDecl()) return import(one);
    if (auto* one = ctx->constDecl()) return constant(one);
    if (auto* one = ctx->funDecl()) return function(one, std::move(doc));
    if (auto* one = ctx->ruleDecl()) return rule(one, std::move(doc));
    if (auto* one = ctx->neuronDecl()) {
      return ast::NeuronDecl{name(one->name),
                             each(one->items, [&](auto* i) { return neuron_item(i); }),
                             std::move(doc), span(one)};
    }
    if (auto* one = ctx->networkDecl()) {
      return ast::NetworkDecl{name(one->name),
                              each(one->items, [&](auto* i) { return network_item(i); }),
                              std::move(doc), span(one)};
    }
    if (auto* one = ctx->experimentDecl()) {
      return ast::ExperimentDecl{name(one->name), actions(one->actions), std::move(doc), span(one)};
    }
    auto* test = ctx->testDecl();
    return ast::TestDecl{text(test->title), actions(test->actions), std::move(doc), span(test)};
  }
};

}  // namespace hebb::parsing
