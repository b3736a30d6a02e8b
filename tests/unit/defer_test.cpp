// Post spikes that wait for the next pre spike, against the same rules with a pass over columns and against
// dense steps: random trains, bounds met often, read at every moment.

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"

namespace hebb {
namespace {

Model model_of(const std::string& text) {
  Sources sources;
  Diagnostics diags;
  const FileId file = sources.add("defer.hebb", text);
  CheckOptions options;
  options.std_root = std::string(HEBB_SOURCE_DIR) + "/stdlib";
  options.lints = false;
  Compilation compilation = compile(sources, file, options, diags);
  for (const Diagnostic& diag : diags.all()) ADD_FAILURE() << diag.message;
  return std::move(compilation.model);
}

/// Bursts and long silences on both sides: synapses wait for long, and many spikes coincide.
std::string network(const std::string& rule, const std::string& connect, const std::string& more = "") {
  return cat(rule, R"(
neuron Burster { param rate = 150 Hz, start = 0, phase = 0; state left = start, s = phase; let wait ~ exponential(1);
  s' = 1 / 900 ms; on step { s := if s > 1 then s - 1 else s; }
  left' = -(if s < 0.3 then rate else 1 Hz); emit spike when left <= 0 { left += wait; } }
neuron Cell { param rate = 90 Hz, start = 0; receive exc : 1; state g = 0, left = start; let wait ~ exponential(1);
  g' = -g / 10 ms + exc; left' = -rate; emit spike when left <= 0 { left += wait; } }
network N {
  pop X[11] : Burster(start ~ uniform(0, 1), phase ~ uniform(0, 1));
  pop Y[9] : Cell(start ~ uniform(0, 1));
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
Ran start(const std::string& text, bool defer, Precision precision = Precision::Float64, Engine engine = Engine::Interpreter) {
  const Model model = model_of(text);
  Ran out{.program = std::make_shared<const Program>(lower(model, model.networks.at(0), {.defer = defer})), .simulation = {}};
  Kernels kernels = engine == Engine::Jit ? *jit(*out.program, {.precision = precision}) : interpret(out.program, precision);
  auto made = Simulation::create(out.program, std::move(kernels), {.precision = precision, .seed = 5});
  EXPECT_TRUE(made.ok());
  out.simulation.emplace(*std::move(made));
  out.simulation->initialise();
  return out;
}

bool deferred(const Ran& ran) { return !ran.program->plan.deferred.empty(); }

std::string rule(const std::string& bounds, const std::string& body) {
  return cat("rule R : local { param tau = 20 ms, a = 0.2, b = 0.2; weight w", bounds, "; ", body, " }\n");
}
const std::string kTraces = "x' = -x / tau + pre.spike; y' = -y / (1.5 * tau) + post.spike; ";

const std::string kRules[] = {
    rule(" in [0, 1]", kTraces + "w' = a * x * post.spike - b * y * pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = b * y * pre.spike - a * x * post.spike;"),
    rule(" in [0, inf)", kTraces + "w' = a * (y - 0.8) * pre.spike + a * x * post.spike;"),
    rule("", kTraces + "w' = 1e-3 * x * post.spike - 1e-3 * y * pre.spike;"),
    // What a pre spike does may depend on the weight in any way.
    rule(" in [0, 1]", kTraces + "w' = a * x * post.spike - b * w * w * pre.spike;"),
    rule(" in [0.2, 0.7]", kTraces + "on pre.spike { w := 0.5 * (w + y); } on post.spike { w += a * x; }"),
    // A product of traces; a number of the post neuron that is never negative; a constant.
    rule(" in [0, 1]", kTraces + "z' = -z / (4 * tau) + pre.spike; w' = a * x * z^2 * post.spike - b * y * pre.spike;"),
    rule(" in [0, 1]", "x' = -x / tau + pre.spike; state y in [0, inf) = 0; y' = -y / tau + post.spike;"
                       " w' = a * x * y * post.spike - b * pre.spike;"),
    rule(" in [0, 1]", "w' = 0.02 * a * post.spike - 0.02 * b * pre.spike;  x' = -x / tau + pre.spike;"),
    rule(" in [0, 1]", kTraces + "w' = a * x * post.spike;"),
};

void expect_near(const std::vector<double>& got, const std::vector<double>& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t k = 0; k < got.size(); ++k) {
    ASSERT_NEAR(got[k], want[k], 1e-9 * std::max(1.0, std::abs(want[k]))) << what << ", synapse " << k;
    // The same side of every bound.
    for (const double bound : {0.0, 1.0, 0.2, 0.7}) ASSERT_EQ(got[k] == bound, want[k] == bound) << what << ", synapse " << k << ": " << got[k] << " and " << want[k];
  }
}

TEST(Deferred, EqualsAPassOverColumnsAtEveryMoment) {
  for (const std::string& text : kRules) {
    Ran late = start(network(text, "random(p = 0.6)"), true), prompt = start(network(text, "random(p = 0.6)"), false);
    EXPECT_TRUE(deferred(late)) << text;
    EXPECT_FALSE(deferred(prompt));
    for (int piece = 0; piece < 30; ++piece) {
      late.go(1 + piece * 7 % 40);
      prompt.go(1 + piece * 7 % 40);
      expect_near(late.at("S.w"), prompt.at("S.w"), cat(text, " after ", late.simulation->steps_done(), " steps"));
      expect_near(late.at("Y.g"), prompt.at("Y.g"), text);
    }
  }
}

TEST(Deferred, EqualsDenseSteps) {
  for (const std::string& text : kRules) {
    Ran late = start(network(text, "random(p = 1)"), true), dense = start(network(text, "all"), true);
    EXPECT_FALSE(deferred(dense));
    late.go(800);
    dense.go(800);
    ASSERT_EQ(late.at("X.left"), dense.at("X.left")) << "the same spikes";
    // Start values are drawn at other sites: only those are set.
    late = start(network(text, "random(p = 1)"), true), dense = start(network(text, "all"), true);
    const std::vector<double> w = dense.at("S.w");
    EXPECT_TRUE(late.simulation->set(late.column("S.w"), w).ok());
    late.go(800);
    dense.go(800);
    expect_near(late.at("S.w"), dense.at("S.w"), text);
  }
}

TEST(Deferred, DelayedSpikesToo) {
  Ran late = start(network(kRules[0], "random(p = 0.6)", "delay axon = 7 ms;"), true);
  Ran prompt = start(network(kRules[0], "random(p = 0.6)", "delay axon = 7 ms;"), false);
  late.go(2000);
  prompt.go(2000);
  EXPECT_TRUE(deferred(late));
  expect_near(late.at("S.w"), prompt.at("S.w"), "delayed");
}

TEST(Deferred, ReadingChangesNothing) {
  for (const Precision precision : {Precision::Float64, Precision::Float32}) {
    Ran watched = start(network(kRules[0], "random(p = 0.6)"), true, precision), alone = start(network(kRules[0], "random(p = 0.6)"), true, precision);
    const std::vector<Recording> recordings = {{.name = "w", .column = watched.column("S.w")}};
    EXPECT_TRUE(watched.simulation->run(900, 1, {}, recordings).ok());
    EXPECT_EQ(watched.simulation->recorded()[0].samples, 900);
    alone.go(900);
    for (const char* name : {"S.w", "S.post_seen", "S.post_sum", "Y.g"}) EXPECT_EQ(watched.at(name), alone.at(name)) << name;
  }
}

TEST(Deferred, EnginesGiveTheSameBits) {
  for (const std::string& text : kRules)
    for (const Precision precision : {Precision::Float64, Precision::Float32}) {
      Ran one = start(network(text, "random(p = 0.6)"), true, precision, Engine::Interpreter);
      Ran other = start(network(text, "random(p = 0.6)"), true, precision, Engine::Jit);
      one.go(400);
      other.go(400);
      for (const char* name : {"S.w", "S.post_seen", "S.post_sum", "S.post_scale", "Y.g"}) EXPECT_EQ(one.at(name), other.at(name)) << text;
    }
}

// What was earned under old parameters and weights stays earned under them.
TEST(Deferred, WhatTheHostSetsCountsFromThenOn) {
  Ran late = start(network(kRules[0], "random(p = 0.6)"), true), prompt = start(network(kRules[0], "random(p = 0.6)"), false);
  for (const double a : {0.2, -0.3, 0.1}) {
    for (Ran* ran : {&late, &prompt}) {
      EXPECT_TRUE(ran->simulation->set(ran->column("S.a"), std::vector{a}).ok());
      ran->go(137);
      EXPECT_TRUE(ran->simulation->set(ran->column("S.w"), std::vector{0.5}).ok());
      ran->go(41);
    }
    expect_near(late.at("S.w"), prompt.at("S.w"), cat("a = ", a));
  }
}

TEST(Deferred, StaysWithThePassOverColumnsWhereItWouldNotBeExact) {
  for (const std::string& body : {
           kTraces + "w' = a * (1 - w) * x * post.spike - b * y * pre.spike;",       // depends on w
           kTraces + "w' = a * x * (y - 0.5) * post.spike - b * y * pre.spike;",     // changes its sign
           kTraces + "w' = -w / 1 s + a * x * post.spike - b * y * pre.spike;",      // flows
           kTraces + "on post.spike { w := x; } on pre.spike { w -= b * y; }",       // sets
           std::string("x' = -x / tau + pre.spike; on post.spike { w += a * x; } on pre.spike { x := 1; } on every 100 ms { w := 0.9 * w; }"),
           std::string("x' = (0.3 - x) / tau + pre.spike; w' = a * x * post.spike - b * pre.spike;")}) {
    Ran ran = start(network(rule(" in [0, 1]", body), "random(p = 0.6)"), true);
    EXPECT_FALSE(deferred(ran)) << body;
  }
}

}  // namespace
}  // namespace hebb
