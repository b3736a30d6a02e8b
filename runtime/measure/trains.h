#pragma once
// Statistics of spike trains, gathered spike by spike: memory grows with the number of neurons (of
// PopulationCounts: of bins), never with the number of spikes. Times are whole steps from the beginning
// of the window; spikes come in order of time. Variances are those of a population (no n - 1). The
// definitions are those of docs/spiking.md.

#include <cstdint>
#include <span>
#include <vector>

namespace hebb {

/// Intervals between the spikes of each neuron.
class Intervals {
 public:
  explicit Intervals(int64_t neurons = 0);
  void spike(int64_t step, uint32_t neuron);
  /// Of each neuron: deviation over mean of its intervals; 0 with two or fewer.
  std::vector<double> cv() const;
  template <class V> static void fields(V& v, auto& self) {
    v(self.last_), v(self.count_), v(self.mean_), v(self.squares_);
  }

 private:
  std::vector<int64_t> last_, count_;
  std::vector<double> mean_, squares_;  // running, after Welford (1962)
};

/// All intervals of a population: the divergence of their histogram from that of a Poisson process of the
/// same mean.
class PooledIntervals {
 public:
  PooledIntervals(int64_t neurons, double step_ms);
  PooledIntervals() = default;
  void spike(int64_t step, uint32_t neuron);
  double divergence() const;
  template <class V> static void fields(V& v, auto& self) {
    v(self.last_), v(self.histogram_), v(self.sum_ms_), v(self.count_), v(self.step_ms_);
  }

 private:
  std::vector<int64_t> last_, histogram_;
  double sum_ms_ = 0;
  int64_t count_ = 0;
  double step_ms_ = 1;
};

/// Spikes of each neuron.
class Counts {
 public:
  explicit Counts(int64_t neurons = 0) : counts_(static_cast<size_t>(neurons)) {}
  void spike(uint32_t neuron) { ++counts_[neuron]; }
  const std::vector<int64_t>& counts() const { return counts_; }
  template <class V> static void fields(V& v, auto& self) { v(self.counts_); }

 private:
  std::vector<int64_t> counts_;
};

/// Spikes of each neuron in bins of equal length, of which only the sums are kept. A bin that is not over
/// when the window ends does not count.
class BinnedCounts {
 public:
  BinnedCounts() = default;
  BinnedCounts(int64_t neurons, int64_t bin_steps);
  void spike(int64_t step, uint32_t neuron);
  void end(int64_t steps);             // of the window
  double spatial_fano() const;         // variance over mean across neurons, of each bin; mean of these
  double temporal_fano() const;        // variance over mean across bins, of each neuron; mean of these
  template <class V> static void fields(V& v, auto& self) {
    v(self.now_), v(self.sum_), v(self.squares_), v(self.bin_steps_), v(self.bins_), v(self.spatial_);
  }

 private:
  void advance(int64_t bin);           // closes all bins before it
  std::vector<int64_t> now_, sum_, squares_;
  int64_t bin_steps_ = 1, bins_ = 0;
  double spatial_ = 0;
};

/// Products of the counts of each neuron in bins `0 … lags` apart.
class LaggedCounts {
 public:
  LaggedCounts() = default;
  LaggedCounts(int64_t neurons, int64_t bin_steps, int64_t lags);
  void spike(int64_t step, uint32_t neuron);
  void end(int64_t steps);
  /// The mean over neurons of the mean over lags, both signs, of |autocovariance| / its largest; 1 for a
  /// neuron whose count hardly changes (deviation up to 0.05).
  double autocovariance() const;
  template <class V> static void fields(V& v, auto& self) {
    v(self.now_), v(self.ring_), v(self.first_), v(self.sum_), v(self.products_);
    v(self.bin_steps_), v(self.lags_), v(self.bins_);
  }

 private:
  void advance(int64_t bin);
  std::vector<int64_t> now_;
  std::vector<int64_t> ring_;          // [neuron][lags]: the last bins, bin b at b % lags
  std::vector<int64_t> first_;         // [neuron][lags]: the first ones
  std::vector<int64_t> sum_;
  std::vector<int64_t> products_;      // [neuron][0 … lags]
  int64_t bin_steps_ = 1, lags_ = 1, bins_ = 0;
};

/// Spikes of all neurons together in bins.
class PopulationCounts {
 public:
  PopulationCounts() = default;
  PopulationCounts(int64_t neurons, int64_t bin_steps) : neurons_(neurons), bin_steps_(bin_steps) {}
  void spikes(int64_t step, int64_t count);
  void end(int64_t steps);
  double deviation() const;            // over time, of the mean count of a neuron
  /// Of the mean count p of a neuron: the sum over 1 <= k < n/2 of (2/n) |Fourier transform of p at k|.
  double spectrum() const;
  template <class V> static void fields(V& v, auto& self) {
    v(self.counts_), v(self.neurons_), v(self.bin_steps_);
  }

 private:
  std::vector<int64_t> counts_;
  int64_t neurons_ = 0, bin_steps_ = 1;
};

double mean_of(std::span<const double> values);
double deviation_of(std::span<const double> values);

}  // namespace hebb
