#include <algorithm>

#include "compiler/lower/passes.h"

namespace hebb {
namespace {

/// Whether `root` reads `column` other than where `spikes` is not 0: in a `select` on it.
bool reads_without_spike(const Program& program, ExprId root, ColumnId column, ColumnId spikes) {
  const ExprPool& pool = program.pool;
  const auto is_load = [&](ExprId id, ColumnId of) {
    const ExprNode node = pool[id];
    return node.op == Op::Load && node.leaf.index == of.value && node.leaf.at == At::Self;
  };
  // Nodes that use it freely, by number: operands come first.
  const std::vector<ExprId> nodes = nodes_below(pool, std::span(&root, 1));
  std::vector<bool> free(root.value + 1);
  for (const ExprId id : nodes) {
    const ExprNode node = pool[id];
    if (node.op == Op::Load) {
      free[id.value] = node.leaf.index == column.value;
      continue;
    }
    const bool guarded = node.op == Op::Select && is_load(node.operands[0], spikes);
    for (int k = 0; k < node.count; ++k)
      if (!(guarded && k == 1)) free[id.value] = free[id.value] || free[node.operands[k].value];
  }
  return free[root.value];
}

bool draws(const Program& program, ExprId root) {
  const std::vector<ExprId> nodes = nodes_below(program.pool, std::span(&root, 1));
  return std::any_of(nodes.begin(), nodes.end(), [&](ExprId id) { return program.pool[id].op == Op::Draw; });
}

/// Whether it can be computed again when the step is over.
bool of_parameters(const Program& program, ExprId root) {
  const std::vector<ExprId> nodes = nodes_below(program.pool, std::span(&root, 1));
  return std::all_of(nodes.begin(), nodes.end(), [&](ExprId id) {
    return program.pool[id].op != Op::Load || program.columns[program.pool[id].leaf.index].role == Role::Param;
  });
}

bool reads(const Program& program, ExprId root, ColumnId column) {
  const std::vector<ExprId> nodes = nodes_below(program.pool, std::span(&root, 1));
  return std::any_of(nodes.begin(), nodes.end(), [&](ExprId id) {
    return program.pool[id].op == Op::Load && program.pool[id].leaf.index == column.value;
  });
}

bool stores(const Kernel& kernel, ColumnId column) {
  return std::any_of(kernel.stores.begin(), kernel.stores.end(), [&](const Store& store) { return store.into == column; });
}

/// The event of whose neurons alone the step reads what `kernel` number `at` stores; invalid: there is none.
ColumnId only_read_at(const Program& program, const std::vector<Kernel>& kernels, size_t at, const Store& store) {
  const Kernel& maker = kernels[at];
  if (!draws(program, store.value) || !of_parameters(program, store.value)) return {};
  for (const Delayed& delayed : program.plan.delays)
    if (delayed.from == store.into || delayed.into == store.into) return {};
  for (const Bucketed& bucketed : program.plan.bucketed)
    for (const Bucketed::Late& late : bucketed.late)
      if (late.from == store.into || late.into == store.into) return {};
  for (const Store& event : maker.stores) {
    if (event.into == store.into || program[event.into].width != 1 || program[event.into].space != maker.domain) continue;
    bool fits = true;
    for (size_t k = 0; k < kernels.size() && fits; ++k) {
      const Kernel& kernel = kernels[k];
      if (k != at && (stores(kernel, store.into) || stores(kernel, event.into))) fits = false;
      if (k <= at) fits = fits && std::ranges::none_of(roots(kernel), [&](ExprId root) { return reads(program, root, store.into); });
      else fits = fits && std::ranges::none_of(roots(kernel), [&](ExprId root) { return reads_without_spike(program, root, store.into, event.into); });
    }
    if (fits) return event.into;
  }
  return {};
}

}  // namespace

std::vector<Kernel> seldom_drawn(Program& program, std::vector<Kernel> kernels, const std::set<uint32_t>& drawn) {
  for (size_t k = 0; k < kernels.size(); ++k) {
    if (program[kernels[k].domain].kind != SpaceKind::Neurons || kernels[k].rows != Rows::All || !kernels[k].accumulates.empty()) continue;
    for (size_t s = 0; s < kernels[k].stores.size(); ++s) {
      const Store store = kernels[k].stores[s];
      if (program[store.into].role != Role::Value || program[store.into].width != 1 || !drawn.contains(store.into.value)) continue;
      const ColumnId event = only_read_at(program, kernels, k, store);
      if (!event.valid()) continue;
      Kernel at_spikes{.name = kernels[k].name + ".drawn", .domain = kernels[k].domain, .stores = {store}, .rows = Rows::OfSpikes, .spikes = event};
      kernels[k].stores.erase(kernels[k].stores.begin() + static_cast<std::ptrdiff_t>(s--));
      kernels.insert(kernels.begin() + static_cast<std::ptrdiff_t>(k) + 1, std::move(at_spikes));
    }
  }
  return kernels;
}

void let_seldom_be_read(Program& program, const std::set<uint32_t>& drawn) {
  const auto is_known = [&](ColumnId column) { return std::ranges::any_of(program.plan.seldom, [&](const Seldom& seldom) { return seldom.column == column; }); };
  for (const Launch& launch : program.plan.step) {
    const Kernel kernel = program[launch.kernel];
    for (const Store& store : kernel.stores)
      if (kernel.rows == Rows::OfSpikes && drawn.contains(store.into.value) && !is_known(store.into))
        program.plan.seldom.push_back({store.into, program.add(Kernel{.name = program[store.into].name, .domain = kernel.domain, .stores = {store}})});
  }
}

}  // namespace hebb
