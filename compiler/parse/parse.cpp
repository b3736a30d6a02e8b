// ANTLR's tokens and trees become ours here, and nowhere else is ANTLR seen. The grammar is called
// once per top-level item. When an item does not parse, syntax_error.cpp says why and how to change
// the tokens, and the item is parsed again: so every mistake is told once and the next is found too.

#include "compiler/parse/parse.h"

#include <algorithm>
#include <cassert>
#include <deque>
#include <unordered_map>

#include <HebbLexer.h>
#include <HebbParser.h>

#include "compiler/parse/brackets.h"
#include "compiler/parse/habits.h"
#include "compiler/parse/lexemes.h"
#include "compiler/parse/limits.h"
#include "compiler/parse/literals.h"
#include "compiler/parse/syntax_error.h"
#include "compiler/parse/words.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

using hebb_grammar::HebbLexer;
using Grammar = hebb_grammar::HebbParser;
using parsing::Lexeme;
using parsing::Lexemes;
using parsing::LexKind;

// --- tokens --------------------------------------------------------------------------------------

/// Where each kind of word stands in ANTLR's numbering.
struct TokenTypes {
  std::unordered_map<std::string_view, size_t> literals;
};

/// "'while'" → "while"; ANTLR spells the prime with its escape.
std::string_view unquoted(std::string_view literal) {
  literal = literal.substr(1, literal.size() - 2);
  return literal == "\\'" ? "'" : literal;
}

const TokenTypes& token_types() {
  static const TokenTypes types = [] {
    static std::deque<std::string> spellings;
    TokenTypes out;
    antlr4::ANTLRInputStream nothing;
    const HebbLexer lexer(&nothing);
    const antlr4::dfa::Vocabulary& vocabulary = lexer.getVocabulary();
    for (size_t type = 1; type <= HebbLexer::UNKNOWN; ++type) {
      const std::string literal = vocabulary.getLiteralName(type);
      if (!literal.empty()) out.literals.emplace(spellings.emplace_back(unquoted(literal)), type);
    }
    return out;
  }();
  return types;
}

size_t antlr_type(const Lexeme& lexeme) {
  switch (lexeme.kind) {
    case LexKind::Name: return HebbLexer::ID;
    case LexKind::Integer: return HebbLexer::INT;
    case LexKind::Decimal: return HebbLexer::FLOAT;
    case LexKind::Text: return HebbLexer::STRING;
    case LexKind::UnclosedText: return HebbLexer::UNCLOSED;
    case LexKind::Comment: return HebbLexer::COMMENT;
    case LexKind::End: return antlr4::Token::EOF;
    case LexKind::Unknown: return HebbLexer::UNKNOWN;
    case LexKind::Keyword:
    case LexKind::Symbol: break;
  }
  const auto& literals = token_types().literals;
  const auto found = literals.find(lexeme.text);
  return found == literals.end() ? static_cast<size_t>(HebbLexer::UNKNOWN) : found->second;
}

LexKind lex_kind(size_t type, std::string_view text) {
  switch (type) {
    case HebbLexer::ID: return LexKind::Name;
    case HebbLexer::INT: return LexKind::Integer;
    case HebbLexer::FLOAT: return LexKind::Decimal;
    case HebbLexer::STRING: return LexKind::Text;
    case HebbLexer::UNCLOSED: return LexKind::UnclosedText;
    case HebbLexer::DOC:
    case HebbLexer::COMMENT: return LexKind::Comment;
    case HebbLexer::UNKNOWN: return LexKind::Unknown;
  }
  const auto first = static_cast<unsigned char>(text.front());
  return std::isalpha(first) ? LexKind::Keyword : LexKind::Symbol;
}

/// Every token of a file, comments among them. ANTLR counts characters, spans count bytes.
Lexemes lex(const Sources& sources, FileId file) {
  const std::string_view text = sources[file].text;
  const uint32_t bom = parsing::byte_order_mark(text);
  antlr4::ANTLRInputStream input{std::string(text.substr(bom))};
  HebbLexer lexer(&input);
  lexer.removeErrorListeners();
  size_t character = 0;
  uint32_t byte = bom;
  const auto byte_of = [&](size_t wanted) {
    while (character < wanted && byte < text.size()) {
      do ++byte;
      while (byte < text.size() && (static_cast<unsigned char>(text[byte]) & 0xC0) == 0x80);
      ++character;
    }
    return byte;
  };
  Lexemes out;
  while (true) {
    const std::unique_ptr<antlr4::Token> token = lexer.nextToken();
    if (token->getType() == antlr4::Token::EOF) break;
    const uint32_t begin = byte_of(token->getStartIndex());
    const uint32_t end = byte_of(token->getStopIndex() + 1);
    const std::string_view word = text.substr(begin, end - begin);
    out.push_back({lex_kind(token->getType(), word), {file, begin, end}, word});
  }
  const uint32_t size = static_cast<uint32_t>(text.size());
  out.push_back({LexKind::End, {file, size, size}, ""});
  return out;
}

/// The lexemes from `first` on, as ANTLR wants to see them; made only as far as the parser looks.
class LexemeStream : public antlr4::TokenStream {
 public:
  LexemeStream(const Lexemes& lexemes, size_t first) : lexemes_(lexemes), first_(first), at_(first) {}

  antlr4::Token* LT(ssize_t k) override {
    if (k == 0 || (k < 0 && static_cast<size_t>(-k) > at_ - first_)) return nullptr;
    return get(k > 0 ? at_ + static_cast<size_t>(k) - 1 : at_ - static_cast<size_t>(-k));
  }
  antlr4::Token* get(size_t index) const override {
    index = std::min(index, lexemes_.size() - 1);
    while (made_.size() <= index - first_) {
      const size_t next = first_ + made_.size();
      made_.emplace_back(antlr_type(lexemes_[next]));
      made_.back().setTokenIndex(next);
    }
    return &made_[index - first_];
  }
  size_t LA(ssize_t k) override {
    const antlr4::Token* token = LT(k);
    return token ? token->getType() : 0;
  }
  void consume() override { at_ = std::min(at_ + 1, lexemes_.size() - 1); }
  ssize_t mark() override { return 0; }
  void release(ssize_t) override {}
  size_t index() override { return at_; }
  void seek(size_t index) override { at_ = std::min(index, lexemes_.size() - 1); }
  size_t size() override { return lexemes_.size(); }
  std::string getSourceName() const override { return {}; }
  antlr4::TokenSource* getTokenSource() const override { return nullptr; }
  std::string getText() override { return {}; }
  std::string getText(const antlr4::misc::Interval&) override { return {}; }
  std::string getText(antlr4::RuleContext*) override { return {}; }
  std::string getText(antlr4::Token*, antlr4::Token*) override { return {}; }

 private:
  const Lexemes& lexemes_;
  size_t first_, at_;
  mutable std::deque<antlr4::CommonToken> made_;
};

// --- failures ------------------------------------------------------------------------------------

/// Leaves the generated parser at its first mistake; caught in parse_item.
struct Stop {
  parsing::SyntaxFailure failure;
};

/// Never recovers inside ANTLR: the first mistake is told with what would have been right.
class StopAtFirst : public antlr4::DefaultErrorStrategy {
 public:
  void reportError(antlr4::Parser*, const antlr4::RecognitionException&) override {}
  void sync(antlr4::Parser*) override {}
  antlr4::Token* recoverInline(antlr4::Parser* parser) override {
    stop(parser, parser->getCurrentToken()->getTokenIndex(), true);
  }
  void recover(antlr4::Parser* parser, std::exception_ptr cause) override {
    size_t token = parser->getCurrentToken()->getTokenIndex();
    bool at_decision = true;
    try {
      std::rethrow_exception(cause);
    } catch (const antlr4::NoViableAltException& e) {
      token = e.getOffendingToken()->getTokenIndex();
      at_decision = e.getStartToken()->getTokenIndex() == token;
    } catch (const antlr4::RecognitionException&) {
    }
    stop(parser, token, at_decision);
  }

 private:
  /// Behind a decision that looked further ahead, ANTLR cannot say what would have fitted.
  [[noreturn]] void stop(antlr4::Parser* parser, size_t token, bool knows_expected) {
    parsing::SyntaxFailure failure{.token = token};
    failure.rules = parser->getRuleInvocationStack();
    if (knows_expected) {
      const antlr4::dfa::Vocabulary& vocabulary = parser->getVocabulary();
      for (const ssize_t type : parser->getExpectedTokens().toList()) {
        if (type <= 0) continue;
        const std::string literal = vocabulary.getLiteralName(static_cast<size_t>(type));
        failure.expected.push_back(literal.empty()
                                       ? vocabulary.getSymbolicName(static_cast<size_t>(type))
                                       : std::string(unquoted(literal)));
      }
    }
    throw Stop{std::move(failure)};
  }
};

// --- trees → AST ---------------------------------------------------------------------------------

/// Builds the nodes of one item. `lexemes` are the tokens the tree was made from.
struct Builder {
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
    return parsing::read_number(lexeme(token), diags);
  }
  int64_t whole(const antlr4::Token* token) const {
    return parsing::read_exponent(lexeme(token), diags);
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
    const ast::UnitFactor powered = parsing::raised(factor, ctx->minus ? -above : above, below);
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
    return make(whole, ast::Binary{parsing::binary_op(lexeme(op).text), std::move(left),
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
      parsing::check_unit_power(lexemes, span(quantity), span(ctx->raised), span(ctx), diags);
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
    return make(span(ctx), ast::String{parsing::read_text(lexeme(ctx->getStart()).text)});
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
  // recordDecl : 'record' postfix ('every' sum)? ('as' ID)? ';'
  ast::Record record(Grammar::RecordDeclContext* ctx) const {
    return {postfix(ctx->what), maybe_sum(ctx->period), maybe_name(ctx->alias), span(ctx)};
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
    return parsing::read_text(lexeme(token).text);
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

// --- one item after the other --------------------------------------------------------------------

struct ItemResult {
  std::optional<ast::Item> item;
  size_t next = 0;  // the first token behind it
  std::optional<parsing::SyntaxFailure> failure;
};

/// SLL looks at less context and is fast; where it fails, LL decides whether the text is wrong.
ItemResult parse_item(const Lexemes& lexemes, size_t first, const std::string& doc,
                      antlr4::atn::PredictionMode mode, Diagnostics& diags) {
  LexemeStream stream(lexemes, first);
  Grammar parser(&stream);
  parser.removeErrorListeners();
  parser.setErrorHandler(std::make_shared<StopAtFirst>());
  parser.getInterpreter<antlr4::atn::ParserATNSimulator>()->setPredictionMode(mode);
  try {
    Grammar::ItemContext* tree = parser.item();
    const Builder build{lexemes, diags};
    return {.item = build.item(tree, doc), .next = stream.index()};
  } catch (Stop& stop) {
    return {.failure = std::move(stop.failure)};
  }
}

ItemResult parse_item(const Lexemes& lexemes, size_t first, const std::string& doc,
                      Diagnostics& diags) {
  using Mode = antlr4::atn::PredictionMode;
  ItemResult fast = parse_item(lexemes, first, doc, Mode::SLL, diags);
  return fast.item ? std::move(fast) : parse_item(lexemes, first, doc, Mode::LL, diags);
}

/// The '##' lines that end on the line above `first`, without their signs.
std::string doc_above(const Sources& sources, const std::vector<ast::Comment>& comments, Span first) {
  const auto behind = std::partition_point(comments.begin(), comments.end(), [&](const auto& c) {
    return c.span.begin < first.begin;
  });
  std::vector<std::string> lines;
  Span below = first;
  for (auto it = behind; it != comments.begin();) {
    const ast::Comment& comment = *--it;
    const std::string_view gap = sources.text({first.file, comment.span.end, below.begin});
    const bool next_line = std::ranges::count(gap, '\n') == 1 &&
                           gap.find_first_not_of(" \t\r\n") == std::string_view::npos;
    if (!comment.text.starts_with("##") || !next_line) break;
    const size_t text = comment.text.find_first_not_of("# \t");
    lines.push_back(text == std::string::npos ? "" : comment.text.substr(text));
    below = comment.span;
  }
  std::reverse(lines.begin(), lines.end());
  return joined(lines, "\n");
}

void parse_items(const Sources& sources, Lexemes lexemes, ast::File& file, Diagnostics& diags) {
  // Each repair changes tokens and the item is read again; this bounds the work on a hopeless file.
  constexpr size_t kMostRepairs = 100;
  size_t repairs = 0;
  parsing::RepairState state;
  for (size_t first = 0; !lexemes[first].at_end() && repairs <= kMostRepairs;) {
    const std::string doc = doc_above(sources, file.comments, lexemes[first].span);
    ItemResult result = parse_item(lexemes, first, doc, diags);
    if (result.item) {
      file.items.push_back(std::move(*result.item));
      first = result.next;
      state = {};
      continue;
    }
    parsing::explain_and_repair(lexemes, first, *result.failure, sources, state, diags);
    ++repairs;
  }
}

std::string_view kind_name(const Lexeme& lexeme) {
  switch (lexeme.kind) {
    case LexKind::Name: return "name";
    case LexKind::Keyword: return "keyword";
    case LexKind::Integer: return "integer";
    case LexKind::Decimal: return "decimal";
    case LexKind::Text:
    case LexKind::UnclosedText: return "text";
    case LexKind::Symbol: return "symbol";
    case LexKind::Unknown: return "unknown";
    case LexKind::Comment: return lexeme.text.starts_with("##") ? "doc" : "comment";
    case LexKind::End: return "end";
  }
  return {};
}

}  // namespace

std::vector<Token> tokenize(const Sources& sources, FileId file, Diagnostics& diags) {
  if (!parsing::readable(sources, file, diags)) return {};
  const Lexemes all = lex(sources, file);
  Lexemes words;  // what opens a statement is seen without the comments
  std::ranges::copy_if(all, std::back_inserter(words),
                       [](const Lexeme& l) { return l.kind != LexKind::Comment; });
  parsing::settle_soft_keywords(words);
  std::vector<Token> out;
  size_t word = 0;
  for (const Lexeme& lexeme : all) {
    const Lexeme& settled = lexeme.kind == LexKind::Comment ? lexeme : words[word++];
    if (!settled.at_end()) out.push_back({std::string(kind_name(settled)), settled.span});
  }
  return out;
}

ast::File parse(const Sources& sources, FileId file, Diagnostics& diags) {
  ast::File out{.source = file};
  if (!parsing::readable(sources, file, diags)) return out;
  Lexemes lexemes;
  for (Lexeme& lexeme : lex(sources, file)) {
    if (lexeme.kind == LexKind::Comment) out.comments.push_back({std::string(lexeme.text), lexeme.span});
    else lexemes.push_back(lexeme);
  }
  parsing::settle_soft_keywords(lexemes);
  for (const Lexeme& lexeme : lexemes) out.tokens.push_back(parsing::ast_token(lexeme));
  out.tokens.pop_back();  // End

  // Stages find mistakes in their own order; the reader wants them in the order of the lines.
  Diagnostics habits, found;
  lexemes = parsing::replace_old_habits(std::move(lexemes), sources, habits);
  parsing::Balanced balanced = parsing::balance_brackets(std::move(lexemes), sources, found);
  parsing::report_outside(balanced.dropped, habits, found);
  if (parsing::within_limits(balanced.lexemes, found)) {
    parse_items(sources, std::move(balanced.lexemes), out, found);
  }
  parsing::report_in_order(found, diags);
  return out;
}

}  // namespace hebb
