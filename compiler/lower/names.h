#pragma once
// The names that an expression of the file mentions, members included: "E", "spike".

#include <set>
#include <string>

#include "compiler/ast/ast.h"

namespace hebb {

std::set<std::string> mentioned_names(const ast::ExprPtr& expression);

}  // namespace hebb
