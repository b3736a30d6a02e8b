/* What the entry points of an embedded rule share, whatever the rule: a constant description of the rule
 * and of its kernels, and the functions that run it on a block of synapses, every pair of n_pre and n_post
 * neurons. C11 without a library: it is compiled into every object that `hebb build` writes, and into
 * libhebb. Nothing allocates, nothing is kept between calls but what lies in the host's memory. */
#pragma once
#include "runtime/hebb_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HEBB_BLOCK_ABI 1u

enum { HEBB_SPACE_UNIFORM, HEBB_SPACE_PRE, HEBB_SPACE_POST, HEBB_SPACE_SYNAPSE };

/* Codes: 0 is success, all others are negative. */
enum {
  HEBB_OK = 0,
  HEBB_NULL = -1,
  HEBB_ABI = -2,
  HEBB_SIZE = -3,
  HEBB_MEMORY = -4,
  HEBB_ALIGNMENT = -5,
  HEBB_ORDER = -6,
  HEBB_INDEX = -7,
  HEBB_COUNT = -8,
  HEBB_DT = -9,
  HEBB_CPU = -10,
  HEBB_PERIOD = -11
};

typedef struct hebb_block_column {
  int32_t space;
  int32_t width;
  int32_t summed;    /* accumulated into: starts each call from `reset` */
  int32_t indicator; /* an event of this moment: 0 after each call */
  double reset;
} hebb_block_column;

typedef struct hebb_block_launch {
  int32_t kernel;
  int32_t space;
  int32_t touched_only; /* changes synapses of neurons that spike, and no others */
  int32_t unused;
} hebb_block_launch;

enum { HEBB_INPUT_VALUES, HEBB_INPUT_SPIKES, HEBB_INPUT_EVENT };
/* A member of the inputs of a moment: { pointer, int64_t count } or, for an event, one int64_t. */
typedef struct hebb_block_input {
  int32_t kind;
  int32_t column;
  int32_t offset;
  int32_t unused;
} hebb_block_input;

typedef struct hebb_block_clock {
  int32_t indicator, period; /* columns */
} hebb_block_clock;

typedef struct hebb_block_list {
  const hebb_block_launch *launches;
  int64_t count;
} hebb_block_list;

enum { HEBB_PARAMS, HEBB_START, HEBB_INSTANT, HEBB_STEP, HEBB_QUIET, HEBB_BOUNDS, HEBB_LISTS };

typedef struct hebb_block_rule {
  uint32_t block_size, inputs_size; /* of the structs in the header */
  int32_t real_bytes;               /* 4: float, 8: double */
  int32_t column_count, input_count, clock_count;
  int32_t pre_count, post_count, dt; /* columns; -1: none */
  int32_t step_by_spikes;            /* in a step with spikes alone only the synapses of those neurons change */
  int32_t variant_count;
  int32_t variant_levels[2];         /* of x86-64: 3, 4; 0: runs anywhere */
  int32_t unused;
  const hebb_block_column *columns;
  const hebb_block_input *inputs;
  const hebb_block_clock *clocks;
  const hebb_kernel *variants[2];
  hebb_block_list lists[HEBB_LISTS];
} hebb_block_rule;

/* The head of the struct that a header declares; pointers to the columns follow. */
typedef struct hebb_block {
  uint32_t abi_version, struct_size;
  int64_t n_pre, n_post;
  int64_t row;      /* elements between two rows of a matrix */
  uint64_t seed;
  int64_t step;     /* calls of instant and step so far: what draws depend on */
  double time_ms;
  double base_ms, base_dt_ms; /* time as whole steps since dt changed, so that it does not drift */
  int64_t base_steps;
  uint32_t ready, variant;
} hebb_block;

/* The gradient of one moment or step. `rule` describes a program of its own: its columns are those of the
 * primal rule under the same numbers, then versions of what a step overwrites, then derivatives; its lists
 * are these. */
enum { HEBB_FORWARD_INSTANT, HEBB_REVERSE_INSTANT, HEBB_FORWARD_STEP, HEBB_REVERSE_STEP };

/* A member of the struct of gradients: d(loss)/d(a field). Columns: -1 is none, then the derivative is 0. */
typedef struct hebb_block_bar {
  int32_t now;      /* derivative by the value before */
  int32_t next;     /* derivative by the value after: weights and states */
  int32_t carried;  /* 1: the member holds d/d(after) and gets d/d(before); 0: d/d(the field) is added to it */
  int32_t field;    /* the column of the primal rule */
} hebb_block_bar;

typedef struct hebb_block_gradient {
  const hebb_block_rule *rule;
  const hebb_block_bar *bars;  /* in the order of the struct's pointers, which follow its two numbers */
  const int32_t *shared;       /* by primal column: 1: read where the block has it (states, parameters) */
  int32_t bar_count;
  uint32_t gradients_size;
} hebb_block_gradient;

int64_t hebb_block_vjp_bytes(const hebb_block_rule *rule, const hebb_block_gradient *gradient, const hebb_block *block);
/* dt_ms 0: of the instant alone. Changes nothing of the block. */
int hebb_block_vjp(const hebb_block_rule *rule, const hebb_block_gradient *gradient, const hebb_block *block,
                   const void *inputs, double dt_ms, void *gradients, void *memory, int64_t bytes);

/* For libhebb: as if `steps` calls and time_ms had passed; clocks fire next at the first multiple after it. */
int hebb_block_set_clock(const hebb_block_rule *rule, hebb_block *block, int64_t steps, double time_ms);

int64_t hebb_block_bytes(const hebb_block_rule *rule, const hebb_block *block);
int hebb_block_init(const hebb_block_rule *rule, hebb_block *block, void *memory, int64_t bytes, uint64_t seed);
int hebb_block_start(const hebb_block_rule *rule, hebb_block *block);
int hebb_block_instant(const hebb_block_rule *rule, hebb_block *block, const void *inputs);
int hebb_block_step(const hebb_block_rule *rule, hebb_block *block, const void *inputs, double dt_ms);
int hebb_block_sync(const hebb_block_rule *rule, hebb_block *block);
const char *hebb_block_error_text(int code);

#ifdef __cplusplus
}
#endif
