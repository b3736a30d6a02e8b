/* The calls that a loop in Python makes at every step, without Python in between: hebb._hot.Stepper takes what
 * happens at one moment as keyword arguments, checks it, and calls libhebb. Limited API: one binary for every
 * CPython from 3.11 on. What is slow or rare (arrays that are no plain buffers, messages) is left to the
 * function `explain` of the Python side. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "runtime/embed/hebb.h"

enum { kValues, kSpikes, kEvent };

typedef struct Input {
  PyObject *keyword; /* "pre_r", interned */
  char *name;        /* "pre.r" */
  int kind;
  int64_t neurons;   /* Spikes: how many there are */
  hebb_array array;  /* Values: where they go */
} Input;

typedef struct Stepper {
  PyObject_HEAD
  const hebb_api *api;
  hebb_instance *instance;
  PyObject *explain;
  Input *inputs;
  Py_ssize_t count;
  int32_t *scratch;
  int64_t scratch_size;
} Stepper;

static int fail(Stepper *self, int code) {
  PyObject *none = PyObject_CallFunction(self->explain, "isO", code, "", Py_None);
  Py_XDECREF(none);
  if (!PyErr_Occurred()) PyErr_Format(PyExc_RuntimeError, "%s", self->api->code_text(code));
  return -1;
}

/* --- values: float or double, one for each neuron, in the order of memory ----------------------------------- */

static void write_values(const hebb_array *a, const void *from, int from_bytes) {
  if (from_bytes == a->real_bytes && a->width == 1) {
    memcpy(a->data, from, (size_t)(a->posts * from_bytes));
    return;
  }
  for (int64_t j = 0; j < a->posts; ++j)
    for (int64_t e = 0; e < a->width; ++e) {
      const int64_t k = j * a->width + e, at = e * a->plane + j;
      const double value = from_bytes == 8 ? ((const double *)from)[k] : ((const float *)from)[k];
      if (a->real_bytes == 8) ((double *)a->data)[at] = value;
      else ((float *)a->data)[at] = (float)value;
    }
}

static int give_number(const hebb_array *a, double value) {
  for (int64_t e = 0; e < a->width; ++e)
    for (int64_t j = 0; j < a->posts; ++j) {
      const int64_t at = e * a->plane + j;
      if (a->real_bytes == 8) ((double *)a->data)[at] = value;
      else ((float *)a->data)[at] = (float)value;
    }
  return 0;
}

/* 1: not a plain buffer of what is expected; the caller converts or explains. */
static int give_values(Stepper *self, const Input *input, PyObject *value) {
  (void)self;
  if (PyFloat_Check(value)) return give_number(&input->array, PyFloat_AsDouble(value));
  Py_buffer view;
  if (!PyObject_CheckBuffer(value)) return 1;
  if (PyObject_GetBuffer(value, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) {
    PyErr_Clear();
    return 1;
  }
  const hebb_array *a = &input->array;
  const int known = view.format != NULL && (strcmp(view.format, "f") == 0 || strcmp(view.format, "d") == 0);
  const int shaped = a->width > 1 ? view.ndim == 2 && view.shape[0] == a->posts && view.shape[1] == a->width
                                  : view.ndim == 1 && view.shape[0] == a->posts;
  const int fits = known && shaped;
  if (fits) write_values(a, view.buf, (int)view.itemsize);
  PyBuffer_Release(&view);
  return !fits;
}

/* --- spikes: numbers of neurons, or one truth value for each ------------------------------------------------- */

static int reserve(Stepper *self, int64_t count) {
  if (count <= self->scratch_size) return 0;
  int32_t *more = PyMem_Realloc(self->scratch, (size_t)count * sizeof(int32_t));
  if (more == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  self->scratch = more;
  self->scratch_size = count;
  return 0;
}

static int give_spikes(Stepper *self, const Input *input, PyObject *value) {
  Py_buffer view;
  if (!PyObject_CheckBuffer(value)) return 1;
  if (PyObject_GetBuffer(value, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) != 0) {
    PyErr_Clear();
    return 1;
  }
  int result = 1;
  const char *format = view.format ? view.format : "B";
  const int truth = strcmp(format, "?") == 0, wide = strcmp(format, "l") == 0 || strcmp(format, "q") == 0;
  const int narrow = strcmp(format, "i") == 0;
  if (view.ndim == 1 && (narrow || wide || (truth && view.shape[0] == input->neurons))) {
    const int64_t n = view.shape[0];
    const int32_t *list = view.buf;
    int64_t count = n;
    result = 0;
    if (!narrow) {
      if (reserve(self, n) != 0) {
        PyBuffer_Release(&view);
        return -1;
      }
      count = 0;
      for (int64_t k = 0; k < n; ++k) {
        if (truth) {
          if (((const char *)view.buf)[k]) self->scratch[count++] = (int32_t)k;
          continue;
        }
        const int64_t neuron = ((const int64_t *)view.buf)[k];
        if (neuron < 0 || neuron >= input->neurons) {
          result = 1; /* the Python side says which */
          break;
        }
        self->scratch[count++] = (int32_t)neuron;
      }
      list = self->scratch;
    }
    if (result == 0 && self->api->give_spikes(self->instance, input->name, list, count) != 0) result = 1;
  }
  PyBuffer_Release(&view);
  return result;
}

static int give_event(Stepper *self, const Input *input, PyObject *value) {
  const int happens = PyObject_IsTrue(value);
  if (happens < 0) return -1;
  if (happens == 0) return 0;
  const int code = self->api->give_event(self->instance, input->name);
  return code == 0 ? 0 : fail(self, code);
}

static int give(Stepper *self, const Input *input, PyObject *value) {
  if (value == Py_None) return 0;
  if (input->kind == kEvent) return give_event(self, input, value);
  int result = input->kind == kValues ? give_values(self, input, value) : give_spikes(self, input, value);
  if (result <= 0) return result;
  /* explain(0, keyword, value) converts what is meant clearly, and says what is wrong with all else. */
  PyObject *converted = PyObject_CallFunction(self->explain, "iOO", 0, input->keyword, value);
  if (converted == NULL) return -1;
  result = input->kind == kValues ? give_values(self, input, converted) : give_spikes(self, input, converted);
  Py_DECREF(converted);
  if (result > 0) PyErr_Format(PyExc_TypeError, "'%U' cannot be used", input->keyword);
  return result == 0 ? 0 : -1;
}

static const Input *find(Stepper *self, PyObject *keyword) {
  for (Py_ssize_t k = 0; k < self->count; ++k)
    if (self->inputs[k].keyword == keyword) return &self->inputs[k];
  for (Py_ssize_t k = 0; k < self->count; ++k)
    if (PyUnicode_Compare(self->inputs[k].keyword, keyword) == 0) return &self->inputs[k];
  return NULL;
}

static int give_all(Stepper *self, PyObject *const *values, PyObject *names) {
  const Py_ssize_t n = names ? PyTuple_Size(names) : 0;
  for (Py_ssize_t k = 0; k < n; ++k) {
    PyObject *keyword = PyTuple_GetItem(names, k);
    const Input *input = find(self, keyword);
    if (input == NULL) {
      PyObject *none = PyObject_CallFunction(self->explain, "iOO", 1, keyword, Py_None);
      Py_XDECREF(none);
      return -1;
    }
    if (give(self, input, values[k]) != 0) return -1;
  }
  return 0;
}

static PyObject *finish(Stepper *self, int code) {
  if (code != 0) {
    fail(self, code);
    return NULL;
  }
  Py_INCREF(Py_None);
  return Py_None;
}

static PyObject *stepper_step(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
  Stepper *self = (Stepper *)object;
  if (count != 1) {
    PyErr_Format(PyExc_TypeError, "step takes dt in ms and then names: step(0.1, pre_spike=[0]), got %zd values without a name", count);
    return NULL;
  }
  const double dt = PyFloat_AsDouble(arguments[0]);
  if (dt == -1 && PyErr_Occurred()) return NULL;
  if (give_all(self, arguments + 1, names) != 0) return NULL;
  int code;
  Py_BEGIN_ALLOW_THREADS
  code = self->api->step(self->instance, dt);
  Py_END_ALLOW_THREADS
  return finish(self, code);
}

static PyObject *stepper_instant(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
  Stepper *self = (Stepper *)object;
  if (count != 0) {
    PyErr_Format(PyExc_TypeError, "instant takes names: instant(pre_spike=[0]), got %zd values without a name", count);
    return NULL;
  }
  if (give_all(self, arguments, names) != 0) return NULL;
  int code;
  Py_BEGIN_ALLOW_THREADS
  code = self->api->instant(self->instance);
  Py_END_ALLOW_THREADS
  return finish(self, code);
}

/* give(**inputs): for the coming moment, or for a gradient of it. */
static PyObject *stepper_give(PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
  if (count != 0) {
    PyErr_SetString(PyExc_TypeError, "what is given has a name: give(pre_spike=[0])");
    return NULL;
  }
  return give_all((Stepper *)object, arguments, names) == 0 ? finish((Stepper *)object, 0) : NULL;
}

/* --- life: Stepper(api, instance, explain, [(keyword, name, kind, neurons)]) --------------------------------- */

static int stepper_init(PyObject *object, PyObject *arguments, PyObject *names) {
  Stepper *self = (Stepper *)object;
  (void)names;
  unsigned long long api, instance;
  PyObject *explain, *inputs;
  if (!PyArg_ParseTuple(arguments, "KKOO", &api, &instance, &explain, &inputs)) return -1;
  if (self->api != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "a Stepper begins once");
    return -1;
  }
  self->api = (const hebb_api *)(uintptr_t)api;
  self->instance = (hebb_instance *)(uintptr_t)instance;
  Py_INCREF(explain);
  self->explain = explain;
  const Py_ssize_t n = PyList_Size(inputs);
  if (n < 0) return -1;
  self->inputs = PyMem_Calloc((size_t)(n > 0 ? n : 1), sizeof(Input));
  if (self->inputs == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (Py_ssize_t k = 0; k < n; ++k) {
    Input *input = &self->inputs[k];
    const char *keyword, *name;
    long long neurons;
    if (!PyArg_ParseTuple(PyList_GetItem(inputs, k), "ssiL", &keyword, &name, &input->kind, &neurons)) return -1;
    input->neurons = neurons;
    input->keyword = PyUnicode_InternFromString(keyword);
    input->name = PyMem_Malloc(strlen(name) + 1);
    if (input->keyword == NULL || input->name == NULL) {
      if (!PyErr_Occurred()) PyErr_NoMemory();
      return -1;
    }
    memcpy(input->name, name, strlen(name) + 1);
    self->count = k + 1;
    if (input->kind != kValues) continue;
    const int code = self->api->get_array(self->instance, input->name, &input->array);
    if (code != 0) return fail(self, code);
  }
  return 0;
}

static void stepper_dealloc(PyObject *object) {
  Stepper *self = (Stepper *)object;
  PyTypeObject *type = Py_TYPE(object);
  if (self->api != NULL) self->api->close_instance(self->instance);
  for (Py_ssize_t k = 0; k < self->count; ++k) {
    Py_XDECREF(self->inputs[k].keyword);
    PyMem_Free(self->inputs[k].name);
  }
  PyMem_Free(self->inputs);
  PyMem_Free(self->scratch);
  Py_XDECREF(self->explain);
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(object);
  Py_DECREF((PyObject *)type);
}

static PyMethodDef methods[] = {
    {"step", (PyCFunction)(void (*)(void))stepper_step, METH_FASTCALL | METH_KEYWORDS,
     "step(dt, **inputs)\n--\n\nOne step of dt ms: what happens now, all of it together, then the flow. Inputs are named as in the rule with '_'\n"
     "for '.': pre_spike=[0, 3] (numbers of neurons, or one truth value each), pre_r=array. Values that are not given\n"
     "stay as they were."},
    {"instant", (PyCFunction)(void (*)(void))stepper_instant, METH_FASTCALL | METH_KEYWORDS,
     "instant(**inputs)\n--\n\nEverything that happens at one moment, and no time."},
    {"_give", (PyCFunction)(void (*)(void))stepper_give, METH_FASTCALL | METH_KEYWORDS, "For the coming moment."},
    {NULL, NULL, 0, NULL}};

static PyType_Slot slots[] = {{Py_tp_init, stepper_init},
                              {Py_tp_dealloc, stepper_dealloc},
                              {Py_tp_methods, methods},
                              {Py_tp_doc, "A block of synapses and the calls of one step."},
                              {0, NULL}};
static PyType_Spec spec = {"hebb._hot.Stepper", sizeof(Stepper), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};

static int fill_module(PyObject *module) {
  PyObject *type = PyType_FromSpec(&spec);
  if (type == NULL) return -1;
  const int done = PyModule_AddObjectRef(module, "Stepper", type);
  Py_DECREF(type);
  if (done != 0) return done;
  return PyModule_AddIntConstant(module, "API_VERSION", HEBB_API_VERSION);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill_module}, {0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "hebb._hot", "Calls of one step.", 0, NULL, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__hot(void) { return PyModuleDef_Init(&module); }
