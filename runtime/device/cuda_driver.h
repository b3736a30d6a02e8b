#pragma once
// The entry points of the CUDA driver that Hebb calls, and the constants it gives them: enough to open
// libcuda.so.1 while running. Nothing of CUDA is included or linked. Types and numbers are those of the driver's
// public interface (its names end in _v2 where a first version had 32-bit sizes).

#include <cstddef>
#include <cstdint>

namespace hebb::cuda {

using Code = int;                       // CUresult: 0 is success
using Device = int;                     // CUdevice
using Pointer = uint64_t;               // CUdeviceptr
using Context = struct ContextTag*;     // CUcontext
using Module = struct ModuleTag*;       // CUmodule
using Function = struct FunctionTag*;   // CUfunction
using Stream = struct StreamTag*;       // CUstream
using Graph = struct GraphTag*;         // CUgraph
using GraphExec = struct GraphExecTag*; // CUgraphExec

inline constexpr Code kOutOfMemory = 2;

// cuDeviceGetAttribute
inline constexpr int kComputeMajor = 75, kComputeMinor = 76;
// cuModuleLoadDataEx: where the driver writes what it has to say of a text it refuses
inline constexpr int kErrorLogBuffer = 5, kErrorLogBytes = 6;
// cuStreamBeginCapture: of this thread only
inline constexpr int kCaptureThreadLocal = 1;
// cuStreamCreate: does not wait for the default stream
inline constexpr unsigned kStreamNonBlocking = 1;

/// name in libcuda.so.1, name here, parameters. All return Code.
#define HEBB_CUDA_ENTRY_POINTS(X)                                                                              \
  X("cuInit", init, (unsigned flags))                                                                          \
  X("cuDriverGetVersion", driver_version, (int* version))                                                      \
  X("cuGetErrorString", error_string, (Code code, const char** text))                                          \
  X("cuDeviceGetCount", device_count, (int* count))                                                            \
  X("cuDeviceGet", device_get, (Device * device, int ordinal))                                                 \
  X("cuDeviceGetName", device_name, (char* name, int size, Device device))                                     \
  X("cuDeviceGetAttribute", device_attribute, (int* value, int attribute, Device device))                      \
  X("cuDevicePrimaryCtxRetain", context_retain, (Context * context, Device device))                            \
  X("cuDevicePrimaryCtxRelease_v2", context_release, (Device device))                                          \
  X("cuCtxSetCurrent", context_set, (Context context))                                                         \
  X("cuMemGetInfo_v2", memory_info, (size_t * free, size_t * total))                                           \
  X("cuModuleLoadDataEx", module_load,                                                                         \
    (Module * module, const void* text, unsigned options, int* names, void** values))                          \
  X("cuModuleUnload", module_unload, (Module module))                                                          \
  X("cuModuleGetFunction", module_function, (Function * function, Module module, const char* name))            \
  X("cuMemAlloc_v2", memory_alloc, (Pointer * pointer, size_t bytes))                                          \
  X("cuMemFree_v2", memory_free, (Pointer pointer))                                                            \
  X("cuMemAllocHost_v2", host_alloc, (void** memory, size_t bytes))                                            \
  X("cuMemFreeHost", host_free, (void* memory))                                                                \
  X("cuMemcpyHtoDAsync_v2", copy_to_device, (Pointer into, const void* from, size_t bytes, Stream stream))     \
  X("cuMemcpyDtoHAsync_v2", copy_to_host, (void* into, Pointer from, size_t bytes, Stream stream))             \
  X("cuMemcpyDtoDAsync_v2", copy_on_device, (Pointer into, Pointer from, size_t bytes, Stream stream))         \
  X("cuMemsetD32Async", fill_words, (Pointer into, unsigned value, size_t words, Stream stream))               \
  X("cuStreamCreate", stream_create, (Stream * stream, unsigned flags))                                        \
  X("cuStreamDestroy_v2", stream_destroy, (Stream stream))                                                     \
  X("cuStreamSynchronize", stream_wait, (Stream stream))                                                       \
  X("cuLaunchKernel", launch,                                                                                  \
    (Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, \
     unsigned block_z, unsigned shared_bytes, Stream stream, void** parameters, void** extra))                 \
  X("cuStreamBeginCapture_v2", capture_begin, (Stream stream, int mode))                                       \
  X("cuStreamEndCapture", capture_end, (Stream stream, Graph * graph))                                         \
  X("cuGraphInstantiateWithFlags", graph_instantiate,                                                          \
    (GraphExec * ready, Graph graph, unsigned long long flags))                                                \
  X("cuGraphDestroy", graph_destroy, (Graph graph))                                                            \
  X("cuGraphLaunch", graph_launch, (GraphExec ready, Stream stream))                                           \
  X("cuGraphExecDestroy", graph_exec_destroy, (GraphExec ready))

}  // namespace hebb::cuda
