#pragma once
// What an update costs, per synapse and per neuron, after staging: for `explain`.

#include <map>
#include <string>
#include <vector>

#include "compiler/model/model.h"

namespace hebb {

struct Cost {
  int multiply_adds = 0;             // additions, products, and both in one
  int others = 0;                    // divisions, comparisons, choices, rounding
  std::map<std::string, int> calls;  // "exp" → 2
  bool nothing() const { return multiply_adds == 0 && others == 0 && calls.empty(); }
};

/// Costs of some values by where they have to be computed: index by Locus. What only mentions one neuron
/// counts there; shared values are free.
struct Costs { Cost at[4]; };
Costs cost_of(const Model& model, const std::vector<ExprId>& values);

/// "1 multiply-add per synapse, 2 multiply-adds and 1 exp per pre neuron"; empty when free.
std::string describe(const Costs& costs);
/// For neurons: "per neuron" is all there is.
std::string describe_per_neuron(const Costs& costs);

}  // namespace hebb
