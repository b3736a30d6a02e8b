#pragma once
// The three rules of the rate benchmark as Programs in the form that lowering with staging and fusion
// makes: what is per postsynaptic neuron in a kernel over neurons, then one dense kernel that updates
// and sums.

#include "compiler/program/program.h"

namespace hebb::bench {

struct RateProgram {
  Program program;
  ColumnId x, x_next, y, u, w;   // pre, pre, post, post, dense
  ColumnId eta, theta;           // uniform
  KernelId per_post, update;
};
/// What the coefficients of a polynomial are folded over first.
enum class Fold { Post, Pre };
RateProgram oja_program(int64_t n_pre, int64_t n_post);
RateProgram taylor_program(int64_t n_pre, int64_t n_post, Fold fold);
RateProgram mlp_program(int64_t n_pre, int64_t n_post);

}  // namespace hebb::bench
