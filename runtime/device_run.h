#pragma once
// What a simulation sees of a device that holds its columns and runs its kernels. Columns are copied when
// somebody asks: to the device before a launch that touches what the host wrote, to the host before it reads what the
// device wrote.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/program/program.h"
#include "compiler/support/result.h"

namespace hebb {

class Columns;

/// The columns of one simulation on a device. After a failure nothing more is done; values on the host
/// are then those of the last copy.
class DeviceRun {
 public:
  virtual ~DeviceRun() = default;

  // For Columns.
  virtual void host_reads(ColumnId column) = 0;    // before it does
  virtual void host_wrote(ColumnId column) = 0;    // after it did
  virtual void host_filled(ColumnId column, double value) = 0;

  // For who runs a plan.
  enum class List { Init, Begin, Quiet, Eventful };
  virtual void run(List list, int64_t step) = 0;
  /// Empty while all is well.
  virtual const std::string& failure() const = 0;
};

/// Simulations of one program whose columns lie side by side on a device: kernels run for all of them, or some that follow
/// each other, at once.
class DeviceBatch {
 public:
  virtual ~DeviceBatch() = default;
  /// Runs [first, first + count).
  virtual void run(DeviceRun::List list, int64_t first, int64_t count, int64_t step) = 0;
  /// Of each simulation, once.
  virtual std::unique_ptr<DeviceRun> of(int64_t lane) = 0;
};

/// A program's kernels, loaded on a device.
class DeviceCode {
 public:
  virtual ~DeviceCode() = default;
  /// Bytes that so many simulations together may take there at most.
  virtual uint64_t free_memory() const = 0;
  /// Bytes that one simulation with these columns takes, besides synapses.
  virtual uint64_t bytes(const Columns& columns) const = 0;
  /// `columns` must stay where they are while their runs are there. `keys`: of the draws of each. The synapses of all are those of the first.
  virtual Result<std::shared_ptr<DeviceBatch>> start(std::vector<Columns*> columns, std::vector<uint64_t> keys) const = 0;
};

}  // namespace hebb
