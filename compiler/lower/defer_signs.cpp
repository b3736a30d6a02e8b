#include "compiler/lower/defer_signs.h"

#include <algorithm>
#include <cmath>

#include "compiler/expr/transform.h"
#include "compiler/lower/reader.h"
#include "compiler/lower/sign.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

constexpr int kDeepest = 3;  // states that are driven by states

class SignAnalysis {
 public:
  SignAnalysis(Draft& draft, const Instance& projection, const std::vector<Monomial>& carriers, Deferral found)
      : draft_(draft), model_(*draft.model), projection_(projection), rule_(*projection.rule), monomials_(carriers), out_(std::move(found)) {
    for (const auto& [id, column] : projection.columns) variable_of_[column.value] = id;
  }

  Deferral run() {
    if (out_.repeated.valid()) count_spikes(), out_.signs = Deferral::Signs::Replayed;
    else if (bounded() && !out_.products.empty())
      if (std::string why = not_of_one_sign(); !why.empty() && !replayed()) out_.obstacle = std::move(why);
    return std::move(out_);
  }

 private:
  ExprPool& pool() { return draft_.program.pool; }
  const std::string& name(VarId id) const { return model_[id].name; }

  bool bounded() const {
    const Variable& weight = model_[out_.weight];
    return weight.bounds.bounded() || weight.low.valid() || weight.high.valid();
  }

  /// Bounds are met once and the weight is right. Empty: it is; else why not.
  std::string not_of_one_sign() {
    if (out_.products.size() > 1) {
      for (size_t k = 0; k < out_.products.size(); ++k) {
        if (out_.products[k].kept >= 0)
          return cat("what ", name(out_.kept[static_cast<size_t>(out_.products[k].kept)].id), " and others add may differ in sign");
        for (const auto& [generator, power] : monomials_[k]) {
          const VarId id = variable_of_.at(pool()[generator].leaf.index);
          if (power % 2 == 0) continue;
          if (!never_negative(id, signs_of_parameters(draft_.program))) return cat(name(id), " may be negative, and so may differ in sign from others");
          if (std::find(out_.traces.begin(), out_.traces.end(), generator) == out_.traces.end()) out_.traces.push_back(generator);
        }
      }
    }
    const std::optional<Sign> fixed = common(signs_of_parameters(draft_.program));
    if (fixed && out_.traces.empty()) return {};
    const LeafSign usual = [this](ExprId id, const ExprNode& leaf) { return usual_sign(id, leaf, 0); };
    const bool steady = fixed || common(usual);
    // A synapse's sum of terms of either sign turns when its traces say so: at almost every event.
    if (!steady && out_.products.size() > 1) return "what it adds has terms of either sign";
    out_.signs = steady ? Deferral::Signs::Steady : Deferral::Signs::Changing;
    out_.of_parameters = steady && std::all_of(out_.products.begin(), out_.products.end(), [this](const Deferral::Product& product) {
      return !product.at_flow.valid() && (!product.at_instants.valid() || of_parameters(product.at_instants));
    });
    return {};
  }

  /// What waits can be done again, post spike by post spike.
  bool can_be_replayed() const {
    const auto can = [](const Deferral::Product& product) { return product.kept < 0 && !product.at_flow.valid(); };
    return out_.with_post_spikes && std::all_of(out_.products.begin(), out_.products.end(), can);
  }
  bool replayed() {
    if (!can_be_replayed()) return false;
    out_.traces.clear();
    for (Deferral::Product& product : out_.products) {
      product.summed = !of_parameters(product.at_instants);
      product.either_sign = product.summed && !sign_of(pool(), product.at_instants, signs_of_parameters(draft_.program));
    }
    const auto is_one = [this](const Deferral::Product& product) { return pool().is_constant(product.carrier, 1); };
    out_.level = static_cast<size_t>(std::find_if(out_.products.begin(), out_.products.end(), is_one) - out_.products.begin());
    out_.counter = out_.level;
    if (out_.level == out_.products.size() || out_.products[out_.level].summed) count_spikes();
    out_.signs = Deferral::Signs::Replayed;
    return true;
  }

  void count_spikes() {
    out_.counter = out_.products.size();
    Deferral::Product counter{.carrier = pool().constant(1), .scale = out_.scale_of(pool().constant(1)), .at_instants = pool().constant(0)};
    counter.uniform = false, counter.one_amount = true;
    out_.products.push_back(counter);
  }

  bool of_parameters(ExprId amount) {
    const std::vector<ExprId> nodes = nodes_below(pool(), {&amount, 1});
    return std::all_of(nodes.begin(), nodes.end(), [&](ExprId id) {
      const ExprNode node = pool()[id];
      if (node.op == Op::Draw) return false;
      return node.op != Op::Load || (node.leaf.at == At::Uniform && draft_.program[ColumnId{node.leaf.index}].role == Role::Param);
    });
  }

  /// The sign that all amounts have.
  std::optional<Sign> common(const LeafSign& leaf) {
    std::optional<Sign> all;
    for (const Deferral::Product& product : out_.products)
      for (const ExprId amount : {product.at_instants, product.at_flow}) {
        if (!amount.valid()) continue;
        const std::optional<Sign> sign = sign_of(pool(), amount, leaf);
        if (!sign || (all && *all != *sign)) return {};
        all = sign;
      }
    return all;
  }

  /// Parameters as they are at the start, traces as they mostly are. A guess at what is worth an index.
  std::optional<LeafKnown> usual_sign(ExprId id, const ExprNode& leaf, int depth) {
    if (std::optional<LeafKnown> known = signs_of_parameters(draft_.program)(id, leaf); known && known->sign.of.empty()) return known;
    if (leaf.op != Op::Load) return {};
    const auto found = variable_of_.find(leaf.leaf.index);
    if (found == variable_of_.end()) return {};
    const VarId variable = found->second;
    if (model_[variable].kind == VarKind::Param) {
      const std::optional<Sign> sign = start_sign(variable);
      return sign ? std::optional(LeafKnown{.sign = *sign, .fixed = true}) : std::nullopt;
    }
    if (model_[variable].kind != VarKind::State || depth >= kDeepest) return {};
    const LeafSign below = [this, depth](ExprId i, const ExprNode& l) { return usual_sign(i, l, depth + 1); };
    return never_negative(variable, below) ? std::optional(LeafKnown{}) : std::nullopt;
  }

  std::optional<Sign> start_sign(VarId id) const {
    std::vector<ExprId> value = model_[id].init;
    if (projection_.projection)
      if (const Assignment* setting = find_setting(projection_.projection->settings, id)) value = setting->value;
    const auto given = draft_.given.find(projection_.prefix + name(id));
    if (given == draft_.given.end() && value.empty()) return Sign{};
    if (given == draft_.given.end() && (value.size() != 1 || !model_.pool.is_constant(value[0]))) return {};
    const double number = given != draft_.given.end() ? given->second : model_.pool[value[0]].value;
    if (std::isnan(number)) return {};
    return Sign{.negative = number < 0, .of = {}};
  }

  /// Starts at 0 or above, and nothing takes it below.
  bool never_negative(VarId id, const LeafSign& leaf) {
    const Variable& variable = model_[id];
    if (variable.bounds.low >= 0) return true;
    if (projection_.projection)
      for (const InitDef& init : projection_.projection->inits)
        if (init.variable == id) return false;
    const std::optional<Sign> start = start_sign(id);
    if (!start || start->negative || !variable.shape.scalar() || variable.locus == Locus::Synapse) return false;
    const Frame frame = frame_of(variable.locus);
    Reader at_instant(draft_, projection_, frame), moving(draft_, projection_, frame, Reader::Phase::Moving);
    const ExprId now = at_instant.variable(id, 0);
    const auto stays = [&](ExprId next) {
      const std::optional<Affine> affine = affine_in(pool(), next, now);
      return affine && sign_of(pool(), affine->factor, leaf) == Sign{} && sign_of(pool(), affine->rest, leaf) == Sign{};
    };
    for (const Jump& jump : rule_.jumps) {
      if (jump.variable != id) continue;
      const ExprId value = at_instant(jump.value);
      if (!stays(jump.assign ? value : pool().add(now, value))) return false;
    }
    for (const Solution& solution : rule_.solutions)
      if (solution.variable == id && !stays(moving(solution.next))) return false;
    return true;
  }

  Draft& draft_;
  const Model& model_;
  const Instance& projection_;
  const Rule& rule_;
  const std::vector<Monomial>& monomials_;
  Deferral out_;
  std::map<uint32_t, VarId> variable_of_;
};

}  // namespace

Deferral with_signs(Draft& draft, const Instance& projection, const std::vector<Monomial>& carriers, Deferral found) {
  return SignAnalysis(draft, projection, carriers, std::move(found)).run();
}

}  // namespace hebb
