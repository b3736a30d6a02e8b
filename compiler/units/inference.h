#pragma once
// Dimension inference: linear algebra over rational exponents. The logarithm of a dimension is a
// vector of exponents, so "these two have one dimension" is a linear equation in the unknown
// dimensions of names. One system per declaration; equations are added one at a time, so that the
// equation that cannot hold is known at its place in the source.

#include <optional>
#include <vector>

#include "compiler/support/source.h"
#include "compiler/units/dimension.h"

namespace hebb {

/// fixed * product of unknown^exponent.
struct DimensionTerm {
  Dimension fixed;
  struct Factor {
    uint32_t unknown;
    Rational exponent;
    friend bool operator==(const Factor&, const Factor&) = default;
  };
  std::vector<Factor> unknowns;  // sorted by unknown, no zero exponent
};
DimensionTerm operator*(const DimensionTerm& a, const DimensionTerm& b);
DimensionTerm operator/(const DimensionTerm& a, const DimensionTerm& b);
DimensionTerm power(const DimensionTerm& a, Rational exponent);

class DimensionSystem {
 public:
  /// A dimension that nothing has decided yet.
  DimensionTerm fresh();
  /// The same dimension with every decided unknown replaced.
  DimensionTerm reduce(const DimensionTerm& term) const;
  /// Adds the equation a = b, written at `origin`. False: it contradicts the ones before, and is not
  /// added.
  bool equate(const DimensionTerm& a, const DimensionTerm& b, Span origin);
  /// The dimension when it is decided.
  std::optional<Dimension> value(const DimensionTerm& term) const;
  /// Where the first decided unknown of `term` was decided; invalid when there is none.
  Span origin(const DimensionTerm& term) const;

 private:
  struct Solution {
    bool known = false;
    DimensionTerm term;  // in unknowns that are not known
    Span origin;
  };
  std::vector<Solution> solutions_;
};

}  // namespace hebb
