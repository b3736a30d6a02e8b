#include <algorithm>
#include <optional>

#include "compiler/expr/transform.h"
#include "compiler/lower/passes.h"

namespace hebb {
namespace {

bool mentions(const Program& program, const Kernel& kernel, ColumnId column) {
  for (const ExprId id : nodes_below(program.pool, roots(kernel)))
    if (program.pool[id].op == Op::Load && program.pool[id].leaf.index == column.value) return true;
  return false;
}

bool writes(const Kernel& kernel, ColumnId column) {
  const auto into = [&](const auto& effect) { return effect.into == column; };
  return std::any_of(kernel.stores.begin(), kernel.stores.end(), into) ||
         std::any_of(kernel.accumulates.begin(), kernel.accumulates.end(), into);
}

/// The state S when the kernel reads `sum` and S nowhere but in S + sum.
std::optional<ColumnId> added_to(const Program& program, const Kernel& kernel, ColumnId sum) {
  const ExprPool& pool = program.pool;
  const std::vector<ExprId> values = roots(kernel);
  const std::vector<ExprId> nodes = nodes_below(pool, values);
  const auto loads = [&](ExprId id) {
    const ExprNode node = pool[id];
    return node.op == Op::Load && node.leaf.at == At::Self && node.leaf.element == 0 ? ColumnId{node.leaf.index} : ColumnId{};
  };
  ColumnId state;
  ExprId together;
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    if (node.op != Op::Add) continue;
    for (int k = 0; k < 2; ++k)
      if (loads(node.operands[k]) == sum && loads(node.operands[1 - k]).valid()) {
        state = loads(node.operands[1 - k]);
        together = id;
      }
  }
  if (!state.valid() || program[state].role != Role::State || program[state].space != program[sum].space) return {};
  if (program[state].width != 1) return {};
  const auto either = [&](ExprId id) { return loads(id) == sum || loads(id) == state; };
  if (std::any_of(values.begin(), values.end(), either)) return {};
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    if (id == together) continue;
    for (int k = 0; k < node.count; ++k)
      if (either(node.operands[k])) return {};
    // Another way to read them: a fixed row.
    if (node.op == Op::Load && (node.leaf.index == sum.value || node.leaf.index == state.value) && !loads(id).valid()) return {};
  }
  return state;
}

class Straightener {
 public:
  Straightener(Program& program, std::vector<Kernel>& kernels) : program_(program), kernels_(kernels) {}

  void consider(ColumnId sum) {
    if (program_[sum].role != Role::Value || program_[sum].reset != 0 || program_[sum].width != 1) return;
    size_t first = kernels_.size(), reader = kernels_.size();
    for (size_t k = 0; k < kernels_.size(); ++k) {
      if (writes(kernels_[k], sum)) {
        if (reader != kernels_.size() || !only_sums(kernels_[k], sum)) return;
        first = std::min(first, k);
      }
      if (!mentions(program_, kernels_[k], sum)) continue;
      if (reader != kernels_.size() || first == kernels_.size()) return;
      reader = k;
    }
    if (first == kernels_.size() || reader == kernels_.size()) return;
    const std::optional<ColumnId> state = added_to(program_, kernels_[reader], sum);
    if (!state) return;
    for (size_t k = first; k < reader; ++k)
      if (mentions(program_, kernels_[k], *state) || writes(kernels_[k], *state)) return;
    redirect(sum, *state, kernels_[reader]);
  }

 private:
  /// Only where few synapses are looked at in a step: where all are, their sum has registers.
  bool only_sums(const Kernel& kernel, ColumnId sum) const {
    if (kernel.rows != Rows::OfPre) return false;
    for (const Store& store : kernel.stores)
      if (store.into == sum) return false;
    return std::all_of(kernel.accumulates.begin(), kernel.accumulates.end(), [&](const Accumulate& accumulate) {
      return accumulate.into != sum || (accumulate.at == At::Post && accumulate.combine == Combine::Sum);
    });
  }

  void redirect(ColumnId sum, ColumnId state, Kernel& reader) {
    ExprPool& pool = program_.pool;
    for (Kernel& kernel : kernels_)
      for (Accumulate& accumulate : kernel.accumulates)
        if (accumulate.into == sum) accumulate.into = state;
    const ExprId now = pool.load(state, At::Self), added = pool.load(sum, At::Self);
    const ExprId one = pool.add(now, added), other = pool.add(added, now);
    std::vector<ExprId> values = roots(reader);
    std::unordered_map<uint32_t, ExprId> done;
    for (const ExprId id : nodes_below(pool, values)) {
      const ExprNode node = pool[id];
      ExprId operands[3];
      for (int k = 0; k < node.count; ++k) operands[k] = done.at(node.operands[k].value);
      if (id == one || id == other) done[id.value] = now;
      else done[id.value] = node.count == 0 ? id : remake(pool, node.op, std::span(operands, node.count));
    }
    for (ExprId& value : values) value = done.at(value.value);
    reader = with_roots(std::move(reader), values);
  }

  Program& program_;
  std::vector<Kernel>& kernels_;
};

}  // namespace

std::vector<Kernel> summed_straight(Program& program, std::vector<Kernel> kernels, const std::set<uint32_t>& visible) {
  Straightener straightener(program, kernels);
  for (uint32_t column = 0; column < program.columns.size(); ++column)
    if (!visible.contains(column)) straightener.consider(ColumnId{column});
  return kernels;
}

}  // namespace hebb
