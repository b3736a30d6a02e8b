// Which columns of a trajectory are kept for each step, and which only until the next.

#include <algorithm>

#include "runtime/trajectory/core.h"

namespace hebb {

namespace {

bool contains(const std::vector<ColumnId>& list, ColumnId id) { return std::find(list.begin(), list.end(), id) != list.end(); }

/// What reverse steps need and no step keeps is computed without looking at synapses.
bool only_neurons_again(const Adjoint& a) {
  for (const auto* list : {&a.quiet.forward, &a.eventful.forward})
    for (const KernelId kernel : *list)
      if (a.moved.for_reverse[kernel.value] && is_synaptic(a.program[a.program[kernel].domain].kind)) return false;
  return true;
}

}  // namespace

bool TrajectoryCore::of_whole_run(ColumnId id) const {
  for (const KernelId kernel : adjoint->once.forward)
    for (const Store& store : program()[kernel].stores)
      if (store.into == id) return true;
  return false;
}

/// What each step computes for itself.
std::vector<ColumnId> TrajectoryCore::values_of_steps() const {
  std::vector<ColumnId> out;
  for (uint32_t k = 0; k < adjoint->adjoint_of.size(); ++k) {
    const ColumnId id{k};
    const Role role = program()[id].role;
    if (role == Role::Param || role == Role::State || role == Role::Fed || id == program().dt || of_whole_run(id)) continue;
    if (std::none_of(adjoint->carried.begin(), adjoint->carried.end(), [&](const Adjoint::Carried& c) { return c.next == id; }))
      out.push_back(id);
  }
  return out;
}

/// Kept are states that `later` is true of; of those what changes with the targets comes first.
void TrajectoryCore::classify_states(const std::function<bool(ColumnId)>& later) {
  std::vector<Adjoint::Carried> all = adjoint->carried;
  std::erase_if(all, [](const Adjoint::Carried& carried) { return carried.now == carried.next; });
  const auto passing_states = std::stable_partition(all.begin(), all.end(), [&](const Adjoint::Carried& c) { return later(c.now) || later(c.next); });
  const auto others = std::stable_partition(all.begin(), passing_states, [&](const Adjoint::Carried& c) { return moves(c.next); });
  for (const Adjoint::Carried& carried : all) {
    now.push_back(carried.now);
    next.push_back(carried.next);
    if (!carried.now_adjoint.valid()) continue;
    now_adjoints.push_back(carried.now_adjoint);
    next_adjoints.push_back(carried.next_adjoint.valid() ? carried.next_adjoint : carried.now_adjoint);
  }
  const auto kept_states = now.begin() + (passing_states - all.begin());
  states = Slots(columns, {now.begin(), kept_states});
  turns = Slots(columns, {kept_states, now.end()});
  saved = Slots(columns, now);
  moved_states = states.bytes_of_first(static_cast<size_t>(others - all.begin()));
}

void TrajectoryCore::classify() {
  const Program& p = program();
  const std::vector<ColumnId> values = values_of_steps();
  const bool may_pass = Trajectory::runs_whole(adjoint->program) || only_neurons_again(*adjoint);
  dense_values = std::any_of(values.begin(), values.end(), [&](ColumnId id) { return dense(id) && adjoint->moved.read_later[id.value]; });
  // Where the way back computes whole steps again, these read what they read before.
  const bool whole_again = dense_values && !may_pass;
  const auto later = [&](ColumnId id) { return whole_again || adjoint->moved.read_later[id.value]; };
  classify_states(later);

  std::vector<ColumnId> summed;
  for (const auto* list : {&adjoint->quiet.forward, &adjoint->eventful.forward})
    for (const KernelId kernel : *list)
      for (const Accumulate& sum : p[kernel].accumulates)
        if (!contains(summed, sum.into)) summed.push_back(sum.into);
  // Sums that begin at zero and change with the targets come first: one sweep zeroes them.
  std::vector<ColumnId> zeroed, per_step, passing_zeroed, passes;
  for (const ColumnId id : values) {
    if (dense(id)) continue;
    const bool is_zeroed = contains(summed, id) && p[id].reset == 0 && moves(id);
    const bool is_kept = later(id) && (!may_pass || !moves(id));
    if (is_kept) (is_zeroed ? zeroed : per_step).push_back(id);
    else (is_zeroed ? passing_zeroed : passes).push_back(id);
  }
  for (const ColumnId id : summed) {
    if (contains(zeroed, id) || contains(passing_zeroed, id) || contains(next, id)) continue;   // those of `next` begin with a store
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
  passes_again = may_pass && (dense_values || !passing.ids().empty());
  std::vector<ColumnId> fixed;
  for (const ColumnId id : adjoint->zero_each_step)
    (contains(now_adjoints, id) ? swapped_zeros : fixed).push_back(id);
  zeros = Slots(columns, fixed);
}

}  // namespace hebb
