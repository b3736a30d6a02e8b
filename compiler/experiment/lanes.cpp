#include "compiler/experiment/lanes.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <filesystem>

#include "compiler/experiment/abort.h"
#include "compiler/experiment/actions.h"
#include "compiler/experiment/run_packs.h"
#include "compiler/experiment/stream.h"
#include "compiler/support/bytes.h"
#include "compiler/support/hash.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"
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
  e.diags.report(DiagKind::FileProblem, span, number.error()).help =
      e.options.resume ? "without the file the runs begin anew" : "--resume goes on with them; without the file they begin anew";
  return std::nullopt;
}

namespace {

SimulationOptions options_of(const PreparedRun& prepared, int64_t lane, int threads, const std::atomic<bool>* interrupted) {
  const DrawsOfLane draws = draws_of_lane(prepared, lane);
  SimulationOptions options;
  options.precision = prepared.options.precision;
  options.seed = draws.seed;
  options.lane = draws.lane;
  options.threads = threads;
  options.interrupted = interrupted;
  return options;
}

/// A lane on its way: its simulation, what it is fed, who looks on.
class Lane {
 public:
  struct From {
    const Model& model;
    const PreparedRun& prepared;
    const std::atomic<bool>* interrupted;
    StoredRun stored;
    const RecordFile* file;
  };
  Lane(const From& from, int64_t lane, RunStore::Lane before, Simulation simulation)
      : from_(from), prepared_(from.prepared), lane_(lane), simulation_(std::move(simulation)), before_(std::move(before)) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// Empty: it may run.
  std::string begin();
  Simulation& simulation() { return simulation_; }
  const std::vector<FeedValues>& feeds() const { return feeds_; }
  LaneResult end(const Status& done);

 private:
  std::string set(Role role) {
    for (const auto& [id, values] : prepared_.columns) {
      if ((*prepared_.program)[id].role != role) continue;
      if (const Status done = simulation_.set(id, of_lane(values, lane_)); !done) return done.error();
    }
    return {};
  }

  From from_;
  const PreparedRun& prepared_;
  int64_t lane_;
  Simulation simulation_;
  RunStore::Lane before_;
  std::vector<FeedValues> feeds_;
  std::vector<MeasureSpec> specs_;
  std::optional<Measures> measures_;
  std::optional<AbortWatch> abort_;
  std::optional<StreamedRecords> streamed_;
};

std::string Lane::begin() {
  if (std::string failure = set(Role::Param); !failure.empty()) return failure;
  simulation_.initialise();
  if (std::string failure = set(Role::State); !failure.empty()) return failure;
  for (const auto& [feed, values] : prepared_.feeds) {
    feeds_.push_back(feed);
    feeds_.back().values = of_lane(values, lane_);
  }
  for (const PreparedMeasure& measure : prepared_.measures) specs_.push_back(measure.spec);
  measures_.emplace(specs_, *prepared_.program, simulation_.columns());
  abort_.emplace(from_.model, *prepared_.network, *prepared_.program, simulation_.columns(), prepared_.options.dt_ms);
  std::vector<Observer*> observers;
  if (!specs_.empty()) observers.push_back(&*measures_);
  if (!prepared_.network->aborts.empty()) observers.push_back(&*abort_);
  simulation_.watch(observers);
  const std::string& name = prepared_.options.record_to;
  if (from_.file && !name.empty()) {
    auto made = StreamedRecords::create(streamed_path(from_.file->folder, name, prepared_.batched, lane_), prepared_.kept,
                                        prepared_.options.dt_ms, before_.progress == RunStore::Progress::Partial);
    if (!made) return made.error();
    streamed_ = *std::move(made);
    simulation_.stream_to(&*streamed_);
  }
  const StoredRun stored = from_.stored;
  if (stored.store) {
    const auto at = static_cast<size_t>(lane_);
    simulation_.pause_with({.due = [=] { return stored.store->due(stored.number, at); },
                            .keep = [=](std::string state) {
                              return stored.store->keep(stored.number, at, RunStore::Progress::Partial, std::move(state));
                            },
                            .from = std::move(before_.bytes)});
  }
  return {};
}

LaneResult Lane::end(const Status& done) {
  const StoredRun stored = from_.stored;
  const bool stopped = from_.interrupted && *from_.interrupted;
  // A run that was stopped, or could not write, goes on from its checkpoint, which needs the parts.
  const bool goes_on = stored.store && !simulation_.divergence();
  const bool drop_parts = streamed_ && !goes_on;
  if ((!done || simulation_.divergence() || stopped) && drop_parts) streamed_->remove_parts();
  if (!done) return {.failure = done.error()};
  LaneResult out{.recorded = simulation_.take_recorded(), .measured = {}, .divergence = simulation_.divergence(), .aborted = {}, .failure = {}};
  for (size_t k = 0; k < specs_.size(); ++k) out.measured.push_back(measures_->value(k));
  if (abort_->stop()) {
    out.aborted = abort_->text();
    fill_up(prepared_, out);
  }
  if (stopped || out.divergence) return out;
  if (streamed_)
    if (const Status saved = streamed_->finish(from_.file->provenance); !saved) {
      if (drop_parts) streamed_->remove_parts();
      return {.failure = saved.error()};
    }
  if (stored.store) {
    Status kept = stored.store->keep(stored.number, static_cast<size_t>(lane_), RunStore::Progress::Done, bytes_of(out));
    // Without its parts an unfinished run could not go on: the checkpoint must know that it is finished.
    if (kept && streamed_) kept = stored.store->write();
    if (!kept) return {.failure = kept.error()};
  }
  if (streamed_) streamed_->remove_parts();
  return out;
}

RunStore::Lane stored_lane(StoredRun stored, int64_t lane) {
  return stored.store ? stored.store->lane(stored.number, static_cast<size_t>(lane)) : RunStore::Lane{};
}

/// What a lane left that was finished before.
LaneResult read_back(const Lane::From& from, int64_t lane, const std::string& bytes) {
  const std::string& name = from.prepared.options.record_to;
  if (from.file && !name.empty()) remove_parts_of(streamed_path(from.file->folder, name, from.prepared.batched, lane), from.prepared.kept);
  return result_from(from.prepared, bytes);
}

std::vector<Recording> recordings_of(const PreparedRun& prepared) {
  std::vector<Recording> out;
  for (const Kept& kept : prepared.kept) out.push_back(kept.recording);
  return out;
}

/// Lanes that a device runs at once.
void run_together(const Lane::From& from, const Kernels& kernels, const std::vector<int64_t>& lanes, std::vector<LaneResult>& results) {
  const PreparedRun& prepared = from.prepared;
  std::vector<SimulationOptions> options;
  for (const int64_t lane : lanes) options.push_back(options_of(prepared, lane, 1, from.interrupted));
  auto simulations = Simulation::create_together(prepared.program, kernels, options);
  if (!simulations) {
    for (const int64_t lane : lanes) results[lane].failure = simulations.error();
    return;
  }
  std::vector<std::unique_ptr<Lane>> going;
  std::vector<Simulation*> running;
  std::vector<const std::vector<FeedValues>*> feeds;
  for (size_t k = 0; k < lanes.size(); ++k) {
    auto lane = std::make_unique<Lane>(from, lanes[k], stored_lane(from.stored, lanes[k]), std::move((*simulations)[k]));
    results[lanes[k]].failure = lane->begin();
    if (!results[lanes[k]].failure.empty()) return;   // and the others with it: they would not be asked for
    running.push_back(&lane->simulation());
    feeds.push_back(&lane->feeds());
    going.push_back(std::move(lane));
  }
  const auto done = Simulation::run_together(running, prepared.options.steps, prepared.options.dt_ms, feeds, recordings_of(prepared));
  for (size_t k = 0; k < going.size(); ++k) results[lanes[k]] = going[k]->end(done[k]);
}

bool has_drawn_synapses(const Program& program) {
  return std::any_of(program.spaces.begin(), program.spaces.end(), [](const Space& space) {
    return space.kind == SpaceKind::Sparse && space.connect.wiring != Wiring::List && space.connect.wiring != Wiring::OneToOne;
  });
}

/// Several lanes at once, where they go together on a device. False: they are yet to be run.
Result<bool> run_on_device(Evaluation& e, const Lane::From& from, const Kernels& kernels, std::vector<LaneResult>& results) {
  std::vector<int64_t> lanes;
  std::vector<SimulationOptions> options;
  for (int64_t lane = 0; lane < from.prepared.lanes; ++lane) {
    if (stored_lane(from.stored, lane).progress == RunStore::Progress::Done) continue;
    lanes.push_back(lane);
    options.push_back(options_of(from.prepared, lane, 1, from.interrupted));
  }
  if (lanes.size() < 2) return false;
  const bool own_draws = std::any_of(options.begin(), options.end(), [&](const SimulationOptions& one) {
    return one.seed != options[0].seed || one.lane != options[0].lane;
  });
  const auto most = Simulation::together(from.prepared.program, kernels, options);
  if (!most) return most.failure();
  const char* const alone = own_draws && has_drawn_synapses(*from.prepared.program) ? "each draws synapses of its own" : "its memory holds one";
  note_once(e, cat(from.prepared.lanes, " lanes of ", from.prepared.program->name, " on ", e.options.device->name(), ", ",
                   *most > 1 ? cat(*most, " at a time") : cat("one by one: ", alone)));
  if (*most < 2) return false;
  for (int64_t lane = 0; lane < from.prepared.lanes; ++lane)
    if (const RunStore::Lane before = stored_lane(from.stored, lane); before.progress == RunStore::Progress::Done)
      results[lane] = read_back(from, lane, before.bytes);
  for (size_t first = 0; first < lanes.size(); first += static_cast<size_t>(*most)) {
    const size_t end = std::min(first + static_cast<size_t>(*most), lanes.size());
    run_together(from, kernels, {lanes.begin() + static_cast<std::ptrdiff_t>(first), lanes.begin() + static_cast<std::ptrdiff_t>(end)}, results);
  }
  return true;
}

/// What lanes that share vectors can leave behind: whole values after every step or the last.
bool is_plain(const PreparedRun& prepared) {
  if (!prepared.options.record_to.empty() || !prepared.measures.empty() || !prepared.network->aborts.empty()) return false;
  return std::all_of(prepared.kept.begin(), prepared.kept.end(), [&](const Kept& kept) {
    const Recording& what = kept.recording;
    return what.reduce == RecordReduce::None && what.ranges.empty() && !what.events && !what.streamed && !what.on.valid() &&
           (*prepared.program)[what.column].role != Role::Indicator;
  });
}

/// So little that it is over before code for several runs would be ready, whatever they are.
bool is_short(const PreparedRun& prepared) {
  constexpr double kOperations = 1e8;
  std::vector<KernelId> kernels;
  for (const Launch& launch : prepared.program->plan.step) kernels.push_back(launch.kernel);
  constexpr double kLaunch = 300;   // of a kernel, whatever it computes
  const double of_step = interpreted_work(*prepared.program, kernels) + kLaunch * static_cast<double>(kernels.size());
  return of_step * static_cast<double>(prepared.options.steps) * static_cast<double>(prepared.lanes) < kOperations;
}

/// Lanes of a small network that share vectors. By lane: whether it is done; one that became infinite is not, and
/// says where when it runs alone.
std::vector<char> run_packed(Evaluation& e, const PreparedRun& prepared, std::vector<LaneResult>& results) {
  std::vector<char> done(results.size());
  const bool may = e.options.engine != ExperimentOptions::Engine::Interpreter && e.options.device == nullptr && prepared.options.steps > 0;
  if (!may || prepared.lanes < RunPacks::kEnough || is_short(prepared) || !is_plain(prepared) || !TrajectoryPack::obstacle(*prepared.program).empty()) return done;
  std::vector<TrajectoryOutput> read;
  for (const Kept& kept : prepared.kept) read.push_back({kept.recording.column, kept.recording.final_only, kept.recording.every_steps});
  const auto adjoint = only_forwards(*prepared.program, read);
  if (!adjoint) return done;
  const auto feeds = feeds_of_lanes(prepared);
  RunPacks packs({.adjoint = adjoint, .prepared = &prepared, .feeds = &feeds, .precision = prepared.options.precision,
                  .level = e.options.level, .max_bytes = e.options.max_memory, .interrupted = e.options.interrupted});
  std::vector<int64_t> all;
  for (int64_t lane = 0; lane < prepared.lanes; ++lane) all.push_back(lane);
  packs.note_alone(prepared.lanes);
  const std::vector<int64_t> groups = packs.choose(all);
  in_parallel(prepared.options.threads, static_cast<int64_t>(groups.size()), [&](int64_t k) {
    const int64_t group = groups[static_cast<size_t>(k)];
    auto values = packs.forward(group, read);
    if (!values || !packs.pack(group).stayed_finite()) return;
    for (int64_t n = 0; n < packs.count(group); ++n) {
      const auto lane = static_cast<size_t>(packs.first(group) + n);
      for (size_t m = 0; m < read.size(); ++m)
        results[lane].recorded.push_back({.name = prepared.kept[m].recording.name, .shape = column_shape(*prepared.program, read[m].column),
                                          .samples = read[m].samples(prepared.options.steps),
                                          .values = std::move((*values)[static_cast<size_t>(n)][m])});
      done[lane] = 1;
    }
  });
  if (const auto together = std::count(done.begin(), done.end(), 1); together > 0)
    note_once(e, cat(together, " runs of ", prepared.program->name, " share vectors, ", kLanesTogether, " at a time"));
  return done;
}

}  // namespace

LaneResult run_lane(const Model& model, const PreparedRun& prepared, const Kernels& kernels, int64_t lane, int threads,
                    const std::atomic<bool>* interrupted, StoredRun stored, const RecordFile* file) {
  RunStore::Lane before = stored_lane(stored, lane);
  const Lane::From from{model, prepared, interrupted, stored, file};
  if (before.progress == RunStore::Progress::Done) return read_back(from, lane, before.bytes);
  auto simulation = Simulation::create(prepared.program, kernels, options_of(prepared, lane, threads, interrupted));
  if (!simulation) return {.failure = simulation.error()};
  Lane going(from, lane, std::move(before), *std::move(simulation));
  if (std::string failure = going.begin(); !failure.empty()) return {.failure = std::move(failure)};
  return going.end(going.simulation().run(prepared.options.steps, prepared.options.dt_ms, going.feeds(), recordings_of(prepared)));
}

std::vector<LaneResult> run_lanes(Evaluation& e, const PreparedRun& prepared, const Kernels& kernels, StoredRun stored, Span span) {
  const RecordFile file{.folder = e.options.output_folder, .provenance = provenance(e, span, &prepared.options)};
  if (!file.folder.empty() && !prepared.options.record_to.empty()) {
    std::error_code ignored;  // a folder that cannot be made shows when the file is written
    std::filesystem::create_directories(file.folder, ignored);
  }
  std::vector<LaneResult> results(prepared.lanes);
  if (kernels.device != nullptr) {
    const auto done = run_on_device(e, {e.model, prepared, e.options.interrupted, stored, &file}, kernels, results);
    if (!done) results[0].failure = done.error();
    if (!done || *done) return results;
  }
  const int workers = static_cast<int>(std::min<int64_t>(prepared.options.threads, prepared.lanes));
  const std::vector<char> done = stored.store ? std::vector<char>(results.size()) : run_packed(e, prepared, results);
  const auto one = [&](int64_t lane, int threads) {
    if (!done[static_cast<size_t>(lane)]) results[lane] = run_lane(e.model, prepared, kernels, lane, threads, e.options.interrupted, stored, &file);
  };
  if (workers <= 1) {
    for (int64_t lane = 0; lane < prepared.lanes; ++lane) one(lane, prepared.options.threads);
    return results;
  }
  in_parallel(workers, prepared.lanes, [&](int64_t lane) { one(lane, 1); });
  return results;
}

}  // namespace hebb
