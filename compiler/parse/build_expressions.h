#pragma once
// From ANTLR's trees to ours: names, numbers, units and expressions.

#include <memory>
#include <optional>

#include <HebbParser.h>

#include "compiler/ast/ast.h"
#include "compiler/parse/lexemes.h"
#include "compiler/parse/literals.h"
#include "compiler/support/diagnostic.h"
#include "compiler/support/text.h"

namespace hebb::parsing {

using Grammar = hebb_grammar::HebbParser;

/// Builds the nodes of one item. `lexemes` are the tokens the tree was made from.
struct ExpressionBuilder {
  const Lexemes& lexemes;
  Diagnostics& diags;

  using Rule = antlr4::ParserRuleContext;
  using Tree = antlr4::tree::ParseTree;

  const Lexeme& lexeme(const antlr4::Token* token) const { return lexemes[token->getTokenIndex()]; }
  Span span(Rule* rule) const {
    return join(lexeme(rule->getStart()).span, lexeme(rule->getStop()).span);
  }
  bool is(const antlr4::Token* token, std::string_view word) const {
    return token && lexeme(token).is(word);
  }
  ast::Name name(const antlr4::Token* token) const {
    return {std::string(lexeme(token).text), lexeme(token).span};
  }
  std::optional<ast::Name> maybe_name(const antlr4::Token* token) const {
    if (!token) return {};
    return name(token);
  }
  template <class Node>
  static ast::ExprPtr make(Span span, Node node) {
    return std::make_shared<ast::Expr>(ast::Expr{span, std::move(node)});
  }
  template <class Contexts, class Build>
  static auto each(const Contexts& contexts, Build build) {
    std::vector<decltype(build(contexts.front()))> out;
    out.reserve(contexts.size());
    for (const auto& context : contexts) out.push_back(build(context));
    return out;
  }

  // --- names, numbers, units ---

  // member : ID | 'pre' | 'post' | …
  ast::Name member(Grammar::MemberContext* ctx) const { return name(ctx->getStart()); }

  ast::Path path_of(Rule* ctx, const antlr4::Token* first,
                    const std::vector<Grammar::MemberContext*>& rest) const {
    ast::Path out{.parts = {name(first)}, .span = span(ctx)};
    for (Grammar::MemberContext* part : rest) out.parts.push_back(member(part));
    return out;
  }
  // path : (ID | 'pre' | 'post') ('.' member)*
  ast::Path path(Grammar::PathContext* ctx) const { return path_of(ctx, ctx->first, ctx->rest); }
  // qname : ID ('.' member)*
  ast::Path qname(Grammar::QnameContext* ctx) const { return path_of(ctx, ctx->first, ctx->rest); }
  // settingPath : member ('.' member)*
  ast::Path setting_path(Grammar::SettingPathContext* ctx) const {
    return {each(ctx->parts, [&](auto* part) { return member(part); }), span(ctx)};
  }

  double number(const antlr4::Token* token) const {
    return read_number(lexeme(token), diags);
  }
  int64_t whole(const antlr4::Token* token) const {
    return read_exponent(lexeme(token), diags);
  }

  // exponent : '-'? INT | '(' '-'? INT ('/' INT)? ')'
  void multiply_exponent(ast::UnitFactor& factor, Grammar::ExponentContext* ctx) const {
    if (!ctx) return;
    const int64_t above = whole(ctx->numerator);
    const int64_t below = ctx->denominator ? whole(ctx->denominator) : 1;
    if (below == 0) {
      diags.report(DiagKind::NumberOutOfRange, span(ctx), "an exponent cannot be divided by 0");
      return;
    }
    const ast::UnitFactor powered = raised(factor, ctx->minus ? -above : above, below);
    factor = powered;
  }
  // unitTerm : (ID | INT | '(' unit ')') ('^' exponent)?
  void add_unit_term(ast::Unit& out, Grammar::UnitTermContext* ctx, bool divided) const {
    std::vector<ast::UnitFactor> factors;
    if (ctx->name) factors.push_back({.name = name(ctx->name).text, .span = span(ctx)});
    else if (ctx->number) factors.push_back({.number = number(ctx->number), .span = span(ctx)});
    else factors = unit(ctx->unit()).factors;
    for (ast::UnitFactor& factor : factors) {
      multiply_exponent(factor, ctx->exponent());
      if (divided) factor.exponent_numerator = -factor.exponent_numerator;
      out.factors.push_back(std::move(factor));
    }
  }
  // unit : unitTerm (('*' | '/') unitTerm)*
  ast::Unit unit(Grammar::UnitContext* ctx) const {
    ast::Unit out{.span = span(ctx)};
    add_unit_term(out, ctx->first, false);
    for (Grammar::UnitRestContext* rest : ctx->rest) {
      add_unit_term(out, rest->unitTerm(), is(rest->op, "/"));
    }
    return out;
  }
  std::optional<ast::Unit> maybe_unit(Grammar::UnitContext* ctx) const {
    if (!ctx) return {};
    return unit(ctx);
  }

  // --- expressions ---

  /// operand (operator operand)*, as a loop: a sum of 20,000 terms is no deeper than one of two.
  template <class Operand, class Build>
  ast::ExprPtr chain(Rule* ctx, Build build) const {
    const std::vector<Tree*>& children = ctx->children;
    ast::ExprPtr left = build(static_cast<Operand*>(children[0]));
    for (size_t i = 1; i + 1 < children.size(); i += 2) {
      const antlr4::Token* op = static_cast<antlr4::tree::TerminalNode*>(children[i])->getSymbol();
      ast::ExprPtr right = build(static_cast<Operand*>(children[i + 1]));
      left = binary(op, std::move(left), std::move(right));
    }
    return left;
  }
  ast::ExprPtr binary(const antlr4::Token* op, ast::ExprPtr left, ast::ExprPtr right) const {
    const Span whole = join(left->span, right->span);
    return make(whole, ast::Binary{binary_op(lexeme(op).text), std::move(left),
                                   std::move(right), lexeme(op).span});
  }

  // expr : 'if' … 'then' … 'else' … | 'run' … | disj
  ast::ExprPtr expr(Grammar::ExprContext* ctx) const {
    if (auto* plain = dynamic_cast<Grammar::PlainExprContext*>(ctx)) return disj(plain->disj());
    if (auto* choice = dynamic_cast<Grammar::IfExprContext*>(ctx)) {
      return make(span(ctx), ast::IfThenElse{expr(choice->condition), expr(choice->yes),
                                             expr(choice->no)});
    }
    auto* run = dynamic_cast<Grammar::RunExprContext*>(ctx);
    return make(span(ctx), ast::Run{qname(run->network), sum(run->duration), with(run->with())});
  }
  // disj : conj ('or' conj)*
  ast::ExprPtr disj(Grammar::DisjContext* ctx) const {
    return chain<Grammar::ConjContext>(ctx, [&](auto* part) { return conj(part); });
  }
  // conj : neg ('and' neg)*
  ast::ExprPtr conj(Grammar::ConjContext* ctx) const {
    return chain<Grammar::NegContext>(ctx, [&](auto* part) { return neg(part); });
  }
  // neg : 'not' neg | cmp
  ast::ExprPtr neg(Grammar::NegContext* ctx) const {
    if (ctx->cmp()) return cmp(ctx->cmp());
    return make(span(ctx), ast::Unary{ast::UnaryOp::Not, neg(ctx->neg())});
  }
  // cmp : sum (op sum | 'in' interval)?
  ast::ExprPtr cmp(Grammar::CmpContext* ctx) const {
    ast::ExprPtr left = sum(ctx->left);
    if (ctx->op) return binary(ctx->op, std::move(left), sum(ctx->right));
    if (!ctx->interval()) return left;
    return inside(std::move(left), interval(ctx->interval()), span(ctx));
  }
  /// x in (a, b)  means  x > a and x < b.
  static ast::ExprPtr inside(ast::ExprPtr x, ast::Interval range, Span whole) {
    using ast::BinaryOp;
    const Span at = range.span;
    const BinaryOp above = range.low_open ? BinaryOp::Greater : BinaryOp::GreaterEqual;
    const BinaryOp below = range.high_open ? BinaryOp::Less : BinaryOp::LessEqual;
    ast::ExprPtr low = make(whole, ast::Binary{above, x, std::move(range.low), at});
    ast::ExprPtr high = make(whole, ast::Binary{below, x, std::move(range.high), at});
    return make(whole, ast::Binary{BinaryOp::And, std::move(low), std::move(high), at});
  }
  // sum : product (('+' | '-') product)*
  ast::ExprPtr sum(Grammar::SumContext* ctx) const {
    return chain<Grammar::ProductContext>(ctx, [&](auto* part) { return product(part); });
  }
  // product : sign (('*' | '/' | '@') sign)*
  ast::ExprPtr product(Grammar::ProductContext* ctx) const {
    return chain<Grammar::SignContext>(ctx, [&](auto* part) { return sign(part); });
  }
  // sign : ('-' | '+') sign | power
  ast::ExprPtr sign(Grammar::SignContext* ctx) const {
    if (!ctx->op) return power(ctx->power());
    const ast::UnaryOp op = is(ctx->op, "-") ? ast::UnaryOp::Minus : ast::UnaryOp::Plus;
    return make(span(ctx), ast::Unary{op, sign(ctx->sign())});
  }
  // power : postfix ('^' sign)?
  ast::ExprPtr power(Grammar::PowerContext* ctx) const {
    ast::ExprPtr base = postfix(ctx->base);
    if (!ctx->raised) return base;
    ast::ExprPtr exponent = sign(ctx->raised);
    if (auto* quantity = dynamic_cast<Grammar::QuantityExprContext*>(ctx->base)) {
      check_unit_power(lexemes, span(quantity), span(ctx->raised), span(ctx), diags);
    }
    const antlr4::Token* caret =
        static_cast<antlr4::tree::TerminalNode*>(ctx->children[1])->getSymbol();
    return binary(caret, std::move(base), std::move(exponent));
  }
  // postfix : quantity | STRING | 'true' | 'false' | 'inf' | '[' expr, … ']' | primary suffix*
  ast::ExprPtr postfix(Grammar::PostfixContext* ctx) const {
    if (auto* one = dynamic_cast<Grammar::PathExprContext*>(ctx)) return path_expr(one);
    if (auto* one = dynamic_cast<Grammar::QuantityExprContext*>(ctx)) return quantity(one->quantity());
    if (auto* one = dynamic_cast<Grammar::VectorExprContext*>(ctx)) {
      return make(span(ctx), ast::VectorLiteral{each(one->elements, [&](auto* e) { return expr(e); })});
    }
    if (auto* one = dynamic_cast<Grammar::BooleanExprContext*>(ctx)) {
      return make(span(ctx), ast::Boolean{is(one->value, "true")});
    }
    if (dynamic_cast<Grammar::InfinityExprContext*>(ctx)) return make(span(ctx), ast::Infinity{});
    return make(span(ctx), ast::String{read_text(lexeme(ctx->getStart()).text)});
  }
  // quantity : (INT | FLOAT) (ID | '[' unit ']')?
  ast::ExprPtr quantity(Grammar::QuantityContext* ctx) const {
    ast::Number out{.value = number(ctx->number),
                    .integer = lexeme(ctx->number).kind == LexKind::Integer};
    if (ctx->name) {
      const ast::Name unit_name = name(ctx->name);
      ast::Unit unit{.span = unit_name.span};
      unit.factors.push_back({.name = unit_name.text, .span = unit_name.span});
      out.unit = std::move(unit);
    } else {
      out.unit = maybe_unit(ctx->unit());
    }
    return make(span(ctx), std::move(out));
  }
  // primary suffix*
  ast::ExprPtr path_expr(Grammar::PathExprContext* ctx) const {
    ast::ExprPtr out;
    if (auto* one = dynamic_cast<Grammar::NamePrimaryContext*>(ctx->primary())) {
      out = make(span(one), ast::NameRef{name(one->name).text});
    } else {
      auto* paren = dynamic_cast<Grammar::ParenPrimaryContext*>(ctx->primary());
      out = make(span(paren), ast::Paren{expr(paren->inner)});
    }
    for (Grammar::SuffixContext* part : ctx->suffixes) out = suffix(std::move(out), part);
    return out;
  }
  // suffix : '.' member | '(' arg, … ')' | '[' index, … ']'
  ast::ExprPtr suffix(ast::ExprPtr object, Grammar::SuffixContext* ctx) const {
    const Span whole = join(object->span, span(ctx));
    if (auto* one = dynamic_cast<Grammar::MemberSuffixContext*>(ctx)) {
      return make(whole, ast::Member{std::move(object), member(one->member())});
    }
    if (auto* one = dynamic_cast<Grammar::CallSuffixContext*>(ctx)) {
      return make(whole, ast::Call{std::move(object),
                                   each(one->args, [&](auto* a) { return argument(a); })});
    }
    auto* one = dynamic_cast<Grammar::IndexSuffixContext*>(ctx);
    return make(whole, ast::Subscript{std::move(object),
                                      each(one->index(), [&](auto* i) { return index(i); })});
  }
  // arg : (path '=' | 'for' '=')? expr ('for' range, …)?
  ast::Argument argument(Grammar::ArgContext* ctx) const {
    ast::Argument out{.value = expr(ctx->value)};
    if (ctx->name) {
      const ast::Path full = path(ctx->name);
      ast::Name joined_name{.span = full.span};
      for (const ast::Name& part : full.parts) {
        joined_name.text += (joined_name.text.empty() ? "" : ".") + part.text;
      }
      out.name = std::move(joined_name);
    }
    if (ctx->word) out.name = name(ctx->word);
    out.ranges = each(ctx->ranges, [&](auto* r) {
      return ast::Range{name(r->name), sum(r->first), sum(r->last)};
    });
    return out;
  }
  // index : sum ('..' sum)? | ':'
  ast::IndexItem index(Grammar::IndexContext* ctx) const {
    if (ctx->all) return {};
    return {sum(ctx->first), ctx->last ? sum(ctx->last) : nullptr};
  }
  // interval : ('[' | '(') sum ',' sum (']' | ')')
  ast::Interval interval(Grammar::IntervalContext* ctx) const {
    return {sum(ctx->low), sum(ctx->high), is(ctx->open, "("), is(ctx->close, ")"), span(ctx)};
  }
  // setting : settingPath ('=' | '~') expr
  ast::Setting setting(Grammar::SettingContext* ctx) const {
    return {setting_path(ctx->settingPath()), is(ctx->op, "~"), expr(ctx->value), span(ctx)};
  }
  // with : 'with' '(' setting, … ')'
  std::vector<ast::Setting> with(Grammar::WithContext* ctx) const {
    if (!ctx) return {};
    return each(ctx->settings, [&](auto* s) { return setting(s); });
  }
  // instance : qname ('(' setting, … ')')?
  ast::Instance instance(Grammar::InstanceContext* ctx) const {
    return {qname(ctx->type), each(ctx->settings, [&](auto* s) { return setting(s); }), span(ctx)};
  }
  // ruleSum : instance ('+' instance)*
  ast::RuleExpr rule_sum(Grammar::RuleSumContext* ctx) const {
    if (!ctx) return {};
    return each(ctx->terms, [&](auto* t) { return instance(t); });
  }
  std::vector<ast::ExprPtr> exprs(const std::vector<Grammar::ExprContext*>& list) const {
    return each(list, [&](auto* e) { return expr(e); });
  }
  ast::ExprPtr maybe_expr(Grammar::ExprContext* ctx) const { return ctx ? expr(ctx) : nullptr; }
  ast::ExprPtr maybe_sum(Grammar::SumContext* ctx) const { return ctx ? sum(ctx) : nullptr; }
  std::vector<ast::ExprPtr> shape(Grammar::ShapeContext* ctx) const {
    if (!ctx) return {};
    return exprs(ctx->sizes);
  }
};

}  // namespace hebb::parsing
