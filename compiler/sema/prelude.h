#pragma once
// Functions that are written in the language itself. Read when a file first calls one.

#include "compiler/sema/frame.h"

namespace hebb::sema {

/// Null when the prelude has no such function.
const Global* prelude_function(Session& session, const std::string& name);
std::vector<std::string> prelude_names();

}  // namespace hebb::sema
