#pragma once
// A CUDA device: opened while running, through the driver alone. Everything that can be refused says why.

#include <memory>
#include <string>

#include "compiler/program/device.h"
#include "runtime/device/cuda_driver.h"
#include "runtime/device_run.h"

namespace hebb {

namespace cuda {
/// The functions of the driver.
struct Driver {
#define HEBB_CUDA_POINTER(name, member, parameters) Code(*member) parameters = nullptr;
  HEBB_CUDA_ENTRY_POINTS(HEBB_CUDA_POINTER)
#undef HEBB_CUDA_POINTER
};
}  // namespace cuda
using CudaDriver = cuda::Driver;

/// "out of memory (cuMemAlloc_v2)"; Done when `code` is success.
Status cuda_status(const CudaDriver& driver, cuda::Code code, const char* what);

/// The first device. One context, used by any number of simulations on any threads.
class CudaDevice {
 public:
  /// Loads the library that HEBB_CUDA_DRIVER names, libcuda.so.1 when it names none.
  static Result<std::shared_ptr<const CudaDevice>> open();
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;
  ~CudaDevice();

  const CudaDriver& driver() const { return driver_; }
  const std::string& name() const { return name_; }   // "NVIDIA H100"
  int sm() const { return sm_; }                      // 90
  int version() const { return version_; }            // of the driver: 12090 is 12.9
  /// Makes the context that of the calling thread.
  void enter() const;
  /// Bytes; as many as there can be where the driver does not say.
  uint64_t free_memory() const;

 private:
  CudaDevice() = default;
  CudaDriver driver_;
  void* library_ = nullptr;
  cuda::Device device_ = 0;
  cuda::Context context_ = nullptr;
  std::string name_;
  int sm_ = 0, version_ = 0;
};

/// Loads the PTX of a program.
Result<std::shared_ptr<const DeviceCode>> load_code(std::shared_ptr<const CudaDevice> device, DeviceProgram program,
                                                    const std::string& ptx);

}  // namespace hebb
