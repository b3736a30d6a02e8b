// Measures of trains and weights whose value is known in closed form.

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/measure/fourier.h"
#include "runtime/measure/trains.h"
#include "runtime/measure/weights.h"
#include "runtime/random.h"

namespace hebb {
namespace {

TEST(Intervals, RegularTrainsHaveNoVariation) {
  Intervals all(2);
  for (int64_t k = 0; k < 10; ++k) all.spike(7 * k, 0);
  EXPECT_EQ(all.cv(), (std::vector<double>{0, 0}));
}

TEST(Intervals, TwoLengthsAlternating) {
  Intervals all(1);
  int64_t t = 0;
  for (int k = 0; k <= 10; ++k) all.spike(t, 0), t += k % 2 == 0 ? 10 : 30;
  // Ten intervals, five of 10 and five of 30: deviation 10, mean 20.
  EXPECT_NEAR(all.cv()[0], 0.5, 1e-15);
}

TEST(Intervals, TwoIntervalsAreTooFew) {
  Intervals all(1);
  for (const int64_t t : {0, 10, 40}) all.spike(t, 0);
  EXPECT_EQ(all.cv()[0], 0);
  all.spike(50, 0);  // 10, 30, 10: mean 50/3, variance 800/9
  EXPECT_NEAR(all.cv()[0], std::sqrt(800.0 / 9) / (50.0 / 3), 1e-15);
}

TEST(PooledIntervals, APoissonProcessDivergesLittleARegularOneMuch) {
  PooledIntervals poisson(1, 1), regular(1, 1);
  double t = 0;
  for (int64_t k = 0; k < 200'000; ++k) {
    t += -50 * std::log(draw_uniform<double>(1, 0, 0, static_cast<uint64_t>(k), 0));
    poisson.spike(std::llround(t), 0);
    regular.spike(50 * k, 0);
  }
  EXPECT_LT(poisson.divergence(), 0.005);
  // All in one bin, the one of 50 ms: -log of its share under the exponential.
  const double width = 1000.0 / 99, share = std::exp(-4 * width / 50) * -std::expm1(-width / 50);
  EXPECT_NEAR(regular.divergence(), -std::log(share), 1e-12);
  // What is longer than a second counts in the last bin.
  PooledIntervals slow(1, 1);
  for (int64_t k = 0; k < 5; ++k) slow.spike(3000 * k, 0);
  EXPECT_NEAR(slow.divergence(), 98 * width / 3000 - std::log(-std::expm1(-width / 3000)), 1e-12);
  EXPECT_EQ(PooledIntervals(1, 1).divergence(), 0);
}

TEST(BinnedCounts, ByHand) {
  // Two neurons, three bins of 10 steps: counts 3 1 2 and 1 1 2, and a bin that is not over.
  BinnedCounts all(2, 10);
  for (const int64_t t : {0, 1, 2}) all.spike(t, 0);
  all.spike(9, 1);
  all.spike(10, 0), all.spike(19, 1);
  for (const int64_t t : {20, 29}) all.spike(t, 0), all.spike(t, 1);
  all.spike(33, 0);
  all.end(35);
  // Bins: mean 2 variance 1 of four spikes; two spikes, too few; mean 2 variance 0.
  EXPECT_NEAR(all.spatial_fano(), (0.5 + 0 + 0) / 3, 1e-15);
  // Neurons: mean 2, variance 2/3; mean 4/3, variance 2/9.
  EXPECT_NEAR(all.temporal_fano(), ((2.0 / 3) / 2 + (2.0 / 9) / (4.0 / 3)) / 2, 1e-15);
}

TEST(BinnedCounts, ThreeSpikesAreTooFew) {
  BinnedCounts all(1, 10);
  for (const int64_t t : {0, 1, 25}) all.spike(t, 0);
  all.end(40);
  EXPECT_EQ(all.temporal_fano(), 0);
  EXPECT_EQ(all.spatial_fano(), 0);
}

TEST(BinnedCounts, NothingAtAll) {
  BinnedCounts none(3, 10), empty(0, 10);
  none.end(0);
  empty.end(100);
  EXPECT_EQ(none.spatial_fano(), 0);
  EXPECT_EQ(none.temporal_fano(), 0);
  EXPECT_EQ(empty.temporal_fano(), 0);
}

/// As it is defined: all bins kept, the sum over pairs.
double autocovariance_directly(const std::vector<double>& x, int64_t lags) {
  const double mean = mean_of(x);
  if (deviation_of(x) <= 0.05) return 1;
  const auto n = static_cast<int64_t>(x.size());
  std::vector<double> products;
  for (int64_t k = -lags; k <= lags; ++k) {
    if (std::abs(k) >= n) continue;
    double sum = 0;
    for (int64_t t = std::max<int64_t>(0, -k); t < std::min(n, n - k); ++t) sum += (x[t] - mean) * (x[t + k] - mean);
    products.push_back(std::fabs(sum));
  }
  double largest = 0;
  for (const double p : products) largest = std::max(largest, p);
  return mean_of(products) / largest;
}

TEST(LaggedCounts, EqualsTheDefinition) {
  for (const int64_t bins : {1, 2, 5, 30, 200}) {
    LaggedCounts all(2, 4, 20);
    std::vector<double> x(static_cast<size_t>(bins)), y(x);
    for (int64_t t = 0; t < bins * 4; ++t) {
      const bool one = draw_uniform<double>(5, 0, 0, static_cast<uint64_t>(t), 0) < 0.3;
      const bool two = t % 8 < 3;
      if (one) all.spike(t, 0), ++x[static_cast<size_t>(t / 4)];
      if (two) all.spike(t, 1), ++y[static_cast<size_t>(t / 4)];
    }
    all.end(bins * 4);
    const double expected = (autocovariance_directly(x, 20) + autocovariance_directly(y, 20)) / 2;
    EXPECT_NEAR(all.autocovariance(), expected, 1e-12) << bins;
  }
}

TEST(LaggedCounts, SilentNeuronsCountAsOne) {
  LaggedCounts all(2, 10, 5);
  all.end(1000);
  EXPECT_EQ(all.autocovariance(), 1);
}

TEST(Fourier, AnyLengthAgreesWithTheSum) {
  for (const size_t n : {1u, 2u, 3u, 7u, 64u, 99u, 100u}) {
    std::vector<double> x(n);
    for (size_t t = 0; t < n; ++t) x[t] = draw_uniform<double>(2, 0, 0, t, 0);
    const std::vector<double> found = fourier_magnitudes(x);
    for (size_t k = 0; k < n; ++k) {
      double re = 0, im = 0;
      for (size_t t = 0; t < n; ++t) {
        const double angle = 2 * M_PI * static_cast<double>(k * t % n) / static_cast<double>(n);
        re += x[t] * std::cos(angle), im -= x[t] * std::sin(angle);
      }
      EXPECT_NEAR(found[k], std::hypot(re, im), 1e-11) << n << ' ' << k;
    }
  }
  EXPECT_TRUE(fourier_magnitudes({}).empty());
}

TEST(PopulationCounts, AnOscillationHasOneLine) {
  // Every second bin all 4 neurons spike: p = 1, 0, 1, 0 …: the only line is at n/2, which does not count.
  PopulationCounts fast(4, 1), slow(4, 1);
  for (int64_t t = 0; t < 100; t += 2) fast.spikes(t, 4);
  fast.end(100);
  EXPECT_NEAR(fast.spectrum(), 0, 1e-12);
  EXPECT_NEAR(fast.deviation(), 0.5, 1e-15);
  // 1 1 0 0 …: 25 cycles of 4 bins, |F| at n/4 is 25 sqrt 2; nothing elsewhere below n/2.
  for (int64_t t = 0; t < 100; ++t)
    if (t % 4 < 2) slow.spikes(t, 4);
  slow.end(100);
  EXPECT_NEAR(slow.spectrum(), 2.0 / 100 * 25 * std::sqrt(2), 1e-12);
}

TEST(Samples, DriftAndShareAtBounds) {
  Samples all(0, 1);
  all.add(std::vector<double>{0, 0.5, 1, 0.3});
  all.add(std::vector<double>{0.2, 0.2, 1, 0.4});
  all.add(std::vector<double>{0.5, 0.7, 0.9, 0.9});
  EXPECT_NEAR(all.drift(0), 2 * (0.75 - 0.45) / (0.75 + 0.45), 1e-15);
  EXPECT_EQ(all.drift(2), 0);
  EXPECT_EQ(all.share_at_bounds(), 3.0 / 12);
  EXPECT_EQ(Samples(0, 1).drift(0), 0);
  EXPECT_EQ(Samples(0, 1).share_at_bounds(), 0);
}

TEST(Samples, EquallySpaced) {
  EXPECT_EQ(equally_spaced(10, 4), (std::vector<int64_t>{0, 2, 5, 7}));
  EXPECT_EQ(equally_spaced(2, 5), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(equally_spaced(0, 5), (std::vector<int64_t>{}));
}

}  // namespace
}  // namespace hebb
