#pragma once
// Numbers that a run leaves behind, computed while it goes on: nothing is kept but what they need.

#include <string>
#include <variant>
#include <vector>

#include "compiler/support/result.h"
#include "runtime/measure/trains.h"
#include "runtime/measure/weights.h"
#include "runtime/observer.h"

namespace hebb {

enum class MeasureKind {
  MeanRate, StdRateSpatial, StdRateTemporal, CvIsi, StdCv, KlIsi, FanoSpatial, FanoTemporal,
  Autocovariance, Spectrum,         // of events
  Drift, ShareAtBounds, MeanValue,  // of values
};
bool measures_events(MeasureKind kind);

struct MeasureSpec {
  MeasureKind kind = MeasureKind::MeanRate;
  ColumnId column;
  int64_t from = 0, to = 0;       // steps of the run: [from, to)
  double dt_ms = 1;
  int64_t bin_steps = 1;          // of what counts in bins
  int64_t lags = 50;              // Autocovariance: to both sides, in bins
  int64_t neurons = 0;            // the first ones; 0: all
  int64_t every_steps = 1;        // of values: at from, from + every, … up to and including `to`
  int64_t samples = 0;            // of values: as many at equal distances; 0: all
  double low = 0, high = 0;       // ShareAtBounds
  double least = 0;               // Drift
};

/// All measures of one run.
class Measures : public Observer {
 public:
  Measures(std::vector<MeasureSpec> specs, const Program& program, const Columns& columns);
  void step_begins(int64_t step, const StateView& now) override;
  void step_ends(int64_t step, const StateView& now) override;
  void finish(int64_t steps, const StateView& now) override;
  void save(ByteWriter& into) const override;
  bool load(ByteReader& from) override;

  /// After `finish`. Rates are in 1/ms.
  double value(size_t measure) const;

 private:
  using Gathered = std::variant<Counts, Intervals, PooledIntervals, BinnedCounts, LaggedCounts, PopulationCounts, Samples>;
  struct One {
    MeasureSpec what;
    Gathered gathered;
    std::vector<int64_t> places;   // of values: which are looked at
  };
  struct EventColumn {
    ColumnId column;
    bool at_begin = false;         // an indicator: gone when the step ends
  };
  void look_at_events(bool begin, int64_t step, const StateView& now);
  void add_events(One& one, int64_t step, std::span<const uint32_t> rows);
  void look_at_values(int64_t step, const StateView& now);
  std::vector<One> all_;
  std::vector<EventColumn> event_columns_;
  std::vector<uint32_t> rows_;
  std::vector<double> buffer_;
};

}  // namespace hebb
