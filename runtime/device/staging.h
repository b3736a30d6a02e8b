#pragma once
// Host memory that the device copies from while the host goes on: small writes go into a ring, and the host
// waits only when it comes round.

#include "runtime/device/device.h"

namespace hebb {

class Staging {
 public:
  Staging(const CudaDriver& driver, cuda::Stream stream) : driver_(driver), stream_(stream) {}
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    if (ring_ != nullptr) driver_.host_free(ring_);
  }

  /// `from` may change as soon as this returns.
  cuda::Code copy(cuda::Pointer into, const void* from, size_t bytes);

 private:
  static constexpr size_t kRing = size_t{1} << 20, kLargest = size_t{1} << 16;
  const CudaDriver& driver_;
  cuda::Stream stream_;
  void* ring_ = nullptr;
  size_t used_ = 0;
};

}  // namespace hebb
