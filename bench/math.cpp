// Cost of each math function inside a compiled kernel: nanoseconds of CPU time per element of a loop
// y = f(x) over 4,096 neurons, best of several repeats.

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "compiler/codegen/codegen.h"

namespace hebb::bench {
namespace {

constexpr int64_t kCount = 4096;
constexpr int kLaunches = 50, kRepeats = 15;

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Per element; negative when the kernel does not compile.
template <class Real>
double measure(Op op, Precision precision) {
  Program program;
  program.name = "math";
  const SpaceId uniform = program.add(Space{.kind = SpaceKind::Uniform, .name = "all"});
  const SpaceId neurons = program.add(Space{.kind = SpaceKind::Neurons, .name = "X", .size = kCount});
  program.dt = program.add(Column{.name = "dt", .space = uniform, .role = Role::Param, .unit = ""});
  const ColumnId x = program.add(Column{.name = "x", .space = neurons, .unit = ""});
  const ColumnId y = program.add(Column{.name = "y", .space = neurons, .unit = ""});
  const ExprId a = program.pool.load(x, At::Self);
  const ExprId value = info(op).arity == 1 ? program.pool.make(op, a)
                                           : program.pool.make(op, a, program.pool.constant(1.7));
  program.add(Kernel{.name = "apply", .domain = neurons, .scans = {},
                     .stores = {{.into = y, .value = value}}, .accumulates = {}});
  const auto kernels = jit(program, {.precision = precision});
  if (!kernels) return -1;

  std::vector<Real> dt(16), in(kCount + 16), out(kCount + 16);
  for (int64_t k = 0; k < kCount; ++k) in[k] = static_cast<Real>(0.01 + 0.98 * static_cast<double>(k) / kCount);
  void* columns[] = {dt.data(), in.data(), out.data()};
  const int64_t planes[] = {0, kCount, kCount};
  const hebb_launch launch{.columns = columns, .planes = planes, .row = 0, .pre_begin = 0, .pre_end = 0,
                           .post_begin = 0, .post_end = kCount, .post_count = kCount, .key = 0, .step = 0};
  double best = 1e9;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const double begin = cpu_seconds();
    for (int k = 0; k < kLaunches; ++k) kernels->run[0](&launch);
    best = std::min(best, cpu_seconds() - begin);
  }
  return best * 1e9 / static_cast<double>(kCount * kLaunches);
}

}  // namespace
}  // namespace hebb::bench

int main() {
  using namespace hebb;
  std::printf("%s; ns of CPU per element\n%-8s %8s %8s\n", describe_host().c_str(), "function", "float", "double");
  for (int k = 0; k < kOpCount; ++k) {
    const Op op = static_cast<Op>(k);
    if (!info(op).is_transcendental && op != Op::Sqrt && op != Op::Div) continue;
    std::printf("%-8s %8.3f %8.3f\n", std::string(info(op).name).c_str(),
                bench::measure<float>(op, Precision::Float32), bench::measure<double>(op, Precision::Float64));
  }
}
