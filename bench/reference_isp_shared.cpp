// The network of reference_isp.cpp, as tight, on one thread or two: what two threads can gain at best. Each owns half of
// the excitatory and half of the inhibitory neurons and the synapses onto them, keeps traces of all presynaptic neurons
// for itself, and tells the other only who spiked: every step, or as seldom as the delay allows. They wait by looking.

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "bench/reference_spiking.h"

namespace hebb::bench {
namespace {

constexpr int64_t kDelay = 8, kRing = 16;  // steps of 0.1 ms; as many as two stretches between meetings
constexpr int64_t kEpoch = 1200;           // steps until what waits is settled: six times tau
constexpr float kScale = 0.1f / 20, kEta = 1e-3f, kAlpha = 2 * 3e-3f * 20, kWeight = 0.3f, kInhibition = 3.0f, kMost = 30.0f;

double wall_seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Spikes {
  std::vector<uint16_t> e, i;
};

/// Neurons [begin, end) of one population; their numbers in rows and lists are those of the whole population.
struct Block {
  Block(const float* start, int first, int last) : begin(first), v(start + first, start + last) {
    for (auto* column : {&ge, &gi, &wait}) column->assign(v.size(), 0.0f);
    hit.assign((v.size() + 7) / 8 * 8, 0);
  }
  void step(float decay_e, float decay_i, std::vector<uint16_t>& spikes) {
    const auto n = static_cast<int>(v.size());
    float *__restrict u = v.data(), *__restrict e = ge.data(), *__restrict h = gi.data(), *__restrict q = wait.data();
    uint8_t* __restrict hits = hit.data();
    for (int k = 0; k < n; ++k) {
      const bool active = q[k] <= 0;
      const float next = u[k] + kScale * (-40.0f - u[k] - e[k] * u[k] - h[k] * (u[k] + 80.0f));
      const bool spike = active & (next > -50.0f);
      u[k] = active & !spike ? next : -60.0f;
      q[k] = spike ? 50.0f : std::max(q[k] - 1.0f, 0.0f);
      e[k] *= decay_e;
      h[k] *= decay_i;
      hits[k] = spike;
    }
    spikes.clear();
    for (int k = 0; k < n; k += 8) {
      uint64_t any = 0;
      __builtin_memcpy(&any, &hit[k], 8);
      for (; any != 0; any &= any - 1) spikes.push_back(static_cast<uint16_t>(begin + k + __builtin_ctzll(any) / 8));
    }
  }
  int begin;
  std::vector<float> v, ge, gi, wait;
  std::vector<uint8_t> hit;
};

/// The synapses of each row onto [begin, end), by their place there.
Synapses onto(const Synapses& all, int begin, int end) {
  Synapses out;
  out.row.push_back(0);
  for (size_t i = 0; i + 1 < all.row.size(); ++i) {
    for (uint32_t s = all.row[i]; s < all.row[i + 1]; ++s)
      if (all.post[s] >= begin && all.post[s] < end) out.post.push_back(static_cast<uint16_t>(all.post[s] - begin));
    out.row.push_back(static_cast<uint32_t>(out.post.size()));
  }
  return out;
}

struct alignas(128) Reached {
  std::atomic<int64_t> steps{0};
};

class Half {
 public:
  Half(const Balance& net, int thread, int threads)
      : e_(net.v.data(), net.excitatory * thread / threads, net.excitatory * (thread + 1) / threads),
        i_(net.v.data() + net.excitatory, net.inhibitory * thread / threads, net.inhibitory * (thread + 1) / threads) {
    const auto e_end = e_.begin + static_cast<int>(e_.v.size()), i_end = i_.begin + static_cast<int>(i_.v.size());
    ee_ = onto(net.ee, e_.begin, e_end), ie_ = onto(net.ie, e_.begin, e_end);
    ei_ = onto(net.ei, i_.begin, i_end), ii_ = onto(net.ii, i_.begin, i_end);
    for (auto* column : {&x_, &at_spike_}) column->assign(static_cast<size_t>(net.inhibitory), 0.0f);
    for (auto* column : {&y_, &sum_}) column->assign(e_.v.size(), 0.0f);
    w_.assign(ie_.post.size(), kInhibition);
    seen_.assign(ie_.post.size(), 0.0f);
  }

  const Spikes& spikes(int64_t t) const { return ring_[t % kRing]; }

  void step(int64_t t, const std::vector<Half*>& all) {
    Spikes& now = ring_[t % kRing];
    e_.step(decay_e_, decay_i_, now.e);
    i_.step(decay_e_, decay_i_, now.i);
    for (float& x : x_) x *= decay_trace_;
    for (float& y : y_) y *= decay_trace_;
    scale_ *= decay_trace_;
    if (t > 0 && t % kEpoch == 0) settle();
    for (const uint16_t j : now.e) sum_[j - e_.begin] += scale_;
    if (t >= kDelay) {
      for (const Half* half : all)
        for (const uint16_t i : half->spikes(t - kDelay).e) excite(i);
      for (const Half* half : all)
        for (const uint16_t i : half->spikes(t - kDelay).i) inhibit(i);
      for (const Half* half : all)
        for (const uint16_t i : half->spikes(t - kDelay).i) at_spike_[i] = (x_[i] += 1) / scale_;
    }
    for (const uint16_t j : now.e) y_[j - e_.begin] += 1;
    result.spikes_e += static_cast<int64_t>(now.e.size());
    result.spikes_i += static_cast<int64_t>(now.i.size());
  }

  void settle() {
    for (size_t i = 0; i < at_spike_.size(); ++i) {
      for (uint32_t s = ie_.row[i]; s < ie_.row[i + 1]; ++s) {
        w_[s] = std::min(w_[s] + kEta * at_spike_[i] * (sum_[ie_.post[s]] - seen_[s]), kMost);
        seen_[s] = 0;
      }
      at_spike_[i] = x_[i];
    }
    std::fill(sum_.begin(), sum_.end(), 0.0f);
    scale_ = 1;
  }

  const std::vector<float>& weights() const { return w_; }
  BalanceResult result;

 private:
  void excite(uint16_t i) {
    for (uint32_t s = ee_.row[i]; s < ee_.row[i + 1]; ++s) e_.ge[ee_.post[s]] += kWeight;
    for (uint32_t s = ei_.row[i]; s < ei_.row[i + 1]; ++s) i_.ge[ei_.post[s]] += kWeight;
  }
  void inhibit(uint16_t i) {
    for (uint32_t s = ii_.row[i]; s < ii_.row[i + 1]; ++s) i_.gi[ii_.post[s]] += kInhibition;
    const float a = kEta * at_spike_[i];
    for (uint32_t s = ie_.row[i]; s < ie_.row[i + 1]; ++s) {
      const uint16_t j = ie_.post[s];
      const float w = std::min(w_[s] + a * (sum_[j] - seen_[s]), kMost);
      seen_[s] = sum_[j];
      e_.gi[j] += w;
      w_[s] = std::max(w + kEta * (y_[j] - kAlpha), 0.0f);
    }
  }

  Block e_, i_;
  Synapses ee_, ei_, ii_, ie_;
  std::vector<float> x_, at_spike_, y_, sum_, w_, seen_;
  Spikes ring_[kRing];
  float scale_ = 1;
  const float decay_e_ = std::exp(-0.1f / 5), decay_i_ = std::exp(-0.1f / 10), decay_trace_ = std::exp(-0.1f / 20);
};

}  // namespace

BalanceResult run_balance_shared(const Balance& net, int threads, int64_t between_meetings, int64_t warm_steps, int64_t steps) {
  std::vector<Half*> halves(static_cast<size_t>(threads));
  std::vector<Reached> reached(static_cast<size_t>(threads)), made(static_cast<size_t>(threads));
  double begun = 0;
  BalanceResult total;
  const auto work = [&](size_t thread) {
    Half own(net, static_cast<int>(thread), threads);
    halves[thread] = &own;
    const auto meet = [&](std::vector<Reached>& at, int64_t t) {
      at[thread].steps.store(t, std::memory_order_release);
      for (const Reached& other : at)
        while (other.steps.load(std::memory_order_acquire) < t) {}
    };
    meet(made, 1);
    for (int64_t t = 0; t < warm_steps + steps; ++t) {
      if (threads > 1 && t % between_meetings == 0) meet(reached, t);
      if (t == warm_steps) {
        own.result = {};
        if (thread == 0) begun = wall_seconds();
      }
      own.step(t, halves);
    }
    meet(made, 2);
    if (thread == 0) begun = wall_seconds() - begun;
    own.settle();
    meet(made, 3);
    if (thread > 0) return meet(made, 4);
    BalanceResult& sum = own.result;
    size_t count = 0;
    for (Half* half : halves) {
      if (half != &own) sum.spikes_e += half->result.spikes_e, sum.spikes_i += half->result.spikes_i;
      count += half->weights().size();
      for (const float w : half->weights()) sum.mean_w += w;
    }
    sum.mean_w /= static_cast<double>(count);
    sum.seconds = begun;
    total = sum;
    meet(made, 4);
  };
  std::vector<std::thread> others;
  for (size_t k = 1; k < halves.size(); ++k) others.emplace_back(work, k);
  work(0);
  for (std::thread& other : others) other.join();
  return total;
}

}  // namespace hebb::bench
