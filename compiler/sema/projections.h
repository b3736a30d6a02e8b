#pragma once
// A projection while it is being read.

#include "compiler/sema/networks.h"

namespace hebb::sema {

struct ProjectionReading {
  NetworkReading& network;
  ProjectionDef& def;
  const ast::Projection& decl;
  Scope scope;               // the rule's variables, before the network's names
  std::set<uint32_t> bound;  // variables and events of the rule that a bind provides
  std::set<std::string> bound_events;
  bool in_bind = false;      // names of neurons are their own: what a bind provides is for the rule and the drives
  Session& session() const { return network.session; }
  Frame& frame() const { return network.frame; }
  const Neuron* neuron(bool pre) const { return neuron_of_population(network, pre ? def.pre : def.post); }
};

/// Where a signal or an event of the rule, or a value of its neurons, comes from.
void read_bind(ProjectionReading& p, const ast::Bind& bind);
/// Q01: what the rule needs and no bind provides must be there under its own name.
void check_needs(ProjectionReading& p);

}  // namespace hebb::sema
