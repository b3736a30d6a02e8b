#pragma once
// Statistics of weights (or of any other values) that are looked at every now and then.

#include <cstdint>
#include <span>
#include <vector>

namespace hebb {

class Samples {
 public:
  Samples() = default;
  Samples(double low, double high) : low_(low), high_(high) {}
  void add(std::span<const double> values);
  /// Change of the mean from the first look to the last, over the mean of the two: |2(b - a)/(b + a)|; 0
  /// when a + b is not above `least`.
  double drift(double least) const;
  /// The share of all values that are exactly at a bound.
  double share_at_bounds() const;
  double mean() const { return seen_ == 0 ? 0 : sum_ / static_cast<double>(seen_); }
  template <class V> static void fields(V& v, auto& self) {
    v(self.low_), v(self.high_), v(self.first_), v(self.last_), v(self.sum_);
    v(self.looks_), v(self.seen_), v(self.at_bounds_);
  }

 private:
  double low_ = 0, high_ = 0;
  double first_ = 0, last_ = 0;  // means
  double sum_ = 0;
  int64_t looks_ = 0, seen_ = 0, at_bounds_ = 0;
};

/// `count` of `size` things at equal distances, the first one first; all of them when there are fewer.
std::vector<int64_t> equally_spaced(int64_t size, int64_t count);

}  // namespace hebb
