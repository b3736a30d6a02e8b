#pragma once
// Warnings: nothing wrong, but most likely not what was meant.

#include "compiler/sema/dynamics.h"
#include "compiler/sema/files.h"

namespace hebb::sema {

/// W01, W07 and W10 for one rule of the main file, when nothing else is wrong with it.
void lint_rule(Reading& reading);
void lint_neuron(Reading& reading);
/// Unknown names in functions that nothing of the file calls.
void check_uncalled_functions(Session& session, FileTable& table);
/// W09 for the runs of a file's experiments whose step is written out.
void lint_steps(Session& session, const ast::File& file);
/// Names that experiments, tests and records mention: they are used, whatever the rule says.
void collect_mentioned(Session& session, const ast::File& file);

}  // namespace hebb::sema
