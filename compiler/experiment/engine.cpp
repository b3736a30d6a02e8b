#include "compiler/experiment/engine.h"

#include "compiler/codegen/codegen.h"
#include "compiler/program/interpret.h"

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

Result<Kernels> make_kernels(std::shared_ptr<const Program> program, Precision precision,
                             ExperimentOptions::Engine engine, int level) {
  if (engine == ExperimentOptions::Engine::Interpreter) return interpret(std::move(program), precision);
  CodegenOptions options;
  options.precision = precision;
  options.level = level;
  return jit(*program, options);
}

}  // namespace hebb
