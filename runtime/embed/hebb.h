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

#define HEBB_API_VERSION 3u

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
typedef struct hebb_result hebb_result;     /* what an evaluation left */

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
  /* Since version 3: the step of its runs, ms, of which delays that differ between synapses are whole numbers; 0: 0.1 where
     an equation has to be stepped, else 1. */
  double dt;
} hebb_network_options;

/* --- since version 2 --- */

enum { HEBB_MESSAGES_TEXT = 0, HEBB_MESSAGES_JSON = 1 };
typedef struct hebb_source {
  uint32_t version;    /* HEBB_API_VERSION */
  uint32_t messages;   /* mistakes as text, or as lines of JSON: code, message, spans, help, rendered */
  const char *text;    /* null: what the file called `name` holds */
  const char *name;
} hebb_source;

typedef struct hebb_bar {
  const char *field;   /* a weight, state, parameter, or given value */
  double *values;      /* d(loss)/d(field), as many as `get` gives. Of weights and states: in by the value after, out by
                          the value before. Of parameters and given values: what the step contributes is added */
  int64_t count;
} hebb_bar;

/* An array of a result or a recording; everything in it lives as long as that. */
typedef struct hebb_value {
  const char *name;    /* "Y.r", "p.w" */
  const char *unit;    /* "ms"; "1"; empty: unknown */
  const char *text;    /* of a value that is a text, else null */
  const double *data;  /* row-major */
  int64_t rank;        /* 0: a number */
  int64_t shape[8];
} hebb_value;

typedef struct hebb_binding {
  const char *name;    /* what the actions call it */
  const double *data;  /* row-major; copied */
  int64_t rank;
  int64_t shape[8];
} hebb_binding;

typedef struct hebb_evaluation {
  uint32_t version;    /* HEBB_API_VERSION */
  int32_t threads;     /* results do not depend on it */
  uint64_t seed;
  const char *actions; /* as in an experiment: "let p = protocol(Oja, w = w0, steps = 10);" */
  const char *results; /* names of lets to keep, separated by spaces */
  const hebb_binding *bindings;
  int64_t binding_count;
} hebb_evaluation;

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

  /* --- since version 2 --- */
  int (*compile)(const hebb_source *source, hebb_module **module, char **error);
  /* JSON: the rules (fields, formulas in LaTeX) and networks of the module; free_text frees it. */
  int (*describe)(hebb_module *module, char **json, char **error);

  /* `count` synapses, number k from neuron pre[k] to neuron post[k]; no pair twice. Arrays per synapse have one number
   * each in the order of pre and then post: pres = 1, posts = count. */
  int (*open_sparse)(hebb_rule *rule, int64_t n_pre, int64_t n_post, const int32_t *pre, const int32_t *post,
                     int64_t count, uint64_t seed, hebb_instance **instance, char **error);
  /* Where an instance is in time: draws depend on the steps, clocks on the time. */
  int (*get_clock)(hebb_instance *instance, int64_t *steps, double *time_ms);
  int (*set_clock)(hebb_instance *instance, int64_t steps, double time_ms);
  /* The gradient of the step that would come next (dt 0: of the instant alone) with what was given for it, from the
   * values as they are now. Changes nothing, and does not use up what was given. */
  int (*vjp)(hebb_instance *instance, double dt, const hebb_bar *bars, int64_t count, char **error);

  /* Keeps a value at every so many steps of each coming run; every_steps 0: no longer. */
  int (*network_record)(hebb_network *network, const char *name, int64_t every_steps);
  /* [samples][…] of the last run; valid until the next call for this network. */
  int (*network_recording)(hebb_network *network, const char *name, hebb_value *value);
  /* Start values and draws anew. Parameters are as declared again: set them after. */
  int (*network_restart)(hebb_network *network, uint64_t seed);
  /* JSON: what can be read, set and fed; free_text frees it. */
  int (*network_describe)(hebb_network *network, char **json, char **error);

  /* Runs actions of an experiment: protocols, runs, fits. What they print is in result_text. */
  int (*evaluate)(hebb_module *module, const hebb_evaluation *evaluation, hebb_result **result, char **error);
  int64_t (*result_count)(hebb_result *result);
  int (*result_value)(hebb_result *result, int64_t index, hebb_value *value);
  const char *(*result_text)(hebb_result *result);
  int (*close_result)(hebb_result *result);
} hebb_api;

#if defined(HEBB_BUILDING_LIBRARY)
__attribute__((visibility("default")))
#endif
const hebb_api *hebb_get_api(uint32_t version);

#ifdef __cplusplus
}
#endif

#endif
