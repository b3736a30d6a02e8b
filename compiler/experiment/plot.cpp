#include <algorithm>
#include <cmath>

#include "compiler/experiment/actions.h"
#include "compiler/experiment/format.h"
#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "runtime/plot/image_grid.h"
#include "runtime/plot/line_plot.h"

namespace hebb {

namespace {

constexpr int64_t kMostSeries = 200;   // lines beyond that are no longer told apart
constexpr int64_t kMostImages = 1024;

struct Plotted {
  std::string name;
  Tensor value;
};

std::vector<double> in_unit(const Tensor& tensor) {
  const ReadableUnit unit = readable_unit(tensor);
  std::vector<double> out = tensor.values;
  for (double& value : out) value *= unit.factor;
  return out;
}

bool strictly_increasing(const Tensor& tensor) {
  if (tensor.shape.size() != 1 || tensor.values.size() < 2) return false;
  for (size_t i = 1; i < tensor.values.size(); ++i)
    if (!(tensor.values[i] > tensor.values[i - 1])) return false;
  return true;
}

/// Whether the value comes from a run: then it is a curve, however steadily it grows.
bool from_run(const Evaluation& e, const ast::Expr& expr, int depth = 0) {
  if (depth > 64 || std::holds_alternative<ast::Run>(expr.node)) return true;
  if (const auto* name = std::get_if<ast::NameRef>(&expr.node)) {
    const auto let = e.lets.find(name->name);
    return let != e.lets.end() && from_run(e, *let->second.definition, depth + 1);
  }
  const auto below = children(expr);
  return std::any_of(below.begin(), below.end(),
                     [&](const ast::Expr* child) { return from_run(e, *child, depth + 1); });
}

/// A column of a [n, k] array as a line.
Series column(const Plotted& plotted, int64_t k, int64_t columns, const std::vector<double>& x) {
  const std::vector<double> values = in_unit(plotted.value);
  Series out;
  out.label = columns == 1 ? plotted.name : cat(plotted.name, " ", k);
  for (size_t i = k; i < values.size(); i += columns) out.y.push_back(values[i]);
  out.x = x;
  for (size_t i = out.x.size(); i < out.y.size(); ++i) out.x.push_back(static_cast<double>(i));
  return out;
}

bool add_lines(Evaluation& e, const Plotted& plotted, Span span, const Plotted* x, LinePlot& plot) {
  const Extents& shape = plotted.value.shape;
  if (shape.empty()) {
    e.diags.report(DiagKind::ShapesDiffer, span, "a single number is printed, not plotted");
    return false;
  }
  const int64_t columns = shape[0] == 0 ? 1 : std::max<int64_t>(1, count(shape) / shape[0]);
  if (columns > kMostSeries) {
    e.diags.report(DiagKind::ShapesDiffer, span,
                   cat("this would be ", columns, " lines, and ", kMostSeries, " is the most"))
        .help = "plot some of them, as in  x[:, 0..9]";
    return false;
  }
  if (x && x->value.shape[0] != shape[0]) {
    e.diags.report(DiagKind::ShapesDiffer, span,
                   cat(quoted(plotted.name), " has ", shape[0], " values along x, and ", quoted(x->name), " has ",
                       x->value.shape[0]));
    return false;
  }
  for (int64_t k = 0; k < columns; ++k)
    plot.series.push_back(column(plotted, k, columns, x ? in_unit(x->value) : std::vector<double>{}));
  return true;
}

std::optional<std::string> line_text(Evaluation& e, const ast::Plot& action) {
  std::vector<Plotted> values;
  for (const ast::ExprPtr& expr : action.values) {
    auto tensor = evaluate_tensor(e, *expr);
    if (!tensor) return std::nullopt;
    values.push_back({value_name(*expr), std::move(*tensor)});
  }
  // 'plot x, y': what grows from left to right is an axis.
  const bool axis = values.size() > 1 && strictly_increasing(values[0].value) && !from_run(e, *action.values[0]);
  LinePlot plot;
  plot.x.label = axis ? values[0].name : "step";
  if (axis) plot.x.unit = readable_unit(values[0].value).name;
  for (size_t i = axis ? 1 : 0; i < values.size(); ++i)
    if (!add_lines(e, values[i], action.values[i]->span, axis ? &values[0] : nullptr, plot)) return std::nullopt;
  const Plotted& first = values[axis ? 1 : 0];
  plot.y.label = values.size() == (axis ? 2u : 1u) ? first.name : "";
  plot.y.unit = readable_unit(first.value).name;
  return svg(plot);
}

/// images(W, height, width): each row of W is one picture.
std::optional<std::string> image_text(Evaluation& e, const ast::Call& call, Span span) {
  const auto bound = bind_arguments(e, *find_function("images"), call, span);
  if (!bound) return std::nullopt;
  const auto x = as_tensor(e, *bound, *bound->slots[0]);
  const auto height = as_count(e, *bound, *bound->slots[1], 1, 1 << 15);
  const auto width = as_count(e, *bound, *bound->slots[2], 1, 1 << 15);
  if (!x || !height || !width) return std::nullopt;
  const int64_t size = *height * *width;
  const bool one = x->shape.size() == 1 && x->shape[0] == size;
  const bool many = x->shape.size() >= 2 && count(x->shape) == x->shape[0] * size;
  const int64_t images = one ? 1 : many ? x->shape[0] : 0;
  if (images == 0 || images > kMostImages) {
    e.diags.report(DiagKind::ShapesDiffer, span,
                   cat("images of ", *height, " by ", *width, " need an array [n, ", size, "] with n from 1 to ",
                       kMostImages, ", this is ", shape_text(x->shape)));
    return std::nullopt;
  }
  ImageGrid grid;
  grid.value_label = value_name(*call.arguments[0].value);
  for (int64_t k = 0; k < images; ++k) {
    const auto begin = x->values.begin() + k * size;
    grid.images.push_back({*height, *width, {begin, begin + size}, images == 1 ? "" : std::to_string(k)});
  }
  return svg(grid);
}

}  // namespace

void perform_plot(Evaluation& e, const ast::Plot& action) {
  const auto* call = action.values.size() == 1
                         ? std::get_if<ast::Call>(&without_parens(*action.values[0]).node)
                         : nullptr;
  const auto* callee = call ? std::get_if<ast::NameRef>(&call->callee->node) : nullptr;
  const bool images = callee && callee->name == "images";
  const auto text = images ? image_text(e, *call, action.values[0]->span) : line_text(e, action);
  if (!text) return;
  const std::string name = action.to ? *action.to : cat("plot_", ++e.plots, ".svg");
  if (!name.ends_with(".svg")) {
    e.diags.report(DiagKind::NotSupportedYet, action.span,
                   cat("not supported yet: plots in other files than .svg, such as ", quoted(name)));
    return;
  }
  write_output(e, action.span, name, [&](const std::string& path) { return write_file(path, *text); });
}

}  // namespace hebb
