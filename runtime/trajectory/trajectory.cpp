#include "runtime/trajectory/trajectory.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/clock.h"
#include "runtime/random.h"

namespace hebb {
namespace {

constexpr size_t kAlignment = 64;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Slots of equal size for columns that move: each column at a fixed offset of every slot.
class Slots {
 public:
  Slots() = default;
  Slots(const Columns& columns, std::vector<ColumnId> ids) : ids_(std::move(ids)) {
    for (const ColumnId id : ids_) {
      offsets_.push_back(size_);
      size_ += aligned(columns.bytes(id));
    }
  }
  size_t slot_bytes() const { return size_; }
  /// Keeps the memory, and what is in it, when the count stays.
  bool allocate(int64_t count) {
    if (memory_ && count == count_) return true;
    count_ = count;
    const size_t bytes = std::max<size_t>(aligned(size_ * static_cast<size_t>(count)), kAlignment);
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes)));
    if (!memory_) return false;
    std::memset(memory_.get(), 0, bytes);
    return true;
  }
  std::byte* slot(int64_t index) { return memory_.get() + static_cast<size_t>(index) * size_; }
  /// Lets `as[k]` lie where column k of slot `index` lies.
  void bind(Columns& columns, std::span<const ColumnId> as, int64_t index) {
    for (size_t k = 0; k < ids_.size(); ++k) columns.rebind(as[k], slot(index) + offsets_[k]);
  }
  std::span<const ColumnId> ids() const { return ids_; }

 private:
  struct Free { void operator()(std::byte* memory) const { std::free(memory); } };
  std::vector<ColumnId> ids_;
  std::vector<size_t> offsets_;
  size_t size_ = 0;
  int64_t count_ = -1;
  std::unique_ptr<std::byte, Free> memory_;
};

template <class Real>
void add_to(const ColumnLayout& at, Real* base, const double* values) {
  for (int64_t i = 0; i < at.pres; ++i)
    for (int64_t j = 0; j < at.posts; ++j)
      for (int64_t e = 0; e < at.width; ++e) base[at.offset(i, j, e)] += static_cast<Real>(*values++);
}

struct BoundFeed {
  FeedValues values;
  ColumnId column;
  bool event = false;
};

}  // namespace

struct Trajectory::State {
  std::shared_ptr<const Adjoint> adjoint;
  Kernels kernels;
  TrajectoryOptions options;
  Columns columns;
  uint64_t key = 0;

  std::vector<ColumnId> now, next;               // of carried states that move
  std::vector<ColumnId> now_adjoints, next_adjoints;
  std::vector<ColumnId> resets;                  // accumulated Values of the forward step
  Slots states;                                  // segment + 1 of them
  Slots saved;                                   // one per checkpoint
  Slots small;                                   // per-neuron columns of each step
  bool dense_values = false;                     // forward steps leave dense values the reverse reads
  TrajectoryMemory memory;

  std::vector<BoundFeed> feeds;
  std::vector<bool> eventful;
  int64_t steps = 0;
  double dt_ms = 0;
  int64_t ring_begin = 0;                        // first step of the segment that `states` holds
  std::vector<ColumnId> fed_targets;
  std::vector<std::vector<double>> fed_gradients;

  const Program& program() const { return adjoint->program; }
  bool dense(ColumnId id) const { return program()[program()[id].space].kind == SpaceKind::Dense; }
  void classify();
  hebb_launch whole(const Kernel& kernel, int64_t step) const;
  void launch(const std::vector<KernelId>& list, int64_t step);
  Status plan_memory();
  Status bind_feeds(std::span<const FeedValues> given);
  void write_feeds(int64_t step);
  void bind_step(int64_t step);
  void forward_step(int64_t step);
  void load_segment(int64_t begin);
  std::vector<double> read(ColumnId id) const;
};

void Trajectory::State::classify() {
  const Program& p = program();
  for (const Adjoint::Carried& carried : adjoint->carried) {
    if (carried.now == carried.next) continue;
    now.push_back(carried.now);
    next.push_back(carried.next);
    if (!carried.now_adjoint.valid()) continue;
    now_adjoints.push_back(carried.now_adjoint);
    next_adjoints.push_back(carried.next_adjoint.valid() ? carried.next_adjoint : carried.now_adjoint);
  }
  std::vector<ColumnId> per_step;
  for (uint32_t k = 0; k < adjoint->adjoint_of.size(); ++k) {
    const ColumnId id{k};
    const Role role = p[id].role;
    if (role == Role::Param || role == Role::State || id == p.dt) continue;
    if (std::find(next.begin(), next.end(), id) != next.end()) continue;
    if (dense(id)) dense_values = true;
    else per_step.push_back(id);
  }
  for (const auto* list : {&adjoint->quiet.forward, &adjoint->eventful.forward})
    for (const KernelId kernel : *list)
      for (const Accumulate& sum : p[kernel].accumulates)
        if (std::find(resets.begin(), resets.end(), sum.into) == resets.end()) resets.push_back(sum.into);
  small = Slots(columns, per_step);
  states = Slots(columns, now);
  saved = Slots(columns, now);
}

hebb_launch Trajectory::State::whole(const Kernel& kernel, int64_t step) const {
  const Space& space = program()[kernel.domain];
  const bool is_dense = space.kind == SpaceKind::Dense;
  const int64_t posts = is_dense ? program()[space.post].size : space.size;
  const int64_t pres = is_dense ? program()[space.pre].size : 1;
  constexpr int64_t kVector = 16;
  return {.columns = columns.bases(), .planes = columns.planes(),
          .row = is_dense ? (posts + kVector - 1) / kVector * kVector : 0,
          .pre_begin = 0, .pre_end = pres, .post_begin = 0, .post_end = posts, .post_count = posts,
          .key = key, .step = step};
}

void Trajectory::State::launch(const std::vector<KernelId>& list, int64_t step) {
  for (const KernelId id : list) {
    const hebb_launch part = whole(program()[id], step);
    kernels.run[id.value](&part);
  }
}

/// All states when they fit, else segments of about sqrt(steps).
Status Trajectory::State::plan_memory() {
  const double small_bytes = static_cast<double>(small.slot_bytes()) * static_cast<double>(steps);
  const double slot = static_cast<double>(states.slot_bytes());
  const double budget = static_cast<double>(options.max_bytes) - small_bytes - static_cast<double>(columns.bytes());
  memory.segment = std::max<int64_t>(steps, 1);
  memory.checkpoints = 1;
  if (slot * static_cast<double>(steps + 2) > budget) {
    memory.segment = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(steps))));
    memory.checkpoints = (steps + memory.segment - 1) / memory.segment;
  }
  const double needed = slot * static_cast<double>(memory.segment + 1 + memory.checkpoints);
  memory.bytes = static_cast<uint64_t>(needed + small_bytes) + columns.bytes();
  if (needed > budget) {
    return Failure{cat("the gradient of ", steps, " steps needs ", bytes_text(static_cast<double>(memory.bytes)),
                       " even with checkpoints, ", bytes_text(static_cast<double>(options.max_bytes)), " allowed")};
  }
  const bool got = states.allocate(memory.segment + 1) && saved.allocate(memory.checkpoints) &&
                   small.allocate(std::max<int64_t>(steps, 1));
  if (!got) return Failure{"no memory left for the trajectory"};
  return Done{};
}

Status Trajectory::State::bind_feeds(std::span<const FeedValues> given) {
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
    feeds.push_back({values, feed->column, feed->event});
  }
  // Which steps are eventful is known before the run: clocks and fed events.
  eventful.assign(static_cast<size_t>(steps), false);
  for (const BoundFeed& feed : feeds) {
    const auto& known = program().plan.feeds;
    const auto same = std::find_if(known.begin(), known.end(), [&](const Feed& f) { return f.column == feed.column; });
    if (!feed.event || same->always) continue;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t row = feed.values.constant ? 0 : step;
      const double* values = feed.values.values.data() + row * feed.values.rows;
      if (std::any_of(values, values + feed.values.rows, [](double v) { return v != 0; }))
        eventful[static_cast<size_t>(step)] = true;
    }
  }
  return Done{};
}

void Trajectory::State::write_feeds(int64_t step) {
  for (const BoundFeed& feed : feeds) {
    const int64_t row = feed.values.constant ? 0 : step;
    const size_t rows = static_cast<size_t>(feed.values.rows);
    columns.write(feed.column, std::span(feed.values.values).subspan(static_cast<size_t>(row) * rows, rows));
  }
}

void Trajectory::State::bind_step(int64_t step) {
  const int64_t slot = step - ring_begin;
  states.bind(columns, now, slot);
  states.bind(columns, next, slot + 1);
  small.bind(columns, small.ids(), step);
}

void Trajectory::State::forward_step(int64_t step) {
  bind_step(step);
  write_feeds(step);
  const double time = static_cast<double>(step) * dt_ms;
  for (const Clock& clock : program().plan.clocks) {
    const double period = meant_value(columns, clock.period);
    const double phase = std::remainder(time, period);
    const bool fires = step > 0 && period > 0 && std::abs(phase) < dt_ms * (0.5 + 1e-9) && time > 0.5 * dt_ms;
    columns.fill(clock.indicator, fires ? 1 : 0);
    if (fires) eventful[static_cast<size_t>(step)] = true;
  }
  for (const ColumnId id : resets) columns.fill(id, program()[id].reset);
  launch(eventful[static_cast<size_t>(step)] ? adjoint->eventful.forward : adjoint->quiet.forward, step);
}

/// Fills `states` with the segment that starts at `begin`, from its checkpoint.
void Trajectory::State::load_segment(int64_t begin) {
  if (begin == ring_begin) return;
  std::memcpy(states.slot(0), saved.slot(begin / memory.segment), states.slot_bytes());
  ring_begin = begin;
  const int64_t end = std::min(begin + memory.segment, steps);
  for (int64_t step = begin; step < end; ++step) forward_step(step);
}

std::vector<double> Trajectory::State::read(ColumnId id) const {
  std::vector<double> values(static_cast<size_t>(columns.layout(id).size()));
  columns.read(id, values);
  return values;
}

Trajectory::Trajectory(std::unique_ptr<State> state) : state_(std::move(state)) {}
Trajectory::Trajectory(Trajectory&&) noexcept = default;
Trajectory& Trajectory::operator=(Trajectory&&) noexcept = default;
Trajectory::~Trajectory() = default;

Result<Trajectory> Trajectory::create(std::shared_ptr<const Adjoint> adjoint, Kernels kernels,
                                      const TrajectoryOptions& options) {
  Result<Columns> columns = Columns::create(adjoint->program, options.precision);
  if (!columns) return columns.failure();
  auto state = std::make_unique<State>();
  state->adjoint = std::move(adjoint);
  state->kernels = std::move(kernels);
  state->options = options;
  state->columns = *std::move(columns);
  state->key = random_key(options.seed, options.lane);
  state->classify();
  // One slot so that initial values have a place before the number of steps is known.
  if (!state->states.allocate(2) || !state->small.allocate(1)) return Failure{"no memory left for the states"};
  state->bind_step(0);
  return Trajectory(std::move(state));
}

Status Trajectory::set(ColumnId column, std::span<const double> values) {
  const int64_t size = state_->columns.layout(column).size();
  if (values.size() != 1 && static_cast<int64_t>(values.size()) != size) {
    return Failure{cat(quoted(state_->program()[column].name), " takes ", size, " numbers, got ", values.size())};
  }
  state_->columns.write(column, values);
  return Done{};
}

void Trajectory::initialise() {
  State& s = *state_;
  s.ring_begin = 0;
  s.bind_step(0);
  for (const ColumnId id : s.now) s.columns.fill(id, 0);
  s.launch(s.adjoint->init.forward, -1);
}

Result<std::vector<std::vector<double>>> Trajectory::forward(int64_t steps, double dt_ms,
                                                             std::span<const FeedValues> feeds,
                                                             std::span<const TrajectoryOutput> outputs) {
  State& s = *state_;
  std::vector<std::byte> initial(s.states.slot(0), s.states.slot(0) + s.states.slot_bytes());
  s.steps = steps;
  s.dt_ms = dt_ms;
  s.columns.fill(s.program().dt, dt_ms);
  if (Status planned = s.plan_memory(); !planned) return planned.failure();
  if (Status bound = s.bind_feeds(feeds); !bound) return bound.failure();

  std::memcpy(s.states.slot(0), initial.data(), initial.size());
  std::vector<std::vector<double>> recorded(outputs.size());
  for (int64_t step = 0; step < steps; ++step) {
    if (step % s.memory.segment == 0) {
      const int64_t from = step == 0 ? 0 : s.memory.segment;
      std::memcpy(s.saved.slot(step / s.memory.segment), s.states.slot(from), s.states.slot_bytes());
      if (step > 0) std::memcpy(s.states.slot(0), s.states.slot(from), s.states.slot_bytes());
      s.ring_begin = step;
    }
    s.forward_step(step);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (outputs[k].final_only && step + 1 < steps) continue;
      ColumnId column = outputs[k].column;
      for (size_t m = 0; m < s.now.size(); ++m)
        if (s.now[m] == column) column = s.next[m];
      const std::vector<double> row = s.read(column);
      recorded[k].insert(recorded[k].end(), row.begin(), row.end());
    }
  }
  return recorded;
}

void Trajectory::reverse(std::span<const TrajectoryOutput> outputs, std::span<const std::vector<double>> seeds) {
  State& s = *state_;
  const Adjoint& a = *s.adjoint;
  for (const ColumnId id : a.zero_once) s.columns.fill(id, 0);
  for (const ColumnId id : s.next_adjoints) s.columns.fill(id, 0);
  s.fed_targets.clear();
  s.fed_gradients.clear();
  for (const BoundFeed& feed : s.feeds) {
    if (!a.adjoint_of[feed.column.value].valid()) continue;
    s.fed_targets.push_back(feed.column);
    const size_t size = static_cast<size_t>(s.columns.layout(feed.column).size());
    s.fed_gradients.emplace_back(size * static_cast<size_t>(s.steps));
  }

  for (int64_t step = s.steps; step-- > 0;) {
    s.load_segment(step / s.memory.segment * s.memory.segment);
    if (s.dense_values) s.forward_step(step);
    else s.bind_step(step);
    for (const ColumnId id : a.zero_each_step) s.columns.fill(id, 0);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (outputs[k].final_only && step + 1 < s.steps) continue;
      ColumnId into = a.adjoint_of[outputs[k].column.value];
      for (const Adjoint::Carried& carried : a.carried)
        if (carried.now == outputs[k].column) into = carried.next_adjoint;
      if (!into.valid()) continue;
      const ColumnLayout& at = s.columns.layout(into);
      const double* row = seeds[k].data() + (outputs[k].final_only ? 0 : step * at.size());
      if (s.options.precision == Precision::Float32) add_to(at, static_cast<float*>(s.columns.base(into)), row);
      else add_to(at, static_cast<double*>(s.columns.base(into)), row);
    }
    const bool eventful = s.eventful[static_cast<size_t>(step)];
    s.launch(eventful ? a.eventful.reverse : a.quiet.reverse, step);
    for (size_t k = 0; k < s.fed_targets.size(); ++k) {
      const std::vector<double> row = s.read(a.adjoint_of[s.fed_targets[k].value]);
      std::copy(row.begin(), row.end(), s.fed_gradients[k].begin() + step * static_cast<int64_t>(row.size()));
    }
    // What this step left for its states is what the step before owes for its results.
    for (size_t k = 0; k < s.now_adjoints.size(); ++k) {
      if (s.now_adjoints[k] == s.next_adjoints[k]) continue;
      void* now = s.columns.base(s.now_adjoints[k]);
      s.columns.rebind(s.now_adjoints[k], s.columns.base(s.next_adjoints[k]));
      s.columns.rebind(s.next_adjoints[k], now);
    }
  }
  // Initial values may depend on parameters: their adjoints lie where `next` is after the last swap.
  for (size_t k = 0; k < s.now_adjoints.size(); ++k) {
    if (s.now_adjoints[k] == s.next_adjoints[k]) continue;
    void* now = s.columns.base(s.now_adjoints[k]);
    s.columns.rebind(s.now_adjoints[k], s.columns.base(s.next_adjoints[k]));
    s.columns.rebind(s.next_adjoints[k], now);
  }
  s.bind_step(s.ring_begin);
  s.launch(a.init.reverse, -1);
}

std::vector<double> Trajectory::gradient(ColumnId target) const {
  const ColumnId adjoint = state_->adjoint->adjoint_of[target.value];
  if (!adjoint.valid()) return std::vector<double>(static_cast<size_t>(state_->columns.layout(target).size()));
  return state_->read(adjoint);
}

std::vector<double> Trajectory::gradient_of_feed(ColumnId fed) const {
  for (size_t k = 0; k < state_->fed_targets.size(); ++k)
    if (state_->fed_targets[k] == fed) return state_->fed_gradients[k];
  return {};
}

Trajectory::AtBounds Trajectory::at_bounds(ColumnId state, double low, double high) {
  State& s = *state_;
  AtBounds count;
  const auto found = std::find(s.now.begin(), s.now.end(), state);
  if (found == s.now.end()) return count;
  for (int64_t begin = 0; begin < s.steps; begin += s.memory.segment) {
    s.load_segment(begin);
    const int64_t held = std::min(s.memory.segment, s.steps - begin);
    for (int64_t slot = 1; slot <= held; ++slot) {
      s.states.bind(s.columns, s.now, slot);
      for (const double value : s.read(state)) {
        count.at += value <= low || value >= high;
        ++count.all;
      }
    }
    s.bind_step(s.ring_begin);
  }
  return count;
}

const TrajectoryMemory& Trajectory::memory() const { return state_->memory; }

}  // namespace hebb
