// Pair STDP between 8000 and 8000 neurons, one pair in ten, on given spikes: the rule's text against loops
// written by hand, on the same synapses and spikes. Weights and what arrived must agree.

#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/reference_event.h"
#include "bench/spiking.h"
#include "runtime/plan_runner.h"
#include "runtime/random.h"
#include "runtime/simulation.h"

namespace hebb::bench {
namespace {

constexpr const char* kText = R"(
rule Pair : local {
  param tau = 20 ms, A_plus = 1e-3, A_minus = 1.05e-3;
  weight w in [0, 1];
  x' = -x / tau + pre.spike;
  y' = -y / tau + post.spike;
  w' = A_plus * x * post.spike - A_minus * y * pre.spike;
}
neuron Source { input fire : 1; emit spike when fire > 0.5; }
neuron Target { input fire : 1; receive exc : 1; state g = 0; g' = exc; emit spike when fire > 0.5; }
network Events {
  pop X[8000] : Source;
  pop Y[8000] : Target;
  project X -> Y as S via Pair { connect random(p = 0.1); init w = 0.5; drive exc += w; }
}
)";

std::vector<std::vector<uint32_t>> poisson(int neurons, double rate_hz, int64_t steps, uint64_t seed) {
  std::vector<std::vector<uint32_t>> spikes(static_cast<size_t>(steps));
  uint64_t state = seed;
  const auto uniform = [&] {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  const double p = rate_hz * 1e-4;
  for (auto& step : spikes)
    for (double j = std::floor(std::log1p(-uniform()) / std::log1p(-p)); j < neurons; j += 1 + std::floor(std::log1p(-uniform()) / std::log1p(-p)))
      step.push_back(static_cast<uint32_t>(j));
  return spikes;
}

struct Hebb {
  std::shared_ptr<const Program> program;
  Kernels kernels;
};

/// Feeds spikes as lists: 8000 numbers a step on each side would be most of the work.
EventResult run_hebb(const Hebb& hebb, Columns& columns, const EventWorkload& load, int threads, bool wall) {
  const Program& program = *hebb.program;
  PlanRunner runner(program, hebb.kernels, columns, random_key(1, 0), threads, 2048);
  columns.fill(program.dt, 0.1);
  runner.run_init();
  const ColumnId x = program.find_column("X.fire"), y = program.find_column("Y.fire");
  const double begun = wall ? wall_seconds() : cpu_seconds();
  for (size_t t = 0; t < load.pre_spikes.size(); ++t) {
    for (const uint32_t i : load.pre_spikes[t]) columns.write_row(x, i, 1);
    for (const uint32_t j : load.post_spikes[t]) columns.write_row(y, j, 1);
    runner.run_step(static_cast<int64_t>(t), false);
    for (const uint32_t i : load.pre_spikes[t]) columns.write_row(x, i, 0);
    for (const uint32_t j : load.post_spikes[t]) columns.write_row(y, j, 0);
  }
  runner.host_writes(program.find_column("S.w"));  // adds all that waits
  EventResult out{.seconds = (wall ? wall_seconds() : cpu_seconds()) - begun, .w = {}, .g = {}};
  const auto read = [&](const char* name, std::vector<float>& into) {
    const ColumnId id = program.find_column(name);
    std::vector<double> values(static_cast<size_t>(columns.layout(id).size()));
    columns.read_stored(id, values);
    into.assign(values.begin(), values.end());
  };
  read("S.w", out.w);
  read("Y.g", out.g);
  return out;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b, bool relative) {
  double worst = a.size() == b.size() ? 0 : 1e30;
  for (size_t k = 0; k < std::min(a.size(), b.size()); ++k)
    worst = std::max(worst, std::abs(static_cast<double>(a[k]) - b[k]) / (relative ? 1 + std::abs(static_cast<double>(b[k])) : 1));
  return worst;
}

/// A network of 20 million plastic synapses in a process of its own: built and run for 100 steps.
void print_memory() {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    std::string text = kText;
    for (size_t at = text.find("8000"); at != std::string::npos; at = text.find("8000", at)) text.replace(at, 4, "14142");
    const auto program = compile_network(text, "Events", "events.hebb");
    if (!program) _exit(1);
    auto kernels = jit(*program, {});
    if (!kernels) _exit(1);
    auto made = Simulation::create(program, *kernels, {.seed = 1});
    if (!made) _exit(1);
    made->initialise();
    if (!made->run(100, 0.1, {}, {})) _exit(1);
    std::printf("%.3g plastic synapses: ", static_cast<double>(made->connections(space_of(*program, "S")).count()));
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  if (status != 0) std::printf("the network of 20 million synapses did not run\n");
  else std::printf("%.0f MB at most, compiler and all\n", static_cast<double>(used.ru_maxrss) * 1024e-6);
}

}  // namespace

int run_events() {
  print_memory();
  Hebb hebb{.program = compile_network(kText, "Events", "events.hebb"), .kernels = {}};
  if (!hebb.program) return std::fprintf(stderr, "bench: the network of events does not compile\n"), 1;
  auto kernels = jit(*hebb.program, {});
  if (!kernels) return std::fprintf(stderr, "bench: %s\n", kernels.error().c_str()), 1;
  hebb.kernels = *kernels;

  EventWorkload load{.pre = 8000, .post = 8000, .net = {}, .pre_spikes = poisson(8000, 10, 10000, 88172645463325252u),
                     .post_spikes = poisson(8000, 10, 10000, 1234567890123u)};
  std::vector<double> seconds[5];
  std::vector<double> wall[2];
  bool same_bits = true;
  double worst_w = 0, worst_g = 0, bytes = 0, events = 0;
  for (int round = 0; round < 3; ++round) {
    auto made = Columns::create(*hebb.program, Precision::Float32, random_key(1, 0));
    if (!made) return std::fprintf(stderr, "bench: %s\n", made.error().c_str()), 1;
    if (load.net.row.empty()) {
      load.net = synapses_of(made->connections(space_of(*hebb.program, "S")));
      for (const auto& step : load.pre_spikes)
        for (const uint32_t i : step) events += load.net.row[i + 1] - load.net.row[i];
      events *= 2;  // as many post spikes
      bytes = static_cast<double>(made->bytes()) / static_cast<double>(load.net.post.size());
    }
    const EventResult ours = run_hebb(hebb, *made, load, 1, /*wall=*/false);
    seconds[0].push_back(ours.seconds);
    const EventResult deferred = run_event(load, EventKernel::Deferred);
    seconds[1].push_back(deferred.seconds);
    seconds[2].push_back(run_event(load, EventKernel::Packed).seconds);
    const EventResult classic = run_event(load, EventKernel::Classic);
    seconds[3].push_back(classic.seconds);
    worst_w = largest_difference(ours.w, classic.w, false);
    worst_g = largest_difference(ours.g, classic.g, true);
    for (const int threads : {1, 2}) {
      auto again = Columns::create(*hebb.program, Precision::Float32, random_key(1, 0), threads);
      if (!again) return std::fprintf(stderr, "bench: %s\n", again.error().c_str()), 1;
      const EventResult result = run_hebb(hebb, *again, load, threads, /*wall=*/true);
      wall[threads - 1].push_back(result.seconds);
      same_bits = same_bits && result.w == ours.w && result.g == ours.g;
    }
  }
  const double ours = median(seconds[0]), k3 = median(seconds[1]), k1 = median(seconds[2]), k0 = median(seconds[3]);
  std::printf("pair STDP, 8000 x 8000 at 10 %%, %zu synapses, 10 Hz on both sides for 1 s, float, one thread\n", load.net.post.size());
  std::printf("  from text          %6.3f s  %5.2f ns an event  %5.2f bytes a synapse in all\n", ours, ours / events * 1e9, bytes);
  std::printf("  by hand, deferred  %6.3f s   ratio %5.2f\n", k3, ours / k3);
  std::printf("  by hand, packed    %6.3f s   ratio %5.2f\n", k1, ours / k1);
  std::printf("  by hand, classic   %6.3f s   ratio %5.2f   faster by %.2f\n", k0, ours / k0, k0 / ours);
  std::printf("  two threads        %6.3f s   faster by %.2f, %s\n", median(wall[1]), median(wall[0]) / median(wall[1]), same_bits ? "the same bits" : "OTHER BITS");
  std::printf("  largest difference of weights %.1e, of what arrived %.1e of it\n", worst_w, worst_g);
  const bool agree = worst_w < 2e-5 && worst_g < 2e-5 && same_bits;
  if (!agree) std::printf("  DISAGREE\n");
  return agree ? 0 : 1;
}

}  // namespace hebb::bench
