#pragma once
// Program → Program: the reverse of one grid step, kernel by kernel. The adjoint of a kernel is a kernel:
// what the forward one loads, the reverse one stores or accumulates into that column's adjoint. A step
// is first rewritten so that it never overwrites a state it was given (each overwritten column gets a
// version of its own); the host keeps the states of the trajectory, or of its checkpoints, and gives
// them back. Draws are drawn again from their counters, never kept.
//
// Clamps have derivative 1 inside and on their bounds, 0 outside; comparisons, floor and sign 0.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// One flavour of a step: forward launches in order, and their reverses in reverse order.
struct StepAdjoint {
  std::vector<KernelId> forward;
  std::vector<KernelId> reverse;
};

/// Sums over the whole run that several steps may be added to at once (late_sums.h).
struct LateSums {
  int64_t steps = 0;               // so many at once; 0: there are no such sums
  std::vector<KernelId> reverse;   // of a step, without them
  /// After each of the steps, in the order in which they go back: row by row of `steps`.
  struct Kept { ColumnId column, steps; };
  std::vector<Kept> kept;
  std::vector<KernelId> add;       // what `kept` holds to the sums
};

/// What of the forward steps must be computed again.
struct Moved {
  /// By column: it changes with the targets, or is summed where something is that does.
  std::vector<bool> columns;
  /// By kernel of a forward step: it writes such a column that somebody reads, or dense values that no step keeps.
  std::vector<bool> kernels;
  /// The same where a reverse kernel needs what it writes.
  std::vector<bool> for_reverse;
  /// By column: some kernel, output or later step reads it.
  std::vector<bool> read;
  /// By column: somebody reads it long after its step: the way back with what it computes again, or, where it does not
  /// change with the targets, a run that computes what does.
  std::vector<bool> read_later;
};

/// A program whose columns are: those of the primal under the same ids, then versions, then adjoints.
struct Adjoint {
  Program program;
  StepAdjoint quiet, eventful, init;
  /// What is the same in every step: forward before the first step, reverse after the last.
  StepAdjoint once;
  /// Sums taken ahead of the first step, when the states it begins with are there; reverse after that of the first
  /// step, with what it is owed.
  StepAdjoint begin;
  bool has_eventful = false;

  /// A state carried from step to step: read in `now`, left in `next`. The same column when no kernel
  /// stores to it.
  struct Carried {
    ColumnId now, next;
    ColumnId now_adjoint, next_adjoint;  // invalid: nothing wanted flows through it
  };
  std::vector<Carried> carried;
  /// By primal column: its adjoint, invalid when none is needed. For states, that of `now`.
  std::vector<ColumnId> adjoint_of;
  /// Adjoints the host zeroes before each reverse step; those of parameters and of feeds that last for the
  /// whole run are zeroed once.
  std::vector<ColumnId> zero_each_step;
  std::vector<ColumnId> zero_once;

  std::vector<ColumnId> targets;
  std::vector<ColumnId> outputs;   // of states: where a step leaves them
  /// By primal column and version: whether it changes with the targets. What does not is the same in every run
  /// that is given the same.
  std::vector<bool> depends_on_targets;
  std::vector<KernelId> moved_init;   // of init.forward: what changes with the targets
  Moved moved;
  LateSums late;
};

/// Why a derivative does not exist or is not supported: the chain of columns that leads there.
struct AdjointRefusal {
  enum class Why { SpikeTimes, Unsupported, NoPath } why;
  std::vector<std::string> path;  // column names from a target to the culprit, or to the loss
};

struct AdjointResult {
  std::optional<Adjoint> adjoint;
  std::optional<AdjointRefusal> refusal;
};

/// Derivatives of anything that is a function of `outputs` (columns whose adjoints the host seeds at the
/// end of each step) with respect to `targets`: parameters, initial states (the adjoint of `now` before
/// the first step) and fed signals. `events`: columns that say when something happens, besides indicators;
/// a path through one is refused, for its time would have to be differentiated.
AdjointResult adjoint(const Program& program, std::span<const ColumnId> targets,
                      std::span<const ColumnId> outputs, std::span<const ColumnId> events = {});

}  // namespace hebb
