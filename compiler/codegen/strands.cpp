#include "compiler/codegen/strands.h"

#include <array>
#include <map>
#include <optional>
#include <set>

namespace hebb {
namespace {

/// Fewer strands, and shorter ones, are written out; longer ones would not fit the registers either.
constexpr size_t kFewest = 8, kMostSteps = 64;
constexpr int kShortest = 8;   // multiply-adds

class Finder {
 public:
  Finder(const ExprPool& pool, const std::vector<bool>& live, const std::function<bool(uint32_t)>& varies, const std::vector<ExprId>& roots)
      : pool_(pool), live_(live), varies_(varies), users_(live.size()), is_root_(live.size()), is_sum_(live.size()) {
    for (const ExprId root : roots) is_root_[root.value] = true;
    for (uint32_t id = 0; id < live_.size(); ++id)
      if (is_wanted(id))
        for (const ExprId operand : operands(id)) users_[operand.value].push_back(id);
  }

  std::vector<Strands> find() {
    std::vector<Strands> out;
    for (const std::vector<uint32_t>& alike : classes())
      if (alike.size() >= kFewest)
        if (std::optional<Strands> found = strands_of(alike)) out.push_back(std::move(*found));
    return out;
  }

 private:
  bool is_wanted(uint32_t id) const { return live_[id] && varies_(id); }

  std::vector<ExprId> operands(uint32_t id) const {
    const ExprNode node = pool_[ExprId{id}];
    return {node.operands, node.operands + node.count};
  }

  /// Nodes that differ in nothing but numbers, in the order of their first.
  std::vector<std::vector<uint32_t>> classes() const {
    constexpr uint32_t kNumber = 0;
    std::vector<uint32_t> kind(live_.size(), kNumber);
    std::map<std::array<uint32_t, 4>, uint32_t> known;
    std::vector<std::vector<uint32_t>> out;
    for (uint32_t id = 0; id < live_.size(); ++id) {
      if (!is_wanted(id)) continue;
      const ExprNode node = pool_[ExprId{id}];
      uint32_t own = static_cast<uint32_t>(out.size()) + 1;
      if (!info(node.op).is_leaf) {
        std::array<uint32_t, 4> key{static_cast<uint32_t>(node.op), kNumber, kNumber, kNumber};
        for (int k = 0; k < node.count; ++k) key[static_cast<size_t>(k) + 1] = kind[node.operands[k].value];
        own = known.try_emplace(key, own).first->second;
      }
      kind[id] = own;
      if (own > out.size()) out.emplace_back();
      out[own - 1].push_back(id);
    }
    return out;
  }

  /// The factor with which this node adds a result of `alike` to a sum.
  std::optional<ExprId> factor_in(uint32_t id, const std::set<uint32_t>& alike) const {
    const ExprNode node = pool_[ExprId{id}];
    if (node.op != Op::Mul && node.op != Op::Fma) return {};
    if (node.op == Op::Fma && alike.contains(node.operands[2].value)) return {};
    for (const int k : {0, 1})
      if (alike.contains(node.operands[k].value) && !varies_(node.operands[1 - k].value)) return node.operands[1 - k];
    return {};
  }
  uint32_t term_of(uint32_t id, const std::set<uint32_t>& alike) const {
    const ExprNode node = pool_[ExprId{id}];
    return node.operands[alike.contains(node.operands[0].value) ? 0 : 1].value;
  }

  bool depends_on(uint32_t id, const std::set<uint32_t>& alike) const {
    for (const ExprId below : nodes_below(pool_, std::array{ExprId{id}}))
      if (alike.contains(below.value)) return true;
    return false;
  }

  std::optional<Strands> strands_of(const std::vector<uint32_t>& alike) {
    const std::set<uint32_t> members(alike.begin(), alike.end());
    std::set<uint32_t> sums;
    for (const uint32_t member : alike) {
      if (is_root_[member]) return {};
      for (const uint32_t user : users_[member]) {
        if (!factor_in(user, members)) return {};
        sums.insert(user);
      }
    }
    std::map<uint32_t, uint32_t> next;
    std::vector<uint32_t> starts;
    for (const uint32_t sum : sums) {
      const ExprNode node = pool_[ExprId{sum}];
      if (node.op == Op::Mul || !sums.contains(node.operands[2].value)) {
        if (node.op == Op::Fma && depends_on(node.operands[2].value, members)) return {};
        starts.push_back(sum);
      } else if (!next.try_emplace(node.operands[2].value, sum).second) {
        return {};
      }
    }
    std::vector<std::vector<uint32_t>> chains;
    for (const uint32_t start : starts) {
      std::vector<uint32_t>& chain = chains.emplace_back(std::vector{start});
      for (auto found = next.find(start); found != next.end(); found = next.find(chain.back())) {
        if (is_root_[chain.back()] || users_[chain.back()].size() != 1) return {};
        chain.push_back(found->second);
      }
    }
    if (chains.empty()) return {};
    std::vector<ExprId> results;
    for (const uint32_t sum : chains[0]) results.push_back(ExprId{term_of(sum, members)});
    if (results.size() != alike.size() || std::set(results.begin(), results.end()).size() != alike.size()) return {};
    return with(results, chains, members);
  }

  std::optional<Strands> with(const std::vector<ExprId>& results, const std::vector<std::vector<uint32_t>>& chains, const std::set<uint32_t>& members) {
    Strands out;
    out.numbers.resize(results.size());
    steps_.clear();
    same_numbers_.clear();
    if (!place(out, results) || work_of(out) < kShortest) return {};
    for (const std::vector<uint32_t>& chain : chains) {
      if (chain.size() != results.size()) return {};
      std::vector<ExprId> factors;
      for (size_t k = 0; k < chain.size(); ++k) {
        if (term_of(chain[k], members) != results[k].value) return {};
        factors.push_back(*factor_in(chain[k], members));
      }
      const ExprNode first = pool_[ExprId{chain[0]}];
      out.sums.push_back({.result = chain.back(), .start = first.op == Op::Fma ? first.operands[2] : ExprId{}, .factor = number(out, factors)});
    }
    for (const std::vector<uint32_t>& chain : chains)
      for (const uint32_t sum : chain) is_sum_[sum] = true;
    return out;
  }

  static int work_of(const Strands& strands) {
    int work = 0;
    for (const Strands::Step& step : strands.steps) work += cost(step.op);
    return work;
  }

  uint32_t number(Strands& out, const std::vector<ExprId>& of_strands) {
    const auto [found, is_new] = same_numbers_.try_emplace(of_strands, static_cast<uint32_t>(out.numbers[0].size()));
    for (size_t k = 0; is_new && k < of_strands.size(); ++k) out.numbers[k].push_back(of_strands[k]);
    return found->second;
  }

  /// What stands in one place of every strand.
  std::optional<Strands::Operand> place(Strands& out, const std::vector<ExprId>& of_strands) {
    using Kind = Strands::Operand::Kind;
    const ExprId first = of_strands[0];
    if (std::all_of(of_strands.begin(), of_strands.end(), [&](ExprId id) { return id == first; })) {
      const bool known = std::find(out.shared.begin(), out.shared.end(), first.value) != out.shared.end();
      if (varies_(first.value) && !known) out.shared.push_back(first.value);
      return Strands::Operand{Kind::Same, first.value};
    }
    if (!varies_(first.value)) return Strands::Operand{Kind::Number, number(out, of_strands)};
    if (const auto known = steps_.find(of_strands); known != steps_.end()) return Strands::Operand{Kind::Step, known->second};
    const ExprNode node = pool_[first];
    Strands::Step step{.op = node.op};
    for (int k = 0; k < node.count; ++k) {
      std::vector<ExprId> operands;
      for (const ExprId id : of_strands) {
        // Another loop ends there.
        if (is_sum_[id.value]) return {};
        operands.push_back(pool_[id].operands[k]);
      }
      const auto operand = place(out, operands);
      if (!operand) return {};
      step.operands.push_back(*operand);
    }
    if (out.steps.size() == kMostSteps) return {};
    out.steps.push_back(std::move(step));
    const auto at = static_cast<uint32_t>(out.steps.size() - 1);
    steps_[of_strands] = at;
    return Strands::Operand{Kind::Step, at};
  }

  const ExprPool& pool_;
  const std::vector<bool>& live_;
  const std::function<bool(uint32_t)>& varies_;
  std::vector<std::vector<uint32_t>> users_;
  std::vector<bool> is_root_, is_sum_;                         // by ExprId
  std::map<std::vector<ExprId>, uint32_t> steps_, same_numbers_;   // of the strands being looked at
};

}  // namespace

std::vector<Strands> find_strands(const ExprPool& pool, const std::vector<bool>& live, const std::function<bool(uint32_t)>& varies,
                                  const std::vector<ExprId>& roots) {
  return Finder(pool, live, varies, roots).find();
}

}  // namespace hebb
