/* A C program that compiles a rule while it runs, learns with it, and meets every mistake with a code. */
#include <hebb.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const kRule =
    "rule Pair {\n"
    "  param tau = 20 ms, A = 0.005;\n"
    "  weight w in [0, 1];\n"
    "  x' = -x / tau + pre.spike;\n"
    "  y' = -y / tau + post.spike;\n"
    "  w' = A * x * post.spike - 1.05 * A * y * pre.spike;\n"
    "}\n"
    "neuron Unit { input I : 1; let r = I; }\n"
    "neuron In { input r : 1; }\n"
    "network Net {\n"
    "  signal odor[2];\n"
    "  pop X[2] : In(r = odor);\n"
    "  pop Y[3] : Unit;\n"
    "  project X -> Y as W { connect all; init w = 0.5; drive I += w * pre.r; }\n"
    "}\n";

static int failures = 0;
static void expect(int good, const char *what) {
  if (good) return;
  printf("WRONG: %s\n", what);
  ++failures;
}

int main(void) {
  expect(hebb_get_api(99) == NULL && hebb_get_api(0) == NULL, "an unknown version");
  expect(hebb_get_api(1) == hebb_get_api(HEBB_API_VERSION), "an older version: the table only grew");
  const hebb_api *hebb = hebb_get_api(HEBB_API_VERSION);
  if (hebb == NULL) return 2;
  printf("%s\n", hebb->version_text());

  hebb_module *module = NULL;
  char *error = NULL;
  /* Mistakes of the text come back as text. */
  expect(hebb->compile_text("rule R { weight w; w' = -q; }", "wrong.hebb", &module, &error) == HEBB_ERROR_SOURCE, "a wrong text");
  expect(error != NULL && strstr(error, "wrong.hebb") != NULL && strstr(error, "'q'") != NULL, "what is wrong with it");
  expect(module == NULL, "no module");
  hebb->free_text(error);
  expect(hebb->compile_text(NULL, NULL, &module, &error) == -1 && error != NULL, "no text");
  hebb->free_text(error);
  expect(hebb->compile_file("/nonexistent.hebb", &module, &error) == HEBB_ERROR_WORLD && strstr(error, "/nonexistent.hebb"), "no file");
  hebb->free_text(error);
  hebb->free_text(NULL);

  int code = hebb->compile_text(kRule, "pair.hebb", &module, &error);
  if (code != 0) {
    printf("%s\n", error);
    return 1;
  }
  hebb_rule *rule = NULL;
  expect(hebb->open_rule(module, "Pear", 4, &rule, &error) == HEBB_ERROR_NAME && strstr(error, "Pair") != NULL, "an unknown rule");
  hebb->free_text(error);
  expect(hebb->open_rule(module, NULL, 3, &rule, NULL) == HEBB_ERROR_SETTING, "reals of 3 bytes");
  expect(hebb->open_rule(module, NULL, 8, &rule, &error) == 0, "the only rule");

  hebb_field field;
  int weights = 0;
  for (int64_t k = 0; k < hebb->field_count(rule); ++k) {
    expect(hebb->get_field(rule, k, &field) == 0, "a field");
    if (strcmp(field.kind, "weight") == 0) ++weights;
    printf("  %-10s %-12s per %-8s %s\n", field.name, field.kind, field.per, field.meaning);
  }
  expect(weights == 1, "one weight");
  expect(hebb->get_field(rule, -1, &field) == HEBB_ERROR_SETTING && hebb->get_field(rule, 1000, &field) == HEBB_ERROR_SETTING, "no such field");

  hebb_instance *synapse = NULL;
  expect(hebb->open_instance(rule, 0, 1, 1, &synapse, &error) == -3 && error != NULL, "a size of 0");
  hebb->free_text(error);
  expect(hebb->open_instance(rule, INT64_MAX, INT64_MAX, 1, &synapse, NULL) == -3, "an absurd size");
  expect(hebb->open_instance(rule, 2, 3, 1, &synapse, NULL) == 0, "an instance");

  const double half = 0.5;
  const int32_t first[] = {0};
  expect(hebb->set(synapse, "w", &half, 1) == 0, "all weights");
  expect(hebb->set(synapse, "w", &half, 2) == -8, "2 values for 6 weights");
  expect(hebb->set(synapse, "q", &half, 1) == HEBB_ERROR_NAME, "an unknown name");
  expect(hebb->set(synapse, "w", NULL, 1) == -1, "no values");
  expect(hebb->give_spikes(synapse, "pre.spike", first, 1) == 0 && hebb->instant(synapse) == 0, "a pre spike");
  expect(hebb->step(synapse, NAN) == -9 && hebb->step(synapse, 0) == -9, "no dt");
  expect(hebb->step(synapse, 10) == 0, "10 ms");
  expect(hebb->give_spikes(synapse, "post.spike", first, 1) == 0 && hebb->instant(synapse) == 0, "a post spike");
  const int32_t none[] = {7};
  expect(hebb->give_spikes(synapse, "pre.spike", none, 1) == -7, "neuron 7 of 2");
  expect(hebb->give_spikes(synapse, "w", first, 1) == HEBB_ERROR_NAME, "spikes of a weight");
  expect(hebb->give_event(synapse, "pre.spike") == HEBB_ERROR_NAME, "an event of no port");
  double w[6];
  expect(hebb->get(synapse, "w", w, 6) == 0, "weights");
  printf("post 10 ms after pre: %+.10f\n", w[0] - 0.5);
  expect(fabs(w[0] - 0.5 - 0.005 * exp(-0.5)) < 1e-15 && w[1] == 0.5 && w[3] == 0.5, "the number of the rule");
  hebb_array array;
  expect(hebb->get_array(synapse, "w", &array) == 0 && array.pres == 2 && array.posts == 3 && array.real_bytes == 8, "an array");
  ((double *)array.data)[array.row] = 7;
  expect(hebb->sync(synapse) == 0 && ((double *)array.data)[array.row] == 1, "within bounds");
  expect(hebb->start(synapse) == 0, "a new start");

  /* A network: 2 inputs onto 3 units through weights of 0.5. */
  hebb_network_options options = {HEBB_API_VERSION, 8, 1, 1, 0, 0};
  hebb_network *net = NULL;
  options.threads = 0;
  expect(hebb->open_network(module, NULL, &options, &net, NULL) == HEBB_ERROR_SETTING, "no threads");
  options.threads = 1;
  expect(hebb->open_network(module, "Nat", &options, &net, NULL) == HEBB_ERROR_NAME, "an unknown network");
  expect(hebb->open_network(module, NULL, &options, &net, &error) == 0, "the only network");
  const double odor[] = {1, 3};
  expect(hebb->run(net, 4, 1, &error) == HEBB_ERROR_SETTING && error != NULL, "a run without its signal");
  hebb->free_text(error);
  expect(hebb->network_feed(net, "odour", odor, 2, 0) == HEBB_ERROR_NAME, "an unknown signal");
  expect(hebb->network_feed(net, "odor", odor, 3, 0) == -8, "3 rows for 2");
  expect(hebb->network_feed(net, "odor", odor, 2, 0) == 0, "a signal");
  expect(hebb->run(net, 4, -1, NULL) == -9, "steps of -1 ms");
  expect(hebb->network_feed(net, "odor", odor, 2, 0) == 0 && hebb->run(net, 4, 1, &error) == 0, "a run");
  double r[3] = {0, 0, 0};
  expect(hebb->network_size(net, "Y.r") == 3 && hebb->network_get(net, "Y.r", r, 3) == 0 && r[0] == 2 && r[2] == 2, "0.5 * 1 + 0.5 * 3");
  expect(hebb->network_get(net, "Y.r", r, 2) == -8, "2 of 3 values");

  /* What a run does in time: two steps, every one kept; the weights are not plastic. */
  hebb_value value;
  expect(hebb->network_record(net, "Y.q", 1) == HEBB_ERROR_NAME && hebb->network_record(net, "Y.r", -1) == HEBB_ERROR_SETTING, "records of nothing");
  expect(hebb->network_record(net, "Y.r", 1) == 0 && hebb->network_feed(net, "odor", odor, 2, 0) == 0 && hebb->run(net, 2, 1, NULL) == 0, "a recorded run");
  expect(hebb->network_recording(net, "Y.r", &value) == 0 && value.rank == 2 && value.shape[0] == 2 && value.shape[1] == 3 && value.data[5] == 2, "a recording");
  expect(hebb->network_describe(net, &error, NULL) == 0 && strstr(error, "\"odor\"") != NULL, "what there is to feed");
  hebb->free_text(error);
  expect(hebb->network_restart(net, 2) == 0 && hebb->network_get(net, "Y.r", r, 3) == 0 && r[0] == 0, "a new beginning");

  /* The gradient of one step: d(w of 0 to 0)/d(A) is the trace there, at a post spike. */
  double w_bar[6] = {1, 0, 0, 0, 0, 0}, A_bar = 0;
  const hebb_bar bars[] = {{"w", w_bar, 6}, {"A", &A_bar, 1}};
  const hebb_bar wrong[] = {{"v", w_bar, 6}};
  expect(hebb->set(synapse, "x", &half, 1) == 0 && hebb->set(synapse, "w", &half, 1) == 0 && hebb->give_spikes(synapse, "post.spike", first, 1) == 0, "a moment");
  expect(hebb->vjp(synapse, 1, bars, 2, &error) == 0 && A_bar == 0.5 && w_bar[0] == 1, "its gradient");
  expect(hebb->vjp(synapse, 1, wrong, 1, &error) == HEBB_ERROR_NAME && error != NULL, "a gradient by nothing");
  hebb->free_text(error);

  /* Synapses of some pairs only. */
  const int32_t from[] = {1, 0}, to[] = {2, 0}, outside[] = {0, 7};
  hebb_instance *sparse = NULL;
  expect(hebb->open_sparse(rule, 2, 3, from, outside, 2, 1, &sparse, &error) == -7 && error != NULL, "a synapse to neuron 7 of 3");
  hebb->free_text(error);
  expect(hebb->open_sparse(rule, 2, 3, from, to, 2, 1, &sparse, NULL) == 0 && hebb->set(sparse, "w", &half, 1) == 0, "two synapses");
  expect(hebb->give_spikes(sparse, "pre.spike", first, 1) == 0 && hebb->step(sparse, 10) == 0 &&
             hebb->give_spikes(sparse, "post.spike", first, 1) == 0 && hebb->instant(sparse) == 0, "the pair of before");
  expect(hebb->get(sparse, "w", w, 2) == 0 && fabs(w[0] - 0.5 - 0.005 * exp(-0.5)) < 1e-15 && w[1] == 0.5, "the same number");
  expect(hebb->close_instance(sparse) == 0, "closed");

  /* Actions of an experiment. */
  hebb_result *result = NULL;
  const hebb_binding late = {"late", &half, 0, {0}};
  hebb_evaluation actions = {HEBB_API_VERSION, 1, 1, "let p = protocol(Pair, pre = 0 ms, post = 20 * late, w = late); print p.w;", "p", &late, 1};
  expect(hebb->evaluate(module, &actions, &result, &error) == 0 && hebb->result_count(result) > 0, "a protocol");
  for (int64_t k = 0; k < hebb->result_count(result); ++k)
    if (hebb->result_value(result, k, &value) == 0 && strcmp(value.name, "p.dw") == 0)
      expect(value.rank == 0 && fabs(value.data[0] - 0.005 * exp(-0.5)) < 1e-15, "its change of the weight");
  expect(strncmp(hebb->result_text(result), "0.503", 5) == 0, "what it printed");
  expect(hebb->result_value(result, 1000, &value) == HEBB_ERROR_SETTING && hebb->close_result(result) == 0 && hebb->close_result(result) == HEBB_ERROR_HANDLE, "closed once");
  actions.actions = "let p = protocol(Pear);";
  expect(hebb->evaluate(module, &actions, &result, &error) == HEBB_ERROR_SOURCE && strstr(error, "Pear") != NULL, "an unknown rule in it");
  hebb->free_text(error);

  /* Handles: closed, of another kind, null. */
  expect(hebb->close_instance(synapse) == 0 && hebb->close_instance(synapse) == HEBB_ERROR_HANDLE, "closed once");
  expect(hebb->step(synapse, 1) == HEBB_ERROR_HANDLE && hebb->get(synapse, "w", w, 6) == HEBB_ERROR_HANDLE, "a closed instance");
  expect(hebb->step((hebb_instance *)rule, 1) == HEBB_ERROR_HANDLE && hebb->step(NULL, 1) == HEBB_ERROR_HANDLE, "no instance");
  expect(hebb->close_network(net) == 0 && hebb->close_module(module) == 0 && hebb->close_rule(rule) == 0, "closed");
  expect(hebb->open_rule(module, NULL, 4, &rule, NULL) == HEBB_ERROR_HANDLE, "a closed module");
  for (code = 0; code >= -30; --code) expect(hebb->code_text(code)[0] != 0, "a text for each code");
  printf(failures ? "%d wrong\n" : "all as expected\n", failures);
  return failures != 0;
}
