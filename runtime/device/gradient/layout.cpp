// Where everything of a DeviceTrajectory lies, and what is written there before it runs.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/clock.h"
#include "runtime/device/gradient/state.h"

namespace hebb {

/// Columns that lie in one place all the time: what kernels touch and no step moves.
std::vector<bool> DeviceTrajectory::State::own_places() const {
  std::vector<bool> out(program->columns.size());
  for (const DeviceKernel& kernel : static_cast<const LoadedCode&>(*setup.code).program.kernels)
    for (const DeviceParameter& each : kernel.parameters)
      if (each.kind == DeviceParameter::Kind::Column) out[each.column.value] = true;
  for (const auto* list : {&a().now, &a().next, &a().per_step})
    for (const ColumnId id : *list) out[id.value] = false;
  for (const auto* list : {&feeds, &clocks, &recorded, &owed, &fed})
    for (const RowArray& rows : *list) {
      if (rows.bytes() == 0) continue;
      out[rows.column.value] = false;
      if (rows.ahead.valid()) out[rows.ahead.value] = false;
    }
  for (const Clock& clock : program->plan.clocks) out[clock.period.value] = true;
  return out;
}

/// Places in the block of a run; everything but what depends on how many steps are kept.
Needs DeviceTrajectory::State::needs() const {
  Needs out;
  const auto of = [&](ColumnId id) { return device_bytes(*program, id, setup.precision); };
  const std::vector<bool> own = own_places();
  for (uint32_t k = 0; k < program->columns.size(); ++k)
    if (own[k]) out.fixed += on_device(of({k}));
  for (const auto* list : {&feeds, &clocks, &recorded, &owed, &fed})
    for (const RowArray& rows : *list) out.fixed += on_device(rows.bytes());
  for (const ColumnId id : a().now) out.state += on_device(of(id));
  for (const ColumnId id : a().per_step) out.step += on_device(of(id));
  return out;
}

/// What is fed and read, row by row.
static Status find_rows(const DeviceTrajectory::Setup& setup, const Program& program, std::vector<RowArray>& feeds, std::vector<RowArray>& clocks,
                        std::vector<RowArray>& recorded, std::vector<RowArray>& owed, std::vector<RowArray>& fed) {
  const auto rows = [&](ColumnId column, int64_t count) {
    return RowArray{.column = column, .ahead = {}, .stride = on_device(device_bytes(program, column, setup.precision)), .count = count};
  };
  for (const FeedValues& values : *setup.feeds[0]) {
    const auto known = std::find_if(program.plan.feeds.begin(), program.plan.feeds.end(), [&](const Feed& f) { return f.name == values.name; });
    if (known == program.plan.feeds.end()) return Failure{cat(quoted(program.name), " has no input named ", quoted(values.name))};
    RowArray& one = feeds.emplace_back(rows(known->column, setup.steps));
    one.ahead = known->ahead;
    one.constant = values.constant;
  }
  for (const Clock& clock : program.plan.clocks) clocks.push_back(rows(clock.indicator, setup.steps));
  const DeviceAdjoint& a = *setup.adjoint;
  for (size_t k = 0; k < setup.outputs.size(); ++k) {
    const int64_t samples = setup.outputs[k].samples(setup.steps);
    recorded.push_back(rows(a.recorded[k].rows, samples));
    owed.push_back(a.owed[k].rows.valid() ? rows(a.owed[k].rows, samples) : RowArray{});
  }
  for (const DeviceAdjoint::Copied& each : a.fed) fed.push_back(rows(each.rows, setup.steps));
  return Done{};
}

Status DeviceTrajectory::State::lay_out() {
  auto made = Columns::create(*program, setup.precision);
  if (!made) return made.failure();
  layouts.emplace(*std::move(made));
  const auto code = std::static_pointer_cast<const LoadedCode>(setup.code);
  std::vector<uint64_t> each;
  for (uint32_t k = 0; k < program->columns.size(); ++k) each.push_back(device_bytes(*program, {k}, setup.precision));
  lanes = std::make_unique<DeviceLanes>(code, std::move(each), setup.precision, setup.keys);
  if (Status done = find_rows(setup, *program, feeds, clocks, recorded, owed, fed); !done) return done;
  const Needs need = needs();
  const uint64_t free = code->device->free_memory();
  const double most = static_cast<double>(std::min<uint64_t>(setup.max_bytes, free)) / static_cast<double>(runs());
  segments = plan_segments(setup.steps, {need.state, need.state, need.step}, most - static_cast<double>(need.fixed));
  const double all = (segments.bytes + static_cast<double>(need.fixed)) * static_cast<double>(runs());
  if (segments.bytes + static_cast<double>(need.fixed) > most)
    return Failure{cat("the gradient of ", setup.steps, " steps needs ", bytes_text(all), " of the GPU's memory even with checkpoints, ",
                       bytes_text(most * static_cast<double>(runs())), free < setup.max_bytes ? " free" : " allowed")};

  const std::vector<bool> own = own_places();
  for (uint32_t k = 0; k < program->columns.size(); ++k) lanes->bind({k}, own[k] ? lanes->reserve(bytes({k})) : kNowhere);
  for (auto* list : {&feeds, &clocks, &recorded, &owed, &fed})
    for (RowArray& each : *list) each.begin = lanes->reserve(each.bytes());
  const auto of = [&](ColumnId id) { return bytes(id); };
  states = saved = DeviceSlots(a().now, of);
  small = DeviceSlots(a().per_step, of);
  const auto place = [&](DeviceSlots& slots, int64_t count) { slots.begin = lanes->reserve(slots.slot_bytes * static_cast<uint64_t>(count)); };
  place(saved, segments.count);
  place(states, std::max<int64_t>(segments.steps, 2));
  place(small, segments.steps);
  if (Status done = lanes->open(); !done) return done;
  if (Status done = lanes->allocate(); !done) return done;
  return lanes->zero();
}

/// Kernels of the adjoint as the device runs them.
void DeviceTrajectory::State::find_pieces() {
  const auto& code = static_cast<const LoadedCode&>(*setup.code);
  const auto pieces = [&](const std::vector<KernelId>& ids) {
    std::vector<KernelId> out;
    for (const KernelId id : ids) {
      const auto& own = code.program.pieces[id.value];
      out.insert(out.end(), own.begin(), own.end());
    }
    return out;
  };
  const auto both = [&](const DeviceAdjoint::Lists& from) { return Pieces{pieces(from.forward), pieces(from.reverse)}; };
  quiet = both(a().quiet);
  eventful = both(a().eventful);
  init = both(a().init);
  once = both(a().once);
  begin = both(a().begin);
  begin_step = pieces(a().begin_step);
  begin_init = pieces(a().begin_init);
  zero_step = pieces(a().zero_step);
  zero_begin = pieces(a().zero_begin);
  zero_all = pieces(a().zero_all);
  const auto each = [&](const std::vector<DeviceAdjoint::Copied>& from, std::vector<std::vector<KernelId>>& into) {
    for (const DeviceAdjoint::Copied& one : from) into.push_back(pieces(one.kernel));
  };
  each(a().recorded, records);
  each(a().owed, owes);
  each(a().fed, records_fed);
}

/// RowArray of a run in one copy, each as its column holds it.
void DeviceTrajectory::State::write_rows(const RowArray& rows, int64_t lane, const std::function<std::span<const double>(int64_t)>& values) {
  const int64_t count = rows.constant ? 1 : rows.count;
  std::vector<std::byte> all(rows.stride * static_cast<size_t>(count));
  const size_t own = bytes(rows.column);
  for (int64_t k = 0; k < count; ++k) {
    layouts->write(rows.column, values(k));
    std::memcpy(all.data() + static_cast<size_t>(k) * rows.stride, layouts->memory(rows.column), own);
  }
  lanes->write(lane, rows.begin, all.data(), all.size());
}

Status DeviceTrajectory::State::write_feeds() {
  fires.assign(setup.keys.size(), std::vector<bool>(static_cast<size_t>(setup.steps)));
  const auto& known = program->plan.feeds;
  for (int64_t lane = 0; lane < runs(); ++lane) {
    const std::vector<FeedValues>& own = *setup.feeds[static_cast<size_t>(lane)];
    for (size_t k = 0; k < feeds.size(); ++k) {
      const FeedValues& values = own[k];
      const Feed& feed = *std::find_if(known.begin(), known.end(), [&](const Feed& f) { return f.name == values.name; });
      const int64_t size = layouts->layout(feed.column).size();
      const size_t rows = static_cast<size_t>(values.rows), need = rows * static_cast<size_t>(values.constant ? 1 : setup.steps);
      if ((values.rows != size && values.rows != 1) || values.values.size() < need)
        return Failure{cat(quoted(values.name), " takes ", size, " numbers for each of ", setup.steps, " steps, got ", values.values.size(), " numbers")};
      const auto row = [&](int64_t step) { return std::span(values.values).subspan(values.constant ? 0 : static_cast<size_t>(step) * rows, rows); };
      if (need > 0) write_rows(feeds[k], lane, row);
      if (!feed.event || feed.always) continue;
      for (int64_t step = 0; step < setup.steps; ++step) {
        const auto now = row(step);
        if (std::any_of(now.begin(), now.end(), [](double v) { return v != 0; })) fires[static_cast<size_t>(lane)][static_cast<size_t>(step)] = true;
      }
    }
  }
  return lanes->failure().empty() ? Status{Done{}} : Status{Failure{lanes->failure()}};
}

/// When clocks fire depends on their periods, which are there when a run has begun; the fits that change them change when.
void DeviceTrajectory::State::find_clocks() {
  if (clocks.empty()) return;
  if (periods.empty()) periods.assign(clocks.size() * setup.keys.size(), std::nan(""));
  for (int64_t lane = active.first; lane < active.first + active.count; ++lane) {
    bool same = true;
    for (size_t k = 0; k < clocks.size(); ++k) {
      const ColumnId id = program->plan.clocks[k].period;
      layouts->write(id, read_column(id, lane, lanes->place(id)));
      double& period = periods[static_cast<size_t>(lane) * clocks.size() + k];
      const double now = meant_value(*layouts, id);
      same = same && now == period;
      period = now;
    }
    if (same) continue;
    if (Status done = write_feeds(); !done) return;   // the events of feeds alone
    ++fires_changed;
    for (int64_t each = 0; each < runs(); ++each) {
      for (size_t k = 0; k < clocks.size(); ++k) {
        const double period = periods[static_cast<size_t>(each) * clocks.size() + k];
        double now_fires = 0;
        write_rows(clocks[k], each, [&](int64_t step) {
          const double time = static_cast<double>(step) * setup.dt_ms, phase = std::remainder(time, period);
          now_fires = step > 0 && period > 0 && std::abs(phase) < setup.dt_ms * (0.5 + 1e-9) && time > 0.5 * setup.dt_ms ? 1 : 0;
          if (now_fires != 0) fires[static_cast<size_t>(each)][static_cast<size_t>(step)] = true;
          return std::span(&now_fires, 1);
        });
      }
    }
  }
}

Result<uint64_t> DeviceTrajectory::least_bytes(const Setup& setup) {
  State s;
  s.setup = setup;
  s.program = &static_cast<const LoadedCode&>(*setup.code).program.program;
  if (Status done = find_rows(setup, *s.program, s.feeds, s.clocks, s.recorded, s.owed, s.fed); !done) return done.failure();
  const Needs need = s.needs();
  return need.fixed + static_cast<uint64_t>(plan_segments(setup.steps, {need.state, need.state, need.step}, 0).bytes);
}

}  // namespace hebb
