#include "runtime/device/gradient/trajectory.h"

#include <algorithm>
#include <cstring>

#include "compiler/support/text.h"
#include "runtime/device/gradient/state.h"

namespace hebb {

namespace {

bool is_read(const TrajectoryOutput& output, int64_t step, int64_t steps) {
  return output.final_only ? step + 1 == steps : step % output.every == 0;
}
int64_t sample_of(const TrajectoryOutput& output, int64_t step) { return output.final_only ? 0 : step / output.every; }

}  // namespace

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

std::vector<double> DeviceTrajectory::State::numbers(const RowArray& rows, std::span<const std::byte> from) {
  const size_t size = static_cast<size_t>(layouts->layout(rows.column).size());
  std::vector<double> out(size * static_cast<size_t>(rows.count));
  for (size_t row = 0; row < static_cast<size_t>(rows.count); ++row) {
    std::memcpy(layouts->memory(rows.column), from.data() + row * rows.stride, bytes(rows.column));
    layouts->read_stored(rows.column, std::span(out).subspan(row * size, size));
  }
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

/// The first time the launches are told the driver one by one, from the second on all at once.
void DeviceTrajectory::State::run_pass(int64_t direction, const std::function<void()>& work) {
  constexpr int64_t kMost = 100'000;           // launches that the driver remembers, some hundred bytes each
  constexpr uint64_t kDraws = uint64_t{64} << 20;   // bytes of steps and keys beside them
  std::vector<int64_t> key = {direction, active.first, active.count, ring_begin, fires_changed};
  if (direction == 1) key.insert(key.end(), last_owed.begin() + active.first, last_owed.begin() + active.first + active.count);
  if (!a().now_adjoints.empty()) key.push_back(static_cast<int64_t>(lanes->place(a().now_adjoints[0])));
  auto pass = std::find_if(passes.begin(), passes.end(), [&](const Pass& known) { return known.key == key; });
  if (pass == passes.end()) {
    constexpr size_t kKnown = 1000;   // runs that are chosen anew for each update never come again
    if (passes.size() >= kKnown) std::erase_if(passes, [](const Pass& known) { return known.graph.ready == nullptr; });
    const int64_t launches = lanes->count_launches(work);
    passes.push_back({.key = std::move(key), .launches = launches, .graph = {}});
    return;
  }
  int64_t remembered = pass->launches;
  for (const Pass& other : passes)
    if (other.graph.ready != nullptr && &other != &*pass) remembered += other.launches;
  const bool alike = std::all_of(fires.begin() + active.first, fires.begin() + active.first + active.count,
                                 [&](const std::vector<bool>& one) { return one == fires[static_cast<size_t>(active.first)]; });
  const uint64_t draws = static_cast<uint64_t>(setup.steps + 1) * (setup.keys.size() + 1) * sizeof(uint64_t);
  if (!alike || remembered > kMost || draws > kDraws || active.count > DeviceLanes::kMostLanes || pass->launches < 2) return work();
  lanes->run_recorded(active.first, setup.steps, pass->graph, work);
}

void DeviceTrajectory::State::go_forward() {
  const bool all = segments.count == 1;
  launch(once.forward, 0);
  const auto state_before = [&](int64_t step) {
    if (step % segments.steps == 0 && step < setup.steps) return saved.slot(step / segments.steps);
    return states.slot(all ? step - 1 : step % 2);
  };
  if (setup.steps > 0) {
    bind(state_before(0), state_before(1), 0, 0);
    launch(begin.forward, 0);
  }
  for (int64_t step = 0; step < setup.steps; ++step) {
    bind(state_before(step), state_before(step + 1), all ? step : 0, step);
    compute_step(step);
    for (size_t k = 0; k < setup.outputs.size(); ++k) {
      const TrajectoryOutput& output = setup.outputs[k];
      if (!is_read(output, step, setup.steps)) continue;
      lanes->bind(recorded[k].column, recorded[k].row(sample_of(output, step)));
      launch(records[k], step);
    }
  }
  ring_begin = all ? 0 : -1;
}

void DeviceTrajectory::State::go_back(int64_t last) {
  launch(zero_all, -1);
  for (int64_t step = last; step >= 0; --step) {
    load_segment(step / segments.steps * segments.steps);
    bind_step(step);
    if (a().dense_values) compute_step(step);
    launch(zero_step, step);
    if (step < last) begin_lanes(step);
    for (size_t k = 0; k < owed.size(); ++k) {
      const TrajectoryOutput& output = setup.outputs[k];
      if (!a().owed[k].rows.valid() || !is_read(output, step, setup.steps)) continue;
      lanes->bind(owed[k].column, owed[k].row(sample_of(output, step)));
      launch(owes[k], step);
    }
    launch_step(step, false);
    for (size_t k = 0; k < fed.size(); ++k) {
      lanes->bind(fed[k].column, fed[k].row(step));
      launch(records_fed[k], step);
    }
    swap_adjoints();
  }
  swap_adjoints();
  if (last >= 0) {
    launch(zero_begin, 0);
    launch(begin.reverse, 0);
    begin_lanes(-1);
  }
  bind_beginning();
  launch(once.reverse, 0);
  launch(init.reverse, -1);
}

DeviceTrajectory::DeviceTrajectory(std::unique_ptr<State> state) : state_(std::move(state)) {}
DeviceTrajectory::DeviceTrajectory(DeviceTrajectory&&) noexcept = default;
DeviceTrajectory& DeviceTrajectory::operator=(DeviceTrajectory&&) noexcept = default;
DeviceTrajectory::~DeviceTrajectory() = default;

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
  s.ring_begin = -1;
  s.find_clocks();
  for (int64_t lane = s.active.first; lane < s.active.first + s.active.count; ++lane) s.write_column(s.program->dt, lane, std::span(&s.setup.dt_ms, 1));
  s.run_pass(0, [&] { s.go_forward(); });
  std::vector<int64_t> lanes;
  for (int64_t lane = s.active.first; lane < s.active.first + s.active.count; ++lane) lanes.push_back(lane);
  std::vector<ByLane> out(s.setup.keys.size(), ByLane(s.setup.outputs.size()));
  for (size_t k = 0; k < s.recorded.size(); ++k) {
    const RowArray& rows = s.recorded[k];
    std::vector<std::vector<std::byte>> read(lanes.size(), std::vector<std::byte>(rows.bytes()));
    std::vector<void*> into;
    for (auto& one : read) into.push_back(one.data());
    s.lanes->read(lanes, rows.begin, into, rows.bytes());
    for (size_t n = 0; n < lanes.size(); ++n) out[static_cast<size_t>(lanes[n])][k] = s.numbers(rows, read[n]);
  }
  if (!s.lanes->failure().empty()) return Failure{s.lanes->failure()};
  return out;
}

Status DeviceTrajectory::reverse(std::span<const ByLane> seeds) {
  State& s = *state_;
  const DeviceAdjoint& a = *s.setup.adjoint;
  const int64_t steps = s.setup.steps;
  int64_t last = -1;
  for (int64_t lane = s.active.first; lane < s.active.first + s.active.count; ++lane) {
    const ByLane& own = seeds[static_cast<size_t>(lane)];
    last = std::max(last, s.last_owed[static_cast<size_t>(lane)] = last_step_owed(own, s.setup.outputs, steps));
    for (size_t k = 0; k < s.owed.size(); ++k) {
      if (!a.owed[k].rows.valid()) continue;
      const size_t size = static_cast<size_t>(s.layouts->layout(s.owed[k].column).size());
      const std::vector<double> none(size);
      if (s.owed[k].count > 0)
        s.write_rows(s.owed[k], lane, [&](int64_t row) { return own.empty() ? std::span(none) : std::span(own[k]).subspan(static_cast<size_t>(row) * size, size); });
    }
  }
  s.run_pass(1, [&] { s.go_back(last); });
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
    std::vector<std::byte> read(s.fed[k].bytes());
    s.lanes->read(lane, s.fed[k].begin, read.data(), read.size());
    out = s.numbers(s.fed[k], read);
    // Steps after the last that the loss reads were not gone.
    const int64_t gone = s.last_owed[static_cast<size_t>(lane)] + 1;
    std::fill(out.begin() + gone * s.layouts->layout(s.fed[k].column).size(), out.end(), 0.0);
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
