#include "compiler/transform/moving.h"

#include <algorithm>
#include <functional>

#include "compiler/expr/transform.h"

namespace hebb {

const Mover* Moving::find(ExprId id) const {
  const auto found = index.find(id.value);
  return found == index.end() ? nullptr : &movers[found->second];
}

bool Moving::moves(const ExprPool& pool, ExprId root) const {
  if (!root.valid()) return false;
  const std::vector<ExprId> nodes = nodes_below(pool, std::span(&root, 1));
  return std::any_of(nodes.begin(), nodes.end(), [&](ExprId id) { return index.contains(id.value); });
}

std::vector<size_t> Moving::mentioned(const ExprPool& pool, ExprId root) const {
  std::vector<size_t> result;
  for (const ExprId id : nodes_below(pool, std::span(&root, 1))) {
    const auto found = index.find(id.value);
    if (found != index.end()) result.push_back(found->second);
  }
  std::sort(result.begin(), result.end());
  return result;
}

Moving moving_variables(Model& model, const Dynamics& dynamics) {
  Moving moving;
  for (const Flow& flow : dynamics.flows) {
    const ExprId node = model.pool.variable(flow.variable, flow.element);
    moving.index[node.value] = moving.movers.size();
    moving.movers.push_back(
        {.variable = flow.variable, .element = flow.element, .node = node, .rate = flow.rate});
  }
  // A let that mentions a flowing variable flows with it; the others are read as they are. Lets do not
  // mention themselves, so the recursion ends.
  std::unordered_map<uint32_t, ExprId> written_out;
  std::function<ExprId(ExprId)> write_out = [&](ExprId root) {
    Substitution substitution(model.pool, model.pool, [&](const ExprNode& leaf) -> ExprId {
      if (leaf.op != Op::Var) return {};
      const VarId id{leaf.leaf.index};
      if (model[id].kind != VarKind::Let || leaf.leaf.element >= model[id].value.size()) return {};
      const ExprId let = model.pool.variable(id, leaf.leaf.element);
      const auto known = written_out.find(let.value);
      if (known != written_out.end()) return known->second;
      const ExprId value = write_out(model[id].value[leaf.leaf.element]);
      return written_out[let.value] = moving.moves(model.pool, value) ? value : let;
    });
    return substitution(root);
  };
  for (Mover& mover : moving.movers) mover.rate = simplify(model.pool, write_out(mover.rate));
  return moving;
}

}  // namespace hebb
