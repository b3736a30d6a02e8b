#include "compiler/experiment/arithmetic.h"

#include <cmath>

#include "compiler/support/text.h"

namespace hebb {

namespace {

std::string spelling(ast::BinaryOp op) {
  switch (op) {
    case ast::BinaryOp::Add: return "+";
    case ast::BinaryOp::Subtract: return "-";
    case ast::BinaryOp::Multiply: return "*";
    case ast::BinaryOp::Divide: return "/";
    case ast::BinaryOp::MatMul: return "@";
    case ast::BinaryOp::Power: return "^";
    case ast::BinaryOp::Less: return "<";
    case ast::BinaryOp::LessEqual: return "<=";
    case ast::BinaryOp::Greater: return ">";
    case ast::BinaryOp::GreaterEqual: return ">=";
    case ast::BinaryOp::Equal: return "==";
    case ast::BinaryOp::NotEqual: return "!=";
    case ast::BinaryOp::And: return "and";
    case ast::BinaryOp::Or: return "or";
  }
  return "?";
}

std::optional<Tensor> with_dimension(Tensor tensor, MaybeDimension dimension) {
  tensor.dimension = dimension;
  return tensor;
}

MaybeDimension product(const MaybeDimension& a, const MaybeDimension& b) {
  if (!a || !b) return std::nullopt;
  return *a * *b;
}

MaybeDimension quotient(const MaybeDimension& a, const MaybeDimension& b) {
  if (!a || !b) return std::nullopt;
  return *a / *b;
}

/// The exponent as a fraction with a small denominator, so that sqrt-like powers keep their dimension.
std::optional<Rational> small_fraction(double exponent) {
  for (int64_t den = 1; den <= 12; ++den) {
    const double num = exponent * static_cast<double>(den);
    if (std::abs(num) < 1000 && num == std::round(num))
      return make_rational(static_cast<int64_t>(num), den);
  }
  return std::nullopt;
}

/// a^n by repeated multiplication for the whole exponents of formulas, so that x^2 is x*x.
double raise(double base, double exponent) {
  if (exponent == 2) return base * base;
  if (exponent == 3) return base * base * base;
  return std::pow(base, exponent);
}

std::optional<Tensor> raised(const ast::Binary& binary, const Tensor& base, const Tensor& exponent,
                             Diagnostics& diags) {
  if (exponent.dimension && !exponent.dimension->dimensionless()) {
    diags.report(DiagKind::DimensionMismatch, binary.right->span,
                 cat("an exponent is a plain number, this is ", describe(*exponent.dimension)));
    return std::nullopt;
  }
  MaybeDimension dimension = base.dimension;
  if (base.dimension && !base.dimension->dimensionless()) {
    const auto fraction = exponent.scalar() ? small_fraction(exponent.values[0]) : std::nullopt;
    if (!fraction) {
      diags.report(DiagKind::DimensionMismatch, binary.right->span,
                   cat("a power of ", describe(*base.dimension), " needs a simple number as exponent"));
      return std::nullopt;
    }
    dimension = power(*base.dimension, *fraction);
  }
  return with_dimension(zip(base, exponent, raise), dimension);
}

std::optional<Tensor> matmul(const ast::Binary& binary, Span span, const Tensor& left, const Tensor& right,
                             Diagnostics& diags) {
  const bool axes = !left.scalar() && !right.scalar() && left.shape.size() <= 2 && right.shape.size() <= 2;
  if (!axes || left.shape.back() != right.shape.front()) {
    Diagnostic& diag = diags.report(
        DiagKind::ShapesDiffer, span,
        cat("'@' cannot multiply ", shape_text(left.shape), " and ", shape_text(right.shape)));
    diag.labels.push_back({binary.left->span, shape_text(left.shape)});
    diag.labels.push_back({binary.right->span, shape_text(right.shape)});
    diag.help = axes ? "the last axis of the left and the first of the right have the same length"
                     : "'@' takes arrays of one or two axes; numbers are multiplied with '*'";
    return std::nullopt;
  }
  return with_dimension(matrix_product(left, right), product(left.dimension, right.dimension));
}

void report_dimensions(const ast::Binary& binary, const Tensor& left, const Tensor& right,
                       Diagnostics& diags) {
  Diagnostic& diag = diags.report(
      DiagKind::DimensionMismatch, binary.op_span,
      cat("'", spelling(binary.op), "' joins two different dimensions: ", describe(*left.dimension), " and ",
          describe(*right.dimension)));
  diag.labels.push_back({binary.left->span, describe(*left.dimension)});
  diag.labels.push_back({binary.right->span, describe(*right.dimension)});
}

}  // namespace

CommonDimension common_dimension(const MaybeDimension& a, const MaybeDimension& b) {
  if (!a) return {b, true};
  if (!b || *a == *b) return {a, true};
  return {a, false};
}

std::optional<Tensor> apply(const ast::Binary& binary, Span span, const Tensor& left, const Tensor& right,
                            Diagnostics& diags) {
  if (binary.op == ast::BinaryOp::MatMul) return matmul(binary, span, left, right, diags);
  // Repeating both is never meant: [n, 1] and [n] would silently become [n, n].
  const auto shape = broadcast(left.shape, right.shape);
  if (!shape || (*shape != left.shape && *shape != right.shape)) {
    Diagnostic& diag = diags.report(DiagKind::ShapesDiffer, span,
                                    cat("the shapes ", shape_text(left.shape), " and ",
                                        shape_text(right.shape), " do not fit"));
    diag.labels.push_back({binary.left->span, shape_text(left.shape)});
    diag.labels.push_back({binary.right->span, shape_text(right.shape)});
    diag.help = count(left.shape) == count(right.shape)
                    ? "x[:, 0]  takes one column;  reshape(x, shape(y))  gives x the form of y"
                    : "shapes line up at their last axis; there, lengths are equal or 1";
    return std::nullopt;
  }
  const CommonDimension common = common_dimension(left.dimension, right.dimension);
  switch (binary.op) {
    case ast::BinaryOp::Multiply:
      return with_dimension(zip(left, right, [](double a, double b) { return a * b; }),
                            product(left.dimension, right.dimension));
    case ast::BinaryOp::Divide:
      return with_dimension(zip(left, right, [](double a, double b) { return a / b; }),
                            quotient(left.dimension, right.dimension));
    case ast::BinaryOp::Power: return raised(binary, left, right, diags);
    case ast::BinaryOp::And:
      return zip(left, right, [](double a, double b) { return a != 0 && b != 0 ? 1.0 : 0.0; });
    case ast::BinaryOp::Or:
      return zip(left, right, [](double a, double b) { return a != 0 || b != 0 ? 1.0 : 0.0; });
    case ast::BinaryOp::MatMul:
    case ast::BinaryOp::Add:
    case ast::BinaryOp::Subtract:
    case ast::BinaryOp::Less:
    case ast::BinaryOp::LessEqual:
    case ast::BinaryOp::Greater:
    case ast::BinaryOp::GreaterEqual:
    case ast::BinaryOp::Equal:
    case ast::BinaryOp::NotEqual: break;
  }
  if (!common.fits) {
    report_dimensions(binary, left, right, diags);
    return std::nullopt;
  }
  const auto compare = [&](auto f) {
    return zip(left, right, [&](double a, double b) { return f(a, b) ? 1.0 : 0.0; });
  };
  switch (binary.op) {
    case ast::BinaryOp::Add:
      return with_dimension(zip(left, right, [](double a, double b) { return a + b; }), common.dimension);
    case ast::BinaryOp::Subtract:
      return with_dimension(zip(left, right, [](double a, double b) { return a - b; }), common.dimension);
    case ast::BinaryOp::Less: return compare([](double a, double b) { return a < b; });
    case ast::BinaryOp::LessEqual: return compare([](double a, double b) { return a <= b; });
    case ast::BinaryOp::Greater: return compare([](double a, double b) { return a > b; });
    case ast::BinaryOp::GreaterEqual: return compare([](double a, double b) { return a >= b; });
    case ast::BinaryOp::Equal: return compare([](double a, double b) { return a == b; });
    case ast::BinaryOp::NotEqual: return compare([](double a, double b) { return a != b; });
    case ast::BinaryOp::Multiply:
    case ast::BinaryOp::Divide:
    case ast::BinaryOp::Power:
    case ast::BinaryOp::MatMul:
    case ast::BinaryOp::And:
    case ast::BinaryOp::Or: break;
  }
  assert(false && "every operator is handled above");
  return std::nullopt;
}

Tensor apply(ast::UnaryOp op, const Tensor& operand) {
  switch (op) {
    case ast::UnaryOp::Plus: return operand;
    case ast::UnaryOp::Minus: {
      Tensor out = operand;
      for (double& value : out.values) value = -value;
      return out;
    }
    case ast::UnaryOp::Not: return map(operand, [](double value) { return value == 0 ? 1.0 : 0.0; });
  }
  return operand;
}

std::optional<Tensor> select(const Tensor& condition, const Tensor& yes, const Tensor& no, Span span,
                             Diagnostics& diags) {
  const auto values = broadcast(yes.shape, no.shape);
  const auto shape = values ? broadcast(*values, condition.shape) : std::nullopt;
  if (!shape) {
    diags.report(DiagKind::ShapesDiffer, span,
                 cat("the shapes of the condition ", shape_text(condition.shape), " and of the two values, ",
                     shape_text(yes.shape), " and ", shape_text(no.shape), ", do not fit"));
    return std::nullopt;
  }
  const CommonDimension common = common_dimension(yes.dimension, no.dimension);
  if (!common.fits) {
    diags.report(DiagKind::DimensionMismatch, span,
                 cat("'then' gives ", describe(*yes.dimension), ", 'else' gives ", describe(*no.dimension)));
    return std::nullopt;
  }
  const Tensor test = expand(condition, *shape);
  const Tensor other = expand(no, *shape);
  Tensor out = expand(yes, *shape);
  for (size_t i = 0; i < out.values.size(); ++i)
    if (test.values[i] == 0) out.values[i] = other.values[i];
  out.dimension = common.dimension;
  return out;
}

}  // namespace hebb
