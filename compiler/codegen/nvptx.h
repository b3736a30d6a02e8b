#pragma once
// DeviceProgram → PTX text, and the same kernels as functions of the host. No LLVM type is in this header.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/program/device.h"

namespace hebb {

struct PtxOptions {
  Precision precision = Precision::Float32;
  int sm = 75;               // one of ptx_targets(): 75 means sm_75
  bool comments = true;      // one per kernel and parameter
};
/// Compute capabilities that PTX is written for, ascending; a device runs the PTX of its own and of all
/// before it.
const std::vector<int>& ptx_targets();
Result<std::string> ptx(const DeviceProgram& device, const PtxOptions& options);

/// One thread of one kernel, as a function of the host; see nvptx_emit.h.
struct HostThreads {
  using Thread = std::function<void(void* const* parameters, const uint32_t* thread)>;
  std::vector<Thread> run;   // KernelId of the device's program indexes this
  std::shared_ptr<const void> keep_alive;
};
Result<HostThreads> host_threads(const DeviceProgram& device, Precision precision);

}  // namespace hebb
