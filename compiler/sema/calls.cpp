// Calls: built-in functions by table, functions of the file written out in place, powers.

#include <algorithm>
#include <cmath>
#include <iterator>

#include "compiler/sema/frame.h"
#include "compiler/sema/prelude.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// What a function of numbers does with dimensions.
enum class Units {
  Plain,       // plain numbers in, a plain number out
  Same,        // one dimension for all arguments and the result
  AnyToPlain,  // sign
  Ratio,       // atan2: one dimension in, a plain number out
};
struct NumberFunction {
  std::string_view name;
  Op op;
  Units units;
};
constexpr NumberFunction kNumberFunctions[] = {
    {"abs", Op::Abs, Units::Same},         {"mod", Op::Mod, Units::Same},
    {"exp", Op::Exp, Units::Plain},        {"expm1", Op::Expm1, Units::Plain},
    {"log", Op::Log, Units::Plain},        {"log1p", Op::Log1p, Units::Plain},
    {"sin", Op::Sin, Units::Plain},        {"cos", Op::Cos, Units::Plain},
    {"tan", Op::Tan, Units::Plain},        {"sigmoid", Op::Sigmoid, Units::Plain}, {"tanh", Op::Tanh, Units::Plain},
    {"sinh", Op::Sinh, Units::Plain},      {"cosh", Op::Cosh, Units::Plain},
    {"asin", Op::Asin, Units::Plain},      {"acos", Op::Acos, Units::Plain},
    {"atan", Op::Atan, Units::Plain},      {"atan2", Op::Atan2, Units::Ratio},
    {"erf", Op::Erf, Units::Plain},        {"floor", Op::Floor, Units::Plain},
    {"ceil", Op::Ceil, Units::Plain},      {"round", Op::Round, Units::Plain},
    {"sign", Op::Sign, Units::AnyToPlain},
};

bool has_arguments(Frame& frame, const ast::Expr& expr, const ast::Call& call, std::string_view name,
                   size_t least, size_t most) {
  const size_t count = call.arguments.size();
  for (const ast::Argument& argument : call.arguments) {
    if (argument.name) {
      report(frame, DiagKind::WrongArguments, argument.name->span,
             cat(quoted(name), " takes its arguments by position"));
      return false;
    }
    if (!argument.ranges.empty()) {
      report(frame, DiagKind::WrongArguments, argument.value->span, cat(quoted(name), " does not take 'for'"))
          .help = "'for' is written inside sum, prod, mean, min and max";
      return false;
    }
  }
  if (count >= least && count <= most) return true;
  const std::string wanted = least == most      ? plural(least, "argument")
                             : most == SIZE_MAX ? cat("at least ", plural(least, "argument"))
                                                : cat(least, " to ", most, " arguments");
  report(frame, DiagKind::WrongArguments, expr.span, cat(quoted(name), " takes ", wanted, ", got ", count));
  return false;
}

Value call_number_function(Frame& frame, const ast::Expr& expr, const ast::Call& call,
                           const NumberFunction& function) {
  const size_t arity = static_cast<size_t>(info(function.op).arity);
  if (!has_arguments(frame, expr, call, function.name, arity, arity)) return poison();
  std::vector<Value> values;
  DimensionTerm dimension = plain();
  for (const ast::Argument& argument : call.arguments) {
    values.push_back(evaluate(frame, *argument.value));
    const Value& value = values.back();
    if (value.poisoned || reject_trains(frame, value, argument.value->span, quoted(function.name)))
      return poison();
    if (function.units == Units::Plain && !expect_plain(frame, value, *argument.value, function.name))
      return poison();
    if (function.units == Units::Plain || function.units == Units::AnyToPlain) continue;
    const Expectation same{values.front().dimension, "", call.arguments.front().value->span};
    if (values.size() > 1 && !expect_dimension(frame, value, *argument.value, same)) return poison();
    if (function.units == Units::Same) dimension = values.front().dimension;
  }
  return apply(frame, function.op, std::move(values), std::move(dimension), expr.span);
}

/// All values that sum, prod, mean, min and max run over: a comprehension, an array, or arguments.
std::optional<std::vector<Value>> items_of(Frame& frame, const ast::Expr& expr, const ast::Call& call,
                                           std::string_view name) {
  const bool several = name == "min" || name == "max";
  if (call.arguments.size() == 1 && !call.arguments[0].ranges.empty()) {
    bool failed = false;
    std::vector<Value> out =
        unroll(frame, *call.arguments[0].value, call.arguments[0].ranges, expr.span, &failed);
    if (failed) return {};
    return out;
  }
  if (!has_arguments(frame, expr, call, name, 1, several ? SIZE_MAX : 1)) return {};
  std::vector<Value> out;
  for (const ast::Argument& argument : call.arguments) {
    out.push_back(evaluate(frame, *argument.value));
    if (out.back().poisoned) return {};
    const Expectation same{out.front().dimension, "", call.arguments.front().value->span};
    if (out.size() > 1 && !expect_dimension(frame, out.back(), *argument.value, same)) return {};
  }
  if (out.size() > 1) return out;
  const Value array = out.front();
  if (array.scalar()) {
    Diagnostic& diag =
        report(frame, DiagKind::WrongArguments, expr.span,
               cat(quoted(name), " runs over an array, but ",
                   quoted(source_text(frame, call.arguments[0].value->span)), " is one number"));
    if (frame.dynamics != nullptr)
      diag.help = cat("for a ", name, " over synapses write  reduce s = ", name, "(…) per post;");
    return {};
  }
  out.clear();
  for (size_t i = 0; i < array.elements.size(); ++i) out.push_back(element_of(array, i));
  return out;
}

Value call_reduction(Frame& frame, const ast::Expr& expr, const ast::Call& call, const std::string& name) {
  auto items = items_of(frame, expr, call, name);
  if (!items) return poison();
  const bool linear = name == "sum" || name == "mean";
  Value out = items->front();
  for (size_t i = 0; i < items->size(); ++i) {
    Value& item = (*items)[i];
    if (!linear && reject_trains(frame, item, expr.span, quoted(name))) return poison();
    if (i == 0) continue;
    if (name == "prod") {
      out = multiply(frame, out, item, expr.span);
    } else {
      // Comprehension terms are compared here, arguments were before: equal dimensions pass.
      if (!frame.dimensions->equate(item.dimension, out.dimension, expr.span)) {
        const ast::Expr& body = *call.arguments[0].value;
        item.poisoned = false;
        expect_dimension(frame, item, body, {out.dimension, "the first term", {}});
        return poison();
      }
      if (linear) out = add(frame, out, item, false, expr.span);
      if (!linear)
        out = apply(frame, name == "min" ? Op::Min : Op::Max, {out, item}, out.dimension, expr.span);
    }
    if (out.poisoned) return out;
  }
  if (name == "mean") {
    return divide(frame, out, number(frame, static_cast<double>(items->size())), expr.span, expr.span);
  }
  return out;
}

Value call_dot(Frame& frame, const ast::Expr& expr, const ast::Call& call) {
  if (!has_arguments(frame, expr, call, "dot", 2, 2)) return poison();
  const Value a = evaluate(frame, *call.arguments[0].value), b = evaluate(frame, *call.arguments[1].value);
  if (a.poisoned || b.poisoned) return poison();
  if (a.shape.extents.size() != 1 || a.shape != b.shape) {
    report(frame, DiagKind::ShapeMismatch, expr.span,
           cat("'dot' takes two arrays of one length, got ", to_text(a.shape), " and ", to_text(b.shape)));
    return poison();
  }
  const Value products = multiply(frame, a, b, expr.span);
  if (products.poisoned) return poison();
  Value out = element_of(products, 0);
  for (size_t i = 1; i < products.elements.size(); ++i)
    out = add(frame, out, element_of(products, i), false, expr.span);
  return out;
}

Value call_onehot(Frame& frame, const ast::Expr& expr, const ast::Call& call) {
  if (!has_arguments(frame, expr, call, "onehot", 2, 2)) return poison();
  const Value index = evaluate(frame, *call.arguments[0].value);
  const auto count = read_shape(frame, {call.arguments[1].value});
  if (index.poisoned || !count) return poison();
  expect_plain(frame, index, *call.arguments[0].value, "onehot");
  if (!index.scalar()) {
    report(frame, DiagKind::ShapeMismatch, call.arguments[0].value->span, "an index is one number");
    return poison();
  }
  Value positions{.shape = *count};
  for (int64_t k = 0; k < count->size(); ++k)
    positions.elements.push_back(frame.pool().constant(static_cast<double>(k)));
  return apply(frame, Op::Equal, {index, positions}, plain(), expr.span);
}

Value call_shift(Frame& frame, const ast::Expr& expr, const ast::Call& call) {
  if (!has_arguments(frame, expr, call, "shift", 2, 2)) return poison();
  const Value history = evaluate(frame, *call.arguments[0].value),
              newest = evaluate(frame, *call.arguments[1].value);
  if (history.poisoned || newest.poisoned) return poison();
  if (history.shape.extents.size() != 1 || !newest.scalar()) {
    report(frame, DiagKind::ShapeMismatch, expr.span,
           cat("'shift' takes an array and one number, got shapes ", to_text(history.shape), " and ",
               to_text(newest.shape)));
    return poison();
  }
  if (reject_trains(frame, newest, expr.span, "'shift'")) return poison();
  if (!expect_dimension(frame, newest, *call.arguments[1].value,
                        {history.dimension, "", call.arguments[0].value->span}))
    return poison();
  Value out = history;
  std::rotate(out.elements.rbegin(), out.elements.rbegin() + 1, out.elements.rend());
  out.elements.front() = newest.only();
  out.drawn |= newest.drawn;
  return out;
}

Value call_after(Frame& frame, const ast::Expr& expr, const ast::Call& call) {
  if (!has_arguments(frame, expr, call, "after", 1, 1)) return poison();
  const auto* name = std::get_if<ast::NameRef>(&call.arguments[0].value->node);
  Symbol* symbol = name == nullptr ? nullptr : find_symbol(frame, name->name);
  const bool state = symbol != nullptr && symbol->variable.valid() &&
                     (symbol->kind == SymbolKind::State || symbol->kind == SymbolKind::Weight);
  if (frame.dynamics == nullptr || !state) {
    if (name != nullptr && symbol == nullptr && frame.dynamics != nullptr)
      return unknown_name(frame, name->name, call.arguments[0].value->span);
    if (symbol != nullptr && symbol->kind == SymbolKind::Broken) return poison();
    report(frame, DiagKind::AfterWithoutInstant, expr.span,
           "'after' takes the name of a state of this rule or neuron");
    return poison();
  }
  symbol->used = true;
  if (frame.phase != Phase::Rate && frame.phase != Phase::Instant) {
    report(frame, DiagKind::AfterWithoutInstant, expr.span,
           cat("after(", name->name, ") has a value only at an instant"))
        .help = "use it in an 'on' block, or next to a spike train";
    return poison();
  }
  Model& model = frame.session.model;
  for (const After& known_after : frame.dynamics->afters) {
    if (known_after.of != symbol->variable) continue;
    Value out = variable_value(frame, known_after.marker, symbol->value.dimension);
    out.after = true;
    return out;
  }
  Variable marker;
  marker.name = cat("after(", name->name, ")");
  marker.kind = VarKind::Let;
  marker.shape = model[symbol->variable].shape;
  marker.owner = frame.dynamics->name;
  marker.span = expr.span;
  const VarId id = model.add(std::move(marker));
  frame.dynamics->afters.push_back({.marker = id, .of = symbol->variable, .span = expr.span});
  Value out = variable_value(frame, id, symbol->value.dimension);
  out.after = true;
  return out;
}

/// x^n by repeated squaring: n-1 products at most 2 log2(n), the same on every engine. x^0 is 1.
ExprId whole_power(ExprPool& pool, ExprId base, int64_t exponent) {
  if (exponent < 0) return pool.div(pool.constant(1), whole_power(pool, base, -exponent));
  ExprId result, square = base;
  for (int64_t rest = exponent; rest > 0; rest /= 2) {
    if (rest % 2 == 1) result = result.valid() ? pool.mul(result, square) : square;
    if (rest > 1) square = pool.mul(square, square);
  }
  return result.valid() ? result : pool.constant(1);
}

/// 1.5 as 3/2; nothing for a number that is no fraction with a small denominator.
std::optional<Rational> as_fraction(double value) {
  for (int64_t den = 1; den <= 1000; ++den) {
    const double num = value * static_cast<double>(den);
    if (std::abs(num) > 1000.0 * static_cast<double>(den)) return {};
    if (std::abs(num - std::round(num)) < 1e-12 * std::max(1.0, std::abs(num))) {
      return make_rational(static_cast<int64_t>(std::round(num)), den);
    }
  }
  return {};
}

std::vector<std::string> built_in_names() {
  std::vector<std::string> out = prelude_names();
  for (const NumberFunction& function : kNumberFunctions) out.emplace_back(function.name);
  for (const char* other :
       {"sum", "prod", "mean", "min", "max", "dot", "onehot", "shift", "after", "sqrt", "pow", "length",
        "normal", "uniform", "lognormal", "bernoulli", "integer", "exponential", "pulses", "moving_average"}) {
    out.emplace_back(other);
  }
  return out;
}

struct Nested {  // a function that is being written out
  Frame& frame;
  explicit Nested(Frame& f) : frame(f) { ++frame.call_depth; }
  ~Nested() { --frame.call_depth; }
};

}  // namespace

bool is_built_in(const std::string& name) {
  static const std::vector<std::string> names = built_in_names();
  return std::ranges::find(names, name) != names.end();
}

Value raise(Frame& frame, const Value& base, const Value& exponent, const ast::Expr& left,
            const ast::Expr& right, Span span) {
  if (base.poisoned || exponent.poisoned) return poison();
  if (reject_trains(frame, base, left.span, "a power") ||
      reject_trains(frame, exponent, right.span, "a power"))
    return poison();
  if (!expect_plain(frame, exponent, right, "^")) return poison();
  const auto constant = exponent.scalar() ? constant_of(frame, exponent.only()) : std::nullopt;
  if (!constant) {
    const bool fits = frame.dimensions->equate(base.dimension, plain(), left.span);
    if (!fits) {
      report(frame, DiagKind::ExponentNotLiteral, right.span,
             cat("a power of ", with_article(describe(frame, base.dimension)), " needs a literal exponent"))
          .help = cat("make the base a plain number, as in  (", source_text(frame, left.span), " / …)^",
                      source_text(frame, right.span));
      return poison();
    }
    return apply(frame, Op::Pow, {base, exponent}, plain(), span);
  }
  DimensionTerm dimension = plain();
  const std::optional<Rational> fraction = as_fraction(*constant);
  if (fraction) dimension = power(base.dimension, *fraction);
  if (!fraction && !expect_plain(frame, base, left, "^")) return poison();
  ExprPool& pool = frame.pool();
  constexpr double kLargestUnrolled = 1024;
  const bool whole = *constant == std::floor(*constant) && std::abs(*constant) <= kLargestUnrolled;
  if (!whole && *constant == 0.5) return apply(frame, Op::Sqrt, {base}, dimension, span);
  if (!whole) return apply(frame, Op::Pow, {base, exponent}, dimension, span);
  Value out = base;
  out.dimension = dimension;
  for (ExprId& element : out.elements) element = whole_power(pool, element, static_cast<int64_t>(*constant));
  return out;
}

Value evaluate_function(Frame& frame, const Global& global, const ast::Expr& expr, const ast::Call& call) {
  const ast::FunctionDecl& function = *std::get<const ast::FunctionDecl*>(global.what);
  frame.session.called.insert(&function);
  if (!has_arguments(frame, expr, call, function.name.text, function.parameters.size(),
                     function.parameters.size()))
    return poison();
  if (frame.call_depth >= kCallDepthLimit) {
    report(frame, DiagKind::CyclicDefinition, function.name.span,
           cat("the function ", quoted(function.name.text), " calls itself without end"))
        .help = "functions are written out where they are called; recursion has no end then";
    frame.session.work = kWorkLimit;  // unwinds without further messages
    frame.session.work_reported = true;
    return poison();
  }
  Scope scope;
  bool broken = false;
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    Symbol symbol{.kind = SymbolKind::Local};
    symbol.value = evaluate(frame, *call.arguments[i].value);
    broken |= symbol.value.poisoned;
    declare(frame, scope, function.parameters[i], std::move(symbol));
  }
  if (broken) return poison();
  for (const auto& [name, value] : function.where) {
    Symbol symbol{.kind = SymbolKind::Local};
    symbol.definition = value.get();
    symbol.progress = Symbol::Progress::Lazy;
    declare(frame, scope, name, std::move(symbol));
  }
  Restore site(frame.call_site, frame.call_depth == 0 ? expr.span : frame.call_site);
  Restore prelude(frame.in_prelude, frame.in_prelude || global.home->is_prelude);
  Restore file(frame.file, global.home);
  Restore names(frame.scope, &scope);
  Restore member(frame.member, decltype(frame.member){});
  const Nested nested(frame);
  return evaluate(frame, *function.body);
}

Value evaluate_call(Frame& frame, const ast::Expr& expr, const ast::Call& call) {
  std::string name;
  if (const auto* callee = std::get_if<ast::NameRef>(&call.callee->node)) name = callee->name;
  if (const auto* member = std::get_if<ast::Member>(&call.callee->node)) {
    name = source_text(frame, call.callee->span);  // mine.gauss: a function of an import with 'as'
    (void)member;
  }
  if (frame.watched)
    if (const std::optional<Value> value = frame.watched(expr, call, name)) return *value;
  if (const Global* global = find_function(frame, name)) return evaluate_function(frame, *global, expr, call);
  const auto row = std::ranges::find(kNumberFunctions, name, &NumberFunction::name);
  if (row != std::end(kNumberFunctions)) return call_number_function(frame, expr, call, *row);
  if (name == "sum" || name == "prod" || name == "mean" || name == "min" || name == "max")
    return call_reduction(frame, expr, call, name);
  if (name == "dot") return call_dot(frame, expr, call);
  if (name == "onehot") return call_onehot(frame, expr, call);
  if (name == "shift") return call_shift(frame, expr, call);
  if (name == "after") return call_after(frame, expr, call);
  if (name == "sqrt" || name == "pow") {
    const bool root = name == "sqrt";
    if (!has_arguments(frame, expr, call, name, root ? 1 : 2, root ? 1 : 2)) return poison();
    const ast::Expr& base = *call.arguments[0].value;
    const ast::Expr& exponent = root ? expr : *call.arguments[1].value;
    return raise(frame, evaluate(frame, base), root ? number(frame, 0.5) : evaluate(frame, exponent), base,
                 exponent, expr.span);
  }
  if (name == "length") {
    if (!has_arguments(frame, expr, call, name, 1, 1)) return poison();
    const Value array = evaluate(frame, *call.arguments[0].value);
    if (array.poisoned) return poison();
    return number(frame, array.scalar() ? 1 : static_cast<double>(array.shape.extents[0]));
  }
  if (is_draw(name)) return evaluate_draw(frame, expr, call, name);
  if (name == "pulses" || name == "moving_average") {
    if (frame.time_signal && !frame.signal.empty()) return frame.time_signal(expr, call, name);
    report(frame, DiagKind::WrongKindOfName, expr.span, cat(quoted(name), " defines a signal of a network"))
        .help = cat("write  signal s = ", name, "(…);  in the network and use or bind s");
    return poison();
  }
  for (const std::string_view later : {"grad", "draw_baits", "count", "cumsum"}) {
    if (name != later) continue;
    report(frame, DiagKind::NotSupportedYet, expr.span,
           cat("not supported yet: ", quoted(name), " inside an expression"));
    return poison();
  }
  if (const Global* global = prelude_function(frame.session, name))
    return evaluate_function(frame, *global, expr, call);
  if (frame.file->import_failed) return poison();
  std::vector<std::string> known_functions = built_in_names();
  for (const auto& [function, global] : frame.file->functions) known_functions.push_back(function);
  // Of equally near names the one of the same length: 'tahn' is tanh, not tan.
  const auto length_difference = [&](const std::string& other) {
    return other.size() < name.size() ? name.size() - other.size() : other.size() - name.size();
  };
  std::ranges::stable_sort(known_functions, {}, length_difference);
  const std::string text = source_text(frame, call.callee->span);
  Diagnostic& diag =
      report(frame, DiagKind::UnknownFunction, call.callee->span, cat("there is no function ", quoted(text)));
  if (const auto near = did_you_mean(name, known_functions)) {
    diag.help = cat("did you mean ", quoted(*near), "?");
  } else if (find_symbol(frame, name) != nullptr) {
    diag.help = cat(quoted(name), " is a value: write  ", name, " * (…)  for a product, ", name,
                    "[i] for an element");
  } else if (name == "list" || name == "linspace" || name == "zeros" || name == "load" || name == "reshape") {
    diag.help = cat("experiments have it: write  let x = ", name, "(…);  there, or  fun x(n) = ", name, "(…);  and call that");
  }
  return poison();
}

}  // namespace hebb::sema
