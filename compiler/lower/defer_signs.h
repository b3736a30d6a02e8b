#pragma once
// How a weight keeps within its bounds although what changes it waits.

#include <vector>

#include "compiler/expr/polynomial.h"
#include "compiler/lower/defer.h"

namespace hebb {

/// `found` with its signs, and what is kept because of them; or with the obstacle that they are. `carriers`: those of its products.
Deferral with_signs(Draft& draft, const Instance& projection, const std::vector<Monomial>& carriers, Deferral found);

}  // namespace hebb
