#include "tests/ptx/memory.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "compiler/support/text.h"

namespace hebb::emulator {
namespace {

constexpr uint64_t kAlign = 256, kRoom = 1 << 16;

Allocation fresh(uint64_t address, uint64_t size) {
  Allocation made{.address = address, .size = size};
  made.bytes.assign(size, 0xA5);
  made.written.assign(size + 16, 0);
  made.writer.assign(size / 4 + 4, 0);
  made.reader.assign(size / 4 + 4, 0);
  return made;
}

std::string hex(uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

uint64_t DeviceMemory::allocate(uint64_t size) {
  const uint64_t address = next_;
  next_ += (size + kRoom + kAlign - 1) / kAlign * kAlign;
  allocations_.emplace(address, fresh(address, size));
  in_use_ += size;
  return address;
}

void DeviceMemory::place(uint64_t address, const std::vector<uint8_t>& bytes) {
  Allocation made = fresh(address, bytes.size());
  made.bytes = bytes;
  std::fill(made.written.begin(), made.written.begin() + static_cast<ptrdiff_t>(bytes.size()), uint8_t{1});
  made.read_only = true;
  allocations_.insert_or_assign(address, std::move(made));
}

bool DeviceMemory::free(uint64_t address) {
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || found->second.read_only) return false;
  in_use_ -= found->second.size;
  freed_[address] = found->second.size;
  allocations_.erase(found);
  return true;
}

Allocation* DeviceMemory::find(uint64_t address) {
  auto next = allocations_.upper_bound(address);
  if (next == allocations_.begin()) return nullptr;
  Allocation& allocation = std::prev(next)->second;
  return allocation.holds(address, 1) ? &allocation : nullptr;
}

bool DeviceMemory::was_freed(uint64_t address) const {
  const auto next = freed_.upper_bound(address);
  return next != freed_.begin() && address - std::prev(next)->first < std::prev(next)->second;
}

std::string DeviceMemory::describe(uint64_t address) const {
  if (was_freed(address)) return cat(hex(address), ", which was freed");
  const auto next = allocations_.upper_bound(address);
  std::string text = hex(address);
  if (next != allocations_.begin()) {
    const Allocation& before = std::prev(next)->second;
    const uint64_t past = address - before.address;
    if (past < before.size) return cat(text, ", byte ", past, " of the ", before.size, " at ", hex(before.address));
    if (past - before.size < kRoom)
      return cat(text, ", ", past - before.size, " bytes past the end of the ", before.size, " at ", hex(before.address));
  }
  if (next != allocations_.end() && next->first - address <= kRoom)
    return cat(text, ", ", next->first - address, " bytes before the ", next->second.size, " at ", hex(next->first));
  return cat(text, ", far from any allocation");
}

bool DeviceMemory::write(uint64_t address, const void* from, uint64_t count) {
  if (count == 0) return true;
  Allocation* const into = find(address);
  if (into == nullptr || !into->holds(address, count)) return false;
  const uint64_t offset = address - into->address;
  std::memcpy(into->bytes.data() + offset, from, count);
  std::memset(into->written.data() + offset, 1, count);
  return true;
}

bool DeviceMemory::read(uint64_t address, void* into, uint64_t count, bool must_hold_something) {
  if (count == 0) return true;
  const Allocation* const from = find(address);
  if (from == nullptr || !from->holds(address, count)) return false;
  const uint64_t offset = address - from->address;
  const auto begin = from->written.begin() + static_cast<ptrdiff_t>(offset);
  if (must_hold_something && std::find(begin, begin + static_cast<ptrdiff_t>(count), 0) != begin + static_cast<ptrdiff_t>(count))
    return false;
  std::memcpy(into, from->bytes.data() + offset, count);
  return true;
}

}  // namespace hebb::emulator
