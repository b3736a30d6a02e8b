#include "runtime/thread_copies.h"

#include <cstring>
#include <new>
#include <utility>

namespace hebb {

namespace {

constexpr std::align_val_t kPair{128};  // machines fetch pairs of lines: none is shared by two threads
constexpr size_t kLine = 64;

}  // namespace

void ThreadCopies::FreeAligned::operator()(std::byte* memory) const { ::operator delete(memory, kPair); }

ThreadCopies::ThreadCopies(const Columns& columns, std::vector<ColumnId> copied, int threads) : columns_(columns), copied_(std::move(copied)) {
  size_t bytes = 0;
  for (const ColumnId id : copied_) {
    offsets_.push_back(bytes);
    bytes += (columns_.bytes(id) + kLine - 1) / kLine * kLine;
  }
  bytes = (bytes + 2 * kLine - 1) / (2 * kLine) * (2 * kLine);
  for (int thread = 1; thread < threads; ++thread) {
    others_.push_back({.bases = std::vector<void*>(columns_.count()), .memory = {}});
    if (bytes > 0) others_.back().memory.reset(static_cast<std::byte*>(::operator new(bytes, kPair)));
  }
}

void ThreadCopies::renew() {
  if (!std::exchange(outdated_, false)) return;
  for (Other& other : others_) {
    std::copy(columns_.bases(), columns_.bases() + columns_.count(), other.bases.begin());
    for (size_t k = 0; k < copied_.size(); ++k) {
      std::byte* const own = other.memory.get() + offsets_[k];
      std::memcpy(own, columns_.memory(copied_[k]), columns_.bytes(copied_[k]));
      other.bases[copied_[k].value] = own;
    }
  }
}

}  // namespace hebb
