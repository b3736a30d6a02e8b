#include "runtime/pages.h"

#include <cstdlib>
#include <cstring>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace hebb {

namespace {

constexpr size_t kAlignment = 64;
[[maybe_unused]] constexpr size_t kLargeFrom = size_t{4} << 20;
[[maybe_unused]] constexpr size_t kLargePage = size_t{2} << 20;

size_t up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

}  // namespace

void FreeZeroed::operator()(void* memory) const {
#ifdef __linux__
  if (mapped != 0) {
    munmap(memory, mapped);
    return;
  }
#endif
  std::free(memory);
}

void prefer_large_pages([[maybe_unused]] const void* begin, [[maybe_unused]] size_t bytes) {
#ifdef __linux__
  if (bytes < kLargeFrom) return;
  const auto at = reinterpret_cast<size_t>(begin);
  const size_t first = up(at, kLargePage), last = (at + bytes) / kLargePage * kLargePage;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

Zeroed allocate_zeroed(size_t bytes) {
#ifdef __linux__
  if (bytes >= kLargeFrom) {
    // Mapped with a large page to spare, of which both ends are given back: what stays begins with a page.
    const size_t size = up(bytes, 4096), asked = size + kLargePage;
    void* const all = mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    auto* const begin = static_cast<std::byte*>(all);
    const size_t before = up(reinterpret_cast<size_t>(begin), kLargePage) - reinterpret_cast<size_t>(begin);
    if (before > 0) munmap(begin, before);
    if (asked - before > size) munmap(begin + before + size, asked - before - size);
    madvise(begin + before, size, MADV_HUGEPAGE);  // a wish
    return Zeroed(begin + before, {.mapped = size});
  }
#endif
  void* const block = std::aligned_alloc(kAlignment, up(bytes, kAlignment));
  if (block != nullptr) std::memset(block, 0, bytes);
  return Zeroed(block);
}

}  // namespace hebb
