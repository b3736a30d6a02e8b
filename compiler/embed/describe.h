#pragma once
// What a module holds, as JSON: for generators of bindings and for rich display.

#include <string>

#include "compiler/model/model.h"
#include "compiler/support/source.h"

namespace hebb {

/// Rules with their variables and formulas, networks with their parts; `own` marks what `file` itself declares.
std::string describe_module(const Model& model, FileId file, const Sources& sources);

/// The equations of a rule, one a line: "\\dot{w} = …", "\\Delta w = … \\quad \\text{at pre.spike}".
std::vector<std::string> latex_lines(const Model& model, const Rule& rule);

}  // namespace hebb
