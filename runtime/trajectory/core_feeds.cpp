// What a trajectory is fed: each row once, as its column holds it; and which steps are eventful.

#include "runtime/trajectory/core.h"

#include <algorithm>
#include <cstring>

#include "compiler/support/text.h"
#include "runtime/clock.h"

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
  const auto runs = static_cast<int64_t>(std::max<size_t>(keys.size(), 1));
  fed_fires.assign(static_cast<size_t>(steps), 0);
  for (size_t k = 0; k < feeds.size(); ++k) {
    if (!feeds[k].event || feeds[k].always) continue;
    for (int64_t step = 0; step < steps; ++step) {
      const double* values = given[k].values.data() + (given[k].constant ? 0 : step * given[k].rows);
      for (int64_t row = 0; row < given[k].rows; ++row)
        if (values[row] != 0) fed_fires[static_cast<size_t>(step)] |= given[k].rows == 1 ? all_runs() : uint32_t{1} << row % runs;
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
  fed_fires = whole.fed_fires;
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

/// Which steps are eventful is known before the run: clocks and fed events.
void TrajectoryCore::find_ticks() {
  fires = fed_fires;
  fires.resize(static_cast<size_t>(steps));
  ticks.assign(program().plan.clocks.size(), std::vector<uint32_t>(static_cast<size_t>(steps)));
  for (size_t k = 0; k < ticks.size(); ++k) {
    const std::vector<double> periods = meant_values(columns, program().plan.clocks[k].period);
    for (size_t run = 0; run < periods.size(); ++run) {
      const double period = periods[run], tolerance = dt_ms * (0.5 + 1e-9);
      if (!(period > 0)) continue;
      Ticker ticker;
      set_period(ticker, period, 0, tolerance);
      for (int64_t step = 0; step < steps; ++step)
        if (hebb::fires(ticker, static_cast<double>(step) * dt_ms, tolerance)) ticks[k][static_cast<size_t>(step)] |= uint32_t{1} << run;
    }
    for (size_t step = 0; step < fires.size(); ++step) fires[step] |= ticks[k][step];
  }
  if (!adjoint->has_eventful) fires.assign(fires.size(), 0);
}

void TrajectoryCore::show_ticks(int64_t step) {
  for (size_t k = 0; k < ticks.size(); ++k) {
    const ColumnId indicator = program().plan.clocks[k].indicator;
    const uint32_t now = ticks[k][static_cast<size_t>(step)];
    if (keys.empty() || now == 0 || now == all_runs()) {
      columns.fill(indicator, now != 0);
      continue;
    }
    std::vector<double> each;
    for (size_t run = 0; run < keys.size(); ++run) each.push_back((now >> run & 1) != 0);
    columns.write(indicator, each);
  }
}

void TrajectoryCore::run_flavours(int64_t step, FlavourList list, std::span<const ColumnId> writes) {
  const uint32_t eventful_runs = fires[static_cast<size_t>(step)];
  if (eventful_runs == 0 || eventful_runs == all_runs()) return run_step((eventful_runs != 0 ? eventful : quiet).*list, step, list);
  size_t bytes = 0;
  for (const ColumnId id : writes) bytes += columns.bytes(id);
  before_step.resize(std::max(bytes, before_step.size()));
  of_quiet.resize(before_step.size());
  const auto each = [&](std::vector<std::byte>& memory, const auto& f) {
    std::byte* at = memory.data();
    for (const ColumnId id : writes) {
      f(at, static_cast<std::byte*>(columns.base(id)), columns.bytes(id));
      at += columns.bytes(id);
    }
  };
  const auto copy = [](std::byte* kept, const std::byte* column, size_t size) { std::memcpy(kept, column, size); };
  each(before_step, copy);
  run_launches(quiet.*list, step);
  each(of_quiet, copy);
  each(before_step, [](const std::byte* kept, std::byte* column, size_t size) { std::memcpy(column, kept, size); });
  run_launches(eventful.*list, step);
  const size_t number = precision == Precision::Float32 ? sizeof(float) : sizeof(double);
  each(of_quiet, [&](const std::byte* kept, std::byte* column, size_t size) {
    for (size_t at = 0; at < size; at += number)
      if ((eventful_runs >> at / number % keys.size() & 1) == 0) std::memcpy(column + at, kept + at, number);
  });
}

}  // namespace hebb
