#pragma once
// What a step computes from parameters alone, such as exp(-dt / tau): the same in every step until the host
// sets one of them.

#include <vector>

#include "compiler/program/program.h"

namespace hebb {

struct StepConstants {
  std::vector<bool> columns;     // by number: all that a step stores there depends on parameters alone
  std::vector<bool> kernels;     // by number: those that store nothing else
};

StepConstants step_constants(const Program& program);

}  // namespace hebb
