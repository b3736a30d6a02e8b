#include "compiler/adjoint/moved.h"

#include <functional>

#include "compiler/adjoint/activity.h"

namespace hebb {

namespace {

using Marks = std::vector<bool>;

/// f(column, value) for everything that a kernel writes.
void for_each_effect(const Kernel& kernel, const std::function<void(ColumnId, ExprId)>& f) {
  for (const Store& store : kernel.stores) f(store.into, store.value);
  for (const Accumulate& sum : kernel.accumulates) f(sum.into, sum.value);
}

void mark_loads(const Program& program, const std::vector<ExprId>& roots, Marks& columns) {
  for (const ExprId leaf : load_leaves(program.pool, roots)) columns[program.pool[leaf].leaf.index] = true;
}

std::vector<KernelId> forward_kernels(const Adjoint& a) {
  std::vector<KernelId> out = a.quiet.forward;
  out.insert(out.end(), a.eventful.forward.begin(), a.eventful.forward.end());
  return out;
}

/// Adds what `wanted` columns are computed from. False: nothing was new.
bool add_sources(const Program& program, const std::vector<KernelId>& kernels, Marks& wanted) {
  const Marks before = wanted;
  for (auto id = kernels.rbegin(); id != kernels.rend(); ++id) {
    std::vector<ExprId> roots;
    for_each_effect(program[*id], [&](ColumnId into, ExprId value) {
      if (wanted[into.value]) roots.push_back(value);
    });
    if (roots.empty()) continue;
    for (const Scan& scan : program[*id].scans) roots.push_back(scan.value);
    mark_loads(program, roots, wanted);
  }
  return wanted != before;
}

/// What reverse kernels load, of either flavour or after the first step.
Marks read_by_reverse(const Adjoint& a) {
  Marks out(a.program.columns.size());
  for (const auto* list : {&a.quiet.reverse, &a.eventful.reverse, &a.once.reverse, &a.begin.reverse})
    for (const KernelId id : *list) mark_loads(a.program, roots(a.program[id]), out);
  return out;
}

/// Of forward kernels that run again, what they write as well for nobody counts too: they must not read what is gone.
Marks find_read_later(const Adjoint& a, const Moved& moved) {
  Marks out = read_by_reverse(a), by_targets(out.size());
  for (const KernelId id : forward_kernels(a)) {
    if (moved.for_reverse[id.value]) mark_loads(a.program, roots(a.program[id]), out);
    if (moved.kernels[id.value]) mark_loads(a.program, roots(a.program[id]), by_targets);
  }
  for (const ColumnId output : a.outputs) by_targets[output.value] = true;
  for (size_t k = 0; k < out.size(); ++k) out[k] = out[k] || (by_targets[k] && !moved.columns[k]);
  return out;
}

}  // namespace

Moved find_moved(const Adjoint& a) {
  const Program& program = a.program;
  const std::vector<KernelId> kernels = forward_kernels(a);
  Moved out{.columns = a.depends_on_targets, .kernels = Marks(program.kernels.size()),
            .for_reverse = Marks(program.kernels.size()), .read = read_by_reverse(a)};
  Marks by_reverse = out.read;
  for (const ColumnId output : a.outputs) out.read[output.value] = true;
  for (const Adjoint::Carried& carried : a.carried) out.read[carried.next.value] = true;
  add_sources(program, kernels, out.read);
  add_sources(program, kernels, by_reverse);

  std::vector<bool> carried(program.columns.size());
  for (const Adjoint::Carried& each : a.carried) carried[each.next.value] = true;
  const auto writes = [&](KernelId id, const Marks& wanted) {
    bool any = false;
    for_each_effect(program[id], [&](ColumnId into, ExprId) {
      const bool dense = program[program[into].space].kind == SpaceKind::Dense;
      any |= wanted[into.value] && (out.columns[into.value] || (dense && !carried[into.value]));
    });
    return any;
  };
  // A kernel adds to all of its sums again, so all of them begin anew, and so do others that add to them.
  const auto mark = [&](Marks& wanted, Marks& into) {
    for (bool more = true; more;) {
      more = false;
      for (const KernelId id : kernels) {
        if (!writes(id, wanted)) continue;
        into[id.value] = true;
        for (const Accumulate& sum : program[id].accumulates) {
          more |= !out.columns[sum.into.value] || !wanted[sum.into.value];
          out.columns[sum.into.value] = wanted[sum.into.value] = true;
        }
      }
      more |= add_sources(program, kernels, wanted);
    }
  };
  mark(out.read, out.kernels);
  mark(by_reverse, out.for_reverse);
  out.read_later = find_read_later(a, out);
  return out;
}

}  // namespace hebb
