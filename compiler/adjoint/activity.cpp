#include "compiler/adjoint/activity.h"

#include <algorithm>
#include <deque>

namespace hebb {
namespace {

using Edges = std::vector<std::vector<ColumnId>>;

std::vector<bool> reach(const Edges& edges, std::span<const ColumnId> starts,
                        std::vector<ColumnId>* cause) {
  std::vector<bool> seen(edges.size());
  std::deque<ColumnId> queue;
  for (const ColumnId start : starts) {
    if (seen[start.value]) continue;
    seen[start.value] = true;
    queue.push_back(start);
  }
  while (!queue.empty()) {
    const ColumnId at = queue.front();
    queue.pop_front();
    for (const ColumnId to : edges[at.value]) {
      if (seen[to.value]) continue;
      seen[to.value] = true;
      if (cause) (*cause)[to.value] = at;
      queue.push_back(to);
    }
  }
  return seen;
}

/// The column each load below `value` reads, scans followed to what they sum.
void add_edges(const Program& program, const Kernel& kernel, ExprId value, ColumnId into,
               Edges& forward, Edges& backward) {
  for (const ExprId leaf : load_leaves(program.pool, {value})) {
    ColumnId from{program.pool[leaf].leaf.index};
    const auto scan = std::find_if(kernel.scans.begin(), kernel.scans.end(),
                                   [&](const Scan& s) { return s.as == from; });
    if (scan != kernel.scans.end()) {
      add_edges(program, kernel, scan->value, into, forward, backward);
      continue;
    }
    forward[from.value].push_back(into);
    backward[into.value].push_back(from);
  }
}

}  // namespace

std::vector<ExprId> load_leaves(const ExprPool& pool, const std::vector<ExprId>& roots) {
  std::vector<ExprId> found;
  std::vector<bool> seen(pool.size());
  std::vector<ExprId> open = roots;
  while (!open.empty()) {
    const ExprId id = open.back();
    open.pop_back();
    if (seen[id.value]) continue;
    seen[id.value] = true;
    const ExprNode node = pool[id];
    if (node.op == Op::Load) found.push_back(id);
    for (int k = 0; k < node.count; ++k) open.push_back(node.operands[k]);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Activity find_activity(const Program& program, std::span<const KernelId> kernels,
                       std::span<const std::pair<ColumnId, ColumnId>> carries,
                       std::span<const ColumnId> targets, std::span<const ColumnId> outputs) {
  Edges forward(program.columns.size()), backward(program.columns.size());
  for (const KernelId id : kernels) {
    const Kernel& kernel = program[id];
    for (const Store& store : kernel.stores) {
      add_edges(program, kernel, store.value, store.into, forward, backward);
    }
    for (const Accumulate& sum : kernel.accumulates) {
      add_edges(program, kernel, sum.value, sum.into, forward, backward);
    }
  }
  for (const auto& [from, to] : carries) {
    forward[from.value].push_back(to);
    backward[to.value].push_back(from);
  }
  Activity activity;
  activity.cause.resize(program.columns.size());
  activity.from_targets = reach(forward, targets, &activity.cause);
  activity.to_outputs = reach(backward, outputs, nullptr);
  return activity;
}

std::vector<std::string> path_to(const Program& program, const Activity& activity, ColumnId column) {
  std::vector<std::string> path;
  for (ColumnId at = column; at.valid(); at = activity.cause[at.value]) {
    path.push_back(program[at].name);
  }
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace hebb
