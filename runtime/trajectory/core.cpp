#include "runtime/trajectory/core.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/plan_runner.h"

namespace hebb {

void run_launches(std::vector<PreparedLaunch>& list, int64_t step, bool share) {
  const auto run = [](const PreparedLaunch& each, const hebb_launch& launch) {
    if (each.function) each.function(&launch);
    else (*each.other)(&launch);
  };
  for (PreparedLaunch& each : list) {
    each.launch.step = step;
    if (!share || each.parts.empty()) {
      run(each, each.launch);
      continue;
    }
    each.pool->run(static_cast<int>(each.parts.size()), [&](int k) {
      hebb_launch& part = each.parts[static_cast<size_t>(k)];
      part.step = step;
      run(each, part);
    });
  }
}

Result<std::unique_ptr<TrajectoryCore>> TrajectoryCore::create(std::shared_ptr<const Adjoint> adjoint,
                                                               std::shared_ptr<const Program> program, Kernels kernels,
                                                               Precision precision, uint64_t key, PostWindow window,
                                                               std::vector<uint64_t> keys) {
  Result<Columns> columns = Columns::create(*program, precision);
  if (!columns) return columns.failure();
  auto core = std::make_unique<TrajectoryCore>();
  core->adjoint = std::move(adjoint);
  core->program_ = std::move(program);
  core->kernels = std::move(kernels);
  core->precision = precision;
  core->columns = *std::move(columns);
  core->key = key;
  core->keys = std::move(keys);
  core->window = window;
  core->classify();
  // One slot so that initial values have a place before the number of steps is known.
  if (!core->states.allocate(2) || !core->turns.allocate(2) || !core->saved.allocate(1) || !core->small.allocate(1) ||
      !core->zeros.allocate(1) || !core->passing.allocate(1))
    return Failure{"no memory left for the states"};
  core->bind_step(0);
  core->zeros.bind(core->columns, core->zeros.ids(), 0);
  core->passing.bind(core->columns, core->passing.ids(), 0);
  core->prepare_launches();
  return core;
}

PreparedLaunch TrajectoryCore::prepare(KernelId id) {
  const Kernel& kernel = program()[id];
  const Space& space = program()[kernel.domain];
  const bool is_dense = space.kind == SpaceKind::Dense;
  const int64_t posts = is_dense ? program()[space.post].size : space.size;
  const int64_t pres = is_dense ? program()[space.pre].size : 1;
  constexpr int64_t kVector = 16;
  PreparedLaunch out;
  out.kernel = id;
  const auto* compiled = kernels.run[id.value].target<void (*)(const hebb_launch*)>();
  if (compiled) out.function = *compiled;
  out.other = &kernels.run[id.value];
  out.launch.columns = columns.bases();
  out.launch.planes = columns.planes();
  out.launch.row = is_dense ? (posts + kVector - 1) / kVector * kVector : 0;
  out.launch.pre_end = pres;
  out.launch.post_end = posts;
  out.launch.post_count = posts;
  out.launch.key = key;
  out.launch.keys = keys.data();
  return out;
}

void TrajectoryCore::prepare_launches() {
  const auto all = [&](const std::vector<KernelId>& ids, std::vector<PreparedLaunch>& into) {
    for (const KernelId id : ids) into.push_back(prepare(id));
  };
  const auto both = [&](const StepAdjoint& from, PreparedStep& into) {
    all(from.forward, into.forward);
    all(from.reverse, into.reverse);
    for (const KernelId id : from.forward) {
      if (adjoint->moved.kernels[id.value]) into.moved.push_back(prepare(id));
      if (adjoint->moved.for_reverse[id.value]) into.again.push_back(prepare(id));
    }
  };
  both(adjoint->quiet, quiet);
  both(adjoint->eventful, eventful);
  both(adjoint->once, once);
  both(adjoint->begin, begun);
  all(adjoint->init.forward, init.forward);
  all(adjoint->init.reverse, init.reverse);
  for (const KernelId id : adjoint->moved_init) init.moved.push_back(prepare(id));
  if (sums_late()) {
    all(adjoint->late.reverse, quiet.late);
    all(adjoint->late.add, quiet.sums);
  }
  find_disturbed();
  if (keys.empty()) return;
  const auto written_by = [&](std::vector<KernelId> StepAdjoint::* list) {
    std::vector<ColumnId> out;
    const auto add = [&](ColumnId id) {
      if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
    };
    for (const StepAdjoint* flavour : {&adjoint->quiet, &adjoint->eventful}) {
      for (const KernelId id : flavour->*list) {
        for (const Store& store : program()[id].stores) add(store.into);
        for (const Accumulate& sum : program()[id].accumulates) add(sum.into);
      }
    }
    return out;
  };
  written = written_by(&StepAdjoint::forward);
  written_back = written_by(&StepAdjoint::reverse);
}

/// A sum that begins the coming step, say: emptied by a kernel that is computed again, filled by one that is not.
void TrajectoryCore::find_disturbed() {
  for (const StepAdjoint* flavour : {&adjoint->quiet, &adjoint->eventful}) {
    for (const ColumnId id : next) {
      bool again = false, not_again = false;
      for (const KernelId kernel : flavour->forward) {
        const auto writes = [&](const auto& effects) {
          return std::any_of(effects.begin(), effects.end(), [&](const auto& effect) { return effect.into == id; });
        };
        if (!writes(program()[kernel].stores) && !writes(program()[kernel].accumulates)) continue;
        (adjoint->moved.for_reverse[kernel.value] ? again : not_again) = true;
      }
      if (again && not_again && std::find(disturbed.begin(), disturbed.end(), id) == disturbed.end()) disturbed.push_back(id);
    }
  }
  size_t bytes = 0;
  for (const ColumnId id : disturbed) bytes += columns.bytes(id);
  undisturbed.resize(bytes);
}

void TrajectoryCore::compute_for_reverse(int64_t step) {
  const auto each = [&](const auto& f) {
    std::byte* at = undisturbed.data();
    for (const ColumnId id : disturbed) {
      f(at, static_cast<std::byte*>(columns.base(id)), columns.bytes(id));
      at += columns.bytes(id);
    }
  };
  each([](std::byte* kept, const std::byte* column, size_t size) { std::memcpy(kept, column, size); });
  compute_step(step, step - ring_begin, Compute::ForReverse);
  each([](const std::byte* kept, std::byte* column, size_t size) { std::memcpy(column, kept, size); });
}

void TrajectoryCore::share_among(int threads) {
  constexpr int64_t kRowsPerPart = 1 << 14;   // fewer take less time than threads take to meet
  pool = std::make_unique<ThreadPool>(threads);
  for (PreparedStep* step : {&quiet, &eventful, &once, &begun, &init}) {
    for (auto* list : {&step->forward, &step->reverse, &step->moved, &step->again, &step->late, &step->sums}) {
      for (PreparedLaunch& each : *list) {
        const std::vector<Part> parts = cut(program(), program()[each.kernel], threads, kRowsPerPart);
        if (parts.size() < 2) continue;
        each.pool = pool.get();
        for (const Part& part : parts) {
          hebb_launch& own = each.parts.emplace_back(each.launch);
          own.pre_begin = part.pre_begin, own.pre_end = part.pre_end;
          own.post_begin = part.post_begin, own.post_end = part.post_end;
        }
      }
    }
  }
}

/// Threads that others keep busy make each other wait: whether they pay is found by trying.
void TrajectoryCore::run_step(std::vector<PreparedLaunch>& launches, int64_t step, FlavourList list) {
  if (!pool) return run_launches(launches, step);
  const bool is_back = list == &PreparedStep::reverse || list == &PreparedStep::late;
  FasterWay& way = is_back ? back : forth;
  const auto begun = std::chrono::steady_clock::now();
  run_launches(launches, step, way.second());
  if (list != &PreparedStep::forward && !is_back) return;
  way.took(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
}

Segments plan_segments(int64_t steps, const StepBytes& bytes, double cosy) {
  const auto checkpoint = static_cast<double>(bytes.checkpoint), slot = static_cast<double>(bytes.state), each = static_cast<double>(bytes.step);
  const double all = static_cast<double>(std::max<int64_t>(steps, 1));
  const auto needed = [&](double segment) {
    return slot * std::max(segment, 2.0) + checkpoint * std::ceil(all / segment) + each * segment;
  };
  Segments out{.steps = std::max<int64_t>(steps, 1)};
  if (needed(all) > cosy) {
    const double best = std::round(std::sqrt(all * checkpoint / std::max(slot + each, 1.0)));
    out.steps = static_cast<int64_t>(std::clamp(best, 1.0, all));
  }
  out.count = (std::max<int64_t>(steps, 1) + out.steps - 1) / out.steps;
  out.bytes = needed(static_cast<double>(out.steps));
  return out;
}

Status TrajectoryCore::plan_memory(uint64_t cosy, uint64_t most_bytes) {
  double own = static_cast<double>(columns.bytes()) + 2 * static_cast<double>(turns.slot_bytes());
  Segments plan = plan_segments(steps, {saved.slot_bytes(), states.slot_bytes(), small.slot_bytes()}, static_cast<double>(cosy) - own);
  packed_states = PackedSlots(columns, states);
  packed_saved = PackedSlots(columns, states);
  packed_turns = PackedSlots(columns, turns);
  packed_small = PackedSlots(columns, small);
  packs = plan.count > 1 && window.all == 0 && 2 * (packed_saved.slot_bytes() + packed_turns.slot_bytes()) <= saved.slot_bytes();
  if (packs) {
    const uint64_t each = packed_saved.slot_bytes() + packed_turns.slot_bytes();
    plan = plan_segments(steps, {each, packed_states.slot_bytes(), packed_small.slot_bytes()}, 0);
    own += static_cast<double>(2 * states.slot_bytes() + saved.slot_bytes() + small.slot_bytes());
  }
  memory.segment = plan.steps;
  memory.checkpoints = plan.count;
  const double most = plan.bytes;
  memory.bytes = static_cast<uint64_t>(most + own);
  if (most + own > static_cast<double>(most_bytes)) {
    return Failure{cat("the gradient of ", steps, " steps needs ", bytes_text(static_cast<double>(memory.bytes)),
                       " even with checkpoints, ", bytes_text(static_cast<double>(most_bytes)), " allowed")};
  }
  const int64_t segment = std::max<int64_t>(memory.segment, 2);
  const bool got = states.allocate(packs ? 2 : segment) && saved.allocate(packs ? 1 : memory.checkpoints) &&
                   (!packs || (packed_states.allocate(segment) && packed_saved.allocate(memory.checkpoints) &&
                               packed_turns.allocate(memory.checkpoints) && packed_small.allocate(memory.segment))) &&
                   small.allocate(packs ? 1 : memory.segment);
  if (!got) return Failure{"no memory left for the trajectory"};
  return Done{};
}

StatePlace TrajectoryCore::checkpoint(int64_t index) { return {saved.slot(index), saved.slot(index) + states.slot_bytes()}; }

StatePlace TrajectoryCore::state_before(int64_t step) {
  const int64_t begin = std::max<int64_t>(ring_begin, 0), slot = step - begin;
  if (slot == 0 && (!packs || step == 0)) return checkpoint(begin / std::max<int64_t>(memory.segment, 1));
  std::byte* const turn = turns.slot(step % 2);
  if (!packs) return {states.slot(slot - 1), turn};
  std::byte* const state = states.slot(step % 2);
  if (std::exchange(held[step % 2], step) == step) return {state, turn};
  if (slot > 0) {
    packed_states.fetch(slot - 1, state);
  } else {
    packed_saved.fetch(begin / memory.segment, state);
    packed_turns.fetch(begin / memory.segment, turn);
  }
  return {state, turn};
}

void TrajectoryCore::bind_states(std::span<const ColumnId> as, const StatePlace& place) {
  const size_t kept_states = states.ids().size();
  states.bind(columns, as.first(kept_states), place.kept);
  turns.bind(columns, as.subspan(kept_states), place.passing);
}

void TrajectoryCore::bind(const StatePlace& state, const StatePlace& next_state, int64_t small_slot, int64_t step) {
  bind_states(now, state);
  bind_states(next, next_state);
  small.bind(columns, small.ids(), packs ? 0 : small_slot);
  // Kernels only read what is fed.
  for (const BoundFeed& feed : feeds) {
    std::byte* const row = const_cast<std::byte*>(feed.rows) + static_cast<size_t>(step) * feed.stride;
    columns.rebind(feed.column, row);
    if (feed.ahead.valid()) columns.rebind(feed.ahead, step + 1 < steps ? row + feed.stride : row);
  }
}

void TrajectoryCore::bind_step(int64_t step) {
  if (packs && ring_begin >= 0) packed_small.fetch(step - ring_begin, small.slot(0));
  bind(state_before(step), state_before(step + 1), step - std::max<int64_t>(ring_begin, 0), step);
}

/// Computes a step where its columns are bound.
void TrajectoryCore::compute_step(int64_t step, int64_t small_slot, Compute what) {
  std::memset(small.slot(packs ? 0 : small_slot), 0, small_zeros);
  std::memset(passing.slot(0), 0, passing_zeros);
  for (const ColumnId id : what == Compute::All ? resets : moved_resets) columns.fill(id, program()[id].reset);
  if (what == Compute::All) show_ticks(step);
  run_flavours(step, what == Compute::All ? &PreparedStep::forward : what == Compute::Moved ? &PreparedStep::moved : &PreparedStep::again, written);
}

/// Fills `states` with the segment that starts at `begin`, from its checkpoint.
void TrajectoryCore::load_segment(int64_t begin, const std::function<void()>& made) {
  if (begin == ring_begin) return;
  ring_begin = begin;
  held[0] = held[1] = -1;
  const int64_t end = std::min(begin + memory.segment, steps);
  for (int64_t step = begin; step < end; ++step) {
    const StatePlace now_here = state_before(step);
    if (packs) held[(step + 1) % 2] = step + 1;   // not to be fetched: it is about to be made
    bind(now_here, state_before(step + 1), step - begin, step);
    compute_step(step, step - begin, Compute::All);
    if (made) made();
    if (!packs) continue;
    packed_states.keep(step - begin, state_before(step + 1).kept);
    packed_small.keep(step - begin, small.slot(0));
  }
}

/// Binds the states before the first step.
void TrajectoryCore::load_beginning() {
  if (ring_begin != 0) ring_begin = -1;
  held[0] = held[1] = -1;
  bind(checkpoint(0), {states.slot(0), turns.slot(0)}, 0, 0);
}

void TrajectoryCore::swap_adjoints() {
  for (size_t k = 0; k < now_adjoints.size(); ++k) {
    if (now_adjoints[k] == next_adjoints[k]) continue;
    void* const before = columns.base(now_adjoints[k]);
    columns.rebind(now_adjoints[k], columns.base(next_adjoints[k]));
    columns.rebind(next_adjoints[k], before);
  }
}

/// Where a step leaves a state; of other columns, they themselves.
ColumnId TrajectoryCore::after_step(ColumnId id) const {
  const auto found = std::find(now.begin(), now.end(), id);
  return found == now.end() ? id : next[static_cast<size_t>(found - now.begin())];
}

std::vector<double> TrajectoryCore::read(ColumnId id) const {
  std::vector<double> values(static_cast<size_t>(columns.layout(id).size()));
  columns.read(id, values);
  return values;
}

void TrajectoryCore::set(ColumnId column, std::span<const double> values) {
  const bool target = std::find(adjoint->targets.begin(), adjoint->targets.end(), column) != adjoint->targets.end();
  std::vector<double>& before = last[column.value];
  const bool same = std::equal(values.begin(), values.end(), before.begin(), before.end());
  if (!target && !same) kept = false;
  if (!same) before.assign(values.begin(), values.end());
  columns.write(column, values);
}

void TrajectoryCore::initialise() {
  load_beginning();
  if (kept) return run_launches(init.moved, -1);
  for (const ColumnId id : now) columns.fill(id, 0);
  run_launches(init.forward, -1);
}

Status TrajectoryCore::begin(int64_t new_steps, double new_dt_ms, uint64_t cosy, uint64_t most) {
  if (new_steps != steps || new_dt_ms != dt_ms) kept = false;
  steps = new_steps;
  dt_ms = new_dt_ms;
  columns.fill(program().dt, dt_ms);
  find_ticks();
  if (kept) return Done{};
  return plan_memory(cosy, most);
}

}  // namespace hebb
