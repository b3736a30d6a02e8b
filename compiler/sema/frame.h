#pragma once
// The state of one check: what is shared by a whole compilation (Session) and what belongs to the
// declaration that is being read (Frame).

#include <functional>
#include <set>

#include "compiler/sema/check.h"
#include "compiler/sema/scope.h"

namespace hebb::sema {

struct ConstantCache {
  Symbol::Progress progress = Symbol::Progress::Lazy;
  Value value;
  std::optional<Dimension> dimension;  // none: a literal 0 or inf, fits any
};

struct Elaborated {
  Symbol::Progress progress = Symbol::Progress::Lazy;
  bool broken = false;
  Rule rule;
};

struct Session {
  Model& model;
  Sources& sources;
  const CheckOptions& options;
  Diagnostics& diags;
  std::deque<FileTable> tables = {};    // the first is the main file
  std::deque<ast::File> imported = {};  // keeps their trees alive
  std::map<std::string, FileTable*> by_path = {};
  FileTable* prelude = nullptr;
  std::map<const ast::Const*, ConstantCache> constants = {};
  // --set: constants, parameters of types, settings of populations and projections by their nodes
  std::map<const ast::Const*, ast::ExprPtr> overrides = {};
  std::map<const ast::Declaration*, ast::ExprPtr> parameter_overrides = {};
  std::map<const void*, std::vector<ast::Setting>> member_overrides = {};
  std::map<const ast::RuleDecl*, Elaborated> rules = {};
  std::map<const ast::NeuronDecl*, int> neurons = {};  // index into model.neurons; -1: broken
  std::set<std::string> unknown_types = {};            // reported once
  std::set<std::string> mentioned = {};  // names used in experiments, records, drives: never "unused"
  std::set<const ast::FunctionDecl*> called = {};
  uint64_t work = 0;  // evaluated nodes, against kWorkLimit
  bool work_reported = false;
};

/// More than any rule needs, reached within about a second: 30 nested functions that call each other
/// twice stop here with a message.
constexpr uint64_t kWorkLimit = 5'000'000;
constexpr int64_t kArrayLimit = 1 << 17;
constexpr int kDepthLimit = 1000;
constexpr int kCallDepthLimit = 100;

enum class Phase {
  Constant,    // literals and constants only
  Initial,     // also parameters
  Rate,        // right side of an equation, a let: spike trains are values
  Instant,     // inside on/emit: left limits, after(x), amounts that arrive
  Continuous,  // conditions, reductions, networks: neither trains nor instants
};

struct Frame {
  Session& session;
  FileTable* file;
  Scope* scope = nullptr;
  Phase phase = Phase::Constant;
  bool draws_allowed = false;
  DimensionSystem* dimensions = nullptr;
  Dynamics* dynamics = nullptr;                                      // the rule or neuron being built, if any
  std::map<uint32_t, DimensionTerm>* variable_dimensions = nullptr;  // by VarId
  VarId target;              // whose equation is being read: reading itself is no use
  bool target_read = false;  // …and whether it was
  /// pre.x and post.x; population.x. Null where they have no meaning.
  std::function<Value(Frame&, const std::string& object, const ast::Name& member, Span span)> member;
  /// pulses(…) and moving_average(…) in the definition of the network's signal `signal`.
  std::function<Value(const ast::Expr& expr, const ast::Call& call, const std::string& name)> time_signal;
  /// In the condition of an 'abort when': numbers that a run hands in. Nothing: another function.
  std::function<std::optional<Value>(const ast::Expr&, const ast::Call&, const std::string& name)> watched = {};
  std::string signal;
  /// Names used in the declaration as events of pre and post: "pre.spike".
  std::set<std::string> event_members;
  std::set<std::string> blamed;  // names of dimension errors already reported here
  Span call_site;                // outermost call, inside functions
  bool in_prelude = false;
  int depth = 0, call_depth = 0;

  ExprPool& pool() const { return session.model.pool; }
  Diagnostics& diags() const { return session.diags; }
};

/// Sets a field for the length of a block.
template <class T>
class Restore {
 public:
  Restore(T& place, T value) : place_(place), old_(std::move(place)) { place_ = std::move(value); }
  ~Restore() { place_ = std::move(old_); }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  T& place_;
  T old_;
};

// --- diagnostics (frame.cpp) ---
/// At `span`, or at the call when `span` lies in a built-in function; says where a function was called.
Diagnostic& report(Frame& frame, DiagKind kind, Span span, std::string message);
std::string source_text(const Frame& frame, Span span);
uint32_t line_of(const Frame& frame, Span span);

// --- names (names.cpp) ---
/// Declares a name; reports a second declaration and returns the first one's symbol then.
Symbol& declare(Frame& frame, Scope& scope, const ast::Name& name, Symbol symbol);
Symbol* find_symbol(Frame& frame, const std::string& name);
Value read_name(Frame& frame, const std::string& name, Span span);
/// The value behind a name, without a copy; null when reading it takes more than a look (or fails).
const Value* stored_value(Frame& frame, const ast::Expr& expr);
/// Value of a file constant, or of a symbol that is defined by an expression.
Value read_constant(Frame& frame, const Global& global, const std::string& name);
void force(Frame& frame, const std::string& name, Symbol& symbol);
const Global* find_function(Frame& frame, const std::string& name);
Value unknown_name(Frame& frame, const std::string& name, Span span);
std::vector<std::string> visible_names(Frame& frame);

// --- values (values.cpp) ---
Value number(Frame& frame, double value);
Value variable_value(Frame& frame, VarId id, const DimensionTerm& dimension);
/// Element-wise application; operands are scalars or of one shape. `dimension` is the result's.
Value apply(Frame& frame, Op op, std::vector<Value> operands, DimensionTerm dimension, Span span);
Value add(Frame& frame, const Value& a, const Value& b, bool subtract, Span span);
Value multiply(Frame& frame, const Value& a, const Value& b, Span span);
Value divide(Frame& frame, const Value& a, const Value& b, Span b_span, Span span);
Value negate(Frame& frame, const Value& a);
Value choose(Frame& frame, const Value& condition, const Value& yes, const Value& no, Span span);
/// Trains next to something they cannot be next to.
bool reject_trains(Frame& frame, const Value& value, Span span, std::string_view what);
/// A spike train where a value at one instant is wanted.
bool reject_value_of_train(Frame& frame, const Value& value, Span span);
std::string train_name(const Frame& frame, EventId event);
/// One element of an array.
Value element_of(const Value& array, size_t index);
/// The value of an element when it is a number.
std::optional<double> constant_of(const Frame& frame, ExprId id);
/// An integer constant, or a report and nothing.
std::optional<int64_t> integer_constant(Frame& frame, const ast::Expr& expr, std::string_view what);

// --- dimensions (dimensions.cpp) ---
DimensionTerm plain();
DimensionTerm time_dimension();
DimensionTerm per_time();
DimensionTerm& dimension_of(Frame& frame, VarId variable);
std::optional<Dimension> known(const Frame& frame, const DimensionTerm& term);
std::string describe(const Frame& frame, const DimensionTerm& term);
/// "a voltage", "a plain number", "1/time"
std::string with_article(const std::string& dimension);
/// A number with the unit is number * times / over in internal units.
struct UnitReading {
  DimensionTerm dimension;
  double times = 1, over = 1;
};
std::optional<UnitReading> read_unit(Frame& frame, const ast::Unit& unit);
/// What a term is compared with: "w'" and its dimension, or the first term of its sum.
struct Expectation {
  DimensionTerm dimension;
  std::string name;  // "w'"; empty: the other term
  Span span;         // of the other side; may be invalid
};
/// False and a report when the two differ. `term` is the expression that is blamed.
bool expect_dimension(Frame& frame, const Value& value, const ast::Expr& term, const Expectation& expected);
bool expect_plain(Frame& frame, const Value& value, const ast::Expr& expr, std::string_view who);

// --- expressions (expressions.cpp, calls.cpp, arrays.cpp, draws.cpp) ---
Value evaluate(Frame& frame, const ast::Expr& expr, const Expectation* expected = nullptr);
/// A value without trains and of the given shape (a scalar is repeated).
Value evaluate_as(Frame& frame, const ast::Expr& expr, const Shape& shape, const Expectation* expected);
Value evaluate_call(Frame& frame, const ast::Expr& expr, const ast::Call& call);
Value evaluate_function(Frame& frame, const Global& global, const ast::Expr& expr, const ast::Call& call);
Value evaluate_subscript(Frame& frame, const ast::Expr& expr, const ast::Subscript& subscript);
Value evaluate_vector(Frame& frame, const ast::Expr& expr, const ast::VectorLiteral& literal);
Value matrix_product(Frame& frame, const Value& a, const Value& b, const ast::Expr& left,
                     const ast::Expr& right, Span span);
Value raise(Frame& frame, const Value& base, const Value& exponent, const ast::Expr& left,
            const ast::Expr& right, Span span);
/// Values of `body` for every combination of the ranges, first range outermost.
std::vector<Value> unroll(Frame& frame, const ast::Expr& body, const std::vector<ast::Range>& ranges,
                          Span span, bool* failed);
bool is_built_in(const std::string& name);
bool is_draw(const std::string& name);
Value evaluate_draw(Frame& frame, const ast::Expr& expr, const ast::Call& call, const std::string& name);

std::optional<Shape> read_shape(Frame& frame, const std::vector<ast::ExprPtr>& extents);
std::string to_text(const Shape& shape);

}  // namespace hebb::sema
