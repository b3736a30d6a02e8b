#pragma once
// Rules R that the tests of sparse projections and of threads both run.

namespace hebb::testing {

inline const char* const kEligible = R"(
rule R : local { param tau = 20 ms, a = 0.05; weight w in [0, 1];
  x' = -x / tau + pre.spike; y' = -y / tau + post.spike;
  e' = -e / 100 ms + x * post.spike - y * pre.spike;
  w' = a * e / 1 ms; }
)";
inline const char* const kAssigning = R"(
rule R : local { param tau = 20 ms; weight w in [0, 1]; state last = 0;
  x' = -x / tau + pre.spike;
  on pre.spike { last := w; w -= 0.1 * last; }
  on post.spike { w += 0.3 * x; last += 0.1; } }
)";

}  // namespace hebb::testing
