#pragma once
// Time as whole steps since the last change of dt, so that it does not drift, and the clocks
// `every T`, which fire at T, 2T, …

#include <cstdint>
#include <vector>

#include "runtime/columns.h"

namespace hebb {

struct StepTime {
  int64_t step = 0;        // of all steps done
  double base_ms = 0;      // when dt was last changed
  int64_t since_base = 0;  // steps
  double dt_ms = 0;
  double time_ms() const { return base_ms + static_cast<double>(since_base) * dt_ms; }
  void advance(double dt);
};

struct Ticker {
  double period_ms = 0;
  int64_t next = 1;        // fires next at next * period
};

/// Whether the ticker fires at `time_ms`, give or take `tolerance_ms`; moves it on when it does.
bool fires(Ticker& ticker, double time_ms, double tolerance_ms);
/// Gives the ticker a new period: it fires next at the first multiple that is not past.
void set_period(Ticker& ticker, double period_ms, double time_ms, double tolerance_ms);

/// The period in a uniform column as it was meant: in Float32 "0.1" reads back as 0.1, not as
/// 0.10000000149, which would be a whole step off after some 10^8 periods.
double meant_value(const Columns& columns, ColumnId id);
/// Of a column with several.
std::vector<double> meant_values(const Columns& columns, ColumnId id);

}  // namespace hebb
