#pragma once
// Random numbers as pure functions: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3") of a key and a counter. No state, so thread count, order and recording cannot
// matter. Compiled code computes the same bits.

#include <array>
#include <cstdint>

namespace hebb {

using PhiloxWords = std::array<uint32_t, 4>;

/// Ten rounds of Philox4x32; the low half of `key` is the first key word.
inline PhiloxWords philox4x32(uint64_t key, PhiloxWords counter) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0], product1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
               static_cast<uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

/// The key of one seed and one lane of a batch: splitmix64's output function.
inline uint64_t random_key(uint64_t seed, uint32_t lane) {
  uint64_t z = seed + 0x9E3779B97F4A7C15ull * (static_cast<uint64_t>(lane) + 1);
  z += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

/// Where a draw stands: the words of the counter. `site` < 65536, `slot` < 128, element < 2^56.
inline PhiloxWords draw_counter(uint32_t site, uint32_t slot, uint64_t element, int64_t step) {
  const uint64_t count = static_cast<uint64_t>(step);
  return {static_cast<uint32_t>(element),
          static_cast<uint32_t>(element >> 32) | slot << 24,
          static_cast<uint32_t>(count),
          site | static_cast<uint32_t>((count >> 32) & 0xffff) << 16};
}

/// Uniform on the open interval (0, 1), exact in its type: never 0, never 1.
template <class Real>
Real draw_uniform(uint64_t key, uint32_t site, uint32_t slot, uint64_t element, int64_t step);

template <>
inline double draw_uniform<double>(uint64_t key, uint32_t site, uint32_t slot, uint64_t element,
                                   int64_t step) {
  const PhiloxWords words = philox4x32(key, draw_counter(site, slot, element, step));
  const uint64_t bits = static_cast<uint64_t>(words[0]) << 32 | words[1];
  return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
}

template <>
inline float draw_uniform<float>(uint64_t key, uint32_t site, uint32_t slot, uint64_t element,
                                 int64_t step) {
  const PhiloxWords words = philox4x32(key, draw_counter(site, slot, element, step));
  return (static_cast<float>(words[0] >> 9) + 0.5f) * 0x1p-23f;
}

}  // namespace hebb
