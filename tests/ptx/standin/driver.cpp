#include "tests/ptx/standin/driver.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "compiler/support/text.h"
#include "tests/ptx/parse.h"

namespace hebb::standin {
namespace {

thread_local Context* current = nullptr;

/// The newest PTX that the stand-in's driver would take, by major and minor number.
constexpr int kNewestPtx = 807;

int version_number(std::string_view text) {
  const size_t dot = std::min(text.find('.'), text.size() - 1);
  int major = 0, minor = 0;
  std::from_chars(text.data(), text.data() + dot, major);
  std::from_chars(text.data() + dot + 1, text.data() + text.size(), minor);
  return 100 * major + minor;
}

Code code_of(emulator::FaultKind kind) {
  switch (kind) {
    case emulator::FaultKind::Launch: return kLaunchFailed;
    case emulator::FaultKind::Address: return kIllegalAddress;
    case emulator::FaultKind::Misaligned: return kMisalignedAddress;
    case emulator::FaultKind::Timeout: return kLaunchTimeout;
  }
  return kLaunchFailed;
}

template <class Map>
auto* lookup(Map& map, void* handle) {
  const auto found = map.find(handle);
  return found == map.end() ? nullptr : found->second.get();
}

template <class Map, class Made>
void* keep(Map& map, std::unique_ptr<Made> made) {
  void* const handle = made.get();
  map.emplace(handle, std::move(made));
  return handle;
}

}  // namespace

Driver& driver() {
  static Driver one;
  return one;
}

Driver::Driver() : settings(settings_from_environment()) {}
Driver::~Driver() { report(); }

void Driver::say(const std::string& what) const { std::fprintf(stderr, "cuda stand-in: %s\n", what.c_str()); }

void Driver::report() const {
  if (settings.report.empty()) return;
  std::FILE* const file = std::fopen(settings.report.c_str(), "a");
  if (file == nullptr) return say("cannot write " + settings.report);
  for (const auto& [name, count] : calls_) std::fprintf(file, "%s %llu\n", name.c_str(), static_cast<unsigned long long>(count));
  std::fprintf(file, "ran %llu kernels, %llu threads, %llu instructions\n", static_cast<unsigned long long>(kernels_),
               static_cast<unsigned long long>(counts_.threads), static_cast<unsigned long long>(counts_.instructions));
  std::fprintf(file, "left behind: %llu bytes, %zu modules, %zu streams, %zu graphs, %zu host buffers, %d contexts\n",
               static_cast<unsigned long long>(memory_.bytes_in_use()), modules_.size(), streams_.size(),
               graphs_.size() + ready_.size(), pinned_.size(), context_.retained);
  std::fclose(file);
}

Code Driver::enter(const char* name, bool wants_context) {
  const uint64_t number = ++calls_[name];
  if (const auto asked = settings.failures.find(name); asked != settings.failures.end())
    if (const auto fails = asked->second.find(number); fails != asked->second.end()) {
      const auto code = static_cast<Code>(fails->second);
      if (code >= kIllegalAddress && code <= kLaunchFailed) broken_ = code;
      return code;
    }
  if (!wants_context) return kSuccess;
  if (!is_initialised_) return kNotInitialized;
  if (current == nullptr || current->retained == 0) return kInvalidContext;
  return broken_;
}

Code Driver::init() {
  if (settings.devices == 0) return kNoDevice;
  is_initialised_ = true;
  return kSuccess;
}

Code Driver::retain(void** context, int device) {
  if (!is_initialised_) return kNotInitialized;
  if (device < 0 || device >= settings.devices) return kInvalidDevice;
  ++context_.retained;
  *context = &context_;
  return kSuccess;
}

Code Driver::release(int device) {
  if (!is_initialised_) return kNotInitialized;
  if (device < 0 || device >= settings.devices) return kInvalidDevice;
  if (context_.retained == 0) return kInvalidContext;
  --context_.retained;
  return kSuccess;
}

Code Driver::make_current(void* context) {
  if (!is_initialised_) return kNotInitialized;
  if (context != nullptr && (context != &context_ || context_.retained == 0)) return kInvalidContext;
  current = static_cast<Context*>(context);
  return kSuccess;
}

// --- modules ---

Code Driver::load(void** module, const char* text, std::string* log) {
  Result<emulator::Module> parsed = emulator::parse(text, next_variables_);
  if (!parsed.ok()) {
    *log = cat("ptxas application ptx input, ", parsed.error());
    say(parsed.error());
    return kInvalidPtx;
  }
  if (version_number(parsed->version) > kNewestPtx) return kUnsupportedPtxVersion;
  int sm = 0;
  const std::string& target = parsed->target;
  if (target.size() > 3) std::from_chars(target.data() + 3, target.data() + target.size(), sm);
  if (!target.starts_with("sm_") || sm > settings.sm) return kNoBinaryForGpu;
  auto made = std::make_unique<LoadedModule>();
  made->module = *std::move(parsed);
  for (const emulator::Variable& variable : made->module.variables)
    next_variables_ = std::max(next_variables_, (variable.address + variable.bytes.size() + 512) / 256 * 256);
  emulator::load_variables(made->module, memory_);
  *module = made.get();
  modules_.insert(std::move(made));
  return kSuccess;
}

Code Driver::unload(void* module) {
  const auto found = std::find_if(modules_.begin(), modules_.end(), [&](const auto& one) { return one.get() == module; });
  if (found == modules_.end()) return kInvalidHandle;
  if (const Code code = wait_for_all(); code != kSuccess) return code;
  for (const emulator::Variable& variable : (*found)->module.variables) memory_.remove(variable.address);
  modules_.erase(found);
  return kSuccess;
}

Code Driver::find(void** function, void* module, const char* name) {
  const auto found = std::find_if(modules_.begin(), modules_.end(), [&](const auto& one) { return one.get() == module; });
  if (found == modules_.end()) return kInvalidHandle;
  LoadedModule& loaded = **found;
  const emulator::Function* const code = loaded.module.find(name);
  if (code == nullptr || !code->is_entry) return kNotFound;
  std::unique_ptr<EntryPoint>& entry = loaded.entry_points[name];
  if (entry == nullptr) entry = std::make_unique<EntryPoint>(EntryPoint{&loaded, code});
  *function = entry.get();
  return kSuccess;
}

// --- memory ---

Code Driver::allocate(uint64_t* address, size_t bytes) {
  if (bytes == 0) return kInvalidValue;
  if (is_unsafe_now()) return kCaptureUnsupported;
  if (bytes > bytes_free()) return kOutOfMemory;
  *address = memory_.allocate(bytes);
  return kSuccess;
}

Code Driver::free(uint64_t address) {
  if (address == 0) return kSuccess;
  if (is_unsafe_now()) return kCaptureUnsupported;
  if (const Code code = wait_for_all(); code != kSuccess) return code;
  if (memory_.free(address)) return kSuccess;
  say(cat("frees ", memory_.describe(address)));
  return kInvalidValue;
}

Code Driver::allocate_on_host(void** memory, size_t bytes) {
  if (bytes == 0) return kInvalidValue;
  if (is_unsafe_now()) return kCaptureUnsupported;
  std::vector<uint8_t> made(bytes);
  *memory = made.data();
  pinned_.emplace(reinterpret_cast<uintptr_t>(*memory), std::move(made));
  return kSuccess;
}

Code Driver::free_on_host(void* memory) {
  if (const Code code = wait_for_all(); code != kSuccess) return code;
  return pinned_.erase(reinterpret_cast<uintptr_t>(memory)) == 1 ? kSuccess : kInvalidValue;
}

bool Driver::is_pinned(const void* memory, size_t bytes) const {
  const auto at = reinterpret_cast<uintptr_t>(memory);
  const auto next = pinned_.upper_bound(at);
  return next != pinned_.begin() && std::prev(next)->first + std::prev(next)->second.size() >= at + bytes;
}

bool Driver::is_allocated(uint64_t address, size_t bytes, std::string_view what) {
  if (bytes == 0) return true;
  const emulator::Allocation* const found = memory_.find(address);
  if (found != nullptr && found->holds(address, bytes)) return true;
  say(cat(what, " ", bytes, " bytes at ", memory_.describe(address)));
  return false;
}

Code Driver::copy_in(uint64_t into, const void* from, size_t bytes, void* handle) {
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return kInvalidHandle;
  const bool pinned = is_pinned(from, bytes);
  if (stream->is_capturing && !pinned) return stream->capture_is_broken = true, kCaptureUnsupported;
  if (!is_allocated(into, bytes, "copies from the host") || (from == nullptr && bytes > 0)) return kInvalidValue;
  if (pinned)
    return add(*stream, [this, into, from, bytes] { return memory_.write(into, from, bytes) ? kSuccess : kIllegalAddress; });
  // Other memory is staged before the call returns.
  const auto* const start = static_cast<const uint8_t*>(from);
  const std::vector<uint8_t> staged(start, start + bytes);
  return add(*stream, [this, into, staged] { return memory_.write(into, staged.data(), staged.size()) ? kSuccess : kIllegalAddress; });
}

Code Driver::copy_out(void* into, uint64_t from, size_t bytes, void* handle) {
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return kInvalidHandle;
  const bool pinned = is_pinned(into, bytes);
  if (stream->is_capturing && !pinned) return stream->capture_is_broken = true, kCaptureUnsupported;
  if (!is_allocated(from, bytes, "copies to the host") || (into == nullptr && bytes > 0)) return kInvalidValue;
  const Code code = add(*stream, [this, into, from, bytes] {
    if (memory_.read(from, into, bytes)) return kSuccess;
    say(cat("copies to the host ", bytes, " bytes, some of which nobody wrote, at ", memory_.describe(from)));
    return kIllegalAddress;
  });
  return pinned || code != kSuccess ? code : do_waiting(*stream);
}

Code Driver::copy_within(uint64_t into, uint64_t from, size_t bytes, void* handle) {
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (!is_allocated(into, bytes, "copies to") || !is_allocated(from, bytes, "copies from")) return kInvalidValue;
  return add(*stream, [this, into, from, bytes] {
    std::vector<uint8_t> between(bytes);
    if (memory_.read(from, between.data(), bytes) && memory_.write(into, between.data(), bytes)) return kSuccess;
    say(cat("copies ", bytes, " bytes, some of which nobody wrote, from ", memory_.describe(from)));
    return kIllegalAddress;
  });
}

Code Driver::fill(uint64_t into, const std::vector<uint8_t>& bytes, void* handle) {
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (!is_allocated(into, bytes.size(), "fills")) return kInvalidValue;
  return add(*stream, [this, into, bytes] { return memory_.write(into, bytes.data(), bytes.size()) ? kSuccess : kIllegalAddress; });
}

// --- streams ---

Stream* Driver::stream_of(void* handle) { return handle == nullptr ? &default_stream_ : lookup(streams_, handle); }

/// Whether this thread may not allocate or free: it records itself, or another one does and forbids it to all.
bool Driver::is_unsafe_now() const {
  constexpr int kGlobal = 0, kRelaxed = 2;
  return std::any_of(streams_.begin(), streams_.end(), [](const auto& one) {
    const Stream& stream = *one.second;
    const bool own = stream.capture_thread == std::this_thread::get_id();
    return stream.is_capturing && (own ? stream.capture_mode != kRelaxed : stream.capture_mode == kGlobal);
  });
}

Code Driver::create_stream(void** stream) {
  *stream = keep(streams_, std::make_unique<Stream>());
  return kSuccess;
}

Code Driver::destroy_stream(void* handle) {
  Stream* const stream = lookup(streams_, handle);
  if (stream == nullptr) return kInvalidHandle;
  const Code code = do_waiting(*stream);
  streams_.erase(handle);
  return code;
}

Code Driver::add(Stream& stream, Work work) {
  if (stream.is_capturing) stream.captured.push_back(std::move(work));
  else stream.waiting.push_back(std::move(work));
  return kSuccess;
}

Code Driver::do_waiting(Stream& stream) {
  while (!stream.waiting.empty() && broken_ == kSuccess) {
    const Work work = std::move(stream.waiting.front());
    stream.waiting.pop_front();
    broken_ = work();
  }
  return broken_;
}

Code Driver::wait(void* handle) {
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->is_capturing) return stream->capture_is_broken = true, kCaptureUnsupported;
  return do_waiting(*stream);
}

Code Driver::wait_for_all() {
  do_waiting(default_stream_);
  for (auto& [handle, stream] : streams_) do_waiting(*stream);
  return broken_;
}

Code Driver::launch(void* function, const emulator::Grid& grid, void** parameters, void* handle) {
  Stream* const stream = stream_of(handle);
  if (stream == nullptr || function == nullptr) return kInvalidHandle;
  const EntryPoint* entry = nullptr;
  for (const auto& module : modules_)
    for (const auto& [name, one] : module->entry_points)
      if (one.get() == function) entry = one.get();
  if (entry == nullptr) return kInvalidHandle;
  const auto& [bx, by, bz] = grid.blocks;
  const auto& [tx, ty, tz] = grid.threads;
  const bool fits = bx > 0 && by > 0 && bz > 0 && tx > 0 && ty > 0 && tz > 0 && bx <= 0x7fffffff && by <= 65535 &&
                    bz <= 65535 && tx <= 1024 && ty <= 1024 && tz <= 64 && uint64_t(tx) * ty * tz <= 1024;
  const emulator::Function& code = *entry->function;
  if (!fits || (parameters == nullptr && !code.parameters.empty())) {
    say(cat("launches '", code.name, "' on a grid of ", bx, " x ", by, " x ", bz, " blocks of ", tx, " x ", ty, " x ", tz,
            " threads", parameters == nullptr ? ", without parameters" : ""));
    return kInvalidValue;
  }
  std::vector<uint8_t> values(code.parameter_bytes);
  for (size_t k = 0; k < code.parameters.size(); ++k)
    std::memcpy(values.data() + code.parameters[k].offset, parameters[k], code.parameters[k].bytes);
  return add(*stream, [this, entry, grid, values = std::move(values)] { return run_kernel(*entry, grid, values); });
}

Code Driver::run_kernel(const EntryPoint& entry, const emulator::Grid& grid, const std::vector<uint8_t>& parameters) {
  ++kernels_;
  const emulator::RunOptions options{.order = settings.order == 0 ? 0 : settings.order + kernels_};
  const emulator::RunResult result = emulator::run(entry.module->module, *entry.function, grid, parameters, memory_, options);
  counts_.threads += result.counts.threads;
  counts_.instructions += result.counts.instructions;
  if (result.ok) return kSuccess;
  say(result.fault.message);
  return code_of(result.fault.kind);
}

// --- graphs ---

Code Driver::begin_capture(void* handle, int mode) {
  Stream* const stream = lookup(streams_, handle);
  if (stream == nullptr) return handle == nullptr ? kCaptureUnsupported : kInvalidHandle;
  if (stream->is_capturing) return kIllegalState;
  stream->is_capturing = true;
  stream->capture_mode = mode;
  stream->capture_thread = std::this_thread::get_id();
  stream->capture_is_broken = false;
  stream->captured.clear();
  return kSuccess;
}

Code Driver::end_capture(void* handle, void** graph) {
  Stream* const stream = lookup(streams_, handle);
  if (stream == nullptr) return kInvalidHandle;
  if (!stream->is_capturing) return kIllegalState;
  stream->is_capturing = false;
  *graph = nullptr;
  if (stream->capture_is_broken) return kCaptureInvalidated;
  auto made = std::make_unique<Graph>();
  made->work = std::move(stream->captured);
  *graph = keep(graphs_, std::move(made));
  return kSuccess;
}

void Driver::drop_capture(void* handle) {
  if (Stream* const stream = lookup(streams_, handle)) stream->is_capturing = false;
}

Code Driver::instantiate(void** ready, void* handle) {
  const Graph* const graph = lookup(graphs_, handle);
  if (graph == nullptr) return kInvalidHandle;
  *ready = keep(ready_, std::make_unique<Graph>(*graph));
  return kSuccess;
}

Code Driver::destroy_graph(void* graph) { return graphs_.erase(graph) == 1 ? kSuccess : kInvalidHandle; }

Code Driver::launch_graph(void* ready, void* handle) {
  Stream* const stream = stream_of(handle);
  const Graph* const graph = lookup(ready_, ready);
  if (stream == nullptr || graph == nullptr) return kInvalidHandle;
  for (const Work& work : graph->work)
    if (const Code code = add(*stream, work); code != kSuccess) return code;
  return kSuccess;
}

Code Driver::destroy_ready(void* ready) { return ready_.erase(ready) == 1 ? kSuccess : kInvalidHandle; }

}  // namespace hebb::standin
