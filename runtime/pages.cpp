#include "runtime/pages.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace hebb {

namespace {

constexpr size_t kAlignment = 64;
[[maybe_unused]] constexpr size_t kLargeFrom = size_t{2} << 20;
[[maybe_unused]] constexpr size_t kSmallPage = 4096;
[[maybe_unused]] constexpr size_t kLargePage = size_t{2} << 20;

size_t up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

#ifdef __linux__
/// Mapped with a large page to spare, of which both ends are given back: what stays begins with a page. All 0; null
/// when there is none.
void* map_large(size_t bytes) {
  const size_t size = up(bytes, kSmallPage), asked = size + kLargePage;
  void* const all = mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(all);
  const size_t before = up(reinterpret_cast<size_t>(begin), kLargePage) - reinterpret_cast<size_t>(begin);
  if (before > 0) munmap(begin, before);
  if (asked - before > size) munmap(begin + before + size, asked - before - size);
  madvise(begin + before, size, MADV_HUGEPAGE);  // a wish
  return begin + before;
}
#endif

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

void* allocate_large(size_t bytes) {
#ifdef __linux__
  if (bytes >= kLargeFrom) return map_large(bytes);
#endif
  return std::malloc(std::max<size_t>(bytes, 1));
}

void free_large(void* memory, size_t bytes) {
#ifdef __linux__
  if (bytes >= kLargeFrom) {
    munmap(memory, up(bytes, kSmallPage));
    return;
  }
#endif
  std::free(memory);
}

Zeroed allocate_zeroed(size_t bytes) {
#ifdef __linux__
  if (bytes >= kLargeFrom) return Zeroed(map_large(bytes), {.mapped = up(bytes, kSmallPage)});
#endif
  void* const block = std::aligned_alloc(kAlignment, up(bytes, kAlignment));
  if (block != nullptr) std::memset(block, 0, bytes);
  return Zeroed(block);
}

}  // namespace hebb
