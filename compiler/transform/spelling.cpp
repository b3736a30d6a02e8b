#include "compiler/transform/spelling.h"

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

std::string spelled(const Model& model, VarId id, uint32_t element) {
  const Variable& variable = model[id];
  std::string name = variable.name;
  if (variable.kind == VarKind::PreValue) name = cat("pre.", name);
  if (variable.kind == VarKind::PostValue) name = cat("post.", name);
  if (variable.shape.scalar()) return name;
  std::vector<std::string> indices(variable.shape.extents.size());
  for (size_t axis = indices.size(); axis-- > 0;) {
    const auto extent = static_cast<uint32_t>(variable.shape.extents[axis]);
    indices[axis] = std::to_string(element % extent);
    element /= extent;
  }
  return cat(name, "[", joined(indices, ", "), "]");
}

std::string spelled(const Model& model, ExprId expression) {
  return to_text(model.pool, expression, [&](const ExprNode& leaf) {
    if (leaf.op == Op::Draw) return std::string("a draw");
    return spelled(model, VarId{leaf.leaf.index}, leaf.leaf.element);
  });
}

}  // namespace hebb
