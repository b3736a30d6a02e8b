#include "compiler/model/model.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace hebb {

int64_t Shape::size() const {
  int64_t out = 1;
  for (const int64_t extent : extents) out *= extent;
  return out;
}

bool Bounds::bounded() const { return std::isfinite(low) || std::isfinite(high); }

VarId Model::add(Variable variable) {
  variables.push_back(std::move(variable));
  return VarId{static_cast<uint32_t>(variables.size() - 1)};
}

namespace {

template <class Thing>
const Thing* find_named(const std::vector<Thing>& things, std::string_view name) {
  const auto found = std::ranges::find(things, name, &Thing::name);
  return found == things.end() ? nullptr : &*found;
}

}  // namespace

const Rule* Model::find_rule(std::string_view name) const { return find_named(rules, name); }
const Neuron* Model::find_neuron(std::string_view name) const { return find_named(neurons, name); }
const Network* Model::find_network(std::string_view name) const { return find_named(networks, name); }

}  // namespace hebb
