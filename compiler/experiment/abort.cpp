#include "compiler/experiment/abort.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/format.h"
#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

double reduced(WatchedDef::What what, std::span<const double> values) {
  double sum = 0, low = INFINITY, high = -INFINITY;
  for (const double value : values) {
    sum += value;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  switch (what) {
    case WatchedDef::What::Rate: break;
    case WatchedDef::What::Mean: return values.empty() ? 0 : sum / static_cast<double>(values.size());
    case WatchedDef::What::Sum: return sum;
    case WatchedDef::What::Min: return low;
    case WatchedDef::What::Max: return high;
  }
  return 0;
}

}  // namespace

AbortWatch::AbortWatch(const Model& model, const Network& network, const Program& program, const Columns& columns, double dt_ms)
    : model_(model), dt_ms_(dt_ms), every_(std::max<int64_t>(1, std::llround(1 / dt_ms))) {
  Substitution copy(model.pool, pool_, [](const ExprNode&) { return ExprId{}; });
  for (const AbortDef& def : network.aborts) {
    Condition condition{.root = copy(def.condition), .watched = {}, .text = def.text};
    for (const WatchedDef& one : def.watched) {
      const ColumnId column = program.find_column(one.column);
      assert(column.valid() && "sema looked it up, and everything of the network has a column");
      const int64_t rows = columns.layout(column).posts;
      const double steps = one.over_ms / dt_ms;
      condition.watched.push_back(watched_.size());
      watched_.push_back({.def = one, .column = column, .at_begin = program[column].role == Role::Indicator, .rows = rows,
                          .decay = std::exp(-1 / steps), .jump = 1 / (static_cast<double>(std::max<int64_t>(rows, 1)) * one.over_ms),
                          .value = one.start});
      rows_.resize(std::max(rows_.size(), static_cast<size_t>(rows)));
    }
    conditions_.push_back(std::move(condition));
  }
}

void AbortWatch::look(Watched& watched, bool begin, int64_t step, const StateView& now) {
  if (watched.def.what != WatchedDef::What::Rate) {
    if (begin || step % every_ != 0) return;
    buffer_.resize(static_cast<size_t>(now.values().layout(watched.column).size()));
    now.values().read(watched.column, buffer_);
    watched.value = reduced(watched.def.what, buffer_);
    return;
  }
  if (begin != watched.at_begin) return;
  const int64_t spikes = now.events(watched.column, rows_.data());
  watched.value = watched.value * watched.decay + static_cast<double>(spikes) * watched.jump;
}

void AbortWatch::step_begins(int64_t step, const StateView& now) {
  for (Watched& watched : watched_) look(watched, true, step, now);
}

void AbortWatch::step_ends(int64_t step, const StateView& now) {
  for (Watched& watched : watched_) look(watched, false, step, now);
  for (size_t k = 0; k < conditions_.size() && !at_; ++k) {
    const double value = evaluate(pool_, conditions_[k].root, [&](const ExprNode& leaf) {
      for (const size_t at : conditions_[k].watched)
        if (leaf.op == Op::Var && watched_[at].def.stands_for.value == leaf.leaf.index) return watched_[at].value;
      return 0.0;
    });
    if (value == 0) continue;
    which_ = k;
    at_ = step + 1;
  }
}

std::string AbortWatch::text() const {
  const auto shown = [](double value, const MaybeDimension& dimension) { return format(Value{scalar(value, dimension)}); };
  const Condition& condition = conditions_[*which_];
  std::string out = cat("abort when ", condition.text, ": at ",
                        shown(static_cast<double>(*at_) * dt_ms_, find_unit("ms")->dimension));
  for (const size_t at : condition.watched) {
    const Watched& watched = watched_[at];
    const bool rate = watched.def.what == WatchedDef::What::Rate;
    const std::string population = watched.def.column.substr(0, watched.def.column.find('.'));
    out += cat(", ", rate ? cat("the rate of ", quoted(population)) : model_[watched.def.stands_for].name, " is ",
               shown(watched.value, model_[watched.def.stands_for].dimension));
  }
  return out;
}

void AbortWatch::save(ByteWriter& into) const {
  for (const Watched& watched : watched_) into(watched.value);
}

bool AbortWatch::load(ByteReader& from) {
  for (Watched& watched : watched_) from(watched.value);
  return from.ok;
}

}  // namespace hebb
