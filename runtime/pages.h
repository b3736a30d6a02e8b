#pragma once
// Zeroed memory. Large blocks come straight from the system, which clears a page when it is first touched, and in
// large pages where it has them: a network of millions of synapses starts sooner and finds its rows faster.

#include <cstddef>
#include <memory>

namespace hebb {

struct FreeZeroed {
  size_t mapped = 0;  // 0: from the heap
  void operator()(void* memory) const;
};
using Zeroed = std::unique_ptr<void, FreeZeroed>;

/// Asks for large pages where a block of memory that nobody has touched yet is large: a wish.
void prefer_large_pages(const void* begin, size_t bytes);

/// `bytes` bytes of 0, aligned to 64; null when there are none.
Zeroed allocate_zeroed(size_t bytes);

}  // namespace hebb
