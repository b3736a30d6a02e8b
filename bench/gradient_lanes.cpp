// Gradients of recordings of a small network, 2-10-1 with 81 coefficients: one by one and sixteen at a time.

#include "bench/compile_file.h"
#include "bench/gradient_lanes.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "bench/measure.h"
#include "compiler/adjoint/late_sums.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/support/text.h"
#include "runtime/random.h"
#include "runtime/trajectory/pack.h"

namespace hebb::bench {
namespace {

constexpr int64_t kSteps = 640;
constexpr size_t kRecordings = 64, kTogether = kLanesTogether;

struct Behaviour {
  std::shared_ptr<const Adjoint> adjoint;
  ColumnId theta, w, logit;
  std::vector<double> first_weights;
  std::vector<std::vector<FeedValues>> feeds;   // by recording
  std::vector<TrajectoryOutput> read;
};

Result<Behaviour> load() {
  const char* const file = "examples/papers/inference/foraging.hebb";
  const Result<Compilation> compiled = compile_file(file);
  if (!compiled) return compiled.failure();
  LowerOptions how;
  how.fuse = false;
  how.fed = {"T.odour", "T.accept", "T.reward"};
  const Program program = lower(compiled->model, compiled->model.networks.at(0), how);
  Behaviour out;
  out.theta = program.find_column("W.theta"), out.w = program.find_column("W.w"), out.logit = program.find_column("Y.I");
  AdjointResult made = adjoint(program, std::vector{out.theta}, std::vector{out.logit});
  if (!made.adjoint) return Failure{"no derivative"};
  sum_late(*made.adjoint);
  out.adjoint = std::make_shared<const Adjoint>(std::move(*made.adjoint));
  out.read = {{out.logit}};
  const auto u = [](uint64_t k, uint32_t site) { return draw_uniform<double>(7, site, 0, k, 0); };
  for (uint64_t k = 0; k < 20; ++k) out.first_weights.push_back(0.02 * u(k, 1) - 0.01);
  for (uint64_t r = 0; r < kRecordings; ++r) {
    auto& feeds = out.feeds.emplace_back();
    std::vector<double> odour, accept, reward;
    for (uint64_t step = 0; step < kSteps; ++step) {
      const uint64_t at = r * kSteps + step;
      odour.push_back(u(at, 2) < 0.5), accept.push_back(u(at, 3) < 0.5), reward.push_back(accept.back() * (u(at, 4) < 0.5));
    }
    feeds = {{.name = "T.odour", .values = odour}, {.name = "T.accept", .values = accept}, {.name = "T.reward", .values = reward}};
  }
  return out;
}

/// Other coefficients in each turn, as in a fit.
std::vector<double> coefficients(int turn) {
  std::vector<double> out;
  for (uint64_t k = 0; k < 81; ++k) out.push_back(0.02 * draw_uniform<double>(11, 1, 0, k, turn) - 0.01 + (k == 28 ? 0.5 : 0));
  return out;
}

uint64_t key(size_t recording) { return random_key(2, static_cast<uint32_t>(recording)); }

/// Seconds of one update of each recording, and what they found.
struct Turn {
  double seconds = 0;
  std::vector<std::vector<double>> gradients;
};

Result<Turn> alone(std::vector<Trajectory>& runs, const Behaviour& b, int turn) {
  Turn out;
  const std::vector<double> theta = coefficients(turn);
  for (size_t r = 0; r < runs.size(); ++r) {
    const double begin = cpu_seconds();
    (void)runs[r].set(b.theta, theta);
    runs[r].initialise();
    (void)runs[r].set(b.w, b.first_weights);
    auto values = runs[r].forward(kSteps, 1, b.feeds[r], b.read);
    if (!values) return values.failure();
    runs[r].reverse(b.read, *values);
    out.seconds += cpu_seconds() - begin;
    out.gradients.push_back(runs[r].gradient(b.theta));
  }
  return out;
}

Result<Turn> together(std::vector<TrajectoryPack>& packs, const Behaviour& b, int turn) {
  Turn out;
  const std::vector<double> theta = coefficients(turn);
  const std::vector<const std::vector<double>*> thetas(kTogether, &theta), weights(kTogether, &b.first_weights);
  for (TrajectoryPack& pack : packs) {
    const double begin = cpu_seconds();
    (void)pack.set(b.theta, thetas);
    pack.initialise();
    (void)pack.set(b.w, weights);
    auto values = pack.forward(1, b.read);
    if (!values) return values.failure();
    pack.reverse(b.read, *values);
    out.seconds += cpu_seconds() - begin;
    for (size_t r = 0; r < kTogether; ++r) out.gradients.push_back(pack.gradient(b.theta, static_cast<int64_t>(r)));
  }
  return out;
}

Result<bool> measure(int repeats) {
  const auto loaded = load();
  if (!loaded) return loaded.failure();
  const Behaviour& b = *loaded;
  auto one_by_one = jit(b.adjoint->program, {.whole = true}), at_once = jit(b.adjoint->program, {.whole = true, .lanes = true});
  if (!one_by_one) return one_by_one.failure();
  if (!at_once) return at_once.failure();
  std::vector<Trajectory> runs;
  std::vector<TrajectoryPack> packs;
  for (size_t r = 0; r < kRecordings; ++r) {
    auto made = Trajectory::create(b.adjoint, *one_by_one, {.precision = Precision::Float32, .seed = 2, .lane = static_cast<uint32_t>(r)});
    if (!made) return made.failure();
    runs.push_back(*std::move(made));
  }
  for (size_t first = 0; first < kRecordings; first += kTogether) {
    std::vector<uint64_t> keys;
    std::vector<const std::vector<FeedValues>*> feeds;
    for (size_t r = first; r < first + kTogether; ++r) keys.push_back(key(r)), feeds.push_back(&b.feeds[r]);
    auto made = TrajectoryPack::create(b.adjoint, *at_once, Precision::Float32, uint64_t{2} << 30, keys);
    if (!made) return made.failure();
    if (!made->feed(kSteps, feeds)) return Failure{"the recordings do not go together"};
    packs.push_back(*std::move(made));
  }
  std::vector<double> each_alone, each_together;
  bool same = true;
  // As in a fit: several updates in a row, one way and then the other.
  constexpr int kInARow = 4;
  for (int turn = 0; turn <= repeats; ++turn) {
    std::vector<Turn> one, other;
    for (int k = 0; k < kInARow; ++k) {
      auto a = alone(runs, b, kInARow * turn + k);
      if (!a) return a.failure();
      one.push_back(*std::move(a));
    }
    for (int k = 0; k < kInARow; ++k) {
      auto t = together(packs, b, kInARow * turn + k);
      if (!t) return t.failure();
      other.push_back(*std::move(t));
    }
    for (int k = 0; k < kInARow; ++k) {
      same = same && one[k].gradients == other[k].gradients;
      if (turn == 0) continue;   // the first warm up
      each_alone.push_back(one[k].seconds / kRecordings);
      each_together.push_back(other[k].seconds / kRecordings);
    }
  }
  std::printf("\n2-10-1, 81 coefficients, %d steps, %zu recordings; run and gradient of one, median of %d\n\n", static_cast<int>(kSteps),
              kRecordings, kInARow * repeats);
  const double single = median(each_alone), shared = median(each_together);
  std::printf("%-46s %8.1f us %8.0f kB\n", "Hebb, one by one", 1e6 * single, static_cast<double>(runs[0].memory().bytes) / 1e3);
  std::printf("%-46s %8.1f us %8.0f kB  1/%.1f of one alone (1/6)\n", "Hebb, sixteen at a time", 1e6 * shared,
              static_cast<double>(packs[0].memory().bytes) / 1e3, single / shared);
  std::printf("\none by one and together: %s\n", same ? "equal bits" : "DIFFERENT");
  return same;
}

}  // namespace

bool print_lanes(int repeats) {
  const auto same = measure(repeats);
  if (!same) std::fprintf(stderr, "bench: %s\n", same.error().c_str());
  return same && *same;
}

}  // namespace hebb::bench
