#pragma once
// Zeroed memory. Large blocks come straight from the system, which clears a page when it is first touched, and in
// large pages where it has them: a network of millions of synapses starts sooner and finds its rows faster.

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace hebb {

struct FreeZeroed {
  size_t mapped = 0;  // 0: from the heap
  void operator()(void* memory) const;
};
using Zeroed = std::unique_ptr<void, FreeZeroed>;

/// `bytes` bytes of 0, aligned to 64; null when there are none.
Zeroed allocate_zeroed(size_t bytes);

/// Memory for vectors, of the same kind.
void* allocate_large(size_t bytes);  // null when there is none
void free_large(void* memory, size_t bytes);

template <class T>
struct LargeAllocator {
  using value_type = T;
  LargeAllocator() = default;
  template <class U>
  LargeAllocator(const LargeAllocator<U>&) {}
  T* allocate(size_t count) {
    void* const memory = allocate_large(count * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) { free_large(memory, count * sizeof(T)); }
  friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
};
template <class T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace hebb
