#pragma once
// Which form the synapses of a rule take on a sparse projection, for `hebb explain`: what is looked at when,
// and what stood in the way of less.

#include <string>

#include "compiler/model/model.h"

namespace hebb {

/// Empty for rules that no spike moves.
std::string sparse_forms(const Model& model, const Rule& rule);

/// Whether a grid step without clocks and events of the host leaves the synapses of this rule alone, but for those of neurons that spike.
bool waits_for_spikes(const Model& model, const Rule& rule);

}  // namespace hebb
