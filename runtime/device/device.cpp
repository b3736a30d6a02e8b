#include "runtime/device/device.h"

#include <dlfcn.h>

#include <cstdlib>

#include "compiler/support/text.h"

namespace hebb {

Status cuda_status(const CudaDriver& driver, cuda::Code code, const char* what) {
  if (code == 0) return Done{};
  const char* text = nullptr;
  driver.error_string(code, &text);
  return Failure{cat("the GPU refused ", what, ": ", text == nullptr ? cat("error ", code) : std::string(text))};
}

Result<std::shared_ptr<const CudaDevice>> CudaDevice::open() {
  std::shared_ptr<CudaDevice> device(new CudaDevice);
  const char* const named = std::getenv("HEBB_CUDA_DRIVER");
  const std::string path = named != nullptr && *named != '\0' ? named : "libcuda.so.1";
  device->library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (device->library_ == nullptr) return Failure{cat("no CUDA driver: ", dlerror())};
  CudaDriver& driver = device->driver_;
  const auto find = [&](auto& pointer, const char* name) {
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(dlsym(device->library_, name));
    return pointer != nullptr;
  };
#define HEBB_CUDA_FIND(name, member, parameters) \
  if (!find(driver.member, name)) return Failure{cat("the CUDA driver ", path, " is too old: it has no ", name)};
  HEBB_CUDA_ENTRY_POINTS(HEBB_CUDA_FIND)
#undef HEBB_CUDA_FIND

  const auto status = [&](cuda::Code code, const char* what) { return cuda_status(driver, code, what); };
  if (Status done = status(driver.init(0), "to start"); !done) return done.failure();
  if (Status done = status(driver.driver_version(&device->version_), "its version"); !done) return done.failure();
  int count = 0;
  if (Status done = status(driver.device_count(&count), "to count devices"); !done) return done.failure();
  if (count == 0) return Failure{"the CUDA driver sees no GPU"};
  if (Status done = status(driver.device_get(&device->device_, 0), "device 0"); !done) return done.failure();
  char name[256] = {};
  if (Status done = status(driver.device_name(name, sizeof name - 1, device->device_), "its name"); !done) return done.failure();
  device->name_ = name;
  int major = 0, minor = 0;
  for (const auto& [attribute, into] : {std::pair{cuda::kComputeMajor, &major}, {cuda::kComputeMinor, &minor}})
    if (Status done = status(driver.device_attribute(into, attribute, device->device_), "its compute capability"); !done)
      return done.failure();
  device->sm_ = 10 * major + minor;
  if (Status done = status(driver.context_retain(&device->context_, device->device_), "a context"); !done) return done.failure();
  return std::shared_ptr<const CudaDevice>(std::move(device));
}

CudaDevice::~CudaDevice() {
  if (context_ != nullptr) driver_.context_release(device_);
  // The library stays: drivers do not survive being unloaded.
}

void CudaDevice::enter() const { driver_.context_set(context_); }

uint64_t CudaDevice::free_memory() const {
  size_t free = 0, total = 0;
  enter();
  return driver_.memory_info(&free, &total) == 0 ? free : UINT64_MAX;
}

}  // namespace hebb
