#pragma once
// What the parts of bench_spiking share.

#include <memory>
#include <string>

#include "bench/reference_spiking.h"
#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "runtime/connectivity.h"

namespace hebb::bench {

double cpu_seconds();   // of this process
double wall_seconds();
std::shared_ptr<const Program> compile_network(const std::string& text, const std::string& network, const std::string& path);
SpaceId space_of(const Program& program, const std::string& name);
Synapses synapses_of(const Connections& connections);

/// `tight`: takes the CPU time of a simulated second of the tightest loop by hand.
int run_balance_comparison(double* tight);
/// Beside that.
int run_families(double by_hand);
int run_events();
int run_threads();

}  // namespace hebb::bench
