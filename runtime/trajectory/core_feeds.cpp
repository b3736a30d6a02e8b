// What a trajectory is fed: each row once, as its column holds it.

#include "runtime/trajectory/core.h"

#include <algorithm>

#include "compiler/support/text.h"

namespace hebb {

Status TrajectoryCore::bind_feeds(std::span<const FeedValues> now_given) {
  const auto same = [](const FeedValues& a, const FeedValues& b) {
    return a.name == b.name && a.rows == b.rows && a.constant == b.constant && a.values == b.values;
  };
  if (bound && std::equal(now_given.begin(), now_given.end(), given.begin(), given.end(), same)) return Done{};
  kept = bound = false;
  given.assign(now_given.begin(), now_given.end());
  feeds.clear();
  for (const FeedValues& values : given) {
    const auto& known = program().plan.feeds;
    const auto feed = std::find_if(known.begin(), known.end(), [&](const Feed& f) { return f.name == values.name; });
    if (feed == known.end()) return Failure{cat(quoted(program().name), " has no input named ", quoted(values.name))};
    const int64_t rows = columns.layout(feed->column).size();
    const size_t need = static_cast<size_t>(values.rows) * static_cast<size_t>(values.constant ? 1 : steps);
    if ((values.rows != rows && values.rows != 1) || values.values.size() < need) {
      return Failure{cat(quoted(values.name), " takes ", rows, " numbers for each of ", steps, " steps, got ",
                         values.values.size(), " numbers")};
    }
    BoundFeed& bound = feeds.emplace_back();
    bound.column = feed->column;
    bound.ahead = feed->ahead;
    bound.event = feed->event;
    bound.always = feed->always;
    write_rows(bound, values);
    if (!bound.memory) return Failure{cat("no memory left for what ", quoted(values.name), " is given")};
  }
  // Which steps are eventful is known before the run: clocks and fed events.
  fires.assign(static_cast<size_t>(steps), false);
  for (size_t k = 0; k < feeds.size(); ++k) {
    if (!feeds[k].event || feeds[k].always) continue;
    for (int64_t step = 0; step < steps; ++step) {
      const double* values = given[k].values.data() + (given[k].constant ? 0 : step * given[k].rows);
      if (std::any_of(values, values + given[k].rows, [](double v) { return v != 0; }))
        fires[static_cast<size_t>(step)] = true;
    }
  }
  bound = true;
  return Done{};
}

/// Each row once, as the column holds it: a step only has to look there.
void TrajectoryCore::write_rows(BoundFeed& feed, const FeedValues& values) {
  const size_t rows = static_cast<size_t>(values.rows);
  const int64_t count = values.constant ? 1 : steps;
  feed.stride = (columns.bytes(feed.column) + 63) / 64 * 64;
  feed.memory = AlignedBytes(feed.stride * static_cast<size_t>(count));
  if (!feed.memory) return;
  feed.rows = feed.memory.data();
  void* const own = columns.base(feed.column);
  for (int64_t row = 0; row < count; ++row) {
    columns.rebind(feed.column, feed.memory.data() + static_cast<size_t>(row) * feed.stride);
    columns.write(feed.column, std::span(values.values).subspan(static_cast<size_t>(row) * rows, rows));
  }
  columns.rebind(feed.column, own);
  if (values.constant) feed.stride = 0;
}

void TrajectoryCore::borrow_feeds(const TrajectoryCore& whole, const std::function<bool(ColumnId)>& cut) {
  steps = whole.steps;
  fires = whole.fires;
  feeds.clear();
  for (size_t k = 0; k < whole.feeds.size(); ++k) {
    const BoundFeed& all = whole.feeds[k];
    BoundFeed& own = feeds.emplace_back();
    own.column = all.column;
    own.ahead = all.ahead;
    own.event = all.event;
    own.always = all.always;
    own.rows = all.rows;
    own.stride = all.stride;
    if (!cut(all.column)) continue;
    const size_t each = precision == Precision::Float32 ? sizeof(float) : sizeof(double);
    const int64_t width = columns.layout(all.column).width;
    if (width == 1) {
      own.rows += static_cast<size_t>(window.first) * each;
      continue;
    }
    const FeedValues& values = whole.given[k];
    FeedValues part{.name = values.name, .values = {}, .rows = 1, .constant = values.constant};
    if (values.rows == 1) {
      part.values = values.values;
    } else {
      part.rows = window.posts * width;
      for (auto row = values.values.begin(); values.values.end() - row >= values.rows; row += values.rows)
        part.values.insert(part.values.end(), row + window.first * width, row + (window.first + window.posts) * width);
    }
    write_rows(own, part);
  }
}

}  // namespace hebb
