#pragma once
// What a simulation sees of a device that holds its columns and runs its kernels. Columns are copied when
// somebody asks: to the device before a launch that touches what the host wrote, to the host before it reads what the
// device wrote.

#include <cstdint>
#include <memory>
#include <string>

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
  /// One kernel of the program; sums are reset by the host.
  virtual void launch(KernelId kernel, int64_t step) = 0;
  /// Empty while all is well.
  virtual const std::string& failure() const = 0;
};

/// A program's kernels, loaded on a device.
class DeviceCode {
 public:
  virtual ~DeviceCode() = default;
  /// `columns` must stay where it is, and outlive what is returned.
  virtual Result<std::unique_ptr<DeviceRun>> start(Columns& columns, uint64_t key) const = 0;
};

}  // namespace hebb
