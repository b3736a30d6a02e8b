#pragma once
// What a DeviceTrajectory is made of; for the files beside it alone.

#include <functional>
#include <optional>

#include "runtime/columns.h"
#include "runtime/device/gradient/trajectory.h"
#include "runtime/device/lanes.h"
#include "runtime/trajectory/core.h"

namespace hebb {

/// Columns that move together: equal slots, one after another, each column at a fixed place of every slot.
struct DeviceSlots {
  std::vector<uint64_t> places;
  uint64_t slot_bytes = 0, begin = 0;
  DeviceSlots() = default;
  DeviceSlots(const std::vector<ColumnId>& ids, const std::function<uint64_t(ColumnId)>& bytes) {
    for (const ColumnId id : ids) {
      places.push_back(slot_bytes);
      slot_bytes += on_device(bytes(id));
    }
  }
  uint64_t slot(int64_t index) const { return begin + static_cast<uint64_t>(index) * slot_bytes; }
};

/// One row for each step, or for each sample.
struct RowArray {
  ColumnId column, ahead;
  uint64_t begin = 0, stride = 0;
  int64_t count = 0;
  bool constant = false;
  uint64_t row(int64_t index) const { return begin + (constant ? 0 : static_cast<uint64_t>(index) * stride); }
  uint64_t bytes() const { return stride * static_cast<uint64_t>(constant ? 1 : count); }
};

constexpr uint64_t kNowhere = UINT64_MAX;   // of columns that no kernel touches

/// Of one run, before anything has a place.
struct Needs {
  uint64_t fixed = 0;        // columns, and rows of what is fed, recorded and owed
  uint64_t state = 0, step = 0;
};

struct DeviceTrajectory::State {
  Setup setup;
  const Program* program = nullptr;              // with the columns that scans got
  std::optional<Columns> layouts;                // of one run: numbers as the device holds them
  std::unique_ptr<DeviceLanes> lanes;
  DeviceSlots states, saved, small;
  Segments segments;
  std::vector<RowArray> feeds, clocks;
  std::vector<RowArray> recorded, owed, fed;
  std::vector<std::vector<bool>> fires;          // by run: eventful steps
  struct Pieces { std::vector<KernelId> forward, reverse; } quiet, eventful, init, once, begin;
  std::vector<KernelId> begin_step, begin_init, zero_step, zero_begin, zero_all;
  std::vector<std::vector<KernelId>> records, owes, records_fed;
  LaneRange active;
  /// The way forward or back of the same runs, once it was gone: the driver is told once what to launch.
  struct Pass {
    std::vector<int64_t> key;
    int64_t launches = 0;
    DeviceLanes::Recorded graph;
  };
  std::vector<Pass> passes;
  int64_t fires_changed = 0;
  void run_pass(int64_t direction, const std::function<void()>& work);
  void go_forward();
  void go_back(int64_t last);
  ~State() {
    for (Pass& pass : passes) lanes->forget(pass.graph);
  }
  int64_t ring_begin = -1;
  std::vector<int64_t> last_owed;                // by run
  std::vector<double> periods;                   // of clocks, by run and clock

  const DeviceAdjoint& a() const { return *setup.adjoint; }
  int64_t runs() const { return static_cast<int64_t>(setup.keys.size()); }
  uint64_t bytes(ColumnId id) const { return lanes->bytes(id); }
  std::vector<bool> own_places() const;
  Needs needs() const;
  Status lay_out();
  void find_pieces();
  Status write_feeds();
  void write_rows(const RowArray& rows, int64_t lane, const std::function<std::span<const double>(int64_t)>& values);
  void write_column(ColumnId id, int64_t lane, std::span<const double> values);
  std::vector<double> read_column(ColumnId id, int64_t lane, uint64_t place);
  /// Numbers of all rows, one after another, as a run's memory holds them.
  std::vector<double> numbers(const RowArray& rows, std::span<const std::byte> bytes);
  void find_clocks();
  void bind(uint64_t state, uint64_t next, int64_t small_slot, int64_t step);
  uint64_t place(int64_t slot) const {
    return slot == 0 ? saved.slot(std::max<int64_t>(ring_begin, 0) / segments.steps) : states.slot(slot - 1);
  }
  void bind_step(int64_t step) {
    const int64_t slot = step - std::max<int64_t>(ring_begin, 0);
    bind(place(slot), place(slot + 1), slot, step);
  }
  void bind_beginning() {
    if (ring_begin != 0) ring_begin = -1;
    bind(saved.slot(0), states.slot(0), 0, 0);
  }
  void launch(const std::vector<KernelId>& kernels, int64_t step) { lanes->launch(kernels, active, step); }
  void launch_step(int64_t step, bool forward);
  void compute_step(int64_t step) {
    launch(begin_step, step);
    launch_step(step, true);
  }
  void load_segment(int64_t begin);
  void swap_adjoints();
  void begin_lanes(int64_t step);
};

}  // namespace hebb
