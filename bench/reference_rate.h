#pragma once
// What Hebb is measured against: one step of a dense projection as a good engineer would first write
// it. Each function updates every weight with this step's rates and, in the same pass, sums next step's
// inputs over the new weights. w is n_pre rows of n_post; u is overwritten.

extern "C" {
struct RateStep {
  int n_pre, n_post;
  const float *x, *x_next;  // presynaptic rates of this step and the next
  const float *y;           // postsynaptic rates of this step
  float *w, *u;
};
/// w += eta * y * (x - y*w)
void reference_oja(const RateStep* step, float eta);
/// w += eta * sum over a, b, c in 0…2 of theta[9a + 3b + c] x^a y^b w^c
void reference_taylor(const RateStep* step, float eta, const float theta[27]);
/// w += eta * (w2 · tanh(w1 [x, y, w] + b1) + b2); w1 is 10 rows of 3
void reference_mlp(const RateStep* step, float eta, const float w1[30], const float b1[10],
                   const float w2[10], float b2);
}
