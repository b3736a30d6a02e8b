#pragma once
// Signals that remember: a function of time, a running mean. A signal has no state, so each becomes a
// population of one neuron that has, and the signal reads it.

#include "compiler/sema/networks.h"

namespace hebb::sema {

/// pulses(at = times, width = T): 1 from each time on for T, else 0; times are rounded to steps, and a
/// pulse lasts one step at least. moving_average(x, n): the mean of x over the n steps before this one,
/// where x was 0 before the first.
Value evaluate_time_signal(NetworkReading& reading, const ast::Expr& expr, const ast::Call& call,
                           const std::string& name);

}  // namespace hebb::sema
