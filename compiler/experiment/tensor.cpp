#include "compiler/experiment/tensor.h"

#include <algorithm>

#include "compiler/support/text.h"

namespace hebb {

int64_t count(const Extents& shape) {
  int64_t n = 1;
  for (const int64_t extent : shape) n *= extent;
  return n;
}

std::string shape_text(const Extents& shape) {
  if (shape.empty()) return "a number";
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += cat(i ? ", " : "", shape[i]);
  return out + "]";
}

std::string element_place(size_t place, const Extents& shape) {
  std::string out;
  for (size_t k = shape.size(); k-- > 0; place /= static_cast<size_t>(shape[k]))
    out = cat(place % static_cast<size_t>(shape[k]), out.empty() ? "" : ", ", out);
  return out.empty() ? "" : cat(" at [", out, "]");
}

std::optional<Extents> broadcast(const Extents& a, const Extents& b) {
  const Extents& longer = a.size() >= b.size() ? a : b;
  const Extents& shorter = a.size() >= b.size() ? b : a;
  Extents out = longer;
  const size_t shift = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& extent = out[shift + i];
    if (shorter[i] == extent || shorter[i] == 1) continue;
    if (extent != 1) return std::nullopt;
    extent = shorter[i];
  }
  return out;
}

Tensor scalar(double value, std::optional<Dimension> dimension) {
  return {.shape = {}, .values = {value}, .dimension = dimension};
}

Tensor vector_of(std::vector<double> values, std::optional<Dimension> dimension) {
  const auto n = static_cast<int64_t>(values.size());
  return {.shape = {n}, .values = std::move(values), .dimension = dimension};
}

Tensor expand(const Tensor& tensor, const Extents& shape) {
  if (tensor.shape == shape) return tensor;
  Tensor out{.shape = shape, .values = std::vector<double>(count(shape)), .dimension = tensor.dimension};
  const size_t axes = shape.size();
  const size_t shift = axes - tensor.shape.size();
  Extents stride(axes, 0);  // in `tensor`; 0 along repeated axes
  for (int64_t k = static_cast<int64_t>(tensor.shape.size()) - 1, step = 1; k >= 0; --k) {
    if (tensor.shape[k] != 1) stride[shift + k] = step;
    step *= tensor.shape[k];
  }
  Extents index(axes, 0);
  int64_t from = 0;
  for (double& value : out.values) {
    value = tensor.values[from];
    for (size_t k = axes; k-- > 0;) {
      from += stride[k];
      if (++index[k] < shape[k]) break;
      from -= stride[k] * shape[k];
      index[k] = 0;
    }
  }
  return out;
}

Tensor slice(const Tensor& tensor, const std::vector<AxisRange>& ranges) {
  Tensor out{.shape = {}, .values = {}, .dimension = tensor.dimension};
  std::vector<AxisRange> all = ranges;
  for (size_t k = all.size(); k < tensor.shape.size(); ++k)
    all.push_back({.first = 0, .last = tensor.shape[k] - 1, .keep = true});
  for (const AxisRange& range : all)
    if (range.keep) out.shape.push_back(std::max<int64_t>(0, range.last - range.first + 1));
  std::vector<int64_t> offsets = {0};
  for (size_t k = 0; k < all.size(); ++k) {
    std::vector<int64_t> next;
    for (const int64_t offset : offsets)
      for (int64_t i = all[k].first; i <= all[k].last; ++i) next.push_back(offset * tensor.shape[k] + i);
    offsets = std::move(next);
  }
  out.values.reserve(offsets.size());
  for (const int64_t offset : offsets) out.values.push_back(tensor.values[offset]);
  return out;
}

Tensor transpose(const Tensor& tensor) {
  const size_t axes = tensor.shape.size();
  if (axes < 2) return tensor;
  Tensor out = tensor;
  std::reverse(out.shape.begin(), out.shape.end());
  Extents index(axes, 0);  // of the result
  Extents stride(axes);    // in the source, by axis of the result
  for (int64_t k = static_cast<int64_t>(axes) - 1, step = 1; k >= 0; --k) {
    stride[axes - 1 - k] = step;
    step *= tensor.shape[k];
  }
  int64_t from = 0;
  for (double& value : out.values) {
    value = tensor.values[from];
    for (size_t k = axes; k-- > 0;) {
      from += stride[k];
      if (++index[k] < out.shape[k]) break;
      from -= stride[k] * out.shape[k];
      index[k] = 0;
    }
  }
  return out;
}

Tensor matrix_product(const Tensor& a, const Tensor& b) {
  const int64_t inner = a.shape.back();
  const int64_t rows = a.shape.size() == 2 ? a.shape[0] : 1;
  const int64_t columns = b.shape.size() == 2 ? b.shape[1] : 1;
  Tensor out{.shape = {}, .values = std::vector<double>(rows * columns, 0.0), .dimension = Dimension{}};
  if (a.shape.size() == 2) out.shape.push_back(rows);
  if (b.shape.size() == 2) out.shape.push_back(columns);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < inner; ++k)
      for (int64_t j = 0; j < columns; ++j)
        out.values[i * columns + j] += a.values[i * inner + k] * b.values[k * columns + j];
  return out;
}

Tensor stack(const std::vector<Tensor>& tensors) {
  Tensor out;
  out.shape = {static_cast<int64_t>(tensors.size())};
  if (tensors.empty()) return out;
  out.shape.insert(out.shape.end(), tensors[0].shape.begin(), tensors[0].shape.end());
  for (const Tensor& tensor : tensors) {
    assert(tensor.shape == tensors[0].shape && "callers check shapes");
    out.values.insert(out.values.end(), tensor.values.begin(), tensor.values.end());
    if (!out.dimension) out.dimension = tensor.dimension;
  }
  return out;
}

}  // namespace hebb
