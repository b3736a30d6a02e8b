#include "runtime/measure/weights.h"

#include <cmath>

namespace hebb {

void Samples::add(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) {
    sum += value;
    at_bounds_ += value == low_ || value == high_;
  }
  sum_ += sum;
  seen_ += static_cast<int64_t>(values.size());
  last_ = values.empty() ? 0 : sum / static_cast<double>(values.size());
  if (looks_++ == 0) first_ = last_;
}

double Samples::drift(double least) const {
  const double both = last_ + first_;
  return both == 0 || both <= least ? 0 : std::fabs(2 * (last_ - first_) / both);
}

double Samples::share_at_bounds() const {
  return seen_ == 0 ? 0 : static_cast<double>(at_bounds_) / static_cast<double>(seen_);
}

std::vector<int64_t> equally_spaced(int64_t size, int64_t count) {
  if (count <= 0 || count > size) count = size;
  std::vector<int64_t> out;
  for (int64_t k = 0; k < count; ++k)
    out.push_back(static_cast<int64_t>(static_cast<__int128>(k) * size / count));
  return out;
}

}  // namespace hebb
