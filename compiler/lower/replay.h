#pragma once
// The weight of a synapse whose changes wait though they differ in sign (Deferral::Signs::Replayed).

#include <utility>
#include <vector>

#include "compiler/lower/defer.h"

namespace hebb {

struct Replay {
  Draft& draft;
  const Instance& projection;
  const Deferral& how;

  /// With all that waits: at once, and where a bound may have been met in between, one after another.
  ExprId weight();

 private:
  ExprPool& pool() { return draft.program.pool; }
  ExprId clamped(ExprId value);
  ExprId factor(const Deferral::Product& product);
  ExprId at_once_is_exact(const std::vector<ExprId>& added);
  std::pair<ExprId, ExprId> moved(const Deferral::Product& product, ExprId added);
  ExprId one_after_another();
  ExprId unseen(const Deferral::Product& product);
};

}  // namespace hebb
