// Jumps of neurons, taken out of the kernels that compute every neuron in every step.

#include <algorithm>
#include <optional>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"
#include "compiler/lower/passes.h"
#include "compiler/lower/reader.h"

namespace hebb {
namespace {

bool loads(const Program& program, ExprId root, ColumnId column) {
  const std::vector<ExprId> nodes = nodes_below(program.pool, {&root, 1});
  return std::any_of(nodes.begin(), nodes.end(), [&](ExprId id) {
    return program.pool[id].op == Op::Load && program.pool[id].leaf.index == column.value;
  });
}

/// Where an event happens, a state becomes `value`; elsewhere it stays.
struct Jumped {
  ColumnId state, spikes;
  ExprId at;       // the node of the kernel that says so
  ExprId value;
};

class AtSpikes {
 public:
  AtSpikes(Program& program, const std::vector<Kernel>& kernels, int64_t many) : program_(program), many_(many) {
    for (const Kernel& kernel : kernels)
      if (kernel.spikes.valid() && kernel.rows != Rows::All) events_.insert(kernel.spikes.value);
    for (const Delayed& delayed : program.plan.delays)
      if (!delayed.values) events_.insert({delayed.from.value, delayed.into.value});
  }

  /// The kernel without its jumps, after kernels of those.
  std::vector<Kernel> split(Kernel kernel) {
    std::vector<Kernel> before;
    if (!worth_it(kernel)) return {std::move(kernel)};
    for (bool more = true; more;) {
      more = false;
      for (size_t s = 0; s < kernel.stores.size() && !more; ++s) {
        const std::optional<Jumped> jumped = jump_of(kernel, kernel.stores[s]);
        more = jumped && place(before, kernel, *jumped);
        if (more) kernel = without(std::move(kernel), *jumped);
      }
    }
    std::erase_if(kernel.stores, [&](const Store& store) { return store.value == own(store.into); });
    if (!kernel.stores.empty()) before.push_back(std::move(kernel));
    return before;
  }

 private:
  bool worth_it(const Kernel& kernel) const {
    const Space& space = program_[kernel.domain];
    return space.kind == SpaceKind::Neurons && space.size >= many_ && kernel.rows == Rows::All && !kernel.spikes.valid() &&
           kernel.accumulates.empty();
  }

  ExprId own(ColumnId column) { return program_.pool.load(column, At::Self); }

  /// The only use that the kernel makes of the state is to say how it jumps.
  std::optional<Jumped> jump_of(const Kernel& kernel, const Store& store) {
    const Column& column = program_[store.into];
    if (column.role != Role::State || column.width != 1 || column.space != kernel.domain) return {};
    const ExprPool& pool = program_.pool;
    const ExprId state = own(store.into);
    ExprId use;
    const std::vector<ExprId> values = roots(kernel);
    if (std::find(values.begin(), values.end(), state) != values.end()) return {};
    for (const ExprId id : nodes_below(pool, values)) {
      const ExprNode node = pool[id];
      if (node.op == Op::Load && node.leaf.index == store.into.value && id != state) return {};
      const int uses = static_cast<int>(std::count(node.operands, node.operands + node.count, state));
      if (uses == 0) continue;
      if (uses > 1 || use.valid()) return {};
      use = id;
    }
    if (!use.valid()) return {};
    const ExprNode node = pool[use];
    if (node.op == Op::Select && node.operands[2] == state) {
      const ColumnId spikes = event_in(kernel, node.operands[0]);
      if (spikes.valid() && node.operands[0] == own(spikes)) return Jumped{store.into, spikes, use, node.operands[1]};
    }
    if (node.op != Op::Add) return {};
    const ExprId added = node.operands[node.operands[0] == state ? 1 : 0];
    const ColumnId spikes = event_in(kernel, added);
    if (!spikes.valid() || !program_.pool.is_constant(assuming(program_.pool, added, spikes, At::Self, 0), 0)) return {};
    return Jumped{store.into, spikes, use, program_.pool.add(state, assuming(program_.pool, added, spikes, At::Self, 1))};
  }

  /// The one event of these neurons that it reads.
  ColumnId event_in(const Kernel& kernel, ExprId root) const {
    ColumnId found;
    for (const ExprId id : nodes_below(program_.pool, {&root, 1})) {
      const ExprNode node = program_.pool[id];
      if (node.op == Op::Draw) return {};
      if (node.op != Op::Load || !events_.contains(node.leaf.index)) continue;
      const ColumnId column{node.leaf.index};
      if (node.leaf.at != At::Self || program_[column].space != kernel.domain || (found.valid() && found != column)) return {};
      found = column;
    }
    return found;
  }

  /// Into a kernel before which nothing that it reads has changed, and after which nothing jumps that it concerns.
  bool place(std::vector<Kernel>& before, const Kernel& kernel, const Jumped& jumped) {
    const Store store{.into = jumped.state, .value = jumped.value};
    const auto stores = [](const Kernel& k, ColumnId column) {
      return std::any_of(k.stores.begin(), k.stores.end(), [&](const Store& other) { return other.into == column; });
    };
    const auto changes = [&](const Kernel& k) {
      return std::any_of(k.stores.begin(), k.stores.end(), [&](const Store& other) { return other.into != jumped.state && loads(program_, jumped.value, other.into); });
    };
    size_t last = before.size();  // from here on the state does not jump yet
    while (last > 0 && !stores(before[last - 1], jumped.state)) --last;
    size_t fresh = 0;             // up to here nothing that it reads has changed
    while (fresh < before.size() && !changes(before[fresh])) ++fresh;
    for (size_t k = last; k < before.size() && k <= fresh; ++k)
      if (before[k].spikes == jumped.spikes) return before[k].stores.push_back(store), true;
    if (fresh < before.size()) return false;
    before.push_back({.name = kernel.name + ".jump", .domain = kernel.domain, .stores = {store}, .rows = Rows::OfSpikes, .spikes = jumped.spikes});
    return true;
  }

  Kernel without(Kernel kernel, const Jumped& jumped) {
    std::vector<ExprId> values = roots(kernel);
    std::unordered_map<uint32_t, ExprId> done;
    for (const ExprId id : nodes_below(program_.pool, values)) {
      const ExprNode node = program_.pool[id];
      ExprId operands[3];
      for (int k = 0; k < node.count; ++k) operands[k] = done.at(node.operands[k].value);
      done[id.value] = id == jumped.at ? own(jumped.state) : node.count == 0 ? id : remake(program_.pool, node.op, std::span(operands, node.count));
    }
    for (ExprId& value : values) value = done.at(value.value);
    return with_roots(std::move(kernel), values);
  }

  Program& program_;
  const int64_t many_;
  std::set<uint32_t> events_;
};

}  // namespace

std::vector<Kernel> jumps_at_spikes(Program& program, std::vector<Kernel> kernels, int64_t many) {
  AtSpikes at_spikes(program, kernels, many);
  std::vector<Kernel> result;
  for (Kernel& kernel : kernels)
    for (Kernel& piece : at_spikes.split(std::move(kernel))) result.push_back(std::move(piece));
  return result;
}

}  // namespace hebb
