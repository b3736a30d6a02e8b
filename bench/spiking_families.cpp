// The network of four plastic projections (examples/families_polynomial.hebb), the small one whose rule is a network
// (examples/families_mlp.hebb) and that one at its published size (bench/networks/families_mlp.hebb): CPU time of a simulated second, and of a plastic update with everything in it.

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "bench/reference_network_rule.h"
#include "bench/spiking.h"
#include "runtime/simulation.h"

namespace hebb::bench {
namespace {

struct Measured {
  double seconds = -1;     // of CPU time, for one simulated second
  double rate_e = 0, rate_i = 0;
  double updates = 0;      // of plastic synapses, at spikes of either side
};

std::vector<double> layer(size_t count, double bound, uint64_t state) {
  std::vector<double> out;
  for (size_t k = 0; k < count; ++k) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    out.push_back(bound * (static_cast<double>(state >> 11) * 0x1p-52 - 1));
  }
  return out;
}

Measured measure(const char* file, const char* network, const std::vector<const char*>& plastic) {
  const std::string path = std::string(HEBB_SOURCE_DIR) + "/" + file;
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto program = compile_network(text, network, path);
  if (!program) return {};
  auto kernels = jit(*program, {});
  if (!kernels) return {};
  auto made = Simulation::create(program, *kernels, {.seed = 1});
  if (!made) return {};
  made->initialise();
  for (const char* projection : plastic)
    for (const auto& [name, bound, seed] : {std::tuple(".W1", 0.408, 1), {".W2", 0.141, 2}})
      if (const ColumnId id = program->find_column(projection + std::string(name)); id.valid())
        (void)made->set(id, layer(made->get(id).size(), bound, static_cast<uint64_t>(seed)));
  constexpr int64_t kSecond = 10'000;
  (void)made->run(kSecond, 0.1, {}, {});
  const auto spikes = [&](const char* column) {
    return Recording{.name = column, .column = program->find_column(column), .events = true};
  };
  const double begun = cpu_seconds();
  const Status ran = made->run(kSecond, 0.1, {}, std::vector{spikes("E.spike"), spikes("I.spike")});
  Measured out{.seconds = cpu_seconds() - begun};
  if (!ran || made->divergence()) return {};
  const auto size = [&](const char* population) { return static_cast<double>((*program)[space_of(*program, population)].size); };
  const double of_e = static_cast<double>(made->recorded()[0].samples), of_i = static_cast<double>(made->recorded()[1].samples);
  out.rate_e = of_e / size("E");
  out.rate_i = of_i / size("I");
  for (const char* projection : plastic) {
    const auto synapses = static_cast<double>(made->connections(space_of(*program, projection)).count());
    out.updates += synapses * (projection[0] == 'E' ? out.rate_e : out.rate_i) + synapses * (projection[1] == 'E' ? out.rate_e : out.rate_i);
  }
  return out;
}

bool print(const char* what, const Measured& m, double by_hand) {
  // The second second of either network has rates of a few to some twenty Hz.
  const bool lives = m.seconds > 0 && m.rate_e > 1 && m.rate_e < 40 && m.rate_i > 1 && m.rate_i < 40;
  std::printf("%s, 1 s at 0.1 ms\n  from text   %6.3f s   E %5.2f Hz  I %5.2f Hz   %.3g plastic updates, %5.2f ns each with everything", what, m.seconds, m.rate_e, m.rate_i,
              m.updates, m.seconds / m.updates * 1e9);
  if (by_hand > 0) std::printf("   %.1f times the tight loop of the balance network", m.seconds / by_hand);
  std::printf("\n%s", lives ? "" : "  NOT ALIVE: rates between 1 and 40 Hz are wanted\n");
  return lives;
}

}  // namespace

int run_families(double balance_by_hand) {
  const bool polynomial = print("four plastic projections, rule P1", measure("examples/families_polynomial.hebb", "Families", {"EE", "EI", "IE", "II"}), balance_by_hand);
  const bool mlp = print("a rule that is a network (MLP)", measure("examples/families_mlp.hebb", "Small", {"EE", "IE"}), 0);
  const bool whole = print("the same at its published size", measure("bench/networks/families_mlp.hebb", "Whole", {"EE", "IE"}), 0);
  const NetworkRule by_hand = run_network_rule();
  constexpr double kMostError = 1e-4;
  const bool right = by_hand.error < kMostError;
  std::printf("  the rule's arithmetic alone, by hand: %.1f ns a synapse at a presynaptic spike, %.1f at a postsynaptic one%s\n", by_hand.at_pre, by_hand.at_post, right ? "" : "   WRONG");
  return polynomial && mlp && whole && right ? 0 : 1;
}

}  // namespace hebb::bench
