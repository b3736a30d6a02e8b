// The runner of devices, from loading the text to reading results, on the driver of tests/ptx: its graphs, copies
// and searches for what is out of date give the bits of the interpreter; in float of the second of two runs at once.

#include <cstdlib>

#include "compiler/experiment/engine.h"
#include "runtime/device/device.h"
#include "tests/backends/backend_adjoints.h"

namespace hebb {
namespace {

/// The stand-in, opened once.
const Result<std::shared_ptr<const CudaDevice>>& device() {
  static const auto opened = [] {
    setenv("HEBB_CUDA_DRIVER", HEBB_STANDIN, 1);
    setenv("HEBB_STANDIN_ORDER", "3", 1);
    return CudaDevice::open();
  }();
  return opened;
}

Engine loaded(Precision precision) {
  return {.name = precision == Precision::Float32 ? "float" : "double",
          .precision = precision,
          .compile = [=](std::shared_ptr<const Program> program) -> Result<Kernels> {
            if (!device()) return device().failure();
            Result<Kernels> kernels = make_device_kernels(*program, precision, Resets::InPlan, *device());
            if (kernels) kernels->keep_alive = program;
            return kernels;
          },
          .threads = 1,
          .large = false,
          .lanes = precision == Precision::Float32 ? 2 : 1};
}

INSTANTIATE_TEST_SUITE_P(Loader, BackendSuite, ::testing::Values(loaded(Precision::Float64), loaded(Precision::Float32)),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace hebb
