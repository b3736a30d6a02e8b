#pragma once
// What the parts of bench_spiking share.

#include <memory>
#include <string>

#include "bench/measure.h"
#include "bench/reference_spiking.h"
#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "runtime/connectivity.h"
#include "runtime/simulation.h"

namespace hebb::bench {

double wall_seconds();
std::shared_ptr<const Program> compile_network(const std::string& text, const std::string& network, const std::string& path);
SpaceId space_of(const Program& program, const std::string& name);
Synapses synapses_of(const Connections& connections);
/// examples/inhibitory_balance.hebb as it is now, for the loops by hand.
Balance balance_of(const Simulation& simulation, const Program& program);

/// `start`: takes the network as the loops by hand begin with it.
int run_balance_comparison(Balance* start);
/// In turns with the tightest loop by hand from there; null: without it.
int run_families(const Balance* beside);
int run_events();
int run_threads();

}  // namespace hebb::bench
