#include "runtime/fit/profile.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/fit/optimiser.h"

namespace hebb {

namespace {

/// Least damping: keeps directions that the data do not see from running away.
constexpr double kDamping = 1e-10;

/// The others' best move when coefficient k moves by `move`, and what it is expected to gain.
struct Others {
  std::vector<double> step;
  double gain = 0;
};
Others others_step(const LocalLoss& at, size_t k, double move, double damping) {
  const size_t n = at.gradient.size(), m = n - 1;
  Others out{.step = std::vector<double>(n), .gain = 0};
  out.step[k] = move;
  if (m == 0) return out;
  const auto place = [&](size_t i) { return i < k ? i : i + 1; };
  std::vector<double> h(m * m), g(m);
  for (size_t i = 0; i < m; ++i) {
    g[i] = at.gradient[place(i)] + at.matrix[place(i) * n + k] * move;
    for (size_t j = 0; j < m; ++j) h[i * m + j] = at.matrix[place(i) * n + place(j)];
  }
  const std::vector<double> step = damped_step(h, g, damping);
  for (size_t i = 0; i < step.size(); ++i) {
    out.step[place(i)] = step[i];
    out.gain -= 0.5 * g[i] * step[i];
  }
  return out;
}

/// Curvature along coefficient k with the others following.
double curvature_along(const LocalLoss& at, size_t k) {
  LocalLoss flat = at;
  std::fill(flat.gradient.begin(), flat.gradient.end(), 0.0);
  return at.matrix[k * at.gradient.size() + k] - 2 * others_step(flat, k, 1, kDamping).gain;
}

/// A place on the profile: coefficient k at its value, the others at their best for it.
struct Point {
  std::vector<double> x;
  LocalLoss at;
  double ratio = 0;   // twice the log likelihood ratio to the minimum
};

/// From `from` to x[k] = target, and then down in all other directions. None: nothing is finite there.
std::optional<Point> point_at(const LossAround& around, const Point& from, size_t k, double target, double best_loss,
                              const ProfileOptions& options) {
  constexpr int kMostSteps = 25;
  constexpr double kSettled = 2e-3, kLargestDamping = 1e8;
  const auto moved = [&](const std::vector<double>& x, const std::vector<double>& step) {
    std::vector<double> out = x;
    for (size_t i = 0; i < x.size(); ++i) out[i] += step[i];
    out[k] = target;
    return out;
  };
  Point out;
  // Along the tangent of the profile, or with the others as they are when that is too far.
  for (const bool follow : {true, false}) {
    std::vector<double> step(from.x.size());
    if (follow) step = others_step(from.at, k, target - from.x[k], kDamping).step;
    out.x = moved(from.x, step);
    auto at = around(out.x);
    if (!at || !std::isfinite(at->loss)) continue;
    out.at = std::move(*at);
    break;
  }
  if (out.at.gradient.empty()) return std::nullopt;
  double damping = kDamping;
  for (int step = 0; step < kMostSteps && damping < kLargestDamping; ++step) {
    const double left = others_step(out.at, k, 0, kDamping).gain;
    if (2 * options.scale * left < kSettled * options.threshold) break;
    const std::vector<double> x = moved(out.x, others_step(out.at, k, 0, damping).step);
    auto at = around(x);
    if (!at || !(at->loss < out.at.loss)) {
      damping = std::max(10 * damping, 1e-4);
      continue;
    }
    out.x = x;
    out.at = std::move(*at);
    damping = std::max(0.1 * damping, kDamping);
  }
  out.ratio = 2 * options.scale * (out.at.loss - best_loss);
  return out;
}

}  // namespace

double profile_end(const LossAround& around, std::span<const double> best, const LocalLoss& at_best, size_t k, int side,
                   const ProfileOptions& options) {
  constexpr int kMostPoints = 40;
  constexpr double kClose = 1e-2, kFarthest = 1e4, kMostGrowth = 2, kLeastGrowth = 1.05, kNarrow = 1e-3;
  constexpr double kOpen = std::numeric_limits<double>::infinity();
  const double bend = options.scale * curvature_along(at_best, k);
  if (!(bend > 0) || !std::isfinite(bend)) return side * kOpen;
  const double first = side * std::sqrt(options.threshold / bend);
  const double limit = side < 0 ? options.low : options.high;
  const auto bounded = [&](double x) { return side < 0 ? std::max(x, limit) : std::min(x, limit); };

  // The root of the ratio grows about in proportion to the distance: the end is looked for by that line.
  const double goal = std::sqrt(options.threshold);
  Point inside{.x = {best.begin(), best.end()}, .at = at_best, .ratio = 0};
  std::optional<double> outside;   // a value beyond the end, and the root of its ratio
  double outside_root = 0;
  double target = bounded(best[k] + 0.5 * first);
  for (int points = 0; points < kMostPoints; ++points) {
    auto there = point_at(around, inside, k, target, at_best.loss, options);
    if (there && std::fabs(there->ratio - options.threshold) < kClose * options.threshold) return target;
    const double root = there ? std::sqrt(std::max(there->ratio, 0.0)) : kOpen;
    if (root > goal) {
      outside = target;
      outside_root = root;
    } else {
      if (target == limit) return limit;
      inside = std::move(*there);
    }
    const double at = inside.x[k], reached = std::sqrt(std::max(inside.ratio, 0.0));
    if (outside) {
      const double width = *outside - at;
      if (std::fabs(width) < kNarrow * std::fabs(first)) return at + 0.5 * width;
      const double share = std::isfinite(outside_root) ? (goal - reached) / (outside_root - reached) : 0.5;
      target = at + width * std::clamp(share, 0.1, 0.9);
      continue;
    }
    if (std::fabs(at - best[k]) > kFarthest * std::fabs(first)) return side * kOpen;
    const double growth = reached > 0 ? std::clamp(goal / reached, kLeastGrowth, kMostGrowth) : kMostGrowth;
    target = bounded(best[k] + (at - best[k]) * growth);
  }
  return inside.x[k];
}

}  // namespace hebb
