#include "runtime/clock.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace hebb {

void StepTime::advance(double dt) {
  if (dt != dt_ms) {
    base_ms = time_ms();
    since_base = 0;
    dt_ms = dt;
  }
  ++since_base;
  ++step;
}

bool fires(Ticker& ticker, double time_ms, double tolerance_ms) {
  const double reached = time_ms + tolerance_ms;
  if (!(static_cast<double>(ticker.next) * ticker.period_ms <= reached)) return false;
  // A period below the step passes several multiples at once: they are one event.
  ticker.next = std::max(ticker.next + 1, static_cast<int64_t>(std::floor(reached / ticker.period_ms)));
  while (static_cast<double>(ticker.next) * ticker.period_ms <= reached) ++ticker.next;
  return true;
}

void set_period(Ticker& ticker, double period_ms, double time_ms, double tolerance_ms) {
  ticker.period_ms = period_ms;
  const double first = std::ceil((time_ms - tolerance_ms) / period_ms);
  ticker.next = std::max<int64_t>(1, static_cast<int64_t>(first));
}

namespace {

double meant(float stored) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, stored).ptr;
  double value = stored;
  std::from_chars(text, end, value);
  return value;
}

}  // namespace

double meant_value(const Columns& columns, ColumnId id) {
  if (columns.precision() == Precision::Float64) return *static_cast<const double*>(columns.base(id));
  return meant(*static_cast<const float*>(columns.base(id)));
}

std::vector<double> meant_values(const Columns& columns, ColumnId id) {
  std::vector<double> out(static_cast<size_t>(columns.layout(id).size()));
  columns.read(id, out);
  if (columns.precision() == Precision::Float32)
    for (double& value : out) value = meant(static_cast<float>(value));
  return out;
}

}  // namespace hebb
