#include "runtime/device/gradient/program.h"

#include <algorithm>
#include <map>

#include "compiler/support/text.h"

namespace hebb {

namespace {

bool contains(const std::vector<ColumnId>& list, ColumnId id) { return std::find(list.begin(), list.end(), id) != list.end(); }

class Builder {
 public:
  explicit Builder(DeviceAdjoint& out) : out_(out), a_(*out.adjoint) {
    out_.program = a_.program;
    out_.program.kernels.clear();
    out_.program.plan = {};
    out_.program.plan.feeds = a_.program.plan.feeds;
    out_.program.plan.clocks = a_.program.plan.clocks;
  }

  void run(std::span<const TrajectoryOutput> outputs) {
    for (const auto& [from, into] : {std::pair{&a_.quiet, &out_.quiet}, {&a_.eventful, &out_.eventful}, {&a_.init, &out_.init},
                                     {&a_.once, &out_.once}, {&a_.begin, &out_.begin}}) {
      into->forward = kernels(from->forward);
      into->reverse = kernels(from->reverse);
    }
    find_carried();
    find_kept();
    begin_sums();
    out_.zero_step = fills(a_.zero_each_step);
    std::vector<ColumnId> fixed = a_.zero_each_step;
    std::erase_if(fixed, [&](ColumnId id) { return contains(out_.now_adjoints, id); });
    out_.zero_begin = fills(fixed);
    std::vector<ColumnId> all = a_.zero_once;
    for (const auto* list : {&out_.now_adjoints, &out_.next_adjoints})
      for (const ColumnId id : *list)
        if (!contains(all, id)) all.push_back(id);
    out_.zero_all = fills(all);
    for (const TrajectoryOutput& output : outputs) {
      out_.recorded.push_back(record(output.column, after_step(output.column), "recorded"));
      out_.owed.push_back(owe(output.column));
    }
    for (const Feed& feed : a_.program.plan.feeds) {
      const ColumnId owed = a_.adjoint_of[feed.column.value];
      if (owed.valid()) out_.fed.push_back(record(feed.column, owed, "owed"));
    }
  }

 private:
  std::vector<KernelId> kernels(const std::vector<KernelId>& ids) {
    std::vector<KernelId> out;
    for (const KernelId id : ids) {
      const auto [found, fresh] = made_.emplace(id.value, KernelId{});
      if (fresh) found->second = out_.program.add(Kernel(a_.program[id]));
      out.push_back(found->second);
    }
    return out;
  }

  void find_carried() {
    for (const Adjoint::Carried& carried : a_.carried) {
      if (carried.now == carried.next) continue;
      out_.now.push_back(carried.now);
      out_.next.push_back(carried.next);
      if (!carried.now_adjoint.valid()) continue;
      out_.now_adjoints.push_back(carried.now_adjoint);
      out_.next_adjoints.push_back(carried.next_adjoint.valid() ? carried.next_adjoint : carried.now_adjoint);
    }
  }

  bool of_whole_run(ColumnId id) const {
    for (const KernelId kernel : a_.once.forward)
      for (const Store& store : a_.program[kernel].stores)
        if (store.into == id) return true;
    return false;
  }

  void find_kept() {
    const Program& p = a_.program;
    for (uint32_t k = 0; k < a_.adjoint_of.size(); ++k) {
      const ColumnId id{k};
      const Role role = p[id].role;
      if (role == Role::Param || role == Role::State || role == Role::Fed || id == p.dt) continue;
      if (contains(out_.next, id) || of_whole_run(id)) continue;
      if (p[p[id].space].kind == SpaceKind::Dense) out_.dense_values = out_.dense_values || a_.moved.read[k];
      else out_.per_step.push_back(id);
    }
  }

  std::vector<ColumnId> summed(std::initializer_list<const std::vector<KernelId>*> lists) const {
    std::vector<ColumnId> out;
    for (const auto* list : lists)
      for (const KernelId kernel : *list)
        for (const Accumulate& sum : a_.program[kernel].accumulates)
          if (!contains(out, sum.into) && !contains(out_.next, sum.into)) out.push_back(sum.into);   // those begin with a store
    return out;
  }

  void begin_sums() {
    out_.begin_step = fills({}, summed({&a_.quiet.forward, &a_.eventful.forward}));
    out_.begin_init = fills(out_.now, summed({&a_.init.forward}));
  }

  /// Kernels that set columns to 0, and sums to their reset.
  std::vector<KernelId> fills(const std::vector<ColumnId>& zeroed, const std::vector<ColumnId>& sums = {}) {
    Program& p = out_.program;
    std::map<uint32_t, Kernel> by_space;
    const auto add = [&](ColumnId id, double number) {
      Kernel& kernel = by_space[p[id].space.value];
      kernel.domain = p[id].space;
      kernel.name = cat("fill ", p[p[id].space].name);
      const ExprId value = p.pool.constant(number);
      for (uint32_t e = 0; e < p[id].width; ++e) kernel.stores.push_back({.into = id, .element = e, .value = value});
    };
    for (const ColumnId id : zeroed)
      if (!contains(sums, id)) add(id, 0);
    for (const ColumnId id : sums) add(id, p[id].reset);
    std::vector<KernelId> out;
    for (auto& [space, kernel] : by_space) out.push_back(p.add(std::move(kernel)));
    return out;
  }

  ColumnId after_step(ColumnId id) const {
    const auto found = std::find(out_.now.begin(), out_.now.end(), id);
    return found == out_.now.end() ? id : out_.next[static_cast<size_t>(found - out_.now.begin())];
  }

  ColumnId rows_of(ColumnId like, const char* what) {
    Program& p = out_.program;
    return p.add(Column{.name = cat(p[like].name, " (", what, " ", p.columns.size(), ")"), .space = p[like].space, .width = p[like].width});
  }

  ExprId load(ColumnId id, uint32_t element) {
    Program& p = out_.program;
    return p.pool.load(id, p[p[id].space].kind == SpaceKind::Uniform ? At::Uniform : At::Self, element);
  }

  DeviceAdjoint::Copied record(ColumnId column, ColumnId from, const char* what) {
    Program& p = out_.program;
    DeviceAdjoint::Copied out{.column = column, .rows = rows_of(from, what), .kernel = {}};
    Kernel kernel{.name = cat(p[from].name, " ", what), .domain = p[from].space};
    for (uint32_t e = 0; e < p[from].width; ++e)
      kernel.stores.push_back({.into = out.rows, .element = e, .value = load(from, e)});
    out.kernel.push_back(p.add(std::move(kernel)));
    return out;
  }

  /// The adjoint of a recorded state is that of what a step leaves.
  DeviceAdjoint::Copied owe(ColumnId column) {
    Program& p = out_.program;
    ColumnId into = a_.adjoint_of[column.value];
    for (const Adjoint::Carried& carried : a_.carried)
      if (carried.now == column) into = carried.next_adjoint;
    DeviceAdjoint::Copied out{.column = column, .rows = {}, .kernel = {}};
    if (!into.valid()) return out;
    out.rows = rows_of(into, "owed");
    Kernel kernel{.name = cat(p[into].name, " takes what is owed"), .domain = p[into].space};
    for (uint32_t e = 0; e < p[into].width; ++e)
      kernel.stores.push_back({.into = into, .element = e, .value = p.pool.add(load(into, e), load(out.rows, e))});
    out.kernel.push_back(p.add(std::move(kernel)));
    return out;
  }

  DeviceAdjoint& out_;
  const Adjoint& a_;
  std::map<uint32_t, KernelId> made_;
};

}  // namespace

DeviceAdjoint adjoint_on_device(std::shared_ptr<const Adjoint> adjoint, std::span<const TrajectoryOutput> outputs) {
  DeviceAdjoint out;
  out.adjoint = std::move(adjoint);
  Builder(out).run(outputs);
  return out;
}

}  // namespace hebb
