// Compiled kernels compute what the interpreter computes, at both ends of the optimiser, one or more
// threads.

#include "compiler/codegen/codegen.h"
#include "tests/backends/backend_adjoints.h"

namespace hebb {
namespace {

Engine compiled(Precision precision, int level, int threads) {
  return {.name = std::string(precision == Precision::Float32 ? "float" : "double") + "O" +
                  std::to_string(level) + "Threads" + std::to_string(threads),
          .precision = precision,
          .compile = [precision, level](std::shared_ptr<const Program> program) {
            return jit(*program, {.precision = precision, .level = level});
          },
          .threads = threads};
}

/// Of small networks, whose launches are always whole.
Engine whole(Precision precision) {
  return {.name = std::string(precision == Precision::Float32 ? "float" : "double") + "Whole",
          .precision = precision,
          .compile = [precision](std::shared_ptr<const Program> program) {
            const bool sparse = std::any_of(program->spaces.begin(), program->spaces.end(), [](const Space& space) { return space.kind == SpaceKind::Sparse; });
            return jit(*program, {.precision = precision, .whole = !sparse});
          },
          .large = false};
}

INSTANTIATE_TEST_SUITE_P(Jit, BackendSuite,
                         ::testing::Values(compiled(Precision::Float64, 0, 1), compiled(Precision::Float32, 0, 3),
                                           compiled(Precision::Float64, 3, 3), compiled(Precision::Float32, 3, 1),
                                           whole(Precision::Float64), whole(Precision::Float32)),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace hebb
