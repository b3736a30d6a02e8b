#include "compiler/program/share_sums.h"

#include <algorithm>
#include <set>
#include <utility>

#include "compiler/program/remake.h"
#include "compiler/program/row_order.h"

namespace hebb {
namespace {

class Sharer {
 public:
  Sharer(const ExprPool& pool, const Kernel& kernel) : pool_(pool), kernel_(kernel), seen_(pool.size(), UINT32_MAX), needed_by_(pool.size()) {
    for (const Accumulate& sum : kernel.accumulates) {
      visit(taken_by(pool, sum), [&](uint32_t id) { ++needed_by_[id]; }, [](uint32_t) { return true; });
    }
    std::vector<bool> live(pool.size()), leaves(pool.size());
    for (uint32_t id = 0; id < pool.size(); ++id) {
      live[id] = needed_by_[id] > 0;
      leaves[id] = pool[ExprId{id}].op == Op::Load;
    }
    remakes_ = remakes(pool, live, leaves, kRemakeOperations, /*anchored=*/true);
    for (const Accumulate& sum : kernel.accumulates) taken_.push_back(find_taken(taken_by(pool, sum)));
  }

  std::vector<std::vector<size_t>> run(size_t most) const {
    std::vector<std::vector<size_t>> parts;
    std::vector<bool> done(taken_.size());
    for (size_t first = 0; first < taken_.size(); ++first) {
      if (done[first]) continue;
      std::vector<size_t> part = {first};
      std::set<uint32_t> kept = taken_[first];
      done[first] = true;
      for (;;) {
        // The one that wants least beside what is kept already.
        size_t next = taken_.size(), least = SIZE_MAX;
        for (size_t k = 0; k < taken_.size(); ++k) {
          if (done[k]) continue;
          const auto more = static_cast<size_t>(
              std::count_if(taken_[k].begin(), taken_[k].end(), [&](uint32_t id) { return !kept.contains(id); }));
          if (more < least) next = k, least = more;
        }
        if (next == taken_.size() || part.size() + 1 + kept.size() + least > most) break;
        part.push_back(next);
        kept.insert(taken_[next].begin(), taken_[next].end());
        done[next] = true;
      }
      std::sort(part.begin(), part.end());
      parts.push_back(std::move(part));
    }
    return parts;
  }

 private:
  /// Everything below `roots` once, and below nothing that `enter` refuses.
  template <class Each, class Enter>
  void visit(const std::vector<ExprId>& roots, Each each, Enter enter) {
    ++round_;
    for (const ExprId root : roots) open_.push_back(root.value);
    while (!open_.empty()) {
      const uint32_t id = open_.back();
      open_.pop_back();
      if (std::exchange(seen_[id], round_) == round_) continue;
      each(id);
      const ExprNode node = pool_[ExprId{id}];
      if (!enter(id)) continue;
      for (int k = 0; k < node.count; ++k) open_.push_back(node.operands[k].value);
    }
  }
  bool by_all(uint32_t id) const { return needed_by_[id] == kernel_.accumulates.size(); }

  std::set<uint32_t> find_taken(const std::vector<ExprId>& roots) {
    std::set<uint32_t> taken;
    visit(roots, [&](uint32_t id) { if (by_all(id) && remakes_.kept[id].valid()) taken.insert(remakes_.kept[id].value); },
          [&](uint32_t id) { return !by_all(id); });
    return taken;
  }

  const ExprPool& pool_;
  const Kernel& kernel_;
  std::vector<uint32_t> open_, seen_;
  uint32_t round_ = 0;
  Remakes remakes_;
  std::vector<size_t> needed_by_;            // by ExprId: how many of the sums
  std::vector<std::set<uint32_t>> taken_;    // by sum: where what is its own begins
};

}  // namespace

std::vector<std::vector<size_t>> share_sums(const ExprPool& pool, const Kernel& kernel, size_t most) {
  return Sharer(pool, kernel).run(most);
}

}  // namespace hebb
