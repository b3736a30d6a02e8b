#pragma once
// How a loss is curved in its recordings, along the ways they move with what is fitted: J' H J of Gauss and Newton.

#include "compiler/experiment/grad.h"

namespace hebb {

/// d(leaf)/d(element) of the numbers of a leaf from `first` on; 0 elsewhere.
struct Slope {
  size_t first = 0;
  std::vector<double> values;
  size_t end() const { return first + values.size(); }
  void resize(size_t begin, size_t size) {
    if (values.empty()) first = begin;
    if (end() < begin + size) values.resize(begin + size - first, 0.0);
  }
  double& at(size_t i) { return values[i - first]; }
};
/// slopes[leaf][k], of element k.
using Slopes = std::vector<std::vector<Slope>>;

/// The sum over all leaves of `by` times how they move with element k.
double sum_along(const std::vector<Tensor>& by, const Slopes& slopes, size_t k);

/// One row an element. None: reported.
std::optional<std::vector<double>> curvature_along_slopes(Evaluation& e, const LossGraph& graph, const std::vector<Tensor>& leaves,
                                                          const Slopes& slopes, const std::vector<LikelihoodTerm>& terms, const LossCut* cut);

}  // namespace hebb
