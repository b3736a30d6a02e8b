#include <algorithm>

#include "compiler/expr/transform.h"
#include "compiler/lower/passes.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

struct Access {
  std::set<uint32_t> stores, sums, reads;
  std::set<uint32_t> reads_elsewhere;   // read at another row than one's own
  bool cut_by_pre_only = false, cut_by_post_only = false, whole = false;

  bool writes(uint32_t column) const { return stores.contains(column) || sums.contains(column); }
};

Access access(const Program& program, const Kernel& kernel) {
  Access result;
  for (const Store& store : kernel.stores) result.stores.insert(store.into.value);
  for (const Accumulate& accumulate : kernel.accumulates) {
    result.sums.insert(accumulate.into.value);
    result.cut_by_pre_only |= accumulate.at == At::Pre;
    result.cut_by_post_only |= accumulate.at == At::Post;
    result.whole |= accumulate.at == At::Uniform;
  }
  for (const Scan& scan : kernel.scans) {
    result.cut_by_pre_only |= scan.along == At::Post;
    result.cut_by_post_only |= scan.along == At::Pre;
  }
  const bool uniform = program[kernel.domain].kind == SpaceKind::Uniform;
  if (kernel.spikes.valid()) result.reads.insert(kernel.spikes.value), result.reads_elsewhere.insert(kernel.spikes.value);
  for (const ExprId id : nodes_below(program.pool, roots(kernel))) {
    const ExprNode node = program.pool[id];
    if (node.op != Op::Load) continue;
    const uint32_t column = node.leaf.index;
    result.reads.insert(column);
    const bool own = node.leaf.at == At::Self ? program[ColumnId{column}].space == kernel.domain
                                              : uniform && node.leaf.at == At::Uniform;
    if (!own) result.reads_elsewhere.insert(column);
  }
  return result;
}

bool touches(const std::set<uint32_t>& columns, const Access& writer) {
  return std::any_of(columns.begin(), columns.end(), [&](uint32_t c) { return writer.writes(c); });
}

/// May two kernels change places?
bool independent(const Access& a, const Access& b) {
  return !touches(a.reads, b) && !touches(b.reads, a) && !touches(a.stores, b) && !touches(a.sums, b);
}

/// May `later` become part of `earlier`, which runs over the same rows?
bool mergeable(const Access& earlier, const Access& later) {
  if (touches(later.reads_elsewhere, earlier)) return false;
  if (touches(earlier.reads_elsewhere, later)) return false;
  for (const uint32_t column : later.reads)
    if (earlier.sums.contains(column)) return false;
  for (const uint32_t column : later.sums)
    if (earlier.reads.contains(column) || earlier.writes(column)) return false;
  for (const uint32_t column : later.stores)
    if (earlier.sums.contains(column)) return false;
  const bool by_pre = earlier.cut_by_pre_only || later.cut_by_pre_only;
  const bool by_post = earlier.cut_by_post_only || later.cut_by_post_only;
  if (by_pre && by_post) return false;             // would run on one thread
  return earlier.whole == later.whole;
}

std::string merged_name(const std::string& a, const std::string& b) {
  const std::string tail = b.substr(b.rfind('.') == std::string::npos ? 0 : b.rfind('.') + 1);
  if (cat("+", a, "+").find(cat("+", tail, "+")) != std::string::npos) return a;
  if (a == b || (a.size() > tail.size() && a.substr(a.size() - tail.size() - 1) == cat(".", tail)))
    return a;
  return cat(a, "+", tail);
}

Kernel merge(Program& program, Kernel earlier, const Kernel& later) {
  ExprPool& pool = program.pool;
  Substitution substitute(pool, pool, [&](const ExprNode& leaf) -> ExprId {
    if (leaf.op != Op::Load) return {};
    for (const Store& store : earlier.stores)
      if (store.into.value == leaf.leaf.index && store.element == leaf.leaf.element)
        return store.value;
    return {};
  });
  std::vector<ExprId> values;
  for (const ExprId root : roots(later)) values.push_back(substitute(root));
  const Kernel moved = with_roots(later, values);

  Kernel result = std::move(earlier);
  result.name = merged_name(result.name, later.name);
  for (const Scan& scan : moved.scans)
    if (std::none_of(result.scans.begin(), result.scans.end(),
                     [&](const Scan& other) { return other.as == scan.as; }))
      result.scans.push_back(scan);
  for (const Store& store : moved.stores) {
    std::erase_if(result.stores, [&](const Store& old) {
      return old.into == store.into && old.element == store.element;
    });
    result.stores.push_back(store);
  }
  result.accumulates.insert(result.accumulates.end(), moved.accumulates.begin(),
                            moved.accumulates.end());
  return result;
}

/// A running sum of something that the earlier kernel changes is another sum.
bool same_scans(const Program& program, const Kernel& earlier, const Kernel& later) {
  if (earlier.scans.empty() && later.scans.empty()) return true;
  for (const Scan& scan : later.scans)
    for (const ExprId id : nodes_below(program.pool, {&scan.value, 1})) {
      const ExprNode node = program.pool[id];
      if (node.op != Op::Load) continue;
      for (const Store& store : earlier.stores)
        if (store.into.value == node.leaf.index) return false;
    }
  return true;
}

/// Does it compute what stays the same until somebody sets a parameter? Runners may then leave it out.
bool is_constant(const Program& program, const Kernel& kernel) {
  if (program[kernel.domain].kind != SpaceKind::Uniform || !kernel.accumulates.empty()) return false;
  for (const Store& store : kernel.stores)
    if (program[store.into].role != Role::Value) return false;
  for (const ExprId id : nodes_below(program.pool, roots(kernel))) {
    const ExprNode node = program.pool[id];
    if (node.op == Op::Draw) return false;
    if (node.op == Op::Load && program[ColumnId{node.leaf.index}].role != Role::Param) return false;
  }
  return true;
}

}  // namespace

Kernel with_roots(Kernel kernel, std::span<const ExprId> values) {
  size_t next = 0;
  for (Scan& scan : kernel.scans) scan.value = values[next++];
  for (Store& store : kernel.stores) store.value = values[next++];
  for (Accumulate& accumulate : kernel.accumulates) accumulate.value = values[next++];
  return kernel;
}

std::vector<Kernel> merged(Program& program, std::vector<Kernel> kernels, const std::set<uint32_t>& apart) {
  std::vector<Kernel> result;
  std::vector<Access> accesses;
  const auto kept_apart = [&](const Access& earlier, const Access& later) {
    return std::any_of(apart.begin(), apart.end(), [&](uint32_t c) { return earlier.stores.contains(c) && later.reads.contains(c); });
  };
  for (Kernel& kernel : kernels) {
    const Access mine = access(program, kernel);
    size_t target = result.size(), earliest = result.size();
    for (size_t k = result.size(); k-- > 0;) {
      const bool same_rows = result[k].domain == kernel.domain && result[k].rows == kernel.rows &&
                             result[k].spikes == kernel.spikes;
      if (same_rows && is_constant(program, result[k]) == is_constant(program, kernel) && mergeable(accesses[k], mine) &&
          same_scans(program, result[k], kernel) && !kept_apart(accesses[k], mine)) {
        target = k;
        break;
      }
      if (!independent(accesses[k], mine)) break;
      earliest = k;
    }
    if (target == result.size()) {
      // Uniform values out of the way: what stands on both sides of them may then merge.
      const bool uniform = program[kernel.domain].kind == SpaceKind::Uniform;
      const auto at = static_cast<std::ptrdiff_t>(uniform ? earliest : result.size());
      result.insert(result.begin() + at, std::move(kernel));
      accesses.insert(accesses.begin() + at, mine);
      continue;
    }
    result[target] = merge(program, std::move(result[target]), kernel);
    accesses[target] = access(program, result[target]);
  }
  return result;
}

std::vector<Kernel> without_dead(const Program& program, std::vector<Kernel> kernels,
                                 const std::set<uint32_t>& visible) {
  std::set<uint32_t> read;
  const auto wanted = [&](ColumnId id) {
    return program[id].role != Role::Value || visible.contains(id.value) || read.contains(id.value);
  };
  const auto keeps_its_value = [&](const Store& store) {
    const ExprNode node = program.pool[store.value];
    return node.op == Op::Load && node.leaf.index == store.into.value &&
           node.leaf.element == store.element && node.leaf.at != At::Fixed;
  };
  std::vector<Kernel> result;
  for (size_t k = kernels.size(); k-- > 0;) {
    Kernel& kernel = kernels[k];
    std::erase_if(kernel.stores,
                  [&](const Store& store) { return !wanted(store.into) || keeps_its_value(store); });
    std::erase_if(kernel.accumulates,
                  [&](const Accumulate& accumulate) { return !wanted(accumulate.into); });
    if (kernel.stores.empty() && kernel.accumulates.empty()) continue;
    if (kernel.spikes.valid()) read.insert(kernel.spikes.value);
    for (const ExprId id : nodes_below(program.pool, roots(kernel)))
      if (program.pool[id].op == Op::Load) read.insert(program.pool[id].leaf.index);
    result.push_back(std::move(kernel));
  }
  std::reverse(result.begin(), result.end());
  return result;
}

std::vector<Kernel> with_fma(Program& program, std::vector<Kernel> kernels) {
  for (Kernel& kernel : kernels)
    kernel = with_roots(kernel, form_fma(program.pool, roots(kernel)));
  return kernels;
}

}  // namespace hebb
