#pragma once
// Columns of which each thread but the first has a copy of its own, and the tables through which its kernels find them. The first
// thread has the columns themselves. Copies stay equal because each thread does the same to its own.

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "runtime/columns.h"

namespace hebb {

class ThreadCopies {
 public:
  ThreadCopies(const Columns& columns, std::vector<ColumnId> copied, int threads);

  /// hebb_launch.columns of a thread; stays where it is.
  void* const* bases(int thread) const { return thread == 0 ? columns_.bases() : others_[static_cast<size_t>(thread) - 1].bases.data(); }
  const void* base(int thread, ColumnId id) const { return bases(thread)[id.value]; }

  /// Something other than the threads themselves may have written columns, or moved them.
  void outdate() { outdated_ = true; }
  /// Makes copies what the columns are, where they are outdated. Between steps.
  void renew();

 private:
  struct FreeAligned {
    void operator()(std::byte* memory) const;
  };
  struct Other {
    std::vector<void*> bases;
    std::unique_ptr<std::byte, FreeAligned> memory;
  };
  const Columns& columns_;
  std::vector<ColumnId> copied_;
  std::vector<size_t> offsets_;     // of each of them, in the memory of a thread
  std::vector<Other> others_;       // from the second thread on
  bool outdated_ = true;
};

}  // namespace hebb
