#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"
#include "runtime/columns.h"
#include "runtime/device/code.h"
#include "runtime/device/staging.h"

namespace hebb {
namespace {

using Kind = DeviceParameter::Kind;
using cuda::Pointer;

constexpr size_t kArrayAlignment = kDeviceAlignment;

/// Bytes of a column on the device. Those of scans have memory there alone.
size_t column_bytes(const Program& program, const Columns& columns, ColumnId id) {
  const bool on_host = id.value < columns.count() && columns.layout(id).size() > 0;
  if (on_host) return columns.bytes(id);
  return device_bytes(program, id, columns.precision());
}

/// Where the arrays of a sparse space lie; 0: not there.
struct SparseArrays {
  Pointer row_begin = 0, post_index = 0, column_begin = 0, synapse = 0, pre_index = 0;
};

class Run : public DeviceRun {
 public:
  Run(const LoadedCode& code, Columns& columns) : code_(code), program_(code.program.program), columns_(columns), driver_(code.device->driver()) {}

  ~Run() override {
    code_.device->enter();
    for (auto& [list, graph] : graphs_)
      if (graph != nullptr) driver_.graph_exec_destroy(graph);
    staging_.reset();
    for (const Pointer memory : memory_) driver_.memory_free(memory);
    if (stream_ != nullptr) driver_.stream_destroy(stream_);
  }

  Status prepare(uint64_t key) {
    code_.device->enter();
    if (Status done = status(driver_.stream_create(&stream_, cuda::kStreamNonBlocking), "a stream"); !done) return done;
    staging_.emplace(driver_, stream_);
    if (Status done = place_columns(); !done) return done;
    if (Status done = place_synapses(); !done) return done;
    const uint64_t start[] = {0, key};
    if (Status done = allocate(sizeof start, run_); !done) return done;
    if (Status done = status(staging_->copy(run_, start, sizeof start), "a copy"); !done) return done;
    prepare_launches();
    prepare_lists();
    return Done{};
  }

  // --- columns ---

  void host_reads(ColumnId id) override {
    if (state(id) != State::DeviceNewer) return;
    states_[id.value] = State::Same;
    if (!failure_.empty()) return;
    code_.device->enter();
    check(driver_.copy_to_host(columns_.memory(id), addresses_[id.value], columns_.bytes(id), stream_), "a copy to the host");
    check(driver_.stream_wait(stream_), "to finish");
  }

  void host_wrote(ColumnId id) override {
    if (state(id) != State::None) states_[id.value] = State::HostNewer;
  }

  void host_filled(ColumnId id, double value) override {
    if (state(id) == State::None) return;
    states_[id.value] = State::HostNewer;
    const auto word = pattern(value);
    if (!word || !failure_.empty()) return;
    code_.device->enter();
    if (check(driver_.fill_words(addresses_[id.value], *word, columns_.bytes(id) / sizeof(uint32_t), stream_), "to fill memory"))
      states_[id.value] = State::Same;
  }

  // --- kernels ---

  void run(List list, int64_t step) override {
    const std::vector<KernelId>& kernels = lists_.at(list);
    if (kernels.empty() || !failure_.empty()) return;
    code_.device->enter();
    if (!upload(list_reads_.at(list)) || !tell(step)) return;
    cuda::GraphExec& graph = graphs_[list];
    if (graph == nullptr && kernels.size() > 1 && !capture(kernels, graph)) return;
    const bool launched = graph != nullptr ? check(driver_.graph_launch(graph, stream_), "to launch a step") : start(kernels[0]);
    if (launched) mark(list_writes_.at(list));
  }

  void launch(KernelId kernel, int64_t step) override {
    if (!failure_.empty()) return;
    code_.device->enter();
    for (const KernelId piece : code_.program.pieces[kernel.value]) {
      const Touched& touched = touched_[piece.value];
      if (!upload(touched.reads) || !tell(step) || !start(piece)) return;
      mark(touched.writes);
    }
  }

  const std::string& failure() const override { return failure_; }

 private:
  enum class State { None /* not on the device */, Same, HostNewer, DeviceNewer };
  struct Touched { std::vector<ColumnId> reads, writes; };   // reads: whatever must be there before

  Status status(cuda::Code code, const char* what) const { return cuda_status(driver_, code, what); }
  bool check(cuda::Code code, const char* what) {
    const Status done = status(code, what);
    if (!done && failure_.empty()) failure_ = done.error();
    return done.ok();
  }
  State state(ColumnId id) const { return states_[id.value]; }

  /// The 32 bits that fill a column with `value`; none for doubles whose halves differ.
  std::optional<uint32_t> pattern(double value) const {
    if (columns_.precision() == Precision::Float32) return std::bit_cast<uint32_t>(static_cast<float>(value));
    const auto bits = std::bit_cast<uint64_t>(value);
    if (static_cast<uint32_t>(bits) != static_cast<uint32_t>(bits >> 32)) return {};
    return static_cast<uint32_t>(bits);
  }

  Status allocate(size_t bytes, Pointer& into) {
    bytes = std::max(bytes, kArrayAlignment);
    size_t free = 0, total = 0;
    driver_.memory_info(&free, &total);
    const cuda::Code code = driver_.memory_alloc(&into, bytes);
    if (code != 0 && code != cuda::kOutOfMemory) return status(code, "memory");
    if (code != 0)
      return Failure{cat(quoted(program_.name), " needs ", bytes_text(static_cast<double>(bytes)), " more of the GPU's memory, ",
                         bytes_text(static_cast<double>(free)), " of ", bytes_text(static_cast<double>(total)), " free")};
    memory_.push_back(into);
    return Done{};
  }

  /// One block for all columns that kernels touch.
  Status place_columns() {
    std::vector<bool> used(program_.columns.size());
    for (const DeviceKernel& kernel : code_.program.kernels)
      for (const DeviceParameter& each : kernel.parameters)
        if (each.kind == Kind::Column) used[each.column.value] = true;
    addresses_.resize(used.size());
    states_.resize(used.size());
    size_t bytes = 0;
    for (uint32_t k = 0; k < used.size(); ++k) {
      if (!used[k]) continue;
      addresses_[k] = bytes;
      bytes += (column_bytes(program_, columns_, {k}) + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
    }
    Pointer block = 0;
    if (Status done = allocate(bytes, block); !done) return done;
    for (uint32_t k = 0; k < used.size(); ++k) {
      if (!used[k]) continue;
      addresses_[k] += block;
      if (k < columns_.count() && columns_.layout({k}).size() > 0) states_[k] = State::HostNewer;
    }
    return Done{};
  }

  template <class T>
  Status place(const T* from, size_t bytes, Pointer& into) {
    if (Status done = allocate(bytes, into); !done) return done;
    if (bytes == 0) return Done{};
    return status(staging_->copy(into, from, bytes), "a copy");
  }

  Status place_synapses() {
    sparse_.resize(program_.spaces.size());
    for (uint32_t k = 0; k < program_.spaces.size(); ++k) {
      const Space& space = program_.spaces[k];
      if (space.kind != SpaceKind::Sparse) continue;
      bool by_post = false;
      for (uint32_t n = 0; n < program_.kernels.size(); ++n)
        by_post |= program_.kernels[n].domain == SpaceId{k} && reads_by_post(code_.program.kernels[n].spread);
      const Connections* synapses = &columns_.connections({k});
      Connections indexed;
      if (by_post && synapses->column_begin.empty()) {
        indexed = *synapses;
        index_by_post(indexed, program_[space.pre].size, program_[space.post].size);
        synapses = &indexed;
      }
      const auto numbers = [&](const auto& values, Pointer& into) { return place(values.data(), values.size() * sizeof(values[0]), into); };
      const auto index = [&](const NeuronIndex& values, SpaceId of, Pointer& into) {
        return place(values.data(), values.size() * static_cast<size_t>(index_bytes(program_[of].size)), into);
      };
      SparseArrays& at = sparse_[k];
      if (Status done = numbers(synapses->row_begin, at.row_begin); !done) return done;
      if (Status done = index(synapses->post, space.post, at.post_index); !done) return done;
      if (!by_post) continue;
      if (Status done = numbers(synapses->column_begin, at.column_begin); !done) return done;
      if (Status done = numbers(synapses->synapse, at.synapse); !done) return done;
      if (Status done = index(synapses->pre, space.pre, at.pre_index); !done) return done;
    }
    return status(driver_.stream_wait(stream_), "to finish");
  }

  uint64_t value_of(const DeviceParameter& each, const Kernel& kernel) const {
    const Space& domain = program_[kernel.domain];
    const bool pairs = is_synaptic(domain.kind);
    const SparseArrays& at = sparse_[kernel.domain.value];
    switch (each.kind) {
      case Kind::Column: {
        uint64_t plane = 0;
        if (each.element > 0) plane = each.element * static_cast<uint64_t>(columns_.layout(each.column).plane);
        return addresses_[each.column.value] + plane * (columns_.precision() == Precision::Float32 ? sizeof(float) : sizeof(double));
      }
      case Kind::LaneStride: return 0;
      case Kind::Pres: return static_cast<uint64_t>(pairs ? program_[domain.pre].size : 1);
      case Kind::Posts: return static_cast<uint64_t>(pairs ? program_[domain.post].size : domain.size);
      case Kind::Row: return static_cast<uint64_t>((program_[domain.post].size + 15) / 16 * 16);
      case Kind::Run: return run_;
      case Kind::RowBegin: return at.row_begin;
      case Kind::PostIndex: return at.post_index;
      case Kind::ColumnBegin: return at.column_begin;
      case Kind::Synapse: return at.synapse;
      case Kind::PreIndex: return at.pre_index;
    }
    return 0;
  }

  void prepare_launches() {
    for (uint32_t k = 0; k < program_.kernels.size(); ++k) {
      const Kernel& kernel = program_.kernels[k];
      const DeviceKernel& device = code_.program.kernels[k];
      const Space& domain = program_[kernel.domain];
      const bool pairs = is_synaptic(domain.kind);
      auto& values = values_.emplace_back();
      Touched& touched = touched_.emplace_back();
      for (const DeviceParameter& each : device.parameters) {
        values.push_back(value_of(each, kernel));
        if (each.kind != Kind::Column || state(each.column) == State::None) continue;
        // A store may leave rows or elements as they were: they must be there too.
        touched.reads.push_back(each.column);
        if (each.written) touched.writes.push_back(each.column);
      }
      grids_.push_back(grid_of(device.spread, pairs ? program_[domain.pre].size : 1, pairs ? program_[domain.post].size : domain.size, 1));
    }
    for (auto& values : values_) {
      auto& pointers = pointers_.emplace_back();
      for (uint64_t& value : values) pointers.push_back(&value);
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
      list_reads_[list] = std::move(all.reads);
      list_writes_[list] = std::move(all.writes);
    };
    make(List::Init, plan.init, When::Always);
    make(List::Begin, plan.begin, When::Always);
    make(List::Quiet, plan.step, When::Eventful);
    make(List::Eventful, plan.step, When::Quiet);
  }

  bool upload(const std::vector<ColumnId>& ids) {
    for (const ColumnId id : ids) {
      if (state(id) != State::HostNewer) continue;
      if (!check(staging_->copy(addresses_[id.value], columns_.memory(id), columns_.bytes(id)), "a copy")) return false;
      states_[id.value] = State::Same;
    }
    return true;
  }

  void mark(const std::vector<ColumnId>& ids) {
    for (const ColumnId id : ids) states_[id.value] = State::DeviceNewer;
  }

  /// Draws depend on the step.
  bool tell(int64_t step) {
    if (step == step_) return true;
    step_ = step;
    return check(staging_->copy(run_, &step, sizeof step), "a copy");
  }

  bool start(KernelId id) {
    const Grid& grid = grids_[id.value];
    if (grid.x == 0 || grid.y == 0) return true;
    return check(driver_.launch(code_.functions[id.value], grid.x, grid.y, grid.z, grid.threads, 1, 1, 0, stream_,
                                pointers_[id.value].data(), nullptr),
                 "to launch a kernel");
  }

  /// A step as one graph: its launches cost the host one call.
  bool capture(const std::vector<KernelId>& kernels, cuda::GraphExec& ready) {
    if (!check(driver_.capture_begin(stream_, cuda::kCaptureThreadLocal), "to record a step")) return false;
    bool good = true;
    for (const KernelId id : kernels) good = good && start(id);
    cuda::Graph graph = nullptr;
    good = check(driver_.capture_end(stream_, &graph), "to record a step") && good;
    good = good && check(driver_.graph_instantiate(&ready, graph, 0), "to prepare a step");
    if (graph != nullptr) driver_.graph_destroy(graph);
    return good;
  }

  const LoadedCode& code_;
  const Program& program_;
  Columns& columns_;
  const CudaDriver& driver_;
  cuda::Stream stream_ = nullptr;
  std::optional<Staging> staging_;
  std::vector<Pointer> memory_;
  std::vector<Pointer> addresses_;          // of columns
  std::vector<State> states_;
  std::vector<SparseArrays> sparse_;        // by space
  Pointer run_ = 0;                         // step and key
  int64_t step_ = 0;
  std::vector<std::vector<uint64_t>> values_;    // of each kernel's parameters
  std::vector<std::vector<void*>> pointers_;
  std::vector<Touched> touched_;
  std::vector<Grid> grids_;
  std::map<List, std::vector<KernelId>> lists_;
  std::map<List, std::vector<ColumnId>> list_reads_, list_writes_;
  std::map<List, cuda::GraphExec> graphs_;
  std::string failure_;
};

}  // namespace

Result<std::unique_ptr<DeviceRun>> LoadedCode::start(Columns& columns, uint64_t key) const {
  auto run = std::make_unique<Run>(*this, columns);
  if (Status done = run->prepare(key); !done) return done.failure();
  return std::unique_ptr<DeviceRun>(std::move(run));
}

}  // namespace hebb
