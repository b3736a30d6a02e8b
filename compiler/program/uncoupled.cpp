#include "compiler/program/uncoupled.h"

#include <numeric>

namespace hebb {

namespace {

/// Populations that share rows: a kernel over one reads the same row of another.
class Groups {
 public:
  explicit Groups(size_t spaces) : of_(spaces) { std::iota(of_.begin(), of_.end(), 0u); }
  uint32_t find(SpaceId id) const {
    uint32_t at = id.value;
    while (of_[at] != at) at = of_[at];
    return at;
  }
  void join(SpaceId a, SpaceId b) { of_[find(a)] = find(b); }

 private:
  std::vector<uint32_t> of_;
};

template <class F>
void for_each_leaf(const Program& program, const Kernel& kernel, const F& f) {
  const std::vector<bool> live = live_nodes(program.pool, roots(kernel));
  for (uint32_t i = 0; i < live.size(); ++i) {
    const ExprNode node = program.pool[ExprId{i}];
    if (live[i] && info(node.op).is_leaf) f(node);
  }
}

Groups groups_of(const Program& program, std::span<const KernelId> kernels) {
  Groups groups(program.spaces.size());
  for (const KernelId id : kernels) {
    const Kernel& kernel = program[id];
    if (program[kernel.domain].kind != SpaceKind::Neurons) continue;
    for_each_leaf(program, kernel, [&](const ExprNode& node) {
      if (node.op != Op::Load || node.leaf.at != At::Self) return;
      groups.join(program[ColumnId{node.leaf.index}].space, kernel.domain);
    });
  }
  return groups;
}

SpaceId largest_post(const Program& program, std::span<const KernelId> kernels) {
  SpaceId best;
  int64_t most = 0;
  for (const KernelId id : kernels) {
    const Space& domain = program[program[id].domain];
    if (domain.kind != SpaceKind::Dense) continue;
    const int64_t synapses = program[domain.pre].size * program[domain.post].size;
    if (synapses <= most) continue;
    most = synapses;
    best = domain.post;
  }
  return best;
}

/// Nothing passes from one neuron of the cut spaces to another through this kernel.
bool keeps_apart(const Program& program, const Kernel& kernel, const Uncoupled& cut) {
  const bool inside = cut.cut(kernel.domain);
  bool apart = true;
  for_each_leaf(program, kernel, [&](const ExprNode& node) {
    if (node.op == Op::Draw) apart = apart && !inside;   // draws are numbered by neuron
    if (node.op != Op::Load) return;
    const bool of_cut = cut.cut(program[ColumnId{node.leaf.index}].space);
    if (of_cut && (node.leaf.at == At::Fixed || !inside)) apart = false;
  });
  if (!inside) return apart;
  for (const Accumulate& sum : kernel.accumulates) apart = apart && sum.at == At::Post;
  for (const Scan& scan : kernel.scans) apart = apart && scan.along == At::Pre;
  return apart;
}

}  // namespace

std::optional<Uncoupled> uncoupled_posts(const Program& program, std::span<const KernelId> kernels) {
  const SpaceId post = largest_post(program, kernels);
  if (!post.valid()) return std::nullopt;
  const Groups groups = groups_of(program, kernels);
  Uncoupled out{.spaces = std::vector<bool>(program.spaces.size()), .posts = program[post].size};
  for (uint32_t i = 0; i < program.spaces.size(); ++i)
    out.spaces[i] = program.spaces[i].kind == SpaceKind::Neurons && groups.find(SpaceId{i}) == groups.find(post);
  for (uint32_t i = 0; i < program.spaces.size(); ++i) {
    const Space& space = program.spaces[i];
    if (space.kind == SpaceKind::Sparse) return std::nullopt;
    if (space.kind == SpaceKind::Dense && out.cut(space.post)) out.spaces[i] = true;
  }
  for (const KernelId id : kernels) {
    const Kernel& kernel = program[id];
    const Space& domain = program[kernel.domain];
    if (domain.kind == SpaceKind::Dense && out.cut(domain.pre)) return std::nullopt;
    if (!keeps_apart(program, kernel, out)) return std::nullopt;
  }
  return out;
}

Program narrowed(const Program& program, const Uncoupled& cut, int64_t posts) {
  Program out = program;
  for (uint32_t i = 0; i < out.spaces.size(); ++i)
    if (cut.spaces[i] && out.spaces[i].kind == SpaceKind::Neurons) out.spaces[i].size = posts;
  return out;
}

}  // namespace hebb
