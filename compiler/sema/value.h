#pragma once
// What an expression of the source means while it is being read: unrolled elements, a dimension, and
// the spike trains it is affine in.

#include <vector>

#include "compiler/model/model.h"
#include "compiler/units/inference.h"

namespace hebb::sema {

/// factor * S(t), with S the spike train of an event; one factor per element, invalid where it is 0.
struct Train {
  EventId event;
  std::vector<ExprId> factor;
};

/// elements + sum over trains of factor * S. An invalid element is an exact 0 that only a train left
/// behind: nothing is stored for it.
struct Value {
  Shape shape;
  std::vector<ExprId> elements;
  DimensionTerm dimension;
  std::vector<Train> trains;
  bool poisoned = false;  // an error was reported below it: says nothing more
  bool drawn = false;     // holds a random draw
  bool after = false;     // holds an after(x): has a meaning at an instant only

  bool scalar() const { return shape.scalar(); }
  ExprId only() const { return elements.front(); }
};

inline Value poison() {
  Value out;
  out.poisoned = true;
  return out;
}

}  // namespace hebb::sema
