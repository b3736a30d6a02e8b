#include <algorithm>
#include <cassert>
#include <iterator>
#include <limits>

#include "compiler/lower/reader.h"
#include "compiler/lower/step.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

class ValueWriter {
 public:
  explicit ValueWriter(Draft& draft) : draft_(draft) {}

  std::vector<Definition> run() {
    for (const auto& [id, column] : draft_.signals) signal(id, column);
    for (const Instance& population : draft_.populations)
      if (population.neuron) neurons(population);
    for (const Instance& projection : draft_.projections) synapses(projection);
    return std::move(definitions_);
  }

 private:
  const Model& model() const { return *draft_.model; }
  ExprPool& pool() { return draft_.program.pool; }
  const Column& column(ColumnId id) const { return draft_.program[id]; }

  Definition& define(ColumnId id) {
    definitions_.push_back({.column = id});
    return definitions_.back();
  }

  void define(ColumnId id, SpaceId domain, const std::string& kernel_name,
              const std::vector<ExprId>& values) {
    Kernel kernel{.name = kernel_name, .domain = domain};
    for (uint32_t element = 0; element < values.size(); ++element)
      kernel.stores.push_back({.into = id, .element = element, .value = values[element]});
    define(id).kernels = {with_scans(draft_, std::move(kernel))};
  }

  static std::vector<ExprId> read_all(Reader& read, const std::vector<ExprId>& roots) {
    std::vector<ExprId> values;
    for (const ExprId root : roots) values.push_back(read(root));
    return values;
  }

  void signal(VarId id, ColumnId into) {
    if (column(into).role == Role::Fed) return;
    Reader read(draft_, draft_.outside, Frame::Shared);
    define(into, draft_.uniform, "signals", read_all(read, model()[id].value));
  }

  // --- populations -----------------------------------------------------------------------------

  void neurons(const Instance& population) {
    for (const auto& [event, indicator] : population.events)
      if (column(indicator).role == Role::Value) emitted(population, event, indicator);
    for (const VarId id : population.neuron->variables) {
      const auto found = population.columns.find(id);
      if (found == population.columns.end() || column(found->second).role != Role::Value) continue;
      neuron_value(population, id, found->second);
    }
  }

  /// What a threshold found in the last step, or a condition on values of this instant finds now.
  void emitted(const Instance& population, const std::string& event, ColumnId indicator) {
    Reader read(draft_, population, Frame::Neuron);
    ExprId any = pool().constant(0);
    const auto either = [&](ExprId one) {
      any = pool().is_constant(any, 0) ? one : pool().make(Op::Or, any, one);
    };
    if (const auto next = population.next_events.find(event); next != population.next_events.end())
      either(pool().load(next->second, At::Self));
    for (const Emission& emission : population.neuron->emissions)
      if (emission.event == event && instantaneous(draft_, population, emission))
        either(read.truth(emission.condition));
    define(indicator, population.space, population.prefix + "values", {any});
  }

  void neuron_value(const Instance& population, VarId id, ColumnId into) {
    const Variable& variable = model()[id];
    const std::string kernel = population.prefix + "values";
    if (variable.kind == VarKind::Receive) {
      drives(population, id, into);
      return;
    }
    const Assignment* setting = find_setting(population.population->settings, id);
    if (variable.kind == VarKind::Input && driven(draft_, population, id)) {
      driven_input(population, id, into, setting);
      return;
    }
    Reader read(draft_, population, Frame::Neuron);
    if (setting) return define(into, population.space, kernel, set_values(population, *setting, read));
    define(into, population.space, kernel, read_all(read, variable.value));
  }

  void driven_input(const Instance& population, VarId port, ColumnId into, const Assignment* setting) {
    if (!setting) {
      drives(population, port, into);
      return;
    }
    const ColumnId sum = draft_.program.find_or_add(Column{.name = column(into).name + "_driven",
                                                           .space = population.space,
                                                           .role = Role::Value});
    drives(population, port, sum);
    Reader read(draft_, population, Frame::Neuron);
    const ExprId own = set_values(population, *setting, read).at(0);
    define(into, population.space, population.prefix + "values",
           {pool().add(own, pool().load(sum, At::Self))});
  }

  /// A signal's row i for neuron i is one load; other lists are looked up by the neuron's number.
  std::vector<ExprId> set_values(const Instance& population, const Assignment& setting, Reader& read) {
    if (!setting.per_neuron) return read_all(read, setting.value);
    if (const ColumnId signal = whole_signal(draft_, population, setting); signal.valid())
      return {pool().load(signal, At::Self)};
    return read.per_neuron(setting.value, column(population.columns.at(setting.variable)).width);
  }

  /// One pass over the synapses for each drive, projections by name: their order in the file is free.
  void drives(const Instance& population, VarId port, ColumnId into) {
    std::vector<const Instance*> sources;
    for (const Instance& projection : draft_.projections)
      if (&draft_.populations[projection.post] == &population) sources.push_back(&projection);
    std::sort(sources.begin(), sources.end(),
              [](const Instance* a, const Instance* b) { return a->name < b->name; });
    const auto late = [&](const Instance* projection) {
      const auto& drives = projection->projection->drives;
      return (projection->dendrite.valid() || projection->projection->dend.each()) &&
             std::any_of(drives.begin(), drives.end(), [&](const DriveDef& drive) { return drive.port == port; });
    };
    if (std::none_of(sources.begin(), sources.end(), late)) {
      define(into).kernels = drive_kernels(sources, port, into);
      return;
    }
    // What is on its way along dendrites is summed on its own, and arrives as a whole.
    std::vector<const Instance*> prompt;
    std::copy_if(sources.begin(), sources.end(), std::back_inserter(prompt), [&](const Instance* p) { return !late(p); });
    const auto value_column = [&](const std::string& name, Role role) {
      return draft_.program.find_or_add(Column{.name = name, .space = population.space, .role = role});
    };
    ExprId all = pool().constant(0);
    if (!prompt.empty()) {
      const ColumnId now = value_column(column(into).name + "_prompt", Role::Value);
      define(now).kernels = drive_kernels(prompt, port, now);
      all = pool().load(now, At::Self);
    }
    for (const Instance* projection : sources) {
      if (!late(projection)) continue;
      const std::string name = projection->prefix + model()[port].name;
      const ColumnId leaves = value_column(name + "_leaves", Role::Value), arrives = value_column(name + "_arrives", Role::Fed);
      define(leaves).kernels = drive_kernels({projection}, port, leaves);
      draft_.visible.insert(leaves.value);
      if (projection->projection->dend.each()) {
        auto& sums = draft_.program.plan.bucketed[static_cast<size_t>(projection->bucketed)].sums;
        if (std::none_of(sums.begin(), sums.end(), [&](const Bucketed::Sum& one) { return one.sum == leaves; }))
          sums.push_back({.sum = leaves, .arrives = arrives});
        const ExprId one = pool().load(arrives, At::Self);
        all = pool().is_constant(all, 0) ? one : pool().add(all, one);
        continue;
      }
      auto& delays = draft_.program.plan.delays;
      const bool known = std::any_of(delays.begin(), delays.end(), [&](const Delayed& d) { return d.into == arrives; });
      if (!known) delays.push_back({.from = leaves, .into = arrives, .delay = projection->dendrite, .values = true});
      const ExprId one = pool().load(arrives, At::Self);
      all = pool().is_constant(all, 0) ? one : pool().add(all, one);
    }
    define(into, population.space, population.prefix + "values", {all});
  }

  std::vector<Kernel> drive_kernels(const std::vector<const Instance*>& sources, VarId port, ColumnId into) {
    std::vector<Kernel> kernels;
    for (const Instance* projection : sources) {
      std::vector<std::pair<uint64_t, ExprId>> amounts;
      for (const DriveDef& drive : projection->projection->drives)
        if (drive.port == port) {
          const ExprId amount = drive_amount(*projection, drive, model()[port].kind);
          amounts.emplace_back(fingerprint(draft_.program, amount), amount);
        }
      std::sort(amounts.begin(), amounts.end());
      for (const auto& [order, amount] : amounts) {
        Kernel kernel = sum(projection->prefix + "drive." + model()[port].name, projection->space, into,
                            At::Post, amount);
        if (by_spike(*projection, model()[port].kind)) {
          kernel.rows = Rows::OfPre;
          kernel.spikes = driving(draft_, *projection);
        }
        kernels.push_back(std::move(kernel));
      }
    }
    return kernels;
  }

  ExprId drive_amount(const Instance& projection, const DriveDef& drive, VarKind port) {
    Reader read(draft_, projection, Frame::Synapse);
    const ExprId value = read.if_connected(read(drive.value), 0);
    if (port != VarKind::Receive) return value;
    if (by_spike(projection, port)) return value;
    return pool().mul(value, pool().load(driving(draft_, projection), At::Pre));
  }

  /// Only the synapses of spiking neurons are looked at.
  bool by_spike(const Instance& projection, VarKind port) const {
    return port == VarKind::Receive && is_sparse(draft_, projection);
  }

  Kernel sum(const std::string& name, SpaceId domain, ColumnId into, At at, ExprId value,
             Combine combine = Combine::Sum) {
    Kernel kernel{.name = name, .domain = domain};
    kernel.accumulates.push_back({.into = into, .at = at, .combine = combine, .value = value});
    return with_scans(draft_, std::move(kernel));
  }

  // --- projections -----------------------------------------------------------------------------

  void synapses(const Instance& projection) {
    for (const VarId id : projection.rule->variables) {
      const auto found = projection.columns.find(id);
      if (found == projection.columns.end() || column(found->second).role != Role::Value) continue;
      const Variable& variable = model()[id];
      if (variable.kind == VarKind::Reduce) reduction(projection, id, found->second);
      if (variable.kind != VarKind::Draw) continue;
      const Frame frame = frame_of(variable.locus);
      Reader read(draft_, projection, frame);
      define(found->second, space_of(draft_, projection, frame), projection.prefix + "draws",
             read_all(read, variable.value));
    }
    for (const auto& [id, into] : projection.let_columns) {
      const bool synapse = column(into).space == projection.space;
      const Frame frame = synapse ? Frame::Synapse : frame_of(model()[id].locus);
      Reader read(draft_, projection, frame);
      std::vector<ExprId> values = read_all(read, model()[id].value);
      for (ExprId& value : values)
        if (synapse) value = read.if_connected(value, 0);
      define(into, column(into).space, projection.prefix + "lets", values);
    }
  }

  void reduction(const Instance& projection, VarId id, ColumnId into) {
    const Reduction& reduction = *projection.reductions.at(id);
    const std::string name = projection.prefix + model()[id].name;
    const SpaceId domain = column(into).space;
    const double infinity = std::numeric_limits<double>::infinity();
    switch (reduction.function) {
      case ReduceFunction::CumSum: return;  // a scan of the kernels that read it
      case ReduceFunction::Count:
        if (is_sparse(draft_, projection)) {
          define(into).kernels = {count(projection, reduction, into, name)};
          return;
        }
        return define(into, domain, name, {synapses_per(projection, reduction.per)});
      case ReduceFunction::Sum: define(into).kernels = {reduce(projection, reduction, into, name)}; return;
      case ReduceFunction::Min:
        define(into).kernels = {reduce(projection, reduction, into, name, Combine::Min, infinity)};
        return;
      case ReduceFunction::Max:
        define(into).kernels = {reduce(projection, reduction, into, name, Combine::Max, -infinity)};
        return;
      case ReduceFunction::Mean: break;
    }
    const ColumnId total = draft_.program.find_or_add(
        Column{.name = name + "_sum", .space = domain, .role = Role::Value});
    define(total).kernels = {reduce(projection, reduction, total, name)};
    const At at = domain == draft_.uniform ? At::Uniform : At::Self;
    ExprId synapses = synapses_per(projection, reduction.per);
    if (is_sparse(draft_, projection)) {
      const ColumnId number = draft_.program.find_or_add(
          Column{.name = name + "_count", .space = domain, .role = Role::Value});
      define(number).kernels = {count(projection, reduction, number, name + "_count")};
      synapses = pool().load(number, at);
    }
    define(into, domain, name + "_mean", {pool().div(pool().load(total, at), synapses)});
  }

  static At side(ast::Per per) {
    if (per == ast::Per::Pre) return At::Pre;
    return per == ast::Per::Post ? At::Post : At::Uniform;
  }

  /// How many synapses there are is known when they have been drawn.
  Kernel count(const Instance& projection, const Reduction& reduction, ColumnId into, const std::string& name) {
    return sum(name, projection.space, into, side(reduction.per), pool().constant(1));
  }

  Kernel reduce(const Instance& projection, const Reduction& reduction, ColumnId into,
                const std::string& name, Combine combine = Combine::Sum, double nothing = 0) {
    Reader read(draft_, projection, Frame::Synapse);
    const ExprId value = read.if_connected(read(reduction.argument), nothing);
    return sum(name, projection.space, into, side(reduction.per), value, combine);
  }

  ExprId synapses_per(const Instance& projection, ast::Per per) {
    if (draft_.pre_count.valid()) return synapses_of_block(per);
    const double pres = static_cast<double>(size(projection.pre));
    const double posts = static_cast<double>(size(projection.post));
    const bool no_self = projection.projection && !projection.projection->self &&
                         projection.pre == projection.post;
    switch (per) {
      case ast::Per::Pre: return pool().constant(posts - no_self);
      case ast::Per::Post: return pool().constant(pres - no_self);
      case ast::Per::Projection: break;
    }
    return pool().constant(pres * posts - (no_self ? pres : 0));
  }

  ExprId synapses_of_block(ast::Per per) {
    const ExprId pres = pool().load(draft_.pre_count, At::Uniform);
    const ExprId posts = pool().load(draft_.post_count, At::Uniform);
    switch (per) {
      case ast::Per::Pre: return posts;
      case ast::Per::Post: return pres;
      case ast::Per::Projection: break;
    }
    return pool().mul(pres, posts);
  }

  int64_t size(int population) const {
    return draft_.program[draft_.populations[population].space].size;
  }

  Draft& draft_;
  std::vector<Definition> definitions_;
};

/// The reduction a column of running sums stands for.
struct Running {
  const Instance* projection = nullptr;
  const Reduction* reduction = nullptr;
};
Running running_sum(const Draft& draft, uint32_t column) {
  for (const Instance& projection : draft.projections)
    for (const auto& [id, reduction] : projection.reductions)
      if (reduction->function == ReduceFunction::CumSum &&
          projection.columns.at(id).value == column)
        return {&projection, reduction};
  return {};
}

void add_scans(Draft& draft, const std::vector<ExprId>& roots, std::vector<Scan>& scans) {
  for (const ExprId id : nodes_below(draft.program.pool, roots)) {
    const ExprNode node = draft.program.pool[id];
    if (node.op != Op::Load || node.leaf.at != At::Self) continue;
    const auto [projection, reduction] = running_sum(draft, node.leaf.index);
    const auto same = [&](const Scan& scan) { return scan.as.value == node.leaf.index; };
    if (!reduction || std::any_of(scans.begin(), scans.end(), same)) continue;
    Reader read(draft, *projection, Frame::Synapse);
    const ExprId value = read.if_connected(read(reduction->argument), 0);
    add_scans(draft, {value}, scans);  // what it reads runs first
    scans.push_back({.as = ColumnId{node.leaf.index},
                     .along = reduction->per == ast::Per::Pre ? At::Post : At::Pre,
                     .value = value});
  }
}

}  // namespace

std::vector<Definition> value_definitions(Draft& draft) { return ValueWriter(draft).run(); }

Kernel with_scans(Draft& draft, Kernel kernel) {
  const std::vector<ExprId> values = roots(kernel);
  add_scans(draft, values, kernel.scans);
  return kernel;
}

}  // namespace hebb
