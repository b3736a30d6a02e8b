// How a run is computed: interpreted where that is over before its code would be ready.

#include <gtest/gtest.h>

#include "compiler/codegen/codegen.h"
#include "compiler/experiment/engine.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "runtime/simulation.h"

namespace hebb {
namespace {

Program network_of(int units) {
  const std::string text = "neuron Input { input r : 1; }\nneuron Unit { input I : 1; let r = tanh(I); }\n"
                           "rule Oja { weight w; on step { w += 0.01 * post.r * (pre.r - post.r * w); } }\n"
                           "network Net { signal x[" + std::to_string(units) + "]; pop X[" + std::to_string(units) + "] : Input(r = x);\n"
                           "  pop Y[" + std::to_string(units) + "] : Unit;\n"
                           "  project X -> Y as S via Oja { connect all; init w = 0.1; drive I += w * pre.r; } }\n";
  Sources sources;
  Diagnostics diags;
  const Compilation made = compile(sources, sources.add("net.hebb", text), {}, diags);
  EXPECT_FALSE(diags.has_errors()) << render(diags, sources, {});
  return lower(made.model, made.model.networks.at(0), {});
}

TEST(Engine, OnlyShortRunsOfSmallNetworksAreOverBeforeTheirCodeIsReady) {
  const Program small = network_of(5), large = network_of(300);
  EXPECT_LT(interpreting_seconds(small, 1, 100), compiling_seconds(small));
  EXPECT_GT(interpreting_seconds(small, 1, 1'000'000), compiling_seconds(small));
  EXPECT_GT(interpreting_seconds(large, 1, 100), compiling_seconds(large));
  EXPECT_LT(compiling_seconds(small), 1.0);
}

TEST(Engine, TakesAsMuchLongerAsThereIsMoreToDo) {
  const Program net = network_of(5);
  const double begin = interpreting_seconds(net, 1, 0), step = interpreting_seconds(net, 1, 1) - begin;
  EXPECT_GT(begin, 0);
  EXPECT_NEAR(interpreting_seconds(net, 3, 300), 3 * begin + 300 * step, 1e-9);
}

std::vector<double> weights_after(int steps, const std::shared_ptr<const Program>& program, const Kernels& kernels) {
  auto simulation = Simulation::create(program, kernels, {.precision = Precision::Float64});
  simulation->initialise();
  const std::vector<FeedValues> feeds = {{.name = "x", .values = {0.1, 0.2, 0.3, 0.4, 0.5}, .rows = 5, .constant = true}};
  EXPECT_TRUE(simulation->run(steps, 1, feeds, {}).ok());
  return simulation->get(program->find_column("S.w"));
}

TEST(Engine, KernelsThatAreCalledSeldomHaveTheSameBitsBeforeTheyAreCompiledAndAfter) {
  const auto net = std::make_shared<const Program>(network_of(5));
  const std::vector<bool> all(net->kernels.size(), true);
  const auto seldom = jit(*net, {.precision = Precision::Float64, .wanted = all, .seldom = all});
  ASSERT_TRUE(seldom.ok());
  const Kernels oracle = interpret(net, Precision::Float64);
  for (const int steps : {1, 15, 16, 17, 20'000}) EXPECT_EQ(weights_after(steps, net, *seldom), weights_after(steps, net, oracle)) << steps;
}

}  // namespace
}  // namespace hebb
