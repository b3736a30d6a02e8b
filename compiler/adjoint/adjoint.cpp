#include "compiler/adjoint/adjoint.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <set>

#include "compiler/adjoint/activity.h"
#include "compiler/adjoint/moved.h"
#include "compiler/adjoint/reverse_parts.h"
#include "compiler/adjoint/through_value.h"
#include "compiler/adjoint/versions.h"
#include "compiler/adjoint/whole_run.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

std::vector<KernelId> sequence(const std::vector<Launch>& launches, When flavour) {
  std::vector<KernelId> kernels;
  for (const Launch& launch : launches) {
    if (launch.when == When::Always || launch.when == flavour) kernels.push_back(launch.kernel);
  }
  return kernels;
}

/// Makes the reverse kernels of one flavour of a step, last kernel first.
class Reverse {
 public:
  Reverse(Program& program, const Activity& activity, std::map<ColumnId, ColumnId>& adjoints,
          const std::set<ColumnId>& persistent, const KeptValues& kept, OwedByNeuron& owed, bool adds = false)
      : program_(program), activity_(activity), adjoints_(adjoints), persistent_(persistent), kept_(kept), owed_(owed),
        adds_(adds) {}

  /// Dense adjoints in `needed` to which nothing contributed become zero.
  std::vector<KernelId> operator()(const std::vector<KernelId>& forward,
                                   const std::vector<ColumnId>& needed) {
    Ties ties = count_ties(program_, forward, kept_);
    ties_ = std::move(ties.columns);
    kernels_ = std::move(ties.kernels);
    for (const auto& [extreme, column] : ties_) extra_zero.push_back(column);
    std::map<std::pair<ColumnId, uint32_t>, int> stores_before;
    for (const KernelId id : forward)
      for (const Store& store : program_[id].stores) ++stores_before[{store.into, store.element}];
    changes_ = stores_before;
    for (const KernelId id : forward)
      for (const Accumulate& sum : program_[id].accumulates) ++changes_[{sum.into, sum.element}];
    for (size_t i = forward.size(); i-- > 0;) {
      const Kernel kernel = program_[forward[i]];
      forward_ = forward[i];
      std::vector<Store> again;   // what an earlier kernel of the step stored as well
      for (const Store& store : kernel.stores)
        if (--stores_before[{store.into, store.element}] > 0) again.push_back(store);
      reverse_kernel(kernel, again);
    }
    for (const ColumnId now : needed) {
      const ColumnId adjoint = adjoints_.at(now);
      if (!first_touch_stores(now)) continue;
      Kernel kernel{.name = cat("zero ", program_[adjoint].name), .domain = program_[now].space};
      for (uint32_t element = 0; element < program_[now].width; ++element) {
        if (touched_.contains({adjoint, element})) continue;
        kernel.stores.push_back({adjoint, element, program_.pool.constant(0)});
      }
      if (!kernel.stores.empty()) kernels_.push_back(program_.add(std::move(kernel)));
    }
    return std::move(kernels_);
  }

  std::vector<ColumnId> extra_zero;  // columns made here that the host zeroes before each reverse step

 private:
  /// By uniform adjoint of one step: a sum for each neuron, and which elements.
  using NeuronSums = std::map<ColumnId, std::pair<ColumnId, std::set<uint32_t>>>;

  bool dense(ColumnId column) const {
    return program_[program_[column].space].kind == SpaceKind::Dense;
  }
  /// Adjoints of dense columns are never zeroed in a pass of their own: whoever comes first stores.
  bool first_touch_stores(ColumnId column) const {
    return dense(column) && !persistent_.contains(column) && !adds_;
  }

  /// `again`: values that this kernel replaces; the kernel that stored them before owes nothing for the results of
  /// this one.
  void reverse_kernel(const Kernel& forward, const std::vector<Store>& again) {
    ExprPool& pool = program_.pool;
    ExprId total;
    const auto seed = [&](ColumnId into, At at, uint32_t element, ExprId value) {
      if (!activity_.active(into)) return;
      const ExprId term = pool.mul(pool.load(adjoints_.at(into), at, element), value);
      total = total.valid() ? pool.add(total, term) : term;
    };
    const bool uniform = program_[forward.domain].kind == SpaceKind::Uniform;
    const bool dense_kernel = program_[forward.domain].kind == SpaceKind::Dense;
    const At own = uniform ? At::Uniform : At::Self;
    for (const Store& store : forward.stores) seed(store.into, own, store.element, store.value);
    for (size_t k = 0; k < forward.accumulates.size(); ++k) {
      const Accumulate& sum = forward.accumulates[k];
      if (sum.combine == Combine::Sum) {
        seed(sum.into, sum.at, sum.element, sum.value);
      } else if (activity_.active(sum.into)) {
        const ExprId share = share_of_extreme(pool, sum, adjoints_.at(sum.into), kept_.at({forward_.value, k}),
                                              ties_.at({sum.into, sum.element}));
        const ExprId term = pool.mul(share, sum.value);
        total = total.valid() ? pool.add(total, term) : term;
      }
    }
    if (!total.valid()) return;
    PulledScans scanned = pull_scans(program_, forward, total);
    total = scanned.total;
    kernels_.insert(kernels_.end(), scanned.before.begin(), scanned.before.end());
    extra_zero.insert(extra_zero.end(), scanned.zero.begin(), scanned.zero.end());

    std::vector<ExprId> leaves;
    for (const ExprId leaf : load_leaves(pool, {total})) {
      const ColumnId column{pool[leaf].leaf.index};
      if (column.value < activity_.from_targets.size() && activity_.active(column)) leaves.push_back(leaf);
    }
    if (leaves.empty()) return;
    std::vector<ExprId> partials = simplify(pool, gradient(pool, total, leaves));
    if (dense_kernel) partials = through_values(pool, total, forward.stores, leaves, std::move(partials));

    Kernel kernel{.name = cat("adjoint of ", forward.name), .domain = forward.domain};
    std::vector<FixedSum> fixed;
    NeuronSums by_neuron;
    for (size_t i = 0; i < leaves.size(); ++i) {
      contribute(kernel, fixed, by_neuron, pool[leaves[i]].leaf, partials[i]);
    }
    for (const Store& store : again)
      if (activity_.active(store.into)) kernel.stores.push_back({adjoints_.at(store.into), store.element, pool.constant(0)});
    std::vector<ExprId> roots;
    for (const Store& store : kernel.stores) roots.push_back(store.value);
    for (const Accumulate& sum : kernel.accumulates) roots.push_back(sum.value);
    if (dense_kernel) roots = gather_row_factors(pool, roots, level_over_synapses);
    if (program_[forward.domain].kind == SpaceKind::Neurons) roots = read_stored(pool, held_after(forward), std::move(roots));
    roots = form_fma(pool, roots);
    size_t next = 0;
    for (Store& store : kernel.stores) store.value = roots[next++];
    for (Accumulate& sum : kernel.accumulates) sum.value = roots[next++];
    if (kernel.stores.empty() && kernel.accumulates.empty()) return;
    kernel.scans = needed_scans(pool, scanned.scans, roots);
    std::vector<Kernel> after = separate_sums(kernel);
    for (Kernel& part : separate_spaces(kernel)) after.push_back(std::move(part));
    for (const auto& [adjoint, sum] : by_neuron)
      after.push_back(add_over_neurons(program_, sum.first, adjoint, sum.second));
    if (!kernel.stores.empty() || !kernel.accumulates.empty()) kernels_.push_back(program_.add(std::move(kernel)));
    for (const Kernel& part : after) kernels_.push_back(program_.add(part));
    for (const KernelId added : add_fixed_sums(program_, fixed)) kernels_.push_back(added);
  }

  /// Those stores that no other kernel of the step changes.
  std::vector<Store> held_after(const Kernel& forward) const {
    std::vector<Store> out;
    for (const Store& store : forward.stores)
      if (activity_.active(store.into) && changes_.at({store.into, store.element}) == 1) out.push_back(store);
    return out;
  }

  /// A kernel over neurons may read its row of another space of the same size, but not store there: a kernel over that
  /// space does, and reads the row from there.
  std::vector<Kernel> separate_spaces(Kernel& kernel) {
    std::map<uint32_t, Kernel> others;
    if (program_[kernel.domain].kind != SpaceKind::Neurons) return {};
    std::erase_if(kernel.stores, [&](const Store& store) {
      const SpaceId space = program_[store.into].space;
      if (space == kernel.domain) return false;
      Kernel& other = others[space.value];
      other.name = kernel.name;
      other.domain = space;
      other.stores.push_back(store);
      return true;
    });
    std::vector<Kernel> out;
    for (auto& [space, other] : others) out.push_back(std::move(other));
    return out;
  }

  /// A column that a dense kernel reads through both indices would be accumulated into through both at
  /// once: the sum along Pre gets a column of its own and is added afterwards.
  std::vector<Kernel> separate_sums(Kernel& kernel) {
    std::set<ColumnId> by_post;
    for (const Accumulate& sum : kernel.accumulates) {
      if (sum.at == At::Post) by_post.insert(sum.into);
    }
    std::map<ColumnId, ColumnId> apart;
    std::vector<Kernel> sums;
    for (Accumulate& sum : kernel.accumulates) {
      if (sum.at != At::Pre || !by_post.contains(sum.into)) continue;
      const ColumnId into = sum.into;
      if (!apart.contains(into)) {
        apart[into] = add_like(program_, into, cat(program_[into].name, "/pre", program_.columns.size()),
                               Role::Value);
        Kernel add{.name = cat("add ", program_[into].name), .domain = program_[into].space};
        for (uint32_t element = 0; element < program_[into].width; ++element) {
          add.stores.push_back({into, element,
                                program_.pool.add(program_.pool.load(into, At::Self, element),
                                                  program_.pool.load(apart[into], At::Self, element))});
        }
        sums.push_back(std::move(add));
        extra_zero.push_back(apart[into]);
      }
      sum.into = apart[into];
    }
    return sums;
  }

  /// Of a uniform adjoint: how much each neuron owes. False: the kernel adds it up itself.
  bool contribute_by_neuron(Kernel& kernel, NeuronSums& by_neuron, const Leaf& leaf, ExprId partial) {
    const Space& domain = program_[kernel.domain];
    const ColumnId column{leaf.index};
    const ColumnId adjoint = adjoints_.at(column);
    const bool lasts = persistent_.contains(column);
    if (domain.kind == SpaceKind::Neurons && lasts) {
      const ColumnId own = owed_.column(adjoint, kernel.domain, leaf.element);
      const ExprId before = program_.pool.load(own, At::Self, leaf.element);
      kernel.stores.push_back({own, leaf.element, program_.pool.add(before, partial)});
      return true;
    }
    if (domain.kind != SpaceKind::Dense) return false;
    ColumnId own;
    if (lasts) {
      own = owed_.column(adjoint, domain.post, leaf.element);
    } else {
      auto& [sum, elements] = by_neuron[adjoint];
      if (!sum.valid()) {
        Column made = program_[adjoint];
        made.name = cat(made.name, "/", program_[domain.post].name, program_.columns.size());
        made.space = domain.post;
        sum = program_.add(std::move(made));
        extra_zero.push_back(sum);
      }
      elements.insert(leaf.element);
      own = sum;
    }
    kernel.accumulates.push_back({own, leaf.element, At::Post, Combine::Sum, partial});
    return true;
  }

  void contribute(Kernel& kernel, std::vector<FixedSum>& fixed, NeuronSums& by_neuron, const Leaf& leaf, ExprId partial) {
    ExprPool& pool = program_.pool;
    const ColumnId column{leaf.index};
    const ColumnId adjoint = adjoints_.at(column);
    if (pool.is_constant(partial, 0)) return;
    if (leaf.at == At::Fixed) {
      const ColumnId sum = add_beside(program_, program_[program_.dt].space, cat(program_[adjoint].name, "/fixed"));
      extra_zero.push_back(sum);
      fixed.push_back({adjoint, leaf.element, sum});
      kernel.accumulates.push_back({sum, 0, At::Uniform, Combine::Sum, partial});
      return;
    }
    if (leaf.at == At::Uniform && contribute_by_neuron(kernel, by_neuron, leaf, partial)) return;
    if (leaf.at != At::Self) {
      kernel.accumulates.push_back({adjoint, leaf.element, leaf.at, Combine::Sum, partial});
      return;
    }
    const bool first = touched_.insert({adjoint, leaf.element}).second;
    const ExprId value = first && first_touch_stores(column)
                             ? partial
                             : pool.add(pool.load(adjoint, At::Self, leaf.element), partial);
    kernel.stores.push_back({adjoint, leaf.element, value});
  }

  Program& program_;
  const Activity& activity_;
  std::map<ColumnId, ColumnId>& adjoints_;
  const std::set<ColumnId>& persistent_;
  const KeptValues& kept_;
  OwedByNeuron& owed_;                        // to uniform adjoints that last for the whole run
  bool adds_;                                 // to what other kernels left
  KernelId forward_;                          // being reversed
  std::map<std::pair<ColumnId, uint32_t>, int> changes_;   // by element of a column: how often a step stores or sums it
  std::map<ExtremeId, ColumnId> ties_;
  std::set<std::pair<ColumnId, uint32_t>> touched_;
  std::vector<KernelId> kernels_;
};

std::vector<KernelId> without(std::vector<KernelId> kernels, const std::vector<KernelId>& left_out) {
  std::erase_if(kernels, [&](KernelId id) { return std::find(left_out.begin(), left_out.end(), id) != left_out.end(); });
  return kernels;
}

bool whole_run(const Program& program, ColumnId column) {
  return program[column].role == Role::Param;
}

std::optional<AdjointRefusal> refuse(const Program& program, const Activity& activity,
                                     const std::vector<KernelId>& kernels,
                                     std::span<const std::pair<ColumnId, ColumnId>> carries,
                                     std::span<const KernelId> init,
                                     std::span<const ColumnId> targets, std::span<const ColumnId> events) {
  using Why = AdjointRefusal::Why;
  for (uint32_t i = 0; i < program.columns.size(); ++i) {
    const bool event = program.columns[i].role == Role::Indicator ||
                       std::find(events.begin(), events.end(), ColumnId{i}) != events.end();
    if (event && activity.active(ColumnId{i})) {
      return AdjointRefusal{Why::SpikeTimes, path_to(program, activity, ColumnId{i})};
    }
  }
  for (const KernelId id : kernels) {
    const Kernel& kernel = program[id];
    for (const Accumulate& sum : kernel.accumulates) {   // initial values have no maxima over synapses
      if (sum.combine == Combine::Sum || !activity.active(sum.into)) continue;
      if (std::find(init.begin(), init.end(), id) == init.end()) continue;
      return AdjointRefusal{Why::Unsupported, path_to(program, activity, sum.into)};
    }
  }
  for (const ColumnId target : targets) {
    if (activity.to_outputs[target.value]) continue;
    const Activity alone = find_activity(program, kernels, carries, std::span(&target, 1), {});
    AdjointRefusal refusal{Why::NoPath, {program[target].name}};
    for (uint32_t i = 0; i < program.columns.size(); ++i)
      if (alone.from_targets[i] && ColumnId{i} != target) refusal.path.push_back(program.columns[i].name);
    return refusal;
  }
  return {};
}

}  // namespace

AdjointResult adjoint(const Program& primal, std::span<const ColumnId> targets,
                      std::span<const ColumnId> outputs, std::span<const ColumnId> events) {
  Adjoint result{.program = primal};
  Program& program = result.program;

  const std::vector<KernelId> quiet = sequence(primal.plan.step, When::Quiet);
  const std::vector<KernelId> eventful = sequence(primal.plan.step, When::Eventful);
  result.has_eventful = !primal.plan.clocks.empty() || quiet != eventful;
  std::set<ColumnId> stored = states_stored(primal, quiet);
  stored.merge(states_stored(primal, eventful));

  Versions versions(program, stored);
  result.once.forward = whole_run_kernels(primal, quiet, result.has_eventful ? eventful : quiet, outputs);
  result.quiet.forward = versions.rewrite(without(quiet, result.once.forward));
  if (result.has_eventful) result.eventful.forward = versions.rewrite(without(eventful, result.once.forward));
  result.begin.forward = sequence(primal.plan.begin, When::Always);
  result.init.forward = sequence(primal.plan.init, When::Always);

  std::vector<KernelId> all = result.once.forward;
  all.insert(all.end(), result.begin.forward.begin(), result.begin.forward.end());
  all.insert(all.end(), result.quiet.forward.begin(), result.quiet.forward.end());
  all.insert(all.end(), result.eventful.forward.begin(), result.eventful.forward.end());
  all.insert(all.end(), result.init.forward.begin(), result.init.forward.end());
  std::vector<std::pair<ColumnId, ColumnId>> carries;
  for (const ColumnId state : stored) carries.emplace_back(versions.next(state), state);
  // An output that is a state means its value after the step.
  std::vector<ColumnId> after_step;
  for (const ColumnId output : outputs) after_step.push_back(versions.next(output));

  Activity activity = find_activity(program, all, carries, targets, after_step);
  std::vector<KernelId> in_steps = result.quiet.forward;
  in_steps.insert(in_steps.end(), result.eventful.forward.begin(), result.eventful.forward.end());
  const KeptValues kept = keep_extremes(program, in_steps, activity);
  if (!kept.empty()) activity = find_activity(program, all, carries, targets, after_step);
  if (auto refusal = refuse(program, activity, all, carries, result.init.forward, targets, events)) return {.refusal = std::move(refusal)};

  std::map<ColumnId, ColumnId> adjoints;
  std::set<ColumnId> persistent, same_in_every_step;
  for (const KernelId id : result.once.forward)
    for (const Store& store : program[id].stores) same_in_every_step.insert(store.into);
  std::vector<ColumnId> needed;
  const uint32_t forward_columns = static_cast<uint32_t>(program.columns.size());
  result.adjoint_of.resize(forward_columns);
  for (uint32_t i = 0; i < forward_columns; ++i) {
    const ColumnId column{i};
    if (!activity.active(column)) continue;
    const ColumnId made = add_like(program, column, cat("d/", program[column].name), Role::Value);
    adjoints[column] = result.adjoint_of[i] = made;
    const bool state = program[column].role == Role::State;
    const bool kept = whole_run(program, column) || (state && !stored.contains(column)) ||
                      same_in_every_step.contains(column);
    if (kept) persistent.insert(column);
    if (kept) result.zero_once.push_back(made);
    if (state && !kept) needed.push_back(column);
    const bool dense = program[program[column].space].kind == SpaceKind::Dense;
    if (!kept && !dense) result.zero_each_step.push_back(made);
  }
  // A `next` is seeded by the step after it, never zeroed in between.
  for (const ColumnId state : stored) {
    const auto found = adjoints.find(versions.next(state));
    if (found != adjoints.end()) std::erase(result.zero_each_step, found->second);
  }

  const auto reverse = [&](const std::vector<KernelId>& forward, const std::vector<ColumnId>& nows, OwedByNeuron& owed,
                           bool adds = false) {
    Reverse make(program, activity, adjoints, persistent, kept, owed, adds);
    std::vector<KernelId> kernels = make(forward, nows);
    result.zero_each_step.insert(result.zero_each_step.end(), make.extra_zero.begin(),
                                 make.extra_zero.end());
    return kernels;
  };
  const auto add_up = [&](OwedByNeuron& owed, std::vector<KernelId>& into) {
    for (const KernelId id : owed.add_up()) into.push_back(id);
    for (const ColumnId column : owed.columns()) result.zero_once.push_back(column);
  };
  OwedByNeuron in_steps_owed(program), once_owed(program), init_owed(program);
  result.quiet.reverse = reverse(result.quiet.forward, needed, in_steps_owed);
  if (result.has_eventful) result.eventful.reverse = reverse(result.eventful.forward, needed, in_steps_owed);
  result.begin.reverse = reverse(result.begin.forward, {}, in_steps_owed, true);
  add_up(in_steps_owed, result.once.reverse);
  for (const KernelId id : reverse(result.once.forward, {}, once_owed)) result.once.reverse.push_back(id);
  add_up(once_owed, result.once.reverse);
  result.init.reverse = reverse(result.init.forward, {}, init_owed);
  add_up(init_owed, result.init.reverse);

  result.targets.assign(targets.begin(), targets.end());
  result.outputs = after_step;
  result.depends_on_targets = activity.from_targets;
  result.depends_on_targets.resize(program.columns.size());
  const Activity initially = find_activity(program, result.init.forward, {}, targets, after_step);
  for (const KernelId id : result.init.forward) {
    const auto& stores = program[id].stores;
    const auto& sums = program[id].accumulates;
    const auto moved = [&](const auto& effect) { return initially.from_targets[effect.into.value]; };
    // A parameter that is a target is given, and then set again after its initial kernel ran.
    if (std::any_of(stores.begin(), stores.end(), moved) || std::any_of(sums.begin(), sums.end(), moved))
      result.moved_init.push_back(id);
  }

  const auto adjoint_or_none = [&](ColumnId column) {
    const auto found = adjoints.find(column);
    return found == adjoints.end() ? ColumnId{} : found->second;
  };
  for (uint32_t i = 0; i < primal.columns.size(); ++i) {
    const ColumnId now{i};
    if (primal.columns[i].role != Role::State) continue;
    const ColumnId next = versions.next(now);
    result.carried.push_back({now, next, adjoint_or_none(now), adjoint_or_none(next)});
  }
  result.moved = find_moved(result);
  return {.adjoint = std::move(result)};
}

}  // namespace hebb
