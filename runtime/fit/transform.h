#pragma once
// Parameters that must stay inside an interval, as numbers that need not.

namespace hebb {

/// An open interval is reached through a transform: log for one finite end, logit for two. A closed one is
/// not: its parameter is moved back to the end.
struct Interval {
  double low, high;
  bool open;
};
bool transformed(const Interval& interval);
/// From a value inside to a free number, and back; the identity where nothing is transformed.
double to_free(const Interval& interval, double value);
double from_free(const Interval& interval, double free);
/// d(value)/d(free) at `free`.
double slope(const Interval& interval, double free);
/// The nearest value inside, of a closed interval; others stay.
double moved_inside(const Interval& interval, double value);

}  // namespace hebb
