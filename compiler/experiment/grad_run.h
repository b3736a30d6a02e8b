#pragma once
// One run of a loss, differentiated: forwards over its lanes for the recordings a loss reads, backwards from
// their adjoints to what is fitted.

#include "compiler/adjoint/adjoint.h"
#include "compiler/experiment/loss_graph.h"
#include "compiler/experiment/prepared_run.h"
#include "compiler/experiment/record_map.h"
#include "runtime/trajectory/trajectory.h"

namespace hebb {

/// What is differentiated with respect to, or fitted.
struct Target {
  std::string path;        // "Net.S.theta", "Net.S.w.init"
  std::string network;     // "Net"
  std::string name;        // "S.theta", "S.w"
  bool initial = false;    // the value a state begins with
  bool fed = false;        // a signal
  const Variable* variable = nullptr;
  Span span;
  Tensor value;            // of everything but fed signals; with a leading axis: one for each recording
};

/// Which recordings take part; empty: all.
using Lanes = std::vector<bool>;

/// What a run is asked. Several questions may be answered at once, each with values of its own: see RunGradient::repeat.
struct RunQuestion {
  std::span<const Target> targets;   // empty: nothing is asked
  Lanes lanes;
  bool cut = false;                  // recordings that take no part are left out; else they are nan
  int64_t burn_in = 0;               // so many first steps are nan
  std::string* diverged = nullptr;   // where to say what is not finite, instead of reporting it
};
/// Tensors of each question; none: it was not asked, or its run diverged.
using OfQuestions = std::vector<std::optional<std::vector<Tensor>>>;

class RunGradient {
 public:
  struct Options {
    Precision precision = Precision::Float64;
    uint64_t max_bytes = uint64_t{2} << 30;
    bool once = false;   // evaluated a single time: code for a small network costs more than it saves
  };
  /// Reports what cannot be differentiated. Values of `targets` are taken from e.fitted; those that are
  /// not there are drawn as the run would, and put there.
  static std::optional<RunGradient> create(Evaluation& e, const ast::Run& run, const LossGraph& graph,
                                           std::span<const Target> targets, const Options& options);
  RunGradient(RunGradient&&) noexcept;
  RunGradient& operator=(RunGradient&&) noexcept;
  ~RunGradient();

  /// From now on up to `copies` questions can be asked at once. Before the first question.
  void repeat(int64_t copies);
  int64_t lanes() const;             // recordings
  bool batched() const;
  /// Values of the leaves of this run into those of each question, which are taken away where the run diverges. False:
  /// reported.
  bool forward(Evaluation& e, std::span<const RunQuestion> questions, OfQuestions& leaves);
  /// Of the last forward pass. Adds to `gradients`, in the shapes of the targets' values, lane by lane in order; questions
  /// without adjoints are not asked.
  bool reverse(Evaluation& e, std::span<const RunQuestion> questions, const OfQuestions& adjoints, OfQuestions& gradients);

  const PreparedRun& prepared() const;
  /// Which targets this run depends on, and which recordings the loss reads from it.
  std::vector<std::pair<size_t, ColumnId>> targets_here() const;
  struct Output {
    int leaf;
    TrajectoryOutput read;
    RecordMap map;          // what the loss reads of it
  };
  std::vector<Output> outputs_here() const;
  MaybeDimension dimension_of(int leaf) const;
  /// How the states of a recording were kept in the last gradient.
  TrajectoryMemory memory() const;
  /// Why recordings do not share vectors; empty: they may.
  std::string apart_because() const;
  /// What keeps runs of this network from sharing vectors, however many there are; empty: nothing.
  std::string never_together_because() const;
  /// How many recordings a device holds at once, copies included; 0: this runs on the CPU.
  int64_t device_room() const;
  /// Gives every lane of a copy the values of the targets, without running.
  void set_targets(std::span<const Target> targets, int64_t copy = 0);
  /// Weight-steps of bounded weights at one of their bounds, and all of them: every step of every lane.
  Trajectory::AtBounds at_bounds(const Evaluation& e, std::span<const Target> targets);

 private:
  struct State;
  explicit RunGradient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace hebb
