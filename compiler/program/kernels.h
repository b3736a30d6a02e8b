#pragma once
// A program's kernels, ready to call, whatever engine made them.

#include <functional>
#include <memory>
#include <vector>

#include "compiler/program/program.h"
#include "runtime/hebb_abi.h"

namespace hebb {

enum class Precision { Float32, Float64 };

/// Runs that kernels of several runs compute at once: a column holds that many numbers of each element, side by side.
constexpr int64_t kLanesTogether = 16;

class DeviceCode;  // runtime/device_run.h

struct Kernels {
  std::vector<std::function<void(const hebb_launch*)>> run;  // KernelId indexes this; none on a device
  std::shared_ptr<const void> keep_alive;                    // code or program
  std::shared_ptr<const DeviceCode> device;                  // the same kernels on a device, and nothing in `run`
};

}  // namespace hebb
