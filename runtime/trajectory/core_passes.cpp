// A trajectory's two passes, and what it records and is owed on the way.

#include "runtime/trajectory/core.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "runtime/fetch.h"
#include "runtime/finite.h"
#include "runtime/trajectory/caches.h"

namespace hebb {

namespace {

/// f(own, whole): pointers to each row of a column, and to where it is in an array of all neurons.
template <class Real, class F>
void for_each_row(const ColumnLayout& at, const OutputPlace& output, const PostWindow& window, int64_t step, Real* base,
                  const F& f) {
  const int64_t posts = output.cut ? window.all : at.posts, first = output.cut ? window.first : 0;
  const int64_t begin = output.what.final_only ? 0 : step / output.what.every * at.pres * posts * at.width;
  for (int64_t i = 0; i < at.pres; ++i) f(base + i * at.row, begin + (i * posts + first) * at.width);
}

/// Arrays that do not overlap, which a compiler cannot see.
template <class From, class To, class F>
void converted(const From* __restrict from, To* __restrict to, int64_t count, const F& f) {
  for (int64_t j = 0; j < count; ++j) to[j] = f(to[j], static_cast<To>(from[j]));
}

/// Rows of the host lie far apart where neurons are cut: the next one is asked for before it is needed.
template <class Number>
void fetch(const Number* begin, int64_t count) {
  constexpr int64_t kLine = 64 / sizeof(Number);
  for (int64_t j = 0; j < count; j += kLine) __builtin_prefetch(begin + j);
}

}  // namespace

void TrajectoryCore::record(const OutputPlace& output, ColumnId from, int64_t step) {
  const ColumnLayout& at = columns.layout(from);
  const auto copy = [&](const auto* base) {
    for_each_row(at, output, window, step, base, [&](const auto* own, int64_t whole) {
      double* const to = output.values + whole;
      if (at.width == 1) {
        converted(own, to, at.posts, [](double, double value) { return value; });
        if (output.cut) fetch(to + window.all, at.posts);
        return;
      }
      for (int64_t j = 0; j < at.posts; ++j)
        for (int64_t e = 0; e < at.width; ++e) to[j * at.width + e] = static_cast<double>(own[e * at.plane + j]);
    });
  };
  if (precision == Precision::Float32) copy(static_cast<const float*>(columns.base(from)));
  else copy(static_cast<const double*>(columns.base(from)));
}

void TrajectoryCore::owe(const OutputPlace& output, ColumnId into, int64_t step) {
  const ColumnLayout& at = columns.layout(into);
  const auto add = [&](auto* base) {
    for_each_row(at, output, window, step, base, [&](auto* own, int64_t whole) {
      using Real = std::remove_reference_t<decltype(*own)>;
      const double* const from = output.owed + whole;
      if (at.width == 1) {
        converted(from, own, at.posts, [](Real before, Real value) { return before + value; });
        if (output.cut) fetch(from - window.all, at.posts);
        return;
      }
      for (int64_t j = 0; j < at.posts; ++j)
        for (int64_t e = 0; e < at.width; ++e) own[e * at.plane + j] += static_cast<Real>(from[j * at.width + e]);
    });
  };
  if (precision == Precision::Float32) add(static_cast<float*>(columns.base(into)));
  else add(static_cast<double*>(columns.base(into)));
}

namespace {

bool is_read(const TrajectoryOutput& output, int64_t step, int64_t steps) {
  return output.final_only ? step + 1 == steps : step % output.every == 0;
}

}  // namespace

/// As a Simulation of one run does: what neurons hold after every step, everything now and then.
void TrajectoryCore::look(int64_t step) {
  constexpr int64_t kWindow = 512;
  const bool full = step + 1 == steps || (step + 1) % kWindow == 0;
  const Program& primal = adjoint->program;
  for (size_t k = 0; k < next.size(); ++k)
    if (full || !is_synaptic(primal[primal[now[k]].space].kind)) finite = finite && all_finite(columns, next[k]);
}

/// Where a slot is short and the machine cannot guess where the next one lies.
bool TrajectoryCore::fetches_slots() const {
  constexpr size_t kMost = 8 << 10;
  return !packs && moved_states + small.slot_bytes() <= kMost;
}

void TrajectoryCore::fetch_slots(const std::byte* state, int64_t small_slot) {
  fetch_to_write(state, moved_states);
  fetch_to_write(small.slot(small_slot), small.slot_bytes());
}

/// Where all steps are kept each has its slot, else two states take turns and only checkpoints, written in place, stay;
/// the last segment, where the way back begins, is kept at once.
void TrajectoryCore::forward(std::span<const OutputPlace> outputs, bool checkpoints_only) {
  std::vector<ColumnId> from;
  for (const OutputPlace& output : outputs) {
    from.push_back(after_step(output.what.column));
    const Moved& moved = adjoint->moved;
    kept = kept && (moves(from.back()) ? moved.read : moved.read_later)[from.back().value];   // else nobody has it
  }
  const bool all = memory.checkpoints == 1 && !checkpoints_only && !packs;
  run_launches(once.forward, 0);
  const int64_t tail = all ? 0 : checkpoints_only || packs ? steps : (memory.checkpoints - 1) * memory.segment;
  const auto place = [&](int64_t step) -> StatePlace {
    if (step % memory.segment == 0 && step < steps && (step == 0 || !packs)) return checkpoint(step / memory.segment);
    return {states.slot(step > tail ? step - tail - 1 : step % 2), turns.slot(step % 2)};
  };
  const bool ahead = fetches_slots();
  held[0] = held[1] = -1;
  if (steps > 0) {
    bind(place(0), place(1), 0, 0);
    run_launches(begun.forward, 0);
  }
  finite = true;
  for (int64_t step = 0; step < steps && !(interrupted && *interrupted); ++step) {
    const int64_t slot = std::max<int64_t>(step - tail, 0);
    bind(place(step), place(step + 1), slot, step);
    if (ahead && step + 1 < steps) fetch_slots(place(step + 2).kept, std::max<int64_t>(step + 1 - tail, 0));
    compute_step(step, slot, kept ? Compute::Moved : Compute::All);
    if (packs && (step + 1) % memory.segment == 0 && step + 1 < steps) {
      packed_saved.keep((step + 1) / memory.segment, place(step + 1).kept);
      packed_turns.keep((step + 1) / memory.segment, place(step + 1).passing);
    }
    for (size_t k = 0; k < outputs.size(); ++k)
      if (is_read(outputs[k].what, step, steps)) record(outputs[k], from[k], step);
    if (looks) look(step);
  }
  kept = all;
  ring_begin = tail < steps ? tail : -1;
}

namespace {

/// The last step whose results the loss depends on; -1: none.
int64_t last_owed(int64_t steps, std::span<const OutputPlace> outputs, const TrajectoryCore& core) {
  int64_t last = -1;
  for (const OutputPlace& output : outputs) {
    const ColumnLayout& at = core.columns.layout(output.what.column);
    const int64_t each = at.pres * (output.cut ? core.window.all : at.posts) * at.width;
    int64_t end = output.what.samples(steps) * each;
    while (end > 0 && output.owed[end - 1] == 0) --end;
    if (end > 0 && steps > 0) last = std::max(last, output.what.final_only ? steps - 1 : (end - 1) / each * output.what.every);
  }
  return last;
}

}  // namespace

/// What is not finite in a step that the loss of a run does not read must not reach what it is owed: each run begins its
/// way back where it would alone.
void TrajectoryCore::begin_lanes(std::span<const int64_t> last_owed, int64_t step) {
  const auto clear = [&](ColumnId id, size_t lane) {
    const ColumnLayout& at = columns.layout(id);
    for (int64_t e = 0; e < at.pres; ++e) {
      const int64_t place = at.offset(e, static_cast<int64_t>(lane), 0);
      if (precision == Precision::Float32) static_cast<float*>(columns.base(id))[place] = 0;
      else static_cast<double*>(columns.base(id))[place] = 0;
    }
  };
  for (size_t lane = 0; lane < last_owed.size(); ++lane) {
    if (last_owed[lane] != step) continue;
    for (const std::vector<ColumnId>* list : std::initializer_list<const std::vector<ColumnId>*>{&adjoint->zero_once, &now_adjoints, &next_adjoints})
      for (const ColumnId id : *list) clear(id, lane);
  }
}

/// Somebody made the kernels, and there are so many sums that it pays.
bool TrajectoryCore::sums_late() const {
  const LateSums& late = adjoint->late;
  std::set<uint32_t> into;
  for (const auto* list : {&late.reverse, &late.add})
    for (const KernelId id : *list)
      if (!kernels.run[id.value]) return false;
  for (const KernelId id : late.add)
    for (const Accumulate& sum : program()[id].accumulates) into.insert(sum.into.value);
  size_t bytes = 0;
  for (const uint32_t column : into) bytes += columns.bytes(ColumnId{column});
  return bytes > static_cast<size_t>(caches().first) / 2;   // else they stay in the first-level cache from step to step
}

/// Steps before this one are added up late, as many at once as there are rows: those of several runs once all are on their
/// way back, for a run that begins forgets what was found before.
int64_t TrajectoryCore::late_before(int64_t last, std::span<const int64_t> last_owed) const {
  if (quiet.sums.empty()) return 0;
  for (const int64_t of_lane : last_owed)
    if (of_lane >= 0) last = std::min(last, of_lane);
  return (last + 1) / adjoint->late.steps * adjoint->late.steps;
}

void TrajectoryCore::keep_for_sums(int64_t row) {
  const size_t number = precision == Precision::Float32 ? sizeof(float) : sizeof(double);
  for (const LateSums::Kept& kept : adjoint->late.kept) {
    const ColumnLayout &from = columns.layout(kept.column), &to = columns.layout(kept.steps);
    const auto* const column = static_cast<const std::byte*>(columns.base(kept.column));
    auto* const steps = static_cast<std::byte*>(columns.base(kept.steps));
    if (!keys.empty()) {   // rows are elements, of all runs
      const size_t bytes = columns.bytes(kept.column);
      std::memcpy(steps + static_cast<size_t>(row) * bytes, column, bytes);
      continue;
    }
    const bool uniform = to.pres == 1;   // else each neuron has a place in each step
    for (int64_t e = 0; e < from.width; ++e)
      std::memcpy(steps + static_cast<size_t>(uniform ? to.offset(0, row, e) : to.offset(row, 0, e)) * number,
                  column + static_cast<size_t>(from.offset(0, 0, e)) * number, static_cast<size_t>(from.posts) * number);
  }
}

void TrajectoryCore::reverse(std::span<const OutputPlace> outputs, std::span<const int64_t> lanes_owed) {
  const Adjoint& a = *adjoint;
  for (const ColumnId id : a.zero_once) columns.fill(id, 0);
  for (const ColumnId id : now_adjoints) columns.fill(id, 0);
  for (const ColumnId id : next_adjoints) columns.fill(id, 0);
  fed_targets.clear();
  fed_gradients.clear();
  for (const BoundFeed& feed : feeds) {
    if (!a.adjoint_of[feed.column.value].valid()) continue;
    fed_targets.push_back(feed.column);
    const size_t size = static_cast<size_t>(columns.layout(feed.column).size());
    fed_gradients.emplace_back(size * static_cast<size_t>(steps));
  }
  // The adjoint of a recorded state is that of what a step leaves.
  std::vector<ColumnId> owed;
  for (const OutputPlace& output : outputs) {
    ColumnId into = a.adjoint_of[output.what.column.value];
    for (const Adjoint::Carried& carried : a.carried)
      if (carried.now == output.what.column) into = carried.next_adjoint;
    owed.push_back(into);
  }

  // Nothing is owed for the steps after the last one that the loss reads.
  const int64_t last = last_owed(steps, outputs, *this), late = late_before(last, lanes_owed);
  const bool ahead = fetches_slots();
  for (int64_t step = last; step >= 0; --step) {
    load_segment(step / memory.segment * memory.segment);
    bind_step(step);
    if (ahead && step > ring_begin) fetch_slots(state_before(step - 1).kept, step - 1 - ring_begin);
    if (passes_again) compute_for_reverse(step);
    else if (dense_values) compute_step(step, step - ring_begin, Compute::All);
    std::memset(zeros.slot(0), 0, zeros.slot_bytes());
    for (const ColumnId id : swapped_zeros) columns.fill(id, 0);
    begin_lanes(lanes_owed, step);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (!is_read(outputs[k].what, step, steps) || !owed[k].valid()) continue;
      owe(outputs[k], owed[k], step);
    }
    run_flavours(step, step < late ? &PreparedStep::late : &PreparedStep::reverse, written_back);
    if (step < late) {
      keep_for_sums((late - 1 - step) % a.late.steps);
      if (step % a.late.steps == 0) run_step(quiet.sums, step, &PreparedStep::sums);
    }
    for (size_t k = 0; k < fed_targets.size(); ++k) {
      const std::vector<double> one = read(a.adjoint_of[fed_targets[k].value]);
      std::copy(one.begin(), one.end(), fed_gradients[k].begin() + step * static_cast<int64_t>(one.size()));
    }
    swap_adjoints();   // what this step left for its states is what the step before owes for its results
  }
  // The adjoints of initial values lie where those of `next` are after the last swap.
  swap_adjoints();
  if (last < 0) return;
  std::memset(zeros.slot(0), 0, zeros.slot_bytes());
  run_launches(begun.reverse, 0);
  begin_lanes(lanes_owed, -1);
}

void TrajectoryCore::finish() {
  load_beginning();
  run_launches(once.reverse, 0);
  run_launches(init.reverse, -1);
}

TrajectoryAtBounds TrajectoryCore::at_bounds(ColumnId state, double low, double high, const std::vector<bool>* lanes) {
  TrajectoryAtBounds count;
  const auto found = std::find(now.begin(), now.end(), state);
  if (found == now.end()) return count;
  const auto see = [&](ColumnId column) {
    const std::vector<double> values = read(column);
    for (size_t k = 0; k < values.size(); ++k) {
      if (lanes != nullptr && !(*lanes)[k % lanes->size()]) continue;
      count.at += values[k] <= low || values[k] >= high;
      ++count.all;
    }
  };
  const bool passed = static_cast<size_t>(found - now.begin()) >= states.ids().size();
  for (int64_t begin = 0; begin < steps; begin += memory.segment) {
    if (passed) {
      ring_begin = -1;
      load_segment(begin, [&] { see(after_step(state)); });
      continue;
    }
    load_segment(begin);
    const int64_t held = std::min(memory.segment, steps - begin);
    for (int64_t slot = 1; slot <= held; ++slot) {
      bind_states(now, state_before(begin + slot));
      see(state);
    }
    bind_step(std::max<int64_t>(ring_begin, 0));
  }
  return count;
}

}  // namespace hebb
