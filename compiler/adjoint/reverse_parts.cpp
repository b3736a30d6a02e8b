#include "compiler/adjoint/reverse_parts.h"

#include <algorithm>

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

ColumnId add_beside(Program& program, SpaceId space, std::string name) {
  return program.add(Column{.name = cat(std::move(name), program.columns.size()), .space = space, .role = Role::Value});
}

KeptValues keep_extremes(Program& program, const std::vector<KernelId>& kernels, const Activity& activity) {
  KeptValues out;
  for (const KernelId id : kernels) {
    const std::vector<Accumulate> sums = program[id].accumulates;
    for (size_t k = 0; k < sums.size(); ++k) {
      if (sums[k].combine == Combine::Sum || !activity.active(sums[k].into) || out.contains({id.value, k})) continue;
      const ColumnId kept = add_beside(program, program[id].domain, cat(program[sums[k].into].name, "/of"));
      program.kernels[id.value].stores.push_back({kept, 0, sums[k].value});
      out[{id.value, k}] = kept;
    }
  }
  return out;
}

namespace {

/// 1 where this row has the extreme value.
ExprId is_extreme(ExprPool& pool, const Accumulate& extreme, ColumnId kept) {
  return pool.make(Op::Equal, pool.load(kept, At::Self), pool.load(extreme.into, extreme.at, extreme.element));
}

}  // namespace

Ties count_ties(Program& program, const std::vector<KernelId>& forward, const KeptValues& kept) {
  Ties out;
  for (const KernelId id : forward) {
    const Kernel kernel = program[id];
    for (size_t k = 0; k < kernel.accumulates.size(); ++k) {
      const auto found = kept.find({id.value, k});
      if (found == kept.end()) continue;
      const Accumulate& extreme = kernel.accumulates[k];
      ColumnId& ties = out.columns[{extreme.into, extreme.element}];
      if (!ties.valid()) ties = add_beside(program, program[extreme.into].space, cat(program[extreme.into].name, "/ties"));
      Kernel count{.name = cat("ties of ", kernel.name), .domain = kernel.domain};
      count.accumulates.push_back({ties, 0, extreme.at, Combine::Sum, is_extreme(program.pool, extreme, found->second)});
      out.kernels.push_back(program.add(std::move(count)));
    }
  }
  return out;
}

ExprId share_of_extreme(ExprPool& pool, const Accumulate& extreme, ColumnId adjoint, ColumnId kept, ColumnId ties) {
  const ExprId part = pool.div(pool.load(adjoint, extreme.at, extreme.element), pool.load(ties, extreme.at));
  return pool.select(is_extreme(pool, extreme, kept), part, pool.constant(0));
}

std::vector<Scan> needed_scans(const ExprPool& pool, const std::vector<Scan>& scans, const std::vector<ExprId>& values) {
  std::vector<Scan> out;
  std::vector<ExprId> roots = values;
  for (size_t k = scans.size(); k-- > 0;) {   // a scan reads earlier ones only
    const std::vector<ExprId> leaves = load_leaves(pool, roots);
    const bool read = std::any_of(leaves.begin(), leaves.end(),
                                  [&](ExprId leaf) { return pool[leaf].leaf.index == scans[k].as.value; });
    if (!read) continue;
    out.insert(out.begin(), scans[k]);
    roots.push_back(scans[k].value);
  }
  return out;
}

PulledScans pull_scans(Program& program, const Kernel& forward, ExprId total) {
  ExprPool& pool = program.pool;
  PulledScans out{.total = total, .scans = forward.scans, .before = {}, .zero = {}};
  const Space domain = program[forward.domain];
  for (size_t k = forward.scans.size(); k-- > 0;) {
    const Scan& scan = forward.scans[k];
    const std::vector<ExprId> leaf = {pool.load(scan.as, At::Self)};
    const ExprId owed = simplify(pool, gradient(pool, out.total, leaf)[0]);
    if (pool.is_constant(owed, 0)) continue;
    const bool along_post = scan.along == At::Post;
    const At across = along_post ? At::Pre : At::Post;
    const std::string name = program[scan.as].name;
    const ColumnId each = add_beside(program, forward.domain, cat("d/", name));
    const ColumnId whole = add_beside(program, along_post ? domain.pre : domain.post, cat("d/", name, "/all"));
    const ColumnId running = add_beside(program, forward.domain, cat("d/", name, "/so far"));
    Kernel kernel{.name = cat("adjoint of ", name), .domain = forward.domain};
    const ExprId value = form_fma(pool, std::vector{owed})[0];
    kernel.scans = needed_scans(pool, out.scans, {value});
    kernel.stores.push_back({each, 0, value});
    kernel.accumulates.push_back({whole, 0, across, Combine::Sum, value});
    out.before.push_back(program.add(std::move(kernel)));
    out.zero.push_back(whole);
    out.scans.push_back({.as = running, .along = scan.along, .value = pool.load(each, At::Self)});
    const ExprId later = pool.sub(pool.load(whole, across), pool.load(running, At::Self));
    const ExprId own = pool.add(later, pool.load(each, At::Self));
    out.total = pool.add(out.total, pool.mul(own, scan.value));
  }
  return out;
}

std::vector<KernelId> add_fixed_sums(Program& program, const std::vector<FixedSum>& sums) {
  std::map<ColumnId, Kernel> kernels;
  ExprPool& pool = program.pool;
  for (const FixedSum& fixed : sums) {
    const Column column = program[fixed.adjoint];
    Kernel& kernel = kernels[fixed.adjoint];
    if (kernel.scans.empty()) {
      const SpaceId one = program.add(Space{.kind = SpaceKind::Neurons, .name = cat(column.name, "/one"), .size = 1});
      const SpaceId rows = program.add(Space{.kind = SpaceKind::Dense, .name = cat(column.name, "/rows"),
                                             .pre = column.space, .post = one});
      kernel.name = cat("add to ", column.name);
      kernel.domain = rows;
      kernel.scans.push_back({.as = add_beside(program, rows, cat(column.name, "/count")), .along = At::Pre, .value = pool.constant(1)});
    }
    const auto width = static_cast<uint32_t>(column.width);
    const ExprId here = pool.make(Op::Equal, pool.load(kernel.scans[0].as, At::Self), pool.constant(fixed.element / width + 1));
    const ExprId value = pool.select(here, pool.load(fixed.sum, At::Uniform), pool.constant(0));
    const uint32_t element = fixed.element % width;
    const auto same = std::find_if(kernel.accumulates.begin(), kernel.accumulates.end(),
                                   [&](const Accumulate& sum) { return sum.element == element; });
    if (same != kernel.accumulates.end()) same->value = pool.add(same->value, value);
    else kernel.accumulates.push_back({fixed.adjoint, element, At::Pre, Combine::Sum, value});
  }
  std::vector<KernelId> out;
  for (auto& [adjoint, kernel] : kernels) out.push_back(program.add(std::move(kernel)));
  return out;
}

std::vector<ExprId> read_stored(ExprPool& pool, std::span<const Store> held, std::vector<ExprId> roots) {
  std::map<uint32_t, ExprId> becomes;
  for (const Store& store : held)
    if (info(pool[store.value].op).is_transcendental) becomes[store.value.value] = pool.load(store.into, At::Self, store.element);
  if (becomes.empty()) return roots;
  for (const ExprId id : nodes_below(pool, roots)) {
    const ExprNode node = pool[id];
    if (node.count == 0 || becomes.contains(id.value)) continue;
    std::vector<ExprId> operands(node.operands, node.operands + node.count);
    for (ExprId& operand : operands)
      if (const auto found = becomes.find(operand.value); found != becomes.end()) operand = found->second;
    if (!std::equal(operands.begin(), operands.end(), node.operands)) becomes[id.value] = remake(pool, node.op, operands);
  }
  for (ExprId& root : roots)
    if (const auto found = becomes.find(root.value); found != becomes.end()) root = found->second;
  return roots;
}

}  // namespace hebb
