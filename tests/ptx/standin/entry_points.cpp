// The entry points of libcuda.so.1 that the stand-in has, under the names that a loader looks up.

#include <algorithm>
#include <cstring>

#include "tests/ptx/standin/driver.h"

using hebb::standin::Code;
using hebb::standin::driver;
using namespace hebb::standin;

#define ENTRY extern "C" __attribute__((visibility("default"))) int
/// Returns from the entry point when it must not go on.
#define BEGIN(...)                                              \
  const std::lock_guard<std::recursive_mutex> guard(driver().lock); \
  if (const Code code = driver().enter(__func__ __VA_OPT__(, ) __VA_ARGS__); code != kSuccess) return code
#define WANT(CONDITION) if (!(CONDITION)) return kInvalidValue
constexpr bool kWithoutContext = false;

ENTRY cuInit(unsigned flags) {
  BEGIN(kWithoutContext);
  WANT(flags == 0);
  return driver().init();
}
ENTRY cuDriverGetVersion(int* version) {
  BEGIN(kWithoutContext);
  WANT(version != nullptr);
  *version = 12080;
  return kSuccess;
}
ENTRY cuGetErrorString(int code, const char** text) {
  WANT(text != nullptr);
  *text = text_of(code);
  return *text != nullptr ? kSuccess : kInvalidValue;
}
ENTRY cuGetErrorName(int code, const char** text) {
  WANT(text != nullptr);
  *text = name_of(code);
  return *text != nullptr ? kSuccess : kInvalidValue;
}

// --- devices and contexts ---

ENTRY cuDeviceGetCount(int* count) {
  BEGIN(kWithoutContext);
  WANT(count != nullptr);
  *count = driver().settings.devices;
  return kSuccess;
}
ENTRY cuDeviceGet(int* device, int ordinal) {
  BEGIN(kWithoutContext);
  WANT(device != nullptr);
  if (ordinal < 0 || ordinal >= driver().settings.devices) return kInvalidDevice;
  *device = ordinal;
  return kSuccess;
}
ENTRY cuDeviceGetName(char* name, int size, int device) {
  BEGIN(kWithoutContext);
  WANT(name != nullptr && size > 0);
  if (device < 0 || device >= driver().settings.devices) return kInvalidDevice;
  std::strncpy(name, "Stand-in (PTX interpreter)", static_cast<size_t>(size));
  name[size - 1] = '\0';
  return kSuccess;
}
ENTRY cuDeviceGetAttribute(int* value, int attribute, int device) {
  BEGIN(kWithoutContext);
  WANT(value != nullptr);
  if (device < 0 || device >= driver().settings.devices) return kInvalidDevice;
  switch (attribute) {
    case 1: *value = 1024; return kSuccess;                          // threads of a block
    case 16: *value = 1; return kSuccess;                            // multiprocessors
    case 75: *value = driver().settings.sm / 10; return kSuccess;    // compute capability, major
    case 76: *value = driver().settings.sm % 10; return kSuccess;
    default: return kInvalidValue;
  }
}
ENTRY cuDevicePrimaryCtxRetain(void** context, int device) {
  BEGIN(kWithoutContext);
  WANT(context != nullptr);
  return driver().retain(context, device);
}
ENTRY cuDevicePrimaryCtxRelease_v2(int device) {
  BEGIN(kWithoutContext);
  return driver().release(device);
}
ENTRY cuCtxSetCurrent(void* context) {
  BEGIN(kWithoutContext);
  return driver().make_current(context);
}
ENTRY cuMemGetInfo_v2(size_t* free, size_t* total) {
  BEGIN();
  WANT(free != nullptr && total != nullptr);
  *free = driver().bytes_free();
  *total = driver().settings.memory;
  return kSuccess;
}

// --- modules ---

ENTRY cuModuleLoadDataEx(void** module, const void* text, unsigned options, int* names, void** values) {
  BEGIN();
  WANT(module != nullptr && text != nullptr && (options == 0 || (names != nullptr && values != nullptr)));
  constexpr int kErrorLogBuffer = 5, kErrorLogBytes = 6;
  char* buffer = nullptr;
  size_t* size = nullptr;   // the option's value is the size itself, and becomes what was written
  for (unsigned k = 0; k < options; ++k) {
    if (names[k] == kErrorLogBuffer) buffer = static_cast<char*>(values[k]);
    else if (names[k] == kErrorLogBytes) size = reinterpret_cast<size_t*>(&values[k]);
    else return kInvalidValue;
  }
  std::string log;
  const Code code = driver().load(module, static_cast<const char*>(text), &log);
  if (buffer != nullptr && size != nullptr && *size > 0) {
    const size_t count = std::min(log.size(), *size - 1);
    std::memcpy(buffer, log.data(), count);
    buffer[count] = '\0';
    *size = count;
  }
  return code;
}
ENTRY cuModuleUnload(void* module) {
  BEGIN();
  return driver().unload(module);
}
ENTRY cuModuleGetFunction(void** function, void* module, const char* name) {
  BEGIN();
  WANT(function != nullptr && name != nullptr);
  return driver().find(function, module, name);
}

// --- memory ---

ENTRY cuMemAlloc_v2(uint64_t* address, size_t bytes) {
  BEGIN();
  WANT(address != nullptr);
  return driver().allocate(address, bytes);
}
ENTRY cuMemFree_v2(uint64_t address) {
  BEGIN();
  return driver().free(address);
}
ENTRY cuMemAllocHost_v2(void** memory, size_t bytes) {
  BEGIN();
  WANT(memory != nullptr);
  return driver().allocate_on_host(memory, bytes);
}
ENTRY cuMemFreeHost(void* memory) {
  BEGIN();
  return driver().free_on_host(memory);
}
ENTRY cuMemcpyHtoDAsync_v2(uint64_t into, const void* from, size_t bytes, void* stream) {
  BEGIN();
  return driver().copy_in(into, from, bytes, stream);
}
ENTRY cuMemcpyDtoHAsync_v2(void* into, uint64_t from, size_t bytes, void* stream) {
  BEGIN();
  return driver().copy_out(into, from, bytes, stream);
}
ENTRY cuMemcpyDtoDAsync_v2(uint64_t into, uint64_t from, size_t bytes, void* stream) {
  BEGIN();
  return driver().copy_within(into, from, bytes, stream);
}
ENTRY cuMemsetD8Async(uint64_t into, unsigned char value, size_t bytes, void* stream) {
  BEGIN();
  WANT(bytes <= driver().settings.memory);
  return driver().fill(into, std::vector<uint8_t>(bytes, value), stream);
}
ENTRY cuMemsetD32Async(uint64_t into, unsigned value, size_t count, void* stream) {
  BEGIN();
  WANT(count <= driver().settings.memory / 4 && into % 4 == 0);
  std::vector<uint8_t> bytes(4 * count);
  for (size_t k = 0; k < count; ++k) std::memcpy(&bytes[4 * k], &value, 4);
  return driver().fill(into, bytes, stream);
}

// --- streams, kernels, graphs ---

ENTRY cuStreamCreate(void** stream, unsigned flags) {
  BEGIN();
  WANT(stream != nullptr && flags <= 1);
  return driver().create_stream(stream);
}
ENTRY cuStreamDestroy_v2(void* stream) {
  BEGIN();
  return driver().destroy_stream(stream);
}
ENTRY cuStreamSynchronize(void* stream) {
  BEGIN();
  return driver().wait(stream);
}
ENTRY cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                     unsigned block_z, unsigned shared_bytes, void* stream, void** parameters, void** extra) {
  BEGIN();
  WANT(shared_bytes == 0 && extra == nullptr);
  return driver().launch(function, {.blocks = {grid_x, grid_y, grid_z}, .threads = {block_x, block_y, block_z}}, parameters, stream);
}
ENTRY cuStreamBeginCapture_v2(void* stream, int mode) {
  BEGIN();
  WANT(mode >= 0 && mode <= 2);
  return driver().begin_capture(stream, mode);
}
ENTRY cuStreamEndCapture(void* stream, void** graph) {
  const std::lock_guard<std::recursive_mutex> guard(driver().lock);
  if (const Code code = driver().enter(__func__); code != kSuccess) {
    driver().drop_capture(stream);
    return code;
  }
  WANT(graph != nullptr);
  return driver().end_capture(stream, graph);
}
ENTRY cuGraphInstantiateWithFlags(void** ready, void* graph, unsigned long long flags) {
  BEGIN();
  WANT(ready != nullptr && flags == 0);
  return driver().instantiate(ready, graph);
}
ENTRY cuGraphDestroy(void* graph) {
  BEGIN();
  return driver().destroy_graph(graph);
}
ENTRY cuGraphLaunch(void* ready, void* stream) {
  BEGIN();
  return driver().launch_graph(ready, stream);
}
ENTRY cuGraphExecDestroy(void* ready) {
  BEGIN();
  return driver().destroy_ready(ready);
}
