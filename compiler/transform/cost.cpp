#include "compiler/transform/cost.h"

#include <algorithm>

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

int level_of(const Model& model, const ExprNode& leaf) {
  if (leaf.op == Op::Draw) return 3;
  if (leaf.op != Op::Var) return 0;
  const Variable& variable = model[VarId{leaf.leaf.index}];
  if (variable.kind == VarKind::Param) return 0;
  switch (variable.locus) {
    case Locus::Shared: return 0;
    case Locus::Pre: return 1;
    case Locus::Post: return 2;
    case Locus::Synapse: return 3;
  }
  return 3;
}

void count(Cost& cost, const ExprNode& node, bool enters_fma) {
  switch (node.op) {
    case Op::Add: case Op::Sub: case Op::Mul: case Op::Fma: ++cost.multiply_adds; return;
    case Op::Neg: cost.multiply_adds += enters_fma ? 0 : 1; return;  // a sign inside a multiply-add is free
    default:
      if (info(node.op).is_transcendental) ++cost.calls[std::string(info(node.op).name)];
      else ++cost.others;
  }
}

/// For each node below the roots one bit per level it mentions.
std::vector<uint8_t> mentioned_places(const ExprPool& pool, std::span<const ExprId> roots,
                                      const LevelOf& level) {
  const std::vector<ExprId> nodes = nodes_below(pool, roots);
  std::vector<uint8_t> mask(nodes.empty() ? 0 : nodes.back().value + 1, 0);
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    for (int k = 0; k < node.count; ++k) mask[id.value] |= mask[node.operands[k].value];
    if (node.count == 0 && node.op != Op::Const) mask[id.value] = static_cast<uint8_t>(1 << level(node));
  }
  return mask;
}

Locus place_of(uint8_t mask) {
  switch (mask & ~1) {
    case 0: return Locus::Shared;
    case 2: return Locus::Pre;
    case 4: return Locus::Post;
    default: return Locus::Synapse;
  }
}

std::string describe(const Cost& cost) {
  std::vector<std::string> pieces;
  if (cost.multiply_adds > 0) pieces.push_back(plural(static_cast<size_t>(cost.multiply_adds), "multiply-add"));
  if (cost.others > 0) pieces.push_back(plural(static_cast<size_t>(cost.others), "other operation"));
  for (const auto& [name, times] : cost.calls) pieces.push_back(cat(times, " ", name == "^" ? "pow" : name));
  return listed(pieces);
}

}  // namespace

Costs cost_of(const Model& model, const std::vector<ExprId>& values) {
  // Lets are computed where they are used, or where they live: written out, each is counted once.
  ExprPool pool = model.pool;
  Substitution write_out(pool, pool, [&](const ExprNode& leaf) -> ExprId {
    if (leaf.op != Op::Var) return {};
    const Variable& variable = model[VarId{leaf.leaf.index}];
    if (variable.kind != VarKind::Let || leaf.leaf.element >= variable.value.size()) return {};
    return variable.value[leaf.leaf.element];
  });
  const LevelOf level = [&](const ExprNode& leaf) { return level_of(model, leaf); };
  std::vector<ExprId> roots;
  for (ExprId root : values) {
    for (ExprId before; before != root;) {             // lets of lets
      before = root;
      root = write_out(root);
    }
    roots.push_back(horner(pool, simplify(pool, root), level));
  }
  // What is hoisted is kept, so it is no part of a multiply-add further in.
  std::vector<uint8_t> mask = mentioned_places(pool, roots, level);
  const size_t wanted = roots.size();
  for (const ExprId id : nodes_below(pool, std::span(roots).first(wanted))) {
    const ExprNode node = pool[id];
    for (int k = 0; k < node.count; ++k) {
      const ExprId operand = node.operands[k];
      const bool hoisted = place_of(mask[operand.value]) != place_of(mask[id.value]);
      if (hoisted && pool[operand].count > 0) roots.push_back(operand);
    }
  }
  roots = form_fma(pool, roots);
  roots.resize(wanted);
  mask = mentioned_places(pool, roots, level);

  const std::vector<ExprId> nodes = nodes_below(pool, roots);
  std::vector<bool> enters_fma(mask.size(), false);
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    for (int k = 0; k < node.count; ++k) {
      if (node.op == Op::Fma) enters_fma[node.operands[k].value] = true;
    }
  }
  Costs costs;
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    if (node.count == 0) continue;
    count(costs.at[static_cast<size_t>(place_of(mask[id.value]))], node, enters_fma[id.value]);
  }
  return costs;
}

std::string describe(const Costs& costs) {
  std::vector<std::string> pieces;
  const auto add = [&](Locus where, std::string_view unit) {
    const Cost& cost = costs.at[static_cast<size_t>(where)];
    if (!cost.nothing()) pieces.push_back(cat(describe(cost), " per ", unit));
  };
  add(Locus::Synapse, "synapse");
  add(Locus::Pre, "pre neuron");
  add(Locus::Post, "post neuron");
  return joined(pieces, ", ");
}

std::string describe_per_neuron(const Costs& costs) {
  Cost all;
  for (size_t k = 1; k < 4; ++k) {
    const Cost& cost = costs.at[k];
    all.multiply_adds += cost.multiply_adds;
    all.others += cost.others;
    for (const auto& [name, times] : cost.calls) all.calls[name] += times;
  }
  return all.nothing() ? std::string() : cat(describe(all), " per neuron");
}

}  // namespace hebb
