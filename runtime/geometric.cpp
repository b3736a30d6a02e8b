#include "runtime/geometric.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/random.h"
#ifdef __x86_64__
// GCC 12 warns of its own header's values that nobody reads.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

// Draw number n of a row is word n / 16 % 4 of the counter of element n / 64 * 16 + n % 16. A gap is
// floor(log(u) / log(1 - p)), u = (23 bits + 1/2) / 2^23, with the logarithm in single precision: for
// u = m 2^e, 2^-1/2 <= m < 2^1/2, and s = (m - 1) / (m + 1) it is e log 2 + 2 s (1 + s^2/3 + s^4/5 + ...). Both
// versions do the same operations in the same order.

namespace hebb {

namespace {

constexpr float kLog2 = 0.693147180559945f;
constexpr float kThird = 2.0f / 3, kFifth = 2.0f / 5, kSeventh = 2.0f / 7, kNinth = 2.0f / 9;
constexpr uint32_t kRootHalf = 0x3f3504f3;  // bits of 2^-1/2
constexpr int kLanes = 16, kWords = 4;

float scale_of(double p) { return static_cast<float>(1 / std::log1p(-p)); }

int32_t gap(uint32_t word, float scale) {
  const float u = static_cast<float>(static_cast<int32_t>(word >> 9)) + 0.5f;  // times 2^23; exact
  const int32_t bits = std::bit_cast<int32_t>(u) - static_cast<int32_t>(kRootHalf);
  const int32_t exponent = bits >> 23;
  const float m = std::bit_cast<float>((bits & 0x7fffff) + static_cast<int32_t>(kRootHalf));
  const float s = (m - 1.0f) / (m + 1.0f), square = s * s;
  const float series = ((kNinth * square + kSeventh) * square + kFifth) * square + kThird;
  const float log = static_cast<float>(exponent - 23) * kLog2 + (series * (square * s) + 2.0f * s);
  return static_cast<int32_t>(std::max(log * scale, 0.0f));
}

#ifdef __x86_64__
#define HEBB_WIDE [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq")]]

struct WideCounter {
  __m512i word[kWords];
};

/// Ten rounds of Philox4x32 for sixteen counters.
HEBB_WIDE inline WideCounter philox(uint64_t key, WideCounter c) {
  const __m512i multiplier0 = _mm512_set1_epi64(0xD2511F53), multiplier1 = _mm512_set1_epi64(0xCD9E8D57);
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  constexpr __mmask16 kOdd = 0xaaaa;
  for (int round = 0; round < 10; ++round) {
    const __m512i even0 = _mm512_mul_epu32(c.word[0], multiplier0), odd0 = _mm512_mul_epu32(_mm512_srli_epi64(c.word[0], 32), multiplier0);
    const __m512i even1 = _mm512_mul_epu32(c.word[2], multiplier1), odd1 = _mm512_mul_epu32(_mm512_srli_epi64(c.word[2], 32), multiplier1);
    const __m512i low0 = _mm512_mask_blend_epi32(kOdd, even0, _mm512_slli_epi64(odd0, 32)), high0 = _mm512_mask_blend_epi32(kOdd, _mm512_srli_epi64(even0, 32), odd0);
    const __m512i low1 = _mm512_mask_blend_epi32(kOdd, even1, _mm512_slli_epi64(odd1, 32)), high1 = _mm512_mask_blend_epi32(kOdd, _mm512_srli_epi64(even1, 32), odd1);
    c = {{_mm512_xor_si512(_mm512_xor_si512(high1, c.word[1]), _mm512_set1_epi32(static_cast<int>(key0))), low1,
          _mm512_xor_si512(_mm512_xor_si512(high0, c.word[3]), _mm512_set1_epi32(static_cast<int>(key1))), low0}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return c;
}

HEBB_WIDE inline __m512 all(float value) { return _mm512_set1_ps(value); }

HEBB_WIDE inline __m512i gaps(__m512i words, __m512 scale) {
  const __m512i root = _mm512_set1_epi32(static_cast<int>(kRootHalf));
  const __m512 u = _mm512_add_ps(_mm512_cvtepi32_ps(_mm512_srli_epi32(words, 9)), all(0.5f));
  const __m512i bits = _mm512_sub_epi32(_mm512_castps_si512(u), root);
  const __m512i exponent = _mm512_srai_epi32(bits, 23);
  const __m512 m = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_and_si512(bits, _mm512_set1_epi32(0x7fffff)), root));
  const __m512 s = _mm512_div_ps(_mm512_sub_ps(m, all(1.0f)), _mm512_add_ps(m, all(1.0f))), square = _mm512_mul_ps(s, s);
  __m512 series = _mm512_add_ps(_mm512_mul_ps(all(kNinth), square), all(kSeventh));
  series = _mm512_add_ps(_mm512_mul_ps(series, square), all(kFifth));
  series = _mm512_add_ps(_mm512_mul_ps(series, square), all(kThird));
  const __m512 of_m = _mm512_add_ps(_mm512_mul_ps(series, _mm512_mul_ps(square, s)), _mm512_mul_ps(all(2.0f), s));
  const __m512 whole = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(exponent, _mm512_set1_epi32(23))), all(kLog2));
  return _mm512_cvttps_epi32(_mm512_max_ps(_mm512_mul_ps(_mm512_add_ps(whole, of_m), scale), _mm512_setzero_ps()));
}

/// Sums of the first, the first two, ... lanes.
HEBB_WIDE inline __m512i running_sum(__m512i x) {
  const __m512i zero = _mm512_setzero_si512();
  x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 15));
  x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 14));
  x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 12));
  return _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 8));
}

template <class Index>
HEBB_WIDE int64_t draw_row_wide(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, Index* into) {
  const __m512 scale = _mm512_set1_ps(scale_of(p));
  const PhiloxWords first = draw_counter(site, 0, 0, row);
  const __m512i one = _mm512_set1_epi32(1), last_lane = _mm512_set1_epi32(15), end = _mm512_set1_epi32(static_cast<int>(columns));
  __m512i element = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i before = _mm512_set1_epi32(-1);
  Index* next = into;
  for (;;) {
    const WideCounter words = philox(key, {{element, _mm512_set1_epi32(static_cast<int>(first[1])), _mm512_set1_epi32(static_cast<int>(first[2])),
                                            _mm512_set1_epi32(static_cast<int>(first[3]))}});
    element = _mm512_add_epi32(element, _mm512_set1_epi32(kLanes));
    for (int k = 0; k < kWords; ++k) {
      const __m512i at = _mm512_add_epi32(before, running_sum(_mm512_add_epi32(gaps(words.word[k], scale), one)));
      const __mmask16 inside = _mm512_cmplt_epi32_mask(at, end);
      if constexpr (sizeof(Index) == 2) _mm256_storeu_si256(reinterpret_cast<__m256i*>(next), _mm512_cvtepi32_epi16(at));
      else _mm512_storeu_si512(next, at);
      next += __builtin_popcount(inside);
      if (inside != 0xffff) return next - into;
      before = _mm512_permutexvar_epi32(last_lane, at);
    }
  }
}
#endif

template <class Index>
int64_t draw_row_narrow_into(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, Index* into) {
  const float scale = scale_of(p);
  Index* next = into;
  int64_t at = -1;
  for (uint64_t block = 0;; ++block) {
    PhiloxWords words[kLanes];
    for (uint64_t lane = 0; lane < kLanes; ++lane) words[lane] = philox4x32(key, draw_counter(site, 0, block * kLanes + lane, row));
    for (int k = 0; k < kWords; ++k)
      for (int lane = 0; lane < kLanes; ++lane) {
        at += 1 + gap(words[lane][static_cast<size_t>(k)], scale);
        if (at >= columns) return next - into;
        *next++ = static_cast<Index>(at);
      }
  }
}

template <class Index>
int64_t draw_row_into(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, Index* into) {
#ifdef __x86_64__
  static const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                           __builtin_cpu_supports("avx512dq");
  constexpr int64_t kMost = int64_t{1} << 30;  // sums of sixteen gaps more do not overflow
  if (wide && columns < kMost) return draw_row_wide(key, site, row, p, columns, into);
#endif
  return draw_row_narrow_into(key, site, row, p, columns, into);
}

}  // namespace

int64_t draw_row(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, uint16_t* into) {
  return draw_row_into(key, site, row, p, columns, into);
}
int64_t draw_row(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, uint32_t* into) {
  return draw_row_into(key, site, row, p, columns, into);
}
int64_t draw_row_narrow(uint64_t key, uint32_t site, int64_t row, double p, int64_t columns, uint32_t* into) {
  return draw_row_narrow_into(key, site, row, p, columns, into);
}

}  // namespace hebb
