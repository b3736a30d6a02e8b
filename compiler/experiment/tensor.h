#pragma once
// Arithmetic on Tensors: shapes line up at the last axis, an axis of length 1 or a missing one is
// repeated. Nothing here reports; callers check shapes first with `broadcast`.

#include <cassert>
#include <optional>
#include <string>

#include "compiler/experiment/value.h"

namespace hebb {

using Extents = std::vector<int64_t>;

int64_t count(const Extents& shape);
/// "a number", "[64]", "[1797, 64]"
std::string shape_text(const Extents& shape);
/// " at [3, 1]"; nothing for a number.
std::string element_place(size_t place, const Extents& shape);
/// The common shape, or nothing when the shapes do not fit.
std::optional<Extents> broadcast(const Extents& a, const Extents& b);

Tensor scalar(double value, std::optional<Dimension> dimension = Dimension{});
Tensor vector_of(std::vector<double> values, std::optional<Dimension> dimension = Dimension{});

/// The tensor repeated to `shape`, which must be a broadcast of its own.
Tensor expand(const Tensor& tensor, const Extents& shape);

/// f of each element; the dimension is dropped to a plain number.
template <class F>
Tensor map(Tensor tensor, F f) {
  for (double& value : tensor.values) value = f(value);
  tensor.dimension = Dimension{};
  return tensor;
}

/// f of each pair of elements; shapes must fit. The dimension is a plain number.
template <class F>
Tensor zip(const Tensor& a, const Tensor& b, F f) {
  const auto shape = broadcast(a.shape, b.shape);
  assert(shape && "callers check shapes");
  Tensor out{.shape = *shape, .values = {}, .dimension = Dimension{}};
  if (a.shape == b.shape) {
    out.values.resize(a.values.size());
    for (size_t i = 0; i < out.values.size(); ++i) out.values[i] = f(a.values[i], b.values[i]);
    return out;
  }
  const Tensor left = expand(a, *shape);
  const Tensor right = expand(b, *shape);
  out.values.resize(left.values.size());
  for (size_t i = 0; i < out.values.size(); ++i) out.values[i] = f(left.values[i], right.values[i]);
  return out;
}

/// Folds one axis (or, with no axis, everything): f gets the values along it. Keeps the dimension.
template <class F>
Tensor reduce(const Tensor& tensor, std::optional<int64_t> axis, F f) {
  Tensor out{.shape = {}, .values = {}, .dimension = tensor.dimension};
  if (!axis || tensor.scalar()) {
    out.values = {f(tensor.values)};
    return out;
  }
  int64_t outer = 1, inner = 1;
  for (int64_t k = 0; k < static_cast<int64_t>(tensor.shape.size()); ++k) {
    if (k < *axis) outer *= tensor.shape[k];
    if (k > *axis) inner *= tensor.shape[k];
    if (k != *axis) out.shape.push_back(tensor.shape[k]);
  }
  const int64_t length = tensor.shape[*axis];
  std::vector<double> line(length);
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t j = 0; j < inner; ++j) {
      for (int64_t k = 0; k < length; ++k) line[k] = tensor.values[(i * length + k) * inner + j];
      out.values.push_back(f(line));
    }
  }
  return out;
}

/// One index or an inclusive range per axis; missing axes are taken whole. Bounds are the caller's duty.
struct AxisRange {
  int64_t first = 0, last = 0;
  bool keep = true;   // false: one index, the axis disappears
};
Tensor slice(const Tensor& tensor, const std::vector<AxisRange>& ranges);

/// Reverses the order of the axes.
Tensor transpose(const Tensor& tensor);
/// The sum over the last axis of `a` and the first of `b`; one or two axes each.
Tensor matrix_product(const Tensor& a, const Tensor& b);
/// Equal shapes, put under a new leading axis.
Tensor stack(const std::vector<Tensor>& tensors);

}  // namespace hebb
