// Networks that run.

#include <algorithm>
#include <cmath>

#include "compiler/lower/lower.h"
#include "compiler/support/machine_format.h"
#include "runtime/embed/library/objects.h"

namespace hebb::library {
namespace {

/// The step of which delays that differ between synapses are whole numbers; 0: there are none.
double step_of_delays(const Program& program) {
  for (const Space& space : program.spaces)
    if (space.connect.delayed()) return space.connect.dt_ms;
  return 0;
}

/// `dt` of the host, 0: what suits the network.
void set_step_of_delays(Program& program, double dt) {
  if (dt == 0) dt = program.grid_required ? 0.1 : 1;
  for (Space& space : program.spaces)
    if (space.connect.delayed()) space.connect.dt_ms = dt;
}

/// The form for the signs that parameters have.
Result<std::shared_ptr<const RunningNetwork::Form>> form_of(RunningNetwork& network) {
  if (const auto known = network.forms.find(network.signs); known != network.forms.end()) return known->second;
  const Model& model = network.module->compilation.model;
  const Network& source = *model.find_network(network.name);
  LowerOptions how;
  how.defer = true;
  for (const auto& [name, sign] : network.signs) how.given[name] = sign == RunningNetwork::kSeveral ? std::nan("") : sign;
  for (const ProjectionDef& projection : source.projections)   // whatever the host may want to read
    for (const VarId id : projection.rule.variables)
      if (model[id].kind == VarKind::Reduce) how.keep.push_back(cat(projection.name, ".", model[id].name));
  Program program = lower(model, source, how);
  set_step_of_delays(program, network.dt);
  const std::string text = print(program);
  for (const auto& [signs, other] : network.forms)
    if (print(*other->program) == text) return network.forms[network.signs] = other;
  auto kernels = jit(program, {.precision = network.options.precision});
  if (!kernels) return kernels.failure();
  auto form = std::make_shared<const RunningNetwork::Form>(std::make_shared<const Program>(std::move(program)), *std::move(kernels));
  return network.forms[network.signs] = std::move(form);
}

/// A simulation of that form at its start values.
Result<Simulation> start(const RunningNetwork& network, const RunningNetwork::Form& form) {
  auto simulation = Simulation::create(form.program, form.kernels, network.options);
  if (simulation) simulation->initialise();
  return simulation;
}

void take(RunningNetwork& network, const RunningNetwork::Form& form, Simulation simulation) {
  network.program = form.program;
  network.simulation.emplace(std::move(simulation));
  network.signs_of_form = network.signs;
}

int begin(RunningNetwork& network, char** error) {
  const auto form = form_of(network);
  if (!form) return fail(HEBB_ERROR_WORLD, form.error(), error);
  auto simulation = start(network, **form);
  if (!simulation) return fail(HEBB_ERROR_WORLD, simulation.error(), error);
  take(network, **form, *std::move(simulation));
  network.given.clear();
  network.recorded.clear();
  return HEBB_OK;
}

/// Before the first step: a network whose parameters have other signs than when its form was chosen goes over to the form for
/// these, with all that was set.
int choose_form(RunningNetwork& network, char** error) {
  if (network.signs == network.signs_of_form || network.simulation->steps_done() > 0) return HEBB_OK;
  const auto form = form_of(network);
  if (!form) return fail(HEBB_ERROR_WORLD, form.error(), error);
  if ((*form)->program == network.program) {
    network.signs_of_form = network.signs;
    return HEBB_OK;
  }
  auto simulation = start(network, **form);
  if (!simulation) return fail(HEBB_ERROR_WORLD, simulation.error(), error);
  const Program& after = *(*form)->program;
  for (const std::string& name : network.given)
    if (const ColumnId column = after.find_column(name); column.valid())
      if (const Status set = simulation->set(column, network.simulation->get(network.program->find_column(name))); !set)
        return fail(HEBB_ERROR_INTERNAL, set.error(), error);
  take(network, **form, *std::move(simulation));
  for (Recording& recording : network.recordings) recording.column = after.find_column(recording.name);
  return HEBB_OK;
}

/// [n], [pre, post] or [synapses], with the width last when there is one; {} for one number.
std::vector<int64_t> shape_of(const RunningNetwork& network, ColumnId id) {
  const Program& program = *network.program;
  const Space& space = program[program[id].space];
  std::vector<int64_t> shape;
  if (space.kind == SpaceKind::Neurons) shape = {space.size};
  if (is_matrix(space)) shape = {program[space.pre].size, program[space.post].size};
  else if (space.kind == SpaceKind::Sparse) shape = {network.simulation->connections(program[id].space).count()};
  if (program[id].width > 1) shape.push_back(program[id].width);
  return shape;
}

/// What the language calls so; invalid: nothing. What the compiler adds is nobody's but its own.
ColumnId named(const RunningNetwork& network, const char* name) {
  const ColumnId column = network.program->find_column(name);
  return column.valid() && has_name((*network.program)[column]) ? column : ColumnId{};
}

/// How many numbers: what waits need not be computed for it.
int64_t size_of(const RunningNetwork& network, ColumnId column) { return network.simulation->columns().layout(column).size(); }

std::string json_list(const std::vector<int64_t>& numbers) {
  std::string out;
  for (const int64_t n : numbers) out += cat(out.empty() ? "" : ", ", n);
  return cat("[", out, "]");
}

const char* role_name(Role role) {
  switch (role) {
    case Role::Param: return "parameter";
    case Role::State: return "state";
    case Role::Value: return "value";
    case Role::Fed: return "fed";
    case Role::Indicator: return "event";
  }
  return "";
}

}  // namespace

int open_network(hebb_module* module, const char* name, const hebb_network_options* options, hebb_network** out, char** error) {
  return guarded(error, [&] {
    if (out == nullptr || options == nullptr) return fail(HEBB_NULL, error);
    *out = nullptr;
    const auto from = modules().find(module);
    if (!from) return fail(HEBB_ERROR_HANDLE, error);
    if (options->version < 1 || options->version > HEBB_API_VERSION) return fail(HEBB_ABI, cat("version is ", options->version, ", expected ", HEBB_API_VERSION), error);
    if (options->real_bytes != 4 && options->real_bytes != 8)
      return fail(HEBB_ERROR_SETTING, cat("real_bytes is 4 or 8, got ", options->real_bytes), error);
    if (options->threads < 1 || options->threads > 4096)
      return fail(HEBB_ERROR_SETTING, cat("threads is 1 to 4096, got ", options->threads), error);
    const double dt = options->version >= 3 ? options->dt : 0;
    if (!(dt >= 0 && std::isfinite(dt))) return fail(HEBB_ERROR_SETTING, cat("dt is a number of ms above 0, or 0, got ", dt), error);
    const Model& model = from->compilation.model;
    const Network* network = name ? model.find_network(name) : model.networks.size() == 1 ? &model.networks[0] : nullptr;
    if (!network)
      return fail(HEBB_ERROR_NAME, name ? cat("there is no network called ", quoted(std::string(name))) : std::string("name one network of the module"), error);
    const Precision precision = options->real_bytes == 4 ? Precision::Float32 : Precision::Float64;
    auto made = std::make_shared<RunningNetwork>();
    made->module = from;
    made->name = network->name;
    made->dt = dt;
    made->options = {.precision = precision, .seed = options->seed, .threads = options->threads};
    if (const int code = begin(*made, error); code != HEBB_OK) return code;
    *out = reinterpret_cast<hebb_network*>(networks().open(std::move(made)));
    return int{HEBB_OK};
  });
}

int close_network(hebb_network* network) { return closed(networks().close(network)); }

int network_get(hebb_network* handle, const char* name, double* values, int64_t count) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || values == nullptr) return int{HEBB_NULL};
    const ColumnId column = named(*network, name);
    if (!column.valid()) return int{HEBB_ERROR_NAME};
    const std::vector<double> all = network->simulation->get(column);
    if (count != static_cast<int64_t>(all.size())) return int{HEBB_COUNT};
    std::copy(all.begin(), all.end(), values);
    return int{HEBB_OK};
  });
}

int64_t network_size(hebb_network* handle, const char* name) {
  int64_t size = 0;
  const int code = guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr) return int{HEBB_NULL};
    const ColumnId column = named(*network, name);
    if (!column.valid()) return int{HEBB_ERROR_NAME};
    size = size_of(*network, column);
    return int{HEBB_OK};
  });
  return code < 0 ? code : size;
}

int network_set(hebb_network* handle, const char* name, const double* values, int64_t count) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || values == nullptr) return int{HEBB_NULL};
    const ColumnId column = named(*network, name);
    if (!column.valid()) return int{HEBB_ERROR_NAME};
    if (count != 1 && count != size_of(*network, column)) return int{HEBB_COUNT};
    if (!network->simulation->set(column, {values, static_cast<size_t>(count)})) return int{HEBB_ERROR_SETTING};
    network->given.insert(name);
    if ((*network->program)[column].role == Role::Param)
      network->signs[name] = count > 1 || std::isnan(values[0]) ? RunningNetwork::kSeveral : (values[0] > 0) - (values[0] < 0);
    return int{HEBB_OK};
  });
}

int network_feed(hebb_network* handle, const char* name, const double* values, int64_t rows, int64_t steps) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || values == nullptr) return int{HEBB_NULL};
    const auto& feeds = network->program->plan.feeds;
    const auto feed = std::find_if(feeds.begin(), feeds.end(), [&](const Feed& one) { return one.name == name; });
    if (feed == feeds.end()) return int{HEBB_ERROR_NAME};
    const int64_t count = rows * std::max<int64_t>(steps, 1);
    if (rows != size_of(*network, feed->column) || steps < 0 || count > int64_t{1} << 40)
      return int{HEBB_COUNT};
    std::erase_if(network->feeds, [&](const FeedValues& given) { return given.name == name; });
    network->feeds.push_back({.name = name, .values = {values, values + count}, .rows = rows, .constant = steps == 0});
    return int{HEBB_OK};
  });
}

int run(hebb_network* handle, int64_t steps, double dt, char** error) {
  return guarded(error, [&] {
    const auto network = networks().find(handle);
    if (!network) return fail(HEBB_ERROR_HANDLE, error);
    if (steps < 0) return fail(HEBB_ERROR_SETTING, cat("steps is ", steps), error);
    if (!(dt > 0 && std::isfinite(dt))) return fail(HEBB_DT, error);
    for (const Feed& feed : network->program->plan.feeds) {
      const bool given = std::any_of(network->feeds.begin(), network->feeds.end(),
                                     [&](const FeedValues& one) { return one.name == feed.name; });
      if (!given && !feed.event) return fail(HEBB_ERROR_SETTING, cat("give ", quoted(feed.name), " with network_feed"), error);
    }
    if (const int code = choose_form(*network, error); code != HEBB_OK) return code;
    const std::vector<FeedValues> feeds = std::move(network->feeds);
    network->feeds.clear();
    const Status done = network->simulation->run(steps, dt, feeds, network->recordings);
    network->recorded = network->simulation->take_recorded();
    if (!done) return fail(HEBB_ERROR_SETTING, done.error(), error);
    if (const auto& divergence = network->simulation->divergence())
      return fail(HEBB_ERROR_DIVERGED, cat(divergence->column, " is ", divergence->value, " at ", divergence->time_ms, " ms"), error);
    return int{HEBB_OK};
  });
}

int network_record(hebb_network* handle, const char* name, int64_t every_steps) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr) return int{HEBB_NULL};
    if (every_steps < 0) return int{HEBB_ERROR_SETTING};
    const ColumnId column = named(*network, name);
    if (!column.valid()) return int{HEBB_ERROR_NAME};
    std::erase_if(network->recordings, [&](const Recording& one) { return one.name == name; });
    if (every_steps > 0) network->recordings.push_back({.name = name, .column = column, .every_steps = every_steps});
    return int{HEBB_OK};
  });
}

int network_recording(hebb_network* handle, const char* name, hebb_value* out) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    if (name == nullptr || out == nullptr) return int{HEBB_NULL};
    for (const Recorded& one : network->recorded) {
      if (one.name != name) continue;
      *out = {.name = one.name.c_str(), .unit = (*network->program)[network->program->find_column(name)].unit.c_str(),
              .text = nullptr, .data = one.values.data(), .rank = 1 + static_cast<int64_t>(one.shape.size()), .shape = {}};
      out->shape[0] = one.samples;
      for (size_t k = 0; k < one.shape.size() && k < 7; ++k) out->shape[k + 1] = one.shape[k];
      return int{HEBB_OK};
    }
    return int{HEBB_ERROR_NAME};
  });
}

int network_restart(hebb_network* handle, uint64_t seed) {
  return guarded(nullptr, [&] {
    const auto network = networks().find(handle);
    if (!network) return int{HEBB_ERROR_HANDLE};
    network->options.seed = seed;
    network->feeds.clear();
    network->signs.clear();  // parameters are what the source says again
    return begin(*network, nullptr);
  });
}

int network_describe(hebb_network* handle, char** json, char** error) {
  return guarded(error, [&] {
    if (json == nullptr) return fail(HEBB_NULL, error);
    *json = nullptr;
    const auto network = networks().find(handle);
    if (!network) return fail(HEBB_ERROR_HANDLE, error);
    const Program& program = *network->program;
    std::string values, feeds;
    for (uint32_t k = 0; k < program.columns.size(); ++k) {
      const Column& column = program.columns[k];
      const bool is_running_sum = program[column.space].kind == SpaceKind::Dense && size_of(*network, ColumnId{k}) == 0;  // without memory
      if (ColumnId{k} == program.dt || !has_name(column) || is_running_sum) continue;
      values += cat(values.empty() ? "" : ",", "\n  {\"name\": ", json_string(column.name), ", \"role\": \"", role_name(column.role),
                    "\", \"unit\": ", json_string(column.unit), ", \"shape\": ", json_list(shape_of(*network, ColumnId{k})), "}");
    }
    for (const Feed& feed : program.plan.feeds)
      feeds += cat(feeds.empty() ? "" : ",", "\n  {\"name\": ", json_string(feed.name), ", \"event\": ", feed.event ? "true" : "false",
                   ", \"unit\": ", json_string(program[feed.column].unit), ", \"shape\": ", json_list(shape_of(*network, feed.column)), "}");
    *json = copied(cat("{\"name\": ", json_string(network->name), ", \"grid_required\": ", program.grid_required ? "true" : "false",
                       ", \"step_of_delays\": ", shortest(step_of_delays(program)), ", \"values\": [", values, "], \"feeds\": [", feeds, "]}"));
    return *json ? int{HEBB_OK} : int{HEBB_ERROR_WORLD};
  });
}

}  // namespace hebb::library
