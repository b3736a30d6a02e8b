#pragma once
// run NETWORK for DURATION with (…): settings, lanes of a batch, feeds and recordings around Simulation.

#include "compiler/experiment/evaluate.h"

namespace hebb {

std::optional<Value> evaluate_run(Evaluation& e, const ast::Run& run, Span span);

/// What a run kept of a recording that is only mentioned inside final(…); nothing for other expressions.
std::optional<Value> kept_final(Evaluation& e, const ast::Expr& expr);

}  // namespace hebb
