#pragma once
// 'with (…)' of a run, read against the network: its own options, feeds, and values of columns. A value
// with one axis more than it needs is a batch: one lane per row.

#include <set>

#include "compiler/experiment/arithmetic.h"
#include "compiler/experiment/evaluate.h"
#include "compiler/program/program.h"

namespace hebb {

/// What a setting says, and where it stands.
struct GivenSetting {
  std::string name;      // "EE.A3p", "odor"
  Tensor value;
  Span span;             // of the value
  Span name_span;
};

struct RunOptions {
  double dt_ms = 1;
  int64_t steps = 0;
  int threads = 1;
  Precision precision = Precision::Float32;
  std::vector<uint64_t> seeds;          // one, or one per lane
  int64_t batch = 1;                    // `batch = n`
  bool batched = false;
  struct Frozen { std::string projection; bool on = true; Span span; };
  std::vector<Frozen> frozen;           // `EE.freeze = true`
  std::string record_to;                // `record = "run.h5"`: a file for the network's records
  Span record_span;
  std::vector<GivenSetting> others;     // feeds and columns
};

/// The duration and the options; values for the network are in `others`.
std::optional<RunOptions> read_run_options(Evaluation& e, const ast::Run& run);

/// A value for each lane; one entry means all lanes share it.
struct LaneValues {
  std::vector<std::vector<double>> lanes;
  bool batched = false;
};

/// Fits a tensor to something of this shape: the same shape, one number, or a batch of these. Nothing:
/// it does not fit.
std::optional<LaneValues> fit_lanes(const Tensor& value, const Extents& shape);

/// Axes of length 1 do not tell shapes apart.
Extents without_ones(const Extents& shape);

/// The last axes of an array parameter, [3, 3, 3], as the one axis of its column, [27].
Tensor with_flat_elements(Tensor value, const Variable& variable);

/// [81] of a column as [3, 3, 3, 3], and with the dimension of its declaration.
Tensor in_declared_shape(Tensor value, const Variable* variable);

/// The variable behind a column: "EE.w", "Y.r", "odor".
const Variable* find_variable(const Model& model, const Network& network, std::string_view column);

/// Whether a column holds events: what a population emits, or what is fed as an event.
bool is_event(const Model& model, const Network& network, const Program& program, ColumnId id);

/// The shape of one sample of a column: {}, [n], [pre, post], with its width last.
Extents column_shape(const Program& program, ColumnId id);

}  // namespace hebb
