// The table of libhebb, and the functions that make modules.

#include <dlfcn.h>
#include <pthread.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#define HEBB_BUILDING_LIBRARY
#include "runtime/embed/library/objects.h"

namespace hebb {

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

std::string messages(const Diagnostics& diags, const Sources& sources, bool json) {
  return render(diags, sources, {.format = json ? MessageFormat::Json : MessageFormat::Human});
}

namespace library {
namespace {

namespace fs = std::filesystem;

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

int compile_source(std::string text, const std::string& name, bool json, hebb_module** module, char** error) {
  auto made = std::make_shared<Module>();
  made->json = json;
  made->file = made->sources.add(name, std::move(text));
  Diagnostics diags;
  CheckOptions check;
  check.std_root = std_root();
  made->compilation = hebb::compile(made->sources, made->file, check, diags);
  if (diags.has_errors()) return fail(HEBB_ERROR_SOURCE, messages(diags, made->sources, json), error);
  *module = reinterpret_cast<hebb_module*>(modules().open(std::move(made)));
  return HEBB_OK;
}

int compile_path(const char* path, bool json, hebb_module** module, char** error) {
  std::error_code ignored;
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path, ignored)) return fail(HEBB_ERROR_WORLD, cat("cannot read ", path), error);
  std::stringstream text;
  text << file.rdbuf();
  return compile_source(text.str(), path, json, module, error);
}

int compile(const hebb_source* source, hebb_module** module, char** error) {
  return guarded(error, [&] {
    if (source == nullptr || module == nullptr) return fail(HEBB_NULL, error);
    *module = nullptr;
    if (source->version < 2 || source->version > HEBB_API_VERSION)
      return fail(HEBB_ABI, cat("version is ", source->version, ", expected ", HEBB_API_VERSION), error);
    if (source->messages > HEBB_MESSAGES_JSON) return fail(HEBB_ERROR_SETTING, cat("messages is 0 or 1, got ", source->messages), error);
    const bool json = source->messages == HEBB_MESSAGES_JSON;
    if (source->text) return compile_source(source->text, source->name ? source->name : "<text>", json, module, error);
    return source->name ? compile_path(source->name, json, module, error) : fail(HEBB_NULL, error);
  });
}

int compile_text(const char* source, const char* name, hebb_module** module, char** error) {
  return guarded(error, [&] {
    if (source == nullptr || module == nullptr) return fail(HEBB_NULL, error);
    *module = nullptr;
    return compile_source(source, name ? name : "<text>", false, module, error);
  });
}

int compile_file(const char* path, hebb_module** module, char** error) {
  return guarded(error, [&] {
    if (path == nullptr || module == nullptr) return fail(HEBB_NULL, error);
    *module = nullptr;
    return compile_path(path, false, module, error);
  });
}

int close_module(hebb_module* module) { return closed(modules().close(module)); }

template <class Do>
void all_handles(Do act) {
  act(modules());
  act(rules());
  act(instances());
  act(networks());
  act(evaluations());
}

void prepare_process() {
  [[maybe_unused]] static const int once = [] {
    throw_when_llvm_gives_up();
    const auto unlock = [] { all_handles([](auto& handles) { handles.unlock(); }); };
    return pthread_atfork([] { all_handles([](auto& handles) { handles.lock(); }); }, unlock, unlock);
  }();
}

constexpr hebb_api kApi = {
    HEBB_API_VERSION, sizeof(hebb_api), version_text, code_text, free_text, compile_text, compile_file, close_module,
    open_rule, close_rule, field_count, get_field, open_instance, close_instance, get_array, set, get, give_spikes,
    give_values, give_event, instant, step, sync, start, open_network, close_network, network_size, network_set,
    network_get, network_feed, run,
    /* since 2 */
    compile, describe, open_sparse, get_clock, set_clock, vjp, network_record, network_recording, network_restart,
    network_describe, evaluate, result_count, result_value, result_text, close_result};

}  // namespace
}  // namespace library
}  // namespace hebb

extern "C" const hebb_api* hebb_get_api(uint32_t version) {
  if (version < 1 || version > HEBB_API_VERSION) return nullptr;
  hebb::library::prepare_process();
  return &hebb::library::kApi;
}
