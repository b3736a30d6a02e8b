#pragma once
// AST → Model: names, imports, shapes, dimensions, the affine-in-spikes check, locality contracts,
// requirements of rules on neurons. Every user mistake that can be seen without data is found here.

#include "compiler/ast/ast.h"
#include "compiler/model/model.h"
#include "compiler/support/diagnostic.h"

namespace hebb {

struct CheckOptions {
  std::string std_root;                     // folder of `std.` imports (the stdlib)
  std::map<std::string, std::string> sets;  // --set NAME=VALUE, as text
  bool lints = true;
};

/// `sources` grows by the imported files.
Model check(const ast::File& file, Sources& sources, const CheckOptions& options, Diagnostics& diags);

/// W09 for what `solve` found to need steps: of a model that has been solved.
void lint_solved_steps(Model& model, const ast::File& file, Diagnostics& diags);

}  // namespace hebb
