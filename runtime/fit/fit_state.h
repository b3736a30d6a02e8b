#pragma once
// Everything a fit needs to go on where it stopped, and its file: the next update is the same to the last
// bit whether the process was killed in between or not.

#include <limits>
#include <string>
#include <vector>

#include "compiler/support/result.h"
#include "runtime/fit/optimiser.h"

namespace hebb {

/// One start.
struct StartState {
  int64_t update = 0;
  std::vector<double> x;           // free numbers
  Adam adam;
  Lbfgs lbfgs;
  double lbfgs_loss = 0;           // at lbfgs.x
  double damping = 1e-3;           // of Levenberg–Marquardt
  double previous = std::numeric_limits<double>::infinity();   // loss of the update before
  double epoch_sum = 0;
  int64_t epoch_updates = 0;
  int64_t stale = 0;               // epochs without a better score
  double best = std::numeric_limits<double>::infinity();       // score, and where it was found
  std::vector<double> best_x;
  double first_loss = std::numeric_limits<double>::quiet_NaN();
  std::string stopped;             // why it could not go on; empty: it did
  bool ended = false;
};

struct FitState {
  std::vector<StartState> starts;  // that have begun, in order
  bool finished = false;
};

/// `fingerprint` tells the fits of different sources apart: a file of another one is refused.
Status save_state(const std::string& path, uint64_t fingerprint, const FitState& state);
Result<FitState> load_state(const std::string& path, uint64_t fingerprint);

}  // namespace hebb
