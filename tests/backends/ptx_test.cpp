// The text of the kernels written for a GPU, run by the interpreter of tests/ptx: the bits are those of
// Hebb's own interpreter, whichever order the threads run in and whatever bits the device's NaN has. A
// launch is given exactly the memory it may touch; padding is not there to be read.

#include <cstring>
#include <map>

#include "compiler/codegen/nvptx.h"
#include "compiler/program/device.h"
#include "runtime/connectivity.h"
#include "tests/backends/backend_adjoints.h"
#include "tests/ptx/execute.h"
#include "tests/ptx/parse.h"

namespace hebb {
namespace {

using Kind = DeviceParameter::Kind;

/// A program's kernels as text, decoded again.
struct Loaded {
  std::shared_ptr<const Program> program;   // the original
  DeviceProgram device;
  emulator::Module module;
  Precision precision;
  emulator::RunOptions options;
  size_t real_bytes() const { return precision == Precision::Float32 ? sizeof(float) : sizeof(double); }
};

/// The rows of a column that hold something, each `count` elements from `first`.
struct Extent {
  int64_t rows = 1, row = 0, count = 1, planes = 1, plane = 0;
  int64_t elements() const { return rows == 0 || count == 0 ? 0 : (planes - 1) * plane + (rows - 1) * row + count; }
  template <class Take>
  void for_each_row(Take take) const {
    for (int64_t e = 0; e < planes; ++e)
      for (int64_t r = 0; r < rows; ++r) take(e * plane + r * row);
  }
};

/// One launch of one kernel of the original program: its pieces, one after another, on memory made for it.
class LaunchOnDevice {
 public:
  LaunchOnDevice(const Loaded& loaded, const hebb_launch& launch) : loaded_(loaded), launch_(launch) {
    emulator::load_variables(loaded.module, memory_);
  }

  /// Empty when all went well.
  std::string run(KernelId original) {
    const std::vector<KernelId>& pieces = loaded_.device.pieces[original.value];
    for (const KernelId piece : pieces)
      if (std::string fault = run_piece(piece); !fault.empty()) return fault;
    for (const auto& [id, address] : columns_) fetch(id, address);
    return {};
  }

 private:
  Extent extent(ColumnId id) const {
    const Program& program = loaded_.device.program;
    const Column& column = program[id];
    const Space& space = program[column.space];
    const int64_t plane = is_added(id) ? 0 : launch_.planes[id.value];
    switch (space.kind) {
      case SpaceKind::Uniform: return {.count = column.width};
      case SpaceKind::Neurons: return {.count = space.size, .planes = column.width, .plane = plane};
      case SpaceKind::Dense:
        return {.rows = program[space.pre].size, .row = launch_.row, .count = program[space.post].size, .planes = column.width, .plane = plane};
      case SpaceKind::Sparse:
        return {.count = launch_.row_begin[program[space.pre].size], .planes = column.width, .plane = plane};
    }
    return {};
  }

  /// What kernels hand on to each other: the host has none of it.
  bool is_added(ColumnId id) const { return id.value >= loaded_.program->columns.size(); }
  bool is_scan(ColumnId id) const {
    for (const Kernel& kernel : loaded_.program->kernels)
      for (const Scan& scan : kernel.scans)
        if (scan.as == id) return true;
    return false;
  }

  uint64_t column(ColumnId id, bool written) {
    const auto known = columns_.find(id.value);
    if (known != columns_.end()) {
      if (written) memory_.set_read_only(known->second, false);
      return known->second;
    }
    const Extent all = extent(id);
    const uint64_t bytes = loaded_.real_bytes(), address = memory_.allocate(static_cast<uint64_t>(all.elements()) * bytes);
    const auto* host = is_added(id) ? nullptr : static_cast<const char*>(launch_.columns[id.value]);
    if (!is_scan(id) && !is_added(id))
      all.for_each_row([&](int64_t at) {
        memory_.write(address + static_cast<uint64_t>(at) * bytes, host + static_cast<uint64_t>(at) * bytes, static_cast<uint64_t>(all.count) * bytes);
      });
    memory_.set_read_only(address, !written);
    columns_[id.value] = address;
    return address;
  }

  void fetch(uint32_t id, uint64_t address) {
    if (is_scan({id}) || is_added({id})) return;
    const Extent all = extent({id});
    const uint64_t bytes = loaded_.real_bytes();
    auto* host = static_cast<char*>(launch_.columns[id]);
    all.for_each_row([&](int64_t at) {
      EXPECT_TRUE(memory_.read(address + static_cast<uint64_t>(at) * bytes, host + static_cast<uint64_t>(at) * bytes, static_cast<uint64_t>(all.count) * bytes));
    });
  }

  uint64_t array(const void* from, size_t bytes) {
    const uint64_t address = memory_.allocate(bytes);
    memory_.write(address, from, bytes);
    memory_.set_read_only(address, true);
    return address;
  }

  std::string run_piece(KernelId id) {
    const Program& program = loaded_.device.program;
    const DeviceKernel& kernel = loaded_.device.kernels[id.value];
    const Space& domain = program[program[id].domain];
    const bool pairs = is_synaptic(domain.kind);
    const int64_t pres = pairs ? program[domain.pre].size : 1, posts = pairs ? program[domain.post].size : domain.size;
    const hebb::Grid grid = grid_of(kernel.spread, pres, posts, 1);
    const emulator::Function* const code = loaded_.module.find(kernel.symbol);
    if (code == nullptr) return "no kernel " + kernel.symbol;
    if (code->parameters.size() != kernel.parameters.size()) return "another number of parameters in the text";
    if (grid.x == 0) return {};

    const size_t count = domain.kind == SpaceKind::Sparse ? static_cast<size_t>(launch_.row_begin[pres]) : 0;
    Connections by_post;
    if (domain.kind == SpaceKind::Sparse && reads_by_post(kernel.spread)) by_post = transposed(pres, posts);
    const auto size_of = [](const auto& values) { return values.size() * sizeof values[0]; };
    for (auto& [column, address] : columns_) memory_.set_read_only(address, true);

    std::vector<uint8_t> values(code->parameter_bytes);
    for (size_t k = 0; k < kernel.parameters.size(); ++k) {
      const DeviceParameter& each = kernel.parameters[k];
      uint64_t value = 0;
      switch (each.kind) {
        case Kind::Column:
          value = column(each.column, each.written) + (each.element == 0 ? 0 : static_cast<uint64_t>(each.element * launch_.planes[each.column.value]) * loaded_.real_bytes());
          break;
        case Kind::LaneStride: value = 0; break;
        case Kind::Pres: value = static_cast<uint64_t>(pres); break;
        case Kind::Posts: value = static_cast<uint64_t>(posts); break;
        case Kind::Row: value = static_cast<uint64_t>(launch_.row); break;
        case Kind::Run: {
          const uint64_t run[] = {static_cast<uint64_t>(launch_.step), launch_.key};
          value = array(run, sizeof run);
          break;
        }
        case Kind::RowBegin: value = array(launch_.row_begin, static_cast<size_t>(pres + 1) * sizeof(int64_t)); break;
        case Kind::PostIndex: value = array(launch_.post_index, count * static_cast<size_t>(index_bytes(posts))); break;
        case Kind::ColumnBegin: value = array(by_post.column_begin.data(), size_of(by_post.column_begin)); break;
        case Kind::Synapse: value = array(by_post.synapse.data(), size_of(by_post.synapse)); break;
        case Kind::PreIndex: value = array(by_post.pre.data(), count * static_cast<size_t>(index_bytes(pres))); break;
      }
      std::memcpy(values.data() + code->parameters[k].offset, &value, code->parameters[k].bytes);
    }
    const emulator::RunResult result =
        emulator::run(loaded_.module, *code, {.blocks = {grid.x, grid.y, grid.z}, .threads = {grid.threads, 1, 1}}, values, memory_, loaded_.options);
    return result.ok ? std::string() : result.fault.message;
  }

  /// The synapses of the launch, by post neuron too.
  Connections transposed(int64_t pres, int64_t posts) const {
    Connections all{.row_begin = {launch_.row_begin, launch_.row_begin + pres + 1}, .post = NeuronIndex(posts), .column_begin = {}, .synapse = {}, .pre = NeuronIndex(pres)};
    for (int64_t s = 0; s < all.row_begin.back(); ++s)
      all.post.push_back(index_bytes(posts) == 2 ? static_cast<const uint16_t*>(launch_.post_index)[s] : static_cast<const uint32_t*>(launch_.post_index)[s]);
    index_by_post(all, pres, posts);
    return all;
  }

  const Loaded& loaded_;
  const hebb_launch& launch_;
  emulator::DeviceMemory memory_;
  std::map<uint32_t, uint64_t> columns_;   // by ColumnId: where it lies
};

Result<Kernels> compile_ptx(std::shared_ptr<const Program> program, Precision precision, int sm, const emulator::RunOptions& options) {
  auto loaded = std::make_shared<Loaded>();
  loaded->device = for_device(*program, Resets::ByHost);
  const Result<std::string> text = ptx(loaded->device, {.precision = precision, .sm = sm});
  if (!text) return text.failure();
  Result<emulator::Module> module = emulator::parse(*text);
  if (!module) return Failure{module.error() + "\n" + *text};
  loaded->module = *std::move(module);
  loaded->program = std::move(program);
  loaded->precision = precision;
  loaded->options = options;
  Kernels kernels;
  for (uint32_t k = 0; k < loaded->program->kernels.size(); ++k)
    kernels.run.push_back([loaded, k](const hebb_launch* launch) {
      const std::string fault = LaunchOnDevice(*loaded, *launch).run({k});
      EXPECT_EQ(fault, "") << print(*loaded->program);
    });
  kernels.keep_alive = loaded;
  return kernels;
}

Engine text(const char* name, Precision precision, int sm, const emulator::RunOptions& options) {
  return {.name = name,
          .precision = precision,
          .compile = [=](std::shared_ptr<const Program> program) { return compile_ptx(std::move(program), precision, sm, options); },
          .threads = 1,
          .large = sm == 75 && precision == Precision::Float64};
}

const emulator::RunOptions kOtherNan = {.order = 0, .nan32 = 0xffc0'0000, .nan64 = 0x7ff8'0000'0000'0001};
const emulator::RunOptions kOtherOrder = {.order = 12345};

INSTANTIATE_TEST_SUITE_P(Ptx, BackendSuite,
                         ::testing::Values(text("double75", Precision::Float64, 75, kOtherOrder), text("float75", Precision::Float32, 75, kOtherNan),
                                           text("double100", Precision::Float64, 100, kOtherNan), text("float90", Precision::Float32, 90, kOtherOrder)),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace hebb
