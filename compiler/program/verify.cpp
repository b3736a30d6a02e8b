// Every promise of program.h, checked.

#include <algorithm>
#include <set>

#include "compiler/program/program.h"
#include "compiler/support/text.h"

namespace hebb {
namespace {

constexpr uint32_t kMaxSites = 1 << 16;  // what the counter of a draw has room for
constexpr uint32_t kMaxSlots = 1 << 7;

class Verifier {
 public:
  explicit Verifier(const Program& program) : program_(program) {}

  std::vector<std::string> run() {
    spaces();
    columns();
    if (!faults_.empty()) return faults_;  // kernels are not worth reading
    for (const Kernel& kernel : program_.kernels) check(kernel);
    plan();
    return faults_;
  }

 private:
  template <class... Pieces>
  void fault(const Pieces&... pieces) { faults_.push_back(cat(pieces...)); }

  bool neurons(SpaceId id) const {
    return id.value < program_.spaces.size() && program_[id].kind == SpaceKind::Neurons;
  }

  void spaces() {
    for (const Space& space : program_.spaces) {
      if (is_synaptic(space.kind) && (!neurons(space.pre) || !neurons(space.post)))
        fault("space ", space.name, " is between spaces that are not neurons");
      if (space.size < 1) fault("space ", space.name, " has no rows");
      if (space.kind == SpaceKind::Uniform && space.size != 1)
        fault("space ", space.name, " is uniform with more than one row");
    }
  }

  void columns() {
    std::set<std::string> names;
    for (const Column& column : program_.columns) {
      if (!names.insert(column.name).second) fault("two columns are called ", column.name);
      if (column.space.value >= program_.spaces.size())
        fault("column ", column.name, " is in no space");
      if (column.width < 1) fault("column ", column.name, " has no elements");
    }
    if (!is_uniform_param(program_.dt)) fault("dt is not a uniform parameter");
  }

  bool exists(ColumnId id) const { return id.value < program_.columns.size(); }
  bool is_uniform_param(ColumnId id) const {
    return exists(id) && program_[program_[id].space].kind == SpaceKind::Uniform &&
           program_[id].role == Role::Param;
  }

  /// Whether a row of `domain` can read `column` that way.
  bool readable(const Space& domain, SpaceId domain_id, const Column& column, At at) const {
    const Space& space = program_[column.space];
    switch (at) {
      case At::Uniform: return space.kind == SpaceKind::Uniform;
      case At::Fixed: return space.kind == SpaceKind::Neurons;
      case At::Pre: return is_synaptic(domain.kind) && column.space == domain.pre;
      case At::Post: return is_synaptic(domain.kind) && column.space == domain.post;
      case At::Self:
        if (space.kind == SpaceKind::Uniform) return false;
        if (column.space == domain_id) return true;
        return domain.kind == SpaceKind::Neurons && space.kind == SpaceKind::Neurons &&
               space.size == domain.size;
    }
    return false;
  }

  void check_leaf(const Kernel& kernel, const ExprNode& node) {
    if (node.op == Op::Var || node.op == Op::Dt)
      return fault("kernel ", kernel.name, " mentions a variable of the model");
    if (node.op == Op::Draw && (node.leaf.index >= kMaxSites || node.leaf.element >= kMaxSlots))
      return fault("kernel ", kernel.name, " draws at a site out of range");
    if (node.op != Op::Load) return;
    const ColumnId id{node.leaf.index};
    if (!exists(id)) return fault("kernel ", kernel.name, " loads a column that does not exist");
    const Column& column = program_[id];
    if (!readable(program_[kernel.domain], kernel.domain, column, node.leaf.at))
      return fault("kernel ", kernel.name, " cannot read ", column.name, " from its rows");
    const int64_t limit =
        node.leaf.at == At::Fixed ? program_[column.space].size * column.width : column.width;
    if (node.leaf.element >= limit)
      fault("kernel ", kernel.name, " reads element ", node.leaf.element, " of ", column.name);
  }

  void check(const Kernel& kernel) {
    if (kernel.domain.value >= program_.spaces.size())
      return fault("kernel ", kernel.name, " has no domain");
    for (ExprId root : roots(kernel))
      if (root.value >= program_.pool.size())
        return fault("kernel ", kernel.name, " has an effect without a value");
    const std::vector<bool> live = live_nodes(program_.pool, roots(kernel));
    for (uint32_t i = 0; i < live.size(); ++i)
      if (live[i]) check_leaf(kernel, program_.pool[ExprId{i}]);
    check_rows(kernel);
    check_effects(kernel);
    check_hazards(kernel, live);
  }

  void check_rows(const Kernel& kernel) {
    if (kernel.rows == Rows::All && kernel.spikes.valid()) {
      const bool few = exists(kernel.spikes) && !is_synaptic(program_[program_[kernel.spikes].space].kind);
      if (!few || !kernel.accumulates.empty()) fault("kernel ", kernel.name, " runs when something happens that it cannot see");
    }
    if (kernel.rows == Rows::All) return;
    const Space& domain = program_[kernel.domain];
    if (kernel.rows == Rows::OfSpikes) {
      if (domain.kind != SpaceKind::Neurons || !kernel.accumulates.empty())
        fault("kernel ", kernel.name, " takes spiking neurons of a space that has none, or sums over them");
      if (!exists(kernel.spikes) || program_[kernel.spikes].space != kernel.domain)
        fault("kernel ", kernel.name, " takes its rows from a column of another space");
      return;
    }
    if (domain.kind != SpaceKind::Sparse) return fault("kernel ", kernel.name, " takes some rows of a space that is not sparse");
    const SpaceId side = kernel.rows == Rows::OfPre ? domain.pre : domain.post;
    if (!exists(kernel.spikes) || program_[kernel.spikes].space != side)
      fault("kernel ", kernel.name, " takes its rows from a column of another space");
    if (kernel.rows == Rows::OfPost && !kernel.accumulates.empty())
      fault("kernel ", kernel.name, " sums column by column");
  }

  void check_effects(const Kernel& kernel) {
    const Space& domain = program_[kernel.domain];
    std::set<std::pair<uint32_t, uint32_t>> written;
    auto once = [&](ColumnId id, uint32_t element) {
      if (!exists(id)) return fault("kernel ", kernel.name, " writes a column that does not exist");
      if (element >= program_[id].width)
        fault("kernel ", kernel.name, " writes element ", element, " of ", program_[id].name);
      if (!written.insert({id.value, element}).second)
        fault("kernel ", kernel.name, " writes ", program_[id].name, " twice");
    };
    for (const Store& store : kernel.stores) {
      once(store.into, store.element);
      if (exists(store.into) && program_[store.into].space != kernel.domain)
        fault("kernel ", kernel.name, " stores into ", program_[store.into].name, " of another space");
    }
    for (const Accumulate& accumulate : kernel.accumulates) {
      once(accumulate.into, accumulate.element);
      if (!exists(accumulate.into)) continue;
      const Column& column = program_[accumulate.into];
      const bool uniform = program_[column.space].kind == SpaceKind::Uniform;
      const bool dense = is_synaptic(domain.kind);
      if (!(accumulate.at == At::Uniform && uniform) &&
          !(accumulate.at == At::Pre && dense && column.space == domain.pre) &&
          !(accumulate.at == At::Post && dense && column.space == domain.post))
        fault("kernel ", kernel.name, " cannot accumulate into ", column.name);
      for (const Store& store : kernel.stores)
        if (store.into == accumulate.into)
          fault("kernel ", kernel.name, " stores and accumulates into ", column.name);
    }
    for (const Scan& scan : kernel.scans) {
      once(scan.as, 0);
      if (domain.kind != SpaceKind::Dense || (scan.along != At::Pre && scan.along != At::Post))
        fault("kernel ", kernel.name, " scans along no axis");
      if (exists(scan.as) && program_[scan.as].space != kernel.domain)
        fault("kernel ", kernel.name, " scans into ", program_[scan.as].name, " of another space");
    }
  }

  /// No row may see what another row has written.
  void check_hazards(const Kernel& kernel, const std::vector<bool>& live) {
    std::set<uint32_t> stored, summed;
    for (const Store& store : kernel.stores) stored.insert(store.into.value);
    for (const Accumulate& accumulate : kernel.accumulates) summed.insert(accumulate.into.value);
    for (uint32_t i = 0; i < live.size(); ++i) {
      const ExprNode node = program_.pool[ExprId{i}];
      if (!live[i] || node.op != Op::Load) continue;
      if (summed.contains(node.leaf.index))
        fault("kernel ", kernel.name, " reads ", program_.columns[node.leaf.index].name,
              " while summing into it");
      if (stored.contains(node.leaf.index) && node.leaf.at == At::Fixed)
        fault("kernel ", kernel.name, " reads a fixed row of ",
              program_.columns[node.leaf.index].name, " while storing it");
    }
    // Scans run in order: a scan's value may read earlier scans only.
    for (size_t k = 0; k < kernel.scans.size(); ++k) {
      const std::vector<bool> in_scan = live_nodes(program_.pool, {kernel.scans[k].value});
      for (uint32_t i = 0; i < in_scan.size(); ++i) {
        const ExprNode node = program_.pool[ExprId{i}];
        if (!in_scan[i] || node.op != Op::Load) continue;
        for (size_t later = k; later < kernel.scans.size(); ++later)
          if (kernel.scans[later].as.value == node.leaf.index)
            fault("kernel ", kernel.name, " scans what a later scan makes");
      }
    }
  }

  void plan() {
    auto launches = [&](const std::vector<Launch>& list, bool step) {
      for (const Launch& launch : list) {
        if (launch.kernel.value >= program_.kernels.size()) {
          fault("the plan launches a kernel that does not exist");
          continue;
        }
        if (step) step_writes(program_[launch.kernel]);
      }
    };
    launches(program_.plan.init, false);
    launches(program_.plan.step, true);
    for (const Clock& clock : program_.plan.clocks) {
      if (!is_uniform_param(clock.period)) fault("a clock's period is not a uniform parameter");
      if (!exists(clock.indicator) || program_[clock.indicator].role != Role::Indicator)
        fault("a clock has no indicator");
    }
    for (const Deferred& deferred : program_.plan.deferred) {
      for (const ColumnId scale : deferred.scales)
        if (!exists(scale) || program_[scale].role != Role::State || program_[program_[scale].space].kind != SpaceKind::Uniform)
          fault("what is behind has no scale");
      if (deferred.behind.empty() || !std::all_of(deferred.behind.begin(), deferred.behind.end(), [&](ColumnId id) { return exists(id); }))
        fault("nothing is behind");
      if (deferred.counts.valid() && (!exists(deferred.counts) || !exists(deferred.events) || deferred.most < 1 || program_[deferred.counts].width != 1 ||
                                      program_[deferred.counts].space != program_[deferred.events].space))
        fault("what is behind counts what it cannot see");
      bool known = deferred.now.value < program_.kernels.size();
      for (const KernelId kernel : deferred.settle) known = known && kernel.value < program_.kernels.size();
      if (!known) fault("what is behind never catches up");
    }
    for (const Seldom& seldom : program_.plan.seldom)
      if (!exists(seldom.column) || program_[seldom.column].role != Role::Value || seldom.all.value >= program_.kernels.size())
        fault("what is seldom computed cannot be read");
    for (const Feed& feed : program_.plan.feeds) {
      if (!exists(feed.column)) {
        fault("feed ", feed.name, " has no column");
        continue;
      }
      const Role role = program_[feed.column].role;
      if (role != (feed.event ? Role::Indicator : Role::Fed))
        fault("feed ", feed.name, " writes a column of another role");
    }
  }

  void step_writes(const Kernel& kernel) {
    auto check_role = [&](ColumnId id) {
      if (program_[id].role == Role::Param || program_[id].role == Role::Fed)
        fault("kernel ", kernel.name, " writes ", program_[id].name, " in a step");
    };
    for (const Store& store : kernel.stores) check_role(store.into);
    for (const Accumulate& accumulate : kernel.accumulates) check_role(accumulate.into);
  }

  const Program& program_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> verify(const Program& program) { return Verifier(program).run(); }

}  // namespace hebb
