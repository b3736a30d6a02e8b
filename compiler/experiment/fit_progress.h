#pragma once
// The one line that changes on a terminal while a fit goes on.

#include <cstdint>
#include <string>

namespace hebb {

struct FitProgress {
  int64_t update = 0, steps = 0;     // of the start that is furthest
  int64_t first = 1, last = 1, starts = 1;   // starts under way, and how many there will be
  double loss = 0, norm = 0;
  double seconds_left = 0;
  bool at_most = false;              // it may end earlier
};

/// Shorter than `columns`, so that no terminal wraps it: what matters least is left out.
std::string progress_line(const FitProgress& at, int columns);

}  // namespace hebb
