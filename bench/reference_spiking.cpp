#include "bench/reference_spiking.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace hebb::bench {
namespace {

constexpr int kDelay = 8;       // steps of 0.1 ms

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Population {
  int n = 0;
  std::vector<float> v, ge, gi, wait, trace;
  std::vector<uint16_t> ring[kDelay + 1];
  explicit Population(int count) : n(count) {
    for (auto* column : {&v, &ge, &gi, &wait, &trace}) column->assign(static_cast<size_t>((count + 15) / 16 * 16), 0.0f);
  }

  /// Conductances and the trace decay exactly. Forward Euler is written with vectors where there are any.
  template <bool exponential>
  void step(std::vector<uint16_t>& spikes) {
    spikes.clear();
#ifdef __AVX512F__
    if constexpr (!exponential) return step_of_vectors(spikes);
#endif
    const float he = std::exp(-0.05f / 5), hi = std::exp(-0.05f / 10);
    for (int i = 0; i < n; ++i) {
      const bool active = wait[i] <= 0;
      float next = v[i] + kScale * (-40.0f - v[i] - ge[i] * v[i] - gi[i] * (v[i] + 80.0f));
      if constexpr (exponential) {
        const float leak = 1 + he * ge[i] + hi * gi[i];
        const float rest = (-40.0f - 80.0f * hi * gi[i]) / leak;
        next = rest + (v[i] - rest) * std::exp(-kScale * leak);
      }
      const bool spike = active && next > -50.0f;
      v[i] = active && !spike ? next : -60.0f;
      wait[i] = spike ? 50.0f : std::max(wait[i] - 1.0f, 0.0f);
      ge[i] *= decay_e;
      gi[i] *= decay_i;
      trace[i] *= decay_trace;
      if (spike) spikes.push_back(static_cast<uint16_t>(i));
    }
  }

  static constexpr float kScale = 0.1f / 20;
  const float decay_e = std::exp(-0.1f / 5), decay_i = std::exp(-0.1f / 10), decay_trace = std::exp(-0.1f / 20);

#ifdef __AVX512F__
  void step_of_vectors(std::vector<uint16_t>& spikes) {
    const auto all = [](float value) { return _mm512_set1_ps(value); };
    for (int i = 0; i < n; i += 16) {
      const __m512 u = _mm512_loadu_ps(&v[i]), e = _mm512_loadu_ps(&ge[i]), h = _mm512_loadu_ps(&gi[i]), q = _mm512_loadu_ps(&wait[i]);
      const __mmask16 active = _mm512_cmp_ps_mask(q, _mm512_setzero_ps(), _CMP_LE_OQ);
      __m512 dv = _mm512_sub_ps(all(-40.0f), u);
      dv = _mm512_fnmadd_ps(e, u, dv);
      dv = _mm512_fnmadd_ps(h, _mm512_add_ps(u, all(80.0f)), dv);
      const __m512 next = _mm512_mask_mov_ps(all(-60.0f), active, _mm512_fmadd_ps(all(kScale), dv, u));
      __mmask16 spike = _mm512_mask_cmp_ps_mask(active, next, all(-50.0f), _CMP_GT_OQ);
      if (i + 16 > n) spike &= static_cast<__mmask16>((1 << (n - i)) - 1);
      const __m512 left = _mm512_max_ps(_mm512_sub_ps(q, all(1.0f)), _mm512_setzero_ps());
      _mm512_storeu_ps(&v[i], _mm512_mask_mov_ps(next, spike, all(-60.0f)));
      _mm512_storeu_ps(&wait[i], _mm512_mask_mov_ps(left, spike, all(50.0f)));
      _mm512_storeu_ps(&ge[i], _mm512_mul_ps(e, all(decay_e)));
      _mm512_storeu_ps(&gi[i], _mm512_mul_ps(h, all(decay_i)));
      _mm512_storeu_ps(&trace[i], _mm512_mul_ps(_mm512_loadu_ps(&trace[i]), all(decay_trace)));
      for (unsigned left_over = spike; left_over != 0; left_over &= left_over - 1)
        spikes.push_back(static_cast<uint16_t>(i + __builtin_ctz(left_over)));
    }
  }
#endif
};

int64_t deliver(const Synapses& synapses, const std::vector<uint16_t>& spikes, float weight, float* into) {
  int64_t events = 0;
  for (const uint16_t i : spikes) {
    const uint32_t end = synapses.row[i + 1];
    events += end - synapses.row[i];
    for (uint32_t s = synapses.row[i]; s < end; ++s) into[synapses.post[s]] += weight;
  }
  return events;
}

}  // namespace

BalanceResult run_balance(const Balance& net, int64_t warm_steps, int64_t steps, bool exponential) {
#ifdef __AVX512F__
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);  // subnormal numbers as 0: old traces would cost a hundred times as much
#endif
  const float eta = 1e-3f, alpha = 2 * 3e-3f * 20;
  Population e(net.excitatory), i(net.inhibitory);
  std::copy_n(net.v.begin(), net.excitatory, e.v.begin());
  std::copy_n(net.v.begin() + net.excitatory, net.inhibitory, i.v.begin());
  std::vector<float> w(net.ie.post.size(), 3.0f);
  std::vector<uint32_t> column(static_cast<size_t>(e.n) + 1, 0), place(w.size());
  std::vector<uint16_t> pre(w.size());
  for (const uint16_t j : net.ie.post) ++column[j + 1u];
  for (int j = 0; j < e.n; ++j) column[j + 1] += column[j];
  std::vector<uint32_t> next(column.begin(), column.end() - 1);
  for (int k = 0; k < i.n; ++k)
    for (uint32_t s = net.ie.row[k]; s < net.ie.row[k + 1]; ++s) {
      const uint32_t at = next[net.ie.post[s]]++;
      place[at] = s;
      pre[at] = static_cast<uint16_t>(k);
    }

  BalanceResult result;
  double begun = 0;
  for (int64_t t = 0; t < warm_steps + steps; ++t) {
    if (t == warm_steps) {
      result = {};
      begun = cpu_seconds();
    }
    auto& from_e = e.ring[t % (kDelay + 1)];
    auto& from_i = i.ring[t % (kDelay + 1)];
    exponential ? e.step<true>(from_e) : e.step<false>(from_e);
    exponential ? i.step<true>(from_i) : i.step<false>(from_i);
    const auto& late_e = e.ring[(t + 1) % (kDelay + 1)];  // of kDelay steps ago
    const auto& late_i = i.ring[(t + 1) % (kDelay + 1)];
    result.events += static_cast<double>(deliver(net.ee, late_e, 0.3f, e.ge.data()));
    result.events += static_cast<double>(deliver(net.ei, late_e, 0.3f, i.ge.data()));
    result.events += static_cast<double>(deliver(net.ii, late_i, 3.0f, i.gi.data()));
    for (const uint16_t k : late_i) {
      const uint32_t end = net.ie.row[k + 1];
      result.events += end - net.ie.row[k];
      for (uint32_t s = net.ie.row[k]; s < end; ++s) {
        const uint16_t j = net.ie.post[s];
        e.gi[j] += w[s];
        w[s] = std::max(w[s] + eta * (e.trace[j] - alpha), 0.0f);
      }
    }
    for (const uint16_t j : from_e) {
      result.events += column[j + 1u] - column[j];
      for (uint32_t q = column[j]; q < column[j + 1u]; ++q) w[place[q]] += eta * i.trace[pre[q]];
    }
    for (const uint16_t k : late_i) i.trace[k] += 1;
    for (const uint16_t j : from_e) e.trace[j] += 1;
    result.spikes_e += static_cast<int64_t>(from_e.size());
    result.spikes_i += static_cast<int64_t>(from_i.size());
  }
  result.seconds = cpu_seconds() - begun;
#ifdef __AVX512F__
  _mm_setcsr(before);
#endif
  for (const float one : w) result.mean_w += one;
  result.mean_w /= static_cast<double>(w.size());
  return result;
}

}  // namespace hebb::bench
