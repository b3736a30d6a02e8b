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

int run_balance_comparison();
int run_events();

}  // namespace hebb::bench
