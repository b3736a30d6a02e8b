#pragma once
// A rule between some pairs of two clamped populations, with the calls of a block. Its kernels are compiled for these
// synapses. At a moment of spikes alone those of the neurons that spike are visited, unless they are most of them.

#include <memory>
#include <vector>

#include "runtime/embed/library/sparse_gradient.h"
#include "runtime/embed/live_rule.h"
#include "runtime/columns.h"
#include "runtime/plan_runner.h"

namespace hebb {

class SparseBlock {
 public:
  /// `edges`: sorted, each once.
  static Result<std::unique_ptr<SparseBlock>> create(const EmbedUnit& unit, int64_t n_pre, int64_t n_post,
                                                     std::vector<Edge> edges, uint64_t seed);
  SparseBlock(const SparseBlock&) = delete;
  SparseBlock& operator=(const SparseBlock&) = delete;

  void* base(ColumnId id) { return columns_.base(id); }
  const ColumnLayout& layout(ColumnId id) const { return columns_.layout(id); }
  int64_t steps() const { return steps_; }
  double time_ms() const { return base_ms_ + static_cast<double>(base_steps_) * base_dt_; }

  /// One moment with `inputs` as block.h describes them; then the flow over dt_ms, unless it is 0. A code.
  int moment(const hebb_block_rule& rule, const LiveRule& live, const void* inputs, double dt_ms);
  /// Of the coming moment, or of a step of dt_ms; compiled when it is first asked for.
  Result<SparseGradient*> gradient(const EmbedUnit& unit);
  int run_gradient(const hebb_block_rule& rule, const LiveRule& live, const void* inputs, double dt_ms,
                   std::vector<SparseGradient::Wanted>& bars);
  int sync();
  int start();
  int set_clock(int64_t steps, double time_ms);

 private:
  SparseBlock(Kernels kernels, Columns columns) : kernels_(std::move(kernels)), columns_(std::move(columns)) {}
  void add_plan(const Program& program, const std::vector<KernelId>& kernels, uint64_t key);
  int tick(Columns& into, bool look_only);
  /// Sets indicators in `into`; adds those that were raised to `raised`.
  struct Happened { bool spikes = false, everywhere = false; };
  Happened take_inputs(const hebb_block_rule& rule, const LiveRule& live, const void* inputs, Columns& into,
                       std::vector<ColumnId>& raised) const;
  bool few(const hebb_block_rule& rule, const LiveRule& live, const void* inputs) const;

  enum Plan { kStart, kInstant, kStep, kQuiet, kBounds, kInstantOfSpikes, kStepOfSpikes };
  Kernels kernels_;
  Columns columns_;
  std::vector<std::unique_ptr<Program>> programs_;   // one a plan: all but the plan is equal
  std::vector<std::unique_ptr<PlanRunner>> runners_;
  std::vector<int64_t> next_;                        // of each clock
  ColumnId any_pre_, any_post_;                      // whether a neuron has any spike at this moment
  bool step_by_spikes_ = false;
  std::shared_ptr<const std::vector<Edge>> edges_;
  int64_t n_pre_ = 0, n_post_ = 0;
  uint64_t key_ = 0;
  std::unique_ptr<SparseGradient> gradient_;
  int64_t steps_ = 0, base_steps_ = 0;
  double base_ms_ = 0, base_dt_ = 0;
};

}  // namespace hebb
