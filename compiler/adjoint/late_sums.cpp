#include "compiler/adjoint/late_sums.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/adjoint/activity.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

constexpr int64_t kSteps = 8;            // added up at once
constexpr size_t kSumsOfKernel = 9;      // with what they are made of they fill sixteen registers, and wait for no other
constexpr size_t kKeptValues = 4;        // of a neuron and step, beside columns that are there
constexpr size_t kMany = 2 * kSumsOfKernel;

class Later {
 public:
  explicit Later(Adjoint& adjoint) : a_(adjoint), program_(adjoint.program) {
    a_.late = {.steps = kSteps};
    steps_ = program_.add(Space{.kind = SpaceKind::Neurons, .name = "steps", .size = kSteps});
    for (const KernelId id : a_.once.forward)
      for (const Store& store : program_[id].stores) lasting_.insert(store.into);
  }

  void run() {
    const std::vector<KernelId> reverse = a_.quiet.reverse;
    for (const KernelId id : reverse)
      for (const ColumnId column : written_by({&id, 1})) ++writers_[column];
    for (size_t k = 0; k < reverse.size(); ++k) {
      const std::span<const KernelId> rest(reverse.begin() + static_cast<std::ptrdiff_t>(k), reverse.end());
      if (!take(reverse[k], rest)) a_.late.reverse.push_back(reverse[k]);
    }
    if (a_.late.add.empty()) a_.late = {};
  }

 private:
  struct Owed {
    ColumnId into;
    uint32_t element;
    ExprId value;   // that a step adds
  };

  /// False: the kernel stays as it is.
  bool take(KernelId id, std::span<const KernelId> from_here) {
    const Kernel of = program_[id];
    if (program_[of.domain].kind != SpaceKind::Neurons || of.rows != Rows::All) return false;
    Kernel left = of;
    const std::set<ColumnId> written = written_by(from_here);
    values_.clear();
    std::vector<Owed> owed;
    std::erase_if(left.stores, [&](const Store& store) {
      const ExprId value = added(store);
      if (!value.valid() || !can_wait(value, written)) return false;
      owed.push_back({store.into, store.element, value});
      return true;
    });
    if (owed.size() < kMany) return false;
    keep_values(of, left);
    if (!left.stores.empty() || !left.accumulates.empty()) a_.late.reverse.push_back(program_.add(left));
    add_up(of, owed);
    return true;
  }

  std::set<ColumnId> written_by(std::span<const KernelId> kernels) const {
    std::set<ColumnId> out;
    for (const KernelId id : kernels) {
      for (const Store& store : program_[id].stores) out.insert(store.into);
      for (const Accumulate& sum : program_[id].accumulates) out.insert(sum.into);
    }
    return out;
  }

  /// What a store adds to a sum of the whole run to which no other kernel adds, as a sum over rows would with the same rounding; invalid: it does something else.
  ExprId added(const Store& store) {
    const auto& once = a_.zero_once;
    if (std::find(once.begin(), once.end(), store.into) == once.end() || writers_.at(store.into) != 1) return {};
    const ExprNode node = program_.pool[store.value];
    const auto is_sum = [&](ExprId id) {
      const ExprNode before = program_.pool[id];
      return before.op == Op::Load && before.leaf.at == At::Self && before.leaf.index == store.into.value && before.leaf.element == store.element;
    };
    if (node.op == Op::Fma && is_sum(node.operands[2])) {
      const ExprId product = program_.pool.mul(node.operands[0], node.operands[1]);
      return program_.pool[product].op == Op::Mul ? product : ExprId{};
    }
    if (node.op != Op::Add || is_sum(node.operands[0]) == is_sum(node.operands[1])) return {};
    const ExprId other = node.operands[is_sum(node.operands[0]) ? 1 : 0];
    return program_.pool[other].op == Op::Mul ? ExprId{} : other;   // a sum over rows would round it once
  }

  bool is_cheap(const ExprNode& node) const {
    return node.op == Op::Mul || node.op == Op::Add || node.op == Op::Sub || node.op == Op::Fma || node.op == Op::Neg;
  }

  /// Little arithmetic of what is still there when the step is over, and of a few values that the step keeps.
  bool can_wait(ExprId value, const std::set<ColumnId>& written) {
    std::vector<uint32_t> found;
    if (!find_kept(value, written, found)) return false;
    std::set<uint32_t> all = values_;
    all.insert(found.begin(), found.end());
    if (all.size() > kKeptValues) return false;
    values_ = std::move(all);
    return true;
  }
  /// What of the nodes below `value` a step has to keep.
  bool find_kept(ExprId value, const std::set<ColumnId>& written, std::vector<uint32_t>& found) const {
    const std::vector<ExprId> nodes = nodes_below(program_.pool, {&value, 1});
    std::set<uint32_t> needed = {value.value};
    for (auto id = nodes.rbegin(); id != nodes.rend(); ++id) {
      const ExprNode node = program_.pool[*id];
      if (!needed.contains(id->value) || node.op == Op::Const) continue;
      if (node.op == Op::Load) {
        if (node.leaf.at == At::Fixed || written.contains(ColumnId{node.leaf.index})) return false;
      } else if (is_cheap(node)) {
        for (int k = 0; k < node.count; ++k) needed.insert(node.operands[k].value);
      } else {
        found.push_back(id->value);
      }
    }
    return true;
  }

  /// Columns of `of` for what it keeps beside, which `left` stores.
  void keep_values(const Kernel& of, Kernel& left) {
    value_columns_.clear();
    for (const uint32_t id : values_) {
      const ColumnId column = program_.add(Column{.name = cat("kept ", id, " of ", of.name), .space = of.domain});
      left.stores.push_back({column, 0, ExprId{id}});
      value_columns_[id] = column;
    }
  }

  /// Kernels over steps and neurons.
  void add_up(const Kernel& of, const std::vector<Owed>& owed) {
    pairs_ = program_.add(Space{.kind = SpaceKind::Dense, .name = cat("steps of ", program_[of.domain].name), .pre = steps_, .post = of.domain});
    std::vector<ExprId> values;
    for (const Owed& each : owed) values.push_back(each.value);
    std::map<uint32_t, ExprId> late;
    for (const ExprId id : nodes_below(program_.pool, values))
      if (const ExprId made = of_step(of, id, late); made.valid()) late[id.value] = made;
    for (size_t first = 0; first < owed.size(); first += kSumsOfKernel) {
      Kernel sums{.name = cat("late ", of.name, " ", a_.late.add.size()), .domain = pairs_};
      for (size_t k = first; k < std::min(first + kSumsOfKernel, owed.size()); ++k)
        sums.accumulates.push_back({owed[k].into, owed[k].element, At::Post, Combine::Sum, late.at(owed[k].value.value)});
      a_.late.add.push_back(program_.add(std::move(sums)));
    }
  }

  /// A node as a kernel over steps and neurons computes it; invalid: it is below a kept value.
  ExprId of_step(const Kernel& of, ExprId id, const std::map<uint32_t, ExprId>& late) {
    ExprPool& pool = program_.pool;
    const ExprNode node = pool[id];
    if (const auto own = value_columns_.find(id.value); own != value_columns_.end()) return pool.load(kept(own->second, pairs_), At::Self);
    if (node.op == Op::Const) return id;
    if (node.op == Op::Load) {
      const ColumnId column{node.leaf.index};
      const bool uniform = node.leaf.at == At::Uniform, lasts = program_[column].role == Role::Param || lasting_.contains(column);
      if (lasts && uniform) return id;
      if (node.leaf.at == At::Fixed) return {};
      if (lasts && program_[column].space == of.domain) return pool.load(column, At::Post, node.leaf.element);
      return pool.load(kept(column, uniform ? steps_ : pairs_), uniform ? At::Pre : At::Self, node.leaf.element);
    }
    if (!is_cheap(node)) return {};
    ExprId operands[3];
    for (int k = 0; k < node.count; ++k) {
      const auto made = late.find(node.operands[k].value);
      if (made == late.end()) return {};
      operands[k] = made->second;
    }
    return remake(pool, node.op, std::span(operands, node.count));
  }

  /// Where a column is kept for some steps.
  ColumnId kept(ColumnId column, SpaceId space) {
    ColumnId& steps = kept_[{column, space.value}];
    if (steps.valid()) return steps;
    Column made = program_[column];
    made.name = cat(made.name, "/steps", program_.columns.size());
    made.space = space;
    made.role = Role::Value;
    made.reset = 0;
    steps = program_.add(std::move(made));
    a_.late.kept.push_back({column, steps});
    return steps;
  }

  Adjoint& a_;
  Program& program_;
  SpaceId steps_, pairs_;              // of the kernel at hand
  std::set<ColumnId> lasting_;         // the same in every step
  std::map<ColumnId, int> writers_;    // of reverse steps
  std::set<uint32_t> values_;                       // ExprIds that the kernel at hand keeps,
  std::map<uint32_t, ColumnId> value_columns_;      // and where
  std::map<std::pair<ColumnId, uint32_t>, ColumnId> kept_;
};

/// Neurons keep so many sums that there is something to gain.
bool has_many_sums(const Adjoint& a) {
  int64_t elements = 0;
  for (const ColumnId id : a.zero_once)
    if (a.program[a.program[id].space].kind == SpaceKind::Neurons) elements += a.program[id].width;
  return elements >= static_cast<int64_t>(kMany);
}

}  // namespace

void sum_late(Adjoint& adjoint) {
  // Steps of two flavours would be added up by two lists of kernels, out of their order.
  if (adjoint.has_eventful || !has_many_sums(adjoint)) return;
  Later(adjoint).run();
}

}  // namespace hebb
