#pragma once
// The nodes of a loss by what they do: how each finds its value, and how it is pulled back. Operands are numbers of nodes.

#include "compiler/experiment/functions.h"
#include "compiler/experiment/loss_graph.h"

namespace hebb {

LossNode constant_node(Tensor value, Span span);
/// The same value again.
LossNode same_node(int operand, Span span);

LossNode unary_node(ast::UnaryOp op, int operand, Span span);
/// `node` outlives the loss: its operator and the places of its operands are for messages.
LossNode binary_node(const ast::Binary& node, int left, int right, Span span);
LossNode select_node(int condition, int yes, int no, Span span);

/// Of one axis: first..last, one index or all of it.
struct IndexBounds {
  std::optional<double> first, last;   // none: from the beginning; the one at `first`, or to the end
  bool keep = true;                    // the axis
};
LossNode slice_node(Evaluation& e, int object, std::vector<IndexBounds> bounds, Span span);
/// The last row; of one number, that number.
LossNode last_node(int operand, Span span);
/// Along a new first axis.
LossNode stack_node(std::vector<int> operands, Span span);

/// `form`: the call, with anything in the places of `operands`.
LossNode function_node(const Function& function, FunctionCall form, std::vector<int> operands, const PullRule& rule, Span span);

}  // namespace hebb
