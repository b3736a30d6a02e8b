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
  double seconds = -1;     // of CPU time, for one simulated second, median
  double by_hand = 0;      // of the tightest loop of the balance network, in turns with that; 0: not measured
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

Measured measure(const char* file, const char* network, const std::vector<const char*>& plastic, const Balance* beside = nullptr) {
  const std::string path = std::string(HEBB_SOURCE_DIR) + "/" + file;
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto program = compile_network(text, network, path);
  if (!program) return {};
  auto kernels = jit(*program, {});
  if (!kernels) return {};
  auto made = Simulation::create(program, *kernels, {.seed = 1});
  if (!made) return {};
  const auto spikes = [&](const char* column) {
    return Recording{.name = column, .column = program->find_column(column), .events = true};
  };
  constexpr int64_t kSecond = 10'000;
  std::vector<double> ours, theirs;
  for (int turn = 0; turn < (beside ? 5 : 1); ++turn) {
    made->initialise();
    for (const char* projection : plastic)
      for (const auto& [name, bound, seed] : {std::tuple(".W1", 0.408, 1), {".W2", 0.141, 2}})
        if (const ColumnId id = program->find_column(projection + std::string(name)); id.valid())
          (void)made->set(id, layer(made->get(id).size(), bound, static_cast<uint64_t>(seed)));
    (void)made->run(kSecond, 0.1, {}, {});
    const double begun = cpu_seconds();
    const Status ran = made->run(kSecond, 0.1, {}, std::vector{spikes("E.spike"), spikes("I.spike")});
    ours.push_back(cpu_seconds() - begun);
    if (!ran || made->divergence()) return {};
    if (beside) theirs.push_back(run_balance_tight(*beside, 2 * kSecond, kSecond).seconds);
  }
  Measured out{.seconds = median(ours), .by_hand = beside ? median(theirs) : 0};
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

bool print(const char* what, const Measured& m) {
  // The second second of either network has rates of a few to some twenty Hz.
  const bool lives = m.seconds > 0 && m.rate_e > 1 && m.rate_e < 40 && m.rate_i > 1 && m.rate_i < 40;
  std::printf("%s, 1 s at 0.1 ms\n  from text   %6.3f s   E %5.2f Hz  I %5.2f Hz   %.3g plastic updates, %5.2f ns each with everything", what, m.seconds, m.rate_e, m.rate_i,
              m.updates, m.seconds / m.updates * 1e9);
  if (m.by_hand > 0) std::printf("   %.2f times the tight loop of the balance network, %.3f s, in turns", m.seconds / m.by_hand, m.by_hand);
  std::printf("\n%s", lives ? "" : "  NOT ALIVE: rates between 1 and 40 Hz are wanted\n");
  return lives;
}

}  // namespace

int run_families(const Balance* beside) {
  const bool polynomial = print("four plastic projections, rule P1", measure("examples/families_polynomial.hebb", "Families", {"EE", "EI", "IE", "II"}, beside));
  const bool mlp = print("a rule that is a network (MLP)", measure("examples/families_mlp.hebb", "Small", {"EE", "IE"}));
  const bool whole = print("the same at its published size", measure("bench/networks/families_mlp.hebb", "Whole", {"EE", "IE"}));
  const NetworkRule by_hand = run_network_rule();
  constexpr double kMostError = 1e-4;
  const bool right = by_hand.error < kMostError;
  std::printf("  the rule's arithmetic alone, by hand: %.1f ns a synapse at a presynaptic spike, %.1f at a postsynaptic one%s\n", by_hand.at_pre, by_hand.at_post, right ? "" : "   WRONG");
  return polynomial && mlp && whole && right ? 0 : 1;
}

}  // namespace hebb::bench
