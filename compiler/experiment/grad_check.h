#pragma once
// Derivatives of a rule: as formulas, and checked against differences of the rule itself.

#include <string>
#include <vector>

#include "compiler/model/model.h"

namespace hebb {

/// One line for each flow or jump and each parameter it depends on: "∂w'/∂eta = pre.r * post.r".
std::vector<std::string> derivative_lines(const Model& model, const Rule& rule, bool latex);

/// How well the adjoint of one synapse agrees with central differences.
struct GradientCheck {
  std::string parameter;       // "theta[1, 1, 0]"
  double worst = 0;            // relative error, over all points
  bool reached = true;         // false: nothing the rule computes depends on it
  int points = 0, poles = 0;   // tried, and those among them where a derivative is infinite, which are left out
  std::string refused;         // why there is no derivative; empty: there is
};
/// Trajectories of one synapse between random neurons, at `points` random places of parameters and inputs; the
/// functional is a random combination of all variables at all steps. In double. At a pole (of w^0.2 at 0, say) there is no
/// derivative to compare: other points are tried instead.
std::vector<GradientCheck> check_gradients(const Model& model, const Rule& rule, int points, uint64_t seed);

}  // namespace hebb
