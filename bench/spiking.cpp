// A spiking network from its text against the same network by hand: same synapses, same start, CPU time of
// one thread, in turns. Rates and the mean plastic weight must agree: two integrations of one chaotic
// network drift apart in their spikes, not in their statistics.

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "bench/spiking.h"
#include "compiler/pipeline.h"
#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"

namespace hebb::bench {

double wall_seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

std::shared_ptr<const Program> compile_network(const std::string& text, const std::string& name, const std::string& path) {
  Sources sources;
  Diagnostics diags;
  CheckOptions options;
  options.std_root = std::string(HEBB_SOURCE_DIR) + "/stdlib";
  const Compilation compilation = compile(sources, sources.add(path, text), options, diags);
  for (const Diagnostic& diag : diags.all())
    if (diags.has_errors()) std::fprintf(stderr, "bench: %s\n", diag.message.c_str());
  if (diags.has_errors()) return nullptr;
  const Network* network = compilation.model.find_network(name);
  return network ? std::make_shared<const Program>(lower(compilation.model, *network, {.defer = true})) : nullptr;
}

SpaceId space_of(const Program& program, const std::string& name) {
  for (uint32_t k = 0; k < program.spaces.size(); ++k)
    if (program.spaces[k].name == name) return {k};
  return {};
}

Synapses synapses_of(const Connections& c) {
  Synapses out;
  out.row.assign(c.row_begin.begin(), c.row_begin.end());
  for (int64_t s = 0; s < c.count(); ++s) out.post.push_back(static_cast<uint16_t>(c.post[static_cast<size_t>(s)]));
  return out;
}

namespace {

std::shared_ptr<const Program> balance_program() {
  const std::string path = std::string(HEBB_SOURCE_DIR) + "/examples/inhibitory_balance.hebb";
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  return compile_network(text, "Balance", path);
}

/// Drawn, with its start values.
Result<Simulation> balance_simulation(const std::shared_ptr<const Program>& program) {
  if (!program) return Failure{"examples/inhibitory_balance.hebb does not compile"};
  auto kernels = jit(*program, {});
  if (!kernels) return kernels.failure();
  auto made = Simulation::create(program, *kernels, {.seed = 1});
  if (made) made->initialise();
  return made;
}

Synapses synapses_of(const Simulation& simulation, const Program& program, const std::string& name) {
  return bench::synapses_of(simulation.connections(space_of(program, name)));
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

}  // namespace

Balance balance_of(const Simulation& simulation, const Program& program) {
  Balance net;
  const std::vector<double> ve = simulation.get(program.find_column("E.v")), vi = simulation.get(program.find_column("I.v"));
  net.excitatory = static_cast<int>(ve.size());
  net.inhibitory = static_cast<int>(vi.size());
  net.v.assign(ve.begin(), ve.end());
  net.v.insert(net.v.end(), vi.begin(), vi.end());
  net.ee = synapses_of(simulation, program, "EE");
  net.ei = synapses_of(simulation, program, "EI");
  net.ii = synapses_of(simulation, program, "II");
  net.ie = synapses_of(simulation, program, "IE");
  return net;
}

int run_balance_comparison(Balance* start) {
  const auto program = balance_program();
  auto made = balance_simulation(program);
  if (!made) return std::fprintf(stderr, "bench: %s\n", made.error().c_str()), 1;
  Simulation& simulation = *made;

  const Balance& net = *start = balance_of(simulation, *program);
  constexpr int64_t kWarm = 20000, kSteps = 20000;  // 2 s each: what the start left is gone
  constexpr int kTurns = 3;
  constexpr double kSeconds = kSteps * 0.1e-3;
  const auto spikes = [&](const char* column) {
    return Recording{.name = column, .column = program->find_column(column), .events = true};
  };
  const BalanceResult same = run_balance(net, kWarm, kSteps, /*exponential=*/true);
  std::vector<double> ours, tight, alike, plain;
  BalanceResult hand, best, best_alike;
  std::vector<double> w;
  for (int turn = 0; turn < kTurns; ++turn) {
    simulation.initialise();
    (void)simulation.run(kWarm, 0.1, {}, {});
    const double begun = cpu_seconds();
    const Status ran = simulation.run(kSteps, 0.1, {}, std::vector{spikes("E.spike"), spikes("I.spike")});
    ours.push_back(cpu_seconds() - begun);
    if (!ran) return std::fprintf(stderr, "bench: %s\n", ran.error().c_str()), 1;
    if (simulation.divergence()) return std::fprintf(stderr, "bench: %s is not finite\n", simulation.divergence()->column.c_str()), 1;
    hand = run_balance(net, kWarm, kSteps, /*exponential=*/false);
    plain.push_back(hand.seconds);
    best = run_balance_tight(net, kWarm, kSteps);
    tight.push_back(best.seconds);
    best_alike = run_balance_tight(net, kWarm, kSteps, /*exponential=*/true);
    alike.push_back(best_alike.seconds);
  }
  const double seconds = median(ours);
  const double rate_e = static_cast<double>(simulation.recorded()[0].samples) / kSeconds / net.excitatory;
  const double rate_i = static_cast<double>(simulation.recorded()[1].samples) / kSeconds / net.inhibitory;
  w = simulation.get(program->find_column("IE.w"));
  const double mean_w = sum(w) / static_cast<double>(w.size());
  const double same_e = static_cast<double>(same.spikes_e) / kSeconds / net.excitatory;
  const double same_i = static_cast<double>(same.spikes_i) / kSeconds / net.inhibitory;

  std::printf("inhibitory balance, 10000 neurons, %zu plastic synapses, 2 s at 0.1 ms, float, one thread\n", w.size());
  const auto print_hand = [&](const char* name, const BalanceResult& r, double took) {
    std::printf("  %-22s %6.3f s   E %5.2f Hz  I %5.2f Hz  mean w %.4f   ratio %5.2f\n", name, took, static_cast<double>(r.spikes_e) / kSeconds / net.excitatory,
                static_cast<double>(r.spikes_i) / kSeconds / net.inhibitory, r.mean_w, seconds / took);
  };
  std::printf("  %-22s %6.3f s   E %5.2f Hz  I %5.2f Hz  mean w %.4f\n", "from text", seconds, rate_e, rate_i, mean_w);
  std::printf("  same steps by hand                E %5.2f Hz  I %5.2f Hz  mean w %.4f\n", same_e, same_i, same.mean_w);
  print_hand("by hand, Euler", hand, median(plain));
  print_hand("the same, tight", best, median(tight));
  print_hand("tight, exponential", best_alike, median(alike));
  const bool agree = std::abs(rate_e - same_e) < 0.06 * same_e && std::abs(rate_i - same_i) < 0.06 * same_i &&
                     std::abs(mean_w - same.mean_w) < 0.001 * same.mean_w && std::abs(best.mean_w - hand.mean_w) < 0.001 * hand.mean_w &&
                     std::abs(best_alike.mean_w - same.mean_w) < 0.001 * same.mean_w;
  if (!agree) std::printf("  DISAGREE: rates within 6 %%, weights within 0.1 %% are wanted\n");
  return agree ? 0 : 1;
}

namespace {

/// The first STEPS steps of the same network by hand alone, as a line for bench/compare_brian2.py.
int run_balance_by_hand(int64_t steps) {
  const auto program = balance_program();
  const auto made = balance_simulation(program);
  if (!made) return std::fprintf(stderr, "bench: %s\n", made.error().c_str()), 1;
  const Balance net = balance_of(*made, *program);
  constexpr int kTurns = 3;
  std::vector<double> seconds;
  BalanceResult last;
  for (int turn = 0; turn < kTurns; ++turn) {
    last = run_balance_tight(net, 0, steps);
    seconds.push_back(last.seconds);
  }
  const double simulated = static_cast<double>(steps) * 0.1e-3;
  std::printf("seconds %.4f rate %.3f weight %.4f\n", median(seconds), static_cast<double>(last.spikes_e) / simulated / net.excitatory, last.mean_w);
  return 0;
}

}  // namespace

}  // namespace hebb::bench

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "threads") return hebb::bench::run_threads();
  if (argc > 1 && std::string(argv[1]) == "families") return hebb::bench::run_families(nullptr);
  if (argc > 2 && std::string(argv[1]) == "balance-by-hand") return hebb::bench::run_balance_by_hand(std::atoll(argv[2]));
  const int events = hebb::bench::run_events();
  hebb::bench::Balance net;
  const int balance = hebb::bench::run_balance_comparison(&net);
  const int families = hebb::bench::run_families(&net);
  const int threads = hebb::bench::run_threads();
  return events != 0 || balance != 0 || families != 0 || threads != 0 ? 1 : 0;
}
