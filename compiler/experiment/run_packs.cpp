#include "compiler/experiment/run_packs.h"

#include <algorithm>
#include <ctime>

#include "compiler/codegen/codegen.h"
#include "compiler/experiment/engine.h"
#include "compiler/lower/lower.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/random.h"

namespace hebb {

namespace {

/// Runs that take as long, one by one, as code for several takes to compile; measured, in operations.
double runs_to_compile(const Adjoint& adjoint, int64_t steps) {
  constexpr double kCompileNode = 2.5e6, kLaunch = 300;
  double work = 0, nodes = 0;
  for (const StepAdjoint* step : {&adjoint.quiet, &adjoint.eventful}) {
    double of_step = 0;
    for (const auto* list : {&step->forward, &step->reverse}) {
      of_step += interpreted_work(adjoint.program, *list) + kLaunch * static_cast<double>(list->size());
      for (const KernelId id : *list) {
        const std::vector<bool> live = live_nodes(adjoint.program.pool, roots(adjoint.program[id]));
        nodes += static_cast<double>(std::count(live.begin(), live.end(), true));
      }
    }
    work = std::max(work, of_step);
  }
  return kCompileNode * nodes / (std::max(work, 1.0) * static_cast<double>(std::max<int64_t>(steps, 1)));
}

}  // namespace

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Result<Kernels> make_step_kernels(const std::shared_ptr<const Adjoint>& adjoint, Precision precision,
                                      ExperimentOptions::Engine engine, int level, bool together) {
  const std::shared_ptr<const Program> program(adjoint, &adjoint->program);
  if (engine == ExperimentOptions::Engine::Interpreter) return interpret(program, precision);
  CodegenOptions options{.precision = precision, .level = level, .whole = Trajectory::runs_whole(*program), .lanes = together,
                         .threads = compile_threads()};
  options.wanted.resize(program->kernels.size());
  for (const StepAdjoint* step : {&adjoint->quiet, &adjoint->eventful, &adjoint->init, &adjoint->once, &adjoint->begin})
    for (const auto* list : {&step->forward, &step->reverse})
      for (const KernelId id : *list) options.wanted[id.value] = true;
  if (together || !options.whole)   // a small network alone has few sums
    for (const auto* list : {&adjoint->late.reverse, &adjoint->late.add})
      for (const KernelId id : *list) options.wanted[id.value] = true;
  // What the fitted values do not change is computed for each recording once.
  if (!together && engine == ExperimentOptions::Engine::Auto) {
    options.seldom.resize(program->kernels.size());
    for (const StepAdjoint* step : {&adjoint->quiet, &adjoint->eventful, &adjoint->init, &adjoint->once})
      for (const KernelId id : step->forward) options.seldom[id.value] = !adjoint->moved.kernels[id.value];
    for (const KernelId id : adjoint->moved_init) options.seldom[id.value] = false;
  }
  return jit(*program, options);
}

std::string recordings_form(const Model& model, const Network& network) {
  std::string obstacle;
  for (const ProjectionDef& projection : network.projections)   // whose file is not read for this
    if (projection.connect == ConnectKind::File) obstacle = cat(projection.name, " has synapses that are not all there");
  if (obstacle.empty()) obstacle = TrajectoryPack::obstacle(lower(model, network, {}));
  if (!obstacle.empty()) return cat(network.name, ": recordings go one by one: ", obstacle, "\n");
  return cat(network.name, ": recordings share vectors, ", kLanesTogether, " at a time: in gradients, fits, reports and long batches of runs; so do several starts of a fit\n");
}

std::shared_ptr<const Adjoint> only_forwards(const Program& program, std::span<const TrajectoryOutput> outputs) {
  std::vector<ColumnId> read;
  for (const TrajectoryOutput& output : outputs) read.push_back(output.column);
  AdjointResult made = adjoint(program, {}, read);
  if (!made.adjoint) return nullptr;
  return std::make_shared<const Adjoint>(std::move(*made.adjoint));
}

std::vector<std::vector<FeedValues>> feeds_of_lanes(const PreparedRun& prepared) {
  std::vector<std::vector<FeedValues>> out(static_cast<size_t>(prepared.lanes / prepared.copies));
  for (size_t recording = 0; recording < out.size(); ++recording) {
    for (const auto& [feed, values] : prepared.feeds) {
      FeedValues& own = out[recording].emplace_back(feed);
      own.values = values_of_lane(values, static_cast<int64_t>(recording));
    }
  }
  return out;
}

RunPacks::RunPacks(const Setup& setup) : setup_(setup), obstacle_(TrajectoryPack::obstacle(setup.adjoint->program)) {
  if (setup.prepared->lanes < kEnough) obstacle_ = cat("there are fewer than ", kEnough);
  const int64_t groups = (setup.prepared->lanes + kLanesTogether - 1) / kLanesTogether;
  packs_.resize(static_cast<size_t>(groups));
  cannot_.resize(static_cast<size_t>(groups));
  if (!setup.at_once) price_ = runs_to_compile(*setup.adjoint, setup.prepared->options.steps);
}

int64_t RunPacks::count(int64_t group) const {
  return std::min<int64_t>(kLanesTogether, setup_.prepared->lanes - first(group));
}

void RunPacks::give_up(int64_t group) {
  cannot_[static_cast<size_t>(group)] = true;
  packs_[static_cast<size_t>(group)].reset();
}

void RunPacks::took_together(int64_t group, Pass pass, double seconds) {
  const auto members = static_cast<size_t>(members_[static_cast<size_t>(group)]);
  took_together_[members][static_cast<size_t>(pass)].add(seconds);
}

bool RunPacks::is_large(int64_t group) const {
  constexpr uint64_t kPart = 8;   // of what all may take
  const auto& pack = packs_[static_cast<size_t>(group)];
  return pack && pack->memory().bytes * static_cast<uint64_t>(pack->lanes()) > setup_.max_bytes / packs_.size() / kPart;
}

std::optional<bool> RunPacks::was_worth(int64_t members, int64_t groups) const {
  constexpr int64_t kTrials = 8;
  const Passes& together = took_together_[static_cast<size_t>(members)];
  if (!together[0].known(kTrials) || !took_alone_[0].known(kTrials)) return std::nullopt;
  double ours = together[0].value(), alone = took_alone_[0].value();
  if (together[1].known(kTrials) && took_alone_[1].known(kTrials)) {
    ours += together[1].value();
    alone += took_alone_[1].value();
  }
  const auto threads = static_cast<int64_t>(std::max(setup_.prepared->options.threads, 1));   // more of them are busy one by one
  return ours / static_cast<double>(std::min(threads, groups)) <
         alone * static_cast<double>(members) / static_cast<double>(std::min(threads, groups * members));
}

/// What is not known is taken from more members that lost, or fewer that won, and tried else.
bool RunPacks::worth(int64_t members, int64_t groups) const {
  if (members == 0) return false;
  if (const auto known = was_worth(members, groups)) return *known;
  for (int64_t more = members + 1; more <= kLanesTogether; ++more)
    if (was_worth(more, groups) == false) return false;
  for (int64_t fewer = 1; fewer < members; ++fewer)
    if (was_worth(fewer, groups) == true) return true;
  return members >= kEnough;
}

std::vector<int64_t> RunPacks::choose(std::span<const int64_t> active) {
  std::vector<int64_t> out;
  members_.assign(packs_.size(), 0);
  if (!obstacle_.empty()) return out;
  for (const int64_t lane : active) ++members_[static_cast<size_t>(group_of(lane))];
  const auto with_members = static_cast<int64_t>(packs_.size()) - std::count(members_.begin(), members_.end(), 0);
  const auto goes = [&](size_t group) { return !cannot_[group] && worth(members_[group], with_members); };
  bool any = false;
  slower_ = false;
  for (const int64_t members : members_) slower_ = slower_ || (members >= kEnough && !worth(members, with_members));
  for (size_t group = 0; group < members_.size(); ++group) any = any || goes(group);
  for (size_t group = 0; group < members_.size(); ++group)
    if (members_[group] > 0 && !goes(group) && is_large(static_cast<int64_t>(group))) packs_[group].reset();   // its runs take memory of their own
  if (!any || alone_ < price_) return out;
  if (kernels_.run.empty()) {
    auto kernels = make_step_kernels(setup_.adjoint, setup_.precision, ExperimentOptions::Engine::Jit, setup_.level, true);
    if (!kernels) {
      obstacle_ = kernels.error();
      return out;
    }
    kernels_ = *std::move(kernels);
  }
  for (size_t group = 0; group < members_.size(); ++group) {
    if (!goes(group)) continue;
    if (packs_[group] || make(static_cast<int64_t>(group))) out.push_back(static_cast<int64_t>(group));
    else give_up(static_cast<int64_t>(group));
  }
  return out;
}

bool RunPacks::make(int64_t group) {
  const PreparedRun& prepared = *setup_.prepared;
  std::vector<uint64_t> keys;
  std::vector<const std::vector<FeedValues>*> feeds;
  for (int64_t k = 0; k < count(group); ++k) {
    const int64_t lane = first(group) + k;
    const DrawsOfLane draws = draws_of_lane(prepared, lane);
    keys.push_back(random_key(draws.seed, draws.lane));
    feeds.push_back(&(*setup_.feeds)[static_cast<size_t>(lane / prepared.copies)]);
  }
  auto made = TrajectoryPack::create(setup_.adjoint, kernels_, setup_.precision, setup_.max_bytes / packs_.size(), keys);
  if (!made || !made->feed(prepared.options.steps, feeds)) return false;
  made->watch(setup_.interrupted);
  packs_[static_cast<size_t>(group)] = std::make_unique<TrajectoryPack>(std::move(*made));
  return true;
}

std::string RunPacks::set(int64_t group, Role role) {
  const PreparedRun& prepared = *setup_.prepared;
  for (const auto& [id, values] : prepared.columns) {
    if ((*prepared.program)[id].role != role) continue;
    std::vector<const std::vector<double>*> by_lane;
    for (int64_t k = 0; k < count(group); ++k) by_lane.push_back(&values_of_lane(values, first(group) + k));
    if (const Status done = pack(group).set(id, by_lane); !done) return done.error();
  }
  return {};
}

Result<std::vector<ByLane>> RunPacks::forward(int64_t group, std::span<const TrajectoryOutput> outputs) {
  if (std::string failure = set(group, Role::Param); !failure.empty()) return Failure{std::move(failure)};
  pack(group).initialise();
  if (std::string failure = set(group, Role::State); !failure.empty()) return Failure{std::move(failure)};
  return pack(group).forward(setup_.prepared->options.dt_ms, outputs);
}

}  // namespace hebb
