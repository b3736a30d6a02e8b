// Networks on one thread and on two: the same bits, and how much faster by the clock.

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <tuple>
#include <vector>

#include "bench/spiking.h"
#include "compiler/program/interpret.h"
#include "runtime/observer.h"
#include "runtime/simulation.h"

namespace hebb::bench {
namespace {

struct Case {
  const char* what;
  const char* file;
  const char* network;
  std::vector<std::pair<std::string, std::string>> changes;  // of the text: what is larger
  int64_t warm = 0, steps = 0;
};

std::string text_of(const Case& one, const std::string& path) {
  std::ifstream stream(path);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  for (const auto& [from, to] : one.changes)
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  return text;
}

/// The spikes of a run, and every weight: to be the same ones on any number of threads.
std::vector<std::vector<double>> outcome(const Simulation& simulation, const Program& program) {
  std::vector<std::vector<double>> out;
  for (const Recorded& recorded : simulation.recorded()) out.push_back(recorded.values);
  for (uint32_t k = 0; k < program.columns.size(); ++k)
    if (program.columns[k].role == Role::State && program[program.columns[k].space].kind == SpaceKind::Sparse) out.push_back(simulation.get(ColumnId{k}));
  return out;
}

/// Says when a run, being past its beginning, reached a step.
struct StopWatch : Observer {
  explicit StopWatch(int64_t from) : from(from) {}
  void step_begins(int64_t step, const StateView&) override {
    if (step == from) begun = wall_seconds();
  }
  void step_ends(int64_t, const StateView&) override {}
  void finish(int64_t, const StateView&) override {}
  void save(ByteWriter&) const override {}
  bool load(ByteReader&) override { return true; }
  int64_t from;
  double begun = 0;
};

std::vector<Recording> all_spikes(const Program& program) {
  std::vector<Recording> out;
  for (const Space& space : program.spaces)
    if (const ColumnId spike = program.find_column(space.name + ".spike"); space.kind == SpaceKind::Neurons && spike.valid())
      out.push_back({.name = space.name, .column = spike, .events = true});
  return out;
}

constexpr int kTurns = 3;

bool compare(const Case& one) {
  const std::string path = std::string(HEBB_SOURCE_DIR) + "/" + one.file;
  const auto program = compile_network(text_of(one, path), one.network, path);
  if (!program) return false;
  auto kernels = jit(*program, {});
  if (!kernels) return std::fprintf(stderr, "bench: %s\n", kernels.error().c_str()), false;
  std::vector<Simulation> simulations;
  for (const int threads : {1, 2}) {
    auto made = Simulation::create(program, *kernels, {.seed = 1, .threads = threads});
    if (!made) return std::fprintf(stderr, "bench: %s\n", made.error().c_str()), false;
    simulations.push_back(*std::move(made));
  }
  const std::vector<Recording> spikes = all_spikes(*program);
  double synapses = 0;
  for (uint32_t k = 0; k < program->spaces.size(); ++k)
    if (program->spaces[k].kind == SpaceKind::Sparse) synapses += static_cast<double>(simulations[0].connections(SpaceId{k}).count());
  std::vector<double> took[2];
  for (int turn = 0; turn < kTurns; ++turn)
    for (size_t k = 0; k < simulations.size(); ++k) {
      StopWatch watch(one.warm);
      simulations[k].initialise();
      simulations[k].watch({&watch});
      const Status ran = simulations[k].run(one.warm + one.steps, 0.1, {}, spikes);
      took[k].push_back((wall_seconds() - watch.begun) / static_cast<double>(one.steps) * 1e6);
      if (!ran || simulations[k].divergence()) return std::fprintf(stderr, "bench: a run of %s ended early\n", one.what), false;
    }
  const bool same = outcome(simulations[0], *program) == outcome(simulations[1], *program);
  for (auto& times : took) std::sort(times.begin(), times.end());
  const double alone = took[0][kTurns / 2], both = took[1][kTurns / 2];
  std::printf("  %-32s %5.1f million synapses  %6.1f us  %6.1f us  faster by %.2f, %s\n", one.what, synapses * 1e-6, alone, both, alone / both, same ? "the same bits" : "OTHER BITS");
  std::fflush(stdout);
  return same;
}

/// What two threads can gain at best on a network of this size: nothing but neurons and rows, and a word to each other.
bool by_hand(const Case& one) {
  const std::string path = std::string(HEBB_SOURCE_DIR) + "/" + one.file;
  const auto program = compile_network(text_of(one, path), one.network, path);
  if (!program) return false;
  auto made = Simulation::create(program, interpret(program, Precision::Float32), {.seed = 1});
  if (!made) return std::fprintf(stderr, "bench: %s\n", made.error().c_str()), false;
  made->initialise();
  const Balance net = balance_of(*made, *program);
  bool same = true;
  double alone = 0;
  int64_t spikes = 0;
  for (const auto& [threads, every, what] : {std::tuple(1, 8, "one thread"), {2, 1, "two, which meet in every step"}, {2, 8, "two, which meet in every 8th step"}}) {
    std::vector<double> took;
    for (int turn = 0; turn < kTurns; ++turn) {
      const BalanceResult result = run_balance_shared(net, threads, every, one.warm, one.steps);
      took.push_back(result.seconds / static_cast<double>(one.steps) * 1e6);
      if (spikes == 0) spikes = result.spikes_e + result.spikes_i;
      same &= spikes == result.spikes_e + result.spikes_i;
    }
    std::sort(took.begin(), took.end());
    if (threads == 1) alone = took[kTurns / 2];
    std::printf("  %s by hand, %-34s %6.1f us  faster by %.2f\n", one.what, what, took[kTurns / 2], alone / took[kTurns / 2]);
  }
  if (!same) std::fprintf(stderr, "bench: the loop by hand has other spikes with other threads\n");
  return same;
}

}  // namespace

int run_threads() {
  const std::vector<Case> cases = {
      {"pair STDP", "bench/networks/pair_stdp.hebb", "Pairs", {}, 2000, 10'000},
      {"inhibitory balance", "examples/inhibitory_balance.hebb", "Balance", {}, 20'000, 10'000},
      {"rule P1", "examples/families_polynomial.hebb", "Families", {}, 10'000, 5000},
      {"pair STDP, 14,142 on each side", "bench/networks/pair_stdp.hebb", "Pairs", {{"8000", "14142"}}, 2000, 5000},
      {"balance, ten times the neurons", "examples/inhibitory_balance.hebb", "Balance", {{"8000", "80000"}, {"2000", "20000"}, {"p = 0.02", "p = 0.002"}}, 10'000, 4000},
      {"rule P1, four times the neurons", "examples/families_polynomial.hebb", "Families",
       {{"4096", "16384"}, {"1024", "4096"}, {"5000]", "20000]"}, {"p = 0.1,", "p = 0.025,"}, {"p = 0.1)", "p = 0.025)"}, {"p = 0.05", "p = 0.0125"}}, 6000, 4000},
  };
  std::printf("a step on one thread and on two, by the clock, median of 3\n");
  bool right = true;
  for (const Case& one : cases) right = compare(one) && right;
  right = by_hand(cases[1]) && right;
  return right ? 0 : 1;
}

}  // namespace hebb::bench
