#pragma once
// The derivative of one moment or step of a rule between some pairs of neurons, backwards.

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/columns.h"
#include "runtime/embed/live_rule.h"
#include "runtime/plan_runner.h"

namespace hebb {

/// The spaces of `program` with a pair for each of `edges` instead of all; a failure says what needs all.
Result<Program> on_edges(Program program, int64_t n_pre, int64_t n_post, std::shared_ptr<const std::vector<Edge>> edges);

class SparseGradient {
 public:
  static Result<std::unique_ptr<SparseGradient>> create(const EmbedUnit& unit, int64_t n_pre, int64_t n_post,
                                                        std::shared_ptr<const std::vector<Edge>> edges, uint64_t key);
  SparseGradient(const SparseGradient&) = delete;
  SparseGradient& operator=(const SparseGradient&) = delete;

  /// Which derivative belongs to a field; nothing for a field without one.
  const ObjectGradient::Bar* bar_of(ColumnId field) const;
  /// Takes everything from `now`, and what happens from `happen`, which sets indicators. `bars`: of the fields that are
  /// wanted, in: the derivative by the value after (0 where a field is not carried); out: by the value before.
  struct Wanted {
    const ObjectGradient::Bar* bar = nullptr;
    std::vector<double> values;
  };
  void run(const Columns& now, const std::function<void(Columns&)>& happen, int64_t step, double dt_ms, std::vector<Wanted>& bars);

 private:
  SparseGradient(ObjectGradient gradient, Kernels kernels, Columns columns)
      : gradient_(std::move(gradient)), kernels_(std::move(kernels)), columns_(std::move(columns)) {}

  ObjectGradient gradient_;
  Kernels kernels_;
  Columns columns_;
  size_t own_ = 0;                                  // columns of the rule itself, which come first
  ColumnId dt_;
  std::array<std::unique_ptr<Program>, 4> programs_;   // as ObjectGradient::lists
  std::array<std::unique_ptr<PlanRunner>, 4> runners_;
};

}  // namespace hebb
