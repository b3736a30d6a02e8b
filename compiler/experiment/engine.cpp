#include "compiler/experiment/engine.h"

#include <algorithm>
#include <thread>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/nvptx.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"

namespace hebb {

Program without_initial_values(Program program, const std::set<uint32_t>& columns) {
  for (const Launch& launch : program.plan.init) {
    Kernel& kernel = program.kernels[launch.kernel.value];
    std::erase_if(kernel.stores, [&](const Store& store) { return columns.contains(store.into.value); });
  }
  // A kernel without effects is no kernel.
  std::erase_if(program.plan.init, [&](const Launch& launch) {
    const Kernel& kernel = program.kernels[launch.kernel.value];
    return kernel.stores.empty() && kernel.accumulates.empty();
  });
  return program;
}

double interpreted_work(const Program& program, std::span<const KernelId> kernels) {
  double work = 0;
  for (const KernelId id : kernels) {
    const Kernel& kernel = program[id];
    const std::vector<bool> live = live_nodes(program.pool, roots(kernel));
    const Space& domain = program[kernel.domain];
    const double rows = is_synaptic(domain.kind)
                            ? static_cast<double>(program[domain.pre].size) * static_cast<double>(program[domain.post].size)
                            : static_cast<double>(domain.size);
    work += rows * static_cast<double>(std::count(live.begin(), live.end(), true));
  }
  return work;
}

double interpreting_seconds(const Program& program, int64_t runs, int64_t steps) {
  const auto seconds_of = [&](const std::vector<Launch>& launches) {
    double seconds = 0;
    for (const Launch& launch : launches) seconds += interpreting_seconds(program, launch.kernel);
    return seconds;
  };
  return static_cast<double>(runs) * seconds_of(program.plan.init) + static_cast<double>(steps) * seconds_of(program.plan.step);
}

int compile_threads() {
  constexpr int kMost = 4;  // a network has dozens of kernels, of which the largest decides
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMost);
}

Result<Kernels> make_kernels(std::shared_ptr<const Program> program, Precision precision,
                             ExperimentOptions::Engine engine, int level, bool whole) {
  if (engine == ExperimentOptions::Engine::Interpreter) return interpret(std::move(program), precision);
  CodegenOptions options;
  options.precision = precision;
  options.level = level;
  options.whole = whole;
  options.threads = compile_threads();
  return jit(*program, options);
}

Result<Kernels> make_device_kernels(const Program& program, Precision precision, Resets resets,
                                    std::shared_ptr<const CudaDevice> device) {
  // PTX for a smaller GPU runs too: the driver finishes the translation.
  int sm = 0;
  for (const int target : ptx_targets())
    if (target <= device->sm()) sm = target;
  if (sm == 0)
    return Failure{cat(device->name(), " has compute capability ", device->sm() / 10, ".", device->sm() % 10, ", Hebb needs ",
                       ptx_targets()[0] / 10, ".", ptx_targets()[0] % 10, " or more")};
  DeviceProgram made = for_device(program, resets);
  const auto text = ptx(made, {.precision = precision, .sm = sm, .comments = false});
  if (!text) return text.failure();
  auto code = load_code(std::move(device), std::move(made), *text);
  if (!code) return code.failure();
  Kernels kernels;
  kernels.device = *std::move(code);
  return kernels;
}

}  // namespace hebb
