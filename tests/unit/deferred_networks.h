#pragma once
// Small networks with sparse projections, run with synapses looked at now and then and at every change.

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"
#include "tests/unit/model_of.h"

namespace hebb::testing {

/// Bursts and long silences on both sides: synapses wait for long, and many spikes coincide.
inline std::string network(const std::string& rule, const std::string& connect, const std::string& more = "", int pres = 11, int posts = 9) {
  return cat(rule, R"(
neuron Teacher { param rate = 20 Hz; state left = 0.5, p = 0; let wait ~ exponential(1); let m = sin(2 * p);
  p' = 1 / 50 ms; left' = -rate; emit reward when left <= 0 { left += wait; } }
neuron Burster { param rate = 150 Hz, start = 0, phase = 0; state left = start, s = phase; let wait ~ exponential(1);
  s' = 1 / 900 ms; on step { s := if s > 1 then s - 1 else s; }
  left' = -(if s < 0.3 then rate else 1 Hz); emit spike when left <= 0 { left += wait; } }
neuron Cell { param rate = 90 Hz, start = 0; receive exc : 1; state g = 0, left = start; let wait ~ exponential(1);
  g' = -g / 10 ms + exc; left' = -rate; emit spike when left <= 0 { left += wait; } }
network N {
  pop T[1] : Teacher;
  pop X[)", pres, R"(] : Burster(start ~ uniform(0, 1), phase ~ uniform(0, 1));
  pop Y[)", posts, R"(] : Cell(start ~ uniform(0, 1));
  project X -> Y as S via R { connect )", connect, "; init w ~ uniform(0.1, 0.9); drive exc += w; ", more, " }\n}\n");
}

struct Ran {
  std::shared_ptr<const Program> program;
  std::optional<Simulation> simulation;
  ColumnId column(const std::string& name) const { return program->find_column(name); }
  std::vector<double> at(const std::string& name) const { return simulation->get(column(name)); }
  void go(int64_t steps) { EXPECT_TRUE(simulation->run(steps, 1, {}, {}).ok()); }
};

enum class Engine { Interpreter, Jit };
inline Ran start(const std::string& text, bool defer, Precision precision = Precision::Float64, Engine engine = Engine::Interpreter, int threads = 1,
                 int64_t many_neurons = 1) {
  const Model model = model_of(text);
  Ran out{.program = std::make_shared<const Program>(lower(model, model.networks.at(0), {.defer = defer, .many_neurons = many_neurons})), .simulation = {}};
  Kernels kernels = engine == Engine::Jit ? *jit(*out.program, {.precision = precision}) : interpret(out.program, precision);
  auto made = Simulation::create(out.program, std::move(kernels), {.precision = precision, .seed = 5, .threads = threads, .rows_per_thread = threads > 1 ? 1 : SimulationOptions{}.rows_per_thread});
  EXPECT_TRUE(made.ok());
  out.simulation.emplace(*std::move(made));
  out.simulation->initialise();
  return out;
}

inline bool waits(const Ran& ran, bool synapses) {
  for (const Deferred& entry : ran.program->plan.deferred)
    for (const ColumnId column : entry.behind)
      if (is_synaptic((*ran.program)[(*ran.program)[column].space].kind) == synapses) return true;
  return false;
}
inline bool deferred(const Ran& ran) { return waits(ran, true); }
inline bool traces_wait(const Ran& ran) { return waits(ran, false); }

inline void expect_near(const std::vector<double>& got, const std::vector<double>& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t k = 0; k < got.size(); ++k) {
    ASSERT_NEAR(got[k], want[k], 1e-9 * std::max(1.0, std::abs(want[k]))) << what << ", synapse " << k;
    // The same side of every bound.
    for (const double bound : {0.0, 1.0, 0.2, 0.7}) ASSERT_EQ(got[k] == bound, want[k] == bound) << what << ", synapse " << k << ": " << got[k] << " and " << want[k];
  }
}

/// Everything a run carries from step to step, as it reads.
inline void expect_same_states(const Ran& one, const Ran& other, const std::string& what) {
  for (const Column& column : one.program->columns) {
    if (column.role != Role::State) continue;
    EXPECT_EQ(one.at(column.name), other.at(column.name)) << column.name << " of " << what;
  }
}

}  // namespace hebb::testing
