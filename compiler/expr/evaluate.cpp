#include "compiler/expr/transform.h"

namespace hebb {

double evaluate(const ExprPool& pool, ExprId root,
                const std::function<double(const ExprNode& leaf)>& leaf) {
  std::vector<double> value(root.value + 1, 0);
  for (const ExprId id : nodes_below(pool, std::span(&root, 1))) {
    const ExprNode node = pool[id];
    const auto operand = [&](int k) { return k < node.count ? value[node.operands[k].value] : 0.0; };
    if (node.op == Op::Const) value[id.value] = node.value;
    else if (node.count == 0) value[id.value] = leaf(node);
    else value[id.value] = info(node.op).value(operand(0), operand(1), operand(2));
  }
  return value[root.value];
}

Substitution::Substitution(const ExprPool& from, ExprPool& to,
                           std::function<ExprId(const ExprNode& leaf)> replace)
    : from_(from), to_(to), replace_(std::move(replace)) {}

// `from` may grow while we work when it is `to`: ids stay, so nothing is invalidated.
ExprId Substitution::operator()(ExprId root) {
  if (!root.valid()) return root;
  if (done_.size() <= root.value) done_.resize(root.value + 1);
  std::vector<ExprId> stack = {root};
  while (!stack.empty()) {
    const ExprId id = stack.back();
    if (done_[id.value].valid()) {
      stack.pop_back();
      continue;
    }
    const ExprNode node = from_[id];
    bool ready = true;
    for (int k = 0; k < node.count; ++k) {
      if (done_[node.operands[k].value].valid()) continue;
      stack.push_back(node.operands[k]);
      ready = false;
    }
    if (!ready) continue;
    stack.pop_back();
    done_[id.value] = copy(id, node);
  }
  return done_[root.value];
}

ExprId Substitution::copy(ExprId id, const ExprNode& node) {
  if (node.count > 0) {
    ExprId operands[3];
    bool same = &from_ == &to_;
    for (int k = 0; k < node.count; ++k) {
      operands[k] = done_[node.operands[k].value];
      same = same && operands[k] == node.operands[k];
    }
    return same ? id : remake(to_, node.op, std::span(operands, node.count));
  }
  const ExprId replaced = node.op == Op::Const ? ExprId{} : replace_(node);
  if (replaced.valid()) return replaced;
  if (&from_ == &to_) return id;
  switch (node.op) {
    case Op::Const: return to_.constant(node.value);
    case Op::Var: return to_.variable(VarId{node.leaf.index}, node.leaf.element);
    case Op::Load: return to_.load(ColumnId{node.leaf.index}, node.leaf.at, node.leaf.element);
    case Op::Draw: return to_.draw(node.leaf.index, node.leaf.element);
    default: assert(node.op == Op::Dt && "every other operation has operands"); return to_.dt();
  }
}

ExprId remake(ExprPool& pool, Op op, std::span<const ExprId> operands) {
  switch (operands.size()) {
    case 1: return pool.make(op, operands[0]);
    case 2: return pool.make(op, operands[0], operands[1]);
    default: return pool.make(op, operands[0], operands[1], operands[2]);
  }
}

}  // namespace hebb
