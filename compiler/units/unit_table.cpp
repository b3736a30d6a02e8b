#include <unordered_map>

#include "compiler/units/dimension.h"

namespace hebb {
namespace {

/// Exponents in the order of BaseQuantity: time, voltage, current, length, amount, temperature.
Dimension dim(int time, int voltage, int current, int length = 0, int amount = 0, int kelvin = 0) {
  const int exponents[kBaseQuantities] = {time, voltage, current, length, amount, kelvin};
  Dimension out;
  for (size_t q = 0; q < kBaseQuantities; ++q) out.exponents[q] = {exponents[q], 1};
  return out;
}

std::vector<UnitInfo> build_table() {
  const Dimension time = dim(1, 0, 0), rate = dim(-1, 0, 0), voltage = dim(0, 1, 0);
  const Dimension current = dim(0, 0, 1), conductance = dim(0, -1, 1), resistance = dim(0, 1, -1);
  const Dimension capacitance = dim(1, -1, 1), length = dim(0, 0, 0, 1);
  const Dimension amount = dim(0, 0, 0, 0, 1), concentration = dim(0, 0, 0, -3, 1);
  const Dimension temperature = dim(0, 0, 0, 0, 0, 1);
  return {
      {"1", 1, {}},
      // ms
      {"s", 1e3, time},
      {"ms", 1, time},
      {"us", 1e-3, time},
      {"ns", 1e-6, time},
      {"min", 60e3, time},
      {"h", 3600e3, time},
      {"day", 86400e3, time},
      {"Hz", 1e-3, rate},
      {"kHz", 1, rate},
      // mV
      {"V", 1e3, voltage},
      {"mV", 1, voltage},
      {"uV", 1e-3, voltage},
      // pA
      {"A", 1e12, current},
      {"mA", 1e9, current},
      {"uA", 1e6, current},
      {"nA", 1e3, current},
      {"pA", 1, current},
      // nS = pA/mV
      {"S", 1e9, conductance},
      {"mS", 1e6, conductance},
      {"uS", 1e3, conductance},
      {"nS", 1, conductance},
      {"pS", 1e-3, conductance},
      // GOhm = mV/pA
      {"Ohm", 1e-9, resistance},
      {"kOhm", 1e-6, resistance},
      {"MOhm", 1e-3, resistance},
      {"GOhm", 1, resistance},
      // pF = pA*ms/mV
      {"F", 1e12, capacitance},
      {"uF", 1e6, capacitance},
      {"nF", 1e3, capacitance},
      {"pF", 1, capacitance},
      // um
      {"m", 1e6, length},
      {"mm", 1e3, length},
      {"um", 1, length},
      {"nm", 1e-3, length},
      // umol; 1 M = 1 mol/dm^3 = 1e6 umol / 1e15 um^3
      {"mol", 1e6, amount},
      {"mmol", 1e3, amount},
      {"umol", 1, amount},
      {"M", 1e-9, concentration},
      {"mM", 1e-12, concentration},
      {"uM", 1e-15, concentration},
      {"nM", 1e-18, concentration},
      {"K", 1, temperature},
  };
}

}  // namespace

const std::vector<UnitInfo>& all_units() {
  static const std::vector<UnitInfo> table = build_table();
  return table;
}

const UnitInfo* find_unit(std::string_view name) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const UnitInfo*> out;
    for (const UnitInfo& unit : all_units()) out.emplace(unit.name, &unit);
    return out;
  }();
  const auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

}  // namespace hebb
