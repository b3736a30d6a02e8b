#pragma once
// The network of examples/inhibitory_balance.hebb written by hand: the bar of bench/spiking.cpp. Same
// synapses, same start; single precision, one thread where nothing else is said. Compiled with -O3 -march=native.

#include <cstdint>
#include <vector>

namespace hebb::bench {

struct Synapses {
  std::vector<uint32_t> row;    // first synapse of each pre neuron, and their number
  std::vector<uint16_t> post;
};

struct Balance {
  int excitatory = 0, inhibitory = 0;
  Synapses ee, ei, ii, ie;
  std::vector<float> v;         // start: E, then I
};

struct BalanceResult {
  double seconds = 0;           // of CPU time, in the measured part
  int64_t spikes_e = 0, spikes_i = 0;
  double mean_w = 0;            // of the plastic synapses, in units of the leak
  double events = 0;            // synaptic events
};

/// `exponential`: voltages step as the compiled network's do, for a comparison of what is computed; else
/// by forward Euler, which is what people write by hand, and faster.
BalanceResult run_balance(const Balance& network, int64_t warm_steps, int64_t steps, bool exponential);

/// The same with everything known about it put to use; in reference_isp.cpp.
BalanceResult run_balance_tight(const Balance& network, int64_t warm_steps, int64_t steps, bool exponential = false);

/// That on one thread or two, which meet so often, at most every 8 steps; in reference_isp_shared.cpp. Seconds are by the
/// clock. The outcome is the same for any of them, but for the order in which the mean of the weights is summed.
BalanceResult run_balance_shared(const Balance& network, int threads, int64_t between_meetings, int64_t warm_steps, int64_t steps);

}  // namespace hebb::bench
