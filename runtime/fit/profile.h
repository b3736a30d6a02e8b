#pragma once
// Profile intervals: how far one coefficient can be moved, all others fitted anew, until the data object
// (a likelihood ratio of `threshold`). Found as Venzon and Moolgavkar (1988, Applied Statistics 37, 87-94) do: the
// coefficient and the others move together, by Newton's method.

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace hebb {

/// A loss at one place: value, gradient, and its curvature (n × n), exact or nearly so.
struct LocalLoss {
  double loss = 0;
  std::vector<double> gradient, matrix;
};
/// None: the loss is not finite there.
using LossAround = std::function<std::optional<LocalLoss>(std::span<const double> x)>;

struct ProfileOptions {
  double scale = 1;                // scale * loss is a negative log likelihood
  double threshold = 3.841458820694124;   // of twice the log likelihood ratio: chi-square, 95 %, one degree
  double low, high;                // where the coefficient has to stay
};
/// Where coefficient k ends below (`side` -1) or above (+1) `best`: infinite when nothing ends it.
double profile_end(const LossAround& around, std::span<const double> best, const LocalLoss& at_best, size_t k, int side,
                   const ProfileOptions& options);

}  // namespace hebb
