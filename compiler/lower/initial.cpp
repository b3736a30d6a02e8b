#include "compiler/lower/reader.h"
#include "compiler/lower/step.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

class Initialiser {
 public:
  explicit Initialiser(Draft& draft) : draft_(draft) {}

  std::vector<Definition> run() {
    for (const Instance& population : draft_.populations) {
      if (population.index.valid()) number_rows(population);
      if (population.neuron) neurons(population);
    }
    for (const Instance& projection : draft_.projections) synapses(projection);
    return std::move(definitions_);
  }

 private:
  const Model& model() const { return *draft_.model; }
  const Column& column(ColumnId id) const { return draft_.program[id]; }

  void define(ColumnId id, SpaceId domain, const std::vector<ExprId>& values) {
    Kernel kernel{.name = "init." + column(id).name, .domain = domain};
    for (uint32_t element = 0; element < values.size(); ++element)
      kernel.stores.push_back({.into = id, .element = element, .value = values[element]});
    definitions_.push_back({.column = id, .kernels = {std::move(kernel)}});
  }

  void define_constant(ColumnId id, double value) {
    define(id, column(id).space, {draft_.program.pool.constant(value)});
  }

  /// No operation knows its row, but a running sum of ones does: over the rows of one column of synapses.
  void number_rows(const Instance& population) {
    const SpaceId one = draft_.program.add(
        Space{.kind = SpaceKind::Neurons, .name = population.prefix + "one", .size = 1});
    const SpaceId rows = draft_.program.add(Space{.kind = SpaceKind::Dense,
                                                  .name = population.prefix + "rows",
                                                  .pre = population.space,
                                                  .post = one});
    const ColumnId count = draft_.program.add(
        Column{.name = population.prefix + "count", .space = rows, .role = Role::Value});
    ExprPool& pool = draft_.program.pool;
    Kernel kernel{.name = "init." + column(population.index).name, .domain = rows};
    kernel.scans.push_back({.as = count, .along = At::Pre, .value = pool.constant(1)});
    const ExprId row = pool.sub(pool.load(count, At::Self), pool.constant(1));
    kernel.accumulates.push_back(
        {.into = population.index, .at = At::Pre, .combine = Combine::Max, .value = row});
    definitions_.push_back({.column = population.index, .kernels = {std::move(kernel)}});
  }

  // --- populations -----------------------------------------------------------------------------

  void neurons(const Instance& population) {
    for (const VarId id : population.neuron->variables) {
      const VarKind kind = model()[id].kind;
      if (kind != VarKind::Param && kind != VarKind::State) continue;
      const ColumnId into = population.columns.at(id);
      const bool uniform = column(into).space == draft_.uniform;
      Reader read(draft_, population, uniform ? Frame::Shared : Frame::Neuron, Reader::Phase::Start);
      define(into, column(into).space, neuron_values(population, id, read));
    }
    periods(population);
    for (const auto& [event, next] : population.next_events) define_constant(next, 0);
    if (population.refractory_left.valid()) define_constant(population.refractory_left, 0);
  }

  std::vector<ExprId> neuron_values(const Instance& population, VarId id, Reader& read) {
    const Assignment* setting = find_setting(population.population->settings, id);
    if (setting && setting->per_neuron)
      return read.per_neuron(setting->value, column(population.columns.at(id)).width);
    return values(id, setting ? setting->value : model()[id].init, read);
  }

  ExprId bounded(VarId id, ExprId value, Reader& read) {
    return model()[id].kind == VarKind::Param ? value : read.clamped(id, value);
  }

  /// One value per element; what is not given is 0.
  std::vector<ExprId> values(VarId id, const std::vector<ExprId>& given, Reader& read) {
    const size_t width = std::max<int64_t>(model()[id].shape.size(), 1);
    std::vector<ExprId> result;
    for (size_t element = 0; element < width; ++element) {
      const ExprId value =
          element < given.size() ? read(given[element]) : draft_.program.pool.constant(0);
      result.push_back(bounded(id, value, read));
    }
    return result;
  }

  void periods(const Instance& instance) {
    for (const auto& [event, indicator] : instance.clocks)
      for (const Clock& clock : draft_.program.plan.clocks)
        if (clock.indicator == indicator) {
          Reader read(draft_, instance, Frame::Shared, Reader::Phase::Start);
          define(clock.period, draft_.uniform, {read(instance.dynamics->events[event].period)});
        }
  }

  // --- projections -----------------------------------------------------------------------------

  void synapses(const Instance& projection) {
    for (const VarId id : projection.rule->variables) {
      const Variable& variable = model()[id];
      const bool param = variable.kind == VarKind::Param;
      if (!param && variable.kind != VarKind::State && variable.kind != VarKind::Weight) continue;
      Frame frame = frame_of(variable.locus);
      if (param) frame = Frame::Shared;
      const bool one = column(projection.columns.at(id)).space == draft_.uniform;
      if (variable.kind == VarKind::Weight) frame = one ? Frame::Shared : Frame::Synapse;
      Reader read(draft_, projection, frame, Reader::Phase::Start);
      std::vector<ExprId> start =
          matrix(projection, id) ? std::vector{bounded(id, read.per_synapse(given(projection, id)), read)}
                                 : values(id, given(projection, id), read);
      if (variable.kind == VarKind::Weight && !one)
        for (ExprId& value : start) value = read.if_connected(value, 0);
      define(projection.columns.at(id), space_of(draft_, projection, frame), start);
    }
    periods(projection);
    for (const auto& [delay, ms] : projection.delays) define_constant(delay, ms);
  }

  bool matrix(const Instance& projection, VarId id) const {
    return draft_.program[projection.columns.at(id)].space == projection.space &&
           given_by_synapse(*draft_.model, projection, id);
  }

  const std::vector<ExprId>& given(const Instance& projection, VarId id) const {
    if (projection.projection) {
      for (const InitDef& init : projection.projection->inits)
        if (init.variable == id) return init.value;
      if (const Assignment* setting = find_setting(projection.projection->settings, id))
        return setting->value;
    }
    return model()[id].init;
  }

  Draft& draft_;
  std::vector<Definition> definitions_;
};

}  // namespace

std::vector<Definition> initial_definitions(Draft& draft) { return Initialiser(draft).run(); }

}  // namespace hebb
