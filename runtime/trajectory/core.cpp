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
  if (!core->states.allocate(2) || !core->saved.allocate(1) || !core->small.allocate(1) || !core->zeros.allocate(1) ||
      !core->passing.allocate(1))
    return Failure{"no memory left for the states"};
  core->bind_step(0);
  core->zeros.bind(core->columns, core->zeros.ids(), 0);
  core->passing.bind(core->columns, core->passing.ids(), 0);
  core->prepare_launches();
  return core;
}

bool TrajectoryCore::of_whole_run(ColumnId id) const {
  for (const KernelId kernel : adjoint->once.forward)
    for (const Store& store : program()[kernel].stores)
      if (store.into == id) return true;
  return false;
}

namespace {

/// What reverse steps need and no step keeps is computed without looking at synapses.
bool only_neurons_again(const Adjoint& a) {
  for (const auto* list : {&a.quiet.forward, &a.eventful.forward})
    for (const KernelId kernel : *list)
      if (a.moved.for_reverse[kernel.value] && is_synaptic(a.program[a.program[kernel].domain].kind)) return false;
  return true;
}

}  // namespace

void TrajectoryCore::classify() {
  const Program& p = program();
  std::vector<Adjoint::Carried> all = adjoint->carried;
  std::erase_if(all, [](const Adjoint::Carried& carried) { return carried.now == carried.next; });
  const auto others = std::stable_partition(all.begin(), all.end(), [&](const Adjoint::Carried& carried) { return moves(carried.next); });
  for (const Adjoint::Carried& carried : all) {
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
  const bool computes_again = Trajectory::runs_whole(adjoint->program) || only_neurons_again(*adjoint);
  std::vector<ColumnId> zeroed, per_step, passing_zeroed, passes;
  for (uint32_t k = 0; k < adjoint->adjoint_of.size(); ++k) {
    const ColumnId id{k};
    const Role role = p[id].role;
    if (role == Role::Param || role == Role::State || role == Role::Fed || id == p.dt) continue;
    if (std::find(next.begin(), next.end(), id) != next.end() || of_whole_run(id)) continue;
    const bool is_sum = std::find(summed.begin(), summed.end(), id) != summed.end();
    const bool is_zeroed = is_sum && p[id].reset == 0 && moves(id);
    const bool kept = !computes_again || (adjoint->moved.read[k] && !moves(id));
    if (dense(id)) dense_values = dense_values || adjoint->moved.read[k];
    else if (kept) (is_zeroed ? zeroed : per_step).push_back(id);
    else (is_zeroed ? passing_zeroed : passes).push_back(id);
  }
  for (const ColumnId id : summed) {
    const auto in = [&](const std::vector<ColumnId>& list) { return std::find(list.begin(), list.end(), id) != list.end(); };
    if (in(zeroed) || in(passing_zeroed) || in(next)) continue;   // those of `next` begin with a store
    resets.push_back(id);
    if (moves(id)) moved_resets.push_back(id);
  }
  const auto both = [&](std::vector<ColumnId>& first, const std::vector<ColumnId>& then, size_t& zeros) {
    const size_t count = first.size();
    first.insert(first.end(), then.begin(), then.end());
    Slots out(columns, first);
    zeros = out.bytes_of_first(count);
    return out;
  };
  small = both(zeroed, per_step, small_zeros);
  passing = both(passing_zeroed, passes, passing_zeros);
  states = Slots(columns, now);
  moved_states = states.bytes_of_first(static_cast<size_t>(others - all.begin()));
  saved = Slots(columns, now);
  std::vector<ColumnId> fixed;
  for (const ColumnId id : adjoint->zero_each_step) {
    const bool swapped = std::find(now_adjoints.begin(), now_adjoints.end(), id) != now_adjoints.end();
    (swapped ? swapped_zeros : fixed).push_back(id);
  }
  zeros = Slots(columns, fixed);
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

Segments plan_segments(int64_t steps, uint64_t state, uint64_t step, double cosy) {
  const double each = static_cast<double>(step), slot = static_cast<double>(state);
  const double all = static_cast<double>(std::max<int64_t>(steps, 1));
  const auto needed = [&](double segment) {
    return slot * (std::max(segment, 2.0) + std::ceil(all / segment)) + each * segment;
  };
  Segments out{.steps = std::max<int64_t>(steps, 1)};
  if (needed(all) > cosy) {
    const double best = std::round(std::sqrt(all * slot / std::max(slot + each, 1.0)));
    out.steps = static_cast<int64_t>(std::clamp(best, 1.0, all));
  }
  out.count = (std::max<int64_t>(steps, 1) + out.steps - 1) / out.steps;
  out.bytes = needed(static_cast<double>(out.steps));
  return out;
}

Status TrajectoryCore::plan_memory(uint64_t cosy, uint64_t most_bytes) {
  double own = static_cast<double>(columns.bytes());
  Segments plan = plan_segments(steps, states.slot_bytes(), small.slot_bytes(), static_cast<double>(cosy) - own);
  packed_states = PackedSlots(columns, states);
  packed_saved = PackedSlots(columns, saved);
  packed_small = PackedSlots(columns, small);
  packs = plan.count > 1 && window.all == 0 && 2 * packed_states.slot_bytes() <= states.slot_bytes();
  if (packs) {
    plan = plan_segments(steps, packed_states.slot_bytes(), packed_small.slot_bytes(), 0);
    own += 3 * static_cast<double>(states.slot_bytes()) + static_cast<double>(small.slot_bytes());
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
                   (!packs || (packed_states.allocate(segment) && packed_saved.allocate(memory.checkpoints) && packed_small.allocate(memory.segment))) &&
                   small.allocate(packs ? 1 : memory.segment);
  if (!got) return Failure{"no memory left for the trajectory"};
  return Done{};
}

std::byte* TrajectoryCore::state_before(int64_t step) {
  const int64_t begin = std::max<int64_t>(ring_begin, 0), slot = step - begin;
  if (slot == 0 && (!packs || step == 0)) return saved.slot(begin / std::max<int64_t>(memory.segment, 1));
  if (!packs) return states.slot(slot - 1);
  if (std::exchange(held[step % 2], step) != step) {
    if (slot == 0) packed_saved.fetch(begin / memory.segment, states.slot(step % 2));
    else packed_states.fetch(slot - 1, states.slot(step % 2));
  }
  return states.slot(step % 2);
}

void TrajectoryCore::bind(std::byte* state, std::byte* next_state, int64_t small_slot, int64_t step) {
  states.bind(columns, now, state);
  states.bind(columns, next, next_state);
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
void TrajectoryCore::load_segment(int64_t begin) {
  if (begin == ring_begin) return;
  ring_begin = begin;
  held[0] = held[1] = -1;
  const int64_t end = std::min(begin + memory.segment, steps);
  for (int64_t step = begin; step < end; ++step) {
    std::byte* const now_here = state_before(step);
    if (packs) held[(step + 1) % 2] = step + 1;   // not to be fetched: it is about to be made
    bind(now_here, state_before(step + 1), step - begin, step);
    compute_step(step, step - begin, Compute::All);
    if (!packs) continue;
    packed_states.keep(step - begin, state_before(step + 1));
    packed_small.keep(step - begin, small.slot(0));
  }
}

/// Binds the states before the first step.
void TrajectoryCore::load_beginning() {
  if (ring_begin != 0) ring_begin = -1;
  held[0] = held[1] = -1;
  bind(saved.slot(0), states.slot(0), 0, 0);
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
