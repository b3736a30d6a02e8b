#include "compiler/units/dimension.h"

#include <cassert>
#include <limits>
#include <numeric>

#include "compiler/support/text.h"

namespace hebb {
namespace {

constexpr std::array<std::string_view, kBaseQuantities> kQuantityNames = {"time",   "voltage", "current",
                                                                          "length", "amount",  "temperature"};
constexpr std::array<std::string_view, kBaseQuantities> kInternalUnits = {"ms", "mV",   "pA",
                                                                          "um", "umol", "K"};

/// Exponents that overflow 64 bits come from nonsense such as x^1e9^1e9; any value that cannot
/// cancel by accident will do.
constexpr Rational kOverflow{std::numeric_limits<int64_t>::max(), 1};

/// "voltage^2*time/current": one spelling for names of quantities and of units.
std::string spell(const Dimension& dimension, const std::array<std::string_view, kBaseQuantities>& names) {
  const auto factor = [&](size_t q, Rational exponent) {
    if (exponent == Rational{1, 1}) return std::string(names[q]);
    if (exponent.den == 1) return cat(names[q], '^', exponent.num);
    return cat(names[q], "^(", exponent.num, '/', exponent.den, ')');
  };
  std::vector<std::string> above, below;
  for (size_t q = 0; q < kBaseQuantities; ++q) {
    const Rational exponent = dimension.exponents[q];
    if (exponent.num > 0) above.push_back(factor(q, exponent));
    if (exponent.num < 0) below.push_back(factor(q, Rational{-exponent.num, exponent.den}));
  }
  std::string out = above.empty() ? "1" : joined(above, "*");
  for (const std::string& piece : below) out += "/" + piece;
  return out;
}

}  // namespace

Rational make_rational(int64_t num, int64_t den) {
  assert(den != 0 && "a fraction has a denominator");
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  if (num == kLowest || den == kLowest) return kOverflow;
  if (num == 0) return {0, 1};
  const int64_t divisor = std::gcd(num, den);
  if (den < 0) num = -num, den = -den;
  return {num / divisor, den / divisor};
}

Rational operator+(Rational a, Rational b) {
  if (a.num == 0) return b;
  if (b.num == 0) return a;
  int64_t left, right, num, den;
  if (__builtin_mul_overflow(a.num, b.den, &left) || __builtin_mul_overflow(b.num, a.den, &right) ||
      __builtin_add_overflow(left, right, &num) || __builtin_mul_overflow(a.den, b.den, &den)) {
    return kOverflow;
  }
  return make_rational(num, den);
}

Rational operator-(Rational a, Rational b) { return a + make_rational(-b.num, b.den); }

Rational operator*(Rational a, Rational b) {
  if (a.num == 0 || b.num == 0) return {};
  int64_t num, den;
  if (__builtin_mul_overflow(a.num, b.num, &num) || __builtin_mul_overflow(a.den, b.den, &den)) {
    return kOverflow;
  }
  return make_rational(num, den);
}

Rational operator/(Rational a, Rational b) {
  assert(b.num != 0 && "division by a zero exponent");
  return a * make_rational(b.den, b.num);
}

Dimension operator*(const Dimension& a, const Dimension& b) {
  Dimension out;
  for (size_t q = 0; q < kBaseQuantities; ++q) out.exponents[q] = a.exponents[q] + b.exponents[q];
  return out;
}

Dimension operator/(const Dimension& a, const Dimension& b) {
  Dimension out;
  for (size_t q = 0; q < kBaseQuantities; ++q) out.exponents[q] = a.exponents[q] - b.exponents[q];
  return out;
}

Dimension power(const Dimension& a, Rational exponent) {
  Dimension out;
  for (size_t q = 0; q < kBaseQuantities; ++q) out.exponents[q] = a.exponents[q] * exponent;
  return out;
}

std::string describe(const Dimension& dimension) {
  return dimension.dimensionless() ? "a plain number" : spell(dimension, kQuantityNames);
}

std::string unit_text(const Dimension& dimension) { return spell(dimension, kInternalUnits); }

}  // namespace hebb
