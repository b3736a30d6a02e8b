// Which changes of a synapse can wait.

#include "compiler/lower/defer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "compiler/expr/polynomial.h"
#include "compiler/expr/transform.h"
#include "compiler/lower/reader.h"
#include "compiler/lower/defer_signs.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

constexpr size_t kMostTerms = 16;

/// Multiply-adds of what post spikes add, up to which it is done again as often as the synapse of a few that has most to
/// catch up needs, instead of once by column: `bench/run_waiting` has one pow still 2 times as fast. A rule that is a network
/// has hundreds.
constexpr int kMostAgain = 60;

class Analysis {
 public:
  Analysis(Draft& draft, const Instance& projection)
      : draft_(draft), model_(*draft.model), projection_(projection), rule_(*projection.rule),
        read_(draft, projection, Frame::Synapse) {
    for (const auto& [id, column] : projection.columns) variable_of_[column.value] = id;
  }

  Deferral run() {
    if (!(shape() && drives() && kept_states() && events() && waiting() && flow() && repeated() && carriers() && worth_it())) return std::move(out_);
    return with_signs(draft_, projection_, monomials_, std::move(out_));
  }

 private:
  ExprPool& pool() { return draft_.program.pool; }
  const std::string& name(VarId id) const { return model_[id].name; }
  std::string name(ColumnId id) const {
    const auto own = variable_of_.find(id.value);
    return own != variable_of_.end() ? name(own->second) : draft_.program[id].name;
  }

  template <class... Pieces>
  bool no(const Pieces&... pieces) {
    out_.obstacle = cat(pieces...);
    return false;
  }

  bool of_synapse(VarId id) const {
    const Variable& variable = model_[id];
    return variable.kind == VarKind::Weight || (variable.kind == VarKind::State && variable.locus == Locus::Synapse);
  }

  // --- what the rule is made of ------------------------------------------------------------------

  bool shape() {
    for (const VarId id : rule_.variables) {
      const Variable& variable = model_[id];
      if (variable.kind == VarKind::Reduce) return no(variable.name, " sums over synapses");
      if (variable.kind == VarKind::Draw) return no(variable.name, " is drawn");
      if (of_synapse(id) && !variable.shape.scalar()) return no(variable.name, " is an array");
      if (variable.kind == VarKind::Weight) out_.weight = id;
    }
    if (!out_.weight.valid()) return no("there is no weight");
    if (projection_.bucketed >= 0) return no("delays differ between its synapses");
    out_.weight_column = projection_.columns.at(out_.weight);
    if (projection_.projection && !projection_.let_columns.empty()) return no("a value of every synapse is recorded");
    return true;
  }

  bool drives() {
    if (!projection_.projection) return true;
    for (const DriveDef& drive : projection_.projection->drives) {
      if (model_[drive.port].kind != VarKind::Receive) return no("its input is summed in every step");
      const ExprId amount = read_(drive.value);
      for (const ExprId id : nodes_below(pool(), {&amount, 1})) {
        const ExprNode node = pool()[id];
        if (node.op == Op::Load && node.leaf.at == At::Self && node.leaf.index != out_.weight_column.value)
          return no("what is driven depends on ", name(ColumnId{node.leaf.index}));
      }
      if (!take(out_.pre_spikes, driving(draft_, projection_), "pre")) return false;
    }
    return true;
  }

  bool take(ColumnId& one, ColumnId event, const char* side) {
    if (one.valid() && one != event) return no("events of two kinds at the ", side, " neuron");
    one = event;
    return true;
  }

  /// f of x(t + dt) = f x(t), one number for all rows; invalid: there is none.
  ExprId decay_of(VarId id, Frame frame, At at) {
    for (const Solution& solution : rule_.solutions) {
      if (solution.variable != id) continue;
      Reader flow(draft_, projection_, frame, Reader::Phase::Moving);
      const ExprId next = flow(solution.next), now = pool().load(projection_.columns.at(id), at);
      const std::optional<Affine> affine = affine_in(pool(), next, now);
      if (!affine || !pool().is_constant(affine->rest, 0)) return {};
      for (const ExprId node_id : nodes_below(pool(), {&affine->factor, 1})) {
        const ExprNode node = pool()[node_id];
        if (node.op == Op::Draw || (node.op == Op::Load && node.leaf.at != At::Uniform)) return {};
      }
      return affine->factor;
    }
    return pool().constant(1);
  }

  bool kept_states() {
    for (const VarId id : rule_.variables) {
      const Variable& variable = model_[id];
      if (!of_synapse(id) || variable.kind == VarKind::Weight) continue;
      const ExprId decay = decay_of(id, Frame::Synapse, At::Self);
      if (!decay.valid()) return no(name(id), " does more than decay between spikes");
      if (variable.bounds.bounded() || variable.low.valid() || variable.high.valid()) return no(name(id), " has bounds");
      out_.kept.push_back({.id = id, .column = projection_.columns.at(id), .scale = out_.scale_of(decay)});
    }
    return true;
  }

  // --- what happens at instants ------------------------------------------------------------------

  /// `value` as carriers times amounts; nothing: `why` says why not.
  std::optional<Polynomial> in_carriers(ExprId value, std::string& why) {
    std::set<uint32_t> inside, generators;
    for (const ExprId id : nodes_below(pool(), {&value, 1})) {
      const ExprNode node = pool()[id];
      if (node.op == Op::Draw) return why = "it is drawn", std::nullopt;
      if (node.op == Op::Load && (node.leaf.at == At::Pre || node.leaf.at == At::Self)) {
        const ColumnId column{node.leaf.index};
        if (column == out_.weight_column) return why = cat("it depends on ", name(column)), std::nullopt;
        inside.insert(id.value), generators.insert(id.value);
      }
      for (int k = 0; k < node.count; ++k)
        if (inside.contains(node.operands[k].value)) inside.insert(id.value);
    }
    const Classify classify = [&](ExprId id, const ExprNode& node) {
      if (generators.contains(id.value)) return Part::Generator;
      if (inside.contains(id.value)) return Part::Inside;
      bool below = false;  // made while expanding
      for (int k = 0; k < node.count; ++k) below = below || inside.contains(node.operands[k].value);
      return below ? Part::Inside : Part::Coefficient;
    };
    Expansion expansion = expand(pool(), value, classify, kMostTerms);
    if (!expansion.polynomial) why = "it is no sum of products of traces of the pre neuron and numbers of the post neuron";
    return std::move(expansion.polynomial);
  }

  ColumnId indicator_of(EventId id) const {
    const Event& event = rule_.events[id.value];
    if (event.kind == EventKind::Every) return projection_.clocks.at(id.value);
    if (event.kind == EventKind::Port) return projection_.events.at(event.name);
    return {};
  }

  /// Which events look at synapses, because what they do to them cannot wait.
  bool events() {
    for (const Jump& jump : rule_.jumps) {
      if (!of_synapse(jump.variable)) continue;
      std::string why;
      if (jump.variable != out_.weight) why = cat("it changes ", name(jump.variable));
      else if (jump.assign) why = cat("it sets ", name(out_.weight), " anew");
      else in_carriers(without_pre(read_(jump.value)), why);
      for (const EventId id : jump.events) {
        const Event& event = rule_.events[id.value];
        switch (event.kind) {
          case EventKind::PreEvent:
            if (!take(out_.pre_spikes, arriving(draft_, projection_, event.name), "pre")) return false;
            break;
          case EventKind::PostEvent:
            if (!take(out_.post_spikes, returning(draft_, projection_, event.name), "post")) return false;
            if (!why.empty()) out_.post_obstacle = why;
            increments_only_ = increments_only_ && jump.variable == out_.weight && !jump.assign;
            break;
          case EventKind::Port: case EventKind::Every:
            if (!why.empty() && !draft_.passing.contains(indicator_of(id).value))
              return no(event.name, " may come in every step, and ", why);
            if (!why.empty()) visiting_.insert(indicator_of(id)), out_.others_obstacle = why;
            break;
          case EventKind::Step:
            if (!why.empty()) return no("it changes in every step, and ", why);
            sweeps_ = true;
            break;
          case EventKind::OwnEvent: case EventKind::Arrival: break;
        }
        const bool always = event.kind == EventKind::Port && !draft_.passing.contains(indicator_of(id).value);
        sweeps_ = sweeps_ || always;
      }
    }
    return true;
  }

  ExprId without_pre(ExprId value) {
    for (const Event& event : rule_.events)
      if (event.kind == EventKind::PreEvent) value = assuming(pool(), value, arriving(draft_, projection_, event.name), At::Pre, 0);
    return value;
  }

  /// What the weight gets at instants that do not look at it.
  bool waiting() {
    ExprId added = read_.increments(out_.weight, 0);
    if (!added.valid()) return true;
    added = without_pre(added);
    if (!out_.post_obstacle.empty()) added = assuming(pool(), added, out_.post_spikes, At::Post, 0);
    for (const ColumnId indicator : visiting_) added = assuming(pool(), added, indicator, At::Uniform, 0);
    if (pool().is_constant(added, 0)) return true;
    if (out_.post_spikes.valid() && pool().is_constant(assuming(pool(), added, out_.post_spikes, At::Post, 0), 0)) {
      out_.with_post_spikes = true;
      added = assuming(pool(), added, out_.post_spikes, At::Post, 1);
    }
    return add_products(added, &Deferral::Product::at_instants);
  }

  bool flow() {
    for (const Solution& solution : rule_.solutions) {
      if (!of_synapse(solution.variable)) continue;
      sweeps_ = true;
      if (solution.variable != out_.weight) continue;
      Reader flow(draft_, projection_, Frame::Synapse, Reader::Phase::Moving);
      const std::optional<Affine> affine = affine_in(pool(), flow(solution.next), pool().load(out_.weight_column, At::Self));
      if (!affine || !pool().is_constant(affine->factor, 1)) return no("what ", name(out_.weight), " does between spikes depends on itself");
      if (!add_products(affine->rest, &Deferral::Product::at_flow)) return false;
    }
    return true;
  }

  bool add_products(ExprId value, ExprId Deferral::Product::*amount) {
    std::string why;
    const std::optional<Polynomial> polynomial = in_carriers(value, why);
    if (!polynomial) return no("of what changes ", name(out_.weight), " meanwhile, ", why);
    for (const PolynomialTerm& term : polynomial->terms()) {
      const auto found = std::find(monomials_.begin(), monomials_.end(), term.powers);
      const auto k = static_cast<size_t>(found - monomials_.begin());
      if (found == monomials_.end()) {
        monomials_.push_back(term.powers);
        out_.products.emplace_back();
      }
      out_.products[k].*amount = term.coefficient;
    }
    return true;
  }

  // --- post spikes done again one after another ----------------------------------------------------

  /// Where nothing but what post spikes add to the weight cannot wait, it can be done again.
  bool repeated() {
    if (out_.post_obstacle.empty() || !increments_only_ || !out_.products.empty() || !out_.kept.empty()) return true;
    ExprId added = assuming(pool(), without_pre(read_.increments(out_.weight, 0)), out_.post_spikes, At::Post, 1);
    for (const ColumnId indicator : visiting_) added = assuming(pool(), added, indicator, At::Uniform, 0);
    Deferral before = out_;
    if (!repeats(added)) {
      out_ = std::move(before);
      if (too_long_) out_.post_obstacle += ", in more arithmetic than is worth doing again";
      return true;
    }
    out_.repeated = added;
    out_.repeated_because = std::exchange(out_.post_obstacle, {});
    out_.with_post_spikes = out_.by_neuron = true;
    return true;
  }

  bool repeats(ExprId added) {
    std::map<ExprId, bool> own, faded;  // of the synapse or its pre neuron; made of traces that fall
    const std::vector<ExprId> nodes = nodes_below(pool(), {&added, 1});
    std::vector<ExprId> asked;          // of the post neuron or of nobody, by what is of the synapse
    for (const ExprId id : nodes) {
      const ExprNode node = pool()[id];
      if (node.op == Op::Draw) return false;
      own[id] = node.op == Op::Load && (node.leaf.at == At::Pre || node.leaf.at == At::Self);
      faded[id] = node.op == Op::Load && node.leaf.at == At::Pre;
      for (int k = 0; k < node.count; ++k) {
        own[id] = own[id] || own[node.operands[k]];
        faded[id] = faded[id] || faded[node.operands[k]];
      }
      // A trace is known up to rounding: not on which side of a number it is.
      if (faded[id] && jumps(node.op)) return false;
      if (faded[id] && node.op == Op::Select && faded[node.operands[0]]) return false;
      if (node.op == Op::Load && own[id] && !repeats_own(id, node)) return false;
      for (int k = 0; own[id] && k < node.count; ++k)
        if (!own[node.operands[k]]) asked.push_back(node.operands[k]);
    }
    if (!own[added]) return false;
    for (const ExprId id : asked) {
      const auto known = [&](const Deferral::Remembered& remembered) { return remembered.value == id; };
      if (!of_parameters(id) && std::none_of(out_.remembered.begin(), out_.remembered.end(), known)) out_.remembered.push_back({.value = id, .past = {}});
    }
    int work = 0;
    for (const ExprId id : nodes)
      if (own[id]) work += cost(pool()[id].op);
    if (work > kMostAgain) return too_long_ = true, false;
    return out_.pre_spikes.valid();
  }

  bool repeats_own(ExprId id, const ExprNode& leaf) {
    const ColumnId column{leaf.leaf.index};
    if (leaf.leaf.at == At::Self) return column == out_.weight_column;
    const ExprId decay = trace(column);
    if (decay.valid()) out_.faded.push_back({.trace = id, .scale = out_.scale_of(decay)});
    return decay.valid();
  }

  static bool jumps(Op op) {
    switch (op) {
      case Op::Floor: case Op::Ceil: case Op::Round: case Op::Sign: case Op::Mod: case Op::Less: case Op::LessEqual: case Op::Equal: case Op::NotEqual:
      case Op::And: case Op::Or: case Op::Not: case Op::IsFinite: return true;
      default: return false;
    }
  }

  bool of_parameters(ExprId value) {
    const std::vector<ExprId> nodes = nodes_below(pool(), {&value, 1});
    return std::all_of(nodes.begin(), nodes.end(), [&](ExprId id) {
      const ExprNode node = pool()[id];
      return node.op != Op::Load || (node.leaf.at == At::Uniform && draft_.program[ColumnId{node.leaf.index}].role == Role::Param);
    });
  }

  // --- carriers ------------------------------------------------------------------------------------

  bool carriers() {
    for (size_t k = 0; k < monomials_.size(); ++k) {
      Deferral::Product& product = out_.products[k];
      for (const ExprId amount : {product.at_instants, product.at_flow})
        if (amount.valid() && reads_post(amount)) product.uniform = false;
      if (out_.with_post_spikes && product.at_instants.valid()) {
        product.one_amount = !reads_post(product.at_instants);
        product.uniform = false;
      }
      out_.by_neuron = out_.by_neuron || !product.uniform;
      if (!carrier(monomials_[k], product)) return false;
    }
    return true;
  }

  bool reads_post(ExprId amount) {
    const std::vector<ExprId> nodes = nodes_below(pool(), {&amount, 1});
    return std::any_of(nodes.begin(), nodes.end(), [&](ExprId id) {
      const ExprNode node = pool()[id];
      return node.op == Op::Load && node.leaf.at == At::Post;
    });
  }

  bool carrier(const Monomial& monomial, Deferral::Product& product) {
    ExprId decay = pool().constant(1);
    product.carrier = pool().constant(1);
    const auto times = [&](ExprId a, ExprId b) { return pool().is_constant(a, 1) ? b : pool().mul(a, b); };
    for (const auto& [generator, power] : monomial) {
      const ExprNode node = pool()[generator];
      const ColumnId column{node.leaf.index};
      if (node.leaf.at == At::Self) {
        const auto kept = std::find_if(out_.kept.begin(), out_.kept.end(), [&](const Deferral::Kept& k) { return k.column == column; });
        if (kept == out_.kept.end()) return no(name(column), " belongs to the synapse");
        if (degree(monomial) > 1) return no("what changes ", name(out_.weight), " has ", name(column), " times another trace");
        product.kept = static_cast<int>(kept - out_.kept.begin());
        product.scale = kept->scale;
        return true;
      }
      const ExprId factor = trace(column);
      if (!factor.valid()) return false;
      for (int k = 0; k < power; ++k) {
        product.carrier = times(product.carrier, generator);
        decay = times(decay, factor);
      }
    }
    product.scale = out_.scale_of(decay);
    return true;
  }

  /// The factor by which a trace of the pre neuron decays in a step; invalid: it is not only that.
  ExprId trace(ColumnId column) {
    const auto found = variable_of_.find(column.value);
    if (found == variable_of_.end() || model_[found->second].kind != VarKind::State)
      return no(draft_.program[column].name, " is not a trace of the rule"), ExprId{};
    const VarId id = found->second;
    if (model_[id].bounds.bounded() || model_[id].low.valid() || model_[id].high.valid()) return no(name(id), " has bounds"), ExprId{};
    if (!model_[id].shape.scalar()) return no(name(id), " is an array"), ExprId{};
    for (const Jump& jump : rule_.jumps) {
      if (jump.variable != id) continue;
      for (const EventId event : jump.events) {
        if (rule_.events[event.value].kind != EventKind::PreEvent) return no(name(id), " jumps at other times than pre spikes"), ExprId{};
        if (!take(out_.pre_spikes, arriving(draft_, projection_, rule_.events[event.value].name), "pre")) return {};
      }
    }
    const ExprId decay = decay_of(id, Frame::Pre, At::Self);
    if (!decay.valid()) no(name(id), " does more than decay between spikes");
    return decay;
  }

  bool worth_it() {
    const bool post_waits = out_.post_spikes.valid() && out_.post_obstacle.empty();
    if (sweeps_ || post_waits) return true;
    return no(out_.post_spikes.valid() ? out_.post_obstacle : std::string("nothing happens but at pre spikes"));
  }

  Draft& draft_;
  const Model& model_;
  const Instance& projection_;
  const Rule& rule_;
  Reader read_;
  std::map<uint32_t, VarId> variable_of_;
  std::vector<Monomial> monomials_;     // of the products
  std::set<ColumnId> visiting_;         // indicators of events at which all synapses are looked at
  bool increments_only_ = true;         // post spikes change nothing of a synapse but add to its weight
  bool too_long_ = false;               // they could be done again, but for their arithmetic
  bool sweeps_ = false;                 // there is something that would look at all synapses in each step
  Deferral out_;
};

}  // namespace

size_t Deferral::scale_of(ExprId decay) {
  const auto same = [&](const Scale& scale) { return scale.decay == decay; };
  const auto found = std::find_if(scales.begin(), scales.end(), same);
  if (found != scales.end()) return static_cast<size_t>(found - scales.begin());
  scales.push_back({.decay = decay, .column = {}});
  return scales.size() - 1;
}

bool Deferral::waits_for_flow() const {
  return std::any_of(products.begin(), products.end(), [](const Product& product) { return product.at_flow.valid(); });
}

bool Deferral::waits_at_instants() const {
  return std::any_of(products.begin(), products.end(), [](const Product& product) { return product.at_instants.valid(); });
}

Deferral deferral(Draft& draft, const Instance& projection) {
  Deferral found = Analysis(draft, projection).run();
  found.relative = can_be_relative(draft.program.pool, found);
  return found;
}

}  // namespace hebb
