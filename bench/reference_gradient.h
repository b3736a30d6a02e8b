#pragma once
// The gradient of one network by hand: u = sum x w, y = u / (1 + |u|), w += eta * sum theta[abc] x^a y^b w^c over
// `steps` steps, and L = 1/2 sum (y - target)^2 over all steps and units. As an expert would write it for this workload:
// 16 units at a time through the whole run, powers folded into coefficients, moments by w^c and then y^b, checkpoints.

struct GradientTask {
  int n_pre, n_post, steps;     // n_post: a multiple of 16, of which
  int units;                    // the first so many count
  float eta;
  const float* theta;           // 27
  const float* x;               // [steps + 1][n_pre]; the last row is any
  const float* w;               // [n_post / 16][n_pre][16]
  const float* target;          // [steps][n_post]
};

/// The run alone; y: [steps][n_post].
void reference_forward(const GradientTask* task, float* y);
/// The run and d(L)/d(theta). `segment`: steps between two checkpoints.
void reference_gradient(const GradientTask* task, int segment, float* y, float gradient[27]);
/// The same, all units step by step, as they must go where they hear of each other; the run from checkpoints, whose
/// units know what they heard, unit by unit. One size of task in a process: its memory is kept.
void reference_gradient_together(const GradientTask* task, int segment, float* y, float gradient[27]);
