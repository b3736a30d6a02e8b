#include "compiler/experiment/lanes.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <filesystem>

#include "compiler/experiment/abort.h"
#include "compiler/experiment/actions.h"
#include "compiler/experiment/stream.h"
#include "compiler/support/bytes.h"
#include "compiler/support/hash.h"
#include "compiler/support/text.h"
#include "runtime/threads.h"

namespace hebb {

namespace {

const std::vector<double>& of_lane(const LaneValues& values, int64_t lane) {
  return values.lanes[values.batched ? lane : 0];
}

/// A lane that stopped early has nan for the rest, so that lanes keep one shape.
void fill_up(const PreparedRun& prepared, LaneResult& lane) {
  for (size_t k = 0; k < lane.recorded.size(); ++k) {
    const Recording& what = prepared.kept[k].recording;
    Recorded& recorded = lane.recorded[k];
    if (what.events || what.on.valid() || what.final_only || what.streamed || recorded.samples == 0) continue;
    const int64_t whole = (prepared.options.steps + what.every_steps - 1) / what.every_steps;
    recorded.values.resize(recorded.values.size() / static_cast<size_t>(recorded.samples) * static_cast<size_t>(whole), NAN);
    recorded.samples = whole;
  }
  for (double& value : lane.measured) value = NAN;
}

/// Its fields, in both directions.
void visit(auto& v, auto& result) {
  for (auto& recorded : result.recorded) v(recorded.name), v(recorded.shape), v(recorded.samples), v(recorded.values);
  v(result.measured), v(result.aborted);
}

std::string bytes_of(const LaneResult& result) {
  ByteWriter writer;
  writer(static_cast<uint64_t>(result.recorded.size()));
  visit(writer, result);
  return std::move(writer.bytes);
}

LaneResult result_from(const PreparedRun& prepared, const std::string& bytes) {
  ByteReader reader{.bytes = bytes};
  LaneResult out;
  uint64_t recordings = 0;
  reader(recordings);
  if (!reader.ok || recordings != prepared.kept.size()) return {.failure = "the checkpoint does not fit this run"};
  out.recorded.resize(recordings);
  visit(reader, out);
  if (!reader.ok || out.measured.size() != prepared.measures.size()) return {.failure = "the checkpoint does not fit this run"};
  return out;
}

/// Everything that decides a run's bits: what runs, how long, what it is given, what it keeps.
uint64_t fingerprint(const PreparedRun& prepared) {
  uint64_t hash = hash_text(print(*prepared.program));
  const auto add_values = [&](const LaneValues& values) {
    for (const auto& lane : values.lanes)
      for (const double value : lane) hash = mix(hash, std::bit_cast<uint64_t>(value));
  };
  hash = mix(hash, static_cast<uint64_t>(prepared.options.steps));
  hash = mix(hash, std::bit_cast<uint64_t>(prepared.options.dt_ms));
  hash = mix(hash, prepared.options.precision == Precision::Float32);
  for (const uint64_t seed : prepared.options.seeds) hash = mix(hash, seed);
  for (const auto& [id, values] : prepared.columns) hash = mix(hash, id.value), add_values(values);
  for (const auto& [feed, values] : prepared.feeds) hash = mix(hash, hash_text(feed.name)), add_values(values);
  for (const Kept& kept : prepared.kept) {
    const Recording& what = kept.recording;
    hash = mix(hash, hash_text(cat(what.name, ' ', what.column.value, ' ', what.every_steps, ' ', static_cast<int>(what.reduce), ' ', what.final_only, what.events, ' ', what.on.value, ' ', what.bins, ' ', what.low, ' ', what.high)));
    for (const RecordRange& range : what.ranges) hash = mix(mix(hash, static_cast<uint64_t>(range.first)), static_cast<uint64_t>(range.last));
  }
  for (const PreparedMeasure& measure : prepared.measures) {
    const MeasureSpec& what = measure.spec;
    hash = mix(hash, hash_text(cat(static_cast<int>(what.kind), ' ', what.column.value, ' ', what.from, ' ', what.to, ' ', what.bin_steps, ' ',
                                   what.lags, ' ', what.neurons, ' ', what.every_steps, ' ', what.samples, ' ', what.low, ' ', what.high)));
  }
  for (const Space& space : prepared.program->spaces)
    for (const SynapseDelay* delay : {&space.connect.axon, &space.connect.dend, &space.connect.bap})
      if (delay->listed)
        for (const double ms : *delay->listed) hash = mix(hash, std::bit_cast<uint64_t>(ms));
  for (const Space& space : prepared.program->spaces)
    if (space.connect.edges)
      for (const Edge& edge : *space.connect.edges) hash = mix(hash, uint64_t{edge.pre} << 32 | edge.post);
  for (const AbortDef& abort : prepared.network->aborts) hash = mix(hash, hash_text(abort.text));
  return hash;
}

}  // namespace

std::optional<StoredRun> store_of(Evaluation& e, const PreparedRun& prepared, Span span) {
  if (!e.options.store) return StoredRun{};
  const auto number = e.options.store->open(fingerprint(prepared), static_cast<size_t>(prepared.lanes));
  if (number) return StoredRun{e.options.store, *number};
  e.diags.report(DiagKind::FileProblem, span, number.error()).help = "without --resume the run begins anew";
  return std::nullopt;
}

LaneResult run_lane(const Model& model, const PreparedRun& prepared, const Kernels& kernels, int64_t lane, int threads,
                    const std::atomic<bool>* interrupted, StoredRun stored, const RecordFile* file) {
  RunStore::Lane before;
  if (stored.store) before = stored.store->lane(stored.number, static_cast<size_t>(lane));
  if (before.progress == RunStore::Progress::Done) return result_from(prepared, before.bytes);
  const DrawsOfLane draws = draws_of_lane(prepared, lane);
  SimulationOptions options;
  options.precision = prepared.options.precision;
  options.seed = draws.seed;
  options.lane = draws.lane;
  options.threads = threads;
  options.interrupted = interrupted;
  auto simulation = Simulation::create(prepared.program, kernels, options);
  if (!simulation) return {.failure = simulation.error()};
  const auto set = [&](Role role) -> std::string {
    for (const auto& [id, values] : prepared.columns) {
      if ((*prepared.program)[id].role != role) continue;
      if (const Status done = simulation->set(id, of_lane(values, lane)); !done) return done.error();
    }
    return {};
  };
  if (std::string failure = set(Role::Param); !failure.empty()) return {.failure = std::move(failure)};
  simulation->initialise();
  if (std::string failure = set(Role::State); !failure.empty()) return {.failure = std::move(failure)};
  std::vector<FeedValues> feeds;
  for (const auto& [feed, values] : prepared.feeds) {
    feeds.push_back(feed);
    feeds.back().values = of_lane(values, lane);
  }
  std::vector<Recording> recordings;
  for (const Kept& kept : prepared.kept) recordings.push_back(kept.recording);
  std::vector<MeasureSpec> specs;
  for (const PreparedMeasure& measure : prepared.measures) specs.push_back(measure.spec);
  Measures measures(specs, *prepared.program, simulation->columns());
  AbortWatch abort(model, *prepared.network, *prepared.program, simulation->columns(), prepared.options.dt_ms);
  std::vector<Observer*> observers;
  if (!specs.empty()) observers.push_back(&measures);
  if (!prepared.network->aborts.empty()) observers.push_back(&abort);
  simulation->watch(observers);
  const std::string& name = prepared.options.record_to;
  std::optional<StreamedRecords> streamed;
  if (file && !name.empty()) {
    auto made = StreamedRecords::create(streamed_path(file->folder, name, prepared.batched, lane), prepared.kept,
                                        prepared.options.dt_ms, before.progress == RunStore::Progress::Partial);
    if (!made) return {.failure = made.error()};
    streamed = *std::move(made);
    simulation->stream_to(&*streamed);
  }
  if (stored.store) {
    const auto at = static_cast<size_t>(lane);
    simulation->pause_with({.due = [=] { return stored.store->due(stored.number, at); },
                            .keep = [=](std::string state) {
                              return stored.store->keep(stored.number, at, RunStore::Progress::Partial, std::move(state));
                            },
                            .from = std::move(before.bytes)});
  }
  const Status done = simulation->run(prepared.options.steps, prepared.options.dt_ms, feeds, recordings);
  const bool stopped = interrupted && *interrupted;
  const bool goes_on = stopped && stored.store;
  if (!done || simulation->divergence() || stopped)
    if (streamed && !goes_on) streamed->remove_parts();
  if (!done) return {.failure = done.error()};
  LaneResult out{.recorded = simulation->take_recorded(), .measured = {}, .divergence = simulation->divergence(), .aborted = {}, .failure = {}};
  for (size_t k = 0; k < specs.size(); ++k) out.measured.push_back(measures.value(k));
  if (abort.stop()) {
    out.aborted = abort.text();
    fill_up(prepared, out);
  }
  if (stopped || out.divergence) return out;
  if (streamed)
    if (const Status saved = streamed->finish(file->provenance); !saved) return {.failure = saved.error()};
  if (stored.store) {
    Status kept = stored.store->keep(stored.number, static_cast<size_t>(lane), RunStore::Progress::Done, bytes_of(out));
    // Without its parts an unfinished run could not go on: the checkpoint must know that it is finished.
    if (kept && streamed) kept = stored.store->write();
    if (!kept) return {.failure = kept.error()};
  }
  if (streamed) streamed->remove_parts();
  return out;
}

std::vector<LaneResult> run_lanes(Evaluation& e, const PreparedRun& prepared, const Kernels& kernels, StoredRun stored, Span span) {
  const RecordFile file{.folder = e.options.output_folder, .provenance = provenance(e, span, &prepared.options)};
  if (!file.folder.empty() && !prepared.options.record_to.empty()) {
    std::error_code ignored;  // a folder that cannot be made shows when the file is written
    std::filesystem::create_directories(file.folder, ignored);
  }
  std::vector<LaneResult> results(prepared.lanes);
  const int workers = static_cast<int>(std::min<int64_t>(prepared.options.threads, prepared.lanes));
  const auto one = [&](int64_t lane, int threads) {
    results[lane] = run_lane(e.model, prepared, kernels, lane, threads, e.options.interrupted, stored, &file);
  };
  if (workers <= 1) {
    for (int64_t lane = 0; lane < prepared.lanes; ++lane) one(lane, prepared.options.threads);
    return results;
  }
  in_parallel(workers, prepared.lanes, [&](int64_t lane) { one(lane, 1); });
  return results;
}

}  // namespace hebb
