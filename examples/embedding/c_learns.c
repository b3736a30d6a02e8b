/* A C11 program that learns with a compiled rule: it links pair_stdp.o and nothing else of Hebb.
 *
 * First it repeats the tests of stdlib/stdp/pair_stdp.hebb and expects their numbers. Then 32 of 64 inputs fire
 * 5 ms before one output neuron and 32 fire 5 ms after it: pair STDP tells causes from consequences. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pair_stdp.h"

static void must(int code, const char *what) {
  if (code == PAIR_STDP_OK) return;
  fprintf(stderr, "%s: %s\n", what, pair_stdp_error_text(code));
  exit(1);
}

static pair_stdp make(int64_t n_pre, int64_t n_post, void **memory) {
  pair_stdp b = PAIR_STDP_BLOCK(n_pre, n_post);
  const int64_t bytes = pair_stdp_bytes(&b);
  if (bytes < 0) must((int)bytes, "bytes");
  *memory = aligned_alloc(64, (size_t)bytes);
  must(pair_stdp_init(&b, *memory, bytes, 1), "init");
  return b;
}

enum { kPre = 1, kPost = 2 };

/* One moment of one synapse. */
static void spikes(pair_stdp *b, int which) {
  static const int32_t first = 0;
  pair_stdp_inputs in = PAIR_STDP_INPUTS;
  if (which & kPre) in.pre_spike = &first, in.pre_spike_count = 1;
  if (which & kPost) in.post_spike = &first, in.post_spike_count = 1;
  must(pair_stdp_instant(b, &in), "instant");
}

static void flow(pair_stdp *b, double dt) { must(pair_stdp_step(b, NULL, dt), "step"); }

static int expect(const char *what, double found, double wanted, double tolerance) {
  const int good = fabs(found - wanted) <= tolerance;
  printf("%-34s %+.7f  expected %+.7f  %s\n", what, found, wanted, good ? "ok" : "WRONG");
  return good;
}

static int library_numbers(void) {
  int good = 1;
  void *memory;
  pair_stdp b = make(1, 1, &memory);
  b.w[0] = 0.5f;
  spikes(&b, kPre);
  flow(&b, 10);
  spikes(&b, kPost);
  good &= expect("post 10 ms after pre", b.w[0] - 0.5, 0.0030326533, 1e-7);

  must(pair_stdp_start(&b), "start");
  b.w[0] = 0.5f;
  spikes(&b, kPost);
  flow(&b, 10);
  spikes(&b, kPre);
  good &= expect("pre 10 ms after post", b.w[0] - 0.5, -0.0031842860, 1e-7);

  must(pair_stdp_start(&b), "start");
  b.w[0] = 0.5f;
  spikes(&b, kPre | kPost);
  good &= expect("both at once", b.w[0] - 0.5, 0, 0);

  must(pair_stdp_start(&b), "start");
  b.w[0] = 0.5f;
  spikes(&b, kPre);
  flow(&b, 10);
  spikes(&b, kPre);
  flow(&b, 5);
  spikes(&b, kPost);
  good &= expect("all pairs count", b.w[0] - 0.5, 0.005 * (exp(-0.75) + exp(-0.25)), 1e-7);

  must(pair_stdp_start(&b), "start");
  *b.A_plus = 1;
  b.w[0] = 0.5f;
  spikes(&b, kPre);
  flow(&b, 1);
  spikes(&b, kPost);
  good &= expect("the weight stops at its bound", b.w[0], 1, 0);
  free(memory);
  return good;
}

static int causes_win(void) {
  enum { kInputs = 64, kTrials = 60 };
  void *memory;
  pair_stdp b = make(kInputs, 1, &memory);
  int32_t causes[kInputs / 2], effects[kInputs / 2], teacher = 0;
  for (int32_t i = 0; i < kInputs; ++i) {
    b.w[i * b.row] = 0.5f;
    (i % 2 ? effects : causes)[i / 2] = i;
  }
  for (int trial = 0; trial < kTrials; ++trial) {
    pair_stdp_inputs in = PAIR_STDP_INPUTS;
    in.pre_spike = causes, in.pre_spike_count = kInputs / 2;
    must(pair_stdp_step(&b, &in, 5), "causes");
    in.pre_spike_count = 0, in.post_spike = &teacher, in.post_spike_count = 1;
    must(pair_stdp_step(&b, &in, 5), "output");
    in.pre_spike = effects, in.pre_spike_count = kInputs / 2, in.post_spike_count = 0;
    must(pair_stdp_step(&b, &in, 190), "consequences");
  }
  must(pair_stdp_sync(&b), "sync");
  double cause = 0, effect = 0;
  for (int i = 0; i < kInputs; i += 2) cause += b.w[i * b.row], effect += b.w[(i + 1) * b.row];
  cause /= kInputs / 2, effect /= kInputs / 2;
  printf("after %d trials: causes %.4f, consequences %.4f\n", (int)kTrials, cause, effect);
  free(memory);
  return cause > 0.7 && effect < 0.3;
}

int main(void) {
  printf("%s\n", pair_stdp_metadata());
  const int numbers = library_numbers();
  const int learned = causes_win();
  return numbers && learned ? 0 : 1;
}
