/* A C11 program that finds the learning rate of Oja's rule from a weight it has seen: gradient descent back
 * through every step, with the oja_vjp of one object file. No Hebb, no LLVM, no C++. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oja.h"

enum { kSteps = 40 };

static void must(int code) {
  if (code == OJA_OK) return;
  fprintf(stderr, "%s\n", oja_error_text(code));
  exit(1);
}

/* One block of one synapse, and what a step needs. */
static oja block = OJA_BLOCK(1, 1);
static oja_inputs moment = OJA_INPUTS;
static const double pre = 1.0, post = 0.8;

/* The weight after all steps, with the block before each of them kept in `kept`. */
static double run(double eta, char *kept, const void *memory, int64_t bytes) {
  must(oja_start(&block));
  *block.eta = eta;
  for (int step = 0; step < kSteps; ++step) {
    memcpy(kept + step * bytes, memory, (size_t)bytes);
    must(oja_step(&block, &moment, 10));
  }
  return *block.w;
}

int main(void) {
  const int64_t bytes = oja_bytes(&block);
  void *memory = aligned_alloc(64, (size_t)bytes);
  must(oja_init(&block, memory, bytes, 1));
  moment.pre_r = &pre;
  moment.pre_r_count = 1;
  moment.post_r = &post;
  moment.post_r_count = 1;
  const int64_t needed = (oja_vjp_bytes(&block) + 63) / 64 * 64;
  void *work = aligned_alloc(64, (size_t)needed);
  char *kept = malloc((size_t)bytes * kSteps);
  double *w_bar = calloc((size_t)(block.n_pre * block.row), sizeof *w_bar); /* laid out like block.w */
  double eta_bar;
  oja_gradients gradients = OJA_GRADIENTS;
  gradients.w = w_bar;
  gradients.eta = &eta_bar;

  const double truth = 2.5e-4, seen = run(truth, kept, memory, bytes);
  double eta = 1e-4;
  for (int round = 0; round < 50; ++round) {
    const double w = run(eta, kept, memory, bytes);
    w_bar[0] = 1;
    eta_bar = 0;
    for (int step = kSteps; step-- > 0;) { /* backwards, from each step's own start */
      memcpy(memory, kept + step * bytes, (size_t)bytes);
      must(oja_vjp(&block, &moment, 10, &gradients, work, needed));
    }
    eta -= (w - seen) / eta_bar; /* Newton: eta_bar is d(w at the end)/d(eta) */
  }
  printf("seen w = %.6f; eta found: %.3g per ms, true: %.3g\n", seen, eta, truth);

  /* What a host can do wrong with it. */
  oja_gradients old = gradients;
  old.abi_version = 0;
  int wrong = oja_vjp(&block, &moment, 10, &old, work, needed) != OJA_ERROR_ABI;
  wrong += oja_vjp(&block, &moment, -1, &gradients, work, needed) != OJA_ERROR_DT;
  wrong += oja_vjp(&block, &moment, 10, NULL, work, needed) != OJA_ERROR_NULL;
  wrong += oja_vjp(&block, &moment, 10, &gradients, work, 64) != OJA_ERROR_MEMORY;
  free(w_bar);
  free(kept);
  free(work);
  free(memory);
  return wrong + (fabs(eta - truth) > 1e-12);
}
