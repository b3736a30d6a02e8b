#include "runtime/fit/optimiser.h"

#include <Eigen/Dense>
#include <cmath>
#include <numbers>

namespace hebb {

namespace {

constexpr size_t kRemembered = 20;   // pairs of L-BFGS

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const Matrix> square(std::span<const double> values) {
  const auto n = static_cast<Eigen::Index>(std::llround(std::sqrt(static_cast<double>(values.size()))));
  return {values.data(), n, n};
}

}  // namespace

double schedule_factor(Schedule schedule, int64_t done, int64_t all) {
  const double part = all > 0 ? static_cast<double>(done) / static_cast<double>(all) : 0;
  switch (schedule) {
    case Schedule::Constant: return 1;
    case Schedule::Cosine: return 0.5 * (1 + std::cos(std::numbers::pi * part));
    case Schedule::Step: return part < 0.5 ? 1 : part < 0.75 ? 0.1 : 0.01;
  }
  return 1;
}

double clip_norm(std::span<double> gradient, std::optional<double> clip) {
  const double norm = std::sqrt(dot(gradient, gradient));
  if (clip && norm > *clip)
    for (double& g : gradient) g *= *clip / norm;
  return norm;
}

void step(Adam& state, std::span<double> x, std::span<const double> gradient, double lr) {
  constexpr double kFirst = 0.9, kSecond = 0.999, kFloor = 1e-8;
  state.first.resize(x.size());
  state.second.resize(x.size());
  ++state.updates;
  const double t = static_cast<double>(state.updates);
  const double first_bias = 1 - std::pow(kFirst, t), second_bias = 1 - std::pow(kSecond, t);
  for (size_t i = 0; i < x.size(); ++i) {
    const double g = gradient[i];
    state.first[i] = kFirst * state.first[i] + (1 - kFirst) * g;
    state.second[i] = kSecond * state.second[i] + (1 - kSecond) * g * g;
    x[i] -= lr * (state.first[i] / first_bias) / (std::sqrt(state.second[i] / second_bias) + kFloor);
  }
}

std::vector<double> direction(const Lbfgs& state, std::span<const double> gradient) {
  std::vector<double> q(gradient.begin(), gradient.end());
  const size_t n = state.moves.size();
  std::vector<double> alpha(n);
  for (size_t k = n; k-- > 0;) {
    alpha[k] = dot(state.moves[k], q) / dot(state.moves[k], state.changes[k]);
    for (size_t i = 0; i < q.size(); ++i) q[i] -= alpha[k] * state.changes[k][i];
  }
  if (n > 0) {
    const double scale = dot(state.moves[n - 1], state.changes[n - 1]) / dot(state.changes[n - 1], state.changes[n - 1]);
    for (double& value : q) value *= scale;
  }
  for (size_t k = 0; k < n; ++k) {
    const double beta = dot(state.changes[k], q) / dot(state.moves[k], state.changes[k]);
    for (size_t i = 0; i < q.size(); ++i) q[i] += state.moves[k][i] * (alpha[k] - beta);
  }
  for (double& value : q) value = -value;
  return q;
}

void accept(Lbfgs& state, std::span<const double> x, std::span<const double> gradient) {
  if (!state.x.empty()) {
    std::vector<double> move(x.size()), change(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      move[i] = x[i] - state.x[i];
      change[i] = gradient[i] - state.gradient[i];
    }
    const double curvature = dot(move, change);
    if (curvature > 1e-12 * std::sqrt(dot(move, move) * dot(change, change))) {
      state.moves.push_back(std::move(move));
      state.changes.push_back(std::move(change));
    }
    if (state.moves.size() > kRemembered) {
      state.moves.erase(state.moves.begin());
      state.changes.erase(state.changes.begin());
    }
  }
  state.x.assign(x.begin(), x.end());
  state.gradient.assign(gradient.begin(), gradient.end());
}

std::vector<double> damped_step(std::span<const double> hessian, std::span<const double> gradient, double damping) {
  Matrix h = square(hessian);
  const Eigen::Index n = h.rows();
  const double floor = 1e-12 * std::max(h.diagonal().cwiseAbs().maxCoeff(), 1e-300);
  for (Eigen::Index i = 0; i < n; ++i) h(i, i) += damping * std::max(h(i, i), floor) + floor;
  const Eigen::Map<const Eigen::VectorXd> g(gradient.data(), n);
  const Eigen::LDLT<Matrix> solver(h);
  if (solver.info() != Eigen::Success) return {};
  const Eigen::VectorXd d = solver.solve(-g);
  if (!d.allFinite()) return {};
  return {d.data(), d.data() + n};
}

Spectrum spectrum(std::span<const double> matrix) {
  const Matrix m = square(matrix);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(m);
  const Eigen::Index n = m.rows();
  Spectrum out;
  for (Eigen::Index k = n; k-- > 0;) {
    out.values.push_back(solver.eigenvalues()[k]);
    for (Eigen::Index i = 0; i < n; ++i) out.vectors.push_back(solver.eigenvectors()(i, k));
  }
  return out;
}

PseudoInverse inverse(std::span<const double> matrix, double least) {
  const Spectrum s = spectrum(matrix);
  const size_t n = s.values.size();
  PseudoInverse out{.matrix = std::vector<double>(n * n), .left_out = 0};
  for (size_t k = 0; k < n; ++k) {
    if (!(s.values[k] > least * s.values[0])) {
      ++out.left_out;
      continue;
    }
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) out.matrix[i * n + j] += s.vectors[k * n + i] * s.vectors[k * n + j] / s.values[k];
  }
  return out;
}

}  // namespace hebb
