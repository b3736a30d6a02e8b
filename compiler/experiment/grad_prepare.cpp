#include "compiler/experiment/grad_prepare.h"

#include <algorithm>
#include <cassert>

#include "compiler/experiment/engine.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

/// Names that the network gave: what the compiler put between is left out.
std::vector<std::string> readable(const Model& model, const Network& network, const std::vector<std::string>& path) {
  std::vector<std::string> out;
  for (std::string name : path) {
    name = name.substr(0, name.find('\''));
    const bool event = name.ends_with("_next");
    if (event) name.resize(name.size() - 5);
    if (!event && !find_variable(model, network, name)) continue;
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  return out;
}

const Kept* find_kept(const PreparedRun& prepared, const std::string& name) {
  for (const Kept& kept : prepared.kept)
    if (kept.recording.name == name) return &kept;
  return nullptr;
}

}  // namespace

std::vector<ColumnId> event_columns(const Model& model, const Network& network, const Program& program) {
  std::vector<ColumnId> out;
  for (const PopulationDef& population : network.populations) {
    for (const Emission& emission : model.neurons[population.neuron].emissions) {
      for (const char* end : {"", "_next"}) {
        const ColumnId id = program.find_column(cat(population.name, ".", emission.event, end));
        if (id.valid()) out.push_back(id);
      }
    }
  }
  return out;
}

void report_refusal(Evaluation& e, const Network& network, const ast::Run& run, const AdjointRefusal& refusal,
                    std::span<const Target> targets) {
  const Span span = targets.empty() ? run.network.span : targets[0].span;
  std::vector<std::string> path = readable(e.model, network, refusal.path);
  switch (refusal.why) {
    case AdjointRefusal::Why::SpikeTimes: {
      path.push_back("loss");
      Diagnostic& diag = e.diags.report(DiagKind::SpikeTimes, span,
                                        "the loss depends on simulated spike times, and nothing says how to "
                                        "differentiate them");
      diag.note = cat("path: ", joined(path, " -> "));
      diag.help = "feed recorded spikes instead of simulating them: their gradients are exact";
      return;
    }
    case AdjointRefusal::Why::Unsupported: {
      Diagnostic& diag = e.diags.report(DiagKind::NoDerivative, span,
                                        cat("the first value of ", quoted(path.empty() ? refusal.path.back() : path.back()),
                                            " is a minimum or maximum over synapses, which has no derivative here"));
      diag.note = cat("path: ", joined(path, " -> "));
      return;
    }
    case AdjointRefusal::Why::NoPath: break;
  }
  const std::string name = path.empty() ? targets[0].name : path.front();
  if (!path.empty()) path.erase(path.begin());
  Diagnostic& diag = e.diags.report(DiagKind::NotReached, span, cat("the loss does not depend on ", quoted(name)));
  if (path.empty()) diag.note = "nothing in the network reads it";
  else diag.note = cat("it changes ", listed(path), ", and nothing the loss reads depends on ",
                       path.size() == 1 ? "that" : "those");
  diag.help = path.empty() ? "let the rule or the neuron compute with it"
                           : "read what it changes in the loss, or let a 'drive' use the weight";
}

bool add_outputs(Evaluation& e, const LossGraph& graph, const ast::Run& run, const PreparedRun& prepared,
                 std::vector<Seen>& out) {
  for (size_t k = 0; k < graph.leaves.size(); ++k) {
    const LossLeaf& leaf = graph.leaves[k];
    if (leaf.run != &run) continue;
    const Kept* kept = find_kept(prepared, leaf.name);
    if (!kept) {
      e.diags.report(DiagKind::UnknownName, leaf.span, cat("a run of ", quoted(prepared.program->name),
                                                           " keeps no ", quoted(leaf.name), " for a derivative"));
      return false;
    }
    const Recording& recording = kept->recording;
    if (recording.reduce == RecordReduce::Histogram || recording.on.valid() || recording.events) {
      e.diags.report(DiagKind::NoDerivative, leaf.span,
                     cat("the record ", quoted(leaf.name), recording.on.valid() || recording.events ? " is kept at events" : " is a histogram",
                         ", and has no derivative here"))
          .help = "record the value itself at every step, and choose from it in the loss";
      return false;
    }
    const Extents whole = column_shape(*prepared.program, recording.column);
    auto part = record_part(whole, recording);
    if (!part) {
      e.diags.report(DiagKind::CannotRun, leaf.span, part.error());
      return false;
    }
    Seen output{.leaf = static_cast<int>(k), .read = {recording.column, leaf.final, recording.every_steps},
                .map = {.part = *std::move(part), .reduce = recording.reduce, .whole = static_cast<size_t>(count(whole))},
                .dimension = kept->dimension};
    out.push_back(std::move(output));
  }
  return true;
}

PreparedRun without_given_states(PreparedRun prepared) {
  std::set<uint32_t> states;
  for (const auto& [id, values] : prepared.columns)
    if ((*prepared.program)[id].role == Role::State) states.insert(id.value);
  if (!states.empty())
    prepared.program = std::make_shared<Program>(without_initial_values(Program(*prepared.program), states));
  return prepared;
}

PreparedRun repeated(PreparedRun prepared, int64_t copies) {
  assert(prepared.copies == 1 && "copies are made of recordings");
  for (auto& [id, values] : prepared.columns) {
    if (!values.batched) continue;
    LaneValues all{.lanes = {}, .batched = true};
    for (const auto& recording : values.lanes) all.lanes.insert(all.lanes.end(), static_cast<size_t>(copies), recording);
    values = std::move(all);
  }
  prepared.copies = copies;
  prepared.lanes *= copies;
  return prepared;
}

PreparedRun one_copy(const PreparedRun& prepared, int64_t copy) {
  PreparedRun out = prepared;
  out.copies = 1;
  out.lanes /= prepared.copies;
  for (auto& [id, values] : out.columns) {
    if (!values.batched) continue;
    const std::vector<std::vector<double>> all = std::move(values.lanes);
    values.lanes.clear();
    for (int64_t k = 0; k < out.lanes; ++k) values.lanes.push_back(all[static_cast<size_t>(k * prepared.copies + copy)]);
  }
  return out;
}

Tensor initial_values(const PreparedRun& prepared, ColumnId column, bool each_lane) {
  std::vector<Tensor> lanes;
  const Kernels kernels = interpret(prepared.program, Precision::Float64);
  for (int64_t lane = 0; lane < (each_lane ? prepared.lanes : 1); ++lane) {
    const DrawsOfLane draws = draws_of_lane(prepared, lane);
    SimulationOptions options;
    options.precision = Precision::Float64;
    options.seed = draws.seed;
    options.lane = draws.lane;
    auto simulation = Simulation::create(prepared.program, kernels, options);
    if (!simulation) return {};
    for (const auto& [id, values] : prepared.columns)
      if ((*prepared.program)[id].role == Role::Param && !simulation->set(id, values_of_lane(values, lane))) return {};
    simulation->initialise();
    lanes.push_back({.shape = column_shape(*prepared.program, column), .values = simulation->get(column), .dimension = {}});
  }
  return prepared.batched && each_lane ? stack(lanes) : std::move(lanes[0]);
}

Extents shape_as_fed(const PreparedRun& prepared, const std::string& name) {
  for (const GivenSetting& given : prepared.options.others)
    if (given.name == name) return given.value.shape;
  return {};
}

}  // namespace hebb
