#pragma once
// Pair STDP on given spikes, written by hand: the bar of the second part of bench/spiking.cpp. Single
// precision, one thread. Compiled with -O3 -march=native -ffast-math.

#include <cstdint>
#include <vector>

#include "bench/reference_spiking.h"

namespace hebb::bench {

struct EventWorkload {
  int pre = 0, post = 0;
  Synapses net;
  std::vector<std::vector<uint32_t>> pre_spikes, post_spikes;  // of each step of 0.1 ms
};

/// Classic: 32-bit indices, a post spike finds its synapses by pointers. Packed: 16-bit indices, positions,
/// prefetch, no branches. Deferred: no post pass; what post spikes do waits for the next pre spike.
enum class EventKernel { Classic, Packed, Deferred };

struct EventResult {
  double seconds = 0;          // of CPU time
  std::vector<float> w, g;     // weights; what arrived at each post neuron
};
EventResult run_event(const EventWorkload& workload, EventKernel kernel);

}  // namespace hebb::bench
