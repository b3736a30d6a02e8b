#pragma once
// Values as people read them: 6 significant digits, a readable unit, long arrays abbreviated.

#include <string>

#include "compiler/experiment/value.h"

namespace hebb {

std::string format(const Value& value);
std::string format(const Tensor& tensor);
/// All digits: for messages that explain why two numbers are not equal.
std::string format_exactly(const Tensor& tensor);

}  // namespace hebb
