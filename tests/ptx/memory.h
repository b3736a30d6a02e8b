#pragma once
// The memory of the device: allocations with room between them, so that an address past the end of one
// never falls into the next. Of every byte it is known whether it was written, and of every four bytes
// which threads of the current launch touched them.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace hebb::emulator {

struct Allocation {
  uint64_t address = 0;
  uint64_t size = 0;
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> written;        // 1 for each byte that holds something
  std::vector<uint64_t> writer;        // by four bytes: thread of the last write, see Stamp
  std::vector<uint64_t> reader;        // … of the reads
  bool read_only = false;              // for kernels: tables of a module, and what the host says
  bool holds(uint64_t at, uint64_t count) const { return at - address < size && size - (at - address) >= count; }
};

class DeviceMemory {
 public:
  /// Of at least one byte, aligned to 256, holding nothing.
  uint64_t allocate(uint64_t size);
  /// At an address of the caller's choice, holding `bytes`.
  void place(uint64_t address, const std::vector<uint8_t>& bytes);
  bool free(uint64_t address);
  void set_read_only(uint64_t address, bool read_only) { allocations_.at(address).read_only = read_only; }
  /// Removes what `place` put there.
  void remove(uint64_t address) { allocations_.erase(address); }
  /// The one that `address` lies in; null: none.
  Allocation* find(uint64_t address);
  /// What lies nearest, for messages: "12 bytes past the end of the 400 bytes at 0x7000…".
  std::string describe(uint64_t address) const;
  bool was_freed(uint64_t address) const;

  /// The host's. False when some byte lies outside, or (of a read) holds nothing yet.
  bool write(uint64_t address, const void* from, uint64_t count);
  bool read(uint64_t address, void* into, uint64_t count, bool must_hold_something = true);

  uint64_t bytes_in_use() const { return in_use_; }
  size_t count() const { return allocations_.size(); }
  /// Every launch has its own number.
  uint64_t next_launch() { return ++launches_; }

 private:
  std::map<uint64_t, Allocation> allocations_;   // by address
  std::map<uint64_t, uint64_t> freed_;           // address → size
  uint64_t next_ = 0x7000'0000'0000;
  uint64_t in_use_ = 0;
  uint64_t launches_ = 0;
};

}  // namespace hebb::emulator
