#pragma once
// Values as people read them: 6 significant digits, a readable unit, long arrays abbreviated.

#include <string>

#include "compiler/experiment/value.h"

namespace hebb {

/// What internal numbers are multiplied by to be read, and the unit's name ("" for plain numbers).
struct ReadableUnit {
  double factor = 1;
  std::string name;
};
ReadableUnit readable_unit(const Tensor& tensor);

std::string format(const Value& value);
std::string format(const Tensor& tensor);
/// A number as a message names it, nine digits.
std::string rounded(double value);
/// All digits: for messages that explain why two numbers are not equal.
std::string format_exactly(const Tensor& tensor);

}  // namespace hebb
