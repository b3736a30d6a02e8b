// Rules and blocks of their synapses.

#include <algorithm>
#include <cmath>

#include "compiler/embed/gradient.h"
#include "compiler/embed/header.h"
#include "runtime/embed/library/objects.h"

namespace hebb::library {

int open_rule(hebb_module* module, const char* name, int32_t real_bytes, hebb_rule** rule, char** error) {
  return guarded(error, [&] {
    if (rule == nullptr) return fail(HEBB_NULL, error);
    *rule = nullptr;
    const auto from = modules().find(module);
    if (!from) return fail(HEBB_ERROR_HANDLE, error);
    if (real_bytes != 4 && real_bytes != 8)
      return fail(HEBB_ERROR_SETTING, cat("real_bytes is 4 or 8, got ", real_bytes), error);
    const auto found = choose_rule(from->compilation.model, from->file, name ? name : "");
    if (!found) return fail(HEBB_ERROR_NAME, found.error(), error);
    auto live = LiveRule::create(embed_unit(from->compilation.model, **found, from->sources,
                                            real_bytes == 4 ? Precision::Float32 : Precision::Float64, HEBB_VERSION));
    if (!live) return fail(HEBB_ERROR_WORLD, live.error(), error);
    *rule = reinterpret_cast<hebb_rule*>(rules().open(std::shared_ptr<LiveRule>(*std::move(live))));
    return int{HEBB_OK};
  });
}

int close_rule(hebb_rule* rule) { return closed(rules().close(rule)); }

int64_t field_count(hebb_rule* rule) {
  const auto live = rules().find(rule);
  return live ? static_cast<int64_t>(live->unit().fields.size()) : int64_t{HEBB_ERROR_HANDLE};
}

int get_field(hebb_rule* rule, int64_t index, hebb_field* out) {
  const auto live = rules().find(rule);
  if (!live) return HEBB_ERROR_HANDLE;
  if (out == nullptr) return HEBB_NULL;
  const auto& fields = live->unit().fields;
  if (index < 0 || index >= static_cast<int64_t>(fields.size())) return HEBB_ERROR_SETTING;
  const EmbedField& field = fields[static_cast<size_t>(index)];
  *out = {.name = field.name.c_str(), .kind = kind_name(field.kind), .per = field.place.c_str(),
          .unit = field.unit.c_str(), .meaning = field.meaning.c_str(),
          .width = (*live->unit().program)[field.column].width};
  return HEBB_OK;
}

namespace {

void clear_inputs(Instance& instance) {
  std::fill(instance.inputs.begin(), instance.inputs.end(), 0);
  auto* head = reinterpret_cast<uint32_t*>(instance.inputs.data());
  head[0] = HEBB_BLOCK_ABI;
  head[1] = instance.rule->rule().inputs_size;
}

}  // namespace

int open_instance(hebb_rule* rule, int64_t n_pre, int64_t n_post, uint64_t seed, hebb_instance** out, char** error) {
  return guarded(error, [&] {
    if (out == nullptr) return fail(HEBB_NULL, error);
    *out = nullptr;
    const auto live = rules().find(rule);
    if (!live) return fail(HEBB_ERROR_HANDLE, error);
    auto made = std::make_shared<Instance>();
    made->rule = live;
    made->block.resize(live->rule().block_size / 8);
    made->inputs.resize(static_cast<size_t>(live->inputs().bytes + 7) / 8);
    made->given.resize(live->inputs().offsets.size());
    made->head()->abi_version = HEBB_BLOCK_ABI;
    made->head()->struct_size = live->rule().block_size;
    made->head()->n_pre = n_pre;
    made->head()->n_post = n_post;
    const int64_t bytes = hebb_block_bytes(&live->rule(), made->head());
    if (bytes < 0) return fail(static_cast<int>(bytes), cat(code_text(static_cast<int>(bytes)), ": ", n_pre, " and ", n_post), error);
    made->memory.reset(std::aligned_alloc(64, static_cast<size_t>(bytes)));
    if (!made->memory) return fail(HEBB_ERROR_WORLD, cat("not enough memory for ", bytes, " bytes"), error);
    const int code = hebb_block_init(&live->rule(), made->head(), made->memory.get(), bytes, seed);
    if (code != HEBB_OK) return fail(code, code_text(code), error);
    clear_inputs(*made);
    *out = reinterpret_cast<hebb_instance*>(instances().open(std::move(made)));
    return int{HEBB_OK};
  });
}

int open_sparse(hebb_rule* rule, int64_t n_pre, int64_t n_post, const int32_t* pre, const int32_t* post, int64_t count,
                uint64_t seed, hebb_instance** out, char** error) {
  return guarded(error, [&] {
    if (out == nullptr || ((pre == nullptr || post == nullptr) && count != 0)) return fail(HEBB_NULL, error);
    *out = nullptr;
    const auto live = rules().find(rule);
    if (!live) return fail(HEBB_ERROR_HANDLE, error);
    if (n_pre < 1 || n_post < 1 || n_pre > INT32_MAX - 16 || n_post > INT32_MAX - 16)
      return fail(HEBB_SIZE, cat(code_text(HEBB_SIZE), ": ", n_pre, " and ", n_post), error);
    if (count < 1 || count > INT32_MAX) return fail(HEBB_COUNT, cat("a sparse instance has 1 to 2147483647 synapses, got ", count), error);
    std::vector<Edge> edges;
    for (int64_t k = 0; k < count; ++k) {
      if (pre[k] < 0 || pre[k] >= n_pre || post[k] < 0 || post[k] >= n_post)
        return fail(HEBB_INDEX, cat("synapse ", k, " is from ", pre[k], " to ", post[k], ", outside ", n_pre, " and ", n_post), error);
      edges.push_back({static_cast<uint32_t>(pre[k]), static_cast<uint32_t>(post[k])});
    }
    std::sort(edges.begin(), edges.end());
    if (const auto twice = std::adjacent_find(edges.begin(), edges.end()); twice != edges.end())
      return fail(HEBB_INDEX, cat("there are two synapses from ", twice->pre, " to ", twice->post), error);
    auto sparse = SparseBlock::create(live->unit(), n_pre, n_post, std::move(edges), seed);
    if (!sparse) return fail(HEBB_ERROR_SETTING, sparse.error(), error);
    auto made = std::make_shared<Instance>();
    made->rule = live;
    made->sparse = *std::move(sparse);
    made->block.resize(live->rule().block_size / 8);
    made->inputs.resize(static_cast<size_t>(live->inputs().bytes + 7) / 8);
    made->given.resize(live->inputs().offsets.size());
    made->head()->n_pre = n_pre;
    made->head()->n_post = n_post;
    clear_inputs(*made);
    *out = reinterpret_cast<hebb_instance*>(instances().open(std::move(made)));
    return int{HEBB_OK};
  });
}

int close_instance(hebb_instance* instance) { return closed(instances().close(instance)); }

namespace {

const EmbedField* field_named(const Instance& instance, const char* name) {
  for (const EmbedField& field : instance.rule->unit().fields)
    if (field.name == name) return &field;
  return nullptr;
}

int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

hebb_array array_of(Instance& instance, const EmbedField& field) {
  if (instance.sparse) {
    const ColumnLayout& at = instance.sparse->layout(field.column);
    return {.data = instance.column(field.column), .real_bytes = instance.rule->rule().real_bytes, .unused = 0, .pres = 1,
            .posts = at.posts, .width = at.width, .row = 0, .plane = std::max<int64_t>(at.plane, 1)};
  }
  const hebb_block& b = *instance.head();
  const Column& column = (*instance.rule->unit().program)[field.column];
  hebb_array array{.data = instance.column(field.column), .real_bytes = instance.rule->rule().real_bytes, .unused = 0,
                   .pres = 1, .posts = 1, .width = column.width, .row = 0, .plane = 1};
  if (field.place == "pre") array.posts = b.n_pre;
  if (field.place == "post" || field.place == "synapse") array.posts = b.n_post;
  if (field.place == "synapse") array.pres = b.n_pre, array.row = b.row;
  if (field.place != "one") array.plane = array.pres * padded(array.posts);
  return array;
}

}  // namespace

int get_array(hebb_instance* handle, const char* name, hebb_array* out) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  if (name == nullptr || out == nullptr) return HEBB_NULL;
  const EmbedField* field = field_named(*instance, name);
  if (!field) return HEBB_ERROR_NAME;
  *out = array_of(*instance, *field);
  return HEBB_OK;
}

namespace {

/// visit(offset in memory, number in the order of the table).
template <class Visit>
void each_place(const hebb_array& a, Visit visit) {
  int64_t at = 0;
  for (int64_t i = 0; i < a.pres; ++i)
    for (int64_t j = 0; j < a.posts; ++j)
      for (int64_t e = 0; e < a.width; ++e, ++at) visit(e * a.plane + i * a.row + j, at);
}
void store(const hebb_array& a, int64_t place, double value) {
  if (a.real_bytes == 4) static_cast<float*>(a.data)[place] = static_cast<float>(value);
  else static_cast<double*>(a.data)[place] = value;
}
double load(const hebb_array& a, int64_t place) {
  return a.real_bytes == 4 ? static_cast<const float*>(a.data)[place] : static_cast<const double*>(a.data)[place];
}

template <class Visit>
int for_each(hebb_instance* handle, const char* name, const void* values, int64_t count, bool one_for_all, Visit visit) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  if (name == nullptr || values == nullptr) return HEBB_NULL;
  const EmbedField* field = field_named(*instance, name);
  if (!field) return HEBB_ERROR_NAME;
  const hebb_array a = array_of(*instance, *field);
  const bool same = one_for_all && count == 1;
  if (!same && count != a.pres * a.posts * a.width) return HEBB_COUNT;
  each_place(a, [&](int64_t place, int64_t at) { visit(a, place, same ? 0 : at); });
  return HEBB_OK;
}

}  // namespace

int set(hebb_instance* handle, const char* name, const double* values, int64_t count) {
  return for_each(handle, name, values, count, true,
                  [&](const hebb_array& a, int64_t place, int64_t at) { store(a, place, values[at]); });
}

int get(hebb_instance* handle, const char* name, double* values, int64_t count) {
  return for_each(handle, name, values, count, false,
                  [&](const hebb_array& a, int64_t place, int64_t at) { values[at] = load(a, place); });
}

namespace {

struct Slot {
  const void* values;
  int64_t count;
};

/// The input of that name and kind; below 0: a code.
int64_t find_input(const Instance& instance, const char* name, ObjectInput::Kind kind) {
  const EmbedUnit& unit = instance.rule->unit();
  for (size_t k = 0; k < unit.object.inputs.size(); ++k)
    if ((*unit.program)[unit.object.inputs[k].column].name == name)
      return unit.object.inputs[k].kind == kind ? static_cast<int64_t>(k) : int64_t{HEBB_ERROR_NAME};
  return HEBB_ERROR_NAME;
}

void give(Instance& instance, int64_t input, const void* bytes, size_t size, int64_t count) {
  std::vector<char>& kept = instance.given[static_cast<size_t>(input)];
  kept.assign(static_cast<const char*>(bytes), static_cast<const char*>(bytes) + size);
  auto* slot = reinterpret_cast<Slot*>(reinterpret_cast<char*>(instance.inputs.data()) +
                                       instance.rule->inputs().offsets[static_cast<size_t>(input)]);
  *slot = {count == 0 ? nullptr : kept.data(), count};
}

}  // namespace

int give_spikes(hebb_instance* handle, const char* name, const int32_t* neurons, int64_t count) {
  return guarded(nullptr, [&] {
    const auto instance = instances().find(handle);
    if (!instance) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || (neurons == nullptr && count != 0)) return int{HEBB_NULL};
    if (count < 0 || count > INT32_MAX) return int{HEBB_COUNT};
    const int64_t input = find_input(*instance, name, ObjectInput::Kind::Spikes);
    if (input < 0) return static_cast<int>(input);
    const ColumnId column = instance->rule->unit().object.inputs[static_cast<size_t>(input)].column;
    const bool pre = instance->rule->rule().columns[column.value].space == HEBB_SPACE_PRE;
    const int64_t n = pre ? instance->head()->n_pre : instance->head()->n_post;
    for (int64_t k = 0; k < count; ++k)
      if (neurons[k] < 0 || neurons[k] >= n) return int{HEBB_INDEX};
    give(*instance, input, neurons, static_cast<size_t>(count) * 4, count);
    return int{HEBB_OK};
  });
}

int give_values(hebb_instance* handle, const char* name, const double* values, int64_t count) {
  return guarded(nullptr, [&] {
    const auto instance = instances().find(handle);
    if (!instance) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || values == nullptr) return int{HEBB_NULL};
    const int64_t input = find_input(*instance, name, ObjectInput::Kind::Values);
    if (input < 0) return static_cast<int>(input);
    return set(handle, name, values, count);
  });
}

int give_event(hebb_instance* handle, const char* name) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  if (name == nullptr) return HEBB_NULL;
  const int64_t input = find_input(*instance, name, ObjectInput::Kind::Event);
  if (input < 0) return static_cast<int>(input);
  *reinterpret_cast<int64_t*>(reinterpret_cast<char*>(instance->inputs.data()) +
                              instance->rule->inputs().offsets[static_cast<size_t>(input)]) = 1;
  return HEBB_OK;
}

namespace {

template <class Call>
int moment(hebb_instance* handle, Call call) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  const int code = call(instance->rule->rule(), *instance);
  clear_inputs(*instance);
  return code;
}

}  // namespace

int instant(hebb_instance* handle) {
  return moment(handle, [](const hebb_block_rule& rule, Instance& i) {
    if (i.sparse) return i.sparse->moment(rule, *i.rule, i.inputs.data(), 0);
    return hebb_block_instant(&rule, i.head(), i.inputs.data());
  });
}
int step(hebb_instance* handle, double dt) {
  return moment(handle, [dt](const hebb_block_rule& rule, Instance& i) {
    if (i.sparse) return dt > 0 && std::isfinite(dt) ? i.sparse->moment(rule, *i.rule, i.inputs.data(), dt) : int{HEBB_DT};
    return hebb_block_step(&rule, i.head(), i.inputs.data(), dt);
  });
}
int sync(hebb_instance* handle) {
  return guarded(nullptr, [&] {
    const auto instance = instances().find(handle);
    if (!instance) return int{HEBB_ERROR_HANDLE};
    return instance->sparse ? instance->sparse->sync() : hebb_block_sync(&instance->rule->rule(), instance->head());
  });
}

int start(hebb_instance* handle) {
  return guarded(nullptr, [&] {
    const auto instance = instances().find(handle);
    if (!instance) return int{HEBB_ERROR_HANDLE};
    return instance->sparse ? instance->sparse->start() : hebb_block_start(&instance->rule->rule(), instance->head());
  });
}

int get_clock(hebb_instance* handle, int64_t* steps, double* time_ms) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  if (steps) *steps = instance->sparse ? instance->sparse->steps() : instance->head()->step;
  if (time_ms) *time_ms = instance->sparse ? instance->sparse->time_ms() : instance->head()->time_ms;
  return HEBB_OK;
}

int set_clock(hebb_instance* handle, int64_t steps, double time_ms) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  if (steps < 0 || !(time_ms >= 0 && std::isfinite(time_ms))) return HEBB_ERROR_SETTING;
  if (instance->sparse) return instance->sparse->set_clock(steps, time_ms);
  return hebb_block_set_clock(&instance->rule->rule(), instance->head(), steps, time_ms);
}

namespace {

int sparse_vjp(Instance& instance, double dt, const hebb_bar* bars, int64_t count, char** error) {
  if (!(dt >= 0 && std::isfinite(dt))) return fail(HEBB_DT, error);
  const auto gradient = instance.sparse->gradient(instance.rule->unit());
  if (!gradient) return fail(HEBB_ERROR_SETTING, gradient.error(), error);
  std::vector<SparseGradient::Wanted> wanted;
  for (int64_t k = 0; k < count; ++k) {
    const hebb_bar& bar = bars[k];
    if (bar.field == nullptr || bar.values == nullptr) return fail(HEBB_NULL, error);
    const EmbedField* field = field_named(instance, bar.field);
    const ObjectGradient::Bar* found = field ? (*gradient)->bar_of(field->column) : nullptr;
    if (!found) return fail(HEBB_ERROR_NAME, cat("there is no derivative by ", quoted(std::string(bar.field))), error);
    const int64_t size = instance.sparse->layout(field->column).size();
    if (bar.count != size) return fail(HEBB_COUNT, cat(quoted(field->name), " has ", size, " values, got ", bar.count), error);
    wanted.push_back({.bar = found, .values = {bar.values, bar.values + size}});
  }
  const int code = instance.sparse->run_gradient(instance.rule->rule(), *instance.rule, instance.inputs.data(), dt, wanted);
  if (code < 0) return fail(code, error);
  for (int64_t k = 0; k < count; ++k)
    for (int64_t i = 0; i < bars[k].count; ++i) {
      const double found = wanted[static_cast<size_t>(k)].values[static_cast<size_t>(i)];
      bars[k].values[i] = wanted[static_cast<size_t>(k)].bar->carried ? found : found + bars[k].values[i];
    }
  return HEBB_OK;
}

}  // namespace

int vjp(hebb_instance* handle, double dt, const hebb_bar* bars, int64_t count, char** error) {
  return guarded(error, [&] {
    const auto instance = instances().find(handle);
    if (!instance) return fail(HEBB_ERROR_HANDLE, error);
    if (bars == nullptr && count != 0) return fail(HEBB_NULL, error);
    if (count < 0 || count > 1 << 20) return fail(HEBB_COUNT, error);
    if (instance->sparse) return sparse_vjp(*instance, dt, bars, count, error);
    const auto gradient = instance->rule->gradient();
    if (!gradient) return fail(HEBB_ERROR_SETTING, gradient.error(), error);

    // Padded arrays for what is asked for; null for the rest.
    const hebb_block_rule& rule = instance->rule->rule();
    std::vector<uint64_t> members((*gradient)->gradients_size / 8);
    auto* numbers = reinterpret_cast<uint32_t*>(members.data());
    numbers[0] = HEBB_BLOCK_ABI;
    numbers[1] = (*gradient)->gradients_size;
    std::vector<std::vector<double>> padded(static_cast<size_t>(count));   // room for float or double
    std::vector<hebb_array> places;
    for (int64_t k = 0; k < count; ++k) {
      const hebb_bar& bar = bars[k];
      if (bar.field == nullptr || bar.values == nullptr) return fail(HEBB_NULL, error);
      const EmbedField* field = field_named(*instance, bar.field);
      size_t member = 0;
      while (field && member < static_cast<size_t>((*gradient)->bar_count) &&
             (*gradient)->bars[member].field != static_cast<int32_t>(field->column.value))
        ++member;
      if (!field || member == static_cast<size_t>((*gradient)->bar_count))
        return fail(HEBB_ERROR_NAME, cat("there is no derivative by ", quoted(std::string(bar.field))), error);
      places.push_back(array_of(*instance, *field));
      hebb_array& a = places.back();
      if (bar.count != a.pres * a.posts * a.width)
        return fail(HEBB_COUNT, cat(quoted(field->name), " has ", a.pres * a.posts * a.width, " values, got ", bar.count), error);
      const int64_t all = field->place == "one" ? a.width : a.width * a.plane;
      padded[k].assign(static_cast<size_t>(all), 0);
      a.data = padded[k].data();
      members[1 + member] = reinterpret_cast<uint64_t>(a.data);
      if (is_carried(field->kind)) each_place(a, [&](int64_t place, int64_t at) { store(a, place, bar.values[at]); });
    }
    const int64_t needed = hebb_block_vjp_bytes(&rule, *gradient, instance->head());
    if (needed < 0) return fail(static_cast<int>(needed), error);
    if (instance->work_bytes < needed) {
      instance->work_bytes = 0;
      instance->work.reset(std::aligned_alloc(64, static_cast<size_t>((needed + 63) / 64 * 64)));
      if (!instance->work) return fail(HEBB_ERROR_WORLD, cat("not enough memory for ", needed, " bytes"), error);
      instance->work_bytes = needed;
    }
    const int code = hebb_block_vjp(&rule, *gradient, instance->head(), instance->inputs.data(), dt, members.data(),
                                    instance->work.get(), needed);
    if (code != HEBB_OK) return fail(code, error);
    for (int64_t k = 0; k < count; ++k) {
      const hebb_array& a = places[k];
      const bool carried = is_carried(field_named(*instance, bars[k].field)->kind);
      each_place(a, [&](int64_t place, int64_t at) { bars[k].values[at] = load(a, place) + (carried ? 0 : bars[k].values[at]); });
    }
    return int{HEBB_OK};
  });
}

}  // namespace hebb::library
