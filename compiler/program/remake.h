#pragma once
// What a thread may rather make twice than keep: values that little arithmetic makes of what can be read again and of at
// most one value that is kept.

#include <cstdint>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// That cost less than to keep very many values.
constexpr int kRemakeOperations = 80;

struct Remakes {
  /// By ExprId: made again where it is needed.
  std::vector<bool> again;
  /// By ExprId: what has to be kept for it: of what is not made again, itself; invalid: nothing.
  std::vector<ExprId> kept;
};

/// `free`: by ExprId, leaves that can be read again. Others are kept. `most`: operations that one value may take, a division or a
/// read being several; `anchored`: one kept value may be among what it is made of.
Remakes remakes(const ExprPool& pool, const std::vector<bool>& live, const std::vector<bool>& free, int most, bool anchored);

}  // namespace hebb
