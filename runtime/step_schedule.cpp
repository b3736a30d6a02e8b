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

std::vector<ColumnId> loaded(const Program& program, const Kernel& kernel) {
  std::vector<ColumnId> out;
  const std::vector<bool> live = live_nodes(program.pool, roots(kernel));
  for (uint32_t id = 0; id < live.size(); ++id)
    if (live[id] && program.pool[ExprId{id}].op == Op::Load) out.push_back(ColumnId{program.pool[ExprId{id}].leaf.index});
  return out;
}

/// Whether a thread that has copies of its own could run this kernel beside the others: a few rows at most, and no sums.
bool costs_little(const Program& program, const Kernel& kernel) {
  const SpaceKind kind = program[kernel.domain].kind;
  const bool few = kind == SpaceKind::Uniform ? kernel.rows == Rows::All && !kernel.spikes.valid() : kind == SpaceKind::Neurons && kernel.rows == Rows::OfSpikes;
  return few && kernel.accumulates.empty() && kernel.scans.empty() && !kernel.stores.empty() &&
         std::all_of(kernel.stores.begin(), kernel.stores.end(), [](const Store& store) { return store.value.valid(); });
}

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

Copied copied(const Program& program, const std::vector<bool>& unchanging, const std::vector<bool>& barred) {
  struct Candidate {
    const Kernel* kernel = nullptr;
    std::vector<ColumnId> loads;
    bool wanted = false;
  };
  std::vector<Candidate> candidates;
  std::vector<bool> written = barred, can(program.columns.size()), wanted(program.columns.size());
  for (const Launch& launch : program.plan.step) {
    const Kernel& kernel = program[launch.kernel];
    for (const Store& store : kernel.stores) written[store.into.value] = can[store.into.value] = true;
    for (const Accumulate& sum : kernel.accumulates) written[sum.into.value] = true;
    for (const Scan& scan : kernel.scans) written[scan.as.value] = true;
  }
  for (size_t c = 0; c < can.size(); ++c) {
    const Role role = program.columns[c].role;
    can[c] = can[c] && !barred[c] && (role == Role::State || role == Role::Value);
  }
  const auto changes = [&](ColumnId c) { return written[c.value] && !unchanging[c.value]; };
  for (const Launch& launch : program.plan.step) {
    const Kernel& kernel = program[launch.kernel];
    if (costs_little(program, kernel)) {
      candidates.push_back({.kernel = &kernel, .loads = loaded(program, kernel)});
      continue;
    }
    for (const Store& store : kernel.stores) can[store.into.value] = false;
    for (const Accumulate& sum : kernel.accumulates) can[sum.into.value] = false;
    for (const Scan& scan : kernel.scans) can[scan.as.value] = false;
  }
  const auto stores_only = [](const Candidate& one, const std::vector<bool>& these) {
    return std::all_of(one.kernel->stores.begin(), one.kernel->stores.end(), [&](const Store& store) { return these[store.into.value]; });
  };
  // Who reads or writes what has no copies is out, and all that it writes.
  for (bool again = true; again;) {
    again = false;
    for (const Candidate& one : candidates) {
      const bool reads = std::all_of(one.loads.begin(), one.loads.end(), [&](ColumnId c) { return !changes(c) || can[c.value]; });
      if (reads && stores_only(one, can)) continue;
      for (const Store& store : one.kernel->stores)
        if (can[store.into.value]) can[store.into.value] = false, again = true;
    }
  }
  const auto want = [&](ColumnId c) {
    if (!can[c.value] || wanted[c.value]) return false;
    wanted[c.value] = true;
    return true;
  };
  // What some thread reads beyond its block; with it all that it is made of, and what is made with it.
  for (const Launch& launch : program.plan.step) {
    const Kernel& kernel = program[launch.kernel];
    const Share share = share_of(program, kernel);
    for (const Touch& touch : touches(program, kernel, share, unchanging, std::vector<bool>(can.size())))
      if (program[program.columns[touch.thing].space].kind == SpaceKind::Uniform || touch.reach == Reach::Any || touch.reach == Reach::First) want(ColumnId{touch.thing});
  }
  for (bool again = true; again;) {
    again = false;
    for (Candidate& one : candidates) {
      const bool any = std::any_of(one.kernel->stores.begin(), one.kernel->stores.end(), [&](const Store& store) { return wanted[store.into.value]; });
      if (one.wanted || !any) continue;
      one.wanted = again = true;
      for (const ColumnId c : one.loads) want(c);
      for (const Store& store : one.kernel->stores) want(store.into);
    }
  }
  Copied out{.columns = std::move(wanted), .kernels = std::vector<bool>(program.kernels.size())};
  for (const Candidate& one : candidates)
    if (one.wanted) out.kernels[static_cast<size_t>(one.kernel - program.kernels.data())] = true;
  return out;
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
