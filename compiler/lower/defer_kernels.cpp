// The kernels of projections whose synapses are looked at now and then.

#include <algorithm>
#include <functional>

#include "compiler/expr/simplify.h"
#include "compiler/expr/transform.h"
#include "compiler/lower/defer.h"
#include "compiler/lower/passes.h"
#include "compiler/lower/reader.h"
#include "compiler/lower/replay.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

using Product = Deferral::Product;
using Signs = Deferral::Signs;

class Writer {
 public:
  Writer(Draft& draft, const Instance& projection)
      : draft_(draft), projection_(projection), how_(*projection.deferral), pool_(draft.program.pool),
        post_(draft.populations[projection.post].space) {}

  // --- expressions of a synapse ------------------------------------------------------------------

  ExprId weight() { return pool_.load(how_.weight_column, At::Self); }
  ExprId scale(size_t k) {
    const ColumnId column = how_.scales[k].column;
    return column.valid() ? pool_.load(column, At::Uniform) : pool_.constant(1);
  }
  ExprId sum(const Product& product) { return pool_.load(product.sum, product.uniform ? At::Uniform : At::Post); }
  ExprId seen(const Product& product) { return pool_.load(product.seen, At::Self); }

  /// A state of the synapse as it is now.
  ExprId kept(const Deferral::Kept& state) { return times(pool_.load(state.column, At::Self), scale(state.scale)); }
  /// What is stored of it.
  ExprId stored(const Deferral::Kept& state, ExprId value) {
    return times(value, simple(pool_, Op::Div, pool_.constant(1), scale(state.scale)));
  }

  /// The weight with all that waits.
  ExprId caught_up() {
    if (how_.replayed()) return Replay{draft_, projection_, how_}.weight();
    ExprId value = weight();
    for (const Product& product : how_.products) {
      if (how_.relative) {
        value = pool_.add(value, times(ratio(product), sum(product)));
        continue;
      }
      const ExprId since = pool_.sub(sum(product), seen(product));
      const ExprId carrier = product.kept >= 0 ? pool_.load(how_.kept[static_cast<size_t>(product.kept)].column, At::Self)
                                               : simple(pool_, Op::Div, product.carrier, scale(product.scale));
      value = pool_.add(value, times(carrier, since));
    }
    if (how_.products.empty()) return value;
    Reader read(draft_, projection_, Frame::Synapse);
    return read.clamped(how_.weight, value);
  }

  /// Relative: carrier / scale; after a spike of the pre neuron.
  ExprId ratio(const Product& product, bool after_spike = false) {
    return product.ratio.valid() ? pool_.load(after_spike ? product.next_ratio : product.ratio, At::Pre) : pool_.constant(1);
  }

  /// An expression of the rule, of a synapse whose weight is `weight_now`.
  ExprId looked_at(ExprId value, ExprId weight_now) {
    const ExprId result = Substitution(pool_, pool_, [&](const ExprNode& leaf) -> ExprId {
      if (leaf.op != Op::Load || leaf.leaf.at != At::Self) return {};
      if (leaf.leaf.index == how_.weight_column.value) return weight_now;
      const Deferral::Kept* state = kept_of(ColumnId{leaf.leaf.index});
      return state ? kept(*state) : ExprId{};
    })(value);
    return simplify(pool_, result);
  }

  /// The sum after this instant, as a synapse reads it.
  ExprId after_instant(const Product& product) {
    if (!waits(product)) return sum(product);
    const ExprId next = next_sum(product, product.uniform ? At::Uniform : At::Post);
    if (!how_.with_post_spikes) return next;
    return pool_.select(pool_.load(how_.post_spikes, At::Post), next, sum(product));
  }
  /// The same of a neuron that spikes; the same bits wherever it is read, or what is seen would differ from the sum.
  ExprId next_sum(const Product& product, At at) {
    if (!product.one_amount && !how_.replayed()) return pool_.load(product.next, at);
    return pool_.add(pool_.load(product.sum, at), increment(product, at));
  }
  /// Of one amount, or replayed.
  ExprId increment(const Product& product, At at) {
    return product.next.valid() ? pool_.load(product.next, product.one_amount ? At::Uniform : at) : pool_.constant(1);
  }

  // --- amounts -------------------------------------------------------------------------------------

  /// In a step without clocks and fed events those are known to be 0.
  ExprId in_this_step(ExprId amount) {
    if (!amount.valid() || !draft_.quiet) return amount;
    const ExprId value = Substitution(pool_, pool_, [&](const ExprNode& leaf) -> ExprId {
      if (leaf.op != Op::Load || !draft_.passing.contains(leaf.leaf.index)) return {};
      return pool_.constant(0);
    })(amount);
    return simplify(pool_, value);
  }
  /// Whether something waits at an instant of this step.
  bool waits(const Product& product) {
    if (!product.at_instants.valid()) return false;
    if (how_.with_post_spikes && draft_.quiet && draft_.passing.contains(how_.post_spikes.value)) return false;
    return how_.replayed() || !pool_.is_constant(in_this_step(product.at_instants), 0);
  }
  bool waits_at_instants() {
    return std::any_of(how_.products.begin(), how_.products.end(), [&](const Product& product) { return waits(product); });
  }

  ExprId at_home(ExprId amount) {
    return Substitution(pool_, pool_, [&](const ExprNode& leaf) -> ExprId {
      if (leaf.op != Op::Load || leaf.leaf.at != At::Post) return {};
      return pool_.load(ColumnId{leaf.leaf.index}, At::Self, leaf.leaf.element);
    })(amount);
  }
  ExprId sum_at_home(const Product& product) { return pool_.load(product.sum, product.uniform ? At::Uniform : At::Self); }
  ExprId increased(const Product& product, ExprId amount) {
    return pool_.add(sum_at_home(product), times(scale(product.scale), at_home(in_this_step(amount))));
  }

  // --- kernels ---------------------------------------------------------------------------------------

  Kernel of_synapses(const char* what, Rows rows = Rows::All, ColumnId spikes = {}) {
    return {.name = projection_.prefix + what, .domain = projection_.space, .scans = {}, .stores = {}, .accumulates = {}, .rows = rows, .spikes = spikes};
  }
  Kernel of_sums(const char* what, bool uniform) {
    return {.name = projection_.prefix + what, .domain = uniform ? draft_.uniform : post_, .scans = {}, .stores = {}, .accumulates = {}};
  }

  /// Stores the weight as it is now, and what of the sums it has seen. Relative: rows that jump next, as it is.
  void add_caught_up(Kernel& kernel, ExprId now) {
    if (how_.products.empty()) return;
    const bool as_it_is = !how_.relative || kernel.rows == Rows::OfPre;
    kernel.stores.push_back({.into = how_.weight_column, .value = as_it_is ? now : left_of(now, /*after_spike=*/false)});
    if (how_.relative) return;
    for (const Product& product : how_.products) kernel.stores.push_back({.into = product.seen, .value = sum(product)});
  }

  /// `jumps`, of synapses at which an event of the given kind is looked at.
  Kernel jumped(const Kernel& jumps, Kernel kernel, ExprId now, const std::function<ExprId(ExprId)>& known,
                const std::function<ExprId(ExprId value, ExprId old)>& unless) {
    bool weight_jumps = false;
    const auto store = [&](ColumnId into, ExprId value) {
      const ExprId old = pool_.load(into, At::Self);
      value = unless(value, old);
      if (value != old) kernel.stores.push_back({.into = into, .value = value});
    };
    for (const Store& jump : jumps.stores) {
      const Deferral::Kept* state = kept_of(jump.into);
      const ExprId before = state ? kept(*state) : now;
      const ExprId value = looked_at(known(jump.value), now);
      weight_jumps |= !state;
      if (state && value == before) continue;
      store(jump.into, state ? stored(*state, value) : left_after_spike(value));
    }
    if (how_.products.empty()) return kernel;
    if (!weight_jumps) store(how_.weight_column, left_after_spike(now));
    if (how_.relative) return kernel;
    for (const Product& product : how_.products) store(product.seen, after_instant(product));
    return kernel;
  }

  /// Relative: what is stored of a weight; of one that it has after a spike of the pre neuron.
  ExprId left_of(ExprId now, bool after_spike) {
    ExprId left = now;
    for (const Product& product : how_.products)
      left = pool_.sub(left, times(ratio(product, after_spike), after_spike ? after_instant(product) : sum(product)));
    if (!how_.rounding.valid()) return left;
    const auto [low, high] = Reader(draft_, projection_, Frame::Synapse).bounds(how_.weight);
    const double roundings = 2 * static_cast<double>(how_.products.size() + 1);  // of storing and of reading it
    const auto beyond = [&](ExprId bound) {
      const ExprId size = pool_.add(pool_.make(Op::Abs, left), pool_.make(Op::Abs, bound));
      return pool_.mul(size, pool_.mul(pool_.constant(roundings), pool_.load(how_.rounding, At::Uniform)));
    };
    ExprId stored = left;
    if (high.valid()) stored = pool_.select(pool_.make(Op::Equal, now, high), pool_.add(left, beyond(high)), stored);
    if (low.valid()) stored = pool_.select(pool_.make(Op::Equal, now, low), pool_.sub(left, beyond(low)), stored);
    return stored;
  }
  ExprId left_after_spike(ExprId now) { return how_.relative ? left_of(now, /*after_spike=*/true) : now; }

  std::vector<Kernel> jumps(const Kernel& whole) {
    std::vector<Kernel> kernels;
    const auto add = [&](Kernel kernel) {
      if (!kernel.stores.empty()) kernels.push_back(std::move(kernel));
    };
    if (!how_.of_parameters)
      for (Kernel& kernel : sweep_at_instants()) add(std::move(kernel));
    const auto as_it_is = [](ExprId value, ExprId) { return value; };
    if (!how_.others_obstacle.empty() && !draft_.quiet) {
      if (!whole.stores.empty())
        add(jumped(whole, of_synapses("instant"), caught_up(), [](ExprId value) { return value; }, as_it_is));
    } else {
      if (how_.pre_spikes.valid() && (!whole.stores.empty() || how_.relative))
        add(jumped(whole, of_synapses("instant", Rows::OfPre, how_.pre_spikes), weight(),
                   [&](ExprId value) { return assuming(pool_, value, how_.pre_spikes, At::Pre, 1); }, as_it_is));
      if (!how_.post_obstacle.empty())
        add(jumped(whole, of_synapses("instant", Rows::OfPost, how_.post_spikes), caught_up(),
                   [&](ExprId value) {
                     if (how_.pre_spikes.valid()) value = assuming(pool_, value, how_.pre_spikes, At::Pre, 0);
                     return assuming(pool_, value, how_.post_spikes, At::Post, 1);
                   },
                   [&](ExprId value, ExprId old) {
                     return how_.pre_spikes.valid() ? simple(pool_, Op::Select, pool_.load(how_.pre_spikes, At::Pre), old, value) : value;
                   }));
    }
    for (const bool uniform : {true, false}) {
      Kernel kernel = of_sums("sum", uniform);
      if (how_.with_post_spikes && !uniform) kernel.rows = Rows::OfSpikes, kernel.spikes = how_.post_spikes;
      for (const Product& product : how_.products)
        if (waits(product) && product.uniform == uniform)
          add_next_sum(kernel, product, uniform ? At::Uniform : At::Self);
      if (waits_at_instants() && how_.remembers_signs() && uniform != how_.signs_by_neuron()) add_turns(kernel, &Product::at_instants);
      add(std::move(kernel));
    }
    if (how_.pre_spikes.valid()) add(ratios_after());
    return kernels;
  }

  /// Where all synapses are up to date; at the start of a run: unless something waits.
  Kernel ratios_anew(bool at_start) {
    Kernel kernel{.name = projection_.prefix + "ratios_anew", .domain = draft_.populations[projection_.pre].space};
    for (const Product& product : how_.products) {
      if (!product.ratio.valid()) continue;
      ExprId value = carrier_at_home(product, /*after=*/false);
      if (at_start) value = pool_.select(pool_.make(Op::Equal, scale(product.scale), pool_.constant(1)), value, pool_.load(product.ratio, At::Self));
      kernel.stores.push_back({.into = product.ratio, .value = value});
    }
    return kernel;
  }

  /// What holds until the next spike of those that spike now.
  Kernel ratios_after() {
    Kernel kernel = of_spiking_pres("ratio");
    for (const Product& product : how_.products)
      if (product.ratio.valid()) kernel.stores.push_back({.into = product.ratio, .value = pool_.load(product.next_ratio, At::Self)});
    return kernel;
  }
  Kernel of_spiking_pres(const char* what) {
    return {.name = projection_.prefix + what, .domain = draft_.populations[projection_.pre].space, .rows = Rows::OfSpikes, .spikes = how_.pre_spikes};
  }

  void add_next_sum(Kernel& kernel, const Product& product, At at) {
    kernel.stores.push_back({.into = product.sum, .value = next_sum(product, at)});
    if (!how_.replayed()) return;
    const ExprId by = increment(product, at);
    if (product.reach.valid()) kernel.stores.push_back({.into = product.reach, .value = pool_.add(pool_.load(product.reach, at), pool_.make(Op::Abs, by))});
    if (&product == &how_.products[how_.counter]) add_extremes(kernel, at);
    if (product.past.valid()) add_past(kernel, product.past, by, at);
    if (!how_.repeated.valid()) return;
    for (size_t k = 0; k < how_.scales.size(); ++k)
      if (how_.scales[k].past.valid()) add_past(kernel, how_.scales[k].past, scale(k), at);
    for (const Deferral::Remembered& remembered : how_.remembered) add_past(kernel, remembered.past, at_home(in_this_step(remembered.value)), at);
  }
  void add_past(Kernel& kernel, ColumnId past, ExprId value, At at) {
    kernel.stores.push_back({.into = past, .element = 0, .value = value});
    for (uint32_t k = 1; k < how_.most_past(); ++k)
      kernel.stores.push_back({.into = past, .element = k, .value = pool_.load(past, at, k - 1)});
  }
  /// The first spike since all were up to date begins anew.
  void add_extremes(Kernel& kernel, At at) {
    if (!how_.most.valid()) return;
    const ExprId first = pool_.make(Op::Equal, pool_.load(how_.products[how_.counter].sum, at), pool_.constant(0)), by = increment(how_.products[how_.level], at);
    for (const auto& [column, op] : {std::pair{how_.most, Op::Max}, {how_.least, Op::Min}})
      kernel.stores.push_back({.into = column, .value = pool_.select(first, by, pool_.make(op, pool_.load(column, at), by))});
  }

  /// Before the amounts of this instant.
  std::vector<Kernel> sweep_at_instants() {
    if (!waits_at_instants() || !how_.remembers_signs()) return {};
    std::vector<ExprId> amounts;
    for (const Product& product : how_.products)
      if (waits(product)) amounts.push_back(at_home(in_this_step(product.at_instants)));
    return sweep(amounts, how_.with_post_spikes);
  }

  std::vector<Kernel> flows() {
    std::vector<Kernel> kernels;
    if (!how_.waits_for_flow()) return kernels;
    std::vector<ExprId> amounts;
    for (const Product& product : how_.products)
      if (product.at_flow.valid()) amounts.push_back(at_home(product.at_flow));
    kernels = sweep(amounts, false);
    for (const bool uniform : {true, false}) {
      Kernel kernel = of_sums("gather", uniform);
      for (const Product& product : how_.products)
        if (product.at_flow.valid() && product.uniform == uniform)
          kernel.stores.push_back({.into = product.sum, .value = increased(product, product.at_flow)});
      if (how_.remembers_signs() && uniform != how_.signs_by_neuron()) add_turns(kernel, &Product::at_flow);
      if (!kernel.stores.empty()) kernels.push_back(std::move(kernel));
    }
    return kernels;
  }

  /// Sums after this instant, read by synapses that take part in it.
  std::vector<Definition> next_sums() {
    std::vector<Definition> definitions;
    for (const Product& product : how_.products) {
      if (!waits(product) || !product.next.valid()) continue;
      Kernel kernel = of_sums("next_sum", product.uniform || product.one_amount);
      if (how_.with_post_spikes && !product.one_amount) kernel.rows = Rows::OfSpikes, kernel.spikes = how_.post_spikes;
      kernel.stores.push_back({.into = product.next, .value = what_is_next(product)});
      definitions.push_back({.column = product.next, .kernels = {std::move(kernel)}});
    }
    for (const Product& product : how_.products) {
      if (!product.next_ratio.valid()) continue;
      Kernel kernel = of_spiking_pres("next_ratio");
      kernel.stores.push_back({.into = product.next_ratio, .value = simple(pool_, Op::Div, carrier_at_home(product, /*after=*/true), scale(product.scale))});
      definitions.push_back({.column = product.next_ratio, .kernels = {std::move(kernel)}});
    }
    return definitions;
  }

  /// As the pre neuron reads its carrier; after its spike.
  ExprId carrier_at_home(const Product& product, bool after) {
    Reader read(draft_, projection_, Frame::Pre);
    return Substitution(pool_, pool_, [&](const ExprNode& leaf) -> ExprId {
      if (leaf.op != Op::Load || leaf.leaf.at != At::Pre) return {};
      if (!after) return pool_.load(ColumnId{leaf.leaf.index}, At::Self);
      const auto trace = std::find_if(projection_.columns.begin(), projection_.columns.end(), [&](const auto& variable) { return variable.second.value == leaf.leaf.index; });
      return assuming(pool_, read.right_limit(trace->first, 0), how_.pre_spikes, At::Self, 1);
    })(product.carrier);
  }

  ExprId what_is_next(const Product& product) {
    if (how_.replayed() && !product.summed) return scale(product.scale);
    if (how_.replayed() || product.one_amount) return times(scale(product.scale), at_home(in_this_step(product.at_instants)));
    return increased(product, product.at_instants);
  }

  const Deferral::Kept* kept_of(ColumnId column) const {
    for (const Deferral::Kept& state : how_.kept)
      if (state.column == column) return &state;
    return nullptr;
  }

 private:
  ExprId times(ExprId a, ExprId b) { return simple(pool_, Op::Mul, a, b); }
  ExprId either(ExprId a, ExprId b) { return simple(pool_, Op::Or, a, b); }
  ExprId both(ExprId a, ExprId b) { return simple(pool_, Op::And, a, b); }

  // --- signs -----------------------------------------------------------------------------------------

  struct Turns {
    ExprId up, down;  // some amount is above 0, below
  };
  /// A negative trace may turn an amount into the other sign: then each counts as both.
  Turns turns(const std::vector<ExprId>& amounts) {
    const ExprId zero = pool_.constant(0);
    Turns t{zero, zero};
    for (const ExprId amount : amounts) {
      t.up = either(t.up, pool_.make(Op::Less, zero, amount));
      t.down = either(t.down, pool_.make(Op::Less, amount, zero));
    }
    if (!how_.below.valid()) return t;
    const ExprId any = both(either(t.up, t.down), pool_.load(how_.below, At::Uniform));
    return {either(t.up, any), either(t.down, any)};
  }

  At home() const { return how_.signs_by_neuron() ? At::Self : At::Uniform; }
  ExprId turned(const Turns& now) {
    return either(both(now.up, pool_.load(how_.downs, home())), both(now.down, pool_.load(how_.ups, home())));
  }

  /// Where the coming amounts have another sign than those before them, synapses are brought up to date first.
  std::vector<Kernel> sweep(const std::vector<ExprId>& amounts, bool at_post_spikes) {
    if (!how_.remembers_signs()) return {};
    ExprId found = turned(turns(amounts));
    if (at_post_spikes && how_.signs_by_neuron()) found = both(pool_.load(how_.post_spikes, At::Self), found);
    Kernel look = of_sums("turns", !how_.signs_by_neuron());
    look.stores.push_back({.into = how_.turned, .value = found});
    // By column where an index by target is kept anyway, or is worth it.
    const bool by_column = how_.signs_by_neuron() && (!how_.post_obstacle.empty() || how_.signs == Signs::Changing);
    Kernel all = of_synapses("catch_up_all", by_column ? Rows::OfPost : Rows::All, how_.turned);
    add_caught_up(all, caught_up());
    return {std::move(look), std::move(all)};
  }

  void add_turns(Kernel& kernel, ExprId Product::*amount) {
    std::vector<ExprId> amounts;
    for (const Product& product : how_.products)
      if ((product.*amount).valid()) amounts.push_back(at_home(in_this_step(product.*amount)));
    const Turns now = turns(amounts);
    const ExprId anew = pool_.make(Op::Not, pool_.load(how_.turned, home()));
    kernel.stores.push_back({.into = how_.ups, .value = either(now.up, both(anew, pool_.load(how_.ups, home())))});
    kernel.stores.push_back({.into = how_.downs, .value = either(now.down, both(anew, pool_.load(how_.downs, home())))});
  }

  Draft& draft_;
  const Instance& projection_;
  const Deferral& how_;
  ExprPool& pool_;
  SpaceId post_;
};

}  // namespace

std::vector<Definition> deferred_sums(Draft& draft) {
  std::vector<Definition> all;
  for (const Instance& projection : draft.projections) {
    if (!projection.deferral) continue;
    for (Definition& definition : Writer(draft, projection).next_sums()) all.push_back(std::move(definition));
  }
  return all;
}

std::vector<Kernel> catch_up_kernels(Draft& draft, const Instance& projection) {
  Writer writer(draft, projection);
  std::vector<Kernel> kernels;
  // Signs of parameters are known already: nothing then stands between rows that catch up and their jumps.
  if (projection.deferral->of_parameters) kernels = writer.sweep_at_instants();
  Kernel kernel = writer.of_synapses("catch_up", Rows::OfPre, projection.deferral->pre_spikes);
  if (kernel.spikes.valid()) writer.add_caught_up(kernel, writer.caught_up());
  if (!kernel.stores.empty()) kernels.push_back(std::move(kernel));
  return kernels;
}

std::vector<Kernel> deferred_jumps(Draft& draft, const Instance& projection, const Kernel& jumps) {
  return Writer(draft, projection).jumps(jumps);
}

std::vector<Kernel> deferred_flows(Draft& draft, const Instance& projection) { return Writer(draft, projection).flows(); }

std::vector<Kernel> scale_kernels(Draft& draft, const Instance& projection) {
  Writer writer(draft, projection);
  Kernel kernel = writer.of_sums("scale", true);
  const Deferral& how = *projection.deferral;
  for (size_t k = 0; k < how.scales.size(); ++k)
    if (how.scales[k].column.valid())
      kernel.stores.push_back({.into = how.scales[k].column, .value = fallen_scale(draft.program.pool, how.scales[k].column, how.scales[k].decay)});
  if (kernel.stores.empty()) return {};
  return {std::move(kernel)};
}

void add_settling(Draft& draft) {
  Program& program = draft.program;
  ExprPool& pool = program.pool;
  for (const Instance& projection : draft.projections) {
    if (!projection.deferral) continue;
    const Deferral& how = *projection.deferral;
    Writer writer(draft, projection);
    Deferred entry;
    const auto add = [&](Kernel kernel) { return program.add(with_fma(program, {std::move(kernel)})[0]); };
    const auto zero = [&](Kernel& kernel, ColumnId column) { kernel.stores.push_back({.into = column, .value = pool.constant(0)}); };

    Kernel now = writer.of_synapses("now");
    if (!how.products.empty()) now.stores.push_back({.into = how.weight_column, .value = writer.caught_up()});
    for (const Deferral::Kept& state : how.kept)
      if (how.scales[state.scale].column.valid()) now.stores.push_back({.into = state.column, .value = writer.kept(state)});
    for (const Store& store : now.stores) entry.behind.push_back(store.into);
    if (now.stores.empty()) continue;
    Kernel settle = now;
    settle.name = projection.prefix + "settle";
    for (const Product& product : how.products)
      if (product.seen.valid()) zero(settle, product.seen), entry.copies.push_back(product.seen);
    entry.waiting = waiting_columns(how);
    entry.now = add(std::move(now));
    entry.settle.push_back(add(std::move(settle)));
    for (const bool uniform : {true, false}) {
      Kernel sums = writer.of_sums("settle_sums", uniform);
      for (const Product& product : how.products)
        if (product.uniform == uniform) {
          zero(sums, product.sum);
          if (product.reach.valid()) zero(sums, product.reach);
        }
      if (how.remembers_signs() && uniform != how.signs_by_neuron()) zero(sums, how.ups), zero(sums, how.downs);
      if (!sums.stores.empty()) entry.settle.push_back(add(std::move(sums)));
    }
    Kernel scales = writer.of_sums("settle_scales", true);
    for (const Deferral::Scale& scale : how.scales) {
      if (!scale.column.valid()) continue;
      entry.scales.push_back(scale.column);
      scales.stores.push_back({.into = scale.column, .value = pool.constant(1)});
    }
    if (!scales.stores.empty()) {
      entry.settle.push_back(add(std::move(scales)));
      program.plan.init.push_back({entry.settle.back()});
    }
    if (Kernel anew = writer.ratios_anew(false); !anew.stores.empty()) {
      entry.settle.push_back(add(std::move(anew)));
      program.plan.begin.push_back({add(writer.ratios_anew(true))});
    }
    if (how.rounding.valid()) {
      for (const ExprId value : rounding_values(pool, how.rounding)) {
        Kernel kernel = writer.of_sums("rounding", true);
        kernel.stores.push_back({.into = how.rounding, .value = value});
        program.plan.begin.push_back({add(std::move(kernel))});
      }
    }
    if (how.below.valid()) {
      Kernel none = writer.of_sums("no_trace_is_negative", true);
      zero(none, how.below);
      program.plan.begin.push_back({add(std::move(none))});
      Kernel some{.name = projection.prefix + "negative_traces", .domain = draft.populations[projection.pre].space};
      ExprId any = pool.constant(0);
      for (const ExprId trace : how.traces)
        any = simple(pool, Op::Or, any, pool.make(Op::Less, pool.load(ColumnId{pool[trace].leaf.index}, At::Self), pool.constant(0)));
      some.accumulates.push_back({.into = how.below, .at = At::Uniform, .combine = Combine::Max, .value = any});
      program.plan.begin.push_back({add(std::move(some))});
    }
    if (how.replayed()) entry.counts = how.products[how.counter].sum, entry.events = how.post_spikes, entry.most = how.most_past();
    program.plan.deferred.push_back(std::move(entry));
  }
}

}  // namespace hebb
