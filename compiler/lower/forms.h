#pragma once
// Which form the synapses of a rule take on a sparse projection, for `hebb explain`: what is looked at when,
// and what stood in the way of less.

#include <string>

#include "compiler/model/model.h"

namespace hebb {

/// Empty for rules that no spike moves.
std::string sparse_forms(const Model& model, const Rule& rule);

}  // namespace hebb
