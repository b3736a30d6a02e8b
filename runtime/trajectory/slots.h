#pragma once
// Memory for columns that move: equal slots, each column at a fixed offset of every slot.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "runtime/columns.h"
#include "runtime/pages.h"

namespace hebb {

/// Bytes aligned to 64, all 0.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(size_t bytes) : memory_(allocate_zeroed(std::max<size_t>(bytes, 64))) {}
  std::byte* data() { return static_cast<std::byte*>(memory_.get()); }
  explicit operator bool() const { return memory_ != nullptr; }

 private:
  Zeroed memory_;
};

class Slots {
 public:
  Slots() = default;
  Slots(const Columns& columns, std::vector<ColumnId> ids) : ids_(std::move(ids)) {
    for (const ColumnId id : ids_) {
      offsets_.push_back(size_);
      size_ += aligned(columns.bytes(id));
    }
  }
  size_t slot_bytes() const { return size_; }
  /// Of the first `count` columns.
  size_t bytes_of_first(size_t count) const { return count < offsets_.size() ? offsets_[count] : size_; }
  /// Keeps the memory, and what is in it, when the count stays; else what is in the first slot. False: there is
  /// not so much.
  bool allocate(int64_t count) {
    if (memory_ && count == count_) return true;
    const size_t bytes = std::max<size_t>(aligned(size_ * static_cast<size_t>(count)), kAlignment);
    std::vector<std::byte> first;
    if (memory_) first.assign(data(), data() + size_);
    memory_.reset();
    memory_ = allocate_zeroed(bytes);
    count_ = memory_ ? count : -1;
    if (!memory_) return false;
    std::copy(first.begin(), first.end(), data());
    return true;
  }
  std::byte* slot(int64_t index) { return data() + static_cast<size_t>(index) * size_; }
  /// Lets `as[k]` lie where column k of slot `index` lies.
  void bind(Columns& columns, std::span<const ColumnId> as, int64_t index) { bind(columns, as, slot(index)); }
  /// The same of a slot of equal columns that lies elsewhere.
  void bind(Columns& columns, std::span<const ColumnId> as, std::byte* base) const {
    columns.rebind(as.first(ids_.size()), offsets_, base);
  }
  std::span<const ColumnId> ids() const { return ids_; }
  /// Of column k in its slot.
  size_t offset(size_t k) const { return offsets_[k]; }

 private:
  std::byte* data() { return static_cast<std::byte*>(memory_.get()); }
  static constexpr size_t kAlignment = 64;
  static size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
  std::vector<ColumnId> ids_;
  std::vector<size_t> offsets_;
  size_t size_ = 0;
  int64_t count_ = -1;
  Zeroed memory_;
};

}  // namespace hebb
