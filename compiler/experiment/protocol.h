#pragma once
// protocol(rule, pre = […], post = […], w = …): one synapse between clamped neurons, in double. Where
// every variable is solved exactly, time goes from event to event; else on a grid of `dt`.

#include "compiler/experiment/evaluate.h"

namespace hebb {

std::optional<Value> evaluate_protocol(Evaluation& e, const ast::Call& call, Span span);

}  // namespace hebb
