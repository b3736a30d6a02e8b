#include "runtime/device/lanes.h"

#include <algorithm>
#include <cstring>

namespace hebb {

using Kind = DeviceParameter::Kind;

DeviceLanes::DeviceLanes(std::shared_ptr<const LoadedCode> code, std::vector<uint64_t> bytes, Precision precision, std::vector<uint64_t> keys)
    : code_(std::move(code)), driver_(code_->device->driver()), precision_(precision), bytes_(std::move(bytes)), keys_(std::move(keys)),
      synapses_(code_->program.program.spaces.size()), places_(code_->program.program.columns.size()) {}

DeviceLanes::~DeviceLanes() {
  code_->device->enter();
  if (stream_ != nullptr) driver_.stream_wait(stream_);
  staging_.reset();
  if (landing_ != nullptr) driver_.host_free(landing_);
  if (stream_ != nullptr) driver_.stream_destroy(stream_);
}

uint64_t DeviceLanes::reserve(uint64_t bytes) {
  const uint64_t at = reserved_;
  reserved_ += on_device(bytes);
  return at;
}

bool DeviceLanes::check(cuda::Code code, const char* what) {
  const Status done = cuda_status(driver_, code, what);
  if (!done && failure_.empty()) failure_ = done.error();
  return done.ok();
}

Status DeviceLanes::open() {
  code_->device->enter();
  if (Status done = cuda_status(driver_, driver_.stream_create(&stream_, cuda::kStreamNonBlocking), "a stream"); !done) return done;
  staging_.emplace(driver_, stream_);
  return Done{};
}

Result<cuda::Pointer> DeviceLanes::keep(const void* from, uint64_t bytes) {
  auto memory = DeviceMemory::allocate(*code_->device, code_->program.program.name, bytes);
  if (!memory) return memory.failure();
  kept_.push_back(*std::move(memory));
  if (bytes > 0)
    if (Status done = cuda_status(driver_, staging_->copy(kept_.back().at(), from, bytes), "a copy"); !done) return done.failure();
  return kept_.back().at();
}

Status DeviceLanes::allocate() {
  auto memory = DeviceMemory::allocate(*code_->device, code_->program.program.name, reserved_ * keys_.size());
  if (!memory) return memory.failure();
  memory_ = *std::move(memory);
  for (uint32_t k = 0; k < code_->program.kernels.size(); ++k) prepare({k});
  return Done{};
}

Status DeviceLanes::wait() { return cuda_status(driver_, driver_.stream_wait(stream_), "to finish"); }

Status DeviceLanes::zero() {
  const uint64_t all = reserved_ * keys_.size();
  if (all == 0) return Done{};
  return cuda_status(driver_, driver_.fill_words(memory_.at(), 0, all / sizeof(uint32_t), stream_), "to fill memory");
}

void DeviceLanes::prepare(KernelId id) {
  const Program& program = code_->program.program;
  const DeviceKernel& device = code_->program.kernels[id.value];
  const Space& domain = program[program[id].domain];
  const bool pairs = is_synaptic(domain.kind);
  const DeviceSynapses& synapses = synapses_[program[id].domain.value];
  const int64_t pres = pairs ? program[domain.pre].size : 1, posts = pairs ? program[domain.post].size : domain.size;
  const uint64_t real = precision_ == Precision::Float32 ? sizeof(float) : sizeof(double);
  Prepared& out = prepared_.emplace_back();
  out.grid = grid_of(device.spread, pres, posts, 1);
  for (const DeviceParameter& each : device.parameters) {
    uint64_t value = 0;
    switch (each.kind) {
      case Kind::Column: {
        const uint64_t plane = bytes(each.column) / static_cast<uint64_t>(std::max<int64_t>(program[each.column].width, 1));
        out.columns.push_back({out.values.size(), each.column, each.element * plane});
        break;
      }
      case Kind::LaneStride: value = reserved_ / real; break;
      case Kind::Pres: value = static_cast<uint64_t>(pres); break;
      case Kind::Posts: value = static_cast<uint64_t>(posts); break;
      case Kind::Row: value = static_cast<uint64_t>((posts + 15) / 16 * 16); break;
      case Kind::Run: out.run = out.values.size(); break;
      case Kind::RowBegin: value = synapses.row_begin; break;
      case Kind::PostIndex: value = synapses.post_index; break;
      case Kind::ColumnBegin: value = synapses.column_begin; break;
      case Kind::Synapse: value = synapses.synapse; break;
      case Kind::PreIndex: value = synapses.pre_index; break;
    }
    out.values.push_back(value);
  }
  for (uint64_t& value : out.values) out.pointers.push_back(&value);
}

void DeviceLanes::write(int64_t lane, uint64_t place, const void* from, uint64_t bytes) {
  if (bytes == 0 || !failure_.empty()) return;
  code_->device->enter();
  check(staging_->copy(at(lane, place), from, bytes), "a copy");
}

void DeviceLanes::read(int64_t lane, uint64_t place, void* into, uint64_t bytes) { read(std::span(&lane, 1), place, std::span(&into, 1), bytes); }

void DeviceLanes::fill(int64_t lane, uint64_t place, uint32_t word, uint64_t bytes) {
  if (bytes == 0 || !failure_.empty()) return;
  code_->device->enter();
  check(driver_.fill_words(at(lane, place), word, bytes / sizeof(uint32_t), stream_), "to fill memory");
}

void DeviceLanes::read(std::span<const int64_t> lanes, uint64_t place, std::span<void* const> into, uint64_t bytes) {
  constexpr uint64_t kLanding = uint64_t{1} << 20;
  if (bytes == 0 || !failure_.empty()) return;
  code_->device->enter();
  if (lanes.size() > 1 && bytes <= kLanding && landing_ == nullptr && !check(driver_.host_alloc(&landing_, kLanding), "host memory")) return;
  const size_t most = std::max<size_t>(kLanding / bytes, 1);
  for (size_t first = 0; first < lanes.size(); first += most) {
    const size_t count = std::min(most, lanes.size() - first);
    const bool lands = count > 1;
    for (size_t k = 0; k < count; ++k) {
      void* const to = lands ? static_cast<char*>(landing_) + k * bytes : into[first + k];
      if (!check(driver_.copy_to_host(to, at(lanes[first + k], place), bytes, stream_), "a copy to the host")) return;
    }
    if (!check(driver_.stream_wait(stream_), "to finish")) return;
    for (size_t k = 0; lands && k < count; ++k) std::memcpy(into[first + k], static_cast<char*>(landing_) + k * bytes, bytes);
  }
}

/// Step and keys as a launch that begins with `lane` sees them.
std::optional<cuda::Pointer> DeviceLanes::draws_from(int64_t lane, int64_t step) {
  if (mode_ == Mode::Record) {
    const AllDraws& all = all_draws_.at(lane);
    return all.memory.at() + static_cast<uint64_t>(step + 1) * all.row;
  }
  const auto found = draws_.find(lane);
  if (found != draws_.end()) {
    if (found->second.step == step) return found->second.memory.at();
    found->second.step = step;
    if (!check(staging_->copy(found->second.memory.at(), &step, sizeof step), "a copy")) return {};
    return found->second.memory.at();
  }
  std::vector<uint64_t> all{static_cast<uint64_t>(step)};
  all.insert(all.end(), keys_.begin() + lane, keys_.end());
  auto memory = DeviceMemory::allocate(*code_->device, code_->program.program.name, all.size() * sizeof(uint64_t));
  if (!memory) {
    failure_ = memory.error();
    return {};
  }
  Draws& draws = draws_[lane];
  draws = {.memory = *std::move(memory), .step = step};
  if (!check(staging_->copy(draws.memory.at(), all.data(), all.size() * sizeof(uint64_t)), "a copy")) return {};
  return draws.memory.at();
}

bool DeviceLanes::start(KernelId id, LaneRange lanes, int64_t step) {
  Prepared& kernel = prepared_[id.value];
  if (kernel.grid.x == 0 || kernel.grid.y == 0) return true;
  ++launched_;
  const cuda::Pointer block = at(lanes.first, 0);
  for (const Prepared::Address& each : kernel.columns) kernel.values[each.parameter] = block + places_[each.column.value] + each.offset;
  if (kernel.run) {
    const auto draws = draws_from(lanes.first, step);
    if (!draws) return false;
    kernel.values[*kernel.run] = *draws;
  }
  return check(driver_.launch(code_->functions[id.value], kernel.grid.x, kernel.grid.y, static_cast<unsigned>(lanes.count),
                              kernel.grid.threads, 1, 1, 0, stream_, kernel.pointers.data(), nullptr),
               "to launch a kernel");
}

void DeviceLanes::launch(std::span<const KernelId> kernels, LaneRange lanes, int64_t step) {
  if (!failure_.empty() || kernels.empty() || mode_ == Mode::Skip) return;
  code_->device->enter();
  const int64_t end = lanes.first + lanes.count;
  for (int64_t first = lanes.first; first < end; first += kMostLanes)
    for (const KernelId id : kernels)
      if (!start(id, {first, std::min(kMostLanes, end - first)}, step)) return;
}

bool DeviceLanes::record(const std::function<bool()>& launches, Recorded& into) {
  if (!check(driver_.capture_begin(stream_, cuda::kCaptureThreadLocal), "to record a step")) return false;
  bool good = launches();
  cuda::Graph graph = nullptr;
  good = check(driver_.capture_end(stream_, &graph), "to record a step") && good;
  good = good && check(driver_.graph_instantiate(&into.ready, graph, 0), "to prepare a step");
  if (graph != nullptr) driver_.graph_destroy(graph);
  return good;
}

void DeviceLanes::launch_recorded(std::span<const KernelId> kernels, LaneRange lanes, int64_t step, Recorded& graph) {
  if (!failure_.empty() || kernels.empty()) return;
  if (kernels.size() == 1 || lanes.count > kMostLanes) return launch(kernels, lanes, step);
  code_->device->enter();
  const bool draw = std::any_of(kernels.begin(), kernels.end(), [&](KernelId id) { return prepared_[id.value].run.has_value(); });
  if (draw && !draws_from(lanes.first, step)) return;   // outside what is recorded: it changes from step to step
  const auto all = [&] { return std::all_of(kernels.begin(), kernels.end(), [&](KernelId id) { return start(id, lanes, step); }); };
  if (graph.ready == nullptr && !record(all, graph)) return;
  check(driver_.graph_launch(graph.ready, stream_), "to launch a step");
}

bool DeviceLanes::any_draws() const {
  return std::any_of(prepared_.begin(), prepared_.end(), [](const Prepared& kernel) { return kernel.run.has_value(); });
}

Status DeviceLanes::keep_all_draws(int64_t first, int64_t steps) {
  if (!any_draws()) return Done{};
  AllDraws& all = all_draws_[first];
  if (all.steps >= steps && all.row != 0) return Done{};
  std::vector<uint64_t> rows;
  for (int64_t step = -1; step < steps; ++step) {
    rows.push_back(static_cast<uint64_t>(step));
    rows.insert(rows.end(), keys_.begin() + first, keys_.end());
  }
  const uint64_t bytes = rows.size() * sizeof(uint64_t);
  auto memory = DeviceMemory::allocate(*code_->device, code_->program.program.name, bytes);
  if (!memory) return memory.failure();
  all = {.memory = *std::move(memory), .steps = steps, .row = (keys_.size() - static_cast<size_t>(first) + 1) * sizeof(uint64_t)};
  return cuda_status(driver_, staging_->copy(all.memory.at(), rows.data(), bytes), "a copy");
}

void DeviceLanes::run_recorded(int64_t first, int64_t steps, Recorded& graph, const std::function<void()>& work) {
  if (!failure_.empty()) return;
  code_->device->enter();
  if (graph.ready == nullptr) {
    if (const Status done = keep_all_draws(first, steps); !done) {
      failure_ = done.error();
      return;
    }
    mode_ = Mode::Record;
    const bool recorded = record([&] { return work(), failure_.empty(); }, graph);
    mode_ = Mode::Launch;
    if (!recorded) return;
  } else {
    mode_ = Mode::Skip;
    work();
    mode_ = Mode::Launch;
  }
  check(driver_.graph_launch(graph.ready, stream_), "to launch a run");
}

int64_t DeviceLanes::count_launches(const std::function<void()>& work) {
  const int64_t before = launched_;
  work();
  return launched_ - before;
}

void DeviceLanes::forget(Recorded& graph) {
  if (graph.ready == nullptr) return;
  code_->device->enter();
  driver_.graph_exec_destroy(graph.ready);
  graph.ready = nullptr;
}

}  // namespace hebb
