#pragma once
// Columns of several runs of one program on a device: a block of memory for each run, the same places in each, and
// launches over some runs that follow each other. For who decides step by step where a column lies.

#include <functional>
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

/// Where the arrays of a sparse space lie, which all runs share; 0: not there.
struct DeviceSynapses {
  cuda::Pointer row_begin = 0, post_index = 0, column_begin = 0, synapse = 0, pre_index = 0;
};

/// After a failure nothing more is done.
class DeviceLanes {
 public:
  static constexpr int64_t kMostLanes = 65535;   // of one launch: blocks along z
  /// `keys`: of the draws of each run; `bytes`: of each column. First of all `open`.
  DeviceLanes(std::shared_ptr<const LoadedCode> code, std::vector<uint64_t> bytes, Precision precision, std::vector<uint64_t> keys);
  DeviceLanes(const DeviceLanes&) = delete;
  DeviceLanes& operator=(const DeviceLanes&) = delete;
  ~DeviceLanes();

  /// A place of so many bytes in the block of every run, from its beginning.
  uint64_t reserve(uint64_t bytes);
  uint64_t reserved() const { return reserved_; }
  uint64_t bytes(ColumnId column) const { return bytes_[column.value]; }
  Status open();
  /// A copy of an array that all runs share.
  Result<cuda::Pointer> keep(const void* from, uint64_t bytes);
  void set_synapses(SpaceId space, const DeviceSynapses& at) { synapses_[space.value] = at; }
  /// Memory for what was reserved. Once.
  Status allocate();
  Status zero();
  Status wait();

  void bind(ColumnId column, uint64_t place) { places_[column.value] = place; }
  uint64_t place(ColumnId column) const { return places_[column.value]; }
  void write(int64_t lane, uint64_t place, const void* from, uint64_t bytes);
  /// Waits for all that was launched.
  void read(int64_t lane, uint64_t place, void* into, uint64_t bytes);
  /// The same place of several runs: one wait for all of them.
  void read(std::span<const int64_t> lanes, uint64_t place, std::span<void* const> into, uint64_t bytes);
  void fill(int64_t lane, uint64_t place, uint32_t word, uint64_t bytes);
  /// Kernels of the loaded program, in order.
  void launch(std::span<const KernelId> kernels, LaneRange lanes, int64_t step);
  /// Launches as one call of the driver: they are recorded once, with the places that columns have then.
  struct Recorded {
    cuda::GraphExec ready = nullptr;
  };
  void launch_recorded(std::span<const KernelId> kernels, LaneRange lanes, int64_t step, Recorded& graph);
  /// All that `work` launches, of runs from `first` on and steps below `steps`. What it binds is bound anew each time; it must not write or read.
  void run_recorded(int64_t first, int64_t steps, Recorded& graph, const std::function<void()>& work);
  /// The same without recording; how many launches that were.
  int64_t count_launches(const std::function<void()>& work);
  void forget(Recorded& graph);
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
  /// The same for every step, as recorded launches need it.
  struct AllDraws {
    DeviceMemory memory;
    int64_t steps = 0;
    uint64_t row = 0;          // bytes of a step
  };
  enum class Mode { Launch, Record, Skip };
  Status keep_all_draws(int64_t first, int64_t steps);
  bool any_draws() const;
  bool check(cuda::Code code, const char* what);
  void prepare(KernelId kernel);
  bool start(KernelId kernel, LaneRange lanes, int64_t step);
  bool record(const std::function<bool()>& launches, Recorded& graph);
  cuda::Pointer at(int64_t lane, uint64_t place) const { return memory_.at() + static_cast<uint64_t>(lane) * reserved_ + place; }
  std::optional<cuda::Pointer> draws_from(int64_t lane, int64_t step);

  std::shared_ptr<const LoadedCode> code_;
  const CudaDriver& driver_;
  Precision precision_;
  std::vector<uint64_t> bytes_;       // of columns
  std::vector<uint64_t> keys_;
  cuda::Stream stream_ = nullptr;
  std::optional<Staging> staging_;
  void* landing_ = nullptr;           // host memory that a device writes to while the host goes on
  uint64_t reserved_ = 0;
  DeviceMemory memory_;
  std::vector<DeviceMemory> kept_;
  std::vector<DeviceSynapses> synapses_;   // by space
  std::vector<uint64_t> places_;      // of columns
  std::vector<Prepared> prepared_;    // by kernel
  std::map<int64_t, Draws> draws_;    // by first run of a launch
  std::map<int64_t, AllDraws> all_draws_;
  Mode mode_ = Mode::Launch;
  int64_t launched_ = 0;
  std::string failure_;
};

}  // namespace hebb
