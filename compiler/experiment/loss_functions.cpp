// Losses and scores of a model against data. A nan in the data leaves its term out, also of the count.

#include <algorithm>
#include <cmath>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

using MaybeValue = std::optional<Value>;

constexpr double kSmallestProbability = 1e-12;

struct Pair {
  Tensor model, data;
};

std::optional<Pair> model_and_data(Evaluation& e, const FunctionCall& call) {
  auto model = as_tensor(e, call, *call.slots[0]);
  auto data = as_tensor(e, call, *call.slots[1]);
  if (!model || !data) return std::nullopt;
  if (model->values.size() != data->values.size() || !broadcast(model->shape, data->shape)) {
    const auto name = [&](size_t k) { return quoted(std::string(e.sources.text(call.slots[k]->span))); };
    e.diags.report(DiagKind::ShapesDiffer, call.span,
                   cat(quoted(call.name), " compares arrays of one shape: ", name(0), " is ", shape_text(model->shape), ", ", name(1),
                       " is ", shape_text(data->shape)));
    return std::nullopt;
  }
  if (!common_dimension(model->dimension, data->dimension).fits) {
    e.diags.report(DiagKind::DimensionMismatch, call.span,
                   cat("the first is ", describe(*model->dimension), ", the second is ", describe(*data->dimension)));
    return std::nullopt;
  }
  return Pair{std::move(*model), std::move(*data)};
}

MaybeValue no_term(Evaluation& e, const FunctionCall& call) {
  report_argument(e, call.span, cat(quoted(call.name), " has no term: every value is missing (nan)"));
  return std::nullopt;
}

enum class Data { Any, Probabilities };

/// The mean of term(model, data) over what is not missing.
template <class F>
MaybeValue masked_mean(Evaluation& e, const FunctionCall& call, F term, Data data) {
  const auto pair = model_and_data(e, call);
  if (!pair) return std::nullopt;
  double sum = 0;
  int64_t n = 0;
  for (size_t i = 0; i < pair->model.values.size(); ++i) {
    if (std::isnan(pair->data.values[i]) || std::isnan(pair->model.values[i])) continue;
    if (data == Data::Probabilities && (pair->data.values[i] < 0 || pair->data.values[i] > 1)) {
      report_argument(e, call.slots[1]->span, cat(quoted(call.name), " takes data from 0 to 1, got ", pair->data.values[i]));
      return std::nullopt;
    }
    sum += term(pair->model.values[i], pair->data.values[i]);
    ++n;
  }
  if (n == 0 && !e.some_recordings) return no_term(e, call);
  const MaybeDimension one = common_dimension(pair->model.dimension, pair->data.dimension).dimension;
  MaybeDimension dimension = Dimension{};
  if (data == Data::Any) dimension = one ? MaybeDimension(*one * *one) : std::nullopt;
  return value_of(scalar(n == 0 ? 0 : sum / static_cast<double>(n), dimension));
}

double nats(double p, double y) {
  const double q = std::min(std::max(p, kSmallestProbability), 1 - kSmallestProbability);
  return -(y * std::log(q) + (1 - y) * std::log1p(-q));
}

double nats_of_logit(double z, double y) { return std::max(z, 0.0) - z * y + std::log1p(std::exp(-std::fabs(z))); }

MaybeValue mse(Evaluation& e, const FunctionCall& call) {
  return masked_mean(e, call, [](double a, double b) { return (a - b) * (a - b); }, Data::Any);
}
MaybeValue cross_entropy(Evaluation& e, const FunctionCall& call) {
  bool outside = false;
  const auto term = [&](double p, double y) {
    outside = outside || p < 0 || p > 1;
    return nats(p, y);
  };
  auto out = masked_mean(e, call, term, Data::Probabilities);
  if (outside)
    note_once(e, cat("'cross_entropy' takes probabilities, from 0 to 1, and is given others: beyond the ends it is flat; "
                     "for sums before a sigmoid there is cross_entropy_logits"));
  return out;
}
MaybeValue cross_entropy_logits(Evaluation& e, const FunctionCall& call) {
  return masked_mean(e, call, nats_of_logit, Data::Probabilities);
}

/// 1 - squares left / squares of the data about its mean, along one line.
double explained(const std::vector<double>& model, const std::vector<double>& data) {
  double mean = 0, n = 0, left = 0, all = 0;
  for (const double value : data)
    if (!std::isnan(value)) mean += value, ++n;
  mean /= n;
  for (size_t i = 0; i < data.size(); ++i) {
    if (std::isnan(data[i])) continue;
    left += (model[i] - data[i]) * (model[i] - data[i]);
    all += (data[i] - mean) * (data[i] - mean);
  }
  return 1 - left / all;
}

/// Lines along `axis`, each as one row.
std::vector<std::vector<double>> lines(const Tensor& tensor, std::optional<int64_t> axis) {
  std::vector<std::vector<double>> out;
  reduce(tensor, axis, [&](const std::vector<double>& line) {
    out.push_back(line);
    return 0.0;
  });
  return out;
}

MaybeValue r2(Evaluation& e, const FunctionCall& call) {
  const auto pair = model_and_data(e, call);
  if (!pair) return std::nullopt;
  std::optional<int64_t> axis;
  if (call.slots[2]) {
    axis = as_count(e, call, *call.slots[2], 0, static_cast<int64_t>(pair->model.shape.size()) - 1);
    if (!axis) return std::nullopt;
  }
  const auto model = lines(pair->model, axis), data = lines(pair->data, axis);
  double sum = 0, seen = 0;
  for (size_t k = 0; k < model.size(); ++k) {
    if (std::all_of(data[k].begin(), data[k].end(), [](double value) { return std::isnan(value); })) continue;
    sum += explained(model[k], data[k]);
    ++seen;
  }
  if (seen == 0) return no_term(e, call);
  return value_of(scalar(sum / seen));
}

MaybeValue deviance_explained(Evaluation& e, const FunctionCall& call) {
  const auto pair = model_and_data(e, call);
  if (!pair) return std::nullopt;
  Tensor null = scalar(0.5);
  if (call.slots[2]) {
    const auto given = as_tensor(e, call, *call.slots[2]);
    if (!given) return std::nullopt;
    null = *given;
  }
  if (broadcast(null.shape, pair->model.shape) != pair->model.shape) {
    e.diags.report(DiagKind::ShapesDiffer, call.span,
                   cat("'null' is one number or ", shape_text(pair->model.shape), ", not ", shape_text(null.shape)));
    return std::nullopt;
  }
  null = expand(null, pair->model.shape);
  double of_model = 0, of_null = 0;
  bool any = false;
  for (size_t i = 0; i < pair->data.values.size(); ++i) {
    if (std::isnan(pair->data.values[i])) continue;
    any = true;
    of_model += nats(pair->model.values[i], pair->data.values[i]);
    of_null += nats(null.values[i], pair->data.values[i]);
  }
  if (!any) return no_term(e, call);
  return value_of(scalar(100 * (1 - of_model / of_null)));
}

const Function kLosses[] = {
    {"mse", {"a", "b"}, 2, false, mse},
    {"cross_entropy", {"p", "y"}, 2, false, cross_entropy},
    {"cross_entropy_logits", {"z", "y"}, 2, false, cross_entropy_logits},
    {"r2", {"model", "data", "axis"}, 2, false, r2},
    {"deviance_explained", {"p", "y", "null"}, 2, false, deviance_explained},
};

}  // namespace

std::span<const Function> loss_functions() { return kLosses; }

}  // namespace hebb
