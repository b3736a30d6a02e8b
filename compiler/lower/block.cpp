// A rule for hosts that call its instants and its flow one by one.

#include <algorithm>
#include <cassert>

#include "compiler/lower/lower.h"
#include "compiler/lower/passes.h"
#include "compiler/lower/reader.h"
#include "compiler/lower/step.h"

namespace hebb {
namespace {

struct Pieces {
  bool instant = false, flow = false;
  bool events = false;   // spikes, ports and clocks may happen
  bool on_grid = false;  // `on step` happens
};

class BlockMaker {
 public:
  explicit BlockMaker(Draft draft) : draft_(std::move(draft)), named_columns_(draft_.program.columns.size()) {}

  Block run(const Rule& rule) {
    Ordered initial = in_order(draft_.program, initial_definitions(draft_));
    assert(initial.cycle.empty() && "sema reports parameters that depend on themselves");
    const std::vector<Kernel> init = with_fma(draft_.program, grouped(std::move(initial.kernels)));
    const std::vector<Kernel> instant = kernels({.instant = true, .events = true});
    const std::vector<Kernel> step = kernels({.instant = true, .flow = true, .events = true, .on_grid = true});
    const std::vector<Kernel> quiet = kernels({.instant = true, .flow = true, .on_grid = true});
    const std::vector<Kernel> bounds = with_fma(draft_.program, bound_kernels());

    Block block;
    block.program = std::move(draft_.program);
    block.named_columns = named_columns_;
    block.pre_count = draft_.pre_count;
    block.post_count = draft_.post_count;
    block.uses_steps = std::any_of(rule.events.begin(), rule.events.end(),
                                   [](const Event& event) { return event.kind == EventKind::Step; });
    block.init = added(block.program, init);
    block.instant = added(block.program, instant);
    block.step = added(block.program, step);
    block.quiet = added(block.program, quiet);
    block.bounds = added(block.program, bounds);
    for (const KernelId id : block.init) block.program.plan.init.push_back({id, When::Always});
    for (const KernelId id : block.step) block.program.plan.step.push_back({id, When::Always});
    assert(verify(block.program).empty() && "a lowered program keeps every promise");
    return block;
  }

 private:
  std::vector<Kernel> kernels(const Pieces& pieces) {
    draft_.quiet = !pieces.events;
    draft_.on_grid = pieces.on_grid;
    Ordered values = in_order(draft_.program, value_definitions(draft_));
    assert(values.cycle.empty() && "a rule alone has no values that depend on themselves");
    std::vector<Kernel> all = std::move(values.kernels);
    const auto take = [&](std::vector<Kernel> more) {
      for (Kernel& kernel : more) all.push_back(std::move(kernel));
    };
    if (pieces.instant) take(instant_kernels(draft_));
    if (pieces.flow) take(flow_kernels(draft_));
    all = without_dead(draft_.program, std::move(all), draft_.visible);
    all = merged(draft_.program, std::move(all));
    all = staged(draft_.program, std::move(all), staged_);
    all = merged(draft_.program, std::move(all));
    return with_fma(draft_.program, std::move(all));
  }

  /// Parameters first, then start values, each in as few kernels as their order allows.
  std::vector<Kernel> grouped(std::vector<Kernel> init) {
    const auto first_start = std::stable_partition(init.begin(), init.end(), [&](const Kernel& kernel) {
      return draft_.program[kernel.stores.at(0).into].role == Role::Param;
    });
    std::vector<Kernel> start(first_start, init.end());
    init.erase(first_start, init.end());
    init = merged(draft_.program, std::move(init));
    for (Kernel& kernel : merged(draft_.program, std::move(start))) init.push_back(std::move(kernel));
    return init;
  }

  std::vector<Kernel> bound_kernels() {
    std::vector<Kernel> all;
    const Instance& synapse = draft_.projections.back();
    for (const Frame frame : {Frame::Shared, Frame::Pre, Frame::Post, Frame::Synapse}) {
      Reader read(draft_, synapse, frame);
      Kernel kernel{.name = "bounds", .domain = space_of(draft_, synapse, frame)};
      for (const auto& [id, column] : synapse.columns) {
        const Variable& variable = (*draft_.model)[id];
        const bool weight = variable.kind == VarKind::Weight;
        if (!weight && variable.kind != VarKind::State) continue;
        if ((weight ? Frame::Synapse : frame_of(variable.locus)) != frame) continue;
        for (uint32_t element = 0; element < draft_.program[column].width; ++element) {
          const ExprId value = read.load(column, element, variable.locus);
          const ExprId within = read.clamped(id, value);
          if (within != value) kernel.stores.push_back({.into = column, .element = element, .value = within});
        }
      }
      if (!kernel.stores.empty()) all.push_back(std::move(kernel));
    }
    return all;
  }

  /// Equal kernels are kept once.
  static std::vector<KernelId> added(Program& program, const std::vector<Kernel>& kernels) {
    std::vector<KernelId> ids;
    for (const Kernel& kernel : kernels) {
      uint32_t found = 0;
      while (found < program.kernels.size() && !same_effects(program.kernels[found], kernel)) ++found;
      ids.push_back(found < program.kernels.size() ? KernelId{found} : program.add(kernel));
    }
    return ids;
  }

  static bool same_effects(const Kernel& a, const Kernel& b) {
    return a.domain == b.domain && a.scans == b.scans && a.stores == b.stores &&
           a.accumulates == b.accumulates;
  }

  Draft draft_;
  Staged staged_;
  size_t named_columns_;
};

}  // namespace

Block lower_block(const Model& model, const Rule& rule) {
  return BlockMaker(draft_block(model, rule)).run(rule);
}

}  // namespace hebb
