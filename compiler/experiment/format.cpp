#include "compiler/experiment/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "compiler/experiment/tensor.h"
#include "compiler/support/overload.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

using Spell = std::function<std::string(double)>;

std::string six_digits(double value) {
  if (std::isnan(value)) return "nan";
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string row_text(const std::vector<double>& values, size_t first, size_t count, double factor,
                     const Spell& spell) {
  constexpr size_t kShown = 10, kEdge = 3;
  std::string out = "[";
  for (size_t i = 0; i < count; ++i) {
    if (count > kShown && i == kEdge) {
      out += ", …";
      i = count - kEdge;
    }
    out += cat(i ? ", " : "", spell(values[first + i] * factor));
  }
  return out + "]";
}

std::string summary(const Tensor& tensor, double factor, const Spell& spell) {
  double low = INFINITY, high = -INFINITY, sum = 0;
  for (const double value : tensor.values) {
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
  }
  return cat("array ", shape_text(tensor.shape), " from ", spell(low * factor), " to ", spell(high * factor),
             ", mean ", spell(sum / static_cast<double>(tensor.values.size()) * factor));
}

std::string text_of(const Tensor& tensor, const Spell& spell) {
  const ReadableUnit unit = readable_unit(tensor);
  const std::string after = unit.name.empty() ? "" : " " + unit.name;
  if (tensor.scalar()) return spell(tensor.values[0] * unit.factor) + after;
  if (tensor.values.empty()) return cat("array ", shape_text(tensor.shape), ", empty");
  if (tensor.shape.size() == 1) {
    const size_t n = tensor.values.size();
    return cat(row_text(tensor.values, 0, n, unit.factor, spell), after,
               n > 10 ? cat(" (", n, " values)") : "");
  }
  constexpr int64_t kRows = 12;
  if (tensor.shape.size() != 2 || tensor.shape[0] > kRows) return summary(tensor, unit.factor, spell) + after;
  std::string out = "[";
  const auto columns = static_cast<size_t>(tensor.shape[1]);
  for (int64_t i = 0; i < tensor.shape[0]; ++i)
    out += cat(i ? ",\n " : "", row_text(tensor.values, i * columns, columns, unit.factor, spell));
  return out + "]" + after;
}

}  // namespace

ReadableUnit readable_unit(const Tensor& tensor) {
  if (!tensor.dimension || tensor.dimension->dimensionless()) return {};
  const Dimension time = find_unit("ms")->dimension;
  if (*tensor.dimension == time) {
    double largest = 0;
    for (const double value : tensor.values)
      if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
    if (largest >= 1000) return {1e-3, "s"};
    return {1, "ms"};
  }
  if (*tensor.dimension == power(time, make_rational(-1, 1))) return {1000, "Hz"};
  return {1, unit_text(*tensor.dimension)};
}

std::string format(const Tensor& tensor) { return text_of(tensor, six_digits); }

std::string format_exactly(const Tensor& tensor) {
  return text_of(tensor, [](double value) { return shortest(value); });
}

std::string format(const Value& value) {
  return std::visit(Overload{
                        [](const Tensor& tensor) { return format(tensor); },
                        [](const std::string& text) { return text; },
                        [](const std::shared_ptr<const Table>& table) {
                          if (!table->text.empty()) return table->text;
                          std::vector<std::string> names = table->order;
                          if (names.size() > 12) {
                            names.resize(12);
                            names.push_back("…");
                          }
                          return cat(table->what, " with ", joined(names, ", "));
                        },
                    },
                    value.data);
}

std::string rounded(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

}  // namespace hebb
