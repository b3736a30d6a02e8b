// Small arrays: literals, subscripts, the matrix product, comprehensions. Everything becomes scalars.

#include <cmath>

#include "compiler/sema/frame.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

/// The elements of one dimension that a subscript selects, when that is known while compiling.
struct Selection {
  int64_t first = 0, count = 1;
  bool keeps_dimension = false;
  bool dynamic = false;
  Value index;  // dynamic
};

std::optional<Selection> select(Frame& frame, const ast::IndexItem& item, int64_t extent, Span span) {
  Selection out;
  if (item.first == nullptr) return Selection{0, extent, true, false, {}};
  if (item.last != nullptr) {
    const auto first = integer_constant(frame, *item.first, "the first index of a range");
    const auto last = integer_constant(frame, *item.last, "the last index of a range");
    if (!first || !last) return {};
    if (*first < 0 || *last >= extent || *first > *last) {
      report(frame, DiagKind::IndexOutOfRange, span,
             cat("the range ", *first, "..", *last, " is not within 0..", extent - 1));
      return {};
    }
    return Selection{*first, *last - *first + 1, true, false, {}};
  }
  Value index = evaluate(frame, *item.first);
  if (index.poisoned) return {};
  expect_plain(frame, index, *item.first, "an index");
  if (!index.scalar() || !index.trains.empty()) {
    report(frame, DiagKind::ShapeMismatch, item.first->span, "an index is one number");
    return {};
  }
  const auto constant = constant_of(frame, index.only());
  if (!constant) return Selection{0, 1, false, true, std::move(index)};
  if (*constant != std::floor(*constant) || *constant < 0 || *constant >= static_cast<double>(extent)) {
    report(frame, DiagKind::IndexOutOfRange, item.first->span,
           cat("the index ", *constant, " is not within 0..", extent - 1))
        .help = "indices start at 0";
    return {};
  }
  out.first = static_cast<int64_t>(*constant);
  return out;
}

/// array[…, selection, …] along `axis`.
Value take(Frame& frame, const Value& array, size_t axis, const Selection& selection) {
  const std::vector<int64_t>& extents = array.shape.extents;
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= extents[i];
  for (size_t i = axis + 1; i < extents.size(); ++i) inner *= extents[i];
  const int64_t extent = extents[axis];
  Value out{.dimension = array.dimension,
            .drawn = array.drawn || selection.index.drawn,
            .after = array.after || selection.index.after};
  out.shape = array.shape;
  if (selection.keeps_dimension) out.shape.extents[axis] = selection.count;
  if (!selection.keeps_dimension)
    out.shape.extents.erase(out.shape.extents.begin() + static_cast<int64_t>(axis));
  ExprPool& pool = frame.pool();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t k = 0; k < selection.count; ++k) {
      for (int64_t i = 0; i < inner; ++i) {
        const auto at = [&](int64_t index) {
          return array.elements[static_cast<size_t>((o * extent + index) * inner + i)];
        };
        if (!selection.dynamic) {
          out.elements.push_back(at(selection.first + k));
          continue;
        }
        // index < 1 ? a[0] : index < 2 ? a[1] : …; an index outside reads the nearest element.
        ExprId chain = at(extent - 1);
        for (int64_t index = extent - 1; index-- > 0;) {
          const ExprId below =
              pool.make(Op::Less, selection.index.only(), pool.constant(static_cast<double>(index + 1)));
          chain = pool.select(below, at(index), chain);
        }
        out.elements.push_back(chain);
      }
    }
  }
  return out;
}

}  // namespace

std::string to_text(const Shape& shape) {
  if (shape.scalar()) return "of one number";
  std::vector<std::string> pieces;
  for (const int64_t extent : shape.extents) pieces.push_back(std::to_string(extent));
  return cat('[', joined(pieces, ", "), ']');
}

std::optional<int64_t> integer_constant(Frame& frame, const ast::Expr& expr, std::string_view what) {
  Restore phase(frame.phase, Phase::Constant);
  const Value value = evaluate(frame, expr);
  if (value.poisoned) return {};
  if (!expect_plain(frame, value, expr, what)) return {};
  const auto constant = value.scalar() ? constant_of(frame, value.only()) : std::nullopt;
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (constant && *constant == std::floor(*constant) && std::abs(*constant) <= kExact) {
    return static_cast<int64_t>(*constant);
  }
  report(frame, DiagKind::NotConstant, expr.span,
         constant ? cat(what, " must be a whole number", std::abs(*constant) > kExact ? " up to 2^53" : "", ", got ", *constant)
                  : cat(what, " must be one constant whole number"));
  return {};
}

std::optional<Shape> read_shape(Frame& frame, const std::vector<ast::ExprPtr>& extents) {
  Shape out;
  int64_t size = 1;
  for (const ast::ExprPtr& expr : extents) {
    const auto extent = integer_constant(frame, *expr, "a size");
    if (!extent) return {};
    if (*extent <= 0) {
      report(frame, DiagKind::BadExtent, expr->span, cat("a size must be at least 1, got ", *extent));
      return {};
    }
    if (__builtin_mul_overflow(size, *extent, &size) || size > kArrayLimit) {
      report(frame, DiagKind::TooLarge, join(extents.front()->span, extents.back()->span),
             cat("an array of more than ", kArrayLimit, " elements"))
          .help = "arrays inside rules and neurons are small: they are written out element by element";
      return {};
    }
    out.extents.push_back(*extent);
  }
  return out;
}

Value evaluate_vector(Frame& frame, const ast::Expr& expr, const ast::VectorLiteral& literal) {
  Value out;
  std::optional<Shape> inner;
  for (const ast::ExprPtr& element : literal.elements) {
    const Value value = evaluate(frame, *element);
    if (value.poisoned) return poison();
    if (reject_trains(frame, value, element->span, "an array")) return poison();
    if (!inner) {
      inner = value.shape;
      out.dimension = value.dimension;
    }
    const Expectation same{out.dimension, "", literal.elements.front()->span};
    if (!expect_dimension(frame, value, *element, same)) return poison();
    if (value.shape != *inner) {
      report(frame, DiagKind::ShapeMismatch, element->span,
             cat("this element has shape ", to_text(value.shape), ", the first one ", to_text(*inner)));
      return poison();
    }
    out.elements.insert(out.elements.end(), value.elements.begin(), value.elements.end());
    out.drawn |= value.drawn;
    out.after |= value.after;
  }
  if (!inner) {
    report(frame, DiagKind::ShapeMismatch, expr.span, "an array needs at least one element");
    return poison();
  }
  out.shape.extents = {static_cast<int64_t>(literal.elements.size())};
  out.shape.extents.insert(out.shape.extents.end(), inner->extents.begin(), inner->extents.end());
  return out;
}

/// a[i, j] with constant indices reads one element without copying the array: a sum over 10,000
/// elements would copy 10,000 x 10,000 otherwise.
std::optional<Value> read_element(Frame& frame, const ast::Expr& expr, const ast::Subscript& subscript) {
  for (const ast::IndexItem& item : subscript.indices) {
    if (item.first == nullptr || item.last != nullptr) return {};
  }
  const Value* array = stored_value(frame, *subscript.object);
  if (array == nullptr || array->shape.extents.size() != subscript.indices.size() || !array->trains.empty())
    return {};
  const Shape shape = array->shape;
  std::vector<Selection> selections;
  size_t index = 0;
  bool dynamic = false;
  for (size_t axis = 0; axis < shape.extents.size(); ++axis) {
    auto selection = select(frame, subscript.indices[axis], shape.extents[axis], expr.span);
    if (!selection) return poison();
    dynamic |= selection->dynamic;
    index = index * static_cast<size_t>(shape.extents[axis]) + static_cast<size_t>(selection->first);
    selections.push_back(std::move(*selection));
  }
  array = stored_value(frame, *subscript.object);  // reading an index may have declared names
  if (!dynamic) {
    Value out{.shape = {}, .elements = {array->elements[index]}, .dimension = array->dimension};
    out.drawn = array->drawn;
    out.after = array->after;
    return out;
  }
  Value out = *array;
  for (const Selection& selection : selections) out = take(frame, out, 0, selection);
  return out;
}

Value evaluate_subscript(Frame& frame, const ast::Expr& expr, const ast::Subscript& subscript) {
  if (auto element = read_element(frame, expr, subscript)) return std::move(*element);
  Value array = evaluate(frame, *subscript.object);
  if (array.poisoned || reject_trains(frame, array, subscript.object->span, "an element")) return poison();
  const size_t rank = array.shape.extents.size();
  if (subscript.indices.size() > rank) {
    const std::string text = source_text(frame, subscript.object->span);
    report(frame, DiagKind::ShapeMismatch, expr.span,
           rank == 0 ? cat(quoted(text), " is one number and has no elements")
                     : cat(quoted(text), " has shape ", to_text(array.shape), ", got ",
                           plural(subscript.indices.size(), "index") == "1 index"
                               ? "1 index"
                               : cat(subscript.indices.size(), " indices")));
    return poison();
  }
  size_t axis = 0;
  for (const ast::IndexItem& item : subscript.indices) {
    const auto selection = select(frame, item, array.shape.extents[axis], expr.span);
    if (!selection) return poison();
    array = take(frame, array, axis, *selection);
    if (selection->keeps_dimension) ++axis;
  }
  return array;
}

Value matrix_product(Frame& frame, const Value& a, const Value& b, const ast::Expr& left,
                     const ast::Expr& right, Span span) {
  if (a.poisoned || b.poisoned) return poison();
  expect_plain(frame, a, left, "@");
  expect_plain(frame, b, right, "@");
  if (reject_trains(frame, a, left.span, "'@'") || reject_trains(frame, b, right.span, "'@'"))
    return poison();
  const size_t ra = a.shape.extents.size(), rb = b.shape.extents.size();
  const bool ranks = ra >= 1 && ra <= 2 && rb >= 1 && rb <= 2;
  const int64_t inner = ranks ? a.shape.extents.back() : 0;
  if (!ranks || inner != b.shape.extents.front()) {
    report(frame, DiagKind::ShapeMismatch, span,
           cat("'@' cannot multiply shapes ", to_text(a.shape), " and ", to_text(b.shape)))
        .help = "the last size on the left must equal the first on the right; '*' scales";
    return poison();
  }
  const int64_t rows = ra == 2 ? a.shape.extents[0] : 1, columns = rb == 2 ? b.shape.extents[1] : 1;
  Value out{.drawn = a.drawn || b.drawn, .after = a.after || b.after};
  if (ra == 2) out.shape.extents.push_back(rows);
  if (rb == 2) out.shape.extents.push_back(columns);
  ExprPool& pool = frame.pool();
  frame.session.work += static_cast<uint64_t>(rows * columns * inner);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      ExprId sum;
      for (int64_t k = 0; k < inner; ++k) {
        const ExprId term = pool.mul(a.elements[static_cast<size_t>(r * inner + k)],
                                     b.elements[static_cast<size_t>(k * columns + c)]);
        sum = k == 0 ? term : pool.add(sum, term);
      }
      out.elements.push_back(sum);
    }
  }
  return out;
}

std::vector<Value> unroll(Frame& frame, const ast::Expr& body, const std::vector<ast::Range>& ranges,
                          Span span, bool* failed) {
  struct Loop {
    int64_t first, last, now;
  };
  std::vector<Loop> loops;
  int64_t total = 1;
  *failed = true;
  for (const ast::Range& range : ranges) {
    const auto first = integer_constant(frame, *range.first, "the start of a range");
    const auto last = integer_constant(frame, *range.last, "the end of a range");
    if (!first || !last) return {};
    int64_t count = 0;
    const bool overflow =
        __builtin_sub_overflow(*last, *first, &count) || __builtin_add_overflow(count, 1, &count);
    if (overflow || (count > 0 && __builtin_mul_overflow(total, count, &total)) || total > kArrayLimit) {
      report(frame, DiagKind::TooLarge, span, cat("a sum of more than ", kArrayLimit, " terms")).help =
          "sums inside rules and neurons are written out term by term";
      return {};
    }
    if (count <= 0) {
      report(frame, DiagKind::BadExtent, join(range.name.span, range.last->span),
             cat("the range ", *first, "..", *last, " is empty"));
      return {};
    }
    loops.push_back({*first, *last, *first});
  }
  Scope scope{.parent = frame.scope, .names = {}};
  for (const ast::Range& range : ranges) declare(frame, scope, range.name, {.kind = SymbolKind::Constant});
  Restore inside(frame.scope, &scope);
  std::vector<Value> out;
  out.reserve(static_cast<size_t>(total));
  while (true) {
    for (size_t i = 0; i < ranges.size(); ++i) {
      scope.names[ranges[i].name.text].value = number(frame, static_cast<double>(loops[i].now));
    }
    out.push_back(evaluate(frame, body));
    if (out.back().poisoned) return {};  // one message for all terms
    size_t digit = loops.size();
    while (digit > 0 && loops[digit - 1].now == loops[digit - 1].last) {
      loops[digit - 1].now = loops[digit - 1].first;
      --digit;
    }
    if (digit == 0) break;
    ++loops[digit - 1].now;
  }
  *failed = false;
  return out;
}

}  // namespace hebb::sema
