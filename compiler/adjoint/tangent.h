#pragma once
// Program → Program: the step with the derivatives of its columns beside them, one direction for each
// element of the targets. Forward mode: what second-order fits of few parameters need.

#include <string_view>

#include "compiler/adjoint/adjoint.h"

namespace hebb {

/// What the name of a column of derivatives begins with: then that of its primal.
inline constexpr std::string_view kTangentOf = "t/";

struct Tangent {
  Program program;                   // columns of the primal keep their ids
  /// By primal column: the column of its derivatives, invalid when they are zero. Element e along direction k
  /// is element e * directions + k.
  std::vector<ColumnId> tangent_of;
  int64_t directions = 0;            // elements of all targets, in order
};

struct TangentResult {
  std::optional<Tangent> tangent;
  std::optional<AdjointRefusal> refusal;
};

/// `targets` are uniform parameters that the host sets. The plan must not begin sums ahead.
TangentResult tangent(const Program& program, std::span<const ColumnId> targets,
                      std::span<const ColumnId> outputs);

}  // namespace hebb
