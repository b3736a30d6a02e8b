#include "compiler/program/row_order.h"

#include <algorithm>

namespace hebb {
namespace {

constexpr size_t kFew = 8;

class Orderer {
 public:
  Orderer(const ExprPool& pool, const std::vector<bool>& inside, const std::vector<RowEffect>& effects, const std::vector<ExprId>& kept,
          const std::vector<ExprId>& lasting)
      : pool_(pool), inside_(inside), effects_(effects), kept_(kept), lasting_(lasting), count_(static_cast<uint32_t>(pool.size() + effects.size())) {
    find_needed();
    depth_.resize(pool_.size());
    for (uint32_t id = 0; id < pool_.size(); ++id)
      if (needed_[id])
        for (const uint32_t need : inner_needs(id)) depth_[id] = std::max(depth_[id], depth_[need] + 1);
  }

  /// Each effect in turn, and before it what it lacks. What has all it needs comes at once, so that sums
  /// over many terms take each term as soon as it is there; but not what needs a value that more than `eager` others need. `deepest`: of what it lacks first what takes most operations one
  /// after the other, so that a long sum is there before its last term.
  RowOrder run(size_t eager, bool deepest) {
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
        const auto& users = users_[id];
        for (auto user = users.rbegin(); user != users.rend(); ++user)
          if (--missing[*user] == 0 && users.size() <= eager) ready.push_back(*user);
      }
    };
    for (uint32_t effect = static_cast<uint32_t>(pool_.size()); effect < count_; ++effect) {
      open.push_back(effect);
      while (!open.empty()) {
        const uint32_t id = open.back();
        const std::vector<uint32_t> needs = done[id] ? std::vector<uint32_t>{} : inner_needs(id);
        auto lacks = needs.end();
        for (auto need = needs.begin(); need != needs.end(); ++need)
          if (!done[*need] && (lacks == needs.end() || (deepest && depth(*need) > depth(*lacks)))) lacks = need;
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
    std::vector<ExprId> out;
    if (id >= pool_.size()) {
      out = effects_[id - pool_.size()].needs;
    } else {
      const ExprNode node = pool_[ExprId{id}];
      out.assign(node.operands, node.operands + node.count);
    }
    return replaced(std::move(out), kept_);
  }
  static std::vector<ExprId> replaced(std::vector<ExprId> needs, const std::vector<ExprId>& by) {
    if (by.empty()) return needs;
    for (ExprId& need : needs) need = by[need.value];
    std::erase_if(needs, [](ExprId need) { return !need.valid(); });
    return needs;
  }
  uint32_t depth(uint32_t id) const { return id < pool_.size() ? depth_[id] : 0; }
  /// What the row itself computes, and the effects that come first, each once.
  std::vector<uint32_t> inner_needs(uint32_t id) const {
    std::vector<uint32_t> out;
    for (const ExprId need : needs_of(id))
      if (inside_[need.value] && std::find(out.begin(), out.end(), need.value) == out.end()) out.push_back(need.value);
    if (id >= pool_.size())
      for (const uint32_t effect : effects_[id - pool_.size()].after) out.push_back(static_cast<uint32_t>(pool_.size()) + effect);
    return out;
  }

  void find_needed() {
    needed_.resize(count_);
    users_.resize(count_);
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
      for (const ExprId need : replaced(needs_of(id), lasting_)) ++uses[need.value];
    std::vector<bool> there(pool_.size());
    size_t live = 0, most = 0;
    for (const uint32_t id : order) {
      const std::vector<ExprId> needs = replaced(needs_of(id), lasting_);
      const auto counts = [&](ExprId need) { return pool_[need].op != Op::Const; };
      for (const ExprId need : needs) {
        if (!counts(need) || there[need.value]) continue;
        there[need.value] = true;
        ++live;
      }
      most = std::max(most, live);
      for (const ExprId need : needs)
        if (--uses[need.value] == 0 && counts(need)) --live;
      if (id >= pool_.size() || uses[id] == 0) continue;
      there[id] = true;
      ++live;
    }
    return most;
  }

  const ExprPool& pool_;
  const std::vector<bool>& inside_;
  const std::vector<RowEffect>& effects_;
  const std::vector<ExprId> kept_, lasting_;
  const uint32_t count_;
  std::vector<bool> needed_;
  std::vector<uint32_t> depth_;
  std::vector<std::vector<uint32_t>> users_;
};

}  // namespace

std::vector<ExprId> taken_by(const ExprPool& pool, const Accumulate& sum) {
  const ExprNode node = pool[sum.value];
  if (sum.combine != Combine::Sum || node.op != Op::Mul) return {sum.value};
  return {node.operands[0], node.operands[1]};
}

RowOrder order_of_row(const ExprPool& pool, const std::vector<bool>& inside, const std::vector<RowEffect>& effects,
                      const std::vector<ExprId>& kept, const std::vector<ExprId>& lasting) {
  Orderer orderer(pool, inside, effects, kept, lasting);
  const bool any_order = std::all_of(effects.begin(), effects.end(), [](const RowEffect& effect) { return effect.after.empty(); });
  RowOrder best = any_order ? orderer.as_they_are() : orderer.run(0, false);
  for (const bool deepest : {false, true})
    for (const size_t eager : {size_t{0}, kFew, SIZE_MAX})
      if (RowOrder other = orderer.run(eager, deepest); other.live < best.live) best = std::move(other);
  return best;
}

size_t live_unordered(const ExprPool& pool, const std::vector<bool>& inside, const std::vector<RowEffect>& effects) {
  return Orderer(pool, inside, effects, {}, {}).as_they_are().live;
}

}  // namespace hebb
