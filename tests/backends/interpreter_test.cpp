// The interpreter against itself: how launches are cut over threads changes no bit.

#include "tests/backends/backend_adjoints.h"

namespace hebb {
namespace {

Engine interpreter(Precision precision, int threads) {
  return {.name = std::string(precision == Precision::Float32 ? "float" : "double") + std::to_string(threads),
          .precision = precision,
          .compile = [precision](std::shared_ptr<const Program> program) -> Result<Kernels> {
            return interpret(std::move(program), precision);
          },
          .threads = threads};
}

INSTANTIATE_TEST_SUITE_P(Interpreter, BackendSuite,
                         ::testing::Values(interpreter(Precision::Float64, 2), interpreter(Precision::Float32, 5)),
                         [](const auto& engine) { return engine.param.name; });

}  // namespace
}  // namespace hebb
