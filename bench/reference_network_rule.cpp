// Hidden units ten at a time, so that none waits for another; weights lie in memory once for every lane. What is the same for all synapses of a
// row or column is summed before.

#include "bench/reference_network_rule.h"

#include <time.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace hebb::bench {
namespace {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
using Reals = float __attribute__((vector_size(4 * kLanes), aligned(4 * kLanes)));
using Bits = uint32_t __attribute__((vector_size(4 * kLanes)));

constexpr int kHidden = 50, kOut = 4, kInputs = 5, kTogether = 10;
constexpr size_t kSynapses = 4096;
constexpr float kEta = 1e-4f;

template <int kCount>
[[gnu::always_inline]] inline void sigmoids(Reals (&x)[kCount]) {
  constexpr float kShift = 0x1.8p23f + 103;   // its low bits become the exponent of 2^n / 2^24
  constexpr float kTail[] = {0x1.fffffcp-2f, 0x1.555494p-3f, 0x1.55587cp-5f, 0x1.1238e2p-7f, 0x1.6a6484p-10f};
  Reals shifted[kCount], rest[kCount], power[kCount];
  for (Reals& one : x) {
    one = one < -104.0f ? -104.0f + Reals{} : one;
    one = one > 64.0f ? 64.0f + Reals{} : one;
  }
  for (int u = 0; u < kCount; ++u) shifted[u] = x[u] * -0x1.715476p0f + kShift;
  for (int u = 0; u < kCount; ++u) rest[u] = (shifted[u] - kShift) * -0x1.62e4p-1f - x[u];
  for (int u = 0; u < kCount; ++u) rest[u] = (shifted[u] - kShift) * -0x1.7f7d1cp-20f + rest[u];
  for (int u = 0; u < kCount; ++u) power[u] = rest[u] * kTail[4] + kTail[3];
  for (int k = 2; k >= 0; --k)
    for (int u = 0; u < kCount; ++u) power[u] = power[u] * rest[u] + kTail[k];
  for (int k = 0; k < 2; ++k)
    for (int u = 0; u < kCount; ++u) power[u] = power[u] * rest[u] + 1.0f;
  for (int u = 0; u < kCount; ++u) power[u] = power[u] * std::bit_cast<Reals>(std::bit_cast<Bits>(shifted[u]) << 23) + 0x1p-24f;
  for (int u = 0; u < kCount; ++u) x[u] = 0x1p-24f / power[u];
}

struct Layers {
  Reals base[kHidden], first[kHidden][kInputs], second[kOut][kHidden], read[kOut];
};

struct Synapses {
  alignas(64) float inputs[kInputs][kSynapses], changes[kSynapses];   // the first input is the weight
};

template <int kVarying>
[[gnu::noinline]] void change(const Layers& layers, Synapses& synapses) {
  const auto vector = [](float* array, size_t at) -> Reals& { return *reinterpret_cast<Reals*>(array + at); };
  for (size_t s = 0; s < kSynapses; s += kLanes) {
    Reals inputs[kVarying], out[kOut] = {};
    for (int k = 0; k < kVarying; ++k) inputs[k] = vector(synapses.inputs[k], s);
#pragma GCC unroll 1
    for (int j = 0; j < kHidden; j += kTogether) {
      Reals hidden[kTogether];
      for (int u = 0; u < kTogether; ++u) hidden[u] = layers.base[j + u];
      for (int k = 0; k < kVarying; ++k)
        for (int u = 0; u < kTogether; ++u) hidden[u] = inputs[k] * layers.first[j + u][k] + hidden[u];
      sigmoids(hidden);
      for (int u = 0; u < kTogether; ++u)
        for (int k = 0; k < kOut; ++k) out[k] = hidden[u] * layers.second[k][j + u] + out[k];
    }
    sigmoids(out);
    Reals sum = {};
    for (int k = 0; k < kOut; ++k) sum = out[k] * layers.read[k] + sum;
    vector(synapses.changes, s) = kEta * sum;
  }
}

double by_definition(const Layers& layers, const Synapses& synapses, int varying, size_t s) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  double out[kOut] = {}, sum = 0;
  for (int j = 0; j < kHidden; ++j) {
    double x = layers.base[j][0];
    for (int k = 0; k < varying; ++k) x += static_cast<double>(layers.first[j][k][0]) * synapses.inputs[k][s];
    for (int k = 0; k < kOut; ++k) out[k] += static_cast<double>(layers.second[k][j][0]) * sigmoid(x);
  }
  for (int k = 0; k < kOut; ++k) sum += layers.read[k][0] * sigmoid(out[k]);
  return static_cast<double>(kEta) * sum;
}

double nanoseconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return 1e9 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec);
}

template <int kVarying>
double measure(const Layers& layers, Synapses& synapses, double& error) {
  constexpr int kRounds = 30;
  double best = 1e30, most = 0, off = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double begun = nanoseconds();
    change<kVarying>(layers, synapses);
    best = std::min(best, nanoseconds() - begun);
  }
  for (size_t s = 0; s < kSynapses; ++s) {
    const double right = by_definition(layers, synapses, kVarying, s);
    most = std::max(most, std::abs(right));
    off = std::max(off, std::abs(right - static_cast<double>(synapses.changes[s])));
  }
  error = std::max(error, off / most);
  return best / static_cast<double>(kSynapses);
}

}  // namespace

NetworkRule run_network_rule() {
  uint64_t state = 1;
  const auto draw = [&](float bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return bound * (static_cast<float>(state >> 40) * 0x1p-23f - 1);
  };
  static Layers layers;
  const auto spread = [](Reals& reals, float number) { reals = number + Reals{}; };
  for (int j = 0; j < kHidden; ++j) {
    spread(layers.base[j], draw(0.4f));
    for (Reals& weight : layers.first[j]) spread(weight, draw(0.4f));
    for (int k = 0; k < kOut; ++k) spread(layers.second[k][j], draw(0.14f));
  }
  for (Reals& weight : layers.read) spread(weight, draw(1));
  static Synapses synapses;
  for (auto& array : synapses.inputs)
    for (float& input : array) input = draw(2);
  NetworkRule out;
  out.at_post = measure<2>(layers, synapses, out.error);
  out.at_pre = measure<5>(layers, synapses, out.error);
  return out;
}

}  // namespace hebb::bench
