#include "compiler/program/overlap.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "compiler/expr/transform.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

/// Which columns the sums of a coming step may read before that step begins: fed signals, parameters, and
/// values that kernels compute from these alone, without draws. What is seen late is written when that step begins.
class Ahead {
 public:
  Ahead(const Program& program, std::span<const ColumnId> apart) : program_(program) {
    for (const ColumnId column : apart) known_[column] = false;
    for (const Delayed& delayed : program.plan.delays) known_[delayed.into] = false;
    for (const Bucketed& bucketed : program.plan.bucketed)
      for (const Bucketed::Late& late : bucketed.late) known_[late.into] = false;
    for (const Launch& launch : program.plan.step) {
      for (const Store& store : program[launch.kernel].stores) writers_[store.into].push_back(launch);
      for (const Accumulate& sum : program[launch.kernel].accumulates) writers_[sum.into].push_back(launch);
    }
  }

  bool known(ColumnId column) {
    const auto [found, fresh] = known_.emplace(column, false);
    if (!fresh) return found->second;  // false while it is being looked at: a cycle is not known ahead
    const bool result = look(column);
    known_[column] = result;
    return result;
  }

  /// The kernels that compute known values below `roots`, in launch order.
  std::vector<KernelId> cone(const std::set<ColumnId>& columns) const {
    std::set<ColumnId> wanted = columns;
    std::vector<KernelId> kernels;
    for (size_t i = program_.plan.step.size(); i-- > 0;) {
      const KernelId id = program_.plan.step[i].kernel;
      const Kernel& kernel = program_[id];
      const bool needed = std::any_of(kernel.stores.begin(), kernel.stores.end(),
                                      [&](const Store& s) { return wanted.contains(s.into); });
      if (!needed) continue;
      for (const ColumnId read : loads(kernel)) wanted.insert(read);
      kernels.push_back(id);
    }
    std::reverse(kernels.begin(), kernels.end());
    return kernels;
  }

  std::set<ColumnId> loads(const Kernel& kernel) const { return loads(roots(kernel)); }
  std::set<ColumnId> loads(const std::vector<ExprId>& values) const {
    std::set<ColumnId> columns;
    const std::vector<bool> live = live_nodes(program_.pool, values);
    for (uint32_t i = 0; i < live.size(); ++i) {
      const ExprNode node = program_.pool[ExprId{i}];
      if (live[i] && node.op == Op::Load) columns.insert(ColumnId{node.leaf.index});
    }
    return columns;
  }

 private:
  bool draws(const Kernel& kernel) const {
    const std::vector<bool> live = live_nodes(program_.pool, roots(kernel));
    for (uint32_t i = 0; i < live.size(); ++i) {
      if (live[i] && program_.pool[ExprId{i}].op == Op::Draw) return true;
    }
    return false;
  }

  bool look(ColumnId column) {
    const Role role = program_[column].role;
    if (role == Role::Param || role == Role::Fed) return true;
    if (role != Role::Value) return false;
    const auto writers = writers_.find(column);
    if (writers == writers_.end() || writers->second.size() != 1) return false;
    const Launch launch = writers->second.front();
    const Kernel& kernel = program_[launch.kernel];
    if (launch.when != When::Always || !kernel.accumulates.empty() || draws(kernel)) return false;
    for (const ColumnId read : loads(kernel)) {
      if (!known(read)) return false;
    }
    // The whole kernel is repeated, so everything it stores must be a value.
    return std::all_of(kernel.stores.begin(), kernel.stores.end(),
                       [&](const Store& s) { return program_[s.into].role == Role::Value; });
  }

  const Program& program_;
  std::map<ColumnId, std::vector<Launch>> writers_;
  std::map<ColumnId, bool> known_;
};

/// A sum kernel and the launch that changes its weights last.
struct Pair {
  size_t sum, update;  // positions in plan.step
};

bool only_post_sums(const Program& program, const Kernel& kernel) {
  if (program[kernel.domain].kind != SpaceKind::Dense) return false;
  if (kernel.accumulates.empty() || !kernel.stores.empty() || !kernel.scans.empty()) return false;
  return std::all_of(kernel.accumulates.begin(), kernel.accumulates.end(), [&](const Accumulate& a) {
    return a.at == At::Post && a.combine == Combine::Sum && program[a.into].role == Role::Value;
  });
}

std::optional<Pair> find_pair(const Program& program, size_t sum, Ahead& ahead) {
  const std::vector<Launch>& step = program.plan.step;
  const Kernel& kernel = program[step[sum].kernel];
  if (step[sum].when != When::Always || !only_post_sums(program, kernel)) return {};
  std::set<ColumnId> weights;
  for (const ColumnId read : ahead.loads(kernel)) {
    if (program[read].space == kernel.domain) weights.insert(read);
    else if (!ahead.known(read)) return {};
  }
  std::optional<size_t> update;
  for (size_t i = 0; i < step.size(); ++i) {
    const Kernel& other = program[step[i].kernel];
    const bool stores = std::any_of(other.stores.begin(), other.stores.end(),
                                    [&](const Store& s) { return weights.contains(s.into); });
    if (!stores) continue;
    if (i < sum || step[i].when != When::Always || update) return {};
    update = i;
  }
  if (!update) return {};
  // Sums of other kinds would keep the update from being split over threads by post.
  const Kernel& last = program[step[*update].kernel];
  const bool by_post = std::all_of(last.accumulates.begin(), last.accumulates.end(),
                                   [](const Accumulate& a) { return a.at == At::Post; });
  if (!by_post || !last.scans.empty()) return {};
  return Pair{sum, *update};
}

class Overlap {
 public:
  Overlap(Program program, std::span<const ColumnId> apart) : program_(std::move(program)), apart_(apart) {}

  Program run() {
    for (size_t i = 0; i < program_.plan.step.size(); ++i) {
      Ahead ahead(program_, apart_);
      if (const auto pair = find_pair(program_, i, ahead)) fuse(*pair, ahead);
    }
    for (const auto& [column, element] : taken_) start_anew(column, element);
    return std::move(program_);
  }

 private:
  /// The runner resets a sum at the start of a step only while some kernel of the step accumulates into
  /// it. With none left, the first to take starts from the reset value itself.
  void start_anew(ColumnId column, uint32_t element) {
    for (const Launch& launch : program_.plan.step) {
      for (const Accumulate& sum : program_[launch.kernel].accumulates) {
        if (sum.into == column) return;
      }
    }
    for (const Launch& launch : program_.plan.step) {
      for (Store& store : program_.kernels[launch.kernel.value].stores) {
        if (store.into != column || store.element != element) continue;
        const ExprNode sum = program_.pool[store.value];
        const ExprId before = program_.pool.load(column, At::Self, element);
        const bool first = sum.op == Op::Add && sum.operands[0] == before;
        const bool second = sum.op == Op::Add && sum.operands[1] == before;
        if (!first && !second) return;  // stored anew by another kernel
        ExprPool& pool = program_.pool;
        const ExprId next = sum.operands[first ? 1 : 0];
        const double reset = program_[column].reset;
        store.value = reset == 0 ? next : pool.add(pool.constant(reset), next);
        return;
      }
    }
  }

  /// The copy of a fed column or a known value that holds the coming step's.
  ColumnId next_of(ColumnId column) {
    const auto found = next_.find(column);
    if (found != next_.end()) return found->second;
    Column copy = program_[column];
    copy.name += " (next)";
    const ColumnId next = program_.add(copy);
    next_[column] = next;
    for (Feed& feed : program_.plan.feeds) {
      if (feed.column == column) feed.ahead = next;
    }
    return next;
  }

  ColumnId maybe_next(ColumnId column) {
    return program_[column].role == Role::Param ? column : next_of(column);
  }

  /// `value` as the coming step would compute it; weights become what `update` leaves them at.
  ExprId coming(ExprId value, const Kernel& update) {
    ExprPool& pool = program_.pool;
    Substitution later(pool, pool, [&](const ExprNode& leaf) {
      if (leaf.op != Op::Load) return ExprId{};
      const ColumnId column{leaf.leaf.index};
      for (const Store& store : update.stores) {
        if (store.into == column && store.element == leaf.leaf.element) return store.value;
      }
      if (program_[column].space == update.domain) return ExprId{};
      return pool.load(maybe_next(column), leaf.leaf.at, leaf.leaf.element);
    });
    return later(value);
  }

  void repeat(const std::vector<KernelId>& cone, std::vector<Launch>& launches) {
    for (const KernelId id : cone) {
      if (!repeated_.insert(id.value).second) continue;
      Kernel copy = program_[id];
      copy.name += " (next)";
      for (Store& store : copy.stores) {
        store.value = coming(store.value, Kernel{});
        store.into = next_of(store.into);
      }
      launches.push_back({program_.add(std::move(copy))});
    }
  }

  void fuse(const Pair& pair, Ahead& ahead) {
    const Kernel sum = program_[program_.plan.step[pair.sum].kernel];
    const KernelId update_id = program_.plan.step[pair.update].kernel;
    const Kernel update = program_[update_id];
    std::set<ColumnId> read;
    for (const ColumnId column : ahead.loads(sum)) {
      if (program_[column].space != sum.domain) read.insert(column);
    }
    const std::vector<KernelId> cone = ahead.cone(read);

    std::vector<Accumulate> carried;
    Kernel take{.name = cat("take ", sum.name), .domain = program_[sum.domain].post};
    Kernel clear{.name = cat("clear ", sum.name), .domain = take.domain};
    Kernel first{.name = cat("first ", sum.name), .domain = sum.domain};
    ExprPool& pool = program_.pool;
    for (const Accumulate& a : sum.accumulates) {
      Column column = program_[a.into];
      column.name = cat(column.name, " (next ", program_.columns.size(), ")");
      column.role = Role::State;
      column.reset = 0;
      column.width = 1;
      const ColumnId next = program_.add(column);
      take.stores.push_back({a.into, a.element,
                             pool.add(pool.load(a.into, At::Self, a.element), pool.load(next, At::Self))});
      take.stores.push_back({next, 0, pool.constant(0)});
      clear.stores.push_back({next, 0, pool.constant(0)});
      taken_.insert({a.into, a.element});
      first.accumulates.push_back({next, 0, At::Post, Combine::Sum, a.value});
      carried.push_back({next, 0, At::Post, Combine::Sum, coming(a.value, update)});
    }

    for (const KernelId id : cone) {
      if (begun_.insert(id.value).second) program_.plan.begin.push_back({id});
    }
    program_.plan.begin.push_back({program_.add(std::move(clear))});
    program_.plan.begin.push_back({program_.add(std::move(first))});

    Kernel both = update;
    both.name = cat(update.name, " and ", sum.name);
    both.accumulates.insert(both.accumulates.end(), carried.begin(), carried.end());
    std::vector<Launch> before;
    repeat(cone, before);
    program_.plan.step[pair.sum].kernel = program_.add(std::move(take));
    program_.plan.step[pair.update].kernel = program_.add(std::move(both));
    // What the coming step is fed is known from the start of this one.
    program_.plan.step.insert(program_.plan.step.begin(), before.begin(), before.end());
  }

  Program program_;
  std::span<const ColumnId> apart_;
  std::map<ColumnId, ColumnId> next_;
  std::set<uint32_t> repeated_, begun_;
  std::set<std::pair<ColumnId, uint32_t>> taken_;
};

/// Kernels that no launch names are not worth compiling.
Program without_idle_kernels(Program program) {
  std::vector<Kernel> kept;
  std::map<uint32_t, KernelId> renamed;
  const auto keep = [&](KernelId& kernel) {
    const auto [at, fresh] = renamed.emplace(kernel.value, KernelId{static_cast<uint32_t>(kept.size())});
    if (fresh) kept.push_back(std::move(program.kernels[kernel.value]));
    kernel = at->second;
  };
  for (auto* launches : {&program.plan.init, &program.plan.begin, &program.plan.step})
    for (Launch& launch : *launches) keep(launch.kernel);
  for (Deferred& deferred : program.plan.deferred) {
    keep(deferred.now);
    for (KernelId& kernel : deferred.settle) keep(kernel);
  }
  for (Seldom& seldom : program.plan.seldom) keep(seldom.all);
  program.kernels = std::move(kept);
  return program;
}

}  // namespace

Program overlap(Program program, std::span<const ColumnId> apart) {
  return without_idle_kernels(Overlap(std::move(program), apart).run());
}

}  // namespace hebb
