#include "compiler/lower/draft_parts.h"
#include "compiler/lower/forms.h"

namespace hebb {

bool listed(const Draft& draft, const LowerOptions& options, const Instance& instance) {
  const ProjectionDef& projection = *instance.projection;
  constexpr double kMostPairs = 1 << 27;  // 1 GB of indices
  if (projection.axon.each() || projection.dend.each() || projection.bap.each()) return true;
  const double pairs = static_cast<double>(draft.populations[instance.pre].population->size) *
                       static_cast<double>(draft.populations[instance.post].population->size);
  if (options.lists_from <= 0 || pairs < static_cast<double>(options.lists_from) || pairs > kMostPairs) return false;
  if (!projection.self && projection.pre == projection.post) return false;
  if (draft.populations[instance.pre].events.empty()) return false;
  for (const InitDef& init : projection.inits)
    if (given_by_synapse(*draft.model, instance, init.variable)) return false;
  for (const DriveDef& drive : projection.drives)
    if ((*draft.model)[drive.port].kind != VarKind::Receive) return false;
  return !projection.plastic || waits_for_spikes(*draft.model, projection.rule);
}

Connect connect_of(const Draft& draft, const LowerOptions& options, const Instance& instance) {
  const ProjectionDef& projection = *instance.projection;
  Connect connect{.p = projection.p, .degree = projection.degree, .self = projection.self};
  switch (projection.connect) {
    case ConnectKind::All: connect.wiring = Wiring::All; break;
    case ConnectKind::OneToOne: connect.wiring = Wiring::OneToOne; break;
    case ConnectKind::Random: connect.wiring = Wiring::Random; break;
    case ConnectKind::FixedIndegree: connect.wiring = Wiring::FixedIndegree; break;
    case ConnectKind::FixedOutdegree: connect.wiring = Wiring::FixedOutdegree; break;
    case ConnectKind::Distance:
      connect.wiring = Wiring::Distance;
      connect.sigma = projection.sigma;
      connect.within = projection.within;
      connect.wrap = projection.wrap;
      connect.pre_grid = draft.populations[instance.pre].population->grid;
      connect.post_grid = draft.populations[instance.post].population->grid;
      break;
    case ConnectKind::File: {
      connect.wiring = Wiring::List;
      const auto listed = options.edges.find(projection.name);
      connect.edges = listed != options.edges.end() ? listed->second : std::make_shared<const std::vector<Edge>>();
      break;
    }
  }
  return connect;
}

}  // namespace hebb
