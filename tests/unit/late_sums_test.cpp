// Sums over the whole run that several steps are added to at once have the bits of sums that each step is added to: of one
// run and of several that go together, for any number of steps, wherever the loss stops looking.

#include <gtest/gtest.h>

#include "compiler/adjoint/late_sums.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "runtime/random.h"
#include "runtime/trajectory/pack.h"

namespace hebb {
namespace {

const char* const kNetwork = R"(
neuron Input { input r : 1; }
neuron Unit { input I : 1; let r = I / (1 + abs(I)); }
rule Taylor {
  param theta[3, 3, 3] = 0;
  weight w;
  on step { w += 0.1 * sum(theta[a, b, c] * pre.r^a * post.r^b * w^c for a in 0..2, b in 0..2, c in 0..2); }
}
network Net {
  signal x[3];
  pop X[3] : Input(r = x);
  pop Y[UNITS] : Unit;
  project X -> Y as S via Taylor { connect all; init w = 0; drive I += w * pre.r; }
}
)";

struct Fitted {
  std::shared_ptr<const Adjoint> adjoint;
  ColumnId theta, w, y;
  int64_t units = 0;
};

Fitted fitted(int64_t units, bool late) {
  std::string text = kNetwork;
  text.replace(text.find("UNITS"), 5, std::to_string(units));
  Sources sources;
  Diagnostics diags;
  const Compilation made = compile(sources, sources.add("net.hebb", text), {}, diags);
  EXPECT_FALSE(diags.has_errors()) << render(diags, sources, {});
  LowerOptions how;
  how.fuse = false;
  const Program program = lower(made.model, made.model.networks.at(0), how);
  Fitted out{.theta = program.find_column("S.theta"), .w = program.find_column("S.w"), .y = program.find_column("Y.r"), .units = units};
  AdjointResult derived = adjoint(program, std::vector{out.theta, out.w}, std::vector{out.y});
  if (late) sum_late(*derived.adjoint);
  EXPECT_EQ(derived.adjoint->late.add.empty(), !late);
  EXPECT_EQ(verify(derived.adjoint->program), std::vector<std::string>{});
  out.adjoint = std::make_shared<const Adjoint>(std::move(*derived.adjoint));
  return out;
}

double number(uint64_t what, uint64_t k) { return 2 * draw_uniform<double>(what, 1, 0, k, 0) - 1; }

std::vector<double> numbers(uint64_t what, int64_t count, double scale) {
  std::vector<double> out;
  for (int64_t k = 0; k < count; ++k) out.push_back(scale * number(what, static_cast<uint64_t>(k)));
  return out;
}

std::vector<FeedValues> fed(uint64_t run, int64_t steps) {
  return {{.name = "x", .values = numbers(200 + run, 3 * steps, 1), .rows = 3}};
}

/// The loss of a run looks at its first steps, `until` of them.
std::vector<double> owed(uint64_t run, int64_t steps, int64_t until, int64_t units) {
  std::vector<double> out = numbers(400 + run, steps * units, 1);
  std::fill(out.begin() + until * units, out.end(), 0.0);
  return out;
}

struct Gradient {
  std::vector<double> theta, w;
  TrajectoryMemory memory;
};

Gradient alone(const Fitted& n, const Kernels& kernels, Precision precision, uint64_t run, int64_t steps, int64_t until,
               uint64_t max_bytes = uint64_t{1} << 30, int64_t tile_posts = 1 << 20, int threads = 1) {
  auto made = Trajectory::create(n.adjoint, kernels, {.precision = precision, .max_bytes = max_bytes, .threads = threads, .tile_posts = tile_posts});
  EXPECT_TRUE(made.ok());
  EXPECT_TRUE(made->set(n.theta, numbers(7, 27, 0.3)).ok());
  made->initialise();
  EXPECT_TRUE(made->set(n.w, numbers(100 + run, 3 * n.units, 0.3)).ok());
  const std::vector<TrajectoryOutput> read = {{n.y}};
  EXPECT_TRUE(made->forward(steps, 1, fed(run, steps), read).ok());
  for (int turn = 0; turn < 2; ++turn) made->reverse(read, std::vector<std::vector<double>>{owed(run, steps, until, n.units)});   // what the first left does not count
  return {made->gradient(n.theta), made->gradient(n.w), made->memory()};
}

Kernels interpreted(const Fitted& n, Precision precision) { return interpret({n.adjoint, &n.adjoint->program}, precision); }

void expect_late(Precision precision, int64_t steps, int64_t until, bool checkpoints = false) {
  constexpr int64_t kUnits = 333;   // 27 sums of each do not fit the first-level cache
  const Fitted at_once = fitted(kUnits, false), late = fitted(kUnits, true);
  const Gradient expected = alone(at_once, interpreted(at_once, precision), precision, 0, steps, until);
  EXPECT_EQ(expected.theta[0] != 0, until > 1);   // what the first step does, the second sees
  const auto compiled = jit(late.adjoint->program, {.precision = precision});
  ASSERT_TRUE(compiled.ok());
  uint64_t max_bytes = uint64_t{1} << 30;
  if (checkpoints) max_bytes = alone(late, interpreted(late, precision), precision, 0, steps, until).memory.bytes - 1;
  for (const Kernels& kernels : {interpreted(late, precision), *compiled}) {
    const Gradient found = alone(late, kernels, precision, 0, steps, until, max_bytes);
    EXPECT_EQ(found.memory.segment < steps, checkpoints);
    EXPECT_EQ(found.theta, expected.theta) << steps << " steps, " << until << " looked at";
    EXPECT_EQ(found.w, expected.w);
    for (const int threads : {1, 3})
      EXPECT_EQ(alone(late, kernels, precision, 0, steps, until, uint64_t{1} << 30, 64, threads).theta, expected.theta);
  }
}

TEST(LateSums, AnyNumberOfStepsChangesNoBit) {
  for (const int64_t steps : {1, 7, 8, 9, 24, 29}) expect_late(Precision::Float64, steps, steps);
  expect_late(Precision::Float32, 29, 29);
}

TEST(LateSums, NorStepsThatTheLossDoesNotLookAt) {
  for (const int64_t until : {1, 8, 11, 20}) expect_late(Precision::Float64, 29, until);
}

TEST(LateSums, NorCheckpoints) { expect_late(Precision::Float64, 64, 64, /*checkpoints=*/true); }

TEST(LateSums, RunsThatGoTogetherAndEndApartHaveTheBitsOfRunsAlone) {
  constexpr int64_t kUnits = 31, kSteps = 29;
  const Fitted at_once = fitted(kUnits, false), late = fitted(kUnits, true);
  const std::vector<int64_t> until = {29, 12, 0, 8, 27, 20, 9};
  for (const Precision precision : {Precision::Float32, Precision::Float64}) {
    const auto kernels = jit(late.adjoint->program, {.precision = precision, .whole = true, .lanes = true});
    ASSERT_TRUE(kernels.ok());
    std::vector<uint64_t> keys(until.size(), 1);
    auto pack = TrajectoryPack::create(late.adjoint, *kernels, precision, uint64_t{1} << 30, keys);
    ASSERT_TRUE(pack.ok());
    const std::vector<double> theta = numbers(7, 27, 0.3);
    std::vector<std::vector<double>> ws;
    std::vector<std::vector<FeedValues>> all_fed;
    std::vector<ByLane> seeds;
    for (uint64_t run = 0; run < until.size(); ++run) {
      ws.push_back(numbers(100 + run, 3 * kUnits, 0.3));
      all_fed.push_back(fed(run, kSteps));
      seeds.push_back({owed(run, kSteps, until[run], kUnits)});
    }
    std::vector<const std::vector<double>*> thetas(until.size(), &theta), weights;
    std::vector<const std::vector<FeedValues>*> feeds;
    for (size_t run = 0; run < until.size(); ++run) weights.push_back(&ws[run]), feeds.push_back(&all_fed[run]);
    ASSERT_TRUE(pack->feed(kSteps, feeds));
    ASSERT_TRUE(pack->set(late.theta, thetas).ok());
    pack->initialise();
    ASSERT_TRUE(pack->set(late.w, weights).ok());
    const std::vector<TrajectoryOutput> read = {{late.y}};
    ASSERT_TRUE(pack->forward(1, read).ok());
    pack->reverse(read, seeds);
    for (uint64_t run = 0; run < until.size(); ++run) {
      const Gradient one = alone(at_once, interpreted(at_once, precision), precision, run, kSteps, until[run]);
      EXPECT_EQ(pack->gradient(late.theta, static_cast<int64_t>(run)), one.theta) << "run " << run;
      EXPECT_EQ(pack->gradient(late.w, static_cast<int64_t>(run)), one.w) << "run " << run;
    }
  }
}

}  // namespace
}  // namespace hebb
