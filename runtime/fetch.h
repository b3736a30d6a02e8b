#pragma once
// Asking the machine for memory before it is needed.

#include <cstddef>

namespace hebb {

/// Brings what is about to be written, or read and later written, into this core's first-level cache as its own.
inline void fetch_to_write([[maybe_unused]] const void* begin, [[maybe_unused]] size_t bytes) {
#ifdef __x86_64__
  constexpr size_t kLine = 64;
  const auto* const at = static_cast<const char*>(begin);
  for (size_t k = 0; k < bytes; k += kLine) asm volatile("prefetchw %0" : : "m"(at[k]));
#endif
}

}  // namespace hebb
