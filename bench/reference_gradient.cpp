// Compiled by clang with -O3 -march=native -ffast-math, on its own.

#include "bench/reference_gradient.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace {

typedef float Lanes __attribute__((vector_size(64)));

Lanes all(float value) { return Lanes{} + value; }

struct Aligned {
  explicit Aligned(size_t count) : memory(new char[count * sizeof(Lanes) + 64]) {
    const auto address = reinterpret_cast<uintptr_t>(memory.get());
    values = reinterpret_cast<Lanes*>((address + 63) / 64 * 64);
    std::memset(values, 0, count * sizeof(Lanes));
  }
  std::unique_ptr<char[]> memory;
  Lanes* values;
};

Lanes magnitude(Lanes u) { return u < 0 ? -u : u; }
Lanes rate(Lanes u) { return u / (all(1) + magnitude(u)); }
Lanes slope(Lanes u) {
  const Lanes d = all(1) / (all(1) + magnitude(u));
  return d * d;
}

/// eta * sum over b of theta[a][b][c] y^b, at 3 a + c.
void fold(const GradientTask& t, Lanes y, Lanes out[9]) {
  const Lanes y2 = y * y;
  for (int a = 0; a < 3; ++a)
    for (int c = 0; c < 3; ++c)
      out[3 * a + c] = all(t.eta) * (all(t.theta[9 * a + c]) + all(t.theta[9 * a + 3 + c]) * y + all(t.theta[9 * a + 6 + c]) * y2);
}

Lanes weighted_sum(const Lanes* w, const float* x, int n) {
  Lanes u = all(0);
  for (int i = 0; i < n; ++i) u += all(x[i]) * w[i];
  return u;
}

/// The update of one step and the weighted sum of the next.
Lanes step(const GradientTask& t, const Lanes* __restrict from, Lanes* to, const float* __restrict x,
           const float* __restrict next, Lanes y) {
  Lanes b[9];
  fold(t, y, b);
  b[1] += all(1);
  Lanes u0 = all(0), u1 = all(0);
  const auto one = [&](int i, Lanes& u) {
    const Lanes xi = all(x[i]), xx = all(x[i] * x[i]);
    const Lanes a0 = b[0] + b[3] * xi + b[6] * xx, a1 = b[1] + b[4] * xi + b[7] * xx, a2 = b[2] + b[5] * xi + b[8] * xx;
    const Lanes w = from[i], moved = a0 + w * (a1 + w * a2);
    to[i] = moved;
    u += all(next[i]) * moved;
  };
  int i = 0;
  for (; i + 1 < t.n_pre; i += 2) one(i, u0), one(i + 1, u1);
  for (; i < t.n_pre; ++i) one(i, u0);
  return u0 + u1;
}

/// The update alone.
void step_again(const GradientTask& t, const Lanes* __restrict from, Lanes* __restrict to, const float* __restrict x, Lanes y) {
  Lanes b[9];
  fold(t, y, b);
  b[1] += all(1);
  for (int i = 0; i < t.n_pre; ++i) {
    const Lanes xi = all(x[i]), xx = all(x[i] * x[i]), w = from[i];
    const Lanes a0 = b[0] + b[3] * xi + b[6] * xx, a1 = b[1] + b[4] * xi + b[7] * xx, a2 = b[2] + b[5] * xi + b[8] * xx;
    to[i] = a0 + w * (a1 + w * a2);
  }
}

/// `owed`: what the weights after this step are owed but for the sum of the next step, whose own is `next_u`.
/// Returns what this step's sum is owed.
Lanes back(const GradientTask& t, const Lanes* __restrict w, Lanes* __restrict owed, const float* __restrict x,
           const float* __restrict next, Lanes next_u, Lanes u, Lanes y, Lanes error, Lanes* gradient) {
  Lanes b[9];
  fold(t, y, b);
  b[1] += all(1), b[2] += b[2], b[5] += b[5], b[8] += b[8];
  Lanes m[9];
  for (Lanes& each : m) each = all(0);
  for (int i = 0; i < t.n_pre; ++i) {
    const Lanes xi = all(x[i]), xx = all(x[i] * x[i]);
    const Lanes l = owed[i] + all(next[i]) * next_u, v = w[i], lw = l * v, lww = lw * v;
    m[0] += l, m[3] += l * xi, m[6] += l * xx;
    m[1] += lw, m[4] += lw * xi, m[7] += lw * xx;
    m[2] += lww, m[5] += lww * xi, m[8] += lww * xx;
    owed[i] = l * (b[1] + b[4] * xi + b[7] * xx + v * (b[2] + b[5] * xi + b[8] * xx));
  }
  const Lanes y2 = y * y;
  Lanes by_y = error;
  for (int a = 0; a < 3; ++a) {
    for (int c = 0; c < 3; ++c) {
      const Lanes q = all(t.eta) * m[3 * a + c];
      gradient[9 * a + c] += q, gradient[9 * a + 3 + c] += q * y, gradient[9 * a + 6 + c] += q * y2;
      by_y += q * (all(t.theta[9 * a + 3 + c]) + all(2 * t.theta[9 * a + 6 + c]) * y);
    }
  }
  return by_y * slope(u);
}

}  // namespace

void reference_forward(const GradientTask* task, float* y) {
  const GradientTask& t = *task;
  Aligned w(static_cast<size_t>(t.n_pre));
  for (int tile = 0; tile < t.n_post / 16; ++tile) {
    std::memcpy(w.values, t.w + static_cast<size_t>(tile) * t.n_pre * 16, sizeof(Lanes) * static_cast<size_t>(t.n_pre));
    Lanes u = weighted_sum(w.values, t.x, t.n_pre);
    for (int k = 0; k < t.steps; ++k) {
      const Lanes r = rate(u);
      std::memcpy(y + static_cast<size_t>(k) * t.n_post + tile * 16, &r, sizeof r);
      u = step(t, w.values, w.values, t.x + static_cast<size_t>(k) * t.n_pre, t.x + static_cast<size_t>(k + 1) * t.n_pre, r);
    }
  }
}

void reference_gradient(const GradientTask* task, int segment, float* y, float out[27]) {
  const GradientTask& t = *task;
  const auto n = static_cast<size_t>(t.n_pre);
  const int segments = (t.steps + segment - 1) / segment;
  Aligned saved(n * static_cast<size_t>(segments)), stretch(n * static_cast<size_t>(segment + 1)), owed(n);
  std::vector<Lanes> first_u(static_cast<size_t>(segments)), us(static_cast<size_t>(segment));
  Lanes gradient[27];
  for (Lanes& each : gradient) each = all(0);
  for (int tile = 0; tile < t.n_post / 16; ++tile) {
    const auto x = [&](int k) { return t.x + static_cast<size_t>(k) * n; };
    std::memcpy(stretch.values, t.w + static_cast<size_t>(tile) * n * 16, sizeof(Lanes) * n);
    Lanes u = weighted_sum(stretch.values, t.x, t.n_pre);
    for (int k = 0; k < t.steps; ++k) {
      if (k % segment == 0) {
        std::memcpy(saved.values + n * static_cast<size_t>(k / segment), stretch.values, sizeof(Lanes) * n);
        first_u[static_cast<size_t>(k / segment)] = u;
      }
      if (k >= (segments - 1) * segment) break;
      u = step(t, stretch.values, stretch.values, x(k), x(k + 1), rate(u));
    }
    std::memset(owed.values, 0, sizeof(Lanes) * n);
    Lanes next_u = all(0);
    for (int s = segments - 1; s >= 0; --s) {
      const int begin = s * segment, end = std::min(t.steps, begin + segment);
      std::memcpy(stretch.values, saved.values + n * static_cast<size_t>(s), sizeof(Lanes) * n);
      u = first_u[static_cast<size_t>(s)];
      for (int k = begin; k < end; ++k) {
        const Lanes r = rate(u);
        std::memcpy(y + static_cast<size_t>(k) * t.n_post + tile * 16, &r, sizeof r);
        us[static_cast<size_t>(k - begin)] = u;
        const Lanes* from = stretch.values + n * static_cast<size_t>(k - begin);
        u = step(t, from, const_cast<Lanes*>(from) + n, x(k), x(k + 1), r);
      }
      for (int k = end - 1; k >= begin; --k) {
        const Lanes here = us[static_cast<size_t>(k - begin)], r = rate(here);
        Lanes wanted;
        std::memcpy(&wanted, t.target + static_cast<size_t>(k) * t.n_post + tile * 16, sizeof wanted);
        Lanes error = r - wanted;
        for (int lane = t.units - tile * 16; lane < 16; ++lane) error[std::max(lane, 0)] = 0;
        next_u = back(t, stretch.values + n * static_cast<size_t>(k - begin), owed.values, x(k), x(k + 1), next_u, here, r,
                      error, gradient);
      }
    }
  }
  for (int k = 0; k < 27; ++k) {
    out[k] = 0;
    for (int lane = 0; lane < 16; ++lane) out[k] += gradient[k][lane];
  }
}

namespace {

/// What a run of all units keeps, from one call to the next: fresh pages cost more than some of the arithmetic.
struct Together {
  Together(size_t state, size_t tiles, size_t steps, size_t segment)
      : saved(state * ((steps + segment - 1) / segment)), stretch(state * segment), owed(state), us(tiles * (steps + 1)), next_u(tiles) {}
  Aligned saved, stretch, owed, us, next_u;
};

}  // namespace

void reference_gradient_together(const GradientTask* task, int segment, float* y, float out[27]) {
  const GradientTask& t = *task;
  const auto n = static_cast<size_t>(t.n_pre), tiles = static_cast<size_t>(t.n_post / 16), state = n * tiles;
  const int segments = (t.steps + segment - 1) / segment;
  static const Together memory(state, tiles, static_cast<size_t>(t.steps), static_cast<size_t>(segment));
  const auto& [saved, stretch, owed, us, next_u] = memory;
  std::memset(owed.values, 0, sizeof(Lanes) * state);
  std::memset(next_u.values, 0, sizeof(Lanes) * tiles);
  const auto x = [&](int k) { return t.x + static_cast<size_t>(k) * n; };
  const auto u = [&](int k) { return us.values + tiles * static_cast<size_t>(k); };
  const auto at = [&](int k) { return k % segment == 0 ? saved.values + state * static_cast<size_t>(k / segment) : stretch.values + state * static_cast<size_t>(k % segment); };
  std::memcpy(saved.values, t.w, sizeof(Lanes) * state);
  for (size_t tile = 0; tile < tiles; ++tile) u(0)[tile] = weighted_sum(saved.values + tile * n, t.x, t.n_pre);
  // A state is left where it is, but for checkpoints.
  const Lanes* from = saved.values;
  for (int k = 0; k < t.steps; ++k) {
    Lanes* const to = (k + 1) % segment == 0 && k + 1 < t.steps ? at(k + 1) : stretch.values;
    for (size_t tile = 0; tile < tiles; ++tile) {
      const Lanes r = rate(u(k)[tile]);
      std::memcpy(y + static_cast<size_t>(k) * t.n_post + tile * 16, &r, sizeof r);
      u(k + 1)[tile] = step(t, from + tile * n, to + tile * n, x(k), x(k + 1), r);
    }
    from = to;
  }
  Lanes gradient[27];
  for (Lanes& each : gradient) each = all(0);
  for (int s = segments - 1; s >= 0; --s) {
    const int begin = s * segment, end = std::min(t.steps, begin + segment);
    for (size_t tile = 0; tile < tiles; ++tile)
      for (int k = begin; k + 1 < end; ++k)
        step_again(t, at(k) + tile * n, at(k + 1) + tile * n, x(k), rate(u(k)[tile]));
    for (int k = end - 1; k >= begin; --k) {
      for (size_t tile = 0; tile < tiles; ++tile) {
        const Lanes here = u(k)[tile], r = rate(here);
        Lanes wanted;
        std::memcpy(&wanted, t.target + static_cast<size_t>(k) * t.n_post + tile * 16, sizeof wanted);
        Lanes error = r - wanted;
        for (int lane = t.units - static_cast<int>(tile) * 16; lane < 16; ++lane) error[std::max(lane, 0)] = 0;
        next_u.values[tile] = back(t, at(k) + tile * n, owed.values + tile * n, x(k), x(k + 1), next_u.values[tile], here, r, error, gradient);
      }
    }
  }
  for (int k = 0; k < 27; ++k) {
    out[k] = 0;
    for (int lane = 0; lane < 16; ++lane) out[k] += gradient[k][lane];
  }
}
