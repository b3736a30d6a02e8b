// Delays of projections: of all synapses alike, a parameter; of single synapses, part of what their list says.

#include "compiler/lower/draft_parts.h"
#include "compiler/lower/reader.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

ColumnId delay_parameter(Draft& draft, Instance& projection, const std::string& name, double ms) {
  const ColumnId delay = add_column(draft, projection.prefix + name, draft.uniform, Role::Param);
  draft.program.columns[delay.value].unit = "ms";
  projection.delays.emplace_back(delay, ms);
  return delay;
}

/// Events of neurons that the projection acts on, each with a column that shows it late.
void delay_events(Draft& draft, Instance& projection, const std::string& side, const std::string& name, double ms,
                  const Instance& neurons, std::map<std::string, ColumnId>& late) {
  const ColumnId delay = delay_parameter(draft, projection, name, ms);
  for (const auto& [event, from] : neurons.events) {
    const ColumnId into = add_column(draft, cat(projection.prefix, side, event), neurons.space, Role::Indicator);
    late[event] = into;
    draft.program.plan.delays.push_back({.from = from, .into = into, .delay = delay});
  }
}

/// Events as they come to synapses with delays of their own; see Bucketed.
void delay_each(Draft& draft, Instance& projection) {
  const ProjectionDef& def = *projection.projection;
  Bucketed bucketed{.space = projection.space, .late = {}, .sums = {}};
  const auto late = [&](bool pre, const Instance& neurons, std::map<std::string, ColumnId>& into) {
    for (const auto& [event, from] : neurons.events) {
      into[event] = add_column(draft, cat(projection.prefix, pre ? "pre." : "post.", event), neurons.space, Role::Indicator);
      bucketed.late.push_back({.from = from, .into = into[event], .pre = pre});
    }
  };
  if (def.axon.each()) late(true, draft.populations[projection.pre], projection.arrivals);
  if (def.bap.each()) late(false, draft.populations[projection.post], projection.returns);
  projection.bucketed = static_cast<int>(draft.program.plan.bucketed.size());
  draft.program.plan.bucketed.push_back(std::move(bucketed));
}

}  // namespace

void add_delays(Draft& draft, Instance& projection) {
  const ProjectionDef& def = *projection.projection;
  const Instance& pre = draft.populations[projection.pre];
  const Instance& post = draft.populations[projection.post];
  if (def.axon_ms > 0 && !def.axon.each()) delay_events(draft, projection, "pre.", "delay_axon", def.axon_ms, pre, projection.arrivals);
  if (def.bap_ms > 0 && !def.bap.each()) delay_events(draft, projection, "post.", "delay_bap", def.bap_ms, post, projection.returns);
  if (def.dend_ms > 0 && !def.dend.each()) projection.dendrite = delay_parameter(draft, projection, "delay_dend", def.dend_ms);
  if (def.axon.each() || def.dend.each() || def.bap.each()) delay_each(draft, projection);
}

void say_delays(Draft& draft, const LowerOptions& options) {
  for (const Instance& projection : draft.projections) {
    if (projection.bucketed < 0) continue;
    Connect& connect = draft.program.spaces[projection.space.value].connect;
    connect.dt_ms = options.dt_ms;
    const auto say = [&](const SynapseDelayDef& def, const char* name, SynapseDelay& delay) {
      if (def.drawn.valid()) delay.drawn = Reader(draft, projection, Frame::Synapse)(def.drawn);
      const auto listed = options.delays.find(projection.prefix + name);
      if (!def.file_column.empty())
        delay.listed = listed != options.delays.end() ? listed->second : std::make_shared<const std::vector<double>>();
    };
    say(projection.projection->axon, "axon", connect.axon);
    say(projection.projection->dend, "dend", connect.dend);
    say(projection.projection->bap, "bap", connect.bap);
  }
}

}  // namespace hebb
