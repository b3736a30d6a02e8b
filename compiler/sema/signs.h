#pragma once
// Which way a variable can go: signs of expressions from bounds, start values and equations.

#include "compiler/model/model.h"

namespace hebb::sema {

enum class Sign { Zero, Positive /* 0 or more */, Negative /* 0 or less */, Unknown };

/// Signs of the variables of a rule: parameters by their values, states that start at 0 or above and
/// are never pushed below it.
std::map<uint32_t, Sign> signs_of(Model& model, const Dynamics& dynamics);
Sign sign_of(const Model& model, ExprId root, const std::map<uint32_t, Sign>& variables);

}  // namespace hebb::sema
