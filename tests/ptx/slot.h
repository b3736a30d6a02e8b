#pragma once
// One register of one thread, whatever its declared type.

#include <cstdint>

namespace hebb::emulator {

union Slot {
  uint64_t u64 = 0;
  int64_t s64;
  uint32_t u32;
  int32_t s32;
  uint16_t u16;
  int16_t s16;
  uint8_t u8;
  int8_t s8;
  float f32;
  double f64;
  bool truth;
};

}  // namespace hebb::emulator
