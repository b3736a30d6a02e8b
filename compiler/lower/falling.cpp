// Traces that wait: of many neurons, what only decays and jumps at spikes, their own or others', is kept relative to a
// scale that falls as it does. No step writes it but at spikes; who reads it multiplies by the scale.

#include <algorithm>
#include <map>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"
#include "compiler/lower/passes.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

class Falling {
 public:
  Falling(Program& program, int64_t many) : program_(program), pool_(program.pool), many_(many) {
    for (const Launch& launch : program.plan.step) in_step_.insert(launch.kernel.value);
    for (const Launch& launch : program.plan.init) in_init_.insert(launch.kernel.value);
  }

  void run() {
    const size_t columns = program_.columns.size();
    for (uint32_t c = 0; c < columns; ++c)
      if (const ExprId factor = factor_of(ColumnId{c}); factor.valid()) scale_of(ColumnId{c}, factor);
    if (scales_.empty()) return;
    const size_t kernels = program_.kernels.size();
    for (uint32_t k = 0; k < kernels; ++k)
      if (!in_init_.contains(k)) rewrite(k);
    wait();
  }

 private:
  struct Scale {
    ColumnId column;
    ExprId factor;
    SpaceId of;
  };

  bool eligible(ColumnId id) const {
    const Column& column = program_[id];
    const Space& space = program_[column.space];
    if (column.role != Role::State || column.width != 1 || space.kind != SpaceKind::Neurons || space.size < many_) return false;
    for (const Feed& feed : program_.plan.feeds)
      if (feed.column == id || feed.ahead == id) return false;
    for (const Delayed& delayed : program_.plan.delays)
      if (delayed.from == id || delayed.into == id) return false;
    return true;
  }

  /// By which the state falls in each step, while all else that happens to it is that spikes add something; invalid:
  /// more does.
  ExprId factor_of(ColumnId id) {
    if (!eligible(id)) return {};
    ExprId factor;
    for (uint32_t k = 0; k < program_.kernels.size(); ++k) {
      const Kernel& kernel = program_.kernels[k];
      if (in_step_.contains(k) && reads_it_always(kernel, id)) return {};
      for (const Accumulate& sum : kernel.accumulates)
        if (sum.into == id && (sum.combine != Combine::Sum || kernel.rows != Rows::OfPre || !in_step_.contains(k))) return {};
      for (const Store& store : kernel.stores) {
        if (store.into != id || in_init_.contains(k)) continue;
        if (!in_step_.contains(k) || program_[id].space != kernel.domain) return {};
        if (kernel.rows == Rows::OfSpikes) {
          if (!added(store).valid() && mentions(store.value, id)) return {};
          continue;
        }
        const ExprId found = kernel.spikes.valid() ? ExprId{} : decay(store);
        if (!found.valid() || (factor.valid() && factor != found)) return {};
        factor = found;
      }
    }
    return factor.valid() && falls_in_every_step(id) ? factor : ExprId{};
  }

  /// Whether the kernel reads it in every step, other than to let it decay.
  bool reads_it_always(const Kernel& kernel, ColumnId id) const {
    if (kernel.rows != Rows::All || kernel.spikes.valid()) return false;
    const bool decays = std::any_of(kernel.stores.begin(), kernel.stores.end(), [&](const Store& store) { return store.into == id; });
    const std::vector<ExprId> values = roots(kernel);
    return !decays && std::any_of(values.begin(), values.end(), [&](ExprId root) { return mentions(root, id); });
  }

  /// Once, whatever happens in the step.
  bool falls_in_every_step(ColumnId id) const {
    for (const When left_out : {When::Quiet, When::Eventful}) {
      int times = 0;
      for (const Launch& launch : program_.plan.step) {
        const Kernel& kernel = program_[launch.kernel];
        if (launch.when == left_out || kernel.rows == Rows::OfSpikes) continue;
        times += static_cast<int>(std::count_if(kernel.stores.begin(), kernel.stores.end(), [&](const Store& store) { return store.into == id; }));
      }
      if (times != 1) return false;
    }
    return true;
  }

  bool mentions(ExprId root, ColumnId id) const {
    const std::vector<ExprId> nodes = nodes_below(pool_, {&root, 1});
    return std::any_of(nodes.begin(), nodes.end(), [&](ExprId n) { return pool_[n].op == Op::Load && pool_[n].leaf.index == id.value; });
  }

  /// f of x * f, with or without a 0 for what has become tiny.
  ExprId decay(const Store& store) const {
    ExprId value = store.value;
    if (pool_[value].op == Op::Select && pool_.is_constant(pool_[value].operands[1], 0)) {
      const ExprNode tiny = pool_[pool_[value].operands[0]];
      const ExprId rest = pool_[value].operands[2];
      if (tiny.op != Op::Less || pool_[tiny.operands[0]].op != Op::Abs || pool_[tiny.operands[0]].operands[0] != rest || !pool_.is_constant(tiny.operands[1])) return {};
      value = rest;
    }
    const ExprNode node = pool_[value];
    const ExprId self = pool_.load(store.into, At::Self);
    if (node.op != Op::Mul || (node.operands[0] != self && node.operands[1] != self)) return {};
    const ExprId factor = node.operands[node.operands[0] == self ? 1 : 0];
    for (const ExprId id : nodes_below(pool_, {&factor, 1})) {
      const ExprNode leaf = pool_[id];
      if (leaf.op == Op::Draw || (leaf.op == Op::Load && leaf.leaf.at != At::Uniform)) return {};
    }
    return factor;
  }

  /// What is added to the state; its product with `by`, if there is one, added instead.
  ExprId added(const Store& store, ExprId by = {}) const {
    const ExprNode node = pool_[store.value];
    const ExprId self = pool_.load(store.into, At::Self);
    const auto by_it = [&](ExprId value) { return !by.valid() ? value : pool_.is_constant(value, 1) ? by : pool_.mul(value, by); };
    if (node.op == Op::Fma && node.operands[2] == self && !mentions(node.operands[0], store.into) && !mentions(node.operands[1], store.into))
      return pool_.make(Op::Fma, by_it(node.operands[0]), node.operands[1], self);
    if (node.op != Op::Add || (node.operands[0] != self && node.operands[1] != self)) return {};
    const ExprId rest = node.operands[node.operands[0] == self ? 1 : 0];
    return mentions(rest, store.into) ? ExprId{} : pool_.add(self, by_it(rest));
  }

  /// A product, not a quotient: the division is the same for all synapses and done once for a row.
  ExprId added_to(const Accumulate& sum) {
    const ExprId by = relative(sum.into);
    return pool_.is_constant(sum.value) ? simple(pool_, Op::Mul, sum.value, by) : pool_.mul(sum.value, by);
  }
  ExprId relative(ColumnId id) { return simple(pool_, Op::Div, pool_.constant(1), scale(id)); }
  /// What is stored at a spike: more than was, or something else.
  ExprId jumped(const Store& store) {
    const ExprId more = added(store, relative(store.into));
    return more.valid() ? more : simple(pool_, Op::Mul, store.value, relative(store.into));
  }

  void scale_of(ColumnId id, ExprId factor) {
    const SpaceId space = program_[id].space;
    auto found = std::find_if(all_.begin(), all_.end(), [&](const Scale& scale) { return scale.factor == factor && scale.of == space; });
    if (found == all_.end()) {
      all_.push_back({program_.add(Column{.name = program_[id].name + " falls", .space = uniform(), .role = Role::State}), factor, space});
      found = all_.end() - 1;
    }
    scales_[id] = found->column;
  }

  SpaceId uniform() const {
    for (uint32_t k = 0; k < program_.spaces.size(); ++k)
      if (program_.spaces[k].kind == SpaceKind::Uniform) return SpaceId{k};
    return {};
  }

  ExprId scale(ColumnId of) { return pool_.load(scales_.at(of), At::Uniform); }

  void rewrite(uint32_t k) {
    Kernel kernel = program_.kernels[k];
    std::vector<ColumnId> fallen;
    for (Store& store : kernel.stores) {
      if (!scales_.contains(store.into)) continue;
      if (kernel.rows == Rows::OfSpikes) store.value = jumped(store);
      else fallen.push_back(store.into);
    }
    std::erase_if(kernel.stores, [&](const Store& store) { return scales_.contains(store.into) && kernel.rows != Rows::OfSpikes; });
    kernel = read(std::move(kernel));
    for (Accumulate& sum : kernel.accumulates)
      if (scales_.contains(sum.into)) sum.value = added_to(sum);
    program_.kernels[k] = kernel;
    if (!fallen.empty()) fall(KernelId{k}, fallen);
  }

  /// Loads of the kernel give what the states are. A kernel of spikes has its own states as they are stored.
  Kernel read(Kernel kernel) {
    std::vector<ExprId> values;
    size_t next = 0;
    for (const ExprId root : roots(kernel)) {
      const ColumnId own = next < kernel.stores.size() && kernel.rows == Rows::OfSpikes ? kernel.stores[next].into : ColumnId{};
      ++next;
      values.push_back(Substitution(pool_, pool_, [&](const ExprNode& leaf) -> ExprId {
        if (leaf.op != Op::Load || ColumnId{leaf.leaf.index} == own || !scales_.contains(ColumnId{leaf.leaf.index})) return {};
        const ColumnId column{leaf.leaf.index};
        return pool_.mul(pool_.load(column, leaf.leaf.at, leaf.leaf.element), scale(column));
      })(root));
    }
    return with_roots(std::move(kernel), values);
  }

  /// Where the states fell, their scales do.
  void fall(KernelId where, const std::vector<ColumnId>& fallen) {
    Kernel kernel{.name = program_[where].name + ".falls", .domain = uniform()};
    for (const ColumnId id : fallen) {
      const ColumnId scale = scales_.at(id);
      const bool known = std::any_of(kernel.stores.begin(), kernel.stores.end(), [&](const Store& store) { return store.into == scale; });
      const auto one = std::find_if(all_.begin(), all_.end(), [&](const Scale& s) { return s.column == scale; });
      if (!known) kernel.stores.push_back({.into = scale, .value = fallen_scale(pool_, scale, one->factor)});
    }
    const bool empty = program_[where].stores.empty();
    KernelId falls = where;
    if (empty) program_.kernels[where.value] = kernel;
    else falls = program_.add(std::move(kernel));
    if (empty) return;
    std::vector<Launch>& step = program_.plan.step;
    for (size_t k = 0; k < step.size(); ++k)
      if (step[k].kernel == where) step.insert(step.begin() + static_cast<std::ptrdiff_t>(++k), Launch{falls, step[k - 1].when});
  }

  /// Readers and settling: one entry for each population.
  void wait() {
    std::map<uint32_t, Deferred> entries;
    std::map<uint32_t, Kernel> now, anew;
    for (const auto& [id, scale] : scales_) {
      const SpaceId space = program_[id].space;
      Kernel& kernel = now[space.value];
      kernel.name = program_[space].name + ".traces", kernel.domain = space;
      kernel.stores.push_back({.into = id, .value = without_tiny(pool_.mul(pool_.load(id, At::Self), pool_.load(scale, At::Uniform)))});
      entries[space.value].behind.push_back(id);
    }
    for (const Scale& scale : all_) {
      Kernel& kernel = anew[scale.of.value];
      kernel.name = program_[scale.of].name + ".traces_anew", kernel.domain = uniform();
      kernel.stores.push_back({.into = scale.column, .value = pool_.constant(1)});
      entries[scale.of.value].scales.push_back(scale.column);
    }
    for (auto& [space, entry] : entries) {
      entry.now = program_.add(std::move(now.at(space)));
      entry.settle = {entry.now, program_.add(std::move(anew.at(space)))};
      program_.plan.init.push_back({entry.settle.back(), When::Always});
      program_.plan.deferred.push_back(std::move(entry));
    }
  }

  /// What has decayed to numbers so small that each operation takes long is 0.
  ExprId without_tiny(ExprId value) {
    return pool_.select(pool_.make(Op::Less, pool_.make(Op::Abs, value), pool_.constant(1e-30)), pool_.constant(0), value);
  }

  Program& program_;
  ExprPool& pool_;
  const int64_t many_;
  std::set<uint32_t> in_step_, in_init_;
  std::vector<Scale> all_;
  std::map<ColumnId, ColumnId> scales_;   // by state
};

}  // namespace

void let_traces_wait(Program& program, int64_t many) { Falling(program, many).run(); }

}  // namespace hebb
