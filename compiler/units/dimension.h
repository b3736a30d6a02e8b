#pragma once
// Dimensions: rational exponents over the base quantities. Inside a model every value is in the one
// consistent set ms, mV, pA (so nS = pA/mV, GOhm = mV/pA, pF = pA*ms/mV): no conversion factor
// is left after the literals are read.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hebb {

/// A reduced fraction with a positive denominator.
struct Rational {
  int64_t num = 0;
  int64_t den = 1;
  friend bool operator==(Rational, Rational) = default;
};
Rational make_rational(int64_t num, int64_t den);
Rational operator+(Rational a, Rational b);
Rational operator-(Rational a, Rational b);
Rational operator*(Rational a, Rational b);
Rational operator/(Rational a, Rational b);

enum class BaseQuantity { Time, Voltage, Current, Length, Amount, Temperature };
constexpr int kBaseQuantities = 6;

struct Dimension {
  std::array<Rational, kBaseQuantities> exponents{};
  bool dimensionless() const { return *this == Dimension{}; }
  friend bool operator==(const Dimension&, const Dimension&) = default;
};
Dimension operator*(const Dimension& a, const Dimension& b);
Dimension operator/(const Dimension& a, const Dimension& b);
Dimension power(const Dimension& a, Rational exponent);

/// "voltage/time", "1/time", "a plain number"
std::string describe(const Dimension& dimension);
/// The internal unit: "mV/ms", "1/ms", "1"
std::string unit_text(const Dimension& dimension);

struct UnitInfo {
  std::string_view name;  // "ms", "Hz", "MOhm"
  double scale;           // value in internal units of one such unit
  Dimension dimension;
};
/// All unit names: s ms us ns min h day, Hz kHz, V mV uV, A nA pA uA mA, S mS uS nS pS, Ohm kOhm MOhm
/// GOhm, F uF nF pF, m mm um nm, mol mmol umol M mM uM nM, K, and 1.
const std::vector<UnitInfo>& all_units();
const UnitInfo* find_unit(std::string_view name);

}  // namespace hebb
