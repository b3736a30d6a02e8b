#pragma once
// First-order optimisers as functions of a state that can be written to a file: the same state and the same
// gradients give the same steps, to the last bit.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hebb {

enum class Method { Adam, Lbfgs, GradientDescent, GaussNewton };

enum class Schedule { Constant, Cosine, Step };
/// What the learning rate is multiplied by at update `done` of `all`.
double schedule_factor(Schedule schedule, int64_t done, int64_t all);

/// Scales the gradient so that its norm is at most `clip`; returns the norm before.
double clip_norm(std::span<double> gradient, std::optional<double> clip);

/// Kingma & Ba (2015), with their constants.
struct Adam {
  std::vector<double> first, second;   // moments
  int64_t updates = 0;
};
void step(Adam& state, std::span<double> x, std::span<const double> gradient, double lr);

/// Limited-memory BFGS (Nocedal 1980): the direction; the host searches along it.
struct Lbfgs {
  std::vector<std::vector<double>> moves, changes;   // of x and of the gradient, oldest first
  std::vector<double> x, gradient;                   // where the last accepted step ended
};
std::vector<double> direction(const Lbfgs& state, std::span<const double> gradient);
/// Remembers an accepted step. Pairs without positive curvature are left out.
void accept(Lbfgs& state, std::span<const double> x, std::span<const double> gradient);

/// Solves (H + damping * diag(H)) d = -g, for Levenberg–Marquardt (Marquardt 1963). Empty: not solvable.
std::vector<double> damped_step(std::span<const double> hessian, std::span<const double> gradient, double damping);

/// A symmetric matrix: eigenvalues, largest first, and their vectors, one a row.
struct Spectrum {
  std::vector<double> values;
  std::vector<double> vectors;
};
Spectrum spectrum(std::span<const double> matrix);
/// Inverse of a symmetric matrix; directions with less than `least` of the largest eigenvalue are left out
/// and counted.
struct PseudoInverse {
  std::vector<double> matrix;
  int64_t left_out = 0;
};
PseudoInverse inverse(std::span<const double> matrix, double least);

}  // namespace hebb
