#include <algorithm>
#include <unordered_map>

#include "compiler/expr/transform.h"
#include "compiler/lower/passes.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

/// What an expression mentions: nothing of a row, one pre neuron, one post neuron, or the row itself.
constexpr int kPre = 1, kPost = 2, kRow = 4;

int mentioned(SpaceKind domain, const ExprNode& leaf) {
  if (leaf.op == Op::Const) return 0;
  if (leaf.op == Op::Draw) return kRow;
  switch (leaf.leaf.at) {
    case At::Uniform:
    case At::Fixed: return 0;
    case At::Pre: return kPre;
    case At::Post: return kPost;
    case At::Self: break;
  }
  return domain == SpaceKind::Uniform ? 0 : kRow;
}

class Stager {
 public:
  Stager(Program& program, Staged& columns) : program_(program), columns_(columns) {
    for (const Space& space : program.spaces) has_sparse_ |= space.kind == SpaceKind::Sparse;
  }

  std::vector<Kernel> run(std::vector<Kernel> kernels) {
    for (Kernel& kernel : kernels) stage(std::move(kernel));
    return std::move(result_);
  }

 private:
  void stage(Kernel kernel) {
    const SpaceKind kind = program_[kernel.domain].kind;
    const auto& bucketed = program_.plan.bucketed;
    const bool in_buckets = std::any_of(bucketed.begin(), bucketed.end(), [&](const Bucketed& b) { return b.space == kernel.domain; });
    // What single synapses see late has no one value for a neuron.
    if (kind == SpaceKind::Uniform || in_buckets) {
      result_.push_back(std::move(kernel));
      return;
    }
    std::vector<ExprId> values = roots(kernel);
    if (kind == SpaceKind::Neurons && has_sparse_) values = with_reciprocals(values);
    if (is_synaptic(kind)) values = in_horner_form(values);
    if (kind == SpaceKind::Sparse) values = with_shared_reciprocals(values);

    // Few neurons spike at a time: nothing is worth computing for all of them. Nor for what rarely runs.
    if (kernel.rows != Rows::All || kernel.spikes.valid()) {
      result_.push_back(with_roots(std::move(kernel), values));
      return;
    }

    // What is moved out, by where it goes; computed before this kernel.
    std::map<int, Kernel> outside;
    const std::unordered_map<uint32_t, int> masks = masks_of(values, kind);
    const std::vector<ExprId> parts = largest_outer_parts(values, masks);
    std::unordered_map<uint32_t, ExprId> moved;
    for (const ExprId part : parts) moved[part.value] = move_out(kernel, part, masks.at(part.value), outside);
    for (auto& [where, computed] : outside)
      if (!computed.stores.empty()) stage(std::move(computed));
    for (ExprId& value : values) value = rebuilt(value, moved);
    result_.push_back(with_roots(std::move(kernel), values));
  }

  /// x / u, where u is one number for all neurons, as x * (1 / u): a division costs as much as ten products;
  /// and x * u * v as x * (u * v). Not where all synapses are dense: there neurons are few next to
  /// synapses, and the last bit stays.
  std::vector<ExprId> with_reciprocals(const std::vector<ExprId>& values) {
    ExprPool& pool = program_.pool;
    const std::unordered_map<uint32_t, int> masks = masks_of(values, SpaceKind::Neurons);
    std::unordered_map<uint32_t, ExprId> done;
    std::unordered_map<uint32_t, Scaled> products;  // of what depends on the neuron
    for (const ExprId id : nodes_below(pool, values)) {
      const ExprNode node = pool[id];
      ExprId operands[3];
      for (int k = 0; k < node.count; ++k) operands[k] = done.at(node.operands[k].value);
      const auto uniform = [&](int k) { return masks.at(node.operands[k].value) == 0; };
      int by = -1;
      if (masks.at(id.value) != 0 && node.op == Op::Div && uniform(1)) by = 1;
      if (masks.at(id.value) != 0 && node.op == Op::Mul && (uniform(0) || uniform(1))) by = uniform(0) ? 0 : 1;
      if (by >= 0) {
        const ExprId factor = node.op == Op::Div ? pool.div(pool.constant(1), operands[1]) : operands[by];
        const ExprId of = node.operands[1 - by];
        const auto inner = products.find(of.value);
        const Scaled product = inner == products.end() ? Scaled{done.at(of.value), factor}
                                                       : Scaled{inner->second.value, pool.mul(inner->second.by, factor)};
        products[id.value] = product;
        done[id.value] = pool.mul(product.value, product.by);
      } else {
        done[id.value] = node.count == 0 ? id : remake(pool, node.op, std::span(operands, node.count));
      }
    }
    std::vector<ExprId> result;
    for (const ExprId value : values) result.push_back(done.at(value.value));
    return result;
  }

  struct Scaled {
    ExprId value, by;
  };

  /// a / u and b / u as a * (1 / u) and b * (1 / u), and so a / u alone where u is one number for all synapses.
  std::vector<ExprId> with_shared_reciprocals(const std::vector<ExprId>& values) {
    ExprPool& pool = program_.pool;
    const std::unordered_map<uint32_t, int> masks = masks_of(values, SpaceKind::Sparse);
    const std::vector<ExprId> nodes = nodes_below(pool, values);
    std::unordered_map<uint32_t, int> quotients;  // by divisor
    for (const ExprId id : nodes)
      if (pool[id].op == Op::Div) ++quotients[pool[id].operands[1].value];
    std::unordered_map<uint32_t, ExprId> done;
    for (const ExprId id : nodes) {
      const ExprNode node = pool[id];
      ExprId operands[3];
      for (int k = 0; k < node.count; ++k) operands[k] = done.at(node.operands[k].value);
      const bool shared = node.op == Op::Div && masks.at(id.value) != 0 && !pool.is_constant(node.operands[0], 1) &&
                          (masks.at(node.operands[1].value) == 0 || quotients.at(node.operands[1].value) > 1);
      if (shared) {
        const ExprId over[] = {pool.constant(1), operands[1]};
        done[id.value] = pool.mul(operands[0], remake(pool, Op::Div, over));
      } else {
        done[id.value] = node.count == 0 ? id : remake(pool, node.op, std::span(operands, node.count));
      }
    }
    std::vector<ExprId> result;
    for (const ExprId value : values) result.push_back(done.at(value.value));
    return result;
  }

  std::vector<ExprId> in_horner_form(const std::vector<ExprId>& values) {
    std::vector<ExprId> result;
    for (const ExprId value : values) result.push_back(horner(program_.pool, value, level_over_synapses));
    return result;
  }

  std::unordered_map<uint32_t, int> masks_of(const std::vector<ExprId>& values, SpaceKind kind) const {
    std::unordered_map<uint32_t, int> masks;
    for (const ExprId id : nodes_below(program_.pool, values)) {
      const ExprNode node = program_.pool[id];
      int mask = node.count == 0 ? mentioned(kind, node) : 0;
      for (int k = 0; k < node.count; ++k) mask |= masks.at(node.operands[k].value);
      masks[id.value] = mask;
    }
    return masks;
  }

  static bool outer(int mask) { return mask == 0 || mask == kPre || mask == kPost; }

  /// A leaf is as good as the column it would be moved to, and so is its negative.
  bool worth_moving(ExprId id) const {
    const ExprNode node = program_.pool[id];
    if (node.count == 0) return false;
    return node.op != Op::Neg || program_.pool[node.operands[0]].count > 0;
  }

  std::vector<ExprId> largest_outer_parts(const std::vector<ExprId>& values,
                                          const std::unordered_map<uint32_t, int>& masks) const {
    std::set<ExprId> found;
    const auto consider = [&](ExprId id) {
      if (outer(masks.at(id.value)) && worth_moving(id)) found.insert(id);
    };
    for (const ExprId value : values) consider(value);
    for (const ExprId id : nodes_below(program_.pool, values)) {
      const ExprNode node = program_.pool[id];
      if (outer(masks.at(id.value))) continue;
      for (int k = 0; k < node.count; ++k) consider(node.operands[k]);
    }
    return {found.begin(), found.end()};
  }

  ExprId move_out(const Kernel& kernel, ExprId part, int mask, std::map<int, Kernel>& outside) {
    const Space domain = program_[kernel.domain];
    const SpaceId space = mask == 0 ? uniform_space() : mask == kPre ? domain.pre : domain.post;
    const At at = mask == 0 ? At::Uniform : mask == kPre ? At::Pre : At::Post;
    const ExprId value = mask == 0 ? part : read_by_neuron(part);
    const std::string prefix = kernel.name.substr(0, kernel.name.find('.') + 1);
    const char* stem = mask == 0 ? "uni" : mask == kPre ? "pre" : "post";

    const auto [entry, is_new] = columns_.try_emplace({space.value, value});
    if (is_new) entry->second = add_column(cat(prefix, stem), space);
    Kernel& computed = outside[mask];
    if (computed.name.empty()) computed = {.name = cat(prefix, stem), .domain = space};
    computed.stores.push_back({.into = entry->second, .value = value});
    return program_.pool.load(entry->second, at);
  }

  /// The same expression in a kernel over the neurons themselves.
  ExprId read_by_neuron(ExprId part) {
    ExprPool& pool = program_.pool;
    return Substitution(pool, pool, [&](const ExprNode& leaf) -> ExprId {
      if (leaf.op != Op::Load || (leaf.leaf.at != At::Pre && leaf.leaf.at != At::Post)) return {};
      return pool.load(ColumnId{leaf.leaf.index}, At::Self, leaf.leaf.element);
    })(part);
  }

  SpaceId uniform_space() const {
    for (uint32_t i = 0; i < program_.spaces.size(); ++i)
      if (program_.spaces[i].kind == SpaceKind::Uniform) return SpaceId{i};
    return {};
  }

  /// A space: no name of the language has one.
  ColumnId add_column(const std::string& stem, SpaceId space) {
    for (size_t number = 0;; ++number) {
      const std::string name = cat(stem, " ", number);
      if (!program_.find_column(name).valid())
        return program_.add(Column{.name = name, .space = space, .role = Role::Value});
    }
  }

  ExprId rebuilt(ExprId root, std::unordered_map<uint32_t, ExprId>& done) {
    for (const ExprId id : nodes_below(program_.pool, {&root, 1})) {
      if (done.contains(id.value)) continue;
      const ExprNode node = program_.pool[id];
      ExprId operands[3];
      bool same = true;
      for (int k = 0; k < node.count; ++k) {
        operands[k] = done.at(node.operands[k].value);
        same &= operands[k] == node.operands[k];
      }
      done[id.value] = same ? id : remake(program_.pool, node.op, std::span(operands, node.count));
    }
    return done.at(root.value);
  }

  Program& program_;
  Staged& columns_;
  bool has_sparse_ = false;
  std::vector<Kernel> result_;
};

}  // namespace

std::vector<Kernel> staged(Program& program, std::vector<Kernel> kernels, Staged& columns) {
  return Stager(program, columns).run(std::move(kernels));
}

}  // namespace hebb
