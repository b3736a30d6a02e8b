#pragma once
// What PTX's operations compute where C++ does not say it in one expression. PTX ISA 8.x, chapter
// "Instruction Set".

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace hebb::emulator {

template <class Real> using BitsOf = std::conditional_t<sizeof(Real) == 4, uint32_t, uint64_t>;
template <class Real> BitsOf<Real> bits(Real a) { return std::bit_cast<BitsOf<Real>>(a); }
template <class Real> constexpr BitsOf<Real> kSign = BitsOf<Real>(1) << (8 * sizeof(Real) - 1);

/// Shifts by the width or more are defined: nothing, or the sign, is left.
template <class Int>
Int shift_left(Int a, uint32_t n) {
  return n < 8 * sizeof(Int) ? static_cast<Int>(a << n) : Int(0);
}
template <class Int>
Int shift_right(Int a, uint32_t n) {
  if (n < 8 * sizeof(Int)) return static_cast<Int>(a >> n);
  return a < 0 ? static_cast<Int>(-1) : Int(0);
}

/// The 64 bits b:a shifted; the upper, or the lower, half of them.
inline uint32_t funnel_left(uint32_t a, uint32_t b, uint32_t n) {
  const uint64_t both = uint64_t(b) << 32 | a;
  return static_cast<uint32_t>((n >= 32 ? uint64_t(a) << 32 : both << n) >> 32);
}
inline uint32_t funnel_right(uint32_t a, uint32_t b, uint32_t n) {
  const uint64_t both = uint64_t(b) << 32 | a;
  return n >= 32 ? b : static_cast<uint32_t>(both >> n);
}
inline uint32_t at_most_32(uint32_t n) { return n < 32 ? n : 32; }

template <class Int>
Int mul_high(Int a, Int b) {
  if constexpr (sizeof(Int) == 4) {
    using Wide = std::conditional_t<std::is_signed_v<Int>, int64_t, uint64_t>;
    return static_cast<Int>((Wide(a) * Wide(b)) >> 32);
  } else {
    using Wide = std::conditional_t<std::is_signed_v<Int>, __int128, unsigned __int128>;
    return static_cast<Int>((Wide(a) * Wide(b)) >> 64);
  }
}

/// `length` bits from bit `start`, both of 8 bits; what lies past the highest bit is 0, or the sign.
template <class Int>
Int bit_field(Int a, uint32_t start, uint32_t length) {
  start &= 0xff;
  length &= 0xff;
  constexpr uint32_t kHighest = 8 * sizeof(Int) - 1;
  using Plain = std::make_unsigned_t<Int>;
  if (length == 0) return 0;
  const uint32_t last = start + length - 1 < kHighest ? start + length - 1 : kHighest;
  const bool fill = std::is_signed_v<Int> && ((Plain(a) >> last) & 1) != 0;
  Plain field = start > kHighest ? Plain(0) : static_cast<Plain>(Plain(a) >> start);
  const uint32_t known = start > kHighest ? 0 : last - start + 1;
  if (known < 8 * sizeof(Int)) {
    const Plain mask = static_cast<Plain>((Plain(1) << known) - 1);
    field = static_cast<Plain>(fill ? field | ~mask : field & mask);
  }
  return static_cast<Int>(field);
}

/// `length` bits of a put into b from bit `start`.
template <class Int>
Int bit_field_insert(Int a, Int b, uint32_t start, uint32_t length) {
  start &= 0xff;
  length &= 0xff;
  for (uint32_t k = 0; k < length && start + k < 8 * sizeof(Int); ++k) {
    const Int one = Int(1) << (start + k);
    b = static_cast<Int>((a >> k) & 1 ? b | one : b & ~one);
  }
  return b;
}

/// Each byte of the result is one of the eight of b:a, or its sign eight times.
inline uint32_t permute_bytes(uint32_t a, uint32_t b, uint32_t selectors) {
  const uint64_t both = uint64_t(b) << 32 | a;
  uint32_t result = 0;
  for (int k = 0; k < 4; ++k) {
    const uint32_t selector = (selectors >> (4 * k)) & 0xf;
    uint32_t byte = static_cast<uint32_t>(both >> (8 * (selector & 7))) & 0xff;
    if (selector & 8) byte = byte & 0x80 ? 0xff : 0;
    result |= byte << (8 * k);
  }
  return result;
}

inline uint32_t any_logic(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
  uint32_t result = 0;
  for (uint32_t row = 0; row < 8; ++row)
    if ((table >> row) & 1)
      result |= (row & 4 ? a : ~a) & (row & 2 ? b : ~b) & (row & 1 ? c : ~c);
  return result;
}

template <class Int>
Int reversed(Int a) {
  Int result = 0;
  for (size_t k = 0; k < 8 * sizeof(Int); ++k) result = static_cast<Int>(result << 1 | ((a >> k) & 1));
  return result;
}

/// The other one where one is not a number; -0 is less than +0.
template <class Real>
Real smaller(Real a, Real b) {
  if (a != a) return b;
  if (b != b) return a;
  if (a == b) return (bits(a) & kSign<Real>) ? a : b;
  return a < b ? a : b;
}
template <class Real>
Real larger(Real a, Real b) {
  if (a != a) return b;
  if (b != b) return a;
  if (a == b) return (bits(a) & kSign<Real>) ? b : a;
  return a > b ? a : b;
}
/// Not a number where one of them is not.
template <class Real> Real smaller_or_nan(Real a, Real b) { return a != a || b != b ? a + b : smaller(a, b); }
template <class Real> Real larger_or_nan(Real a, Real b) { return a != a || b != b ? a + b : larger(a, b); }

/// The sign of a on the magnitude of b.
template <class Real>
Real sign_onto(Real a, Real b) {
  return std::bit_cast<Real>((bits(a) & kSign<Real>) | (bits(b) & ~kSign<Real>));
}

/// `operation` on the lower halves and on the upper ones.
template <class Operation>
uint64_t pairwise(uint64_t a, uint64_t b, uint64_t c, Operation operation) {
  const auto half = [&](int shift) {
    const auto real = [&](uint64_t x) { return std::bit_cast<float>(static_cast<uint32_t>(x >> shift)); };
    return uint64_t(bits(operation(real(a), real(b), real(c)))) << shift;
  };
  return half(0) | half(32);
}

enum class Round { Even, Zero, Down, Up };
template <Round how, class Real>
Real whole(Real a) {
  switch (how) {
    case Round::Even: return std::nearbyint(a);  // the default rounding mode is never changed
    case Round::Zero: return std::trunc(a);
    case Round::Down: return std::floor(a);
    case Round::Up: return std::ceil(a);
  }
}

/// Out of range: the nearest end. Not a number: 0 from a float to at most 32 bits, else the highest bit.
template <class Int, Round how, class Real>
Int to_integer(Real a) {
  using Limits = std::numeric_limits<Int>;
  if (a != a) {
    if (sizeof(Real) == 4 && sizeof(Int) <= 4) return 0;
    return static_cast<Int>(std::make_unsigned_t<Int>(1) << (8 * sizeof(Int) - 1));
  }
  const Real rounded = whole<how>(a);
  // 2^bits of the type, exactly.
  const Real past = std::ldexp(Real(1), std::numeric_limits<Int>::digits);
  if (rounded >= past) return Limits::max();
  if (rounded < (std::is_signed_v<Int> ? -past : Real(0))) return Limits::min();
  return static_cast<Int>(rounded);
}

}  // namespace hebb::emulator
