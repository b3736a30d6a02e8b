// Compiled by clang with -O3 -march=native, on its own.

#include "bench/reference_rate.h"

#include <cmath>
#include <cstring>

void reference_oja(const RateStep* step, float eta) {
  const int n_post = step->n_post;
  const float* __restrict y = step->y;
  float* __restrict u = step->u;
  std::memset(u, 0, sizeof(float) * static_cast<size_t>(n_post));
  for (int i = 0; i < step->n_pre; ++i) {
    const float x = step->x[i], x_next = step->x_next[i];
    float* __restrict w = step->w + static_cast<size_t>(i) * static_cast<size_t>(n_post);
    for (int j = 0; j < n_post; ++j) {
      w[j] += eta * y[j] * (x - y[j] * w[j]);
      u[j] += x_next * w[j];
    }
  }
}

void reference_taylor(const RateStep* step, float eta, const float theta[27]) {
  const int n_post = step->n_post;
  const float* __restrict y = step->y;
  float* __restrict u = step->u;
  std::memset(u, 0, sizeof(float) * static_cast<size_t>(n_post));
  for (int i = 0; i < step->n_pre; ++i) {
    const float x = step->x[i], x_next = step->x_next[i];
    const float xs[3] = {1, x, x * x};
    float* __restrict w = step->w + static_cast<size_t>(i) * static_cast<size_t>(n_post);
    for (int j = 0; j < n_post; ++j) {
      const float ys[3] = {1, y[j], y[j] * y[j]};
      const float ws[3] = {1, w[j], w[j] * w[j]};
      float sum = 0;
      for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b)
          for (int c = 0; c < 3; ++c) sum += theta[9 * a + 3 * b + c] * xs[a] * ys[b] * ws[c];
      w[j] += eta * sum;
      u[j] += x_next * w[j];
    }
  }
}

void reference_mlp(const RateStep* step, float eta, const float w1[30], const float b1[10],
                   const float w2[10], float b2) {
  const int n_post = step->n_post;
  const float* __restrict y = step->y;
  float* __restrict u = step->u;
  std::memset(u, 0, sizeof(float) * static_cast<size_t>(n_post));
  for (int i = 0; i < step->n_pre; ++i) {
    const float x = step->x[i], x_next = step->x_next[i];
    float* __restrict w = step->w + static_cast<size_t>(i) * static_cast<size_t>(n_post);
    for (int j = 0; j < n_post; ++j) {
      float out = b2;
      for (int k = 0; k < 10; ++k)
        out += w2[k] * tanhf(w1[3 * k] * x + w1[3 * k + 1] * y[j] + w1[3 * k + 2] * w[j] + b1[k]);
      w[j] += eta * out;
      u[j] += x_next * w[j];
    }
  }
}
