// AST expressions → values. Chains of binary operators are loops: a sum of 20,000 terms is one chain.

#include <cmath>

#include "compiler/sema/frame.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb::sema {
namespace {

Value evaluate_number(Frame& frame, const ast::Expr& expr, const ast::Number& literal) {
  Value out;
  if (!literal.unit) {
    out = number(frame, literal.value);
    // A bare 0 fits any dimension.
    if (literal.value == 0) out.dimension = frame.dimensions->fresh();
    return out;
  }
  const std::optional<UnitReading> unit = read_unit(frame, *literal.unit);
  if (!unit) return poison();
  (void)expr;
  out = number(frame, literal.value * unit->times / unit->over);
  out.dimension = unit->dimension;
  return out;
}

Value evaluate_unary(Frame& frame, const ast::Expr& expr, const ast::Unary& unary) {
  const Value operand = evaluate(frame, *unary.operand);
  switch (unary.op) {
    case ast::UnaryOp::Minus:
      return negate(frame, operand);
    case ast::UnaryOp::Plus:
      return operand;
    case ast::UnaryOp::Not:
      expect_plain(frame, operand, *unary.operand, "not");
      return apply(frame, Op::Not, {operand}, plain(), expr.span);
  }
  return poison();
}

Value compare(Frame& frame, const ast::Binary& binary, const Value& left, const Value& right, Span span) {
  if (left.poisoned || right.poisoned) return poison();
  expect_dimension(frame, right, *binary.right,
                   {.dimension = left.dimension, .name = "", .span = binary.left->span});
  switch (binary.op) {
    case ast::BinaryOp::Less:
      return apply(frame, Op::Less, {left, right}, plain(), span);
    case ast::BinaryOp::LessEqual:
      return apply(frame, Op::LessEqual, {left, right}, plain(), span);
    case ast::BinaryOp::Greater:
      return apply(frame, Op::Less, {right, left}, plain(), span);
    case ast::BinaryOp::GreaterEqual:
      return apply(frame, Op::LessEqual, {right, left}, plain(), span);
    case ast::BinaryOp::Equal:
      return apply(frame, Op::Equal, {left, right}, plain(), span);
    default:
      return apply(frame, Op::NotEqual, {left, right}, plain(), span);
  }
}

bool within_limits(Frame& frame, const ast::Expr& expr) {
  if (++frame.session.work <= kWorkLimit && frame.depth < kDepthLimit) return true;
  if (!frame.session.work_reported) {
    frame.session.work_reported = true;
    report(frame, DiagKind::TooLarge, expr.span,
           "this unrolls to too much: functions and sums are written out before they are compiled");
  }
  frame.session.work = kWorkLimit;
  return false;
}

bool is_sum(const ast::Binary& binary) {
  return binary.op == ast::BinaryOp::Add || binary.op == ast::BinaryOp::Subtract;
}

Value combine(Frame& frame, const ast::Binary& binary, const Value& left, Span span) {
  const Value right = evaluate(frame, *binary.right);
  switch (binary.op) {
    case ast::BinaryOp::Multiply:
      return multiply(frame, left, right, span);
    case ast::BinaryOp::Divide:
      return divide(frame, left, right, binary.right->span, span);
    case ast::BinaryOp::MatMul:
      return matrix_product(frame, left, right, *binary.left, *binary.right, span);
    case ast::BinaryOp::Power:
      return raise(frame, left, right, *binary.left, *binary.right, span);
    case ast::BinaryOp::And:
    case ast::BinaryOp::Or: {
      const bool both = binary.op == ast::BinaryOp::And;
      expect_plain(frame, left, *binary.left, both ? "and" : "or");
      expect_plain(frame, right, *binary.right, both ? "and" : "or");
      return apply(frame, both ? Op::And : Op::Or, {left, right}, plain(), span);
    }
    case ast::BinaryOp::Less:
    case ast::BinaryOp::LessEqual:
    case ast::BinaryOp::Greater:
    case ast::BinaryOp::GreaterEqual:
    case ast::BinaryOp::Equal:
    case ast::BinaryOp::NotEqual:
      return compare(frame, binary, left, right, span);
    case ast::BinaryOp::Add:
    case ast::BinaryOp::Subtract:
      break;
  }
  assert(false && "sums are read by evaluate_chain");
  return poison();
}

/// The left spine of a binary expression, from the innermost operand outwards. Terms of a sum are
/// compared with what the whole is expected to be, so that the odd one is blamed, else with the first.
Value evaluate_chain(Frame& frame, const ast::Expr& expr, const Expectation* expected) {
  std::vector<const ast::Expr*> spine;
  const ast::Expr* innermost = &expr;
  while (const auto* binary = std::get_if<ast::Binary>(&innermost->node)) {
    spine.push_back(innermost);
    innermost = binary->left.get();
  }
  // spine[0, top) is the outermost run of + and -.
  size_t top = 0;
  while (top < spine.size() && is_sum(std::get<ast::Binary>(spine[top]->node))) ++top;

  Value value = evaluate(frame, *innermost);
  const ast::Expr* so_far = innermost;
  std::optional<Expectation> terms;  // of the current run
  for (size_t i = spine.size(); i-- > 0;) {
    const ast::Binary& binary = std::get<ast::Binary>(spine[i]->node);
    if (!within_limits(frame, *spine[i])) return poison();
    if (!is_sum(binary)) {
      terms.reset();
      value = combine(frame, binary, value, spine[i]->span);
      so_far = spine[i];
      continue;
    }
    if (!terms) {
      const bool whole = expected != nullptr && i < top;
      if (whole && !expect_dimension(frame, value, *so_far, *expected)) value = poison();
      terms = whole ? *expected : Expectation{value.dimension, "", so_far->span};
    }
    const Value right = evaluate(frame, *binary.right);
    const bool known_left = !value.poisoned || (expected != nullptr && i < top);
    const bool fits = !known_left || expect_dimension(frame, right, *binary.right, *terms);
    value = fits ? add(frame, value, right, binary.op == ast::BinaryOp::Subtract, spine[i]->span) : poison();
    if (!value.poisoned) value.dimension = terms->dimension;
    so_far = spine[i];
  }
  if (top == 0 && expected != nullptr && !expect_dimension(frame, value, expr, *expected)) return poison();
  return value;
}

Value evaluate_condition(Frame& frame, const ast::Expr& expr, const ast::IfThenElse& choice,
                         const Expectation* expected) {
  const Value condition = evaluate(frame, *choice.condition);
  expect_plain(frame, condition, *choice.condition, "if");
  const Value yes = evaluate(frame, *choice.then_value, expected);
  const Value no = evaluate(frame, *choice.else_value, expected);
  if (expected == nullptr && !yes.poisoned) {
    const Expectation same{yes.dimension, "", choice.then_value->span};
    if (!expect_dimension(frame, no, *choice.else_value, same)) return poison();
  }
  return choose(frame, condition, yes, no, expr.span);
}

Value evaluate_member(Frame& frame, const ast::Expr& expr, const ast::Member& member) {
  const auto* object = std::get_if<ast::NameRef>(&member.object->node);
  if (object == nullptr) {
    report(frame, DiagKind::WrongKindOfName, expr.span,
           cat("only 'pre', 'post' and populations have members, not ",
               quoted(source_text(frame, member.object->span))));
    return poison();
  }
  if (frame.member) return frame.member(frame, object->name, member.member, expr.span);
  const bool neuron = object->name == "pre" || object->name == "post";
  if (neuron) {
    report(frame, DiagKind::NotConstant, expr.span,
           cat(quoted(source_text(frame, expr.span)),
               " has no value here: only rules and projections see neurons"));
    return poison();
  }
  const Value value = read_name(frame, object->name, member.object->span);
  if (!value.poisoned) {
    report(frame, DiagKind::WrongKindOfName, expr.span,
           cat(quoted(object->name), " is a number and has no member ", quoted(member.member.text)));
  }
  return poison();
}

}  // namespace

Value evaluate(Frame& frame, const ast::Expr& expr, const Expectation* expected) {
  if (!within_limits(frame, expr)) return poison();
  ++frame.depth;
  const auto wrong = [&](std::string_view what) {
    report(frame, DiagKind::WrongKindOfName, expr.span,
           cat(what, " has no value in a rule, a neuron or a network"));
    return poison();
  };
  bool checked = false;  // against `expected`, by the case itself
  Value value =
      std::visit(Overload{
                     [&](const ast::Number& node) { return evaluate_number(frame, expr, node); },
                     [&](const ast::String&) { return wrong("a text"); },
                     [&](const ast::Boolean& node) { return number(frame, node.value ? 1 : 0); },
                     [&](const ast::Infinity&) {
                       Value out = number(frame, std::numeric_limits<double>::infinity());
                       out.dimension = frame.dimensions->fresh();
                       return out;
                     },
                     [&](const ast::VectorLiteral& node) { return evaluate_vector(frame, expr, node); },
                     [&](const ast::NameRef& node) { return read_name(frame, node.name, expr.span); },
                     [&](const ast::Member& node) { return evaluate_member(frame, expr, node); },
                     [&](const ast::Call& node) { return evaluate_call(frame, expr, node); },
                     [&](const ast::Subscript& node) { return evaluate_subscript(frame, expr, node); },
                     [&](const ast::Unary& node) { return evaluate_unary(frame, expr, node); },
                     [&](const ast::Binary&) {
                       checked = true;
                       return evaluate_chain(frame, expr, expected);
                     },
                     [&](const ast::IfThenElse& node) {
                       checked = true;
                       return evaluate_condition(frame, expr, node, expected);
                     },
                     [&](const ast::Run&) { return wrong("'run'"); },
                     [&](const ast::Paren& node) {
                       checked = true;
                       return evaluate(frame, *node.inner, expected);
                     },
                 },
                 expr.node);
  --frame.depth;
  if (!checked && expected != nullptr && !expect_dimension(frame, value, expr, *expected)) return poison();
  return value;
}

Value evaluate_as(Frame& frame, const ast::Expr& expr, const Shape& shape, const Expectation* expected) {
  Value value = evaluate(frame, expr, expected);
  if (value.poisoned) return value;
  if (reject_value_of_train(frame, value, expr.span)) return poison();
  if (value.scalar() && !shape.scalar()) {
    value.elements.assign(static_cast<size_t>(shape.size()), value.only());
    value.shape = shape;
  }
  if (value.shape != shape) {
    report(frame, DiagKind::ShapeMismatch, expr.span,
           cat("this has shape ", to_text(value.shape), ", but ",
               shape.scalar() ? "one number" : to_text(shape), " is wanted"));
    return poison();
  }
  return value;
}

}  // namespace hebb::sema
