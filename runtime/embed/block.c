#include "runtime/embed/block.h"

#include <stddef.h>

enum { kVector = 16, kAlign = 64 };
static const uint32_t kReady = 0x48454242; /* "HEBB" */

/* --- memory: [clocks][column]…, each at a multiple of 64 bytes ------------------------------------------ */

typedef struct head {
  hebb_block block;
  int64_t *clock_next;
  void *columns[];
} head;

static int64_t padded(int64_t n) { return (n + kVector - 1) / kVector * kVector; }

static int64_t plane(const hebb_block *b, int32_t space) {
  switch (space) {
    case HEBB_SPACE_PRE: return padded(b->n_pre);
    case HEBB_SPACE_POST: return padded(b->n_post);
    case HEBB_SPACE_SYNAPSE: return b->n_pre * padded(b->n_post);
    default: return 0;
  }
}

static int64_t elements(const hebb_block *b, const hebb_block_column *column) {
  const int64_t one = column->space == HEBB_SPACE_UNIFORM ? 1 : plane(b, column->space);
  return one * column->width;
}

static int64_t aligned(int64_t bytes) { return (bytes + kAlign - 1) & ~(int64_t)(kAlign - 1); }

static int check(const hebb_block_rule *rule, const hebb_block *b) {
  if (b == NULL) return HEBB_NULL;
  if (b->abi_version != HEBB_BLOCK_ABI || b->struct_size != rule->block_size) return HEBB_ABI;
  /* Indices are 32 bits wide, and so many bytes no machine has. */
  const int64_t most = sizeof(void *) == 4 ? (int64_t)1 << 27 : (int64_t)1 << 42;
  if (b->n_pre < 1 || b->n_post < 1 || b->n_pre > INT32_MAX - kVector || b->n_post > INT32_MAX - kVector)
    return HEBB_SIZE;
  if (b->n_pre > most / padded(b->n_post)) return HEBB_SIZE;
  return HEBB_OK;
}

static int check_ready(const hebb_block_rule *rule, const hebb_block *b) {
  const int code = check(rule, b);
  if (code != HEBB_OK) return code;
  if (b->ready != kReady || b->variant >= (uint32_t)rule->variant_count) return HEBB_ORDER;
  const head *h = (const head *)b;
  if (b->row != padded(b->n_post) || h->clock_next == NULL) return HEBB_ORDER;
  for (int32_t k = 0; k < rule->column_count; ++k)
    if (h->columns[k] == NULL) return HEBB_NULL;
  return HEBB_OK;
}

int64_t hebb_block_bytes(const hebb_block_rule *rule, const hebb_block *b) {
  const int code = check(rule, b);
  if (code != HEBB_OK) return code;
  int64_t bytes = aligned(8 * (int64_t)(rule->clock_count + 1));
  for (int32_t k = 0; k < rule->column_count; ++k)
    bytes += aligned(elements(b, &rule->columns[k]) * rule->real_bytes);
  return sizeof(void *) == 4 && bytes > INT32_MAX ? HEBB_SIZE : bytes;
}

/* --- reals --------------------------------------------------------------------------------------------- */

static void fill(const hebb_block_rule *rule, void *into, int64_t count, double value) {
  if (rule->real_bytes == 4)
    for (int64_t i = 0; i < count; ++i) ((float *)into)[i] = (float)value;
  else
    for (int64_t i = 0; i < count; ++i) ((double *)into)[i] = value;
}

static void copy(const hebb_block_rule *rule, void *into, const void *from, int64_t count) {
  uint32_t *to_words = into;
  const uint32_t *words = from;
  for (int64_t i = 0, n = count * rule->real_bytes / 4; i < n; ++i) to_words[i] = words[i];
}

static int is_set(const hebb_block_rule *rule, const void *indicator, int64_t i) {
  return rule->real_bytes == 4 ? ((const float *)indicator)[i] != 0 : ((const double *)indicator)[i] != 0;
}

static void *element(const hebb_block_rule *rule, void *base, int64_t i) {
  return (char *)base + i * rule->real_bytes;
}

/* --- the CPU ------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static void cpuid(uint32_t leaf, uint32_t *b, uint32_t *c, uint32_t *d) {
  uint32_t a = leaf;
  *c = 0;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(*b), "+c"(*c), "=d"(*d));
}

/* 4: AVX-512 F, BW, CD, DQ, VL; 3: AVX2, FMA, BMI, F16C, LZCNT, MOVBE; with their registers kept by the
 * operating system. */
static int32_t cpu_level(void) {
  uint32_t b, c, d, a = 0;
  cpuid(0, &b, &c, &d);
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
  if (a < 7) return 1;
  cpuid(1, &b, &c, &d);
  const uint32_t first = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29; /* FMA MOVBE OSXSAVE AVX F16C */
  if ((c & first) != first) return 1;
  uint32_t kept, high;
  __asm__ volatile("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
  if ((kept & 6) != 6) return 1;
  cpuid(7, &b, &c, &d);
  const uint32_t avx2 = 1u << 3 | 1u << 5 | 1u << 8, avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
  if ((b & avx2) != avx2) return 1;
  const uint32_t found = b;
  cpuid(0x80000001u, &b, &c, &d);
  if ((c & 1u << 5) == 0) return 1;
  return (found & avx512) == avx512 && (kept & 0xe6) == 0xe6 ? 4 : 3;
}
#else
static int32_t cpu_level(void) { return 0; }
#endif

/* --- kernels ------------------------------------------------------------------------------------------- */

typedef struct runner {
  const hebb_block_rule *rule;
  head *h;
  hebb_launch launch;
  int whole; /* every synapse may change, not only those of neurons that spike */
  int keep;  /* sums go on from what is there */
} runner;

static uint64_t key_of(uint64_t seed) {
  uint64_t z = seed + 0x9E3779B97F4A7C15u * 2;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static int spikes_on(const runner *r, int32_t space, int64_t i) {
  const hebb_block_rule *rule = r->rule;
  for (int32_t k = 0; k < rule->input_count; ++k) {
    const hebb_block_input *input = &rule->inputs[k];
    if (input->kind != HEBB_INPUT_SPIKES || rule->columns[input->column].space != space) continue;
    if (is_set(rule, r->h->columns[input->column], i)) return 1;
  }
  return 0;
}

static int64_t count_spikes(const runner *r, int32_t space, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) count += spikes_on(r, space, i);
  return count;
}

static void run_range(runner *r, hebb_kernel kernel, int64_t pre, int64_t pre_end, int64_t post, int64_t post_end) {
  r->launch.pre_begin = pre;
  r->launch.pre_end = pre_end;
  r->launch.post_begin = post;
  r->launch.post_end = post_end;
  kernel(&r->launch);
}

/* Rows of the pre neurons that spike, then columns of the post neurons that spike without those rows:
 * each synapse once, and the same bits as in one go. */
static void run_touched(runner *r, hebb_kernel kernel) {
  const int64_t n_pre = r->h->block.n_pre, n_post = r->h->block.n_post;
  const int64_t rows = count_spikes(r, HEBB_SPACE_PRE, n_pre);
  const int64_t columns = count_spikes(r, HEBB_SPACE_POST, n_post);
  if (rows == 0 && columns == 0) return;
  /* In synapses; what a launch costs, and a synapse of a column, as measured. */
  const double cost = (double)rows * (double)(n_post + 64) + (double)columns * (double)(8 * n_pre + 64 * (rows + 1));
  if (cost >= (double)n_pre * (double)n_post) {
    run_range(r, kernel, 0, n_pre, 0, n_post);
    return;
  }
  for (int64_t i = 0; rows > 0 && i < n_pre; ++i)
    if (spikes_on(r, HEBB_SPACE_PRE, i)) run_range(r, kernel, i, i + 1, 0, n_post);
  for (int64_t j = 0; columns > 0 && j < n_post; ++j) {
    if (!spikes_on(r, HEBB_SPACE_POST, j)) continue;
    for (int64_t i = 0; i < n_pre;) {
      int64_t end = i;
      while (end < n_pre && (rows == 0 || !spikes_on(r, HEBB_SPACE_PRE, end))) ++end;
      if (end > i) run_range(r, kernel, i, end, j, j + 1);
      i = end + 1;
    }
  }
}

static void run_list(runner *r, int list, const int64_t *planes) {
  const hebb_block_rule *rule = r->rule;
  const hebb_block *b = &r->h->block;
  for (int32_t k = 0; k < rule->column_count; ++k) {
    const hebb_block_column *column = &rule->columns[k];
    if (column->summed && !r->keep) fill(rule, r->h->columns[k], elements(b, column), column->reset);
  }
  r->launch.columns = r->h->columns;
  r->launch.planes = planes;
  for (int64_t k = 0; k < rule->lists[list].count; ++k) {
    const hebb_block_launch *one = &rule->lists[list].launches[k];
    const hebb_kernel kernel = rule->variants[b->variant][one->kernel];
    const int64_t posts = one->space == HEBB_SPACE_UNIFORM ? 1 : one->space == HEBB_SPACE_PRE ? b->n_pre : b->n_post;
    r->launch.row = one->space == HEBB_SPACE_SYNAPSE ? b->row : 0;
    r->launch.post_count = posts;
    if (one->touched_only && !r->whole)
      run_touched(r, kernel);
    else
      run_range(r, kernel, 0, one->space == HEBB_SPACE_SYNAPSE ? b->n_pre : 1, 0, posts);
  }
}

/* Where the planes of arrays of small arrays begin: on the stack, as many as there are columns. */
#define WITH_PLANES(rule, b, planes)                  \
  int64_t planes[(rule)->column_count + 1];           \
  for (int32_t k = 0; k < (rule)->column_count; ++k)  \
    planes[k] = plane((b), (rule)->columns[k].space)

static void run_one(const hebb_block_rule *rule, hebb_block *b, int list, int64_t step, int whole) {
  WITH_PLANES(rule, b, planes);
  runner r; /* set field by field: clearing it would call memset */
  r.rule = rule;
  r.h = (head *)b;
  r.launch.key = key_of(b->seed);
  r.launch.step = step;
  r.whole = whole;
  r.keep = 0;
  run_list(&r, list, planes);
}

/* --- the start ----------------------------------------------------------------------------------------- */

static int choose_variant(const hebb_block_rule *rule) {
  const int32_t level = cpu_level();
  for (int32_t k = rule->variant_count - 1; k >= 0; --k)
    if (rule->variant_levels[k] <= level) return k;
  return -1;
}

int hebb_block_start(const hebb_block_rule *rule, hebb_block *b) {
  const int code = check_ready(rule, b);
  if (code != HEBB_OK) return code;
  b->step = 0;
  b->time_ms = b->base_ms = b->base_dt_ms = 0;
  b->base_steps = 0;
  for (int32_t k = 0; k < rule->clock_count; ++k) ((head *)b)->clock_next[k] = 1;
  run_one(rule, b, HEBB_START, -1, 1);
  return HEBB_OK;
}

int hebb_block_init(const hebb_block_rule *rule, hebb_block *b, void *memory, int64_t bytes, uint64_t seed) {
  const int64_t needed = hebb_block_bytes(rule, b);
  if (needed < 0) return (int)needed;
  if (memory == NULL) return HEBB_NULL;
  if (bytes < needed) return HEBB_MEMORY;
  if (((uintptr_t)memory & (kAlign - 1)) != 0) return HEBB_ALIGNMENT;
  const int variant = choose_variant(rule);
  if (variant < 0) return HEBB_CPU;
  head *h = (head *)b;
  char *at = memory;
  for (int64_t i = 0; i < needed / 8; ++i) ((uint64_t *)memory)[i] = 0;
  h->clock_next = (int64_t *)at;
  at += aligned(8 * (int64_t)(rule->clock_count + 1));
  for (int32_t k = 0; k < rule->column_count; ++k) {
    h->columns[k] = at;
    at += aligned(elements(b, &rule->columns[k]) * rule->real_bytes);
  }
  b->row = padded(b->n_post);
  b->seed = seed;
  b->variant = (uint32_t)variant;
  b->ready = kReady;
  if (rule->pre_count >= 0) fill(rule, h->columns[rule->pre_count], 1, (double)b->n_pre);
  if (rule->post_count >= 0) fill(rule, h->columns[rule->post_count], 1, (double)b->n_post);
  run_one(rule, b, HEBB_PARAMS, -1, 1);
  return hebb_block_start(rule, b);
}

/* --- one moment ---------------------------------------------------------------------------------------- */

typedef struct slot {
  const void *values;
  int64_t count;
} slot;

/* How many values an input has. */
static int64_t expected(const hebb_block *b, const hebb_block_column *column) {
  if (column->space == HEBB_SPACE_PRE) return b->n_pre * column->width;
  if (column->space == HEBB_SPACE_POST) return b->n_post * column->width;
  return column->width;
}

static int check_inputs(const hebb_block_rule *rule, const hebb_block *b, const void *inputs) {
  if (inputs == NULL) return HEBB_OK;
  const uint32_t *version = inputs;
  if (version[0] != HEBB_BLOCK_ABI || version[1] != rule->inputs_size) return HEBB_ABI;
  for (int32_t k = 0; k < rule->input_count; ++k) {
    const hebb_block_input *input = &rule->inputs[k];
    if (input->kind == HEBB_INPUT_EVENT) continue;
    const hebb_block_column *column = &rule->columns[input->column];
    const slot *given = (const slot *)((const char *)inputs + input->offset);
    if (given->count < 0) return HEBB_COUNT;
    if (given->values == NULL) {
      if (given->count != 0) return HEBB_NULL;
      continue;
    }
    if (input->kind == HEBB_INPUT_VALUES) {
      if (given->count != expected(b, column)) return HEBB_COUNT;
      continue;
    }
    const int64_t n = column->space == HEBB_SPACE_PRE ? b->n_pre : b->n_post;
    const int32_t *list = given->values;
    for (int64_t i = 0; i < given->count; ++i)
      if (list[i] < 0 || list[i] >= n) return HEBB_INDEX;
  }
  return HEBB_OK;
}

enum { kNothing = 0, kSpikes = 1, kWhole = 2 };

/* Sets indicators and values; says what happens. */
static int take_inputs(const hebb_block_rule *rule, head *h, const void *inputs) {
  int happens = kNothing;
  if (inputs == NULL) return happens;
  for (int32_t k = 0; k < rule->input_count; ++k) {
    const hebb_block_input *input = &rule->inputs[k];
    const hebb_block_column *column = &rule->columns[input->column];
    void *into = h->columns[input->column];
    const char *at = (const char *)inputs + input->offset;
    if (input->kind == HEBB_INPUT_EVENT) {
      if (*(const int64_t *)at == 0) continue;
      fill(rule, into, 1, 1);
      happens |= kWhole;
      continue;
    }
    const slot *given = (const slot *)at;
    if (given->values == NULL || given->count == 0) continue;
    if (input->kind == HEBB_INPUT_SPIKES) {
      const int32_t *list = given->values;
      for (int64_t i = 0; i < given->count; ++i) fill(rule, element(rule, into, list[i]), 1, 1);
      happens |= kSpikes;
      continue;
    }
    const int64_t n = given->count / column->width;
    const int64_t apart = column->space == HEBB_SPACE_UNIFORM ? 1 : plane(&h->block, column->space);
    for (int64_t e = 0; e < column->width; ++e)
      copy(rule, element(rule, into, e * apart), (const char *)given->values + e * n * rule->real_bytes, n);
  }
  return happens;
}

static void clear_indicators(const hebb_block_rule *rule, head *h, const void *inputs) {
  for (int32_t k = 0; k < rule->clock_count; ++k) fill(rule, h->columns[rule->clocks[k].indicator], 1, 0);
  if (inputs == NULL) return;
  for (int32_t k = 0; k < rule->input_count; ++k) {
    const hebb_block_input *input = &rule->inputs[k];
    void *into = h->columns[input->column];
    if (input->kind == HEBB_INPUT_EVENT) fill(rule, into, 1, 0);
    if (input->kind != HEBB_INPUT_SPIKES) continue;
    const slot *given = (const slot *)((const char *)inputs + input->offset);
    const int32_t *list = given->values;
    for (int64_t i = 0; list != NULL && i < given->count; ++i) fill(rule, element(rule, into, list[i]), 1, 0);
  }
}

/* A period as it was meant: 0.1f is 0.1, not 0.10000000149, which would be a whole step off in the end. */
static double meant(const hebb_block_rule *rule, const void *column) {
  if (rule->real_bytes == 8) return *(const double *)column;
  const double stored = *(const float *)column;
  if (!(stored > 1e-6 && stored < 1e15)) return stored;
  double scale = 1;
  while (stored * scale < 1e6) scale *= 10;
  return (double)(int64_t)(stored * scale + 0.5) / scale;
}

/* Clocks whose time has come; a period that passed several times is one event. */
static inline int take_clocks(const hebb_block_rule *rule, head *h, int look_only) {
  int happens = kNothing;
  for (int32_t k = 0; k < rule->clock_count; ++k) {
    const double period = meant(rule, h->columns[rule->clocks[k].period]);
    if (!(period > 0)) return HEBB_PERIOD;
    const double reached = h->block.time_ms + 1e-9 * period + 1e-15 * h->block.time_ms;
    if (!((double)h->clock_next[k] * period <= reached)) continue;
    const double passed = reached / period;
    if (!(passed < 9e18)) return HEBB_PERIOD;
    if (!look_only) h->clock_next[k] = (int64_t)passed + 1;
    fill(rule, h->columns[rule->clocks[k].indicator], 1, 1);
    happens |= kWhole;
  }
  return happens;
}

static void advance(hebb_block *b, double dt_ms) {
  if (dt_ms != b->base_dt_ms) {
    b->base_ms = b->time_ms;
    b->base_steps = 0;
    b->base_dt_ms = dt_ms;
  }
  b->time_ms = b->base_ms + (double)++b->base_steps * dt_ms;
}

static int moment(const hebb_block_rule *rule, hebb_block *b, const void *inputs) {
  const int code = check_inputs(rule, b, inputs);
  if (code != HEBB_OK) return code;
  const int clocks = take_clocks(rule, (head *)b, 0);
  if (clocks < 0) {
    clear_indicators(rule, (head *)b, NULL);
    return clocks;
  }
  return clocks | take_inputs(rule, (head *)b, inputs);
}

int hebb_block_instant(const hebb_block_rule *rule, hebb_block *b, const void *inputs) {
  int happens = check_ready(rule, b);
  if (happens != HEBB_OK) return happens;
  if (inputs == NULL) return HEBB_NULL;
  happens = moment(rule, b, inputs);
  if (happens < 0) return happens;
  if (happens != kNothing) run_one(rule, b, HEBB_INSTANT, b->step, happens & kWhole);
  clear_indicators(rule, (head *)b, inputs);
  ++b->step;
  return HEBB_OK;
}

int hebb_block_step(const hebb_block_rule *rule, hebb_block *b, const void *inputs, double dt_ms) {
  int happens = check_ready(rule, b);
  if (happens != HEBB_OK) return happens;
  if (!(dt_ms > 0 && dt_ms <= 1e300)) return HEBB_DT;
  happens = moment(rule, b, inputs);
  if (happens < 0) return happens;
  if (rule->dt >= 0) fill(rule, ((head *)b)->columns[rule->dt], 1, dt_ms);
  run_one(rule, b, happens == kNothing ? HEBB_QUIET : HEBB_STEP, b->step, !rule->step_by_spikes || (happens & kWhole));
  clear_indicators(rule, (head *)b, inputs);
  advance(b, dt_ms);
  ++b->step;
  return HEBB_OK;
}

int hebb_block_sync(const hebb_block_rule *rule, hebb_block *b) {
  const int code = check_ready(rule, b);
  if (code != HEBB_OK) return code;
  run_one(rule, b, HEBB_BOUNDS, b->step, 1);
  return HEBB_OK;
}

#ifdef HEBB_VJP
/* --- gradients ----------------------------------------------------------------------------------------- */

/* [head with a pointer for each column][planes of each column][columns that are not the block's]… */
static int64_t vjp_head_bytes(const hebb_block_rule *all) {
  return aligned((int64_t)sizeof(head) + (int64_t)sizeof(void *) * all->column_count) + aligned(8 * (int64_t)all->column_count);
}

static int vjp_owns(const hebb_block_rule *rule, const hebb_block_gradient *g, int32_t k) {
  return k >= rule->column_count || !g->shared[k];
}

int64_t hebb_block_vjp_bytes(const hebb_block_rule *rule, const hebb_block_gradient *g, const hebb_block *b) {
  const int code = check(rule, b);
  if (code != HEBB_OK) return code;
  int64_t bytes = vjp_head_bytes(g->rule);
  for (int32_t k = 0; k < g->rule->column_count; ++k)
    if (vjp_owns(rule, g, k)) bytes += aligned(elements(b, &g->rule->columns[k]) * rule->real_bytes);
  return sizeof(void *) == 4 && bytes > INT32_MAX ? HEBB_SIZE : bytes;
}

static void add(const hebb_block_rule *rule, void *into, const void *from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (rule->real_bytes == 4) ((float *)into)[i] += ((const float *)from)[i];
    else ((double *)into)[i] += ((const double *)from)[i];
  }
}

int hebb_block_vjp(const hebb_block_rule *rule, const hebb_block_gradient *g, const hebb_block *b, const void *inputs,
                   double dt_ms, void *gradients, void *memory, int64_t bytes) {
  int code = check_ready(rule, b);
  if (code != HEBB_OK) return code;
  if (gradients == NULL || memory == NULL) return HEBB_NULL;
  const uint32_t *version = gradients;
  if (version[0] != HEBB_BLOCK_ABI || version[1] != g->gradients_size) return HEBB_ABI;
  if (bytes < hebb_block_vjp_bytes(rule, g, b)) return HEBB_MEMORY;
  if (((uintptr_t)memory & (kAlign - 1)) != 0) return HEBB_ALIGNMENT;
  if (!(dt_ms >= 0 && dt_ms <= 1e300)) return HEBB_DT;
  code = check_inputs(rule, b, inputs);
  if (code != HEBB_OK) return code;

  const hebb_block_rule *all = g->rule;
  head *h = memory;
  char *at = (char *)memory + vjp_head_bytes(all);
  int64_t *planes = (int64_t *)(at - aligned(8 * (int64_t)all->column_count));
  const head *given = (const head *)b;
  h->block.n_pre = b->n_pre;
  h->block.n_post = b->n_post;
  h->block.row = b->row;
  h->block.variant = b->variant;
  h->block.time_ms = b->time_ms;
  h->clock_next = given->clock_next;
  for (int32_t k = 0; k < all->column_count; ++k) {
    const hebb_block_column *column = &all->columns[k];
    planes[k] = plane(b, column->space);
    h->columns[k] = k < rule->column_count ? given->columns[k] : NULL;
    if (!vjp_owns(rule, g, k)) continue;
    const int64_t size = elements(b, column);
    if (k < rule->column_count && !column->indicator) copy(rule, at, h->columns[k], size);
    else fill(rule, at, size, 0);
    h->columns[k] = at;
    at += aligned(size * rule->real_bytes);
  }
  code = take_clocks(all, h, 1);
  if (code < 0) return code;
  take_inputs(all, h, inputs);
  if (rule->dt >= 0) fill(rule, h->columns[rule->dt], 1, dt_ms);

  runner r;
  r.rule = all;
  r.h = h;
  r.launch.key = key_of(b->seed);
  r.launch.step = b->step;
  r.whole = 1;
  r.keep = 0;
  run_list(&r, dt_ms > 0 ? HEBB_FORWARD_STEP : HEBB_FORWARD_INSTANT, planes);
  void **bars = (void **)((char *)gradients + 8);
  for (int32_t k = 0; k < g->bar_count; ++k) {
    const hebb_block_bar *bar = &g->bars[k];
    if (bar->carried && bar->next >= 0 && bars[k] != NULL)
      copy(rule, h->columns[bar->next], bars[k], elements(b, &rule->columns[bar->field]));
  }
  r.keep = 1;
  run_list(&r, dt_ms > 0 ? HEBB_REVERSE_STEP : HEBB_REVERSE_INSTANT, planes);
  for (int32_t k = 0; k < g->bar_count; ++k) {
    const hebb_block_bar *bar = &g->bars[k];
    const int64_t size = elements(b, &rule->columns[bar->field]);
    if (bars[k] == NULL) continue;
    if (!bar->carried && bar->now >= 0) add(rule, bars[k], h->columns[bar->now], size);
    if (bar->carried && bar->now >= 0) copy(rule, bars[k], h->columns[bar->now], size);
    if (bar->carried && bar->now < 0) fill(rule, bars[k], size, 0);
  }
  return HEBB_OK;
}

int hebb_block_set_clock(const hebb_block_rule *rule, hebb_block *b, int64_t steps, double time_ms) {
  const int code = check_ready(rule, b);
  if (code != HEBB_OK) return code;
  head *h = (head *)b;
  b->step = steps;
  b->time_ms = b->base_ms = time_ms;
  b->base_dt_ms = 0;
  b->base_steps = 0;
  /* A clock whose time is this very moment has not fired yet. */
  for (int32_t k = 0; k < rule->clock_count; ++k) {
    const double period = meant(rule, h->columns[rule->clocks[k].period]);
    if (!(period > 0)) return HEBB_PERIOD;
    const double passed = time_ms / period;
    if (!(passed < 9e18)) return HEBB_PERIOD;
    const int64_t whole = (int64_t)passed;
    const int64_t next = (double)whole * period >= time_ms - 1e-9 * period ? whole : whole + 1;
    h->clock_next[k] = next < 1 ? 1 : next;
  }
  return HEBB_OK;
}
#endif

const char *hebb_block_error_text(int code) {
  switch (code) {
    case HEBB_OK: return "no error";
    case HEBB_NULL: return "a pointer is null";
    case HEBB_ABI: return "abi_version or struct_size differ: a header of another build?";
    case HEBB_SIZE: return "n_pre or n_post is below 1 or too large";
    case HEBB_MEMORY: return "the memory has fewer bytes than the block needs";
    case HEBB_ALIGNMENT: return "the memory must be aligned to 64 bytes";
    case HEBB_ORDER: return "init has not been called";
    case HEBB_INDEX: return "a spike has an index outside its population";
    case HEBB_COUNT: return "a count is not that of the values expected";
    case HEBB_DT: return "dt must be a positive number";
    case HEBB_CPU: return "the processor lacks AVX2 or FMA";
    case HEBB_PERIOD: return "the period of a clock must be positive";
    default: return "no such code";
  }
}
