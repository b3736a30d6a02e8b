#pragma once
// How one thread of a device goes through the arithmetic of a row: in which order, and what it would rather make twice
// than keep in a register.

#include <cstdint>
#include <vector>

#include "compiler/codegen/stages.h"
#include "compiler/program/device.h"

namespace hebb {

struct RowPlan {
  /// The row is careful with registers: the rest holds only then.
  bool crowded = false;
  /// As RowOrder has it; effects are stores, then sums. Empty: as the stages have it.
  std::vector<uint32_t> order;
  /// By ExprId: read, or made of little that was read, where the row first needs it, and in later stretches of it again.
  std::vector<bool> again;
  /// By ExprId: of `again`, what the row makes once: it changes it, or draws it.
  std::vector<bool> once;
  /// By ExprId: made in its place in the order, and again where it is needed much later.
  std::vector<bool> fades;
};

RowPlan plan_row(const DeviceProgram& device, KernelId id, const Stages& stages);

/// Whether a value of that level stays the same in a thread's loop over rows.
bool stays(const DeviceProgram& device, KernelId id, Level level);

}  // namespace hebb
