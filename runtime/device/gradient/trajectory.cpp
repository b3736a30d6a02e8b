#include "runtime/device/gradient/trajectory.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/clock.h"
#include "runtime/columns.h"
#include "runtime/device/lanes.h"
#include "runtime/trajectory/core.h"

namespace hebb {

namespace {

/// Columns that move together: equal slots, one after another, each column at a fixed place of every slot.
struct DeviceSlots {
  std::vector<uint64_t> places;
  uint64_t slot_bytes = 0, begin = 0;
  DeviceSlots() = default;
  DeviceSlots(const std::vector<ColumnId>& ids, const std::function<uint64_t(ColumnId)>& bytes) {
    for (const ColumnId id : ids) {
      places.push_back(slot_bytes);
      slot_bytes += on_device(bytes(id));
    }
  }
  uint64_t slot(int64_t index) const { return begin + static_cast<uint64_t>(index) * slot_bytes; }
};

/// One row for each step, or for each sample.
struct RowArray {
  ColumnId column, ahead;
  uint64_t begin = 0, stride = 0;
  int64_t count = 0;
  bool constant = false;
  uint64_t row(int64_t index) const { return begin + (constant ? 0 : static_cast<uint64_t>(index) * stride); }
  uint64_t bytes() const { return stride * static_cast<uint64_t>(constant ? 1 : count); }
};

constexpr uint64_t kNowhere = UINT64_MAX;

/// Of one run, before anything has a place.
struct Needs {
  uint64_t fixed = 0;        // columns, and rows of what is fed, recorded and owed
  uint64_t state = 0, step = 0;
};

}  // namespace

struct DeviceTrajectory::State {
  Setup setup;
  const Program* program = nullptr;              // with the columns that scans got
  std::optional<Columns> layouts;                // of one run: numbers as the device holds them
  std::unique_ptr<DeviceLanes> lanes;
  DeviceSlots states, saved, small;
  Segments segments;
  std::vector<RowArray> feeds, clocks;
  std::vector<RowArray> recorded, owed, fed;
  std::vector<std::vector<bool>> fires;          // by run: eventful steps
  struct Pieces { std::vector<KernelId> forward, reverse; } quiet, eventful, init, once, begin;
  std::vector<KernelId> begin_step, begin_init, zero_step, zero_begin, zero_all;
  std::vector<std::vector<KernelId>> records, owes, records_fed;
  LaneRange active;
  int64_t ring_begin = -1;
  std::vector<int64_t> last_owed;                // by run
  std::vector<double> periods;                   // of clocks, by run and clock

  const DeviceAdjoint& a() const { return *setup.adjoint; }
  int64_t runs() const { return static_cast<int64_t>(setup.keys.size()); }
  uint64_t bytes(ColumnId id) const { return lanes->bytes(id); }
  std::vector<bool> own_places() const;
  Needs needs() const;
  Status lay_out();
  void find_pieces();
  Status write_feeds();
  void write_rows(const RowArray& rows, int64_t lane, const std::function<std::span<const double>(int64_t)>& values);
  void write_column(ColumnId id, int64_t lane, std::span<const double> values);
  std::vector<double> read_column(ColumnId id, int64_t lane, uint64_t place);
  void find_clocks();
  void bind(uint64_t state, uint64_t next, int64_t small_slot, int64_t step);
  uint64_t place(int64_t slot) const {
    return slot == 0 ? saved.slot(std::max<int64_t>(ring_begin, 0) / segments.steps) : states.slot(slot - 1);
  }
  void bind_step(int64_t step) {
    const int64_t slot = step - std::max<int64_t>(ring_begin, 0);
    bind(place(slot), place(slot + 1), slot, step);
  }
  void bind_beginning() {
    if (ring_begin != 0) ring_begin = -1;
    bind(saved.slot(0), states.slot(0), 0, 0);
  }
  void launch(const std::vector<KernelId>& kernels, int64_t step) { lanes->launch(kernels, active, step); }
  void launch_step(int64_t step, bool forward);
  void compute_step(int64_t step) {
    launch(begin_step, step);
    launch_step(step, true);
  }
  void load_segment(int64_t begin);
  void swap_adjoints();
  void begin_lanes(int64_t step);
};

namespace {

bool is_read(const TrajectoryOutput& output, int64_t step, int64_t steps) {
  return output.final_only ? step + 1 == steps : step % output.every == 0;
}
int64_t sample_of(const TrajectoryOutput& output, int64_t step) { return output.final_only ? 0 : step / output.every; }

}  // namespace

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
  segments = plan_segments(setup.steps, need.state, need.step, most - static_cast<double>(need.fixed));
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

void DeviceTrajectory::State::write_column(ColumnId id, int64_t lane, std::span<const double> values) {
  if (lanes->place(id) == kNowhere) return;   // nobody reads it
  layouts->write(id, values);
  lanes->write(lane, lanes->place(id), layouts->memory(id), bytes(id));
}

std::vector<double> DeviceTrajectory::State::read_column(ColumnId id, int64_t lane, uint64_t place) {
  lanes->read(lane, place, layouts->memory(id), bytes(id));
  std::vector<double> out(static_cast<size_t>(layouts->layout(id).size()));
  layouts->read_stored(id, out);
  return out;
}

void DeviceTrajectory::State::bind(uint64_t state, uint64_t next, int64_t small_slot, int64_t step) {
  for (size_t k = 0; k < a().now.size(); ++k) {
    lanes->bind(a().now[k], state + states.places[k]);
    lanes->bind(a().next[k], next + states.places[k]);
  }
  for (size_t k = 0; k < a().per_step.size(); ++k) lanes->bind(a().per_step[k], small.slot(small_slot) + small.places[k]);
  for (const auto* list : {&feeds, &clocks}) {
    for (const RowArray& each : *list) {
      if (each.bytes() == 0) continue;   // no steps
      lanes->bind(each.column, each.row(step));
      if (each.ahead.valid()) lanes->bind(each.ahead, each.row(std::min(step + 1, setup.steps - 1)));
    }
  }
}

/// Runs that follow each other and do the same are launched together.
void DeviceTrajectory::State::launch_step(int64_t step, bool forward) {
  const auto flavour = [&](int64_t lane) { return fires[static_cast<size_t>(lane)][static_cast<size_t>(step)]; };
  const int64_t end = active.first + active.count;
  for (int64_t first = active.first; first < end;) {
    int64_t last = first + 1;
    while (last < end && flavour(last) == flavour(first)) ++last;
    const Pieces& pieces = flavour(first) ? eventful : quiet;
    lanes->launch(forward ? pieces.forward : pieces.reverse, {first, last - first}, step);
    first = last;
  }
}

void DeviceTrajectory::State::load_segment(int64_t first) {
  if (first == ring_begin) return;
  ring_begin = first;
  for (int64_t step = first; step < std::min(first + segments.steps, setup.steps); ++step) {
    bind_step(step);
    compute_step(step);
  }
}

void DeviceTrajectory::State::swap_adjoints() {
  for (size_t k = 0; k < a().now_adjoints.size(); ++k) {
    const ColumnId now = a().now_adjoints[k], next = a().next_adjoints[k];
    const uint64_t before = lanes->place(now);
    lanes->bind(now, lanes->place(next));
    lanes->bind(next, before);
  }
}

/// Each run begins its way back where it would alone; see TrajectoryCore.
void DeviceTrajectory::State::begin_lanes(int64_t step) {
  for (int64_t lane = active.first; lane < active.first + active.count; ++lane)
    if (last_owed[static_cast<size_t>(lane)] == step) lanes->launch(zero_all, {lane, 1}, step);
}

DeviceTrajectory::DeviceTrajectory(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceTrajectory::DeviceTrajectory(DeviceTrajectory&&) noexcept = default;
DeviceTrajectory& DeviceTrajectory::operator=(DeviceTrajectory&&) noexcept = default;
DeviceTrajectory::~DeviceTrajectory() = default;

Result<uint64_t> DeviceTrajectory::least_bytes(const Setup& setup) {
  State s;
  s.setup = setup;
  s.program = &static_cast<const LoadedCode&>(*setup.code).program.program;
  if (Status done = find_rows(setup, *s.program, s.feeds, s.clocks, s.recorded, s.owed, s.fed); !done) return done.failure();
  const Needs need = s.needs();
  return need.fixed + static_cast<uint64_t>(plan_segments(setup.steps, need.state, need.step, 0).bytes);
}

Result<DeviceTrajectory> DeviceTrajectory::create(Setup setup) {
  auto state = std::make_unique<State>();
  State& s = *state;
  s.setup = std::move(setup);
  s.program = &static_cast<const LoadedCode&>(*s.setup.code).program.program;
  s.active = {0, s.runs()};
  s.last_owed.assign(s.setup.keys.size(), -1);
  if (Status done = s.lay_out(); !done) return done.failure();
  s.find_pieces();
  if (Status done = s.write_feeds(); !done) return done.failure();
  return DeviceTrajectory(std::move(state));
}

const std::string& DeviceTrajectory::failure() const { return state_->lanes->failure(); }

void DeviceTrajectory::take_part(const std::vector<bool>& runs) {
  State& s = *state_;
  const auto first = std::find(runs.begin(), runs.end(), true);
  s.active.first = first - runs.begin();
  s.active.count = 0;
  for (int64_t lane = s.active.first; lane < s.runs(); ++lane)
    if (runs[static_cast<size_t>(lane)]) s.active.count = lane + 1 - s.active.first;
  s.ring_begin = -1;
  s.bind_beginning();
}

Status DeviceTrajectory::set(ColumnId column, std::span<const std::vector<double>* const> values) {
  State& s = *state_;
  const auto size = static_cast<size_t>(s.layouts->layout(column).size());
  for (int64_t lane = s.active.first; lane < s.active.first + s.active.count; ++lane) {
    const std::vector<double>& own = *values[static_cast<size_t>(lane)];
    if (own.size() != 1 && own.size() != size)
      return Failure{cat(quoted((*s.program)[column].name), " takes ", size, " numbers, got ", own.size())};
    s.write_column(column, lane, own);
  }
  return Done{};
}

void DeviceTrajectory::initialise() {
  State& s = *state_;
  s.bind_beginning();
  s.launch(s.begin_init, -1);
  s.launch(s.init.forward, -1);
}

Result<std::vector<ByLane>> DeviceTrajectory::forward() {
  State& s = *state_;
  const int64_t steps = s.setup.steps;
  s.ring_begin = -1;
  s.find_clocks();
  for (int64_t lane = s.active.first; lane < s.active.first + s.active.count; ++lane) s.write_column(s.program->dt, lane, std::span(&s.setup.dt_ms, 1));
  const bool all = s.segments.count == 1;
  s.launch(s.once.forward, 0);
  const auto state_before = [&](int64_t step) {
    if (step % s.segments.steps == 0 && step < steps) return s.saved.slot(step / s.segments.steps);
    return s.states.slot(all ? step - 1 : step % 2);
  };
  if (steps > 0) {
    s.bind(state_before(0), state_before(1), 0, 0);
    s.launch(s.begin.forward, 0);
  }
  for (int64_t step = 0; step < steps; ++step) {
    s.bind(state_before(step), state_before(step + 1), all ? step : 0, step);
    s.compute_step(step);
    for (size_t k = 0; k < s.setup.outputs.size(); ++k) {
      const TrajectoryOutput& output = s.setup.outputs[k];
      if (!is_read(output, step, steps)) continue;
      s.lanes->bind(s.recorded[k].column, s.recorded[k].row(sample_of(output, step)));
      s.launch(s.records[k], step);
    }
  }
  s.ring_begin = all ? 0 : -1;
  std::vector<ByLane> out(s.setup.keys.size(), ByLane(s.setup.outputs.size()));
  for (int64_t lane = s.active.first; lane < s.active.first + s.active.count; ++lane) {
    for (size_t k = 0; k < s.recorded.size(); ++k) {
      const RowArray& rows = s.recorded[k];
      std::vector<std::byte> read(rows.bytes());
      s.lanes->read(lane, rows.begin, read.data(), read.size());
      const size_t size = static_cast<size_t>(s.layouts->layout(rows.column).size());
      std::vector<double>& into = out[static_cast<size_t>(lane)][k];
      into.resize(size * static_cast<size_t>(rows.count));
      for (int64_t n = 0; n < rows.count; ++n) {
        std::memcpy(s.layouts->memory(rows.column), read.data() + static_cast<size_t>(n) * rows.stride, s.bytes(rows.column));
        s.layouts->read_stored(rows.column, std::span(into).subspan(static_cast<size_t>(n) * size, size));
      }
    }
  }
  if (!s.lanes->failure().empty()) return Failure{s.lanes->failure()};
  return out;
}

namespace {

/// The last step of which something is owed; -1: none.
int64_t last_step(const ByLane& seeds, std::span<const TrajectoryOutput> outputs, int64_t steps) {
  int64_t last = -1;
  for (size_t k = 0; k < seeds.size(); ++k) {
    size_t end = seeds[k].size();
    while (end > 0 && seeds[k][end - 1] == 0) --end;
    if (end == 0 || steps == 0) continue;
    const size_t each = seeds[k].size() / static_cast<size_t>(outputs[k].samples(steps));
    last = std::max(last, outputs[k].final_only ? steps - 1 : static_cast<int64_t>((end - 1) / each) * outputs[k].every);
  }
  return last;
}

}  // namespace

Status DeviceTrajectory::reverse(std::span<const ByLane> seeds) {
  State& s = *state_;
  const DeviceAdjoint& a = *s.setup.adjoint;
  const int64_t steps = s.setup.steps;
  int64_t last = -1;
  for (int64_t lane = s.active.first; lane < s.active.first + s.active.count; ++lane) {
    const ByLane& own = seeds[static_cast<size_t>(lane)];
    last = std::max(last, s.last_owed[static_cast<size_t>(lane)] = last_step(own, s.setup.outputs, steps));
    for (size_t k = 0; k < s.owed.size(); ++k) {
      if (!a.owed[k].rows.valid()) continue;
      const size_t size = static_cast<size_t>(s.layouts->layout(s.owed[k].column).size());
      const std::vector<double> none(size);
      if (s.owed[k].count > 0)
        s.write_rows(s.owed[k], lane, [&](int64_t row) { return own.empty() ? std::span(none) : std::span(own[k]).subspan(static_cast<size_t>(row) * size, size); });
    }
  }
  s.launch(s.zero_all, -1);
  for (int64_t step = last; step >= 0; --step) {
    s.load_segment(step / s.segments.steps * s.segments.steps);
    s.bind_step(step);
    if (a.dense_values) s.compute_step(step);
    s.launch(s.zero_step, step);
    if (step < last) s.begin_lanes(step);
    for (size_t k = 0; k < s.owed.size(); ++k) {
      const TrajectoryOutput& output = s.setup.outputs[k];
      if (!a.owed[k].rows.valid() || !is_read(output, step, steps)) continue;
      s.lanes->bind(s.owed[k].column, s.owed[k].row(sample_of(output, step)));
      s.launch(s.owes[k], step);
    }
    s.launch_step(step, false);
    for (size_t k = 0; k < s.fed.size(); ++k) {
      s.lanes->bind(s.fed[k].column, s.fed[k].row(step));
      s.launch(s.records_fed[k], step);
    }
    s.swap_adjoints();
  }
  s.swap_adjoints();
  if (last >= 0) {
    s.launch(s.zero_begin, 0);
    s.launch(s.begin.reverse, 0);
    s.begin_lanes(-1);
  }
  s.bind_beginning();
  s.launch(s.once.reverse, 0);
  s.launch(s.init.reverse, -1);
  if (!s.lanes->failure().empty()) return Failure{s.lanes->failure()};
  return Done{};
}

std::vector<double> DeviceTrajectory::gradient(ColumnId target, int64_t lane) const {
  State& s = *state_;
  const ColumnId adjoint = s.a().adjoint->adjoint_of[target.value];
  if (!adjoint.valid() || s.lanes->place(adjoint) == kNowhere) return std::vector<double>(static_cast<size_t>(s.layouts->layout(target).size()));
  return s.read_column(adjoint, lane, s.lanes->place(adjoint));
}

std::vector<double> DeviceTrajectory::gradient_of_feed(ColumnId fed, int64_t lane) const {
  State& s = *state_;
  std::vector<double> out;
  for (size_t k = 0; k < s.fed.size(); ++k) {
    if (s.a().fed[k].column != fed) continue;
    const int64_t last = s.last_owed[static_cast<size_t>(lane)];
    for (int64_t step = 0; step < s.setup.steps; ++step) {
      std::vector<double> one = s.read_column(s.fed[k].column, lane, s.fed[k].row(step));
      if (step > last) std::fill(one.begin(), one.end(), 0.0);
      out.insert(out.end(), one.begin(), one.end());
    }
  }
  return out;
}

TrajectoryMemory DeviceTrajectory::memory() const {
  const State& s = *state_;
  return {.segment = s.segments.steps, .checkpoints = s.segments.count, .bytes = s.lanes->reserved(), .tiles = 1, .lanes = s.runs()};
}

TrajectoryAtBounds DeviceTrajectory::at_bounds(ColumnId state, double low, double high, int64_t lane) {
  State& s = *state_;
  TrajectoryAtBounds count;
  const auto found = std::find(s.a().now.begin(), s.a().now.end(), state);
  if (found == s.a().now.end()) return count;
  const auto at = static_cast<size_t>(found - s.a().now.begin());
  for (int64_t begin = 0; begin < s.setup.steps; begin += s.segments.steps) {
    s.load_segment(begin);
    for (int64_t slot = 1; slot <= std::min(s.segments.steps, s.setup.steps - begin); ++slot) {
      for (const double value : s.read_column(state, lane, s.place(slot) + s.states.places[at])) {
        count.at += value <= low || value >= high;
        ++count.all;
      }
    }
  }
  return count;
}

}  // namespace hebb
