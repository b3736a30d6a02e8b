#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <vector>

#include "runtime/columns.h"
#include "runtime/device/lanes.h"

namespace hebb {
namespace {

using Kind = DeviceParameter::Kind;
using List = DeviceRun::List;

/// Bytes of a column on the device. Those of scans have memory there alone.
uint64_t column_bytes(const Program& program, const Columns& columns, ColumnId id) {
  const bool on_host = id.value < columns.count() && columns.layout(id).size() > 0;
  if (on_host) return columns.bytes(id);
  return device_bytes(program, id, columns.precision());
}

/// Columns that kernels touch.
std::vector<bool> used_columns(const DeviceProgram& device) {
  std::vector<bool> used(device.program.columns.size());
  for (const DeviceKernel& kernel : device.kernels)
    for (const DeviceParameter& each : kernel.parameters)
      if (each.kind == Kind::Column) used[each.column.value] = true;
  return used;
}

/// Lanes of simulations, each with its columns on the host too.
class Batch : public DeviceBatch, public std::enable_shared_from_this<Batch> {
 public:
  Batch(std::shared_ptr<const LoadedCode> code, std::vector<Columns*> columns, std::vector<uint64_t> keys)
      : code_(std::move(code)), program_(code_->program.program), columns_(std::move(columns)) {
    std::vector<uint64_t> bytes;
    for (uint32_t k = 0; k < program_.columns.size(); ++k) bytes.push_back(column_bytes(program_, *columns_[0], {k}));
    lanes_.emplace(code_, std::move(bytes), columns_[0]->precision(), std::move(keys));
  }
  ~Batch() override {
    for (auto& [list, graph] : graphs_) lanes_->forget(graph);
  }

  Status prepare() {
    if (Status done = lanes_->open(); !done) return done;
    place_columns();
    if (Status done = place_synapses(); !done) return done;
    if (Status done = lanes_->allocate(); !done) return done;
    find_touched();
    prepare_lists();
    return Done{};
  }

  // --- columns ---

  /// What one lane reads the others will read too.
  void host_reads(int64_t lane, ColumnId id) {
    if (state(lane, id) != State::DeviceNewer) return;
    constexpr uint64_t kSmall = 1 << 16;
    const uint64_t bytes = columns(lane).bytes(id);
    reading_.clear();
    into_.clear();
    for (int64_t other = bytes <= kSmall ? 0 : lane; other < (bytes <= kSmall ? all() : lane + 1); ++other) {
      if (state(other, id) != State::DeviceNewer) continue;
      reading_.push_back(other);
      into_.push_back(columns(other).memory(id));
      set_state(other, id, State::Same);
    }
    lanes_->read(reading_, lanes_->place(id), into_, bytes);
  }

  void host_wrote(int64_t lane, ColumnId id) {
    if (state(lane, id) != State::None) set_state(lane, id, State::HostNewer);
  }

  void host_filled(int64_t lane, ColumnId id, double value) {
    if (state(lane, id) == State::None) return;
    set_state(lane, id, State::HostNewer);
    const auto word = pattern(value);
    if (!word || !lanes_->failure().empty()) return;
    lanes_->fill(lane, lanes_->place(id), *word, columns(lane).bytes(id));
    if (lanes_->failure().empty()) set_state(lane, id, State::Same);
  }

  // --- kernels ---

  void run(List list, int64_t first, int64_t count, int64_t step) override {
    const std::vector<KernelId>& kernels = lists_.at(list);
    if (kernels.empty()) return;
    const LaneRange range{first, count};
    upload(list_touched_.at(list).reads, range);
    if (count == all()) lanes_->launch_recorded(kernels, range, step, graphs_[list]);
    else lanes_->launch(kernels, range, step);
    mark(list_touched_.at(list).writes, range);
  }

  const std::string& failure() const { return lanes_->failure(); }
  std::unique_ptr<DeviceRun> of(int64_t lane) override;
  /// Its columns may be gone.
  void leaves(int64_t lane) {
    for (uint32_t k = 0; k < program_.columns.size(); ++k) set_state(lane, {k}, State::None);
  }

 private:
  enum class State : uint8_t { None /* not on the device */, Same, HostNewer, DeviceNewer };
  struct Touched { std::vector<ColumnId> reads, writes; };   // reads: whatever must be there before

  int64_t all() const { return static_cast<int64_t>(columns_.size()); }
  Columns& columns(int64_t lane) { return *columns_[static_cast<size_t>(lane)]; }
  size_t index(int64_t lane, ColumnId id) const { return static_cast<size_t>(lane) * program_.columns.size() + id.value; }
  State state(int64_t lane, ColumnId id) const { return states_[index(lane, id)]; }
  void set_state(int64_t lane, ColumnId id, State state) { states_[index(lane, id)] = state; }

  /// The 32 bits that fill a column with `value`; none for doubles whose halves differ.
  std::optional<uint32_t> pattern(double value) const {
    if (columns_[0]->precision() == Precision::Float32) return std::bit_cast<uint32_t>(static_cast<float>(value));
    const auto bits = std::bit_cast<uint64_t>(value);
    if (static_cast<uint32_t>(bits) != static_cast<uint32_t>(bits >> 32)) return {};
    return static_cast<uint32_t>(bits);
  }

  void place_columns() {
    const std::vector<bool> used = used_columns(code_->program);
    states_.resize(used.size() * columns_.size());
    for (uint32_t k = 0; k < used.size(); ++k) {
      if (!used[k]) continue;
      lanes_->bind({k}, lanes_->reserve(lanes_->bytes({k})));
      if (k >= columns_[0]->count() || columns_[0]->layout({k}).size() == 0) continue;
      for (int64_t lane = 0; lane < all(); ++lane) set_state(lane, {k}, State::HostNewer);
    }
  }

  Status place_synapses() {
    for (uint32_t k = 0; k < program_.spaces.size(); ++k) {
      const Space& space = program_.spaces[k];
      if (space.kind != SpaceKind::Sparse) continue;
      bool by_post = false;
      for (uint32_t n = 0; n < program_.kernels.size(); ++n)
        by_post |= program_.kernels[n].domain == SpaceId{k} && reads_by_post(code_->program.kernels[n].spread);
      const Connections* synapses = &columns_[0]->connections({k});
      Connections indexed;
      if (by_post && synapses->column_begin.empty()) {
        indexed = *synapses;
        index_by_post(indexed, program_[space.pre].size, program_[space.post].size);
        synapses = &indexed;
      }
      Status done = Done{};
      const auto keep = [&](const auto& values, uint64_t each, cuda::Pointer& into) {
        if (!done) return;
        auto kept = lanes_->keep(values.data(), values.size() * each);
        if (kept) into = *kept;
        else done = kept.failure();
      };
      const auto index_of = [&](SpaceId of) { return static_cast<uint64_t>(index_bytes(program_[of].size)); };
      DeviceSynapses at;
      keep(synapses->row_begin, sizeof(synapses->row_begin[0]), at.row_begin);
      keep(synapses->post, index_of(space.post), at.post_index);
      if (by_post) {
        keep(synapses->column_begin, sizeof(synapses->column_begin[0]), at.column_begin);
        keep(synapses->synapse, sizeof(synapses->synapse[0]), at.synapse);
        keep(synapses->pre, index_of(space.pre), at.pre_index);
      }
      if (!done) return done;
      lanes_->set_synapses({k}, at);
    }
    return lanes_->wait();
  }

  void find_touched() {
    for (const DeviceKernel& device : code_->program.kernels) {
      Touched& touched = touched_.emplace_back();
      for (const DeviceParameter& each : device.parameters) {
        if (each.kind != Kind::Column || state(0, each.column) == State::None) continue;
        // A store may leave rows or elements as they were: they must be there too.
        touched.reads.push_back(each.column);
        if (each.written) touched.writes.push_back(each.column);
      }
    }
  }

  void prepare_lists() {
    const Plan& plan = program_.plan;
    const auto make = [&](List list, const std::vector<Launch>& launches, When without) {
      auto& kernels = lists_[list];
      Touched all;
      for (const Launch& launch : launches) {
        if (without != When::Always && launch.when == without) continue;
        kernels.push_back(launch.kernel);
        const Touched& touched = touched_[launch.kernel.value];
        all.reads.insert(all.reads.end(), touched.reads.begin(), touched.reads.end());
        all.writes.insert(all.writes.end(), touched.writes.begin(), touched.writes.end());
      }
      for (auto* ids : {&all.reads, &all.writes}) {
        std::sort(ids->begin(), ids->end());
        ids->erase(std::unique(ids->begin(), ids->end()), ids->end());
      }
      list_touched_[list] = std::move(all);
    };
    make(List::Init, plan.init, When::Always);
    make(List::Begin, plan.begin, When::Always);
    make(List::Quiet, plan.step, When::Eventful);
    make(List::Eventful, plan.step, When::Quiet);
  }

  void upload(const std::vector<ColumnId>& ids, LaneRange range) {
    if (!failure().empty()) return;
    for (int64_t lane = range.first; lane < range.first + range.count; ++lane) {
      for (const ColumnId id : ids) {
        if (state(lane, id) != State::HostNewer) continue;
        lanes_->write(lane, lanes_->place(id), columns(lane).memory(id), columns(lane).bytes(id));
        if (!failure().empty()) return;
        set_state(lane, id, State::Same);
      }
    }
  }

  void mark(const std::vector<ColumnId>& ids, LaneRange range) {
    if (!failure().empty()) return;
    for (int64_t lane = range.first; lane < range.first + range.count; ++lane)
      for (const ColumnId id : ids) set_state(lane, id, State::DeviceNewer);
  }

  std::shared_ptr<const LoadedCode> code_;
  const Program& program_;
  std::vector<Columns*> columns_;           // of each lane
  std::optional<DeviceLanes> lanes_;
  std::vector<State> states_;               // of lanes and columns
  std::vector<int64_t> reading_;            // lanes, and where to
  std::vector<void*> into_;
  std::vector<Touched> touched_;            // by kernels
  std::map<List, std::vector<KernelId>> lists_;
  std::map<List, Touched> list_touched_;
  std::map<List, DeviceLanes::Recorded> graphs_;   // of all lanes
};

/// One simulation of a batch.
class Run : public DeviceRun {
 public:
  Run(std::shared_ptr<Batch> batch, int64_t lane) : batch_(std::move(batch)), lane_(lane) {}
  ~Run() override { batch_->leaves(lane_); }
  void host_reads(ColumnId column) override { batch_->host_reads(lane_, column); }
  void host_wrote(ColumnId column) override { batch_->host_wrote(lane_, column); }
  void host_filled(ColumnId column, double value) override { batch_->host_filled(lane_, column, value); }
  void run(List list, int64_t step) override { batch_->run(list, lane_, 1, step); }
  const std::string& failure() const override { return batch_->failure(); }

 private:
  std::shared_ptr<Batch> batch_;
  int64_t lane_;
};

std::unique_ptr<DeviceRun> Batch::of(int64_t lane) { return std::make_unique<Run>(shared_from_this(), lane); }

}  // namespace

uint64_t LoadedCode::free_memory() const { return device->free_memory(); }

uint64_t LoadedCode::bytes(const Columns& columns) const {
  const std::vector<bool> used = used_columns(program);
  uint64_t out = 0;
  for (uint32_t k = 0; k < used.size(); ++k)
    if (used[k]) out += on_device(column_bytes(program.program, columns, {k}));
  return out;
}

Result<std::shared_ptr<DeviceBatch>> LoadedCode::start(std::vector<Columns*> columns, std::vector<uint64_t> keys) const {
  auto batch = std::make_shared<Batch>(shared_from_this(), std::move(columns), std::move(keys));
  if (Status done = batch->prepare(); !done) return done.failure();
  return std::shared_ptr<DeviceBatch>(std::move(batch));
}

}  // namespace hebb
