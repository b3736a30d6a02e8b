// Weights stored without what the sums of their neurons have brought: how little a synapse keeps, that it is at its bounds in
// either precision, and rules made at random against a pass over columns.

#include <algorithm>
#include <random>

#include "tests/unit/deferred_networks.h"

namespace hebb::testing {
namespace {

const std::string kHead = "rule R : local { param tau = 20 ms, a = 0.2, b = 0.2; x' = -x / tau + pre.spike; y' = -y / (1.5 * tau) + post.spike; z' = -z / (4 * tau) + pre.spike; ";
std::string rule(const std::string& bounds, const std::string& body) { return cat(kHead, "weight w", bounds, "; ", body, " }\n"); }

size_t states_of_a_synapse(const Ran& ran) {
  const SpaceId space = (*ran.program)[ran.column("S.w")].space;
  return static_cast<size_t>(std::ranges::count_if(ran.program->columns, [&](const Column& column) { return column.space == space && column.role == Role::State; }));
}

TEST(Relative, KeepsNothingOfWhatASynapseHasSeen) {
  const auto states = [](const std::string& text) { return states_of_a_synapse(start(network(text, "random(p = 0.6)"), true)); };
  EXPECT_EQ(states(rule(" in [0, 1]", "w' = a * x * post.spike - b * y * pre.spike;")), 1u);
  EXPECT_EQ(states(rule("", "w' = a * (x * y - z) * post.spike + x * (post.g - 0.3) / 1 s - b * y * pre.spike;")), 1u);
  EXPECT_EQ(states(rule(" in [0, 1]", "w' = a * (0.1 + x + x^2) * post.spike - b * pre.spike;")), 1u);
  // Rows that a turning sign brings up to date may be those of neurons that spike: those remember.
  EXPECT_EQ(states(rule(" in [0, 1]", "w' = x * (post.g - 0.3) / 1 s - b * y * pre.spike;")), 2u);
}

// Rounding must not leave a weight beside the bound where it has been put.
TEST(Relative, StaysAtItsBoundsInEitherPrecision) {
  for (const Precision precision : {Precision::Float64, Precision::Float32})
    for (const char* body : {"w' = a * x * post.spike - b * y * pre.spike;", "w' = 0.3 * b * y * pre.spike - a * (0.1 + x + z) * post.spike;"}) {
      const std::string text = network(rule(" in [0.2, 0.7]", body), "random(p = 0.6)", "", 40, 30);
      Ran late = start(text, true, precision), prompt = start(text, false, precision);
      int at_bounds = 0;
      for (int piece = 0; piece < 60; ++piece) {
        late.go(1 + piece * 7 % 40);
        prompt.go(1 + piece * 7 % 40);
        const std::vector<double> got = late.at("S.w"), want = prompt.at("S.w");
        for (size_t k = 0; k < got.size(); ++k) {
          for (const double bound : {0.2, 0.7}) {
            const double stored = precision == Precision::Float32 ? static_cast<double>(static_cast<float>(bound)) : bound;
            if (want[k] != stored) continue;
            ASSERT_EQ(got[k], stored) << body << ", synapse " << k;
            ++at_bounds;
          }
        }
      }
      EXPECT_GT(at_bounds, 10000) << body;
    }
}

TEST(Relative, RulesMadeAtRandom) {
  std::mt19937 draw(7);
  const auto one_of = [&](std::initializer_list<const char*> list) { return std::string(list.begin()[draw() % list.size()]); };
  int relative = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const bool bounded = trial % 3 != 0;
    std::string body = "w' = ";
    const std::string sign = bounded ? one_of({"", "-"}) : "";
    const auto amount = [&] { return bounded ? one_of({"0.1", "y", "0.3 * y", "y^2", "max(post.g - 0.2, 0)"}) : one_of({"0.1", "(y - 0.4)", "(y^2 - 0.1)"}); };
    for (unsigned terms = 1 + draw() % 3; terms > 0; --terms)
      body += cat(sign, "0.05 * ", one_of({"a", "1", "0.7"}), " * ", one_of({"1", "x", "z", "x * z", "x^2"}), " * ", amount(), " * ", one_of({"post.spike", "post.spike", "1 / 40 ms"}), " + ");
    body += cat(one_of({"b * y", "-b * y", "-0.3 * b * w", "-b * x * min(w^2, 1)", "0.2 * (0.4 - w)", "0"}), " * pre.spike;");
    const std::string bounds = bounded ? one_of({" in [0, 1]", " in [0, inf)", " in (-inf, 0.7]", " in [0.2, 0.7]"}) : "";
    const std::string text = network(rule(bounds, body), one_of({"random(p = 0.6)", "random(p = 1)"}), one_of({"", "delay axon = 3 ms;", "delay dend = 2 ms;", "delay bap = 4 ms;"}));
    Ran late = start(text, true), prompt = start(text, false), fast = start(text, true, Precision::Float64, Engine::Jit);
    relative += states_of_a_synapse(late) == 1 ? 1 : 0;
    for (int piece = 0; piece < 8; ++piece) {
      for (Ran* ran : {&late, &prompt, &fast}) {
        const auto set = [&](const char* name, double value) { EXPECT_TRUE(ran->simulation->set(ran->column(name), std::vector{value}).ok()); };
        if (piece == 3) set("S.a", 0.1);
        if (piece == 5) set("S.w", 0.5);
        if (piece == 6 && ran->column("S.x").valid()) set("S.x", 2.5);
        ran->go(1 + piece * 37 % 190);
      }
      expect_near(late.at("S.w"), prompt.at("S.w"), cat(text, " in piece ", piece));
      expect_same_states(late, fast, text);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(relative, 25);
}

}  // namespace
}  // namespace hebb::testing
