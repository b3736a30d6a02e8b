// The table of libhebb: every function turns handles into objects, calls the compiler or the runtime, and
// lets no exception out.

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <new>
#include <sstream>

#include "compiler/embed/header.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/support/text.h"
#include "runtime/embed/live_rule.h"
#include "runtime/simulation.h"

#define HEBB_BUILDING_LIBRARY
#include "runtime/embed/hebb.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;

/// Handles are numbers that are never used twice: a closed one is known as closed, whatever memory does.
template <class T>
class Handles {
 public:
  uintptr_t open(std::shared_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    next_ += 16;
    objects_[next_] = std::move(object);
    return next_;
  }
  std::shared_ptr<T> find(const void* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<uintptr_t>(handle));
    return found == objects_.end() ? nullptr : found->second;
  }
  bool close(const void* handle) {
    std::shared_ptr<T> last;  // destroyed after the lock is
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<uintptr_t>(handle));
    if (found == objects_.end()) return false;
    last = std::move(found->second);
    objects_.erase(found);
    return true;
  }
  explicit Handles(uintptr_t kind) : next_(kind) {}

 private:
  std::mutex mutex_;
  std::map<uintptr_t, std::shared_ptr<T>> objects_;
  uintptr_t next_;
};

struct Module {
  Sources sources;
  FileId file;
  Compilation compilation;
};

struct Instance {
  std::shared_ptr<LiveRule> rule;
  std::vector<uint64_t> block;    // the struct that a header would declare
  std::vector<uint64_t> inputs;   // of the coming moment
  std::vector<std::vector<char>> given;
  std::unique_ptr<void, decltype(&std::free)> memory{nullptr, &std::free};

  hebb_block* head() { return reinterpret_cast<hebb_block*>(block.data()); }
  void* column(ColumnId id) { return reinterpret_cast<void**>(head() + 1)[1 + id.value]; }
};

struct RunningNetwork {
  std::shared_ptr<const Program> program;
  std::optional<Simulation> simulation;
  std::vector<FeedValues> feeds;
};

// The last digit tells kinds apart: a handle of another kind is no handle.
Handles<Module>& modules() { static Handles<Module> all(0x1001); return all; }
Handles<LiveRule>& rules() { static Handles<LiveRule> all(0x1002); return all; }
Handles<Instance>& instances() { static Handles<Instance> all(0x1003); return all; }
Handles<RunningNetwork>& networks() { static Handles<RunningNetwork> all(0x1004); return all; }

int fail(int code, const std::string& text, char** error) {
  if (error == nullptr) return code;
  *error = static_cast<char*>(std::malloc(text.size() + 1));
  if (*error != nullptr) std::memcpy(*error, text.c_str(), text.size() + 1);
  return code;
}

/// What any function may fail of.
template <class Body>
auto guarded(char** error, Body body) noexcept -> decltype(body()) {
  if (error != nullptr) *error = nullptr;
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(HEBB_ERROR_WORLD, "not enough memory", error);
  } catch (const std::exception& problem) {
    return fail(HEBB_ERROR_INTERNAL, problem.what(), error);
  } catch (...) {
    return fail(HEBB_ERROR_INTERNAL, "an unknown failure", error);
  }
}

const char* code_text(int code) {
  switch (code) {
    case HEBB_ERROR_HANDLE: return "the handle is null, closed, or of another kind";
    case HEBB_ERROR_SOURCE: return "the text has mistakes";
    case HEBB_ERROR_NAME: return "nothing has that name";
    case HEBB_ERROR_WORLD: return "a file, the memory or the processor refuses";
    case HEBB_ERROR_SETTING: return "an argument is out of range";
    case HEBB_ERROR_DIVERGED: return "a value is no longer finite";
    case HEBB_ERROR_INTERNAL: return "a bug of libhebb";
    default: return hebb_block_error_text(code);
  }
}

const char* version_text() { return "hebb " HEBB_VERSION; }
void free_text(char* text) { std::free(text); }

/// $HEBB_STDLIB, or the folder installed beside the library, or that of the sources.
std::string std_root() {
  if (const char* given = std::getenv("HEBB_STDLIB"); given && *given) return given;
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&std_root), &info) && info.dli_fname) {
    std::error_code error;
    const fs::path installed = fs::path(info.dli_fname).parent_path().parent_path() / "share" / "hebb" / "stdlib";
    if (fs::is_directory(installed, error)) return installed.string();
  }
  return HEBB_SOURCE_DIR "/stdlib";
}

int closed(bool it_was_open) { return it_was_open ? int{HEBB_OK} : int{HEBB_ERROR_HANDLE}; }

// --- modules -------------------------------------------------------------------------------------------------

int compile_source(std::string text, const std::string& name, hebb_module** module, char** error) {
  auto made = std::make_shared<Module>();
  made->file = made->sources.add(name, std::move(text));
  Diagnostics diags;
  CheckOptions check;
  check.std_root = std_root();
  made->compilation = compile(made->sources, made->file, check, diags);
  if (diags.has_errors()) return fail(HEBB_ERROR_SOURCE, render(diags, made->sources, {}), error);
  *module = reinterpret_cast<hebb_module*>(modules().open(std::move(made)));
  return HEBB_OK;
}

int compile_text(const char* source, const char* name, hebb_module** module, char** error) {
  return guarded(error, [&] {
    if (source == nullptr || module == nullptr) return fail(HEBB_NULL, code_text(HEBB_NULL), error);
    *module = nullptr;
    return compile_source(source, name ? name : "<text>", module, error);
  });
}

int compile_file(const char* path, hebb_module** module, char** error) {
  return guarded(error, [&] {
    if (path == nullptr || module == nullptr) return fail(HEBB_NULL, code_text(HEBB_NULL), error);
    *module = nullptr;
    std::error_code ignored;
    std::ifstream file(path, std::ios::binary);
    if (!file || fs::is_directory(path, ignored))
      return fail(HEBB_ERROR_WORLD, cat("cannot read ", path), error);
    std::stringstream text;
    text << file.rdbuf();
    return compile_source(text.str(), path, module, error);
  });
}

int close_module(hebb_module* module) { return closed(modules().close(module)); }

// --- rules ---------------------------------------------------------------------------------------------------

int open_rule(hebb_module* module, const char* name, int32_t real_bytes, hebb_rule** rule, char** error) {
  return guarded(error, [&] {
    if (rule == nullptr) return fail(HEBB_NULL, code_text(HEBB_NULL), error);
    *rule = nullptr;
    const auto from = modules().find(module);
    if (!from) return fail(HEBB_ERROR_HANDLE, code_text(HEBB_ERROR_HANDLE), error);
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

// --- instances -----------------------------------------------------------------------------------------------

void clear_inputs(Instance& instance) {
  std::fill(instance.inputs.begin(), instance.inputs.end(), 0);
  auto* head = reinterpret_cast<uint32_t*>(instance.inputs.data());
  head[0] = HEBB_BLOCK_ABI;
  head[1] = instance.rule->rule().inputs_size;
}

int open_instance(hebb_rule* rule, int64_t n_pre, int64_t n_post, uint64_t seed, hebb_instance** out, char** error) {
  return guarded(error, [&] {
    if (out == nullptr) return fail(HEBB_NULL, code_text(HEBB_NULL), error);
    *out = nullptr;
    const auto live = rules().find(rule);
    if (!live) return fail(HEBB_ERROR_HANDLE, code_text(HEBB_ERROR_HANDLE), error);
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

int close_instance(hebb_instance* instance) { return closed(instances().close(instance)); }

const EmbedField* field_named(const Instance& instance, const char* name) {
  for (const EmbedField& field : instance.rule->unit().fields)
    if (field.name == name) return &field;
  return nullptr;
}

int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

hebb_array array_of(Instance& instance, const EmbedField& field) {
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

int get_array(hebb_instance* handle, const char* name, hebb_array* out) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  if (name == nullptr || out == nullptr) return HEBB_NULL;
  const EmbedField* field = field_named(*instance, name);
  if (!field) return HEBB_ERROR_NAME;
  *out = array_of(*instance, *field);
  return HEBB_OK;
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
  int64_t at = 0;
  for (int64_t i = 0; i < a.pres; ++i)
    for (int64_t j = 0; j < a.posts; ++j)
      for (int64_t e = 0; e < a.width; ++e, ++at)
        visit(a, e * a.plane + i * a.row + j, same ? 0 : at);
  return HEBB_OK;
}

int set(hebb_instance* handle, const char* name, const double* values, int64_t count) {
  return for_each(handle, name, values, count, true, [&](const hebb_array& a, int64_t place, int64_t at) {
    if (a.real_bytes == 4) static_cast<float*>(a.data)[place] = static_cast<float>(values[at]);
    else static_cast<double*>(a.data)[place] = values[at];
  });
}

int get(hebb_instance* handle, const char* name, double* values, int64_t count) {
  return for_each(handle, name, values, count, false, [&](const hebb_array& a, int64_t place, int64_t at) {
    values[at] = a.real_bytes == 4 ? static_cast<const float*>(a.data)[place] : static_cast<const double*>(a.data)[place];
  });
}

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

int give_spikes(hebb_instance* handle, const char* name, const int32_t* neurons, int64_t count) {
  return guarded(nullptr, [&] {
    const auto instance = instances().find(handle);
    if (!instance) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || (neurons == nullptr && count != 0)) return int{HEBB_NULL};
    if (count < 0 || count > INT32_MAX) return int{HEBB_COUNT};
    const int64_t input = find_input(*instance, name, ObjectInput::Kind::Spikes);
    if (input < 0) return static_cast<int>(input);
    const ColumnId column = instance->rule->unit().object.inputs[static_cast<size_t>(input)].column;
    const int64_t n = instance->rule->rule().columns[column.value].space == HEBB_SPACE_PRE ? instance->head()->n_pre
                                                                                            : instance->head()->n_post;
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

template <class Call>
int moment(hebb_instance* handle, Call call) {
  const auto instance = instances().find(handle);
  if (!instance) return HEBB_ERROR_HANDLE;
  const int code = call(instance->rule->rule(), *instance);
  clear_inputs(*instance);
  return code;
}

int instant(hebb_instance* handle) {
  return moment(handle, [](const hebb_block_rule& rule, Instance& i) { return hebb_block_instant(&rule, i.head(), i.inputs.data()); });
}
int step(hebb_instance* handle, double dt) {
  return moment(handle, [dt](const hebb_block_rule& rule, Instance& i) { return hebb_block_step(&rule, i.head(), i.inputs.data(), dt); });
}
int sync(hebb_instance* handle) {
  const auto instance = instances().find(handle);
  return instance ? hebb_block_sync(&instance->rule->rule(), instance->head()) : int{HEBB_ERROR_HANDLE};
}
int start(hebb_instance* handle) {
  const auto instance = instances().find(handle);
  return instance ? hebb_block_start(&instance->rule->rule(), instance->head()) : int{HEBB_ERROR_HANDLE};
}

// --- networks ------------------------------------------------------------------------------------------------

int open_network(hebb_module* module, const char* name, const hebb_network_options* options, hebb_network** out, char** error) {
  return guarded(error, [&] {
    if (out == nullptr || options == nullptr) return fail(HEBB_NULL, code_text(HEBB_NULL), error);
    *out = nullptr;
    const auto from = modules().find(module);
    if (!from) return fail(HEBB_ERROR_HANDLE, code_text(HEBB_ERROR_HANDLE), error);
    if (options->version != HEBB_API_VERSION) return fail(HEBB_ABI, cat("version is ", options->version, ", expected ", HEBB_API_VERSION), error);
    if (options->real_bytes != 4 && options->real_bytes != 8)
      return fail(HEBB_ERROR_SETTING, cat("real_bytes is 4 or 8, got ", options->real_bytes), error);
    if (options->threads < 1 || options->threads > 4096)
      return fail(HEBB_ERROR_SETTING, cat("threads is 1 to 4096, got ", options->threads), error);
    const Model& model = from->compilation.model;
    const Network* network = name ? model.find_network(name) : model.networks.size() == 1 ? &model.networks[0] : nullptr;
    if (!network)
      return fail(HEBB_ERROR_NAME, name ? cat("there is no network called ", quoted(std::string(name))) : std::string("name one network of the module"), error);
    const Precision precision = options->real_bytes == 4 ? Precision::Float32 : Precision::Float64;
    auto made = std::make_shared<RunningNetwork>();
    made->program = std::make_shared<const Program>(lower(model, *network, {}));
    auto kernels = jit(*made->program, {.precision = precision});
    if (!kernels) return fail(HEBB_ERROR_WORLD, kernels.error(), error);
    auto simulation = Simulation::create(made->program, *std::move(kernels),
                                         {.precision = precision, .seed = options->seed, .threads = options->threads});
    if (!simulation) return fail(HEBB_ERROR_WORLD, simulation.error(), error);
    made->simulation.emplace(*std::move(simulation));
    made->simulation->initialise();
    *out = reinterpret_cast<hebb_network*>(networks().open(std::move(made)));
    return int{HEBB_OK};
  });
}

int close_network(hebb_network* network) { return closed(networks().close(network)); }

int network_get(hebb_network* handle, const char* name, double* values, int64_t count) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || values == nullptr) return int{HEBB_NULL};
    const ColumnId column = network->program->find_column(name);
    if (!column.valid()) return int{HEBB_ERROR_NAME};
    const std::vector<double> all = network->simulation->get(column);
    if (count != static_cast<int64_t>(all.size())) return int{HEBB_COUNT};
    std::copy(all.begin(), all.end(), values);
    return int{HEBB_OK};
  });
}

int64_t network_size(hebb_network* handle, const char* name) {
  int64_t size = 0;
  const int code = guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr) return int{HEBB_NULL};
    const ColumnId column = network->program->find_column(name);
    if (!column.valid()) return int{HEBB_ERROR_NAME};
    size = static_cast<int64_t>(network->simulation->get(column).size());
    return int{HEBB_OK};
  });
  return code < 0 ? code : size;
}

int network_set(hebb_network* handle, const char* name, const double* values, int64_t count) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || values == nullptr) return int{HEBB_NULL};
    const ColumnId column = network->program->find_column(name);
    if (!column.valid()) return int{HEBB_ERROR_NAME};
    const auto size = static_cast<int64_t>(network->simulation->get(column).size());
    if (count != 1 && count != size) return int{HEBB_COUNT};
    return network->simulation->set(column, {values, static_cast<size_t>(count)}) ? int{HEBB_OK} : int{HEBB_ERROR_SETTING};
  });
}

int network_feed(hebb_network* handle, const char* name, const double* values, int64_t rows, int64_t steps) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || values == nullptr) return int{HEBB_NULL};
    const auto& feeds = network->program->plan.feeds;
    const auto feed = std::find_if(feeds.begin(), feeds.end(), [&](const Feed& one) { return one.name == name; });
    if (feed == feeds.end()) return int{HEBB_ERROR_NAME};
    const int64_t count = rows * std::max<int64_t>(steps, 1);
    if (rows != static_cast<int64_t>(network->simulation->get(feed->column).size()) || steps < 0 || count > int64_t{1} << 40)
      return int{HEBB_COUNT};
    std::erase_if(network->feeds, [&](const FeedValues& given) { return given.name == name; });
    network->feeds.push_back({.name = name, .values = {values, values + count}, .rows = rows, .constant = steps == 0});
    return int{HEBB_OK};
  });
}

int run(hebb_network* handle, int64_t steps, double dt, char** error) {
  return guarded(error, [&] {
    const auto network = networks().find(handle);
    if (!network) return fail(HEBB_ERROR_HANDLE, code_text(HEBB_ERROR_HANDLE), error);
    if (steps < 0) return fail(HEBB_ERROR_SETTING, cat("steps is ", steps), error);
    if (!(dt > 0 && std::isfinite(dt))) return fail(HEBB_DT, code_text(HEBB_DT), error);
    for (const Feed& feed : network->program->plan.feeds) {
      const bool given = std::any_of(network->feeds.begin(), network->feeds.end(),
                                     [&](const FeedValues& one) { return one.name == feed.name; });
      if (!given && !feed.event) return fail(HEBB_ERROR_SETTING, cat("give ", quoted(feed.name), " with network_feed"), error);
    }
    const std::vector<FeedValues> feeds = std::move(network->feeds);
    network->feeds.clear();
    const Status done = network->simulation->run(steps, dt, feeds, {});
    if (!done) return fail(HEBB_ERROR_SETTING, done.error(), error);
    if (const auto& divergence = network->simulation->divergence())
      return fail(HEBB_ERROR_DIVERGED, cat(divergence->column, " is ", divergence->value, " at ", divergence->time_ms, " ms"), error);
    return int{HEBB_OK};
  });
}

constexpr hebb_api kApi = {
    HEBB_API_VERSION, sizeof(hebb_api), version_text, code_text, free_text, compile_text, compile_file, close_module,
    open_rule, close_rule, field_count, get_field, open_instance, close_instance, get_array, set, get, give_spikes,
    give_values, give_event, instant, step, sync, start, open_network, close_network, network_size, network_set,
    network_get, network_feed, run};

}  // namespace
}  // namespace hebb

extern "C" const hebb_api* hebb_get_api(uint32_t version) { return version == HEBB_API_VERSION ? &hebb::kApi : nullptr; }
