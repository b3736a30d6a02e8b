#include <algorithm>
#include <cassert>

#include "compiler/lower/draft_parts.h"
#include "compiler/lower/sites.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

std::string events_text(const Dynamics& dynamics, const Jump& jump) {
  std::vector<std::string> names;
  for (const EventId id : jump.events) {
    const Event& event = dynamics.events[id.value];
    names.push_back(cat(static_cast<int>(event.kind), event.name));
  }
  std::sort(names.begin(), names.end());
  return joined(names, ", ");
}

/// What an instance computes, by the names of what it belongs to.
std::vector<DrawRoot> expressions(const Draft& draft, const Instance& instance) {
  std::vector<DrawRoot> all;
  const auto take = [&](const std::string& key, const std::vector<ExprId>& values) {
    for (uint32_t i = 0; i < values.size(); ++i) all.push_back({key, i, values[i]});
  };
  const auto name = [&](VarId id) { return (*draft.model)[id].name; };
  const auto take_variable = [&](VarId id) {
    take(name(id) + " starts", (*draft.model)[id].init);
    take(name(id) + " is", (*draft.model)[id].value);
  };
  if (&instance == &draft.outside)
    for (const auto& [id, column] : draft.signals) take_variable(id);
  if (const Dynamics* dynamics = instance.dynamics) {
    for (const VarId id : dynamics->variables) take_variable(id);
    for (const Jump& jump : dynamics->jumps)
      all.push_back({cat(name(jump.variable), jump.assign ? " := " : " += ", events_text(*dynamics, jump)),
                     jump.element, jump.value});
    for (const Solution& solution : dynamics->solutions)
      all.push_back({name(solution.variable) + " flows", solution.element, solution.next});
  }
  if (instance.population)
    for (const Assignment& setting : instance.population->settings)
      take(name(setting.variable) + " set", setting.value);
  if (instance.neuron)
    for (const Emission& emission : instance.neuron->emissions)
      all.push_back({emission.event + " emitted", 0, emission.condition});
  if (instance.rule)
    for (const Reduction& reduction : instance.rule->reductions)
      all.push_back({name(reduction.variable) + " is", 0, reduction.argument});
  if (const ProjectionDef* projection = instance.projection) {
    for (const Assignment& setting : projection->settings) take(name(setting.variable) + " set", setting.value);
    for (const InitDef& init : projection->inits) take(name(init.variable) + " set", init.value);
    for (const DriveDef& drive : projection->drives) all.push_back({name(drive.port) + " driven", 0, drive.value});
    for (const BindDef& bind : projection->binds) all.push_back({name(bind.target) + " bound", 0, bind.value});
    for (const auto& [key, delay] : {std::pair("axon", &projection->axon), {"bap", &projection->bap}, {"dend", &projection->dend}})
      if (delay->drawn.valid()) all.push_back({cat("delay ", key), 0, delay->drawn});
  }
  return all;
}

}  // namespace

/// Each instance has sites of its own; which ones does not depend on the order of declarations.
void number_draws(Draft& draft) {
  std::vector<Instance*> instances = {&draft.outside};
  for (Instance& instance : draft.populations) instances.push_back(&instance);
  for (Instance& instance : draft.projections) instances.push_back(&instance);
  std::stable_sort(instances.begin(), instances.end(),
                   [](const Instance* a, const Instance* b) { return a->name < b->name; });
  uint32_t next = 0;
  for (Instance* instance : instances) {
    for (const uint32_t site : sites_in_order(*draft.model, expressions(draft, *instance)))
      instance->sites[site] = next++;
  }
  for (const Instance* instance : instances)
    if (instance->projection && instance->projection->connect != ConnectKind::All)
      draft.program.spaces[instance->space.value].connect.site = next++;
  assert(next <= 65536 && "the counter of a draw has room for 65536 sites");
}

}  // namespace hebb
