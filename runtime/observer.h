#pragma once
// Looks on while a simulation runs.

#include <cstdint>
#include <optional>
#include <span>

#include "compiler/support/bytes.h"
#include "runtime/columns.h"

namespace hebb {

class PlanRunner;

/// The columns between two steps, as others than kernels may read them.
class StateView {
 public:
  /// `runner`: who has just done a step, and still knows who spiked in it; null: nobody.
  explicit StateView(const Columns& columns, const PlanRunner* runner = nullptr) : columns_(columns), runner_(runner) {}
  /// Which rows have an event, ascending, into as many places as there are rows; returns how many.
  int64_t events(ColumnId column, uint32_t* into) const;
  /// Of a column that holds 1 in the rows of a list and else 0: that list, where it is at hand.
  std::optional<std::span<const uint32_t>> spikes(ColumnId column) const;
  /// Everything, weights included.
  const Columns& values() const { return columns_; }

 private:
  const Columns& columns_;
  const PlanRunner* runner_;
};

/// Told of every time of the grid once, in order, whatever the number of threads. A run that stops early
/// ends at the last time it reached.
class Observer {
 public:
  virtual ~Observer() = default;
  /// At the beginning of step `step` of the run: what the state is at that time, what is fed.
  virtual void step_begins(int64_t step, const StateView& now) = 0;
  /// At its end: which neurons had an event at its beginning, and the state of the next time.
  virtual void step_ends(int64_t step, const StateView& now) = 0;
  /// Asked after each step: whether the run ends here.
  virtual bool stop() const { return false; }
  /// After the last step. Events of that time belong to the next run.
  virtual void finish(int64_t steps, const StateView& now) = 0;
  /// What it has gathered, for a checkpoint; `load` says whether the bytes fit.
  virtual void save(ByteWriter& into) const = 0;
  virtual bool load(ByteReader& from) = 0;
};

}  // namespace hebb
