#include "runtime/device/staging.h"

#include <cstring>

namespace hebb {

cuda::Code Staging::copy(cuda::Pointer into, const void* from, size_t bytes) {
  if (bytes > kLargest) {
    // From memory that is not pinned the driver copies before it returns; wait all the same: not all do.
    const cuda::Code code = driver_.copy_to_device(into, from, bytes, stream_);
    return code != 0 ? code : driver_.stream_wait(stream_);
  }
  if (ring_ == nullptr) {
    if (const cuda::Code code = driver_.host_alloc(&ring_, kRing); code != 0) {
      ring_ = nullptr;
      return code;
    }
  }
  if (used_ + bytes > kRing) {
    if (const cuda::Code code = driver_.stream_wait(stream_); code != 0) return code;
    used_ = 0;
  }
  void* const at = static_cast<char*>(ring_) + used_;
  std::memcpy(at, from, bytes);
  used_ += (bytes + 63) / 64 * 64;
  return driver_.copy_to_device(into, at, bytes, stream_);
}

}  // namespace hebb
