#pragma once
// Operators of experiments and tests on Tensors: broadcasting, and the same rules for dimensions as in
// rules and networks. A value without a dimension (recorded data, a literal 0) fits any.

#include "compiler/ast/ast.h"
#include "compiler/experiment/tensor.h"
#include "compiler/support/diagnostic.h"

namespace hebb {

using MaybeDimension = std::optional<Dimension>;

/// The dimension of a sum: the one that is known; nothing when neither is. `fits` is false when both
/// are known and differ.
struct CommonDimension {
  MaybeDimension dimension;
  bool fits = true;
};
CommonDimension common_dimension(const MaybeDimension& a, const MaybeDimension& b);

std::optional<Tensor> apply(const ast::Binary& binary, Span span, const Tensor& left, const Tensor& right,
                            Diagnostics& diags);
Tensor apply(ast::UnaryOp op, const Tensor& operand);

/// Elements of `yes` where `condition` is not 0, else of `no`; shapes must fit.
std::optional<Tensor> select(const Tensor& condition, const Tensor& yes, const Tensor& no, Span span,
                             Diagnostics& diags);

}  // namespace hebb
