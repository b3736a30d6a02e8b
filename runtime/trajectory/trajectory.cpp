#include "runtime/trajectory/trajectory.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "runtime/trajectory/slots.h"

namespace hebb {
namespace {

template <class Real>
void add_to(const ColumnLayout& at, Real* base, const double* values) {
  for (int64_t i = 0; i < at.pres; ++i)
    for (int64_t j = 0; j < at.posts; ++j)
      for (int64_t e = 0; e < at.width; ++e) base[at.offset(i, j, e)] += static_cast<Real>(*values++);
}

struct BoundFeed {
  ColumnId column;
  bool event = false, always = false;
};

using Function = void (*)(const hebb_launch*);

/// A kernel over all its rows.
struct Prepared {
  Function function = nullptr;                                     // compiled code, or
  const std::function<void(const hebb_launch*)>* other = nullptr;  // another engine
  hebb_launch launch{};
};

void run(std::vector<Prepared>& list, int64_t step) {
  for (Prepared& each : list) {
    each.launch.step = step;
    if (each.function) each.function(&each.launch);
    else (*each.other)(&each.launch);
  }
}

/// The launches of one flavour of a step.
struct PreparedStep {
  std::vector<Prepared> forward, reverse;
  std::vector<Prepared> moved;   // of `forward`: what changes with the targets
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
  Slots states;                                  // segment + 1 of them
  Slots saved;                                   // one per checkpoint
  Slots small;                                   // per-neuron columns of each step of the segment
  size_t small_zeros = 0;                        // bytes of it that begin each step as zero
  Slots zeros;                                   // adjoints that begin each reverse step as zero
  std::vector<ColumnId> swapped_zeros;           // the same of columns that change their place with another
  std::vector<ColumnId> resets, moved_resets;    // other sums of the forward step: all, those the targets change
  bool dense_values = false;                     // forward steps leave dense values the reverse reads
  TrajectoryMemory memory;

  PreparedStep quiet, eventful, init, once;

  std::vector<FeedValues> given;                 // as of the last forward pass
  std::vector<BoundFeed> feeds;                  // of `given`
  std::map<uint32_t, std::vector<double>> last;  // what `set` was given, by column
  std::vector<bool> fires;                       // by step: eventful
  int64_t steps = 0;
  double dt_ms = 0;
  int64_t ring_begin = 0;                        // first step of the segment that `states` holds
  /// Everything that the targets do not change is still there from the last forward pass.
  bool kept = false;
  std::vector<ColumnId> fed_targets;
  std::vector<std::vector<double>> fed_gradients;

  const Program& program() const { return adjoint->program; }
  bool of_whole_run(ColumnId id) const {
    for (const KernelId kernel : adjoint->once.forward)
      for (const Store& store : program()[kernel].stores)
        if (store.into == id) return true;
    return false;
  }
  bool dense(ColumnId id) const { return program()[program()[id].space].kind == SpaceKind::Dense; }
  bool moves(ColumnId id) const { return adjoint->depends_on_targets[id.value]; }
  void classify();
  Prepared prepare(KernelId id);
  void prepare_launches();
  bool must_run_again(const Kernel& kernel) const;
  Status plan_memory();
  Status bind_feeds(std::span<const FeedValues> given);
  void write_feeds(int64_t step);
  void bind_step(int64_t step);
  void forward_step(int64_t step, bool only_moved = false);
  void load_segment(int64_t begin);
  void load_beginning();
  void swap_adjoints();
  ColumnId after_step(ColumnId id) const;
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
  std::vector<ColumnId> summed;
  for (const auto* list : {&adjoint->quiet.forward, &adjoint->eventful.forward})
    for (const KernelId kernel : *list)
      for (const Accumulate& sum : p[kernel].accumulates)
        if (std::find(summed.begin(), summed.end(), sum.into) == summed.end()) summed.push_back(sum.into);
  // Sums that begin at zero and change with the targets come first: one sweep zeroes them.
  std::vector<ColumnId> zeroed, per_step;
  for (uint32_t k = 0; k < adjoint->adjoint_of.size(); ++k) {
    const ColumnId id{k};
    const Role role = p[id].role;
    if (role == Role::Param || role == Role::State || id == p.dt) continue;
    if (std::find(next.begin(), next.end(), id) != next.end() || of_whole_run(id)) continue;
    const bool is_sum = std::find(summed.begin(), summed.end(), id) != summed.end();
    if (dense(id)) dense_values = true;
    else if (is_sum && p[id].reset == 0 && moves(id)) zeroed.push_back(id);
    else per_step.push_back(id);
  }
  for (const ColumnId id : summed) {
    if (std::find(zeroed.begin(), zeroed.end(), id) != zeroed.end()) continue;
    resets.push_back(id);
    if (moves(id)) moved_resets.push_back(id);
  }
  const size_t first = zeroed.size();
  zeroed.insert(zeroed.end(), per_step.begin(), per_step.end());
  small = Slots(columns, zeroed);
  small_zeros = small.bytes_of_first(first);
  states = Slots(columns, now);
  saved = Slots(columns, now);
  std::vector<ColumnId> fixed;
  for (const ColumnId id : adjoint->zero_each_step) {
    const bool swapped = std::find(now_adjoints.begin(), now_adjoints.end(), id) != now_adjoints.end();
    (swapped ? swapped_zeros : fixed).push_back(id);
  }
  zeros = Slots(columns, fixed);
}

Prepared Trajectory::State::prepare(KernelId id) {
  const Kernel& kernel = program()[id];
  const Space& space = program()[kernel.domain];
  const bool is_dense = space.kind == SpaceKind::Dense;
  const int64_t posts = is_dense ? program()[space.post].size : space.size;
  const int64_t pres = is_dense ? program()[space.pre].size : 1;
  constexpr int64_t kVector = 16;
  Prepared out;
  const auto* compiled = kernels.run[id.value].target<Function>();
  if (compiled) out.function = *compiled;
  out.other = &kernels.run[id.value];
  out.launch.columns = columns.bases();
  out.launch.planes = columns.planes();
  out.launch.row = is_dense ? (posts + kVector - 1) / kVector * kVector : 0;
  out.launch.pre_end = pres;
  out.launch.post_end = posts;
  out.launch.post_count = posts;
  out.launch.key = key;
  return out;
}

/// What it writes changes with the targets, or is kept nowhere.
bool Trajectory::State::must_run_again(const Kernel& kernel) const {
  const auto again = [&](ColumnId into) {
    const bool carried = std::find(next.begin(), next.end(), into) != next.end();
    return moves(into) || (dense(into) && !carried);
  };
  return std::any_of(kernel.stores.begin(), kernel.stores.end(), [&](const Store& s) { return again(s.into); }) ||
         std::any_of(kernel.accumulates.begin(), kernel.accumulates.end(),
                     [&](const Accumulate& s) { return again(s.into); });
}

void Trajectory::State::prepare_launches() {
  const auto all = [&](const std::vector<KernelId>& ids, std::vector<Prepared>& into) {
    for (const KernelId id : ids) into.push_back(prepare(id));
  };
  const auto both = [&](const StepAdjoint& from, PreparedStep& into) {
    all(from.forward, into.forward);
    all(from.reverse, into.reverse);
    for (const KernelId id : from.forward)
      if (must_run_again(program()[id])) into.moved.push_back(prepare(id));
  };
  both(adjoint->quiet, quiet);
  both(adjoint->eventful, eventful);
  both(adjoint->once, once);
  all(adjoint->init.forward, init.forward);
  all(adjoint->init.reverse, init.reverse);
  for (const KernelId id : adjoint->moved_init) init.moved.push_back(prepare(id));
}

/// All states when they fit, else segments of about sqrt(steps).
Status Trajectory::State::plan_memory() {
  const double each = static_cast<double>(small.slot_bytes());
  const double slot = static_cast<double>(states.slot_bytes());
  const double budget = static_cast<double>(options.max_bytes) - static_cast<double>(columns.bytes());
  const double all = static_cast<double>(std::max<int64_t>(steps, 1));
  const auto needed = [&](double segment) {
    return slot * (segment + 1 + std::ceil(all / segment)) + each * segment;
  };
  memory.segment = std::max<int64_t>(steps, 1);
  if (needed(all) > budget) {
    const double best = std::round(std::sqrt(all * slot / std::max(slot + each, 1.0)));
    memory.segment = static_cast<int64_t>(std::clamp(best, 1.0, all));
  }
  memory.checkpoints = (std::max<int64_t>(steps, 1) + memory.segment - 1) / memory.segment;
  const double most = needed(static_cast<double>(memory.segment));
  memory.bytes = static_cast<uint64_t>(most) + columns.bytes();
  if (most > budget) {
    return Failure{cat("the gradient of ", steps, " steps needs ", bytes_text(static_cast<double>(memory.bytes)),
                       " even with checkpoints, ", bytes_text(static_cast<double>(options.max_bytes)), " allowed")};
  }
  const bool got = states.allocate(memory.segment + 1) && saved.allocate(memory.checkpoints) &&
                   small.allocate(memory.segment);
  if (!got) return Failure{"no memory left for the trajectory"};
  return Done{};
}

Status Trajectory::State::bind_feeds(std::span<const FeedValues> now_given) {
  const auto same = [](const FeedValues& a, const FeedValues& b) {
    return a.name == b.name && a.rows == b.rows && a.constant == b.constant && a.values == b.values;
  };
  if (kept && std::equal(now_given.begin(), now_given.end(), given.begin(), given.end(), same)) return Done{};
  kept = false;
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
    feeds.push_back({feed->column, feed->event, feed->always});
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
  return Done{};
}

void Trajectory::State::write_feeds(int64_t step) {
  for (size_t k = 0; k < feeds.size(); ++k) {
    const int64_t row = given[k].constant ? 0 : step;
    const size_t rows = static_cast<size_t>(given[k].rows);
    columns.write(feeds[k].column, std::span(given[k].values).subspan(static_cast<size_t>(row) * rows, rows));
  }
}

void Trajectory::State::bind_step(int64_t step) {
  const int64_t slot = step - ring_begin;
  states.bind(columns, now, slot);
  states.bind(columns, next, slot + 1);
  small.bind(columns, small.ids(), slot);
}

void Trajectory::State::forward_step(int64_t step, bool only_moved) {
  bind_step(step);
  std::memset(small.slot(step - ring_begin), 0, small_zeros);
  for (const ColumnId id : only_moved ? moved_resets : resets) columns.fill(id, program()[id].reset);
  if (only_moved) return run(fires[static_cast<size_t>(step)] ? eventful.moved : quiet.moved, step);
  write_feeds(step);
  const double time = static_cast<double>(step) * dt_ms;
  for (const Clock& clock : program().plan.clocks) {
    const double period = meant_value(columns, clock.period);
    const double phase = std::remainder(time, period);
    const bool now_fires = step > 0 && period > 0 && std::abs(phase) < dt_ms * (0.5 + 1e-9) && time > 0.5 * dt_ms;
    columns.fill(clock.indicator, now_fires ? 1 : 0);
    if (now_fires) fires[static_cast<size_t>(step)] = true;
  }
  run(fires[static_cast<size_t>(step)] ? eventful.forward : quiet.forward, step);
}

/// Fills `states` with the segment that starts at `begin`, from its checkpoint.
void Trajectory::State::load_segment(int64_t begin) {
  if (begin == ring_begin) return;
  std::memcpy(states.slot(0), saved.slot(begin / memory.segment), states.slot_bytes());
  ring_begin = begin;
  const int64_t end = std::min(begin + memory.segment, steps);
  for (int64_t step = begin; step < end; ++step) forward_step(step);
}

/// Binds the states before the first step.
void Trajectory::State::load_beginning() {
  if (ring_begin != 0) std::memcpy(states.slot(0), saved.slot(0), states.slot_bytes());
  ring_begin = 0;
  bind_step(0);
}

void Trajectory::State::swap_adjoints() {
  for (size_t k = 0; k < now_adjoints.size(); ++k) {
    if (now_adjoints[k] == next_adjoints[k]) continue;
    void* const before = columns.base(now_adjoints[k]);
    columns.rebind(now_adjoints[k], columns.base(next_adjoints[k]));
    columns.rebind(next_adjoints[k], before);
  }
}

/// Where a step leaves a state; of other columns, they themselves.
ColumnId Trajectory::State::after_step(ColumnId id) const {
  const auto found = std::find(now.begin(), now.end(), id);
  return found == now.end() ? id : next[static_cast<size_t>(found - now.begin())];
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
  if (!state->states.allocate(2) || !state->small.allocate(1) || !state->zeros.allocate(1))
    return Failure{"no memory left for the states"};
  state->bind_step(0);
  state->zeros.bind(state->columns, state->zeros.ids(), 0);
  state->prepare_launches();
  return Trajectory(std::move(state));
}

Status Trajectory::set(ColumnId column, std::span<const double> values) {
  const int64_t size = state_->columns.layout(column).size();
  if (values.size() != 1 && static_cast<int64_t>(values.size()) != size) {
    return Failure{cat(quoted(state_->program()[column].name), " takes ", size, " numbers, got ", values.size())};
  }
  State& s = *state_;
  const bool target = std::find(s.adjoint->targets.begin(), s.adjoint->targets.end(), column) != s.adjoint->targets.end();
  std::vector<double>& before = s.last[column.value];
  const bool same = std::equal(values.begin(), values.end(), before.begin(), before.end());
  if (!target && !same) s.kept = false;
  if (!same) before.assign(values.begin(), values.end());
  s.columns.write(column, values);
  return Done{};
}

void Trajectory::initialise() {
  State& s = *state_;
  s.load_beginning();
  if (s.kept) return run(s.init.moved, -1);
  for (const ColumnId id : s.now) s.columns.fill(id, 0);
  run(s.init.forward, -1);
}

Result<std::vector<std::vector<double>>> Trajectory::forward(int64_t steps, double dt_ms,
                                                             std::span<const FeedValues> feeds,
                                                             std::span<const TrajectoryOutput> outputs) {
  State& s = *state_;
  if (steps != s.steps || dt_ms != s.dt_ms) s.kept = false;
  s.steps = steps;
  s.dt_ms = dt_ms;
  s.columns.fill(s.program().dt, dt_ms);
  if (!s.kept) {
    const std::vector<std::byte> initial(s.states.slot(0), s.states.slot(0) + s.states.slot_bytes());
    if (Status planned = s.plan_memory(); !planned) return planned.failure();
    std::memcpy(s.states.slot(0), initial.data(), initial.size());
  }
  if (Status bound = s.bind_feeds(feeds); !bound) return bound.failure();

  std::vector<std::vector<double>> recorded;
  std::vector<ColumnId> read;
  for (const TrajectoryOutput& output : outputs) {
    read.push_back(s.after_step(output.column));
    const int64_t rows = output.final_only ? std::min<int64_t>(steps, 1) : steps;
    recorded.emplace_back(static_cast<size_t>(rows * s.columns.layout(output.column).size()));
  }
  run(s.once.forward, 0);
  for (int64_t step = 0; step < steps; ++step) {
    if (step % s.memory.segment == 0) {
      const int64_t from = step == 0 ? 0 : s.memory.segment;
      std::memcpy(s.saved.slot(step / s.memory.segment), s.states.slot(from), s.states.slot_bytes());
      if (step > 0) std::memcpy(s.states.slot(0), s.states.slot(from), s.states.slot_bytes());
      s.ring_begin = step;
    }
    s.forward_step(step, s.kept);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (outputs[k].final_only && step + 1 < steps) continue;
      const size_t size = static_cast<size_t>(s.columns.layout(read[k]).size());
      const size_t first = outputs[k].final_only ? 0 : static_cast<size_t>(step) * size;
      s.columns.read(read[k], std::span(recorded[k]).subspan(first, size));
    }
  }
  s.kept = s.memory.checkpoints == 1;
  return recorded;
}

namespace {

/// The last step whose results the loss depends on; -1: none.
int64_t last_seeded(int64_t steps, std::span<const TrajectoryOutput> outputs, std::span<const std::vector<double>> seeds) {
  int64_t last = -1;
  for (size_t k = 0; k < outputs.size(); ++k) {
    const std::vector<double>& all = seeds[k];
    size_t end = all.size();
    while (end > 0 && all[end - 1] == 0) --end;
    if (end == 0 || steps == 0) continue;
    const size_t each = outputs[k].final_only ? 0 : all.size() / static_cast<size_t>(steps);
    last = std::max(last, each == 0 ? steps - 1 : static_cast<int64_t>((end - 1) / each));
  }
  return last;
}

}  // namespace

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
  // The adjoints of a step: states were named for what comes after it.
  std::vector<ColumnId> seeded;
  for (const TrajectoryOutput& output : outputs) {
    ColumnId into = a.adjoint_of[output.column.value];
    for (const Adjoint::Carried& carried : a.carried)
      if (carried.now == output.column) into = carried.next_adjoint;
    seeded.push_back(into);
  }

  // Nothing is owed for the steps after the last one that the loss reads.
  for (int64_t step = last_seeded(s.steps, outputs, seeds); step >= 0; --step) {
    s.load_segment(step / s.memory.segment * s.memory.segment);
    if (s.dense_values) s.forward_step(step);
    else s.bind_step(step);
    std::memset(s.zeros.slot(0), 0, s.zeros.slot_bytes());
    for (const ColumnId id : s.swapped_zeros) s.columns.fill(id, 0);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if ((outputs[k].final_only && step + 1 < s.steps) || !seeded[k].valid()) continue;
      const ColumnLayout& at = s.columns.layout(seeded[k]);
      const double* row = seeds[k].data() + (outputs[k].final_only ? 0 : step * at.size());
      if (s.options.precision == Precision::Float32) add_to(at, static_cast<float*>(s.columns.base(seeded[k])), row);
      else add_to(at, static_cast<double*>(s.columns.base(seeded[k])), row);
    }
    run(s.fires[static_cast<size_t>(step)] ? s.eventful.reverse : s.quiet.reverse, step);
    for (size_t k = 0; k < s.fed_targets.size(); ++k) {
      const std::vector<double> row = s.read(a.adjoint_of[s.fed_targets[k].value]);
      std::copy(row.begin(), row.end(), s.fed_gradients[k].begin() + step * static_cast<int64_t>(row.size()));
    }
    s.swap_adjoints();   // what this step left for its states is what the step before owes for its results
  }
  // Initial values may depend on parameters: their adjoints lie where `next` is after the last swap.
  s.swap_adjoints();
  s.load_beginning();
  run(s.once.reverse, 0);
  run(s.init.reverse, -1);
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
