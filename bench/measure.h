#pragma once
// What the benchmarks measure with.

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace hebb::bench {

/// CPU time of this thread.
inline double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The same ones each time, as `float` has them, so that both sides of a comparison get the same.
inline std::vector<double> random_numbers(size_t count, double low, double high) {
  uint64_t state = 88172645463325252u;
  std::vector<double> numbers;
  for (size_t k = 0; k < count; ++k) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    numbers.push_back(static_cast<float>(low + (high - low) * static_cast<double>(state >> 11) * 0x1p-53));
  }
  return numbers;
}

}  // namespace hebb::bench
