#pragma once
// Everything a fit needs to go on where it stopped, and its file: the next update is the same to the last
// bit whether the process was killed in between or not.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
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

/// What every such file begins with, of whatever version.
inline constexpr std::string_view kFitStateBegins = "hebb fit state ";

/// Hashes of what decides a fit: a file of another one is refused, with what differs.
struct FitIdentity {
  uint64_t source = 0;     // the texts of all files, with what the command sets in them
  uint64_t place = 0;      // of the fit in them
  uint64_t settings = 0;   // the seed and the precision
  uint64_t data = 0;       // of the files that were loaded
};
Status save_state(const std::string& path, const FitIdentity& identity, const FitState& state);
Result<FitState> load_state(const std::string& path, const FitIdentity& identity);

}  // namespace hebb
