// What dimension errors say: the two sides, the place that fixed the wrong one, a literal that fits.

#include <cassert>
#include <cmath>

#include "compiler/sema/frame.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// A literal, or a name that stands for one, that is a factor of a blamed term.
struct Culprit {
  const ast::Expr* literal = nullptr;
  const ast::Unit* unit = nullptr;
  bool below = false;  // divides the term
};

const ast::Expr* without_parentheses(const ast::Expr* expr) {
  while (const auto* paren = std::get_if<ast::Paren>(&expr->node)) expr = paren->inner.get();
  return expr;
}

void collect_culprits(Frame& frame, const ast::Expr& start, std::vector<Culprit>& found, bool below) {
  constexpr size_t kEnough = 64;
  const ast::Expr* expr = without_parentheses(&start);
  while (const auto* binary = std::get_if<ast::Binary>(&expr->node)) {
    if (binary->op != ast::BinaryOp::Multiply && binary->op != ast::BinaryOp::Divide) return;
    if (found.size() > kEnough) return;
    collect_culprits(frame, *binary->right, found, below != (binary->op == ast::BinaryOp::Divide));
    expr = without_parentheses(binary->left.get());
  }
  if (const auto* unary = std::get_if<ast::Unary>(&expr->node)) {
    return collect_culprits(frame, *unary->operand, found, below);
  }
  if (const auto* name = std::get_if<ast::NameRef>(&expr->node)) {
    const Symbol* symbol = find_symbol(frame, name->name);
    if (symbol == nullptr || symbol->declaration == nullptr) return;
    if (symbol->declaration->value == nullptr || symbol->kind != SymbolKind::Parameter) return;
    expr = without_parentheses(symbol->declaration->value.get());
  }
  if (const auto* literal = std::get_if<ast::Number>(&expr->node)) {
    if (literal->value == 0 && !literal->unit) return;
    found.push_back({expr, literal->unit ? &*literal->unit : nullptr, below});
  }
}

/// The unit of `wanted`, in the units that `written` already uses for its base quantities.
std::string unit_like(const Dimension& wanted, const ast::Unit* written) {
  std::array<std::string, kBaseQuantities> names = {"ms", "mV", "pA", "um", "umol", "K"};
  if (written != nullptr) {
    for (const ast::UnitFactor& factor : written->factors) {
      const UnitInfo* info = find_unit(factor.name);
      if (info == nullptr) continue;
      for (size_t q = 0; q < kBaseQuantities; ++q) {
        Dimension base;
        base.exponents[q] = {1, 1};
        if (info->dimension == base) names[q] = factor.name;
        if (factor.name == "Hz") names[0] = "s";
      }
    }
  }
  std::vector<std::string> above, below;
  for (size_t q = 0; q < kBaseQuantities; ++q) {
    const Rational e = wanted.exponents[q];
    if (e.num == 0) continue;
    if (e.den != 1) return {};  // nobody writes such a unit
    const int64_t size = e.num > 0 ? e.num : -e.num;
    (e.num > 0 ? above : below).push_back(size == 1 ? names[q] : cat(names[q], '^', size));
  }
  std::string out = above.empty() ? "1" : joined(above, "*");
  for (const std::string& piece : below) out += "/" + piece;
  return out;
}

/// `number` as the user wrote it, with a unit of the given dimension.
std::string literal_text(const std::string& number, const Dimension& dimension, const ast::Unit* written) {
  if (dimension.dimensionless()) return number;
  const std::string unit = unit_like(dimension, written);
  if (unit.empty()) return {};
  const bool single = unit.find_first_of("*/^1") == std::string::npos;
  return single ? cat(number, ' ', unit) : cat(number, " [", unit, ']');
}

/// Points at the literal that would have to change, and says to what.
void explain_culprit(Frame& frame, Diagnostic& diag, const ast::Expr& term, const DimensionTerm& actual,
                     const DimensionTerm& expected) {
  const std::optional<Dimension> ratio = known(frame, expected / actual);
  if (!ratio) return;
  std::vector<Culprit> found;
  collect_culprits(frame, term, found, false);
  // A compound unit is the likeliest slip, then a simple one, then a number without unit.
  const auto rank = [](const Culprit& c) {
    if (c.unit == nullptr) return 2;
    const ast::UnitFactor& first = c.unit->factors.front();
    return c.unit->factors.size() > 1 || first.exponent_numerator != 1 ? 0 : 1;
  };
  const Culprit* best = nullptr;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {  // as written: first factor first
    if (it->unit != nullptr && it->unit->factors.empty()) continue;
    if (best == nullptr || rank(*it) < rank(*best)) best = &*it;
  }
  if (best == nullptr) return;
  Dimension own;
  if (best->unit != nullptr) {
    const std::optional<UnitReading> unit = read_unit(frame, *best->unit);
    if (!unit) return;
    own = unit->dimension.fixed;
  }
  const Dimension wanted = best->below ? own / *ratio : own * *ratio;
  const std::string written = source_text(frame, best->literal->span);
  const std::string digits = written.substr(0, written.find_first_not_of("0123456789._eE+-"));
  const std::string fits = literal_text(digits, wanted, best->unit);
  if (best->literal->span != term.span) diag.labels.push_back({best->literal->span, "fixed here"});
  if (!fits.empty()) diag.help = cat(fits, " would fit");
}

void collect_names(const ast::Expr& start, std::set<std::string>& names) {
  std::vector<const ast::Expr*> stack = {&start};
  while (!stack.empty()) {
    const ast::Expr* expr = stack.back();
    stack.pop_back();
    if (const auto* name = std::get_if<ast::NameRef>(&expr->node)) names.insert(name->name);
    if (const auto* paren = std::get_if<ast::Paren>(&expr->node)) stack.push_back(paren->inner.get());
    if (const auto* unary = std::get_if<ast::Unary>(&expr->node)) stack.push_back(unary->operand.get());
    if (const auto* binary = std::get_if<ast::Binary>(&expr->node)) {
      stack.push_back(binary->left.get());
      stack.push_back(binary->right.get());
    }
    if (const auto* call = std::get_if<ast::Call>(&expr->node)) {
      for (const ast::Argument& argument : call->arguments) stack.push_back(argument.value.get());
    }
    if (const auto* member = std::get_if<ast::Member>(&expr->node)) {
      if (const auto* object = std::get_if<ast::NameRef>(&member->object->node)) {
        names.insert(cat(object->name, '.', member->member.text));
      }
    }
  }
}

void unknown_unit(Frame& frame, const ast::UnitFactor& factor, Span whole) {
  std::vector<std::string> names;
  for (const UnitInfo& unit : all_units()) names.emplace_back(unit.name);
  Diagnostic& diag = report(frame, DiagKind::UnknownUnit, factor.span.valid() ? factor.span : whole,
                            cat("there is no unit ", quoted(factor.name)));
  if (const auto near = did_you_mean(factor.name, names)) {
    diag.help = cat("did you mean ", quoted(*near), "?");
  }
}

/// A wrong unit usually breaks every equation that uses it: only the first is reported.
bool already_blamed(Frame& frame, const ast::Expr& term) {
  std::set<std::string> names;
  collect_names(term, names);
  bool seen = false;
  for (const std::string& name : names) seen |= frame.blamed.contains(name);
  frame.blamed.insert(names.begin(), names.end());
  return seen;
}

}  // namespace

DimensionTerm plain() { return {}; }

DimensionTerm time_dimension() {
  DimensionTerm out;
  out.fixed.exponents[static_cast<size_t>(BaseQuantity::Time)] = {1, 1};
  return out;
}

DimensionTerm per_time() { return plain() / time_dimension(); }

DimensionTerm& dimension_of(Frame& frame, VarId variable) {
  const auto [entry, is_new] = frame.variable_dimensions->try_emplace(variable.value);
  if (!is_new) return entry->second;
  const std::optional<Dimension>& decided = frame.session.model[variable].dimension;
  entry->second = decided ? DimensionTerm{.fixed = *decided} : frame.dimensions->fresh();
  return entry->second;
}

std::optional<Dimension> known(const Frame& frame, const DimensionTerm& term) {
  return frame.dimensions->value(term);
}

std::string describe(const Frame& frame, const DimensionTerm& term) {
  const DimensionTerm reduced = frame.dimensions->reduce(term);
  if (reduced.unknowns.empty()) return hebb::describe(reduced.fixed);
  if (reduced.fixed.dimensionless()) return "of a dimension that is not known yet";
  return cat(hebb::describe(reduced.fixed), " times something not known yet");
}

std::string with_article(const std::string& dimension) {
  if (dimension.starts_with("a ") || dimension.starts_with("1/") || dimension.starts_with("of ")) {
    return dimension;
  }
  const bool one_word = dimension.find_first_of("*/^ ") == std::string::npos;
  if (!one_word) return dimension;
  return cat(dimension == "amount" ? "an " : "a ", dimension);
}

std::optional<UnitReading> read_unit(Frame& frame, const ast::Unit& unit) {
  UnitReading out;
  for (const ast::UnitFactor& factor : unit.factors) {
    assert(factor.exponent_denominator != 0 && "the parser refuses a zero denominator");
    const Rational exponent = make_rational(factor.exponent_numerator, factor.exponent_denominator);
    double scale = factor.number;
    if (!factor.name.empty()) {
      const UnitInfo* info = find_unit(factor.name);
      if (info == nullptr) {
        unknown_unit(frame, factor, unit.span);
        return {};
      }
      scale = info->scale;
      out.dimension.fixed = out.dimension.fixed * power(info->dimension, exponent);
    } else if (factor.number != 1) {
      report(frame, DiagKind::UnknownUnit, factor.span.valid() ? factor.span : unit.span,
             cat(factor.number, " is not a unit"))
          .help = "a plain number has the unit 1; a value stands behind '='";
      return {};
    }
    // A scale below 1 is kept as its inverse, a whole number: 8 Hz is 8/1000, rounded once.
    const bool inverse = scale < 1;
    if (inverse) scale = std::round(1 / scale);
    const double size = std::abs(static_cast<double>(exponent.num) / static_cast<double>(exponent.den));
    if (size != 1) scale = std::pow(scale, size);
    (inverse == (exponent.num < 0) ? out.times : out.over) *= scale;
  }
  return out;
}

bool expect_dimension(Frame& frame, const Value& value, const ast::Expr& term, const Expectation& expected) {
  if (value.poisoned) return true;
  if (frame.phase != Phase::Rate && reject_value_of_train(frame, value, term.span)) return false;
  if (frame.dimensions->equate(value.dimension, expected.dimension, term.span)) return true;
  if (already_blamed(frame, term)) return false;
  const std::string actual = describe(frame, value.dimension);
  const std::string wanted = describe(frame, expected.dimension);
  const bool two_terms = expected.name.empty();
  Diagnostic& diag =
      report(frame, DiagKind::DimensionMismatch, term.span, "these two terms have different dimensions");
  if (two_terms) {
    diag.note = cat("this term is ", with_article(actual));
    if (expected.span.valid() && !frame.in_prelude) {
      diag.labels.push_back({expected.span, cat("this one is ", with_article(wanted))});
    }
  } else {
    diag.note =
        cat("this term is ", with_article(actual), ", but ", expected.name, " is ", with_article(wanted));
  }
  if (frame.in_prelude) return false;
  explain_culprit(frame, diag, term, value.dimension, expected.dimension);
  if (diag.help.empty() && !two_terms) {
    const Span origin = frame.dimensions->origin(expected.dimension);
    if (origin.valid() && origin != term.span) {
      diag.labels.push_back({origin, cat("this makes ", expected.name, " ", with_article(wanted))});
    }
  }
  return false;
}

bool expect_plain(Frame& frame, const Value& value, const ast::Expr& expr, std::string_view who) {
  if (value.poisoned) return true;
  if (frame.dimensions->equate(value.dimension, plain(), expr.span)) return true;
  if (already_blamed(frame, expr)) return false;
  const std::string actual = describe(frame, value.dimension);
  const std::string text = source_text(frame, expr.span);
  Diagnostic& diag = report(frame, DiagKind::NotPlain, expr.span,
                            cat(quoted(who), " wants a plain number, got ", with_article(actual)));
  const std::optional<Dimension> dimension = known(frame, value.dimension);
  if (dimension && !frame.in_prelude && text.size() < 60 && text.find('\n') == std::string::npos) {
    const bool simple = std::get_if<ast::Binary>(&expr.node) == nullptr;
    const std::string one = literal_text("1", *dimension, nullptr);
    if (!one.empty()) diag.help = cat("divide by a unit:  ", simple ? text : cat('(', text, ')'), " / ", one);
  }
  return false;
}

}  // namespace hebb::sema
