#include "compiler/lower/defer.h"

#include <algorithm>
#include <set>

#include "compiler/expr/polynomial.h"
#include "compiler/expr/transform.h"
#include "compiler/lower/passes.h"
#include "compiler/lower/reader.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

constexpr size_t kMostTerms = 16;

class Analysis {
 public:
  Analysis(Draft& draft, const Instance& projection)
      : draft_(draft), model_(*draft.model), projection_(projection), rule_(*projection.rule),
        read_(draft, projection, Frame::Synapse) {}

  Deferral run() {
    const bool possible = shape() && events() && amounts() && traces();
    if (!possible && out_.obstacle.empty()) out_.obstacle = "nothing happens at a post spike";
    return out_;
  }

 private:
  ExprPool& pool() { return draft_.program.pool; }

  template <class... Pieces>
  bool no(const Pieces&... pieces) {
    out_.obstacle = cat(pieces...);
    return false;
  }

  std::string name(VarId id) const { return model_[id].name; }

  /// The weight is the only thing a synapse has, and only jumps change it.
  bool shape() {
    for (const VarId id : rule_.variables) {
      const Variable& variable = model_[id];
      if (variable.kind == VarKind::Weight) out_.weight = id;
      else if (variable.kind == VarKind::State && variable.locus == Locus::Synapse) return no(variable.name, " belongs to the synapse");
      else if (variable.kind == VarKind::Reduce) return no(variable.name, " sums over synapses");
      else if (variable.kind == VarKind::Draw) return no(variable.name, " is drawn");
    }
    if (!out_.weight.valid()) return no("there is no weight");
    if (projection_.bucketed >= 0) return no("delays differ between its synapses");
    if (!model_[out_.weight].shape.scalar()) return no(name(out_.weight), " is an array");
    for (const Flow& flow : rule_.flows)
      if (flow.variable == out_.weight) return no(name(out_.weight), " changes between spikes");
    if (projection_.projection && !projection_.let_columns.empty()) return no("a value of every synapse is recorded");
    return true;
  }

  bool events() {
    bool post = false;
    for (const Jump& jump : rule_.jumps) {
      if (jump.variable != out_.weight) continue;
      for (const EventId id : jump.events) {
        const Event& event = rule_.events[id.value];
        if (event.kind == EventKind::PreEvent) {
          if (!take(out_.pre_spikes, arriving(draft_, projection_, event.name), "pre")) return false;
        } else if (event.kind == EventKind::PostEvent) {
          post = true;
          if (jump.assign) return no("a post spike sets ", name(out_.weight), " anew");
          if (!take(out_.post_spikes, draft_.populations[projection_.post].events.at(event.name), "post")) return false;
        } else {
          return no(name(out_.weight), " changes at other times than spikes");
        }
      }
    }
    if (!post) return false;
    if (projection_.projection)
      for (const DriveDef& drive : projection_.projection->drives) {
        if (model_[drive.port].kind != VarKind::Receive) return no("its input is summed in every step");
        if (!take(out_.pre_spikes, driving(draft_, projection_), "pre")) return false;
      }
    return true;
  }

  bool take(ColumnId& one, ColumnId event, const char* side) {
    if (one.valid() && one != event) return no("events of two kinds at the ", side, " neuron");
    one = event;
    return true;
  }

  /// What a post spike adds, as a product of traces of the pre neuron and a number of the post neuron.
  bool amounts() {
    ExprId added = read_.increments(out_.weight, 0);
    added = assuming(pool(), added, out_.post_spikes, At::Post, 1);
    if (out_.pre_spikes.valid()) added = assuming(pool(), added, out_.pre_spikes, At::Pre, 0);
    const ColumnId weight = projection_.columns.at(out_.weight);
    std::set<uint32_t> reads_pre;
    for (const ExprId id : nodes_below(pool(), {&added, 1})) {
      const ExprNode node = pool()[id];
      bool pre = node.op == Op::Load && node.leaf.at == At::Pre;
      if (node.op == Op::Load && node.leaf.index == weight.value)
        return no("what a post spike adds depends on ", name(out_.weight));
      if (node.op == Op::Draw) return no("what a post spike adds is drawn");
      for (int k = 0; k < node.count; ++k) pre |= reads_pre.contains(node.operands[k].value);
      if (pre) reads_pre.insert(id.value);
    }
    const Classify classify = [&](ExprId id, const ExprNode& node) {
      if (!reads_pre.contains(id.value)) return Part::Coefficient;
      return node.op == Op::Load ? Part::Generator : Part::Inside;
    };
    const Expansion expansion = expand(pool(), added, classify, kMostTerms);
    if (!expansion.polynomial) return no("what a post spike adds is no product of traces of the pre neuron");
    const std::vector<PolynomialTerm>& terms = expansion.polynomial->terms();
    if (terms.empty()) return false;
    if (terms.size() > 1) return no("what a post spike adds has several traces of the pre neuron");
    monomial_ = terms[0].powers;
    out_.trace = pool().constant(1);
    for (const auto& [generator, power] : monomial_)
      for (int k = 0; k < power; ++k) out_.trace = k == 0 && pool().is_constant(out_.trace, 1) ? generator : pool().mul(out_.trace, generator);
    out_.amount = terms[0].coefficient;
    return one_sign(out_.amount);
  }

  /// The same for every run, or a product of such and of what is never negative.
  bool one_sign(ExprId amount) {
    const ExprNode node = pool()[amount];
    if (node.op == Op::Mul) return one_sign(node.operands[0]) && one_sign(node.operands[1]);
    if (node.op == Op::Neg) return one_sign(node.operands[0]);
    if (node.op == Op::Div) return one_sign(node.operands[0]) && one_sign(node.operands[1]);
    bool by_neuron = false;
    for (const ExprId id : nodes_below(pool(), {&amount, 1})) {
      const ExprNode leaf = pool()[id];
      by_neuron |= leaf.op == Op::Load && leaf.leaf.at != At::Uniform;
    }
    if (!by_neuron) return true;
    if (node.op == Op::Load && never_negative(ColumnId{node.leaf.index})) return true;
    return no("what a post spike adds may change its sign");
  }

  /// A trace of this rule that starts at 0 or above, decays, and is only ever added to by constants.
  bool never_negative(ColumnId column) const {
    for (const auto& [id, own] : projection_.columns)
      if (own == column) return model_[id].kind == VarKind::State && model_[id].bounds.low >= 0;
    return false;
  }

  /// The traces decay by a factor that is one number, and jump at the pre spikes only.
  bool traces() {
    out_.decay = pool().constant(1);
    for (const auto& [generator, power] : monomial_) {
      const ColumnId column{pool()[generator].leaf.index};
      VarId id;
      for (const auto& [own, at] : projection_.columns)
        if (at == column) id = own;
      if (!id.valid() || model_[id].kind != VarKind::State) return no(draft_.program[column].name, " is not a trace of the rule");
      if (model_[id].locus != Locus::Pre) return no(name(id), " is not a trace of the pre neuron");
      if (model_[id].bounds.bounded() || model_[id].low.valid() || model_[id].high.valid()) return no(name(id), " has bounds");
      for (const Jump& jump : rule_.jumps) {
        if (jump.variable != id) continue;
        for (const EventId event : jump.events)
          if (rule_.events[event.value].kind != EventKind::PreEvent ||
              !take(out_.pre_spikes, arriving(draft_, projection_, rule_.events[event.value].name), "pre"))
            return no(name(id), " jumps at other times than pre spikes");
      }
      const ExprId factor = decay_of(id);
      if (!factor.valid()) return no(name(id), " does more than decay between spikes");
      for (int k = 0; k < power; ++k)
        out_.decay = pool().is_constant(out_.decay, 1) ? factor : pool().mul(out_.decay, factor);
    }
    if (!out_.pre_spikes.valid()) return no("nothing happens at a pre spike");
    return true;
  }

  /// f of x(t + dt) = f x(t), one number for all neurons; invalid: there is none.
  ExprId decay_of(VarId id) {
    for (const Solution& solution : rule_.solutions) {
      if (solution.variable != id) continue;
      Reader flow(draft_, projection_, Frame::Pre, Reader::Phase::Moving);
      const ExprId next = flow(solution.next);
      const ExprId now = pool().load(projection_.columns.at(id), At::Self);
      const std::optional<Affine> affine = affine_in(pool(), next, now);
      if (solution.solver != Solver::Exact || !affine || !pool().is_constant(affine->rest, 0)) return {};
      for (const ExprId node_id : nodes_below(pool(), {&affine->factor, 1})) {
        const ExprNode node = pool()[node_id];
        if (node.op == Op::Draw || (node.op == Op::Load && node.leaf.at != At::Uniform)) return {};
      }
      return affine->factor;
    }
    return pool().constant(1);
  }

  Draft& draft_;
  const Model& model_;
  const Instance& projection_;
  const Rule& rule_;
  Reader read_;
  Monomial monomial_;
  Deferral out_;
};

/// An expression of a synapse that reads one side only, for the neurons of that side.
ExprId at_neuron(ExprPool& pool, ExprId value) {
  return Substitution(pool, pool, [&](const ExprNode& leaf) -> ExprId {
    if (leaf.op != Op::Load || leaf.leaf.at == At::Uniform || leaf.leaf.at == At::Fixed) return {};
    return pool.load(ColumnId{leaf.leaf.index}, At::Self, leaf.leaf.element);
  })(value);
}

struct Parts {
  ExprPool& pool;
  const Deferral& how;
  ColumnId weight;
  ExprId scale() const { return pool.load(how.scale, At::Uniform); }
  ExprId sum(At at) const { return pool.load(how.sum, at); }
  /// The sum after a post spike of this instant.
  ExprId next_sum(At at, ExprId amount) const { return pool.add(sum(at), pool.mul(scale(), amount)); }
};

Parts parts(Draft& draft, const Instance& projection) {
  return {draft.program.pool, *projection.deferral, projection.columns.at(projection.deferral->weight)};
}

/// The weight with all that waits.
ExprId caught_up(Draft& draft, const Instance& projection) {
  const Parts p = parts(draft, projection);
  ExprPool& pool = p.pool;
  const ExprId since = pool.sub(p.sum(At::Post), pool.load(p.how.seen, At::Self));
  const ExprId now = pool.add(pool.load(p.weight, At::Self), pool.mul(pool.div(p.how.trace, p.scale()), since));
  Reader read(draft, projection, Frame::Synapse);
  return read.clamped(p.how.weight, now);
}

}  // namespace

Deferral deferral(Draft& draft, const Instance& projection) { return Analysis(draft, projection).run(); }

void defer_post_spikes(Draft& draft) {
  for (Instance& projection : draft.projections) {
    if (!is_sparse(draft, projection)) continue;
    Deferral found = deferral(draft, projection);
    if (!found.obstacle.empty()) continue;
    const SpaceId post = draft.populations[projection.post].space;
    const auto add = [&](const char* name, SpaceId space) {
      return draft.program.add(Column{.name = cat(projection.prefix, name), .space = space, .role = Role::State});
    };
    found.scale = add("post_scale", draft.uniform);
    found.sum = add("post_sum", post);
    found.seen = add("post_seen", projection.space);
    projection.deferral = std::make_shared<const Deferral>(std::move(found));
  }
}

Kernel catch_up_kernel(Draft& draft, const Instance& projection) {
  const Parts p = parts(draft, projection);
  return {.name = projection.prefix + "catch_up", .domain = projection.space, .scans = {},
          .stores = {{.into = p.weight, .value = caught_up(draft, projection)}}, .accumulates = {},
          .rows = Rows::OfPre, .spikes = p.how.pre_spikes};
}

std::vector<Kernel> deferred_jumps(Draft& draft, const Instance& projection, Kernel jumps) {
  const Parts p = parts(draft, projection);
  ExprPool& pool = p.pool;
  jumps.rows = Rows::OfPre;
  jumps.spikes = p.how.pre_spikes;
  for (Store& store : jumps.stores) store.value = assuming(pool, store.value, jumps.spikes, At::Pre, 1);
  // A post spike of this very instant is in the jump of the synapse already.
  const ExprId spike = pool.load(p.how.post_spikes, At::Post);
  jumps.stores.push_back({.into = p.how.seen,
                          .value = pool.select(spike, p.next_sum(At::Post, p.how.amount), p.sum(At::Post))});
  Kernel history{.name = projection.prefix + "post_sum", .domain = draft.populations[projection.post].space};
  history.rows = Rows::OfSpikes;
  history.spikes = p.how.post_spikes;
  history.stores.push_back({.into = p.how.sum, .value = p.next_sum(At::Self, at_neuron(pool, p.how.amount))});
  return {std::move(jumps), std::move(history)};
}

Kernel scale_kernel(Draft& draft, const Instance& projection) {
  const Parts p = parts(draft, projection);
  return {.name = projection.prefix + "post_scale", .domain = draft.uniform, .scans = {},
          .stores = {{.into = p.how.scale, .value = p.pool.mul(p.scale(), p.how.decay)}}, .accumulates = {}};
}

void add_settling(Draft& draft) {
  Program& program = draft.program;
  ExprPool& pool = program.pool;
  for (const Instance& projection : draft.projections) {
    if (!projection.deferral) continue;
    const Parts p = parts(draft, projection);
    const auto add = [&](const char* what, SpaceId domain, std::vector<Store> stores) {
      Kernel kernel{.name = cat(projection.prefix, what), .domain = domain, .scans = {}, .stores = std::move(stores), .accumulates = {}};
      return program.add(with_fma(program, {std::move(kernel)})[0]);
    };
    const Store now{.into = p.weight, .value = caught_up(draft, projection)};
    const SpaceId post = program[p.how.sum].space;
    Deferred entry{.weight = p.weight, .scale = p.how.scale, .now = {}, .settle = {}};
    entry.now = add("now", projection.space, {now});
    entry.settle = {add("settle", projection.space, {now, {.into = p.how.seen, .value = pool.constant(0)}}),
                    add("settle_sum", post, {{.into = p.how.sum, .value = pool.constant(0)}}),
                    add("settle_scale", draft.uniform, {{.into = p.how.scale, .value = pool.constant(1)}})};
    program.plan.init.push_back({entry.settle[2]});
    program.plan.deferred.push_back(std::move(entry));
  }
}

}  // namespace hebb
