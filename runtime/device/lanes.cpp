#include "runtime/device/lanes.h"

#include <algorithm>

namespace hebb {

using Kind = DeviceParameter::Kind;

namespace {
constexpr int64_t kMostLanes = 65535;   // blocks along z
}

DeviceLanes::DeviceLanes(std::shared_ptr<const LoadedCode> code, Precision precision, std::vector<uint64_t> keys)
    : code_(std::move(code)), driver_(code_->device->driver()), precision_(precision), keys_(std::move(keys)),
      places_(code_->program.program.columns.size()) {}

DeviceLanes::~DeviceLanes() {
  code_->device->enter();
  if (stream_ != nullptr) driver_.stream_wait(stream_);
  staging_.reset();
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

Status DeviceLanes::allocate() {
  code_->device->enter();
  if (Status done = cuda_status(driver_, driver_.stream_create(&stream_, cuda::kStreamNonBlocking), "a stream"); !done) return done;
  staging_.emplace(driver_, stream_);
  const uint64_t all = reserved_ * keys_.size();
  auto memory = DeviceMemory::allocate(*code_->device, code_->program.program.name, all);
  if (!memory) return memory.failure();
  memory_ = *std::move(memory);
  for (uint32_t k = 0; k < code_->program.kernels.size(); ++k) prepare({k});
  if (all == 0) return Done{};
  return cuda_status(driver_, driver_.fill_words(memory_.at(), 0, all / sizeof(uint32_t), stream_), "to fill memory");
}

void DeviceLanes::prepare(KernelId id) {
  const Program& program = code_->program.program;
  const DeviceKernel& device = code_->program.kernels[id.value];
  const Space& domain = program[program[id].domain];
  const bool pairs = is_synaptic(domain.kind);
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
      case Kind::RowBegin: case Kind::PostIndex: case Kind::ColumnBegin: case Kind::Synapse: case Kind::PreIndex: break;
    }
    out.values.push_back(value);
  }
  for (uint64_t& value : out.values) out.pointers.push_back(&value);
}

void DeviceLanes::write(int64_t lane, uint64_t place, const void* from, uint64_t bytes) {
  if (bytes == 0 || !failure_.empty()) return;
  code_->device->enter();
  check(staging_->copy(memory_.at() + static_cast<uint64_t>(lane) * reserved_ + place, from, bytes), "a copy");
}

void DeviceLanes::read(int64_t lane, uint64_t place, void* into, uint64_t bytes) {
  if (bytes == 0 || !failure_.empty()) return;
  code_->device->enter();
  if (check(driver_.copy_to_host(into, memory_.at() + static_cast<uint64_t>(lane) * reserved_ + place, bytes, stream_), "a copy to the host"))
    check(driver_.stream_wait(stream_), "to finish");
}

/// Step and keys as a launch that begins with `lane` sees them.
std::optional<cuda::Pointer> DeviceLanes::draws_from(int64_t lane, int64_t step) {
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
  const cuda::Pointer block = memory_.at() + static_cast<uint64_t>(lanes.first) * reserved_;
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
  if (!failure_.empty() || kernels.empty()) return;
  code_->device->enter();
  const int64_t end = lanes.first + lanes.count;
  for (int64_t first = lanes.first; first < end; first += kMostLanes)
    for (const KernelId id : kernels)
      if (!start(id, {first, std::min(kMostLanes, end - first)}, step)) return;
}

}  // namespace hebb
