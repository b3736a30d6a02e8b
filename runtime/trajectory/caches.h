#pragma once
// How much a core of this machine keeps close.

#include <unistd.h>

#include <cstdint>

namespace hebb {

struct Caches {
  int64_t first = 32 << 10, second = 512 << 10;   // bytes of one core's; these where the system does not say
};

inline Caches caches() {
  Caches out;
#ifdef _SC_LEVEL1_DCACHE_SIZE
  if (const long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0) out.first = bytes;
  if (const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0) out.second = bytes;
#endif
  return out;
}

}  // namespace hebb
