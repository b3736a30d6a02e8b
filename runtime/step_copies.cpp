// Which columns and kernels each thread has for itself.
#include <algorithm>

#include "runtime/step_schedule.h"

namespace hebb {

namespace {

/// Whether every thread could run this kernel beside the others: a few rows at most, and no sums.
bool costs_little(const Program& program, const Kernel& kernel) {
  const SpaceKind kind = program[kernel.domain].kind;
  const bool few = kind == SpaceKind::Uniform ? kernel.rows == Rows::All && !kernel.spikes.valid() : kind == SpaceKind::Neurons && kernel.rows == Rows::OfSpikes;
  return few && kernel.accumulates.empty() && kernel.scans.empty() && !kernel.stores.empty() &&
         std::all_of(kernel.stores.begin(), kernel.stores.end(), [](const Store& store) { return store.value.valid(); });
}

std::vector<ColumnId> loaded(const Program& program, const Kernel& kernel) {
  std::vector<ColumnId> out;
  const std::vector<bool> live = live_nodes(program.pool, roots(kernel));
  for (uint32_t id = 0; id < live.size(); ++id)
    if (live[id] && program.pool[ExprId{id}].op == Op::Load) out.push_back(ColumnId{program.pool[ExprId{id}].leaf.index});
  return out;
}

class Copying {
 public:
  Copying(const Program& program, const std::vector<bool>& unchanging, const std::vector<bool>& barred)
      : program_(program), unchanging_(unchanging), written_(barred), can_(program.columns.size()), wanted_(program.columns.size()) {
    for (const Launch& launch : program.plan.step) {
      const Kernel& kernel = program[launch.kernel];
      for (const ColumnId c : writes(kernel)) written_[c.value] = can_[c.value] = true;
      if (costs_little(program, kernel)) candidates_.push_back({.kernel = launch.kernel, .loads = loaded(program, kernel)});
    }
    for (size_t c = 0; c < can_.size(); ++c) {
      const Role role = program.columns[c].role;
      can_[c] = can_[c] && !barred[c] && (role == Role::State || role == Role::Value);
    }
    for (const Launch& launch : program.plan.step)
      if (!costs_little(program, program[launch.kernel])) refuse(program[launch.kernel]);
  }

  Copied run() {
    narrow();
    want_what_others_read();
    widen();
    Copied out{.columns = std::move(wanted_), .kernels = std::vector<bool>(program_.kernels.size())};
    for (const Candidate& one : candidates_) out.kernels[one.kernel.value] = one.wanted;
    return out;
  }

 private:
  struct Candidate {
    KernelId kernel;
    std::vector<ColumnId> loads;
    bool wanted = false;
  };

  static std::vector<ColumnId> writes(const Kernel& kernel) {
    std::vector<ColumnId> out;
    for (const Store& store : kernel.stores) out.push_back(store.into);
    for (const Accumulate& sum : kernel.accumulates) out.push_back(sum.into);
    for (const Scan& scan : kernel.scans) out.push_back(scan.as);
    return out;
  }
  bool refuse(const Kernel& kernel) {
    bool any = false;
    for (const ColumnId c : writes(kernel)) any |= can_[c.value], can_[c.value] = false;
    return any;
  }
  bool any_wanted(const Kernel& kernel) const {
    return std::any_of(kernel.stores.begin(), kernel.stores.end(), [&](const Store& store) { return wanted_[store.into.value]; });
  }
  void want(ColumnId c) { wanted_[c.value] = wanted_[c.value] || can_[c.value]; }

  /// Who reads or writes what has no copies is out, and all that it writes.
  void narrow() {
    const auto has_copy_or_stays = [&](ColumnId c) { return can_[c.value] || !written_[c.value] || unchanging_[c.value]; };
    for (bool again = true; again;) {
      again = false;
      for (const Candidate& one : candidates_) {
        const Kernel& kernel = program_[one.kernel];
        const bool stores = std::all_of(kernel.stores.begin(), kernel.stores.end(), [&](const Store& store) { return can_[store.into.value]; });
        if (stores && std::all_of(one.loads.begin(), one.loads.end(), has_copy_or_stays)) continue;
        again |= refuse(kernel);
      }
    }
  }

  /// What is uniform, or what some thread reads beyond its block.
  void want_what_others_read() {
    const std::vector<bool> none(can_.size());
    for (const Launch& launch : program_.plan.step) {
      const Kernel& kernel = program_[launch.kernel];
      for (const Touch& touch : touches(program_, kernel, share_of(program_, kernel), unchanging_, none)) {
        const ColumnId c{touch.thing};
        if (program_[program_[c].space].kind == SpaceKind::Uniform || touch.reach == Reach::Any || touch.reach == Reach::First) want(c);
      }
    }
  }

  /// And all that this is made of, and what is made with it.
  void widen() {
    for (bool again = true; again;) {
      again = false;
      for (Candidate& one : candidates_) {
        if (one.wanted || !any_wanted(program_[one.kernel])) continue;
        one.wanted = again = true;
        for (const ColumnId c : one.loads) want(c);
        for (const Store& store : program_[one.kernel].stores) want(store.into);
      }
    }
  }

  const Program& program_;
  const std::vector<bool>& unchanging_;
  std::vector<bool> written_, can_, wanted_;   // by column
  std::vector<Candidate> candidates_;
};

}  // namespace

Copied copied(const Program& program, const std::vector<bool>& unchanging, const std::vector<bool>& barred) {
  return Copying(program, unchanging, barred).run();
}

}  // namespace hebb
