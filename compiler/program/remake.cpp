#include "compiler/program/remake.h"

#include <algorithm>

namespace hebb {
namespace {

constexpr int kNever = 1 << 20;
/// An address and a read.
constexpr int kReadOperations = 4;

/// In operations of one instruction, roughly.
int operations(Op op) {
  switch (op) {
    case Op::Neg: case Op::Add: case Op::Sub: case Op::Mul: case Op::Fma: return 1;
    case Op::Div: case Op::Sqrt: return 8;
    case Op::Exp: return 16;
    case Op::Sigmoid: return 22;
    case Op::Tanh: return 32;
    default: return kNever;
  }
}

/// To make `id`, and what it is made of where that is made again too, each once; at least `most` + 1 when it is more.
int operations_of(const ExprPool& pool, const std::vector<bool>& again, uint32_t id, int most) {
  std::vector<uint32_t> seen = {id};
  int all = 0;
  for (size_t at = 0; at < seen.size() && all <= most; ++at) {
    const ExprNode node = pool[ExprId{seen[at]}];
    if (info(node.op).is_leaf) {
      all += node.op == Op::Load ? kReadOperations : 0;
      continue;
    }
    all += operations(node.op);
    for (int k = 0; k < node.count; ++k) {
      const uint32_t operand = node.operands[k].value;
      if (again[operand] && std::find(seen.begin(), seen.end(), operand) == seen.end()) seen.push_back(operand);
    }
  }
  return all;
}

}  // namespace

Remakes remakes(const ExprPool& pool, const std::vector<bool>& live, const std::vector<bool>& free, int most, bool anchored) {
  Remakes out;
  out.again.resize(pool.size());
  out.kept.resize(pool.size());
  for (uint32_t id = 0; id < pool.size(); ++id) {
    out.kept[id] = ExprId{id};
    if (!live[id]) continue;
    const ExprNode node = pool[ExprId{id}];
    if (info(node.op).is_leaf) {
      if (free[id]) out.again[id] = true;
      if (free[id] || node.op == Op::Const) out.kept[id] = ExprId{};
      continue;
    }
    ExprId kept;
    bool one = true;
    for (int k = 0; k < node.count; ++k) {
      const ExprId operand = node.operands[k];
      const ExprId of_operand = out.kept[operand.value];
      if (!of_operand.valid()) continue;
      one = one && anchored && (!kept.valid() || kept == of_operand);
      kept = of_operand;
    }
    if (!one || operations_of(pool, out.again, id, most) > most) continue;
    out.again[id] = true;
    out.kept[id] = kept;
  }
  return out;
}

}  // namespace hebb
