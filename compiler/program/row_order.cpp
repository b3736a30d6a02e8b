#include "compiler/program/row_order.h"

#include <algorithm>

namespace hebb {
namespace {

class Orderer {
 public:
  Orderer(const ExprPool& pool, const std::vector<bool>& inside, const std::vector<RowEffect>& effects)
      : pool_(pool), inside_(inside), effects_(effects), count_(static_cast<uint32_t>(pool.size() + effects.size())) {
    find_needed();
  }

  /// Each effect in turn, and before it what it lacks. `eager`: whatever has all it needs comes at once, so that sums
  /// over many terms take each term as soon as it is there.
  RowOrder run(bool eager) {
    RowOrder out;
    std::vector<bool> done(count_);
    std::vector<uint32_t> missing(count_), open, ready;
    for (uint32_t id = 0; id < count_; ++id) missing[id] = needed_[id] ? static_cast<uint32_t>(inner_needs(id).size()) : 0;
    const auto finish = [&](uint32_t first) {
      ready.assign(1, first);
      while (!ready.empty()) {
        const uint32_t id = ready.back();
        ready.pop_back();
        if (done[id]) continue;
        done[id] = true;
        out.order.push_back(id);
        if (id >= pool_.size()) continue;
        const auto& users = users_[id];
        for (auto user = users.rbegin(); user != users.rend(); ++user)
          if (--missing[*user] == 0 && eager) ready.push_back(*user);
      }
    };
    for (uint32_t effect = static_cast<uint32_t>(pool_.size()); effect < count_; ++effect) {
      open.push_back(effect);
      while (!open.empty()) {
        const uint32_t id = open.back();
        const std::vector<uint32_t> needs = done[id] ? std::vector<uint32_t>{} : inner_needs(id);
        const auto lacks = std::find_if(needs.begin(), needs.end(), [&](uint32_t need) { return !done[need]; });
        if (lacks != needs.end()) {
          open.push_back(*lacks);
          continue;
        }
        open.pop_back();
        if (!done[id]) finish(id);
      }
    }
    out.live = most_live(out.order);
    return out;
  }

  /// As the pool has them; effects last.
  RowOrder as_they_are() const {
    RowOrder out;
    for (uint32_t id = 0; id < count_; ++id)
      if (needed_[id]) out.order.push_back(id);
    out.live = most_live(out.order);
    return out;
  }

 private:
  std::vector<ExprId> needs_of(uint32_t id) const {
    if (id >= pool_.size()) return effects_[id - pool_.size()].needs;
    const ExprNode node = pool_[ExprId{id}];
    return {node.operands, node.operands + node.count};
  }
  /// What the row itself computes, each once.
  std::vector<uint32_t> inner_needs(uint32_t id) const {
    std::vector<uint32_t> out;
    for (const ExprId need : needs_of(id))
      if (inside_[need.value] && std::find(out.begin(), out.end(), need.value) == out.end()) out.push_back(need.value);
    return out;
  }

  void find_needed() {
    needed_.resize(count_);
    users_.resize(pool_.size());
    for (uint32_t id = count_; id-- > 0;) {
      if (id >= pool_.size()) needed_[id] = true;
      if (!needed_[id]) continue;
      for (const uint32_t need : inner_needs(id)) {
        needed_[need] = true;
        users_[need].push_back(id);
      }
    }
    for (auto& users : users_) std::reverse(users.begin(), users.end());
  }

  /// Leaves count from where they are first needed to where they are needed last.
  size_t most_live(const std::vector<uint32_t>& order) const {
    std::vector<uint32_t> uses(pool_.size());
    for (const uint32_t id : order)
      for (const ExprId need : needs_of(id)) ++uses[need.value];
    std::vector<bool> there(pool_.size());
    size_t live = 0, most = 0;
    for (const uint32_t id : order) {
      const std::vector<ExprId> needs = needs_of(id);
      const auto counts = [&](ExprId need) { return pool_[need].op != Op::Const; };
      for (const ExprId need : needs) {
        if (!counts(need) || there[need.value]) continue;
        there[need.value] = true;
        ++live;
      }
      most = std::max(most, live);
      for (const ExprId need : needs)
        if (--uses[need.value] == 0 && counts(need)) --live;
      if (id >= pool_.size()) continue;
      there[id] = true;
      ++live;
    }
    return most;
  }

  const ExprPool& pool_;
  const std::vector<bool>& inside_;
  const std::vector<RowEffect>& effects_;
  const uint32_t count_;
  std::vector<bool> needed_;
  std::vector<std::vector<uint32_t>> users_;
};

}  // namespace

std::vector<ExprId> taken_by(const ExprPool& pool, const Accumulate& sum) {
  const ExprNode node = pool[sum.value];
  if (sum.combine != Combine::Sum || node.op != Op::Mul) return {sum.value};
  return {node.operands[0], node.operands[1]};
}

RowOrder order_of_row(const ExprPool& pool, const std::vector<bool>& inside, const std::vector<RowEffect>& effects) {
  Orderer orderer(pool, inside, effects);
  RowOrder best = orderer.as_they_are();
  for (const bool eager : {false, true})
    if (RowOrder other = orderer.run(eager); other.live < best.live) best = std::move(other);
  return best;
}

}  // namespace hebb
