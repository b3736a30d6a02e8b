#include "compiler/adjoint/in_place.h"

#include <algorithm>
#include <array>

#include "compiler/adjoint/activity.h"
#include "compiler/expr/transform.h"

namespace hebb {

namespace {

bool loads(const Program& program, const Kernel& kernel, ColumnId column) {
  const std::vector<ExprId> leaves = load_leaves(program.pool, roots(kernel));
  return std::any_of(leaves.begin(), leaves.end(), [&](ExprId leaf) { return program.pool[leaf].leaf.index == column.value; });
}

bool stores(const Kernel& kernel, ColumnId column) {
  return std::any_of(kernel.stores.begin(), kernel.stores.end(), [&](const Store& s) { return s.into == column; });
}

bool sums(const Kernel& kernel, ColumnId column) {
  return std::any_of(kernel.accumulates.begin(), kernel.accumulates.end(), [&](const Accumulate& s) { return s.into == column; });
}

/// In these kernels, in order: nobody reads `next` once `now` has been stored to.
bool one_place(const Program& program, const std::vector<KernelId>& kernels, ColumnId now, ColumnId next) {
  bool stored = false;
  for (const KernelId id : kernels) {
    const Kernel& kernel = program[id];
    const bool reads = loads(program, kernel, next);
    if (stores(kernel, next) || sums(kernel, next) || sums(kernel, now)) return false;
    if (!stored && loads(program, kernel, now)) return false;
    if (stored && reads) return false;
    if (!stores(kernel, now)) continue;
    if (!stored && reads && !kernel.scans.empty()) return false;
    stored = true;
  }
  return stored;
}

void rename(Program& program, const std::vector<KernelId>& kernels, ColumnId from, ColumnId to) {
  ExprPool& pool = program.pool;
  Substitution other(pool, pool, [&](const ExprNode& leaf) {
    if (leaf.op != Op::Load || leaf.leaf.index != from.value) return ExprId{};
    return pool.load(to, leaf.leaf.at, leaf.leaf.element);
  });
  for (const KernelId id : kernels) {
    Kernel& kernel = program.kernels[id.value];
    for (Scan& scan : kernel.scans) scan.value = other(scan.value);
    for (Store& store : kernel.stores) store.value = other(store.value);
    for (Accumulate& sum : kernel.accumulates) sum.value = other(sum.value);
  }
}

}  // namespace

void reverse_in_place(Adjoint& a) {
  Program& program = a.program;
  const std::array flavours = {&a.quiet, &a.eventful};
  for (Adjoint::Carried& carried : a.carried) {
    const ColumnId now = carried.now_adjoint, next = carried.next_adjoint;
    if (!now.valid() || !next.valid() || now == next) continue;
    if (program[program[now].space].kind != SpaceKind::Dense) continue;
    const bool possible = std::all_of(flavours.begin(), flavours.end(), [&](const StepAdjoint* step) {
      return (step == &a.eventful && !a.has_eventful) || one_place(program, step->reverse, now, next);
    });
    if (!possible) continue;
    for (const StepAdjoint* step : flavours) rename(program, step->reverse, next, now);
    std::replace(a.adjoint_of.begin(), a.adjoint_of.end(), next, now);
    std::erase(a.zero_once, next);
    std::erase(a.zero_each_step, next);
    carried.next_adjoint = now;
    program.columns[next.value].space = program[program.dt].space;   // nobody asks for it
  }
}

}  // namespace hebb
