// A hand-written simulator as they are often written: leaky integrate-and-fire neurons, a loop over synapses
// for plasticity. The compiled kernel takes the place of that loop, and nothing else changes. Run with both,
// every spike and weight is the same up to rounding.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "pair_stdp.h"

namespace {

constexpr int kPre = 200, kPost = 20;
constexpr double kDt = 1.0;  // ms
constexpr int kSteps = 3000;

/// What the loop needs of plasticity.
struct Plasticity {
  virtual ~Plasticity() = default;
  virtual float weight(int i, int j) const = 0;
  virtual void step(const std::vector<int32_t>& pre, const std::vector<int32_t>& post) = 0;
};

/// Pair STDP as a program would have it: traces and weights in loops.
struct ByHand : Plasticity {
  std::vector<float> w = std::vector<float>(kPre * kPost, 0.5f);
  std::vector<double> x = std::vector<double>(kPre), y = std::vector<double>(kPost);

  float weight(int i, int j) const override { return w[i * kPost + j]; }

  void step(const std::vector<int32_t>& pre, const std::vector<int32_t>& post) override {
    std::vector<bool> fires_pre(kPre), fires_post(kPost);
    for (const int i : pre) fires_pre[i] = true;
    for (const int j : post) fires_post[j] = true;
    for (int i = 0; i < kPre; ++i)
      for (int j = 0; j < kPost; ++j) {
        double value = w[i * kPost + j];
        if (fires_post[j]) value += 0.005 * x[i];
        if (fires_pre[i]) value -= 0.00525 * y[j];
        w[i * kPost + j] = static_cast<float>(value < 0 ? 0 : value > 1 ? 1 : value);
      }
    for (int i = 0; i < kPre; ++i) x[i] = (x[i] + fires_pre[i]) * std::exp(-kDt / 20);
    for (int j = 0; j < kPost; ++j) y[j] = (y[j] + fires_post[j]) * std::exp(-kDt / 20);
  }
};

/// The same by the compiled rule.
struct Compiled : Plasticity {
  pair_stdp block = PAIR_STDP_BLOCK(kPre, kPost);
  void* memory = nullptr;

  Compiled() {
    const int64_t bytes = pair_stdp_bytes(&block);
    memory = std::aligned_alloc(64, static_cast<size_t>(bytes));
    check(pair_stdp_init(&block, memory, bytes, 1));
    for (int i = 0; i < kPre; ++i)
      for (int j = 0; j < kPost; ++j) block.w[i * block.row + j] = 0.5f;
  }
  ~Compiled() override { std::free(memory); }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;

  static void check(int code) {
    if (code == PAIR_STDP_OK) return;
    std::fprintf(stderr, "pair_stdp: %s\n", pair_stdp_error_text(code));
    std::exit(1);
  }

  float weight(int i, int j) const override { return block.w[i * block.row + j]; }

  void step(const std::vector<int32_t>& pre, const std::vector<int32_t>& post) override {
    pair_stdp_inputs moment = PAIR_STDP_INPUTS;
    moment.pre_spike = pre.data();
    moment.pre_spike_count = static_cast<int64_t>(pre.size());
    moment.post_spike = post.data();
    moment.post_spike_count = static_cast<int64_t>(post.size());
    check(pair_stdp_step(&block, &moment, kDt));
  }
};

struct Outcome {
  long spikes = 0;
  double mean_weight = 0;
  std::vector<float> weights;
};

Outcome simulate(Plasticity& plasticity) {
  Outcome out;
  uint64_t random = 42;
  const auto uniform = [&] {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(random >> 11) * 0x1p-53;
  };
  std::vector<double> v(kPost);
  std::vector<int32_t> pre, post;
  for (int step = 0; step < kSteps; ++step) {
    pre.clear();
    for (int i = 0; i < kPre; ++i)
      if (uniform() < 0.015) pre.push_back(i);
    for (int j = 0; j < kPost; ++j) {
      double input = 0;
      for (const int i : pre) input += plasticity.weight(i, j);
      v[j] = v[j] * std::exp(-kDt / 10) + input * (0.1 + 0.01 * j);
    }
    plasticity.step(pre, post);  // spikes of the neurons arrive one step later
    post.clear();
    for (int j = 0; j < kPost; ++j)
      if (v[j] > 2) {
        v[j] = 0;
        post.push_back(j);
      }
    out.spikes += static_cast<long>(post.size());
  }
  for (int i = 0; i < kPre; ++i)
    for (int j = 0; j < kPost; ++j) out.weights.push_back(plasticity.weight(i, j));
  for (const float w : out.weights) out.mean_weight += w / static_cast<double>(out.weights.size());
  return out;
}

}  // namespace

int main() {
  ByHand by_hand;
  Compiled compiled;
  const Outcome a = simulate(by_hand), b = simulate(compiled);
  double furthest = 0;
  for (size_t k = 0; k < a.weights.size(); ++k)
    furthest = std::fmax(furthest, std::fabs(a.weights[k] - b.weights[k]));
  std::printf("by hand:  %ld spikes, mean weight %.6f\ncompiled: %ld spikes, mean weight %.6f\nfurthest apart %.2g\n",
              a.spikes, a.mean_weight, b.spikes, b.mean_weight, furthest);
  return a.spikes == b.spikes && a.spikes > 1000 && furthest < 1e-4 ? 0 : 1;
}
