#pragma once
// Which form the synapses of a rule take on a sparse projection, for `hebb explain`: what is looked at when,
// and what stood in the way of less.

#include <map>
#include <string>

#include "compiler/model/model.h"

namespace hebb {

/// Empty for rules that no spike moves. `given`: parameters that have other values than the rule says, by name.
std::string sparse_forms(const Model& model, const Rule& rule, const std::map<std::string, double>& given = {});
/// Those of a projection that are numbers.
std::map<std::string, double> numbers_set(const Model& model, const ProjectionDef& projection);

/// Whether a grid step without clocks and events of the host leaves the synapses of this rule alone, but for those of neurons that spike.
bool waits_for_spikes(const Model& model, const Rule& rule);

}  // namespace hebb
