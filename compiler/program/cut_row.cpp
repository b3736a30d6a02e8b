#include "compiler/program/cut_row.h"

#include <algorithm>
#include <cassert>
#include <set>
#include <unordered_map>
#include <utility>

#include "compiler/program/row_order.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

class RowCutter {
 public:
  RowCutter(Program& program, const Kernel& kernel) : program_(program), kernel_(kernel), size_(program.pool.size()) {
    find_effects();
  }

  std::vector<Kernel> run(const std::string& name, size_t most) {
    std::vector<bool> inside(size_);
    for (const ExprId id : nodes_below(program_.pool, roots(kernel_))) inside[id.value] = !info(program_.pool[id].op).is_leaf;
    RowOrder row = order_of_row(program_.pool, inside, effects_);
    if (row.live <= most) return {};
    // A row's loads come before its stores: what changes a column that the row reads is for the last piece.
    steps_ = std::move(row.order);
    const auto tail = std::stable_partition(steps_.begin(), steps_.end(), [&](uint32_t step) { return step < size_ || !is_last_[step - size_]; });
    const std::vector<size_t> ends = find_ends(static_cast<size_t>(tail - steps_.begin()), most);
    if (ends.size() < 2) return {};
    const ColumnId between = program_.add(Column{.name = name, .space = kernel_.domain});
    hand_on(ends, between);
    return pieces(ends, between);
  }

 private:
  void find_effects() {
    for (const Store& store : kernel_.stores) {
      effects_.push_back({{store.value}});
      into_.push_back(store.into);
    }
    for (const Accumulate& sum : kernel_.accumulates) {
      effects_.push_back({taken_by(program_.pool, sum)});
      into_.push_back(sum.into);
    }
    std::set<uint32_t> read = {kernel_.spikes.value};
    for (const ExprId id : nodes_below(program_.pool, roots(kernel_)))
      if (program_.pool[id].op == Op::Load) read.insert(program_.pool[id].leaf.index);
    for (const ColumnId into : into_) is_last_.push_back(read.contains(into.value));
  }

  std::vector<ExprId> needs_of(uint32_t step) const {
    if (step >= size_) return effects_[step - size_].needs;
    const ExprNode node = program_.pool[ExprId{step}];
    return {node.operands, node.operands + node.count};
  }

  /// Each piece is as long as it can be: a value counts there from where the piece makes it to where the piece needs it last.
  std::vector<size_t> find_ends(size_t tail, size_t most) const {
    std::vector<size_t> made(size_, SIZE_MAX), last(size_), live(steps_.size()), ends;
    for (size_t begin = 0, k = 0; k < steps_.size(); ++k) {
      size_t peak = 0;
      for (const ExprId need : needs_of(steps_[k])) {
        const size_t id = need.value;
        if (made[id] == SIZE_MAX || made[id] < begin) continue;
        for (size_t place = last[id] + 1; place <= k; ++place) peak = std::max(peak, ++live[place]);
        last[id] = k;
      }
      if (peak > most && k > begin && k <= tail) {
        ends.push_back(k);
        begin = k;
        live.assign(steps_.size(), 0);
      }
      if (steps_[k] < size_) made[steps_[k]] = last[steps_[k]] = k;
    }
    ends.push_back(steps_.size());
    return ends;
  }

  /// A place in the column for each value that a later piece needs.
  void hand_on(const std::vector<size_t>& ends, ColumnId between) {
    std::vector<size_t> made(size_, SIZE_MAX);
    for (size_t piece = 0, k = 0; piece < ends.size(); ++piece)
      for (; k < ends[piece]; ++k) {
        for (const ExprId need : needs_of(steps_[k]))
          if (made[need.value] < piece) places_.try_emplace(need.value, static_cast<uint32_t>(places_.size()));
        if (steps_[k] < size_) made[steps_[k]] = piece;
      }
    program_.columns[between.value].width = std::max<int64_t>(1, static_cast<int64_t>(places_.size()));
  }

  std::vector<Kernel> pieces(const std::vector<size_t>& ends, ColumnId between) {
    std::vector<Kernel> out;
    for (size_t piece = 0, k = 0; piece < ends.size(); ++piece) {
      Kernel part{.name = cat(kernel_.name, " piece ", piece), .domain = kernel_.domain, .rows = kernel_.rows, .spikes = kernel_.spikes};
      std::unordered_map<uint32_t, ExprId> here;   // of what this piece makes
      const auto value_of = [&](ExprId id) {
        if (const auto known = here.find(id.value); known != here.end()) return known->second;
        const auto place = places_.find(id.value);
        return place == places_.end() ? id : program_.pool.load(between, At::Uniform, place->second);
      };
      for (; k < ends[piece]; ++k) {
        const uint32_t step = steps_[k];
        if (step < size_) {
          here[step] = again(ExprId{step}, value_of);
          if (const auto place = places_.find(step); place != places_.end())
            part.stores.push_back({.into = between, .element = place->second, .value = here[step]});
        } else if (step - size_ < kernel_.stores.size()) {
          Store store = kernel_.stores[step - size_];
          store.value = value_of(store.value);
          part.stores.push_back(store);
        } else {
          Accumulate sum = kernel_.accumulates[step - size_ - kernel_.stores.size()];
          // A product is fused with its sum, and stays one.
          sum.value = effects_[step - size_].needs.size() > 1 ? again(sum.value, value_of) : value_of(sum.value);
          part.accumulates.push_back(sum);
        }
      }
      out.push_back(std::move(part));
    }
    return out;
  }

  template <class ValueOf>
  ExprId again(ExprId id, const ValueOf& value_of) {
    const ExprNode node = program_.pool[id];
    ExprId operands[3];
    for (int k = 0; k < node.count; ++k) operands[k] = value_of(node.operands[k]);
    ExprPool& pool = program_.pool;
    return node.count == 1   ? pool.make(node.op, operands[0])
           : node.count == 2 ? pool.make(node.op, operands[0], operands[1])
                             : pool.make(node.op, operands[0], operands[1], operands[2]);
  }

  Program& program_;
  const Kernel& kernel_;
  const uint32_t size_;                             // of the pool; steps from there on are effects
  std::vector<RowEffect> effects_;                  // stores, then sums
  std::vector<ColumnId> into_;                      // by effect
  std::vector<bool> is_last_;                       // by effect
  std::vector<uint32_t> steps_;
  std::unordered_map<uint32_t, uint32_t> places_;   // by ExprId: element of the column
};

}  // namespace

std::vector<Kernel> cut_row(Program& program, const Kernel& kernel, const std::string& name, size_t most) {
  return RowCutter(program, kernel).run(name, most);
}

}  // namespace hebb
