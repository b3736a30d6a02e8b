#include "runtime/step_schedule.h"

#include <algorithm>

namespace hebb {

namespace {

bool sums_at(const Kernel& kernel, At at) {
  return std::any_of(kernel.accumulates.begin(), kernel.accumulates.end(), [&](const Accumulate& sum) { return sum.at == at; });
}
bool scans_along(const Kernel& kernel, At along) {
  return std::any_of(kernel.scans.begin(), kernel.scans.end(), [&](const Scan& scan) { return scan.along == along; });
}

/// What a thread reaches of the columns of `space` with an access at `at`.
Reach reach_of(const Program& program, const Kernel& kernel, Share share, At at) {
  if (share == Share::One) return Reach::First;
  const bool synaptic = is_synaptic(program[kernel.domain].kind);
  switch (at) {
    case At::Self:
      if (!synaptic) return Reach::OwnNeurons;
      return share == Share::ByPost ? Reach::OwnByPost : Reach::OwnByPre;
    case At::Post: return share == Share::ByPost ? Reach::OwnNeurons : Reach::Any;
    case At::Pre: return share == Share::ByPre ? Reach::OwnNeurons : Reach::Any;
    default: return Reach::Any;
  }
}

bool same_thread(const Touch& a, const Touch& b) { return a.reach == b.reach && a.reach != Reach::Any; }

/// How much later than `before` a task must be: -1 not at all, 0 after it on the same thread, 1 a level.
int later_by(const Task& before, const Task& task) {
  int later = -1;
  for (const Touch& a : before.touches)
    for (const Touch& b : task.touches)
      if (a.thing == b.thing && (a.writes || b.writes)) later = std::max(later, same_thread(a, b) ? 0 : 1);
  return later;
}

}  // namespace

Share share_of(const Program& program, const Kernel& kernel) {
  if (sums_at(kernel, At::Uniform)) return Share::One;
  switch (program[kernel.domain].kind) {
    case SpaceKind::Uniform: return Share::One;
    case SpaceKind::Neurons: return kernel.accumulates.empty() && kernel.scans.empty() ? Share::ByPost : Share::One;
    case SpaceKind::Dense:
    case SpaceKind::Sparse: break;
  }
  const bool by_pre = sums_at(kernel, At::Pre) || scans_along(kernel, At::Post);
  const bool by_post = sums_at(kernel, At::Post) || scans_along(kernel, At::Pre);
  if (by_pre) return by_post ? Share::One : Share::ByPre;
  return Share::ByPost;
}

std::vector<Touch> touches(const Program& program, const Kernel& kernel, Share share, const std::vector<bool>& unchanging, const std::vector<bool>& copied) {
  std::vector<Touch> out;
  const auto add = [&](ColumnId column, bool writes, Reach reach) {
    if (unchanging[column.value]) return;
    if (copied[column.value]) reach = Reach::OwnCopy;
    for (Touch& known : out)
      if (known.thing == column.value && known.reach == reach) {
        known.writes |= writes;
        return;
      }
    out.push_back({.thing = column.value, .writes = writes, .reach = reach});
  };
  const std::vector<bool> live = live_nodes(program.pool, roots(kernel));
  for (uint32_t id = 0; id < live.size(); ++id) {
    if (!live[id]) continue;
    const ExprNode node = program.pool[ExprId{id}];
    if (node.op == Op::Load) add(ColumnId{node.leaf.index}, false, reach_of(program, kernel, share, node.leaf.at));
  }
  for (const Store& store : kernel.stores) add(store.into, true, reach_of(program, kernel, share, At::Self));
  for (const Accumulate& sum : kernel.accumulates) add(sum.into, true, reach_of(program, kernel, share, sum.at));
  for (const Scan& scan : kernel.scans) add(scan.as, true, reach_of(program, kernel, share, At::Self));
  return out;
}

std::vector<int> levels(std::span<const Task> tasks) {
  std::vector<int> level(tasks.size());
  for (size_t k = 0; k < tasks.size(); ++k) {
    int least = 0;
    for (size_t before = 0; before < k; ++before)
      if (const int later = later_by(tasks[before], tasks[k]); later >= 0)
        least = std::max(least, level[before] + later);
    const bool odd = least % 2 != 0;
    level[k] = tasks[k].beside ? std::max(least, 1) : least + (odd == tasks[k].first_thread ? 1 : 0);
  }
  return level;
}

}  // namespace hebb
