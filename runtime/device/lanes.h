#pragma once
// Columns of several runs of one program on a device: a block of memory for each run, the same places in each, and
// launches over some runs that follow each other. For who decides step by step where a column lies.

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "runtime/device/code.h"
#include "runtime/device/staging.h"

namespace hebb {

/// Runs [first, first + count).
struct LaneRange {
  int64_t first = 0, count = 0;
};

/// After a failure nothing more is done.
class DeviceLanes {
 public:
  /// `keys`: of the draws of each run. No sparse spaces.
  DeviceLanes(std::shared_ptr<const LoadedCode> code, Precision precision, std::vector<uint64_t> keys);
  DeviceLanes(const DeviceLanes&) = delete;
  DeviceLanes& operator=(const DeviceLanes&) = delete;
  ~DeviceLanes();

  /// A place of so many bytes in the block of every run, from its beginning.
  uint64_t reserve(uint64_t bytes);
  uint64_t reserved() const { return reserved_; }
  uint64_t bytes(ColumnId column) const { return device_bytes(code_->program.program, column, precision_); }
  /// Memory for what was reserved, all 0. Once.
  Status allocate();

  void bind(ColumnId column, uint64_t place) { places_[column.value] = place; }
  uint64_t place(ColumnId column) const { return places_[column.value]; }
  void write(int64_t lane, uint64_t place, const void* from, uint64_t bytes);
  /// Waits for all that was launched.
  void read(int64_t lane, uint64_t place, void* into, uint64_t bytes);
  /// Kernels of the loaded program, in order.
  void launch(std::span<const KernelId> kernels, LaneRange lanes, int64_t step);
  const std::string& failure() const { return failure_; }

 private:
  struct Prepared {
    struct Address {
      size_t parameter = 0;
      ColumnId column;
      uint64_t offset = 0;     // of an element
    };
    Grid grid;
    std::vector<uint64_t> values;
    std::vector<void*> pointers;
    std::vector<Address> columns;
    std::optional<size_t> run;   // the parameter that says step and keys
  };
  struct Draws {
    DeviceMemory memory;
    int64_t step = 0;
  };
  bool check(cuda::Code code, const char* what);
  void prepare(KernelId kernel);
  bool start(KernelId kernel, LaneRange lanes, int64_t step);
  std::optional<cuda::Pointer> draws_from(int64_t lane, int64_t step);

  std::shared_ptr<const LoadedCode> code_;
  const CudaDriver& driver_;
  Precision precision_;
  std::vector<uint64_t> keys_;
  cuda::Stream stream_ = nullptr;
  std::optional<Staging> staging_;
  uint64_t reserved_ = 0;
  DeviceMemory memory_;
  std::vector<uint64_t> places_;      // of columns
  std::vector<Prepared> prepared_;    // by kernel
  std::map<int64_t, Draws> draws_;    // by first run of a launch
  std::string failure_;
};

}  // namespace hebb
