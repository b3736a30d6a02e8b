#pragma once
// Looks on while a simulation runs.

#include <cstdint>

#include "compiler/support/bytes.h"
#include "runtime/columns.h"

namespace hebb {

class PlanRunner;

/// The columns between two steps, as others than kernels may read them.
class StateView {
 public:
  explicit StateView(const Columns& columns) : columns_(columns) {}
  /// Which rows have an event.
  const Columns& events() const { return columns_; }
  /// Everything, weights included.
  const Columns& values() const { return columns_; }

 private:
  const Columns& columns_;
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
