#include "runtime/measure/trains.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/measure/fourier.h"

namespace hebb {

namespace {

constexpr int64_t kFewSpikes = 3;       // of a Fano factor: with as many or fewer it is 0
constexpr int64_t kPooledBins = 99;     // of intervals from 0 to a second
constexpr double kPooledRange_ms = 1000;

}  // namespace

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return values.empty() ? 0 : std::sqrt(squares / static_cast<double>(values.size()));
}

Intervals::Intervals(int64_t neurons)
    : last_(static_cast<size_t>(neurons), -1), count_(last_.size()), mean_(last_.size()), squares_(last_.size()) {}

void Intervals::spike(int64_t step, uint32_t neuron) {
  const int64_t before = std::exchange(last_[neuron], step);
  if (before < 0) return;
  const auto interval = static_cast<double>(step - before);
  const double off = interval - mean_[neuron];
  mean_[neuron] += off / static_cast<double>(++count_[neuron]);
  squares_[neuron] += off * (interval - mean_[neuron]);
}

std::vector<double> Intervals::cv() const {
  constexpr int64_t kFew = 2;
  std::vector<double> out(last_.size());
  for (size_t i = 0; i < out.size(); ++i)
    if (count_[i] > kFew) out[i] = std::sqrt(squares_[i] / static_cast<double>(count_[i])) / mean_[i];
  return out;
}

PooledIntervals::PooledIntervals(int64_t neurons, double step_ms)
    : last_(static_cast<size_t>(neurons), -1), histogram_(kPooledBins), step_ms_(step_ms) {}

void PooledIntervals::spike(int64_t step, uint32_t neuron) {
  const int64_t before = std::exchange(last_[neuron], step);
  if (before < 0) return;
  const double interval = static_cast<double>(step - before) * step_ms_;
  sum_ms_ += interval;
  ++count_;
  const auto bin = static_cast<int64_t>(std::min(interval, kPooledRange_ms) / kPooledRange_ms * kPooledBins);
  ++histogram_[static_cast<size_t>(std::min(bin, kPooledBins - 1))];
}

double PooledIntervals::divergence() const {
  if (count_ == 0) return 0;
  // The last bin of the intervals has all longer ones too, that of the exponential has not.
  const double mean = sum_ms_ / static_cast<double>(count_);
  const double width = kPooledRange_ms / kPooledBins;
  double sum = 0;
  for (int64_t k = 0; k < kPooledBins; ++k) {
    if (histogram_[static_cast<size_t>(k)] == 0) continue;
    const double p = static_cast<double>(histogram_[static_cast<size_t>(k)]) / static_cast<double>(count_);
    const double q = std::exp(-static_cast<double>(k) * width / mean) * -std::expm1(-width / mean);
    sum += p * std::log(p / q);
  }
  return sum;
}

BinnedCounts::BinnedCounts(int64_t neurons, int64_t bin_steps)
    : now_(static_cast<size_t>(neurons)), sum_(now_.size()), squares_(now_.size()), bin_steps_(bin_steps) {}

void BinnedCounts::advance(int64_t bin) {
  for (; bins_ < bin; ++bins_) {
    int64_t sum = 0, squares = 0;
    for (size_t i = 0; i < now_.size(); ++i) {
      const int64_t n = std::exchange(now_[i], 0);
      if (n == 0) continue;
      sum += n;
      squares += n * n;
      sum_[i] += n;
      squares_[i] += n * n;
    }
    if (sum <= kFewSpikes) continue;
    const double size = static_cast<double>(now_.size()), mean = static_cast<double>(sum) / size;
    spatial_ += (static_cast<double>(squares) / size - mean * mean) / mean;
  }
}

void BinnedCounts::spike(int64_t step, uint32_t neuron) {
  advance(step / bin_steps_);
  ++now_[neuron];
}

void BinnedCounts::end(int64_t steps) {
  advance(steps / bin_steps_);
  std::fill(now_.begin(), now_.end(), 0);
}

double BinnedCounts::spatial_fano() const { return bins_ == 0 ? 0 : spatial_ / static_cast<double>(bins_); }

double BinnedCounts::temporal_fano() const {
  double sum = 0;
  for (size_t i = 0; i < sum_.size(); ++i) {
    if (sum_[i] <= kFewSpikes) continue;
    const double mean = static_cast<double>(sum_[i]) / static_cast<double>(bins_);
    sum += (static_cast<double>(squares_[i]) / static_cast<double>(bins_) - mean * mean) / mean;
  }
  return sum_.empty() ? 0 : sum / static_cast<double>(sum_.size());
}

LaggedCounts::LaggedCounts(int64_t neurons, int64_t bin_steps, int64_t lags)
    : now_(static_cast<size_t>(neurons)), ring_(now_.size() * static_cast<size_t>(lags)), first_(ring_.size()),
      sum_(now_.size()), products_(now_.size() * static_cast<size_t>(lags + 1)), bin_steps_(bin_steps), lags_(lags) {}

void LaggedCounts::advance(int64_t bin) {
  for (; bins_ < bin; ++bins_) {
    for (size_t i = 0; i < now_.size(); ++i) {
      const int64_t n = std::exchange(now_[i], 0);
      int64_t* ring = ring_.data() + static_cast<int64_t>(i) * lags_;
      if (n != 0) {
        int64_t* products = products_.data() + static_cast<int64_t>(i) * (lags_ + 1);
        products[0] += n * n;
        for (int64_t k = 1; k <= std::min(lags_, bins_); ++k) products[k] += n * ring[(bins_ - k) % lags_];
        sum_[i] += n;
      }
      ring[bins_ % lags_] = n;
      if (bins_ < lags_) first_[i * static_cast<size_t>(lags_) + static_cast<size_t>(bins_)] = n;
    }
  }
}

void LaggedCounts::spike(int64_t step, uint32_t neuron) {
  advance(step / bin_steps_);
  ++now_[neuron];
}

void LaggedCounts::end(int64_t steps) {
  advance(steps / bin_steps_);
  std::fill(now_.begin(), now_.end(), 0);
}

double LaggedCounts::autocovariance() const {
  constexpr double kHardly = 0.05;
  const auto bins = static_cast<double>(bins_);
  double all = 0;
  for (size_t i = 0; i < sum_.size(); ++i) {
    const int64_t* products = products_.data() + i * static_cast<size_t>(lags_ + 1);
    const int64_t* ring = ring_.data() + i * static_cast<size_t>(lags_);
    const int64_t* first = first_.data() + i * static_cast<size_t>(lags_);
    const auto total = static_cast<double>(sum_[i]);
    const double mean = bins_ == 0 ? 0 : total / bins;
    const double largest = static_cast<double>(products[0]) - total * mean;  // at lag 0, by Cauchy and Schwarz
    if (bins_ == 0 || !(std::sqrt(largest / bins) > kHardly)) {
      all += 1;
      continue;
    }
    double sum = 1;
    int64_t lags = 0;
    double head = 0, tail = 0;  // of the first and the last k bins
    for (int64_t k = 1; k <= lags_ && k < bins_; ++k, ++lags) {
      head += static_cast<double>(first[k - 1]);
      tail += static_cast<double>(ring[(bins_ - k) % lags_]);
      const double here = static_cast<double>(products[k]) - mean * (total - tail) - mean * (total - head) +
                          (bins - static_cast<double>(k)) * mean * mean;
      sum += 2 * std::fabs(here) / largest;
    }
    all += sum / static_cast<double>(2 * lags + 1);
  }
  return sum_.empty() ? 0 : all / static_cast<double>(sum_.size());
}

void PopulationCounts::spikes(int64_t step, int64_t count) {
  const auto bin = static_cast<size_t>(step / bin_steps_);
  if (counts_.size() <= bin) counts_.resize(bin + 1);
  counts_[bin] += count;
}

void PopulationCounts::end(int64_t steps) { counts_.resize(static_cast<size_t>(steps / bin_steps_)); }

double PopulationCounts::deviation() const {
  std::vector<double> p;
  for (const int64_t n : counts_) p.push_back(static_cast<double>(n) / static_cast<double>(neurons_));
  return deviation_of(p);
}

double PopulationCounts::spectrum() const {
  std::vector<double> p;
  for (const int64_t n : counts_) p.push_back(static_cast<double>(n) / static_cast<double>(neurons_));
  const std::vector<double> magnitude = fourier_magnitudes(p);
  double sum = 0;
  for (size_t k = 1; 2 * k < p.size(); ++k) sum += magnitude[k];
  return p.empty() ? 0 : 2 * sum / static_cast<double>(p.size());
}

}  // namespace hebb
