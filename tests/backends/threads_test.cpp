// The kernels written for a GPU, compiled for the host with the numbers of block and thread as arguments:
// every thread of the grid runs by itself, in an order of our choice, and the bits are the interpreter's.

#include "compiler/codegen/nvptx.h"
#include "compiler/program/device.h"
#include "tests/backends/backend_adjoints.h"

namespace hebb {
namespace {

using Kind = DeviceParameter::Kind;

/// All threads of a launch; `backwards`: the last first.
void run_grid(const HostThreads::Thread& thread, const Grid& grid, void* const* parameters, bool backwards) {
  const uint64_t count = uint64_t{grid.x} * grid.y * grid.z * grid.threads;
  for (uint64_t n = 0; n < count; ++n) {
    const uint64_t k = backwards ? count - 1 - n : n, block = k / grid.threads;
    const uint32_t at[] = {static_cast<uint32_t>(block % grid.x), static_cast<uint32_t>(block / grid.x % grid.y),
                           static_cast<uint32_t>(block / grid.x / grid.y), grid.y, static_cast<uint32_t>(k % grid.threads),
                           grid.threads};
    thread(parameters, at);
  }
}

/// The synapses of a launch by post neuron.
struct ByPost {
  std::vector<int64_t> begin;
  std::vector<uint32_t> synapse;
  NeuronIndex pre;
};
ByPost by_post(const hebb_launch& launch, int64_t pres, int64_t posts) {
  const auto post_of = [&](int64_t s) -> uint32_t {
    if (index_bytes(posts) == 2) return static_cast<const uint16_t*>(launch.post_index)[s];
    return static_cast<const uint32_t*>(launch.post_index)[s];
  };
  ByPost out{.begin = {0}, .synapse = {}, .pre = NeuronIndex(pres)};
  std::vector<std::vector<std::pair<uint32_t, uint32_t>>> columns(static_cast<size_t>(posts));
  for (int64_t i = 0; i < pres; ++i)
    for (int64_t s = launch.row_begin[i]; s < launch.row_begin[i + 1]; ++s)
      columns[post_of(s)].push_back({static_cast<uint32_t>(s), static_cast<uint32_t>(i)});
  for (const auto& column : columns) {
    for (const auto& [synapse, pre] : column) {
      out.synapse.push_back(synapse);
      out.pre.push_back(pre);
    }
    out.begin.push_back(static_cast<int64_t>(out.synapse.size()));
  }
  return out;
}

/// What the threads of a program share over all launches.
struct Shared {
  std::shared_ptr<const Program> program;
  DeviceProgram device;
  HostThreads threads;
  Precision precision;
  bool backwards = false;
  std::vector<std::vector<double>> own;   // by column: memory for results of scans, and for what kernels hand on
};

void run_piece(Shared& shared, KernelId id, const hebb_launch& launch) {
  const Program& program = shared.device.program;
  const DeviceKernel& kernel = shared.device.kernels[id.value];
  const Space& domain = program[program[id].domain];
  const bool pairs = is_synaptic(domain.kind);
  const int64_t pres = pairs ? program[domain.pre].size : 1, posts = pairs ? program[domain.post].size : domain.size;
  const size_t bytes = shared.precision == Precision::Float32 ? sizeof(float) : sizeof(double);
  ByPost index;
  if (domain.kind == SpaceKind::Sparse && reads_by_post(kernel.spread)) index = by_post(launch, pres, posts);
  const uint64_t run[] = {static_cast<uint64_t>(launch.step), launch.key};

  std::vector<uint64_t> values;
  const auto address = [](const void* pointer) { return reinterpret_cast<uint64_t>(pointer); };
  for (const DeviceParameter& each : kernel.parameters) {
    switch (each.kind) {
      case Kind::Column: {
        auto& own = shared.own[each.column.value];
        const size_t plane = each.element == 0 ? 0 : static_cast<size_t>(each.element * launch.planes[each.column.value]);
        const auto* base = own.empty() ? static_cast<const char*>(launch.columns[each.column.value]) : reinterpret_cast<const char*>(own.data());
        values.push_back(address(base + plane * bytes));
        break;
      }
      case Kind::LaneStride: values.push_back(0); break;
      case Kind::Pres: values.push_back(static_cast<uint64_t>(pres)); break;
      case Kind::Posts: values.push_back(static_cast<uint64_t>(posts)); break;
      case Kind::Row: values.push_back(static_cast<uint64_t>(launch.row)); break;
      case Kind::Run: values.push_back(address(run)); break;
      case Kind::RowBegin: values.push_back(address(launch.row_begin)); break;
      case Kind::PostIndex: values.push_back(address(launch.post_index)); break;
      case Kind::ColumnBegin: values.push_back(address(index.begin.data())); break;
      case Kind::Synapse: values.push_back(address(index.synapse.data())); break;
      case Kind::PreIndex: values.push_back(address(index.pre.data())); break;
    }
  }
  std::vector<void*> parameters;
  for (uint64_t& value : values) parameters.push_back(&value);
  run_grid(shared.threads.run[id.value], grid_of(kernel.spread, pres, posts, 1), parameters.data(), shared.backwards);
}

Result<Kernels> compile_threads(std::shared_ptr<const Program> program, Precision precision, bool backwards) {
  auto shared = std::make_shared<Shared>();
  shared->device = for_device(*program, Resets::ByHost);
  const std::vector<std::string> faults = verify(shared->device.program);
  if (!faults.empty()) return Failure{faults[0]};
  auto threads = host_threads(shared->device, precision);
  if (!threads) return threads.failure();
  shared->program = std::move(program);
  shared->threads = *std::move(threads);
  shared->precision = precision;
  shared->backwards = backwards;
  const std::vector<Column>& columns = shared->device.program.columns;
  shared->own.resize(columns.size());
  for (size_t k = shared->program->columns.size(); k < columns.size(); ++k)
    if (shared->program->spaces[columns[k].space.value].kind == SpaceKind::Uniform) shared->own[k].resize(static_cast<size_t>(columns[k].width));
  for (const Kernel& kernel : shared->program->kernels)
    for (const Scan& scan : kernel.scans) {
      const Space& space = (*shared->program)[kernel.domain];
      const int64_t row = ((*shared->program)[space.post].size + 15) / 16 * 16;
      shared->own[scan.as.value].resize(static_cast<size_t>((*shared->program)[space.pre].size * row));
    }
  Kernels kernels;
  for (uint32_t k = 0; k < shared->program->kernels.size(); ++k)
    kernels.run.push_back([shared, k](const hebb_launch* launch) {
      for (const KernelId piece : shared->device.pieces[k]) run_piece(*shared, piece, *launch);
    });
  kernels.keep_alive = shared;
  return kernels;
}

Engine threads(Precision precision, bool backwards) {
  return {.name = std::string(precision == Precision::Float32 ? "float" : "double") + (backwards ? "Backwards" : ""),
          .precision = precision,
          .compile = [=](std::shared_ptr<const Program> program) { return compile_threads(std::move(program), precision, backwards); },
          .threads = 1};
}

INSTANTIATE_TEST_SUITE_P(Threads, BackendSuite,
                         ::testing::Values(threads(Precision::Float64, false), threads(Precision::Float32, true)),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace hebb
