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

  /// With all that waits: at once, and where a bound may have been met in between, one after another. Where what waits
  /// depends on the weight, always one after another.
  ExprId weight();

 private:
  ExprPool& pool() { return draft.program.pool; }
  ExprId clamped(ExprId value);
  ExprId factor(const Deferral::Product& product);
  ExprId at_once_is_exact(const std::vector<ExprId>& added);
  std::pair<ExprId, ExprId> moved(const Deferral::Product& product, ExprId added);
  ExprId one_after_another();
  ExprId repeated();
  /// What the post spike before `k` others added to a synapse whose weight was `weight`.
  ExprId added(uint32_t k, ExprId weight);
  ExprId unseen(const Deferral::Product& product);
};

}  // namespace hebb
