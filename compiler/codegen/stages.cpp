#include "compiler/codegen/stages.h"
#include <algorithm>
#include <functional>
#include <set>

namespace hebb {
namespace {

Level leaf_level(const Program& program, const Kernel& kernel, const ExprNode& node) {
  if (program[kernel.domain].kind == SpaceKind::Uniform) return kUniform;
  if (node.op == Op::Draw) return kRow;
  if (node.op != Op::Load) return kUniform;
  switch (node.leaf.at) {
    case At::Uniform:
    case At::Fixed: return kUniform;
    case At::Pre: return kPre;
    case At::Post: return kPost;
    case At::Self: return kRow;
  }
  return kRow;
}

std::vector<Level> levels(const Program& program, const Kernel& kernel,
                          const std::vector<bool>& live) {
  const ExprPool& pool = program.pool;
  std::vector<Level> level(pool.size(), kUniform);
  for (uint32_t i = 0; i < pool.size(); ++i) {
    if (!live[i]) continue;
    const ExprNode node = pool[ExprId{i}];
    uint8_t all = leaf_level(program, kernel, node);
    for (int k = 0; k < node.count; ++k) all |= level[node.operands[k].value];
    level[i] = static_cast<Level>(all);
  }
  return level;
}

/// Nothing to gain there but time to compile.
bool is_small(const Program& program, const Kernel& kernel) {
  constexpr int64_t kSmall = 4096;
  const Space& domain = program[kernel.domain];
  return program[domain.pre].size * program[domain.post].size <= kSmall;
}

}  // namespace

Stages stages(const Program& program, const Kernel& kernel) {
  const ExprPool& pool = program.pool;
  std::vector<ExprId> roots;
  for (const Store& store : kernel.stores) roots.push_back(store.value);
  for (const Accumulate& accumulate : kernel.accumulates) roots.push_back(accumulate.value);
  std::vector<ExprId> all = roots;
  for (const Scan& scan : kernel.scans) all.push_back(scan.value);

  Stages result;
  result.live = live_nodes(pool, all);
  result.level = levels(program, kernel, result.live);

  std::vector<bool> placed(pool.size(), false);
  result.scan_reads.resize(kernel.scans.size());
  for (uint32_t i = 0; i < pool.size(); ++i) {
    if (!result.live[i]) continue;
    const ExprNode node = pool[ExprId{i}];
    for (size_t s = 0; s < kernel.scans.size(); ++s) {
      if (node.op != Op::Load || node.leaf.index != kernel.scans[s].as.value) continue;
      result.scan_reads[s].push_back(i);
      placed[i] = true;
    }
    if (result.level[i] == kUniform) result.uniform.push_back(i);
    if (result.level[i] == kPre) result.pre.push_back(i);
    if (result.level[i] == kPost) result.post.push_back(i);
  }
  const auto place = [&](const std::vector<ExprId>& needed) {
    const std::vector<bool> wanted = live_nodes(pool, needed);
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < pool.size(); ++i) {
      if (!wanted[i] || placed[i] || result.level[i] != kRow) continue;
      placed[i] = true;
      order.push_back(i);
    }
    result.rows.push_back(std::move(order));
  };
  for (const Scan& scan : kernel.scans) place({scan.value});
  place(roots);
  return result;
}

namespace {

/// What the roots need when selections have the operand that is left of them.
std::vector<bool> live_without(const ExprPool& pool, const Kernel& kernel, const Stages& stages, const std::map<uint32_t, int>& selects) {
  std::vector<bool> live(stages.live.size());
  for (const ExprId root : roots(kernel)) live[root.value] = true;
  for (auto i = static_cast<uint32_t>(live.size()); i-- > 0;) {
    if (!live[i]) continue;
    const ExprNode node = pool[ExprId{i}];
    const auto found = selects.find(i);
    if (found != selects.end()) live[node.operands[found->second].value] = true;
    else for (int k = 0; k < node.count; ++k) live[node.operands[k].value] = true;
  }
  return live;
}

}  // namespace

RareArms rare_arms(const Program& program, const Kernel& kernel, const Stages& stages) {
  constexpr int kLong = 64;  // more than asking whether somebody spikes
  constexpr int kManyReads = 6;
  if (program[kernel.domain].kind != SpaceKind::Sparse || kernel.rows == Rows::OfPost) return {};
  std::set<uint32_t> spikes;
  for (const Kernel& other : program.kernels)
    if (other.spikes.valid() && other.rows != Rows::All) spikes.insert(other.spikes.value);
  const ExprPool& pool = program.pool;
  RareArms found;
  for (uint32_t i = 0; i < stages.live.size(); ++i) {
    if (!stages.live[i] || pool[ExprId{i}].op != Op::Select) continue;
    const ExprNode condition = pool[pool[ExprId{i}].operands[0]];
    if (condition.op == Op::Load && condition.leaf.at == At::Post && spikes.contains(condition.leaf.index)) found.selects[i] = 2;
  }
  const auto count = [&](const std::vector<bool>& without, const std::function<int(const ExprNode&, Level)>& of) {
    int saved = 0;
    for (uint32_t i = 0; i < without.size(); ++i)
      if (stages.live[i] && !without[i]) saved += of(pool[ExprId{i}], stages.level[i]);
    return saved;
  };
  if (!found.selects.empty()) {
    found.live_without = live_without(pool, kernel, stages, found.selects);
    if (count(found.live_without, [](const ExprNode& node, Level level) { return level == kRow ? cost(node.op) : 0; }) <= kLong) found = {};
  }
  for (uint32_t i = 0; i < stages.live.size(); ++i) {
    if (!stages.live[i] || stages.level[i] != kRow || pool[ExprId{i}].op != Op::Select) continue;
    const ExprId condition = pool[ExprId{i}].operands[0];
    if (stages.level[condition.value] != kRow) continue;
    std::vector<bool> without = live_without(pool, kernel, stages, {{i, 1}});
    for (const ExprId asked : nodes_below(pool, {&condition, 1})) without[asked.value] = true;
    if (count(without, [](const ExprNode& node, Level level) { return level == kPost && node.op == Op::Load ? 1 : 0; }) >= kManyReads) found.selects[i] = 1;
  }
  if (!found.selects.empty()) found.live_without = live_without(pool, kernel, stages, found.selects);
  return found;
}

int synapse_work(const Program& program, const Kernel& kernel, const Stages& stages) {
  const Level once = kernel.rows == Rows::OfPost ? kPost : kPre;  // for a whole row or column
  int work = 0;
  for (uint32_t i = 0; i < stages.live.size(); ++i)
    if (stages.live[i] && stages.level[i] != kUniform && stages.level[i] != once) work += cost(program.pool[ExprId{i}].op);
  return work;
}

DenseLayout dense_layout(const Program& program, const Kernel& kernel, const Stages& stages,
                         int registers, bool whole) {
  if (program[kernel.domain].kind != SpaceKind::Dense) return {};
  const ExprPool& pool = program.pool;
  int work = 0;
  std::set<uint32_t> per_post, per_row;  // values from outside that the arithmetic of a row reads
  const auto read = [&](ExprId id) {
    if (stages.level[id.value] == kPost) per_post.insert(id.value);
    if (stages.level[id.value] == kPre) per_row.insert(id.value);
  };
  for (const std::vector<uint32_t>& row : stages.rows)
    for (const uint32_t i : row) {
      const ExprNode node = pool[ExprId{i}];
      work += cost(node.op);
      for (int k = 0; k < node.count; ++k) read(node.operands[k]);
    }
  int sums = 0;
  bool in_order = false;  // a sum over all pairs goes row after row
  for (const Accumulate& sum : kernel.accumulates) {
    if (sum.at == At::Post) ++sums;
    if (sum.at == At::Uniform) in_order = true;
  }

  DenseLayout layout{.rows_together = 1, .memory_bound = work <= 6};
  if (in_order) return layout;
  if (is_small(program, kernel)) {
    // Sums then stay in registers from row to row.
    const int64_t rows = program[program[kernel.domain].pre].size;
    while (whole && layout.rows_together < 8 && 2 * layout.rows_together <= rows && 2 * layout.rows_together * work <= 256)
      layout.rows_together *= 2;
    return layout;
  }
  // More rows pay while their values stay in registers; measured with bench/. Long code does not.
  const int shared = static_cast<int>(per_post.size()) + sums, own = static_cast<int>(per_row.size());
  const int limit = shared >= 8 ? 8 : 4;
  const auto fits = [&](int rows) {
    return shared + rows * std::max(own, 1) + 4 <= registers && rows * work <= 128;
  };
  while (layout.rows_together < limit && fits(2 * layout.rows_together)) layout.rows_together *= 2;
  return layout;
}

}  // namespace hebb
