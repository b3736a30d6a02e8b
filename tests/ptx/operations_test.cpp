// Every instruction of opcodes.def on the numbers where it is easy to be wrong: results are written down
// here, or computed in another way than the interpreter does.

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "tests/ptx/one_instruction.h"

namespace hebb::emulator {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kInf64 = std::numeric_limits<double>::infinity();
constexpr uint64_t kNan32 = 0x7fffffff, kNan64 = 0xfff8'0000'0000'0000;
uint64_t f(float x) { return std::bit_cast<uint32_t>(x); }
uint64_t d(double x) { return std::bit_cast<uint64_t>(x); }
uint64_t pair(float low, float high) { return f(high) << 32 | f(low); }

/// What was run, so that nothing of the table is forgotten.
std::set<std::string>& seen() {
  static std::set<std::string> spellings;
  return spellings;
}

void expect(const std::string& spelling, const std::vector<uint64_t>& values, uint64_t want) {
  seen().insert(spelling);
  const Result<uint64_t> got = one_instruction(spelling, values);
  ASSERT_TRUE(got.ok()) << got.error();
  std::string shown;
  for (const uint64_t value : values) shown += cat(" ", static_cast<int64_t>(value));
  EXPECT_EQ(*got, want) << spelling << shown << std::hex << "\n  gives 0x" << *got << "\n  wanted 0x" << want;
}

const int kWidths[] = {16, 32, 64};
std::string width(int bits) { return std::to_string(bits); }
__int128 cut(__int128 x, int bits) { return x & ((__int128(1) << bits) - 1); }
__int128 extended(__int128 x, int bits) { return (x >> (bits - 1)) & 1 ? x - (__int128(1) << bits) : x; }

/// Ends of the range, and some in between.
std::vector<uint64_t> whole_numbers(int bits) {
  const uint64_t all = ~uint64_t(0) >> (64 - bits), high = uint64_t(1) << (bits - 1);
  return {0, 1, 2, 7, high - 1, high, high + 1, all, all - 1, 0x5a5a5a5a5a5a5a5a & all};
}

/// Its low bits are what is asked for: the whole of two 64-bit numbers may not fit.
__int128 product(__int128 a, __int128 b) { return static_cast<__int128>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b)); }

TEST(PtxOperations, WholeNumbersAtEveryWidth) {
  for (const int n : kWidths)
    for (const uint64_t a : whole_numbers(n))
      for (const uint64_t b : whole_numbers(n)) {
        const auto u = [&](const std::string& name, __int128 value) { expect(name + ".u" + width(n), {a, b}, static_cast<uint64_t>(cut(value, n))); };
        const auto s = [&](const std::string& name, __int128 value) { expect(name + ".s" + width(n), {a, b}, static_cast<uint64_t>(cut(value, n))); };
        const __int128 x = extended(a, n), y = extended(b, n), p = a, q = b;
        u("add", p + q); s("add", x + y);
        u("sub", p - q); s("sub", x - y);
        u("mul.lo", product(p, q)); s("mul.lo", product(x, y));
        u("min", std::min(p, q)); s("min", std::min(x, y));
        u("max", std::max(p, q)); s("max", std::max(x, y));
        if (b != 0) {
          u("div", p / q); u("rem", p % q);
          s("div", x / y); s("rem", x % y);
        }
        expect("mad.lo.u" + width(n), {a, b, 3}, static_cast<uint64_t>(cut(p * q + 3, n)));
        expect("mad.lo.s" + width(n), {a, b, 3}, static_cast<uint64_t>(cut(x * y + 3, n)));
        for (const auto& [name, is_u, is_s] : {std::tuple{"eq", p == q, x == y}, {"ne", p != q, x != y}, {"lt", p < q, x < y}, {"le", p <= q, x <= y}, {"gt", p > q, x > y}, {"ge", p >= q, x >= y}}) {
          expect(cat("setp.", name, ".u", n), {a, b}, is_u);
          expect(cat("setp.", name, ".s", n), {a, b}, is_s);
        }
        for (const auto& [name, truth] : {std::pair{"lo", p < q}, {"ls", p <= q}, {"hi", p > q}, {"hs", p >= q}})
          expect(cat("setp.", name, ".u", n), {a, b}, truth);
        for (const auto& [name, truth] : {std::pair{"eq", p == q}, {"ne", p != q}}) expect(cat("setp.", name, ".b", n), {a, b}, truth);
        expect("and.b" + width(n), {a, b}, a & b);
        expect("or.b" + width(n), {a, b}, a | b);
        expect("xor.b" + width(n), {a, b}, a ^ b);
      }
}

TEST(PtxOperations, OneWholeNumber) {
  for (const int n : kWidths)
    for (const uint64_t a : whole_numbers(n)) {
      const __int128 x = extended(a, n);
      expect("neg.s" + width(n), {a}, static_cast<uint64_t>(cut(-x, n)));
      expect("abs.s" + width(n), {a}, static_cast<uint64_t>(cut(x < 0 ? -x : x, n)));
      expect("not.b" + width(n), {a}, static_cast<uint64_t>(cut(~x, n)));
      for (const char* type : {"b", "u", "s", "f"}) {
        expect(cat("mov.", type, n), {a}, a);
        expect(cat("selp.", type, n), {a, 5, 1}, a);
        expect(cat("selp.", type, n), {5, a, 0}, a);
      }
      if (n == 16) continue;
      int leading = 0, ones = 0;
      uint64_t mirrored = 0;
      for (int k = 0; k < n; ++k) {
        ones += (a >> k) & 1;
        leading = (a >> k) & 1 ? 0 : leading + 1;
        mirrored |= ((a >> k) & 1) << (n - 1 - k);
      }
      expect("clz.b" + width(n), {a}, static_cast<uint64_t>(leading));
      expect("popc.b" + width(n), {a}, static_cast<uint64_t>(ones));
      expect("brev.b" + width(n), {a}, mirrored);
    }
}

TEST(PtxOperations, ShiftsPastTheWidthLeaveNothingOrTheSign) {
  for (const int n : kWidths)
    for (const uint64_t a : whole_numbers(n))
      for (const uint64_t by : {0, 1, 7, n - 1, n, n + 1, 127, -1}) {
        const uint64_t shift = by & 0xffffffff;
        const __int128 x = extended(a, n);
        const bool past = shift >= static_cast<uint64_t>(n);
        expect("shl.b" + width(n), {a, shift}, past ? 0 : static_cast<uint64_t>(cut(__int128(a) << shift, n)));
        expect("shr.b" + width(n), {a, shift}, past ? 0 : a >> shift);
        expect("shr.u" + width(n), {a, shift}, past ? 0 : a >> shift);
        expect("shr.s" + width(n), {a, shift}, static_cast<uint64_t>(cut(past ? (x < 0 ? -1 : 0) : x >> shift, n)));
      }
}

TEST(PtxOperations, FunnelShifts) {
  const uint64_t low = 0x12345678, high = 0x9abcdef0;
  expect("shf.l.wrap.b32", {low, high, 8}, 0xbcdef012);
  expect("shf.r.wrap.b32", {low, high, 8}, 0xf0123456);
  expect("shf.l.wrap.b32", {low, high, 0}, high);
  expect("shf.r.wrap.b32", {low, high, 0}, low);
  expect("shf.l.wrap.b32", {low, high, 32}, high);
  expect("shf.r.wrap.b32", {low, high, 40}, 0xf0123456);
  expect("shf.l.clamp.b32", {low, high, 8}, 0xbcdef012);
  expect("shf.l.clamp.b32", {low, high, 32}, low);
  expect("shf.l.clamp.b32", {low, high, 99}, low);
  expect("shf.r.clamp.b32", {low, high, 8}, 0xf0123456);
  expect("shf.r.clamp.b32", {low, high, 32}, high);
}

TEST(PtxOperations, Products) {
  for (const uint64_t a : whole_numbers(32))
    for (const uint64_t b : whole_numbers(32)) {
      const __int128 p = __int128(a) * b, x = extended(a, 32) * extended(b, 32);
      const auto low = [](__int128 value) { return static_cast<uint64_t>(value); };
      expect("mul.hi.u32", {a, b}, low(cut(p >> 32, 32)));
      expect("mul.hi.s32", {a, b}, low(cut(x >> 32, 32)));
      expect("mad.hi.u32", {a, b, 0xffffffff}, low(cut((p >> 32) - 1, 32)));
      expect("mad.hi.s32", {a, b, 5}, low(cut((x >> 32) + 5, 32)));
      expect("mul.wide.u32", {a, b}, low(p));
      expect("mul.wide.s32", {a, b}, low(x));
      expect("mad.wide.u32", {a, b, ~uint64_t(0)}, low(p) - 1);
      expect("mad.wide.s32", {a, b, 9}, low(x) + 9);
    }
  for (const uint64_t a : whole_numbers(16))
    for (const uint64_t b : whole_numbers(16)) {
      expect("mul.wide.u16", {a, b}, a * b);
      expect("mul.wide.s16", {a, b}, static_cast<uint64_t>(cut(extended(a, 16) * extended(b, 16), 32)));
    }
  expect("mul.hi.u64", {0xffffffffffffffff, 0xffffffffffffffff}, 0xfffffffffffffffe);
  expect("mul.hi.u64", {0x8000000000000000, 2}, 1);
  expect("mul.hi.s64", {0xffffffffffffffff, 1}, 0xffffffffffffffff);
  expect("mul.hi.s64", {0x8000000000000000, 0x8000000000000000}, 0x4000000000000000);
}

TEST(PtxOperations, FieldsOfBits) {
  expect("bfe.u32", {0xabcdef12, 8, 12}, 0xdef);
  expect("bfe.u32", {0xabcdef12, 0, 32}, 0xabcdef12);
  expect("bfe.u32", {0xabcdef12, 28, 12}, 0xa);       // past the highest bit: 0
  expect("bfe.u32", {0xabcdef12, 32, 8}, 0);
  expect("bfe.u32", {0xabcdef12, 8, 0}, 0);
  expect("bfe.u32", {0xabcdef12, 0x108, 0x10c}, 0xdef);  // eight bits of each count
  expect("bfe.s32", {0xabcdef12, 8, 12}, 0xfffffdef);
  expect("bfe.s32", {0xabcdef12, 8, 11}, 0xfffffdef);
  expect("bfe.s32", {0xabcdef12, 8, 9}, 0xffffffef);
  expect("bfe.s32", {0xabcdef12, 28, 12}, 0xfffffffa);
  expect("bfe.s32", {0xabcdef12, 40, 3}, 0xffffffff);
  expect("bfe.s32", {0xabcdef12, 8, 0}, 0);
  expect("bfe.u64", {0xfedcba9876543210, 60, 8}, 0xf);
  expect("bfe.u64", {0xfedcba9876543210, 0, 64}, 0xfedcba9876543210);
  expect("bfe.s64", {0xfedcba9876543210, 32, 8}, 0xffffffffffffff98);
  expect("bfi.b32", {0xff, 0, 8, 4}, 0xf00);
  expect("bfi.b32", {0, 0xffffffff, 28, 9}, 0x0fffffff);
  expect("bfi.b32", {0, 0xffffffff, 32, 9}, 0xffffffff);
  expect("bfi.b64", {0x3, 0, 63, 2}, 0x8000000000000000);
  expect("prmt.b32", {0x33221100, 0x77665544, 0x7531}, 0x77553311);
  expect("prmt.b32", {0x33229100, 0x77665544, 0x0091}, 0x0000ff91);
  expect("lop3.b32", {0x0f0f0f0f, 0x33333333, 0x55555555, 0x80}, 0x01010101);  // and
  expect("lop3.b32", {0x0f0f0f0f, 0x33333333, 0x55555555, 0x96}, 0x69696969);  // xor
}

TEST(PtxOperations, Predicates) {
  for (const uint64_t a : {0, 1})
    for (const uint64_t b : {0, 1}) {
      expect("and.pred", {a, b}, a & b);
      expect("or.pred", {a, b}, a | b);
      expect("xor.pred", {a, b}, a ^ b);
      expect("not.pred", {a}, 1 - a);
      expect("mov.pred", {a}, a);
    }
}

/// One table for both widths: f(x) or d(x) of each number.
template <class Real>
struct OfWidth {
  static uint64_t bits(Real x) {
    if (x != x) return sizeof(Real) == 4 ? kNan32 : kNan64;
    if constexpr (sizeof(Real) == 4) return f(x);
    else return d(x);
  }
  static std::string suffix() { return sizeof(Real) == 4 ? ".f32" : ".f64"; }
  static void expect_real(const std::string& name, std::vector<Real> values, Real want) {
    std::vector<uint64_t> all;
    for (const Real value : values) all.push_back(bits(value));
    expect(name + suffix(), all, bits(want));
  }
  static void expect_truth(const std::string& name, Real a, Real b, bool want) { expect(name + suffix(), {bits(a), bits(b)}, want); }
};

template <class Real>
void arithmetic() {
  using W = OfWidth<Real>;
  const Real inf = std::numeric_limits<Real>::infinity(), nan = std::numeric_limits<Real>::quiet_NaN();
  const Real least = std::numeric_limits<Real>::denorm_min(), normal = std::numeric_limits<Real>::min();
  const Real most = std::numeric_limits<Real>::max(), step = std::numeric_limits<Real>::epsilon();
  W::expect_real("add.rn", {inf, -inf}, nan);
  W::expect_real("add.rn", {Real(-0.0), Real(0)}, 0);
  W::expect_real("add.rn", {Real(-0.0), Real(-0.0)}, Real(-0.0));
  W::expect_real("add.rn", {1, step / 2}, 1);                       // a tie: to even
  W::expect_real("add.rn", {1 + step, step / 2}, 1 + 2 * step);
  W::expect_real("add.rn", {least, least}, 2 * least);              // not flushed
  W::expect_real("add.rn", {nan, 1}, nan);
  W::expect_real("sub.rn", {inf, inf}, nan);
  W::expect_real("sub.rn", {normal, least}, normal - least);
  W::expect_real("sub.rn", {1, 1}, 0);
  W::expect_real("mul.rn", {inf, 0}, nan);
  W::expect_real("mul.rn", {normal, Real(0.5)}, normal / 2);
  W::expect_real("mul.rn", {least, Real(0.5)}, 0);
  W::expect_real("mul.rn", {-least, Real(0.5)}, Real(-0.0));
  W::expect_real("mul.rn", {most, 2}, inf);
  W::expect_real("fma.rn", {1 + step, 1 + step, -(1 + 2 * step)}, step * step);  // one rounding
  W::expect_real("fma.rn", {inf, 0, 1}, nan);
  W::expect_real("fma.rn", {most, 2, -inf}, -inf);
  W::expect_real("fma.rn", {0, 5, Real(-0.0)}, 0);
  W::expect_real("div.rn", {1, 3}, Real(1) / 3);
  W::expect_real("div.rn", {0, 0}, nan);
  W::expect_real("div.rn", {1, Real(-0.0)}, -inf);
  W::expect_real("div.rn", {normal, 2}, normal / 2);
  W::expect_real("rcp.rn", {3}, Real(1) / 3);
  W::expect_real("rcp.rn", {0}, inf);
  W::expect_real("rcp.rn", {most}, 1 / most);
  W::expect_real("sqrt.rn", {2}, std::sqrt(Real(2)));
  W::expect_real("sqrt.rn", {-1}, nan);
  W::expect_real("sqrt.rn", {Real(-0.0)}, Real(-0.0));
  W::expect_real("sqrt.rn", {least}, std::sqrt(least));
  W::expect_real("neg", {0}, Real(-0.0));
  W::expect_real("neg", {-inf}, inf);
  W::expect_real("abs", {Real(-0.0)}, 0);
  W::expect_real("abs", {-least}, least);
  W::expect_real("copysign", {-1, 2}, -2);                          // the sign of the first
  W::expect_real("copysign", {Real(-0.0), inf}, -inf);
  W::expect_real("copysign", {1, -5}, 5);
}

template <class Real>
void orders() {
  using W = OfWidth<Real>;
  const Real inf = std::numeric_limits<Real>::infinity(), nan = std::numeric_limits<Real>::quiet_NaN();
  W::expect_real("min", {Real(0), Real(-0.0)}, Real(-0.0));
  W::expect_real("min", {Real(-0.0), Real(0)}, Real(-0.0));
  W::expect_real("max", {Real(0), Real(-0.0)}, 0);
  W::expect_real("max", {Real(-0.0), Real(0)}, 0);
  W::expect_real("min", {nan, 1}, 1);
  W::expect_real("min", {1, nan}, 1);
  W::expect_real("max", {nan, -inf}, -inf);
  W::expect_real("min", {nan, nan}, nan);
  W::expect_real("max", {nan, nan}, nan);
  W::expect_real("min", {-inf, 3}, -inf);
  W::expect_real("max", {2, 3}, 3);
  for (const Real a : {Real(1), Real(2), Real(-0.0), Real(0), inf, -inf, nan})
    for (const Real b : {Real(1), Real(2), Real(-0.0), Real(0), inf, -inf, nan}) {
      const bool unordered = std::isnan(a) || std::isnan(b);
      const auto both = [&](const std::string& name, bool truth) {
        W::expect_truth("setp." + name, a, b, !unordered && truth);
        W::expect_truth("setp." + name + "u", a, b, unordered || truth);
      };
      both("eq", a == b); both("ne", a != b); both("lt", a < b); both("le", a <= b); both("gt", a > b); both("ge", a >= b);
      W::expect_truth("setp.num", a, b, !unordered);
      W::expect_truth("setp.nan", a, b, unordered);
    }
}

TEST(PtxOperations, ArithmeticOnReals) { arithmetic<float>(); arithmetic<double>(); }
TEST(PtxOperations, OrdersOfReals) { orders<float>(); orders<double>(); }

TEST(PtxOperations, ExtremesThatKeepNan) {
  const float nan = std::nanf("");
  using W = OfWidth<float>;
  W::expect_real("min.NaN", {nan, 1}, nan);
  W::expect_real("min.NaN", {1, nan}, nan);
  W::expect_real("max.NaN", {nan, -kInf}, nan);
  W::expect_real("min.NaN", {0.0f, -0.0f}, -0.0f);
  W::expect_real("max.NaN", {-0.0f, 0.0f}, 0.0f);
  W::expect_real("max.NaN", {2, 3}, 3);
}

TEST(PtxOperations, TwoInOneRegister) {
  expect("add.rn.f32x2", {pair(1, 2), pair(10, 20)}, pair(11, 22));
  expect("sub.rn.f32x2", {pair(1, kInf), pair(10, kInf)}, kNan32 << 32 | f(-9));
  expect("mul.rn.f32x2", {pair(3, -0.0f), pair(10, 20)}, pair(30, -0.0f));
  expect("fma.rn.f32x2", {pair(3, 4), pair(10, 20), pair(1, 2)}, pair(31, 82));
}

TEST(PtxOperations, NumbersThatAreNoneHaveTheBitsThatWereAskedFor) {
  const RunOptions options{.nan32 = 0xffc12345, .nan64 = 0x7ff8'0000'0000'0007};
  EXPECT_EQ(*one_instruction("sub.rn.f32", {f(kInf), f(kInf)}, options), 0xffc12345u);
  EXPECT_EQ(*one_instruction("sub.rn.f64", {d(kInf64), d(kInf64)}, options), 0x7ff8'0000'0000'0007u);
  EXPECT_EQ(*one_instruction("add.rn.f64", {0x7ff8'0000'0000'1234, d(1)}, options), 0x7ff8'0000'0000'0007u);
}

TEST(PtxOperations, WholeNumbersIntoOthers) {
  for (const char* into : {"u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"})
    for (const char* from : {"u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"}) {
      const int source = std::stoi(from + 1), target = std::stoi(into + 1), holder = std::max(target, 16);
      for (const uint64_t a : whole_numbers(std::max(source, 16))) {
        __int128 value = cut(a, source);
        if (from[0] == 's') value = extended(value, source);
        value = cut(value, target);
        if (into[0] == 's') value = extended(value, target);
        expect(cat("cvt.", into, ".", from), {a}, static_cast<uint64_t>(cut(value, holder)));
      }
    }
}

TEST(PtxOperations, WholeNumbersIntoReals) {
  expect("cvt.rn.f32.u8", {0xfff}, f(255));
  expect("cvt.rn.f32.s8", {0xff}, f(-1));
  expect("cvt.rn.f32.u16", {0xffff}, f(65535));
  expect("cvt.rn.f32.s16", {0xffff}, f(-1));
  expect("cvt.rn.f32.u32", {0xffffffff}, f(4294967296.0f));
  expect("cvt.rn.f32.u32", {16777217}, f(16777216));              // ties to even
  expect("cvt.rn.f32.u32", {16777219}, f(16777220));
  expect("cvt.rn.f32.s32", {0x80000000}, f(-2147483648.0f));
  expect("cvt.rn.f32.u64", {0xffffffffffffffff}, f(18446744073709551616.0f));
  expect("cvt.rn.f32.u64", {0x8000008000000001}, f(0x1.000002p63f));  // not rounded twice
  expect("cvt.rn.f32.s64", {0xffffffffffffffff}, f(-1));
  expect("cvt.rn.f64.u8", {200}, d(200));
  expect("cvt.rn.f64.s8", {200}, d(-56));
  expect("cvt.rn.f64.u16", {65535}, d(65535));
  expect("cvt.rn.f64.s16", {65535}, d(-1));
  expect("cvt.rn.f64.u32", {0xffffffff}, d(4294967295.0));
  expect("cvt.rn.f64.s32", {0xffffffff}, d(-1));
  expect("cvt.rn.f64.u64", {0xffffffffffffffff}, d(18446744073709551616.0));
  expect("cvt.rn.f64.u64", {9007199254740993}, d(9007199254740992.0));
  expect("cvt.rn.f64.s64", {0x8000000000000000}, d(-9223372036854775808.0));
}

TEST(PtxOperations, RealsIntoWholeNumbersStayInRange) {
  // NaN is 0 from 32 bits into at most 32, else the highest bit.
  for (const int n : {8, 16, 32, 64})
    for (const char* mode : {"rni", "rzi", "rmi", "rpi"}) {
      const int holder = std::max(n, 16);
      const uint64_t highest = uint64_t(1) << (n - 1), all = ~uint64_t(0) >> (64 - n), held = ~uint64_t(0) >> (64 - holder);
      const auto both = [&](const std::string& type, double value, uint64_t want) {
        expect(cat("cvt.", mode, ".", type, ".f32"), {f(static_cast<float>(value))}, want);
        expect(cat("cvt.", mode, ".", type, ".f64"), {d(value)}, want);
      };
      const std::string u = "u" + width(n), s = "s" + width(n);
      both(u, kInf64, all); both(u, 1e30, all); both(u, -kInf64, 0); both(u, -1e30, 0); both(u, -1, 0); both(u, 3, 3);
      both(s, kInf64, highest - 1); both(s, 1e30, highest - 1);
      both(s, -kInf64, (0 - highest) & held); both(s, -1e30, (0 - highest) & held); both(s, -1, held); both(s, 3, 3);
      expect(cat("cvt.", mode, ".", u, ".f32"), {kNan32}, n <= 32 ? 0 : highest);
      expect(cat("cvt.", mode, ".", s, ".f32"), {kNan32}, n <= 32 ? 0 : highest);
      expect(cat("cvt.", mode, ".", u, ".f64"), {kNan64}, highest);
      expect(cat("cvt.", mode, ".", s, ".f64"), {kNan64}, (0 - highest) & held);
    }
}

TEST(PtxOperations, FourWaysToRound) {
  const struct { const char* mode; double at_half[4]; } cases[] = {  // 2.5, 3.5, -2.5, -0.5
      {"rni", {2, 4, -2, -0.0}}, {"rzi", {2, 3, -2, -0.0}}, {"rmi", {2, 3, -3, -1}}, {"rpi", {3, 4, -2, -0.0}}};
  const double values[] = {2.5, 3.5, -2.5, -0.5};
  for (const auto& [mode, wants] : cases)
    for (int k = 0; k < 4; ++k) {
      expect(cat("cvt.", mode, ".f32.f32"), {f(static_cast<float>(values[k]))}, f(static_cast<float>(wants[k])));
      expect(cat("cvt.", mode, ".f64.f64"), {d(values[k])}, d(wants[k]));
      expect(cat("cvt.", mode, ".s32.f32"), {f(static_cast<float>(values[k]))}, static_cast<uint32_t>(static_cast<int>(wants[k])));
      expect(cat("cvt.", mode, ".s64.f64"), {d(values[k])}, static_cast<uint64_t>(static_cast<int64_t>(wants[k])));
    }
  expect("cvt.rni.f32.f32", {f(kInf)}, f(kInf));
  expect("cvt.rzi.f64.f64", {d(1e300)}, d(1e300));
}

TEST(PtxOperations, BetweenTheWidthsOfReals) {
  expect("cvt.f64.f32", {f(0x1p-149f)}, d(0x1p-149));
  expect("cvt.f64.f32", {f(-kInf)}, d(-kInf64));
  expect("cvt.f64.f32", {kNan32}, kNan64);
  expect("cvt.rn.f32.f64", {d(1e300)}, f(kInf));
  expect("cvt.rn.f32.f64", {d(1 + 0x1p-24)}, f(1));
  expect("cvt.rn.f32.f64", {d(1 + 0x1.8p-23)}, f(1 + 0x1p-22f));
  expect("cvt.rn.f32.f64", {d(0x1p-150)}, f(0));
  expect("cvt.rn.f32.f64", {d(0x1.8p-150)}, f(0x1p-149f));
  expect("cvt.rn.f32.f64", {kNan64}, kNan32);
}

TEST(PtxOperations, DivisionByZeroIsAFault) {
  for (const char* spelling : {"div.u32", "rem.s64", "div.s16"}) {
    const Result<uint64_t> got = one_instruction(spelling, {1, 0});
    ASSERT_FALSE(got.ok());
    EXPECT_NE(got.error().find("divides by zero"), std::string::npos) << got.error();
  }
}

TEST(PtxOperationsLast, NothingOfTheTableWasForgottenAndNothingIsThereTwice) {
  if (::testing::UnitTest::GetInstance()->test_to_run_count() < 10) GTEST_SKIP() << "only with all the tests above";
  std::set<std::string> known;
  for (const auto& [spelling, operands] : known_instructions()) {
    EXPECT_TRUE(known.emplace(spelling).second) << spelling << " is in the table twice";
    EXPECT_TRUE(seen().contains(std::string(spelling))) << spelling << " was not tested";
  }
}

}  // namespace
}  // namespace hebb::emulator
