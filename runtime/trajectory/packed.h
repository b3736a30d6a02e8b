#pragma once
// States kept without what pads their rows and columns: of a network of a few synapses whose task counts in columns of one
// neuron each, that is nearly everything.

#include "runtime/trajectory/slots.h"

namespace hebb {

class PackedSlots {
 public:
  PackedSlots() = default;
  /// What `slots` of `columns` hold.
  PackedSlots(const Columns& columns, const Slots& slots) {
    const size_t each = columns.precision() == Precision::Float32 ? sizeof(float) : sizeof(double);
    for (size_t k = 0; k < slots.ids().size(); ++k) {
      const ColumnLayout& at = columns.layout(slots.ids()[k]);
      for (int64_t e = 0; e < at.width; ++e)
        for (int64_t i = 0; i < at.pres; ++i)
          add(slots.offset(k) + static_cast<size_t>(at.offset(i, 0, e)) * each, static_cast<size_t>(at.posts) * each);
    }
  }
  size_t slot_bytes() const { return size_; }
  bool allocate(int64_t count) {
    memory_ = allocate_zeroed(std::max<size_t>(size_ * static_cast<size_t>(std::max<int64_t>(count, 1)), 1));
    return memory_ != nullptr;
  }
  void keep(int64_t index, const std::byte* from) {
    std::byte* to = place(index);
    for (const Piece& piece : pieces_) to = std::copy_n(from + piece.begin, piece.bytes, to);
  }
  void fetch(int64_t index, std::byte* into) const {
    const std::byte* from = place(index);
    for (const Piece& piece : pieces_) {
      std::copy_n(from, piece.bytes, into + piece.begin);
      from += piece.bytes;
    }
  }

 private:
  struct Piece { size_t begin, bytes; };   // of a slot
  void add(size_t begin, size_t bytes) {
    size_ += bytes;
    const bool goes_on = !pieces_.empty() && pieces_.back().begin + pieces_.back().bytes == begin;
    if (goes_on) pieces_.back().bytes += bytes;
    else pieces_.push_back({begin, bytes});
  }
  std::byte* place(int64_t index) const { return static_cast<std::byte*>(memory_.get()) + static_cast<size_t>(index) * size_; }
  std::vector<Piece> pieces_;
  size_t size_ = 0;
  Zeroed memory_;
};

}  // namespace hebb
