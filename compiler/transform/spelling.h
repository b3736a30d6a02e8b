#pragma once
// Model expressions as people wrote them.

#include <string>

#include "compiler/model/model.h"

namespace hebb {

/// "x", "pre.r", "history[3]", "W1[2, 0]"
std::string spelled(const Model& model, VarId variable, uint32_t element);
std::string spelled(const Model& model, ExprId expression);

}  // namespace hebb
