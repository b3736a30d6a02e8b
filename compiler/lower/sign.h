#pragma once
// What is known of the sign of a value of a program, whatever its columns hold.

#include <functional>
#include <optional>
#include <set>

#include "compiler/program/program.h"

namespace hebb {

/// Never negative (or never positive) times the signs of some values that keep theirs as long as the host
/// sets nothing: parameters, steps. Two values with equal Signs have one sign, or are 0.
struct Sign {
  bool negative = false;
  std::set<ExprId> of;
  friend bool operator==(const Sign&, const Sign&) = default;
};

/// The sign of what a leaf reads; nothing: it may change. Fixed: so does its value, as long as the host sets nothing.
struct LeafKnown {
  Sign sign;
  bool fixed = false;
};
using LeafSign = std::function<std::optional<LeafKnown>(ExprId id, const ExprNode& leaf)>;

/// Nothing: the value may change its sign. What is made of fixed values keeps whichever it has.
std::optional<Sign> sign_of(const ExprPool& pool, ExprId root, const LeafSign& leaf);

/// Parameters and steps are fixed, steps and indicators not negative, all else may change.
LeafSign signs_of_parameters(const Program& program);

}  // namespace hebb
