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

/// Piece by piece, late as prompt, and compiled as interpreted.
inline void expect_late_as_prompt(const std::string& text, const std::string& what) {
  Ran late = start(text, true), prompt = start(text, false), fast = start(text, true, Precision::Float64, Engine::Jit);
  EXPECT_TRUE(deferred(late)) << what;
  for (int piece = 0; piece < 5; ++piece) {
    for (Ran* ran : {&late, &prompt, &fast}) ran->go(300);
    expect_near(late.at("S.w"), prompt.at("S.w"), what);
    expect_same_states(late, fast, what);
  }
}

inline void expect_same_in_both_engines(const std::string& rule) {
  for (const Precision precision : {Precision::Float64, Precision::Float32}) {
    Ran one = start(network(rule, "random(p = 0.6)"), true, precision, Engine::Interpreter);
    Ran other = start(network(rule, "random(p = 0.6)"), true, precision, Engine::Jit);
    one.go(400);
    other.go(400);
    expect_same_states(one, other, rule);
  }
}

inline void expect_reading_changes_nothing(const std::string& rule) {
  for (const Precision precision : {Precision::Float64, Precision::Float32}) {
    const std::string text = network(rule, "random(p = 0.6)");
    Ran watched = start(text, true, precision), alone = start(text, true, precision);
    const std::vector<Recording> recordings = {{.name = "w", .column = watched.column("S.w")}};
    EXPECT_TRUE(watched.simulation->run(900, 1, {}, recordings).ok());
    EXPECT_EQ(watched.simulation->recorded()[0].samples, 900);
    alone.go(900);
    expect_same_states(watched, alone, "watched");
  }
}

inline void expect_same_on_two_threads(const std::string& rule) {
  const std::string text = network(rule, "random(p = 0.6)", "", 40, 70);
  Ran one = start(text, true, Precision::Float32, Engine::Jit), two = start(text, true, Precision::Float32, Engine::Jit, 2);
  one.go(500);
  two.go(500);
  expect_same_states(one, two, rule);
}

/// Wherever it is cut, from `first` to before `last`, a run of `steps` goes on as the whole one.
inline void expect_goes_on_from_checkpoints(const std::string& text, int steps, int first, int last) {
  Ran whole = start(text, true);
  whole.go(steps);
  for (int at = first; at < last; ++at) {
    Ran cut = start(text, true), resumed = start(text, true);
    std::string kept;
    int done = 0;
    cut.simulation->pause_with({.due = [&] { return ++done == at; }, .keep = [&](std::string bytes) { kept = std::move(bytes); return Status(Done{}); }, .from = {}});
    cut.go(steps);
    ASSERT_FALSE(kept.empty());
    resumed.simulation->pause_with({.due = {}, .keep = {}, .from = kept});
    resumed.go(steps);
    expect_same_states(whole, resumed, cat("at ", at));
  }
}

/// With other parameters, traces and, where `weights` says so, weights, again and again.
inline void expect_late_as_prompt_whatever_is_set(const std::string& rule, bool weights) {
  const std::string text = network(rule, "random(p = 0.6)");
  Ran late = start(text, true), prompt = start(text, false);
  for (const double a : {0.2, -0.3, 0.0, 5.0, 0.1}) {
    for (Ran* ran : {&late, &prompt}) {
      EXPECT_TRUE(ran->simulation->set(ran->column("S.a"), std::vector{a}).ok());
      ran->go(137);
      EXPECT_TRUE(ran->simulation->set(ran->column("S.x"), std::vector<double>(11, -0.5 * a)).ok());
      if (weights) {
        EXPECT_TRUE(ran->simulation->set(ran->column("S.w"), std::vector{0.5}).ok());
      }
      ran->go(41);
    }
    expect_near(late.at("S.w"), prompt.at("S.w"), cat(rule, " a = ", a));
  }
}

}  // namespace hebb::testing
