#pragma once
// A program's kernels as a device has loaded them.

#include <vector>

#include "runtime/device/device.h"

namespace hebb {

struct LoadedCode : DeviceCode, std::enable_shared_from_this<LoadedCode> {
  std::shared_ptr<const CudaDevice> device;
  DeviceProgram program;
  cuda::Module module = nullptr;
  std::vector<cuda::Function> functions;   // of each kernel

  ~LoadedCode() override;
  uint64_t free_memory() const override;
  uint64_t bytes(const Columns& columns) const override;
  Result<std::shared_ptr<DeviceBatch>> start(std::vector<Columns*> columns, std::vector<uint64_t> keys) const override;
};

/// Memory of a device that goes away with it. Of more than there is the failure says how much.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  static Result<DeviceMemory> allocate(const CudaDevice& device, const std::string& whose, uint64_t bytes);
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(at_, other.at_);
    return *this;
  }
  ~DeviceMemory();
  cuda::Pointer at() const { return at_; }

 private:
  const CudaDevice* device_ = nullptr;
  cuda::Pointer at_ = 0;
};

constexpr size_t kDeviceAlignment = 256;   // bytes, of arrays
constexpr uint64_t on_device(uint64_t bytes) { return (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment; }

/// Of a column without synapses of a sparse space; those of scans have memory on a device alone.
uint64_t device_bytes(const Program& program, ColumnId column, Precision precision);

}  // namespace hebb
