#include "compiler/experiment/run_result.h"

#include <algorithm>
#include <cmath>

#include "compiler/experiment/format.h"
#include "compiler/experiment/functions.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

/// Lanes with other seeds may have other numbers of synapses: the shorter ones end with nan.
std::vector<Tensor> as_long_as_the_longest(std::vector<Tensor> lanes) {
  int64_t most = 0;
  for (const Tensor& lane : lanes)
    if (!lane.shape.empty()) most = std::max(most, lane.shape.back());
  for (Tensor& lane : lanes) {
    if (lane.shape.empty() || lane.shape.back() == most) continue;
    const int64_t have = lane.shape.back(), rows = have == 0 ? 0 : count(lane.shape) / have;
    Tensor longer{.shape = lane.shape, .values = {}, .dimension = lane.dimension};
    longer.shape.back() = most;
    longer.values.assign(static_cast<size_t>(count(longer.shape)), NAN);
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(lane.values.begin() + row * have, have, longer.values.begin() + row * most);
    lane = std::move(longer);
  }
  return lanes;
}

/// All lanes of one recording as one array, with its time axis unless only the last value was kept.
Tensor assemble(const PreparedRun& prepared, const std::vector<LaneResult>& results, size_t k) {
  const Kept& kept = prepared.kept[k];
  std::vector<Tensor> lanes;
  for (const LaneResult& result : results) {
    const Recorded& recorded = result.recorded[k];
    Tensor one{.shape = recorded.shape, .values = recorded.values, .dimension = kept.dimension};
    if (!kept.recording.final_only) one.shape.insert(one.shape.begin(), recorded.samples);
    lanes.push_back(std::move(one));
  }
  return prepared.batched ? stack(as_long_as_the_longest(std::move(lanes))) : std::move(lanes[0]);
}

/// Times and neurons of events, [events] or, of a batch, [lanes, most events] with NaN after the last one.
void add_events(const PreparedRun& prepared, const std::vector<LaneResult>& results, size_t k, Table& table) {
  int64_t most = 0;
  for (const LaneResult& result : results) most = std::max(most, result.recorded[k].samples);
  std::vector<Tensor> times, neurons;
  for (const LaneResult& result : results) {
    const Recorded& recorded = result.recorded[k];
    Tensor when = vector_of(std::vector<double>(static_cast<size_t>(most), NAN), find_unit("ms")->dimension);
    Tensor who = vector_of(std::vector<double>(static_cast<size_t>(most), NAN));
    for (int64_t n = 0; n < recorded.samples; ++n) {
      when.values[n] = recorded.values[2 * n] * prepared.options.dt_ms;
      who.values[n] = recorded.values[2 * n + 1];
    }
    times.push_back(std::move(when));
    neurons.push_back(std::move(who));
  }
  const std::string& name = prepared.kept[k].recording.name;
  const auto add = [&](const std::string& column, std::vector<Tensor>& lanes) {
    table.order.push_back(column);
    table.columns[column] = prepared.batched ? stack(lanes) : std::move(lanes[0]);
  };
  add(name + ".times", times);
  add(name + ".neurons", neurons);
}

/// Samples at events: when, to whom, and what; of a batch with NaN after the last one.
void add_on_events(const PreparedRun& prepared, const std::vector<LaneResult>& results, size_t k, Table& table) {
  const Kept& kept = prepared.kept[k];
  const int64_t lead = record_lead(kept.recording);
  int64_t most = 0;
  std::vector<Tensor> times, neurons, values;
  for (const LaneResult& result : results) most = std::max(most, result.recorded[k].samples);
  for (const LaneResult& result : results) {
    const Recorded& recorded = result.recorded[k];
    const int64_t size = count(recorded.shape);
    Extents shape = recorded.shape;
    shape.insert(shape.begin(), most);
    Tensor when = vector_of(std::vector<double>(static_cast<size_t>(most), NAN), find_unit("ms")->dimension);
    Tensor who = vector_of(std::vector<double>(static_cast<size_t>(most), NAN));
    Tensor what{.shape = shape, .values = std::vector<double>(static_cast<size_t>(count(shape)), NAN), .dimension = kept.dimension};
    for (int64_t n = 0; n < recorded.samples; ++n) {
      const double* sample = recorded.values.data() + n * (lead + size);
      when.values[n] = sample[0] * prepared.options.dt_ms;
      if (lead > 1) who.values[n] = sample[1];
      std::copy_n(sample + lead, size, what.values.begin() + n * size);
    }
    times.push_back(std::move(when));
    neurons.push_back(std::move(who));
    values.push_back(std::move(what));
  }
  const std::string& name = kept.recording.name;
  const auto add = [&](const std::string& column, std::vector<Tensor>& lanes) {
    table.order.push_back(column);
    table.columns[column] = prepared.batched ? stack(as_long_as_the_longest(std::move(lanes))) : std::move(lanes[0]);
  };
  add(name, values);
  add(name + ".times", times);
  if (lead > 1) add(name + ".neurons", neurons);
}

Tensor last_in_time(const Tensor& tensor, bool batched) {
  const int64_t last = tensor.shape[batched ? 1 : 0] - 1;
  std::vector<AxisRange> ranges;
  if (batched) ranges.push_back({0, tensor.shape[0] - 1, true});
  ranges.push_back({last, last, false});
  return slice(tensor, ranges);
}

}  // namespace

Value result_of(const PreparedRun& prepared, const std::vector<LaneResult>& results) {
  auto table = std::make_shared<Table>();
  table->what = cat("run of ", prepared.program->name);
  table->batched = prepared.batched;
  for (size_t k = 0; k < prepared.kept.size(); ++k) {
    const Kept& kept = prepared.kept[k];
    if (kept.recording.streamed) continue;
    if (kept.events()) {
      add_events(prepared, results, k, *table);
      continue;
    }
    if (kept.recording.on.valid()) {
      add_on_events(prepared, results, k, *table);
      continue;
    }
    Tensor tensor = assemble(prepared, results, k);
    if (kept.recording.final_only) {
      table->finals[kept.recording.name] = std::move(tensor);
      continue;
    }
    if (tensor.shape[prepared.batched ? 1 : 0] > 0)
      table->finals[kept.recording.name] = last_in_time(tensor, prepared.batched);
    table->order.push_back(kept.recording.name);
    table->columns[kept.recording.name] = std::move(tensor);
  }
  if (prepared.tells_aborted) {
    std::vector<double> values;
    for (const LaneResult& result : results) values.push_back(!result.aborted.empty());
    table->order.push_back("aborted");
    table->columns["aborted"] = prepared.batched ? vector_of(std::move(values)) : scalar(values[0]);
  }
  for (size_t k = 0; k < prepared.measures.size(); ++k) {
    std::vector<double> values;
    for (const LaneResult& result : results) values.push_back(result.measured[k]);
    const MaybeDimension& dimension = prepared.measures[k].dimension;
    table->measures[prepared.measures[k].call] =
        prepared.batched ? vector_of(std::move(values), dimension) : scalar(values[0], dimension);
  }
  return {std::shared_ptr<const Table>(std::move(table))};
}

}  // namespace hebb
