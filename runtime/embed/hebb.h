/* libhebb: rules and networks compiled while a program runs. C11 and C++.
 *
 * All functions are in one table, so that a program asks for a version once and links one symbol:
 *
 *   const hebb_api *hebb = hebb_get_api(HEBB_API_VERSION);      null: another version is installed
 *
 * Handles are opaque; close what you open. Functions return 0 or a negative code, and where they take
 * `char **error` a sentence that free_text frees (null is allowed: no sentence). Nothing is printed or thrown,
 * and no function ends the program. Different threads may use different handles, and one handle one at a time.
 * Times are in ms, voltages in mV, currents in pA. Arrays are in the order [pre][post][element]. */
#ifndef HEBB_H
#define HEBB_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEBB_API_VERSION 1u

/* Codes from -1 to -11 are those of compiled rules (docs/embedding.md); these come on top. */
enum {
  HEBB_ERROR_HANDLE = -20,   /* the handle is null, closed, or of another kind */
  HEBB_ERROR_SOURCE = -21,   /* the text has mistakes; `error` shows them */
  HEBB_ERROR_NAME = -22,     /* nothing has that name */
  HEBB_ERROR_WORLD = -23,    /* a file, the memory or the processor refuses */
  HEBB_ERROR_SETTING = -24,  /* an argument is out of range */
  HEBB_ERROR_DIVERGED = -25, /* a value of a network is no longer finite */
  HEBB_ERROR_INTERNAL = -26  /* a bug of libhebb */
};

typedef struct hebb_module hebb_module;     /* a source, checked */
typedef struct hebb_rule hebb_rule;         /* one of its rules, as machine code */
typedef struct hebb_instance hebb_instance; /* a block of synapses of a rule */
typedef struct hebb_network hebb_network;   /* a network that runs */

typedef struct hebb_field {
  const char *name;    /* "w", "pre.r"; lives as long as the rule */
  const char *kind;    /* "parameter", "weight", "state", "signal", "pre value", "post value", "event", "pre spikes", … */
  const char *per;     /* "one", "pre", "post", "synapse" */
  const char *unit;    /* "ms", "1"; empty: any */
  const char *meaning; /* from the rule's text */
  int64_t width;       /* elements of a small array; 1: a number */
} hebb_field;

typedef struct hebb_array {
  void *data;          /* of the instance: read and write it while the instance is open */
  int32_t real_bytes;  /* 4: float, 8: double */
  int32_t unused;
  int64_t pres, posts, width; /* element e of (i, j) is at e * plane + i * row + j */
  int64_t row, plane;
} hebb_array;

typedef struct hebb_network_options {
  uint32_t version;    /* HEBB_API_VERSION */
  int32_t real_bytes;  /* 4 or 8 */
  uint64_t seed;
  int32_t threads;     /* results do not depend on it */
  int32_t unused;
} hebb_network_options;

typedef struct hebb_api {
  uint32_t version;
  uint32_t size;       /* of this struct: later versions only grow */
  const char *(*version_text)(void);
  const char *(*code_text)(int code);
  void (*free_text)(char *text);

  /* `name` is what messages call the text. */
  int (*compile_text)(const char *source, const char *name, hebb_module **module, char **error);
  int (*compile_file)(const char *path, hebb_module **module, char **error);
  int (*close_module)(hebb_module *module);

  /* The rule called `name`; null: the only one. real_bytes: 4 or 8. */
  int (*open_rule)(hebb_module *module, const char *name, int32_t real_bytes, hebb_rule **rule, char **error);
  int (*close_rule)(hebb_rule *rule);
  int64_t (*field_count)(hebb_rule *rule);
  int (*get_field)(hebb_rule *rule, int64_t index, hebb_field *field);

  int (*open_instance)(hebb_rule *rule, int64_t n_pre, int64_t n_post, uint64_t seed, hebb_instance **instance,
                       char **error);
  int (*close_instance)(hebb_instance *instance);
  int (*get_array)(hebb_instance *instance, const char *name, hebb_array *array);
  /* All values of a field, or one for all. */
  int (*set)(hebb_instance *instance, const char *name, const double *values, int64_t count);
  int (*get)(hebb_instance *instance, const char *name, double *values, int64_t count);
  /* What happens at the coming moment; instant and step use it up. Values stay until they are given anew. */
  int (*give_spikes)(hebb_instance *instance, const char *name, const int32_t *neurons, int64_t count);
  int (*give_values)(hebb_instance *instance, const char *name, const double *values, int64_t count);
  int (*give_event)(hebb_instance *instance, const char *name);
  int (*instant)(hebb_instance *instance);
  int (*step)(hebb_instance *instance, double dt);
  int (*sync)(hebb_instance *instance);
  int (*start)(hebb_instance *instance); /* start values again, from the parameters as they are now */

  /* The network called `name`; null: the only one. Names of its values: "POP.var", "PROJ.var", signals. */
  int (*open_network)(hebb_module *module, const char *name, const hebb_network_options *options,
                      hebb_network **network, char **error);
  int (*close_network)(hebb_network *network);
  int64_t (*network_size)(hebb_network *network, const char *name); /* how many values; below 0: a code */
  int (*network_set)(hebb_network *network, const char *name, const double *values, int64_t count);
  int (*network_get)(hebb_network *network, const char *name, double *values, int64_t count);
  /* steps × rows numbers for the coming run, or one row for all its steps (steps = 0). */
  int (*network_feed)(hebb_network *network, const char *name, const double *values, int64_t rows, int64_t steps);
  int (*run)(hebb_network *network, int64_t steps, double dt, char **error);
} hebb_api;

#if defined(HEBB_BUILDING_LIBRARY)
__attribute__((visibility("default")))
#endif
const hebb_api *hebb_get_api(uint32_t version);

#ifdef __cplusplus
}
#endif

#endif
