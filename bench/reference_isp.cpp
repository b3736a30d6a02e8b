// The network of reference_spiking.cpp as tight as it can be written: all neurons in one array, both targets of
// an excitatory neuron in one row, post spikes of plastic synapses deferred to the next pre spike.

#ifdef __AVX2__
#include <immintrin.h>
#endif
#include <time.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "bench/reference_spiking.h"

namespace hebb::bench {
namespace {

constexpr size_t kDelay = 8;        // steps of 0.1 ms
constexpr int64_t kEpoch = 1200;    // steps until what waits is settled: six times tau
constexpr float kScale = 0.1f / 20, kEta = 1e-3f, kAlpha = 2 * 3e-3f * 20, kWeight = 0.3f, kInhibition = 3.0f, kMost = 30.0f;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Memory that begins with a cache line: no vector lies in two.
template <class T>
struct InLines {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* memory, size_t) { ::operator delete(memory, kLine); }
  bool operator==(const InLines&) const = default;
};

/// (exp(x) - 1) / x from -0.5 to 0, within a rounding of float or two.
constexpr float kSeries[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 1.0f / 2, 1.0f};
constexpr float kNear = -0.5f;

float relative(float x) { return std::expm1(x) / x; }

template <bool kExponential>
class Run {
 public:
  explicit Run(const Balance& net) : net_(net), e_(net.excitatory), n_(net.excitatory + net.inhibitory) {
    const auto padded = static_cast<size_t>((n_ + 15) / 16 * 16);
    for (auto* column : {&v_, &ge_, &gi_, &wait_}) column->assign(padded, 0.0f);
    std::copy(net.v.begin(), net.v.end(), v_.begin());
    found_.resize(padded);
    x_.assign(static_cast<size_t>(net.inhibitory) + 16, 0.0f);
    at_spike_.assign(static_cast<size_t>(net.inhibitory), 0.0f);
    for (auto* column : {&y_, &sum_}) column->assign(static_cast<size_t>(e_) + 16, 0.0f);
    w_.assign(net.ie.post.size(), kInhibition);
    seen_.assign(net.ie.post.size(), 0.0f);
    both_.row.push_back(0);
    for (size_t i = 0; i < static_cast<size_t>(e_); ++i) {
      both_.post.insert(both_.post.end(), net.ee.post.begin() + net.ee.row[i], net.ee.post.begin() + net.ee.row[i + 1]);
      for (uint32_t s = net.ei.row[i]; s < net.ei.row[i + 1]; ++s) both_.post.push_back(static_cast<uint16_t>(net.ei.post[s] + e_));
      both_.row.push_back(static_cast<uint32_t>(both_.post.size()));
    }
  }

  BalanceResult run(int64_t warm_steps, int64_t steps) {
    BalanceResult result;
    double begun = 0;
    for (int64_t t = 0; t < warm_steps + steps; ++t) {
      if (t == warm_steps) {
        result = {};
        begun = cpu_seconds();
      }
      step(t, result);
    }
    result.seconds = cpu_seconds() - begun;
    settle();
    for (const float one : w_) result.mean_w += one;
    result.mean_w /= static_cast<double>(w_.size());
    return result;
  }

 private:
  void step(int64_t t, BalanceResult& result) {
    auto& now = ring_[static_cast<size_t>(t) % (kDelay + 1)];
    neurons(now);
    for (float& x : x_) x *= decay_trace_;
    for (float& y : y_) y *= decay_trace_;
    scale_ *= decay_trace_;
    if (t > 0 && t % kEpoch == 0) settle();
    for (const uint16_t j : now)
      if (j < e_) sum_[j] += scale_;
    const auto& late = ring_[static_cast<size_t>(t + 1) % (kDelay + 1)];
    for (const uint16_t i : late) i < e_ ? excite(i, result) : inhibit(static_cast<uint16_t>(i - e_), result);
    for (const uint16_t i : late)
      if (i >= e_) {
        x_[i - e_] += 1;
        at_spike_[i - e_] = x_[i - e_] / scale_;
      }
    for (const uint16_t j : now) {
      if (j < e_) y_[j] += 1;
      ++(j < e_ ? result.spikes_e : result.spikes_i);
    }
  }

  void excite(uint16_t i, BalanceResult& result) {
    const uint32_t end = both_.row[i + 1];
    result.events += end - both_.row[i];
    for (uint32_t s = both_.row[i]; s < end; ++s) ge_[both_.post[s]] += kWeight;
  }

  void inhibit(uint16_t i, BalanceResult& result) {
    for (uint32_t s = net_.ii.row[i]; s < net_.ii.row[i + 1]; ++s) gi_[static_cast<size_t>(e_) + net_.ii.post[s]] += kInhibition;
    const float a = kEta * at_spike_[i];
    for (uint32_t s = net_.ie.row[i]; s < net_.ie.row[i + 1]; ++s) {
      const uint16_t j = net_.ie.post[s];
      const float w = std::min(w_[s] + a * (sum_[j] - seen_[s]), kMost);
      seen_[s] = sum_[j];
      gi_[j] += w;
      w_[s] = std::max(w + kEta * (y_[j] - kAlpha), 0.0f);
    }
    result.events += net_.ii.row[i + 1] - net_.ii.row[i] + net_.ie.row[i + 1] - net_.ie.row[i];
  }

  void settle() {
    for (size_t i = 0; i < at_spike_.size(); ++i) {
      for (uint32_t s = net_.ie.row[i]; s < net_.ie.row[i + 1]; ++s) {
        w_[s] = std::min(w_[s] + kEta * at_spike_[i] * (sum_[net_.ie.post[s]] - seen_[s]), kMost);
        seen_[s] = 0;
      }
      at_spike_[i] = x_[i];
    }
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    scale_ = 1;
  }

  /// On its own, with what it reads in local variables, so that addresses and constants stay in registers: as part of step(), with
  /// a list that grows, it took twice as long.
  [[gnu::noinline]] void neurons(std::vector<uint16_t>& spikes) {
    float *const v = v_.data(), *const ge = ge_.data(), *const gi = gi_.data(), *const wait = wait_.data();
    const float decay_e = decay_e_, decay_i = decay_i_;
    const int n = n_;
    uint16_t* const found = found_.data();
    size_t count = 0;
#ifdef __AVX512F__
    const auto all = [](float value) { return _mm512_set1_ps(value); };
    const auto grown = [&](__m512 dv, __m512 e, __m512 h) {
      if constexpr (!kExponential) return dv;
      const __m512 x = _mm512_mul_ps(all(-kScale), _mm512_add_ps(all(1.0f), _mm512_add_ps(e, h)));
      alignas(64) float each[16];
      if (_mm512_cmp_ps_mask(x, all(kNear), _CMP_LT_OQ) != 0) {
        _mm512_store_ps(each, x);
        for (float& one : each) one = relative(one);
        return _mm512_mul_ps(dv, _mm512_load_ps(each));
      }
      __m512 sum = all(kSeries[0]);
      for (int k = 1; k < 7; ++k) sum = _mm512_fmadd_ps(sum, x, all(kSeries[k]));
      return _mm512_mul_ps(dv, sum);
    };
    for (int i = 0; i < n; i += 16) {
      const __m512 u = _mm512_loadu_ps(&v[i]), e = _mm512_loadu_ps(&ge[i]), h = _mm512_loadu_ps(&gi[i]), q = _mm512_loadu_ps(&wait[i]);
      const __mmask16 active = _mm512_cmp_ps_mask(q, _mm512_setzero_ps(), _CMP_LE_OQ);
      const __m512 dv = _mm512_fnmadd_ps(h, _mm512_add_ps(u, all(80.0f)), _mm512_fnmadd_ps(e, u, _mm512_sub_ps(all(-40.0f), u)));
      const __m512 next = _mm512_mask_mov_ps(all(-60.0f), active, _mm512_fmadd_ps(all(kScale), grown(dv, e, h), u));
      __mmask16 spike = _mm512_mask_cmp_ps_mask(active, next, all(-50.0f), _CMP_GT_OQ);
      if (i + 16 > n) spike &= static_cast<__mmask16>((1 << (n - i)) - 1);
      const __m512 left = _mm512_max_ps(_mm512_sub_ps(q, all(1.0f)), _mm512_setzero_ps());
      _mm512_storeu_ps(&v[i], _mm512_mask_mov_ps(next, spike, all(-60.0f)));
      _mm512_storeu_ps(&wait[i], _mm512_mask_mov_ps(left, spike, all(50.0f)));
      _mm512_storeu_ps(&ge[i], _mm512_mul_ps(e, all(decay_e)));
      _mm512_storeu_ps(&gi[i], _mm512_mul_ps(h, all(decay_i)));
      for (unsigned left_over = spike; left_over != 0; left_over &= left_over - 1)
        found[count++] = static_cast<uint16_t>(i + __builtin_ctz(left_over));
    }
#elif defined(__AVX2__)
    const auto all = [](float value) { return _mm256_set1_ps(value); };
    const auto grown = [&](__m256 dv, __m256 e, __m256 h) {
      if constexpr (!kExponential) return dv;
      const __m256 x = _mm256_mul_ps(all(-kScale), _mm256_add_ps(all(1.0f), _mm256_add_ps(e, h)));
      alignas(32) float each[8];
      if (_mm256_movemask_ps(_mm256_cmp_ps(x, all(kNear), _CMP_LT_OQ)) != 0) {
        _mm256_store_ps(each, x);
        for (float& one : each) one = relative(one);
        return _mm256_mul_ps(dv, _mm256_load_ps(each));
      }
      __m256 sum = all(kSeries[0]);
      for (int k = 1; k < 7; ++k) sum = _mm256_fmadd_ps(sum, x, all(kSeries[k]));
      return _mm256_mul_ps(dv, sum);
    };
    for (int i = 0; i < n; i += 8) {
      const __m256 u = _mm256_loadu_ps(&v[i]), e = _mm256_loadu_ps(&ge[i]), h = _mm256_loadu_ps(&gi[i]), q = _mm256_loadu_ps(&wait[i]);
      const __m256 active = _mm256_cmp_ps(q, _mm256_setzero_ps(), _CMP_LE_OQ);
      const __m256 dv = _mm256_fnmadd_ps(h, _mm256_add_ps(u, all(80.0f)), _mm256_fnmadd_ps(e, u, _mm256_sub_ps(all(-40.0f), u)));
      const __m256 next = _mm256_blendv_ps(all(-60.0f), _mm256_fmadd_ps(all(kScale), grown(dv, e, h), u), active);
      const __m256 spike = _mm256_and_ps(active, _mm256_cmp_ps(next, all(-50.0f), _CMP_GT_OQ));
      const __m256 left = _mm256_max_ps(_mm256_sub_ps(q, all(1.0f)), _mm256_setzero_ps());
      _mm256_storeu_ps(&v[i], _mm256_blendv_ps(next, all(-60.0f), spike));
      _mm256_storeu_ps(&wait[i], _mm256_blendv_ps(left, all(50.0f), spike));
      _mm256_storeu_ps(&ge[i], _mm256_mul_ps(e, all(decay_e)));
      _mm256_storeu_ps(&gi[i], _mm256_mul_ps(h, all(decay_i)));
      auto left_over = static_cast<unsigned>(_mm256_movemask_ps(spike));
      if (i + 8 > n) left_over &= (1u << (n - i)) - 1;
      for (; left_over != 0; left_over &= left_over - 1) found[count++] = static_cast<uint16_t>(i + __builtin_ctz(left_over));
    }
#else
    for (int i = 0; i < n; ++i) {
      const bool active = wait[i] <= 0;
      const float dv = -40.0f - v[i] - ge[i] * v[i] - gi[i] * (v[i] + 80.0f);
      const float next = v[i] + kScale * dv * (kExponential ? relative(-kScale * (1 + ge[i] + gi[i])) : 1.0f);
      const bool spike = active && next > -50.0f;
      v[i] = active && !spike ? next : -60.0f;
      wait[i] = spike ? 50.0f : std::max(wait[i] - 1.0f, 0.0f);
      ge[i] *= decay_e;
      gi[i] *= decay_i;
      if (spike) found[count++] = static_cast<uint16_t>(i);
    }
#endif
    spikes.assign(found, found + count);
  }

  const Balance& net_;
  const int e_, n_;
  const float decay_e_ = std::exp(-0.1f / 5), decay_i_ = std::exp(-0.1f / 10), decay_trace_ = std::exp(-0.1f / 20);
  Synapses both_;                                    // of excitatory neurons, onto all
  std::vector<float, InLines<float>> v_, ge_, gi_, wait_;
  std::vector<float> x_, y_, sum_, at_spike_, w_, seen_;
  std::vector<uint16_t> found_, ring_[kDelay + 1];
  float scale_ = 1;
};

}  // namespace

BalanceResult run_balance_tight(const Balance& net, int64_t warm_steps, int64_t steps, bool exponential) {
#ifdef __AVX2__
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);  // subnormal numbers as 0: old traces would cost a hundred times as much
#endif
  const BalanceResult result = exponential ? Run<true>(net).run(warm_steps, steps) : Run<false>(net).run(warm_steps, steps);
#ifdef __AVX2__
  _mm_setcsr(before);
#endif
  return result;
}

}  // namespace hebb::bench
