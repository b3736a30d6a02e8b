/* The border between compiled kernels and any host. C11. No kernel allocates, throws or keeps state.
 *
 * A column is an array of float or double (the precision of its program) in one of three layouts:
 *   uniform  width elements                      element e at base[e]
 *   neurons  width planes of n elements          element e of neuron i at base[e*plane + i]
 *   dense    width planes of n_pre rows          element e of (i, j) at base[e*plane + i*row + j]
 *   sparse   width planes of n synapses          element e of synapse s at base[e*plane + s]
 * Synapses are numbered by pre and then by post neuron. Numbers of neurons in an index have 16 bits when
 * their population has at most 65536 of them, else 32.
 * plane and row are multiples of 16 elements; what lies between n and its next multiple of 16 is
 * padding that a kernel may read and overwrite. Columns do not overlap and are aligned to 64 bytes. */
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEBB_ABI_VERSION 2

typedef struct hebb_launch {
  void *const *columns;    /* base of each column, in the order of the program */
  const int64_t *planes;   /* elements between two planes of each column; 0 for uniform columns */
  int64_t row;             /* dense: elements between two rows */
  int64_t pre_begin;       /* dense: rows of this launch, [pre_begin, pre_end) */
  int64_t pre_end;
  int64_t post_begin;      /* dense: columns of this launch; neurons: neurons of this launch */
  int64_t post_end;
  int64_t post_count;      /* dense: all post neurons; element number of (i, j) is i*post_count + j */
  uint64_t key;            /* random numbers: seed and lane */
  int64_t step;            /* of the grid, counted from 0; draws of `init` kernels use step -1 */

  /* Sparse kernels. Over all rows: pre_begin and pre_end say which. Over the rows of spiking neurons:
   * neurons list[list_begin] … list[list_end - 1], in ascending order. */
  const int64_t *row_begin;     /* first synapse of each pre neuron */
  const void *post_index;       /* post neuron of each synapse */
  const int64_t *column_begin;  /* first entry of each post neuron in the next two, and their number */
  const uint32_t *synapse;      /* its synapses, by pre neuron */
  const void *pre_index;        /* pre neuron of each entry */
  const uint32_t *list;
  int64_t list_begin;
  int64_t list_end;
  const int64_t *row_end;       /* past the last synapse of each pre neuron; of a part: some in between */

  const uint64_t *keys;         /* kernels of several runs at once: one for each, instead of `key` */
} hebb_launch;

typedef void (*hebb_kernel)(const hebb_launch *launch);

#ifdef __cplusplus
}
#endif
