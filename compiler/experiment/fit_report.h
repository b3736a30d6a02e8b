#pragma once
// What a fit can and cannot know.

#include "compiler/experiment/fit.h"

namespace hebb {

/// Prints the report of a fitted path.
void print_report(Evaluation& e, const std::string& path, Span span);

}  // namespace hebb
