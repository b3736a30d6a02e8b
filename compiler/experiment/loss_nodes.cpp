#include "compiler/experiment/loss_nodes.h"

#include <cmath>

#include "compiler/experiment/arithmetic.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

using OverLanes = LossNode::OverLanes;

std::optional<std::vector<AxisRange>> ranges_of(Evaluation& e, const Tensor& x, const std::vector<IndexBounds>& bounds, Span span) {
  if (bounds.size() > x.shape.size()) {
    e.diags.report(DiagKind::ShapesDiffer, span, cat(plural(bounds.size(), "index"), " for ", shape_text(x.shape)));
    return std::nullopt;
  }
  std::vector<AxisRange> ranges;
  for (size_t k = 0; k < bounds.size(); ++k) {
    const double end = static_cast<double>(x.shape[k]) - 1;
    const double first = bounds[k].first.value_or(0);
    const double last = bounds[k].last.value_or(bounds[k].first.value_or(end));
    if (first != std::floor(first) || last != std::floor(last) || first < 0 || last > end || last < first) {
      report_argument(e, span, cat("the index ", first, "..", last, " is not inside 0..", end));
      return std::nullopt;
    }
    ranges.push_back({static_cast<int64_t>(first), static_cast<int64_t>(last), bounds[k].keep});
  }
  return ranges;
}

bool has_rows(const Tensor& tensor) { return !tensor.scalar() && tensor.shape[0] != 0; }

std::vector<AxisRange> last_row(const Tensor& tensor) {
  return {{tensor.shape[0] - 1, tensor.shape[0] - 1, false}};
}

}  // namespace

LossNode constant_node(Tensor value, Span span) {
  return {.operands = {}, .constant = std::move(value), .leaf = -1, .value = {}, .pull = {}, .span = span};
}

LossNode same_node(int operand, Span span) {
  return {.operands = {operand}, .constant = {}, .leaf = -1,
          .value = [](Evaluation&, LossNode::Operands x) { return std::optional(*x[0]); },
          .pull = pull_of_reshape(), .span = span};
}

LossNode unary_node(ast::UnaryOp op, int operand, Span span) {
  return {.operands = {operand}, .constant = {}, .leaf = -1,
          .value = [op](Evaluation&, LossNode::Operands x) { return std::optional(apply(op, *x[0])); },
          .pull = pull_of_unary(op), .span = span, .lanes = OverLanes::Elementwise};
}

LossNode binary_node(const ast::Binary& node, int left, int right, Span span) {
  return {.operands = {left, right}, .constant = {}, .leaf = -1,
          .value = [node = &node, span](Evaluation& e, LossNode::Operands x) { return apply(*node, span, *x[0], *x[1], e.diags); },
          .pull = pull_of_binary(node.op).pull, .span = span,
          .lanes = node.op == ast::BinaryOp::MatMul ? OverLanes::Unknown : OverLanes::Elementwise};
}

LossNode select_node(int condition, int yes, int no, Span span) {
  return {.operands = {condition, yes, no}, .constant = {}, .leaf = -1,
          .value = [span](Evaluation& e, LossNode::Operands x) { return select(*x[0], *x[1], *x[2], span, e.diags); },
          .pull = pull_of_select(), .span = span, .lanes = OverLanes::Elementwise};
}

LossNode slice_node(Evaluation& e, int object, std::vector<IndexBounds> bounds, Span span) {
  const auto value = [bounds, span](Evaluation& here, LossNode::Operands x) -> std::optional<Tensor> {
    const auto ranges = ranges_of(here, *x[0], bounds, span);
    if (!ranges) return std::nullopt;
    return slice(*x[0], *ranges);
  };
  const auto pull = [bounds, span, &e](LossNode::Operands x, const Tensor& y, const Tensor& adjoint, std::span<Tensor* const> into) {
    pull_of_slice(*ranges_of(e, *x[0], bounds, span))(x, y, adjoint, into);
  };
  return {.operands = {object}, .constant = {}, .leaf = -1, .value = value, .pull = pull, .span = span};
}

LossNode last_node(int operand, Span span) {
  return {.operands = {operand}, .constant = {}, .leaf = -1,
          .value = [](Evaluation&, LossNode::Operands x) {
            return std::optional(has_rows(*x[0]) ? slice(*x[0], last_row(*x[0])) : *x[0]);
          },
          .pull = [](LossNode::Operands x, const Tensor& y, const Tensor& adjoint, std::span<Tensor* const> into) {
            (has_rows(*x[0]) ? pull_of_slice(last_row(*x[0])) : pull_of_reshape())(x, y, adjoint, into);
          },
          .span = span};
}

LossNode stack_node(std::vector<int> operands, Span span) {
  const auto value = [span](Evaluation& e, LossNode::Operands x) -> std::optional<Tensor> {
    std::vector<Tensor> parts;
    for (const Tensor* part : x) {
      if (part->shape != x[0]->shape) {
        e.diags.report(DiagKind::ShapesDiffer, span,
                       cat("elements of one array have one shape, got ", shape_text(x[0]->shape), " and ", shape_text(part->shape)));
        return std::nullopt;
      }
      parts.push_back(*part);
    }
    return stack(parts);
  };
  return {.operands = std::move(operands), .constant = {}, .leaf = -1, .value = value, .pull = pull_of_stack(), .span = span};
}

LossNode function_node(const Function& function, FunctionCall form, std::vector<int> operands, const PullRule& rule, Span span) {
  const auto value = [row = &function, form = std::move(form)](Evaluation& e, LossNode::Operands x) -> std::optional<Tensor> {
    FunctionCall filled = form;
    for (size_t k = 0; k < x.size(); ++k) {
      Given& given = row->variadic ? filled.more[k] : *filled.slots[k];
      given.value = Value{*x[k]};
    }
    auto result = row->call(e, filled);
    if (!result) return std::nullopt;
    return std::get<Tensor>(std::move(result->data));
  };
  return {.operands = std::move(operands), .constant = {}, .leaf = -1, .value = value, .pull = rule.pull,
          .span = span, .likelihood = rule.likelihood, .lanes = rule.lanes};
}

}  // namespace hebb
