// Jumps of what synapses read of their presynaptic neuron, apart from jumps of the neuron's own state.
#include <algorithm>
#include <map>
#include <set>

#include "compiler/lower/passes.h"

namespace hebb {

namespace {

bool reads(const Program& program, const std::vector<Store>& stores, const std::vector<Store>& written) {
  std::vector<ExprId> values;
  for (const Store& store : stores) values.push_back(store.value);
  const std::vector<ExprId> below = nodes_below(program.pool, values);
  return std::any_of(below.begin(), below.end(), [&](ExprId id) {
    const ExprNode node = program.pool[id];
    return node.op == Op::Load && std::any_of(written.begin(), written.end(), [&](const Store& store) { return store.into.value == node.leaf.index; });
  });
}

/// Columns of neurons that synapses read there, and that a step changes at spikes alone.
std::set<uint32_t> traces_of_pre(const Program& program) {
  std::set<uint32_t> out, always;
  for (const Launch& launch : program.plan.step) {
    const Kernel& kernel = program[launch.kernel];
    for (const ExprId id : nodes_below(program.pool, roots(kernel)))
      if (const ExprNode node = program.pool[id]; node.op == Op::Load && node.leaf.at == At::Pre) out.insert(node.leaf.index);
    for (const Accumulate& sum : kernel.accumulates) always.insert(sum.into.value);
    for (const Store& store : kernel.stores)
      if (kernel.rows != Rows::OfSpikes) always.insert(store.into.value);
  }
  std::erase_if(out, [&](uint32_t column) { return always.contains(column); });
  return out;
}

}  // namespace

void let_traces_jump_alone(Program& program) {
  const std::set<uint32_t> traces = traces_of_pre(program);
  std::map<uint32_t, KernelId> others;
  std::vector<Launch> step;
  for (const Launch& launch : program.plan.step) {
    step.push_back(launch);
    if (const auto known = others.find(launch.kernel.value); known != others.end()) step.push_back({known->second, launch.when});
    const Kernel kernel = program[launch.kernel];
    if (kernel.rows != Rows::OfSpikes || !kernel.accumulates.empty() || others.contains(launch.kernel.value)) continue;
    Kernel first = kernel, then = kernel;
    std::erase_if(first.stores, [&](const Store& store) { return !traces.contains(store.into.value); });
    std::erase_if(then.stores, [&](const Store& store) { return traces.contains(store.into.value); });
    if (first.stores.empty() || then.stores.empty() || reads(program, then.stores, first.stores)) continue;
    program.kernels[launch.kernel.value] = std::move(first);
    others[launch.kernel.value] = program.add(std::move(then));
    step.push_back({others[launch.kernel.value], launch.when});
  }
  program.plan.step = std::move(step);
}

}  // namespace hebb
