/* A C11 host with lists of synapses: one block for each postsynaptic neuron, whose presynaptic side is its list. It runs
 * a hundred steps of spikes, goes back through all of them with pair_stdp_vjp, block by block, and finds what one block of
 * all pairs finds where there are synapses: the same bits for weights and their derivatives, and for a parameter the sum. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair_stdp.h"

enum { kPre = 6, kPost = 4, kSteps = 100 };
static const double kDt = 0.5;
/* Whom each postsynaptic neuron hears; the last one hears one neuron. */
static const int32_t lists[kPost][kPre] = {{0, 2, 5}, {1, 2, 3, 4}, {0, 1, 2, 3, 4, 5}, {3}};
static const int32_t lengths[kPost] = {3, 4, 6, 1};

static void must(int code) {
  if (code == PAIR_STDP_OK) return;
  fprintf(stderr, "%s\n", pair_stdp_error_text(code));
  exit(1);
}
static void check(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "not so: %s\n", what);
  exit(1);
}

/* A block, its memory before each step, and the derivatives by what it holds after the last. */
typedef struct part {
  pair_stdp block;
  char *memory, *kept;
  void *work;
  int64_t bytes, needed;
  double *w_bar, *x_bar, *y_bar, A_plus_bar;
} part;

static void *zeros(int64_t bytes) {
  void *memory = aligned_alloc(64, (size_t)((bytes + 63) / 64 * 64));
  return memory == NULL ? NULL : memset(memory, 0, (size_t)((bytes + 63) / 64 * 64));
}

static part make(int64_t n_pre, int64_t n_post) {
  part p = {.block = PAIR_STDP_BLOCK(n_pre, n_post)};
  p.bytes = pair_stdp_bytes(&p.block);
  p.memory = zeros(p.bytes);
  p.kept = zeros(p.bytes * kSteps);
  must(pair_stdp_init(&p.block, p.memory, p.bytes, 1));
  p.needed = pair_stdp_vjp_bytes(&p.block);
  p.work = zeros(p.needed);
  p.w_bar = zeros((int64_t)sizeof(double) * n_pre * p.block.row);
  p.x_bar = zeros((int64_t)sizeof(double) * (n_pre + 16));
  p.y_bar = zeros((int64_t)sizeof(double) * (n_post + 16));
  return p;
}
static void drop(part *p) {
  void *all[] = {p->memory, p->kept, p->work, p->w_bar, p->x_bar, p->y_bar};
  for (size_t k = 0; k < sizeof all / sizeof *all; ++k) free(all[k]);
}

static int pre_spikes(int step, int i) { return (step * 7 + i * 5) % 11 == 0; }
static int post_spikes(int step, int j) { return (step * 5 + j * 3) % 13 == 0; }

/* The moment of a step: who of `count` presynaptic neurons (number k is list[k], or k) and of the postsynaptic ones spikes. */
typedef struct moment {
  int32_t pre[kPre], post[kPost];
  pair_stdp_inputs inputs;
} moment;
static void fill(moment *m, int step, const int32_t *list, int32_t count, int first_post, int posts) {
  m->inputs = (pair_stdp_inputs)PAIR_STDP_INPUTS;
  m->inputs.pre_spike = m->pre;
  m->inputs.post_spike = m->post;
  for (int32_t k = 0; k < count; ++k)
    if (pre_spikes(step, list == NULL ? k : list[k])) m->pre[m->inputs.pre_spike_count++] = k;
  for (int32_t j = 0; j < posts; ++j)
    if (post_spikes(step, first_post + j)) m->post[m->inputs.post_spike_count++] = j;
}

static void forth(part *p, int step, moment *m) {
  memcpy(p->kept + step * p->bytes, p->memory, (size_t)p->bytes);
  must(pair_stdp_step(&p->block, &m->inputs, kDt));
}
static void back(part *p, int step, moment *m) {
  memcpy(p->memory, p->kept + step * p->bytes, (size_t)p->bytes);
  pair_stdp_gradients g = PAIR_STDP_GRADIENTS;
  g.w = p->w_bar;
  g.x = p->x_bar;
  g.y = p->y_bar;
  g.A_plus = &p->A_plus_bar;
  must(pair_stdp_vjp(&p->block, &m->inputs, kDt, &g, p->work, p->needed));
}

int main(void) {
  part all = make(kPre, kPost), one[kPost];
  moment m;
  for (int j = 0; j < kPost; ++j) one[j] = make(lengths[j], 1);
  for (int step = 0; step < kSteps; ++step) {
    fill(&m, step, NULL, kPre, 0, kPost);
    forth(&all, step, &m);
    for (int j = 0; j < kPost; ++j) {
      fill(&m, step, lists[j], lengths[j], j, 1);
      forth(&one[j], step, &m);
    }
  }
  int moved = 0;
  part fresh = make(1, 1);
  const double start = *fresh.block.w;
  drop(&fresh);
  for (int j = 0; j < kPost; ++j)
    for (int32_t k = 0; k < lengths[j]; ++k) {
      const double w = one[j].block.w[k * one[j].block.row];
      check(w == all.block.w[lists[j][k] * all.block.row + j], "a synapse of a list has the weight of its pair");
      moved += w != start;
      /* The loss: a number times each weight. */
      one[j].w_bar[k * one[j].block.row] = all.w_bar[lists[j][k] * all.block.row + j] = cos(lists[j][k] + 2.0 * j);
    }
  check(moved > 0, "weights move");
  for (int step = kSteps; step-- > 0;) {
    fill(&m, step, NULL, kPre, 0, kPost);
    back(&all, step, &m);
    for (int j = 0; j < kPost; ++j) {
      fill(&m, step, lists[j], lengths[j], j, 1);
      back(&one[j], step, &m);
    }
  }
  double sum = 0;
  for (int j = 0; j < kPost; ++j) {
    for (int32_t k = 0; k < lengths[j]; ++k)
      check(one[j].w_bar[k * one[j].block.row] == all.w_bar[lists[j][k] * all.block.row + j], "and its derivative");
    sum += one[j].A_plus_bar;
  }
  check(fabs(all.A_plus_bar) > 1e-3 && fabs(sum - all.A_plus_bar) < 1e-12 * fabs(sum), "derivatives by a parameter add up");
  printf("d(loss)/d(A_plus) = %.10g from %d lists, %.10g from all pairs\n", sum, kPost, all.A_plus_bar);
  for (int j = 0; j < kPost; ++j) drop(&one[j]);
  drop(&all);
  return 0;
}
