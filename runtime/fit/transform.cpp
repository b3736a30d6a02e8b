#include "runtime/fit/transform.h"

#include <cmath>

namespace hebb {

namespace {

bool both(const Interval& i) { return std::isfinite(i.low) && std::isfinite(i.high); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

bool transformed(const Interval& i) { return i.open && (std::isfinite(i.low) || std::isfinite(i.high)); }

double to_free(const Interval& i, double value) {
  if (!transformed(i)) return value;
  if (both(i)) return std::log((value - i.low) / (i.high - value));
  return std::isfinite(i.low) ? std::log(value - i.low) : -std::log(i.high - value);
}

double from_free(const Interval& i, double free) {
  if (!transformed(i)) return free;
  if (both(i)) return i.low + (i.high - i.low) * sigmoid(free);
  return std::isfinite(i.low) ? i.low + std::exp(free) : i.high - std::exp(-free);
}

double slope(const Interval& i, double free) {
  if (!transformed(i)) return 1;
  if (both(i)) return (i.high - i.low) * sigmoid(free) * sigmoid(-free);
  return std::isfinite(i.low) ? std::exp(free) : std::exp(-free);
}

double moved_inside(const Interval& i, double value) {
  if (i.open) return value;
  if (value < i.low) return i.low;
  return value > i.high ? i.high : value;
}

}  // namespace hebb
