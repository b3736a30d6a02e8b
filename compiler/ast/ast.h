#pragma once
// What was written, and where: plain structs, one per form of the grammar. No names are resolved and
// no dimension is known here. Every node carries its span. Built by parse, never changed afterwards.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "compiler/support/source.h"

namespace hebb::ast {

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

/// A name as written, with its place.
struct Name {
  std::string text;
  Span span;
};

/// a.b.c, pre.spike, std.stdp.Triplet
struct Path {
  std::vector<Name> parts;
  Span span;
};

// --- units ---------------------------------------------------------------------------------------

/// One factor of a unit: name^exponent, or the plain number 1 (as in 1/s). Exponents are rational.
struct UnitFactor {
  std::string name;  // "ms", "mV"; empty for a plain number
  double number = 1; // used when `name` is empty
  int64_t exponent_numerator = 1;
  int64_t exponent_denominator = 1;
  Span span;
};
struct Unit {
  std::vector<UnitFactor> factors;  // flattened: 'a/(b*c)' is a^1 b^-1 c^-1
  Span span;
};

// --- expressions ---------------------------------------------------------------------------------

struct Number {  // 20, 1.5e-3, 20 ms, 8e-5 [1/mV^2]
  double value = 0;
  bool integer = false;  // written without '.' or exponent
  std::optional<Unit> unit;
};
struct String { std::string value; };
struct Boolean { bool value = false; };
struct Infinity {};
struct VectorLiteral { std::vector<ExprPtr> elements; };
struct NameRef { std::string name; };              // also 'pre' and 'post'
struct Member { ExprPtr object; Name member; };    // object.member
struct Range {                                     // name in first..last   (inclusive)
  Name name;
  ExprPtr first, last;
};
struct Argument {                                  // [name =] value [for ranges]
  std::optional<Name> name;
  ExprPtr value;
  std::vector<Range> ranges;
};
struct Call { ExprPtr callee; std::vector<Argument> arguments; };
struct IndexItem {                                 // i | first..last | :
  ExprPtr first, last;                             // both null: ':'; last null: one index
};
struct Subscript { ExprPtr object; std::vector<IndexItem> indices; };
enum class UnaryOp { Minus, Plus, Not };
struct Unary { UnaryOp op; ExprPtr operand; };
enum class BinaryOp { Add, Subtract, Multiply, Divide, MatMul, Power, Less, LessEqual, Greater,
                      GreaterEqual, Equal, NotEqual, And, Or };
struct Binary {
  BinaryOp op;
  ExprPtr left, right;
  Span op_span;
  ~Binary();  // in a loop: see left_spine
};
struct IfThenElse { ExprPtr condition, then_value, else_value; };

/// path = value  or  path ~ value, inside 'with (…)' and instance arguments.
struct Setting {
  Path path;
  bool drawn = false;
  ExprPtr value;
  Span span;
};
/// run Network for duration with (settings);  the duration may be 'rows(data)'.
struct Run {
  Path network;
  ExprPtr duration;
  std::vector<Setting> settings;
};
struct Paren { ExprPtr inner; };  // kept for the formatter and for U02-like messages

struct Expr {
  Span span;
  std::variant<Number, String, Boolean, Infinity, VectorLiteral, NameRef, Member, Call, Subscript,
               Unary, Binary, IfThenElse, Run, Paren>
      node;
};

/// 'a + b + c' leans to the left, so a sum of 20,000 terms is 20,000 nodes deep there: walk this list
/// from its end instead of recursing. The Binary nodes on the left side, the outermost (`expr`) first.
inline std::vector<const Expr*> left_spine(const Expr& expr) {
  std::vector<const Expr*> out;
  for (const Expr* at = &expr; const auto* binary = std::get_if<Binary>(&at->node);) {
    out.push_back(at);
    at = binary->left.get();
  }
  return out;
}

inline Binary::~Binary() {
  ExprPtr next = std::move(left);
  while (next && next.use_count() == 1) {  // the last owner may take it apart
    auto* binary = std::get_if<Binary>(&const_cast<Expr&>(*next).node);
    ExprPtr deeper = binary ? std::move(binary->left) : nullptr;
    next = std::move(deeper);
  }
}

// --- pieces of rules and neurons -------------------------------------------------------------------

struct Interval {
  ExprPtr low, high;
  bool low_open = false, high_open = false;
  Span span;
};
/// name[shape] : unit in interval = value   (or ~ value)
struct Declaration {
  Name name;
  std::vector<ExprPtr> shape;
  std::optional<Unit> unit;
  std::optional<Interval> bounds;
  bool drawn = false;
  ExprPtr value;  // may be null
  Span span;
};
struct Const { Name name; ExprPtr value; Span span; };
struct Param { std::vector<Declaration> declarations; Span span; };
struct State { std::vector<Declaration> declarations; Span span; };
struct Weight { Declaration declaration; Span span; };
struct Signal {
  Name name;
  std::vector<ExprPtr> shape;
  std::optional<Unit> unit;
  bool drawn = false;
  ExprPtr value;  // null: fed
  Span span;
};
struct EventPort { Name name; Span span; };                        // event trial_end;
enum class PortKind { Receive, Input };
struct Port { PortKind kind; Name name; std::optional<Unit> unit; Span span; };
struct Let { Name name; bool drawn = false; ExprPtr value; Span span; };
enum class Per { Pre, Post, Projection };
struct Reduce { Name name; Name function; ExprPtr argument; Per per; Span span; };
struct Stat { Name name; Name function; std::vector<ExprPtr> arguments; ExprPtr window; Span span; };
struct Ode { Name name; ExprPtr rate; Span span; };                // name' = rate;

enum class JumpOp { Add, Subtract, Assign };
/// target[indices] op value;
struct JumpStatement {
  Path target;
  std::vector<IndexItem> indices;
  JumpOp op;
  ExprPtr value;
  Span span;
};
struct PruneStatement { ExprPtr condition; Span span; };           // prune when c;
struct GrowStatement { ExprPtr condition; Span span; };            // grow when c;
using HandlerItem = std::variant<Let, JumpStatement, PruneStatement, GrowStatement>;

/// every T | a.b or c.d
struct EventExpr {
  ExprPtr period;             // not null: 'every period'
  std::vector<Path> events;   // else one or more, joined by 'or'
  Span span;
};
struct On { EventExpr event; std::vector<HandlerItem> items; Span span; };
struct Emit { Name event; ExprPtr condition; std::vector<HandlerItem> items; Span span; };
struct Refractory { ExprPtr duration; std::vector<Name> held; Span span; };

using RuleItem = std::variant<Const, Param, Weight, State, Signal, EventPort, Let, Reduce, Stat, Ode, On>;
using NeuronItem = std::variant<Const, Param, State, Port, Signal, EventPort, Let, Stat, Ode, Emit,
                                Refractory, On>;

struct Instance { Path type; std::vector<Setting> settings; Span span; };  // Triplet(A3p = 5e-3)
using RuleExpr = std::vector<Instance>;                                    // joined by '+'

struct RuleDecl {
  Name name;
  std::optional<Name> contract;          // local | three_factor | nonlocal
  std::vector<RuleItem> items;           // 'rule R { … }'
  RuleExpr sum;                          // 'rule R = A + B;' when `is_sum`
  bool is_sum = false;
  std::string doc;                       // text of the '##' lines before it
  Span span;
};
struct NeuronDecl { Name name; std::vector<NeuronItem> items; std::string doc; Span span; };

// --- networks --------------------------------------------------------------------------------------

struct Population { Name name; std::vector<ExprPtr> shape; Instance type; Span span; };
struct Connect { ExprPtr how; Span span; };                        // connect all; connect random(p = .1);
struct Init { Name name; bool drawn = false; ExprPtr value; Span span; };
struct Delay { Name name; bool drawn = false; ExprPtr value; Span span; };
struct Drive { Name port; ExprPtr value; Span span; };             // drive exc += J * w;
struct Bind { Path target; ExprPtr value; Span span; };            // bind post.u = post.v;
using ProjectionItem = std::variant<Connect, Init, Delay, Drive, Bind>;
struct Projection {
  Name pre, post, name;
  RuleExpr rule;  // empty: static weights
  std::vector<ProjectionItem> items;
  Span span;
};
struct Record { ExprPtr what; ExprPtr every; ExprPtr on; std::optional<Name> as; Span span; };
struct AbortWhen { ExprPtr condition; Span span; };
struct Freeze { Path what; Span span; };
using NetworkItem = std::variant<Const, Signal, EventPort, Population, Projection, Record, AbortWhen, Freeze>;
struct NetworkDecl { Name name; std::vector<NetworkItem> items; std::string doc; Span span; };

// --- experiments -----------------------------------------------------------------------------------

struct Print { std::vector<ExprPtr> values; Span span; };
struct Plot { std::vector<ExprPtr> values; std::vector<Setting> settings; std::optional<std::string> to; Span span; };
struct Save { std::vector<ExprPtr> values; std::string to; Span span; };
struct Assert { ExprPtr condition; Span span; };
struct Fit { std::vector<Path> paths; ExprPtr loss; std::vector<Setting> settings; Span span; };
struct Search { std::vector<Path> paths; ExprPtr objective; std::vector<Setting> settings; Span span; };
struct Measure { Name name; ExprPtr value; Span span; };
struct Accept { Name name; ExprPtr condition; Span span; };
/// name in first..last, or in the rows of a list
struct Loop { Name name; ExprPtr first, last; Span span; };
struct ActionBlock;
struct For { std::vector<Loop> loops; std::shared_ptr<const ActionBlock> body; Span span; };
using Action = std::variant<Let, Print, Plot, Save, Assert, Fit, Search, Measure, Accept, For>;
struct ActionBlock { std::vector<Action> actions; };
/// Every action and those inside it, in order of the text.
template <class F>
void for_each_action(const std::vector<Action>& actions, const F& f) {
  for (const Action& action : actions) {
    f(action);
    if (const auto* block = std::get_if<For>(&action)) for_each_action(block->body->actions, f);
  }
}
struct ExperimentDecl { Name name; std::vector<Action> actions; std::string doc; Span span; };
struct TestDecl { std::string title; std::vector<Action> actions; std::string doc; Span span; };

// --- files -----------------------------------------------------------------------------------------

struct Import {
  Path path;                     // import std.stdp.Triplet;
  std::optional<std::string> file;  // import "rules/mine.hebb";
  std::optional<Name> as;
  Span span;
};
struct FunctionDecl {
  Name name;
  std::vector<Name> parameters;
  ExprPtr body;
  std::vector<std::pair<Name, ExprPtr>> where;
  std::string doc;
  Span span;
};
using Item = std::variant<Import, Const, FunctionDecl, RuleDecl, NeuronDecl, NetworkDecl,
                          ExperimentDecl, TestDecl>;

struct Comment { std::string text; Span span; };  // '#…' and '##…', for the formatter

/// A token as written; its text is in the source. For the formatter and highlighters.
enum class TokenKind : uint8_t { Name, Keyword, Number, Text, Symbol };
struct Token { TokenKind kind; Span span; };

struct File {
  FileId source;
  std::vector<Item> items;
  std::vector<Comment> comments;  // in order
  std::vector<Token> tokens;      // in order, without comments
};

}  // namespace hebb::ast
