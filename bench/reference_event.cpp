#include "bench/reference_event.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hebb::bench {
namespace {

constexpr float kTau = 20, kPlus = 1e-3f, kMinus = 1.05e-3f, kMost = 1, kStart = 0.5f;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

class Run {
 public:
  Run(const EventWorkload& load, EventKernel kernel) : load_(load), kernel_(kernel) {
    const size_t count = load.net.post.size();
    w_.assign(count + 64, kStart);
    index_.assign(load.net.post.begin(), load.net.post.end());
    index_.resize(count + 64);
    x_.assign(static_cast<size_t>(load.pre) + 64, 0.0f);
    for (auto* column : {&y_, &g_, &sum_}) column->assign(static_cast<size_t>(load.post) + 64, 0.0f);
    if (kernel == EventKernel::Deferred) {
      seen_.assign(count + 64, 0.0f);
      at_spike_.assign(static_cast<size_t>(load.pre), 0.0f);
      return;
    }
    column_.assign(static_cast<size_t>(load.post) + 1, 0);
    for (const uint16_t j : load.net.post) ++column_[j + 1u];
    for (int j = 0; j < load.post; ++j) column_[j + 1] += column_[j];
    std::vector<uint32_t> next(column_.begin(), column_.end() - 1);
    place_.resize(count + 64);
    pre_.resize(count + 64);
    wide_.assign(load.net.post.begin(), load.net.post.end());
    for (int i = 0; i < load.pre; ++i)
      for (uint32_t s = load.net.row[i]; s < load.net.row[i + 1]; ++s) {
        const uint32_t at = next[load.net.post[s]]++;
        place_[at] = s;
        pre_[at] = static_cast<uint16_t>(i);
      }
    pointer_.resize(count + 64, w_.data());
    for (size_t q = 0; q < count; ++q) pointer_[q] = w_.data() + place_[q];
  }

  EventResult run() {
    const float decay = std::exp(-0.1f / kTau);
#ifdef __AVX512F__
    _mm_setcsr(_mm_getcsr() | 0x8040);  // subnormal numbers as 0
#endif
    const double begun = cpu_seconds();
    for (size_t t = 0; t < load_.pre_spikes.size(); ++t) {
      for (int i = 0; i < load_.pre; ++i) x_[i] *= decay;
      for (int j = 0; j < load_.post; ++j) y_[j] *= decay;
      const auto& pre = load_.pre_spikes[t];
      const auto& post = load_.post_spikes[t];
      if (kernel_ == EventKernel::Deferred) {
        scale_ *= decay;
        if (t > 0 && t % kEpoch == 0) settle();
        for (const uint32_t j : post) sum_[j] += scale_;
        for (const uint32_t i : pre) deferred_row(i);
      } else {
        for (const uint32_t i : pre) kernel_ == EventKernel::Classic ? classic_row(i) : packed_row(i);
        for (const uint32_t j : post) kernel_ == EventKernel::Classic ? classic_column(j) : packed_column(j);
      }
      for (const uint32_t i : pre) x_[i] += 1;
      for (const uint32_t j : post) y_[j] += 1;
      if (kernel_ == EventKernel::Deferred)
        for (const uint32_t i : pre) at_spike_[i] = x_[i] / scale_;
    }
    if (kernel_ == EventKernel::Deferred) settle();
    EventResult result{.seconds = cpu_seconds() - begun, .w = {}, .g = {}};
    result.w.assign(w_.begin(), w_.end() - 64);
    result.g.assign(g_.begin(), g_.begin() + load_.post);
    return result;
  }

 private:
  static constexpr size_t kEpoch = 1200;  // steps: six times tau

  void classic_row(uint32_t i) {
    for (uint32_t s = load_.net.row[i]; s < load_.net.row[i + 1]; ++s) {
      const uint32_t j = wide_[s];
      g_[j] += w_[s];
      w_[s] = clipped(w_[s] - kMinus * y_[j]);
    }
  }
  void classic_column(uint32_t j) {
    for (uint32_t q = column_[j]; q < column_[j + 1]; ++q) {
      __builtin_prefetch(pointer_[q + 2], 1, 0);
      *pointer_[q] = clipped(*pointer_[q] + kPlus * x_[pre_[q]]);
    }
  }
  static float clipped(float w) {
    if (w < 0) return 0;
    if (w > kMost) return kMost;
    return w;
  }
  void packed_row(uint32_t i) {
    for (uint32_t s = load_.net.row[i]; s < load_.net.row[i + 1]; ++s) {
      const uint16_t j = index_[s];
      g_[j] += w_[s];
      w_[s] = std::min(std::max(w_[s] - kMinus * y_[j], 0.0f), kMost);
    }
  }
  void packed_column(uint32_t j) {
    for (uint32_t q = column_[j]; q < column_[j + 1]; ++q) {
      __builtin_prefetch(&w_[place_[q + 24]], 1);
      float& w = w_[place_[q]];
      w = std::min(std::max(w + kPlus * x_[pre_[q]], 0.0f), kMost);
    }
  }
  void deferred_row(uint32_t i) {
    uint32_t s = load_.net.row[i];
    const uint32_t end = load_.net.row[i + 1];
    const float a = kPlus * at_spike_[i];
#ifdef __AVX512F__
    for (; s + 16 <= end; s += 16) {
      const __m512i j = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(&index_[s])));
      const __m512 y = _mm512_i32gather_ps(j, y_.data(), 4), g = _mm512_i32gather_ps(j, g_.data(), 4), sum = _mm512_i32gather_ps(j, sum_.data(), 4);
      __m512 w = _mm512_fmadd_ps(_mm512_set1_ps(a), _mm512_sub_ps(sum, _mm512_loadu_ps(&seen_[s])), _mm512_loadu_ps(&w_[s]));
      w = _mm512_min_ps(w, _mm512_set1_ps(kMost));
      _mm512_storeu_ps(&seen_[s], sum);
      _mm512_i32scatter_ps(g_.data(), j, _mm512_add_ps(g, w), 4);
      _mm512_storeu_ps(&w_[s], _mm512_max_ps(_mm512_fnmadd_ps(_mm512_set1_ps(kMinus), y, w), _mm512_setzero_ps()));
    }
#endif
    for (; s < end; ++s) {
      const uint16_t j = index_[s];
      const float w = std::min(w_[s] + a * (sum_[j] - seen_[s]), kMost);
      seen_[s] = sum_[j];
      g_[j] += w;
      w_[s] = std::max(w - kMinus * y_[j], 0.0f);
    }
  }
  void settle() {
    for (int i = 0; i < load_.pre; ++i) {
      const float a = kPlus * at_spike_[i];
      for (uint32_t s = load_.net.row[i]; s < load_.net.row[i + 1]; ++s) {
        w_[s] = std::min(w_[s] + a * (sum_[index_[s]] - seen_[s]), kMost);
        seen_[s] = 0;
      }
      at_spike_[i] = x_[i];
    }
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    scale_ = 1;
  }

  const EventWorkload& load_;
  const EventKernel kernel_;
  std::vector<float> w_, seen_, x_, y_, g_, sum_, at_spike_;
  std::vector<uint16_t> index_, pre_;
  std::vector<uint32_t> wide_, column_, place_;
  std::vector<float*> pointer_;
  float scale_ = 1;
};

}  // namespace

EventResult run_event(const EventWorkload& workload, EventKernel kernel) { return Run(workload, kernel).run(); }

}  // namespace hebb::bench
