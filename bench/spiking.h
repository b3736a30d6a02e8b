#pragma once
// What the parts of bench_spiking share.

#include <memory>
#include <string>

#include "bench/reference_spiking.h"
#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "runtime/connectivity.h"
#include "runtime/simulation.h"

namespace hebb::bench {

double cpu_seconds();   // of this process
double wall_seconds();
std::shared_ptr<const Program> compile_network(const std::string& text, const std::string& network, const std::string& path);
SpaceId space_of(const Program& program, const std::string& name);
Synapses synapses_of(const Connections& connections);
/// examples/inhibitory_balance.hebb as it is now, for the loops by hand.
Balance balance_of(const Simulation& simulation, const Program& program);

/// `tight`: takes the CPU time of a simulated second of the tightest loop by hand.
int run_balance_comparison(double* tight);
/// Beside that.
int run_families(double by_hand);
int run_events();
int run_threads();

}  // namespace hebb::bench
