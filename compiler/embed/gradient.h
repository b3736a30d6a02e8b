#pragma once
// The reverse of one moment and of one step of a rule, for objects and libhebb: NAME_vjp.

#include "compiler/embed/unit.h"

namespace hebb {

/// Weights, states, parameters, and the values that a host gives have derivatives.
bool has_derivative(EmbedField::Kind kind);
/// Weights and states: what a step makes of them is what a loss is a function of.
bool is_carried(EmbedField::Kind kind);

/// A bar for each field that has a derivative, in the order of the fields. A failure says what stands in the way.
Result<ObjectGradient> embed_gradient(const EmbedUnit& unit);

}  // namespace hebb
