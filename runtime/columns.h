#pragma once
// The memory of a program's columns, laid out as hebb_abi.h says: every column aligned to 64 bytes,
// rows and planes padded to 16 elements. Outside, values are doubles in logical order:
// neurons [row][element], dense [pre][post][element], sparse [synapse][element].

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/program/kernels.h"
#include "compiler/support/result.h"
#include "runtime/connectivity.h"
#include "runtime/device_run.h"
#include "runtime/pages.h"

namespace hebb {

/// Where the elements of one column lie. Uniform, neurons and sparse columns have one row of `posts`
/// elements per plane; a uniform column is one row of `width` elements and has no planes.
struct ColumnLayout {
  int64_t pres = 1;
  int64_t posts = 1;
  int64_t width = 1;
  int64_t row = 0;     // elements between two rows of a plane
  int64_t plane = 0;   // elements between two planes
  int64_t offset(int64_t pre, int64_t post, int64_t element) const {
    return element * plane + pre * row + post;
  }
  int64_t size() const { return pres * posts * width; }
};

class Columns {
 public:
  /// All zero, and the synapses of sparse spaces, drawn with `key`. Refuses before allocating when they
  /// would not fit.
  /// `threads` that own blocks of post neurons find the synapses onto them together, where a row has at least `least_piece` for each.
  static Result<Columns> create(const Program& program, Precision precision, uint64_t key = 0, int threads = 1, int64_t least_piece = kLeastPiece);
  static constexpr int64_t kLeastPiece = 256;

  /// Of a sparse space.
  const Connections& connections(SpaceId id) const { return connections_[id.value]; }

  const ColumnLayout& layout(ColumnId id) const { return layouts_[id.value]; }
  Precision precision() const { return precision_; }
  size_t count() const { return layouts_.size(); }
  size_t bytes() const { return bytes_; }
  size_t bytes(ColumnId id) const { return sizes_[id.value]; }
  /// The bytes of a column, in the order that they have where nobody divides rows.
  std::string in_order(ColumnId id) const;
  void set_in_order(ColumnId id, std::string_view bytes);  // bytes(id) of them
  /// A column as it lies in memory.
  std::vector<uint32_t> row(ColumnId id) const;

  void* base(ColumnId id) {
    host_reads(id);
    host_wrote(id);
    if (parameter_[id.value]) ++parameter_changes_;
    return bases_[id.value];
  }
  const void* base(ColumnId id) const {
    host_reads(id);
    return bases_[id.value];
  }
  /// Lets a column lie elsewhere, in memory the caller owns: bytes(id) bytes, aligned to 64.
  void rebind(ColumnId id, void* memory) {
    host_reads(id);
    bases_[id.value] = memory;
    host_wrote(id);
    ++parameter_changes_;
  }
  /// The same of several columns, as far behind `memory` as `offsets` say.
  void rebind(std::span<const ColumnId> ids, std::span<const size_t> offsets, std::byte* memory) {
    if (device_ != nullptr) {
      for (size_t k = 0; k < ids.size(); ++k) rebind(ids[k], memory + offsets[k]);
      return;
    }
    void** const bases = bases_.data();
    for (size_t k = 0; k < ids.size(); ++k) bases[ids[k].value] = memory + offsets[k];
    ++parameter_changes_;
  }
  /// Another number whenever a parameter may have been set.
  uint64_t parameter_changes() const { return parameter_changes_; }
  /// From now on kernels run on a device, which keeps columns there; null: on the host, as at first. What the
  /// functions of this class read and write is copied when it must be.
  void set_device(std::unique_ptr<DeviceRun> device);
  DeviceRun* device() const { return device_.get(); }
  /// The host's copy, as it is: for the device.
  void* memory(ColumnId id) const { return bases_[id.value]; }
  /// For hebb_launch.
  void* const* bases() const { return bases_.data(); }
  const int64_t* planes() const { return planes_.data(); }

  /// `values` holds layout.size() numbers, or one that fills all.
  void write(ColumnId id, std::span<const double> values);
  void fill(ColumnId id, double value);
  /// Rows [begin, end) of a neurons column without elements.
  void fill_rows(ColumnId id, int64_t begin, int64_t end, double value);
  /// One row of a neurons column without elements.
  void write_row(ColumnId id, int64_t row, double value) {
    if (precision_ == Precision::Float32) static_cast<float*>(base(id))[row] = static_cast<float>(value);
    else static_cast<double*>(base(id))[row] = value;
  }
  void read(ColumnId id, std::span<double> into) const;
  /// What is in memory, also of a column that somebody else reads.
  void read_stored(ColumnId id, std::span<double> into) const;
  /// Has a column read by somebody who knows what its memory stands for.
  using ReadBy = std::function<void(std::span<double>)>;
  void read_by(ColumnId id, ReadBy reader) { readers_[id.value] = std::move(reader); }
  /// Rows of a neurons column without elements that are not 0, ascending, into as many places as it has
  /// rows; returns how many.
  int64_t nonzero_rows(ColumnId id, uint32_t* into) const { return nonzero_rows(id, 0, layout(id).posts, into); }
  /// Whether the element at `element`, as it lies in memory, is 0.
  bool is_zero(const void* element) const {
    return precision_ == Precision::Float32 ? *static_cast<const float*>(element) == 0 : *static_cast<const double*>(element) == 0;
  }
  /// Of rows [begin, end); begin is a multiple of 16.
  int64_t nonzero_rows(ColumnId id, int64_t begin, int64_t end, uint32_t* into) const;

 private:
  void host_reads(ColumnId id) const {
    if (device_ != nullptr) device_->host_reads(id);
  }
  void host_wrote(ColumnId id) {
    if (device_ != nullptr) device_->host_wrote(id);
  }
  Precision precision_ = Precision::Float32;
  std::vector<Connections> connections_;  // of each space; empty where it is not sparse
  std::vector<bool> parameter_;
  uint64_t parameter_changes_ = 1;
  std::vector<ColumnLayout> layouts_;
  std::vector<size_t> sizes_;
  std::vector<Zeroed> memory_;
  std::vector<void*> bases_;
  std::vector<int64_t> planes_;
  /// The synapses of a column, where they lie in blocks; else null.
  const Connections* in_blocks(ColumnId id) const;
  std::vector<uint32_t> spaces_;          // of columns
  std::vector<const uint32_t*> places_;   // of columns of synapses that lie in another order than outside; null: as outside
  std::map<uint32_t, ReadBy> readers_;
  size_t bytes_ = 0;
  std::unique_ptr<DeviceRun> device_;
};

}  // namespace hebb
