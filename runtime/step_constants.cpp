#include "runtime/step_constants.h"

namespace hebb {

namespace {

bool of_parameters(const Program& program, ExprId root) {
  if (!root.valid()) return false;
  for (const ExprId id : nodes_below(program.pool, std::span(&root, 1))) {
    const ExprNode node = program.pool[id];
    const bool parameter = node.op == Op::Load && node.leaf.at == At::Uniform && program[ColumnId{node.leaf.index}].role == Role::Param;
    if (!parameter && node.op != Op::Const && info(node.op).is_leaf) return false;
  }
  return true;
}

bool is_uniform(const Program& program, SpaceId id) { return program[id].kind == SpaceKind::Uniform; }

}  // namespace

StepConstants step_constants(const Program& program) {
  StepConstants out{.columns = std::vector<bool>(program.columns.size()), .kernels = std::vector<bool>(program.kernels.size())};
  std::vector<bool> stored(program.columns.size());
  std::vector<bool> other(program.columns.size());     // also something else
  std::vector<ExprId> value(program.columns.size());
  const auto refuse = [&](KernelId id) {
    for (const Store& store : program[id].stores) other[store.into.value] = true;
    for (const Accumulate& sum : program[id].accumulates) other[sum.into.value] = true;
  };
  for (const Launch& launch : program.plan.init) refuse(launch.kernel);
  for (const Launch& launch : program.plan.begin) refuse(launch.kernel);
  for (const Deferred& deferred : program.plan.deferred) {
    refuse(deferred.now);
    for (const KernelId kernel : deferred.settle) refuse(kernel);
  }
  for (const Seldom& seldom : program.plan.seldom) refuse(seldom.all);
  for (const Launch& launch : program.plan.step) {
    const Kernel& kernel = program[launch.kernel];
    if (!is_uniform(program, kernel.domain) || launch.when != When::Always || !kernel.accumulates.empty()) {
      refuse(launch.kernel);
      continue;
    }
    for (const Store& store : kernel.stores) {
      const uint32_t c = store.into.value;
      const bool same = !stored[c] || value[c] == store.value;
      stored[c] = true;
      value[c] = store.value;
      if (!same || program[store.into].role != Role::Value || program[store.into].width != 1 ||
          !of_parameters(program, store.value))
        other[c] = true;
    }
  }
  for (const Launch& launch : program.plan.step) {
    const Kernel& kernel = program[launch.kernel];
    bool all = is_uniform(program, kernel.domain) && !kernel.stores.empty() && kernel.accumulates.empty();
    for (const Store& store : kernel.stores) {
      const uint32_t c = store.into.value;
      if (!stored[c] || other[c]) {
        all = false;
        continue;
      }
      out.columns[c] = true;
    }
    out.kernels[launch.kernel.value] = all;
  }
  return out;
}

}  // namespace hebb
