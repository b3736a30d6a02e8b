#pragma once
// A program's kernels, ready to call, whatever engine made them.

#include <functional>
#include <memory>
#include <vector>

#include "compiler/program/program.h"
#include "runtime/hebb_abi.h"

namespace hebb {

enum class Precision { Float32, Float64 };

struct Kernels {
  std::vector<std::function<void(const hebb_launch*)>> run;  // KernelId indexes this
  std::shared_ptr<const void> keep_alive;                    // code or program
};

}  // namespace hebb
