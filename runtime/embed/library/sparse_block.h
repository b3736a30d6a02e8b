#pragma once
// A rule between some pairs of two clamped populations, with the calls of a block. Its kernels are compiled for these
// synapses. Every synapse is visited whenever something happens.

#include <memory>
#include <vector>

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
  int sync();
  int start();
  int set_clock(int64_t steps, double time_ms);

 private:
  SparseBlock(Kernels kernels, Columns columns) : kernels_(std::move(kernels)), columns_(std::move(columns)) {}
  void add_plan(const Program& program, const std::vector<KernelId>& kernels, uint64_t key);
  int tick();

  enum Plan { kStart, kInstant, kStep, kQuiet, kBounds };
  Kernels kernels_;
  Columns columns_;
  std::vector<std::unique_ptr<Program>> programs_;   // one a plan: all but the plan is equal
  std::vector<std::unique_ptr<PlanRunner>> runners_;
  std::vector<int64_t> next_;                        // of each clock
  int64_t steps_ = 0, base_steps_ = 0;
  double base_ms_ = 0, base_dt_ = 0;
};

}  // namespace hebb
