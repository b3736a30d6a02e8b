// Gradients through whole runs against hand-written loops and against the run alone, in one process, in turns, one
// thread, float. What the two sides find must agree.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "bench/compile_file.h"
#include "bench/gradient_lanes.h"
#include "bench/measure.h"
#include "bench/reference_gradient.h"
#include "compiler/adjoint/adjoint.h"
#include "compiler/adjoint/in_place.h"
#include "compiler/adjoint/late_sums.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/program/overlap.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"
#include "runtime/trajectory/trajectory.h"

namespace hebb::bench {
namespace {

constexpr int kPre = 100, kPost = 1000, kPadded = 1008;
constexpr float kEta = 0.001f;

struct Compiled {
  std::shared_ptr<const Program> program;   // as it is run
  std::shared_ptr<const Adjoint> adjoint;
  Kernels run_kernels, adjoint_kernels;
  ColumnId theta, w, y;
};

Result<Compiled> load(const char* file) {
  const Result<Compilation> compiled = compile_file(file);
  if (!compiled) return compiled.failure();
  Compiled out;
  out.program = std::make_shared<const Program>(lower(compiled->model, compiled->model.networks.at(0), {}));
  LowerOptions how;
  how.fuse = false;
  const Program apart = lower(compiled->model, compiled->model.networks.at(0), how);
  out.theta = apart.find_column("S.theta"), out.w = apart.find_column("S.w"), out.y = apart.find_column("Y.r");
  const std::vector<ColumnId> wanted = {out.theta};
  AdjointResult made = adjoint(overlap(apart, wanted), wanted, std::vector{out.y});
  if (!made.adjoint) return Failure{"no derivative"};
  reverse_in_place(*made.adjoint);
  sum_late(*made.adjoint);
  out.adjoint = std::make_shared<const Adjoint>(std::move(*made.adjoint));
  auto run_kernels = jit(*out.program, {});
  auto adjoint_kernels = jit(out.adjoint->program, {});
  if (!run_kernels) return run_kernels.failure();
  if (!adjoint_kernels) return adjoint_kernels.failure();
  out.run_kernels = *std::move(run_kernels);
  out.adjoint_kernels = *std::move(adjoint_kernels);
  return out;
}

/// Inputs, first weights, targets and coefficients of one run.
struct Data {
  std::vector<double> theta, x, w, target;
};

Data data(int steps) {
  Data out{.theta = random_numbers(27, -0.2, 0.2), .x = random_numbers(static_cast<size_t>(kPre) * steps, 0, 1),
           .w = random_numbers(kPre * kPost, -0.05, 0.05),
           .target = random_numbers(static_cast<size_t>(kPost) * steps, -0.5, 0.5)};
  return out;
}

/// The hand-written side, in its own layout.
class Reference {
 public:
  Reference(const Data& d, int steps)
      : theta_(d.theta.begin(), d.theta.end()), x_(d.x.begin(), d.x.end()), w_(kPre * kPadded),
        target_(static_cast<size_t>(kPadded) * steps), y_(static_cast<size_t>(kPadded) * steps) {
    x_.resize(x_.size() + kPre);
    for (int i = 0; i < kPre; ++i)
      for (int j = 0; j < kPost; ++j) w_[(j / 16 * kPre + i) * 16 + j % 16] = static_cast<float>(d.w[i * kPost + j]);
    for (int k = 0; k < steps; ++k)
      for (int j = 0; j < kPost; ++j) target_[static_cast<size_t>(k) * kPadded + j] = static_cast<float>(d.target[static_cast<size_t>(k) * kPost + j]);
    task_ = {.n_pre = kPre, .n_post = kPadded, .steps = steps, .units = kPost, .eta = kEta, .theta = theta_.data(), .x = x_.data(),
             .w = w_.data(), .target = target_.data()};
  }
  void forward() { reference_forward(&task_, y_.data()); }
  void gradient() {
    reference_gradient(&task_, static_cast<int>(std::lround(std::sqrt(task_.steps))), y_.data(), gradient_);
  }
  void together(int segment) { reference_gradient_together(&task_, segment, y_.data(), gradient_); }
  const float* found() const { return gradient_; }

 private:
  std::vector<float> theta_, x_, w_, target_, y_;
  float gradient_[27] = {};
  GradientTask task_{};
};

struct Times {
  double forward = 0, gradient = 0;
};

/// A trajectory with these tiles, timed by `once`.
struct Ours {
  Trajectory trajectory;
  std::vector<double> gradient;
  std::vector<std::vector<double>> seeds;
};

Result<Trajectory> trajectory(const Compiled& c, const Data& d, int64_t tile_posts) {
  auto made = Trajectory::create(c.adjoint, c.adjoint_kernels,
                                 {.precision = Precision::Float32, .tile_posts = tile_posts});
  if (!made) return made;
  made->initialise();
  (void)made->set(c.theta, d.theta);
  (void)made->set(c.w, d.w);
  return made;
}

/// Time of forward and reverse; what lies between, the loss, is the caller's.
Result<double> gradient_seconds(Trajectory& t, const Compiled& c, const Data& d, int steps,
                                const std::vector<FeedValues>& feeds) {
  const std::vector<TrajectoryOutput> read = {{c.y}};
  (void)t.set(c.theta, d.theta);
  (void)t.set(c.w, d.w);
  const double begin = cpu_seconds();
  auto recorded = t.forward(steps, 1, feeds, read);
  const double middle = cpu_seconds();
  if (!recorded) return recorded.failure();
  for (size_t k = 0; k < d.target.size(); ++k) (*recorded)[0][k] -= d.target[k];
  const double again = cpu_seconds();
  t.reverse(read, *recorded);
  return cpu_seconds() - again + (middle - begin);
}

double difference(const std::vector<double>& found, const float* expected) {
  double error = 0, scale = 0;
  for (int k = 0; k < 27; ++k) {
    error = std::max(error, std::fabs(found[k] - expected[k]));
    scale = std::max(scale, std::fabs(static_cast<double>(expected[k])));
  }
  return error / scale;
}

int run(int steps, int repeats) {
  const auto compiled = load("bench/rules/taylor_gradient.hebb");
  if (!compiled) return std::fprintf(stderr, "bench: %s\n", compiled.error().c_str()), 1;
  const Compiled& c = *compiled;
  const Data d = data(steps);
  const std::vector<FeedValues> feeds = {{.name = "x", .values = d.x, .rows = kPre}};
  Reference reference(d, steps);
  auto simulation = Simulation::create(c.program, c.run_kernels, {});
  auto cut = trajectory(c, d, 0), coupled = trajectory(c, d, kPost);
  if (!simulation || !cut || !coupled) return std::fprintf(stderr, "bench: no memory\n"), 1;
  simulation->initialise();
  if (!simulation->set(c.program->find_column("S.theta"), d.theta)) return 1;
  const std::vector<Recording> record = {{.name = "y", .column = c.program->find_column("Y.r")}};

  std::vector<double> their_forward, their_gradient, their_together, our_forward, our_cut, our_coupled;
  for (int repeat = 0; repeat <= repeats; ++repeat) {
    const double a = cpu_seconds();
    reference.forward();
    const double b = cpu_seconds();
    reference.gradient();
    const double e = cpu_seconds();
    reference.together(static_cast<int>(std::lround(std::sqrt(steps))));
    const double h = cpu_seconds();
    if (!simulation->set(c.program->find_column("S.w"), d.w)) return 1;
    const double f = cpu_seconds();
    if (const Status ran = simulation->run(steps, 1, feeds, record); !ran) return std::fprintf(stderr, "bench: %s\n", ran.error().c_str()), 1;
    const double g = cpu_seconds();
    const auto tiles = gradient_seconds(*cut, c, d, steps, feeds);
    const auto whole = gradient_seconds(*coupled, c, d, steps, feeds);
    if (!tiles || !whole) return std::fprintf(stderr, "bench: no gradient\n"), 1;
    if (repeat == 0) continue;   // the first warms up
    their_forward.push_back(b - a), their_gradient.push_back(e - b), their_together.push_back(h - e), our_forward.push_back(g - f);
    our_cut.push_back(*tiles), our_coupled.push_back(*whole);
  }
  const double scale = 1e9 / (static_cast<double>(kPre) * kPost * steps);
  const double forward = median(our_forward) * scale, tiled = median(our_cut) * scale, whole = median(our_coupled) * scale;
  const double by_hand = median(their_gradient) * scale;
  std::printf("100 -> 1,000, 27 coefficients, %d steps; ns of CPU per synapse and step, median of %d\n\n", steps, repeats);
  std::printf("%-46s %8.3f\n", "C++ by hand, run alone", median(their_forward) * scale);
  std::printf("%-46s %8.3f\n", "C++ by hand, run and gradient", by_hand);
  const double hand_alone = median(their_forward) * scale, hand_together = median(their_together) * scale;
  std::printf("%-46s %8.3f  %5.2f times the run alone\n", "C++ by hand, run and gradient, units together", hand_together, hand_together / hand_alone);
  std::printf("%-46s %8.3f\n", "Hebb, run alone", forward);
  std::printf("%-46s %8.3f  %5.2f times the run alone (3), %4.2f times by hand (1.3)\n",
              cat("Hebb, run and gradient, ", cut->memory().tiles, " tiles of units").c_str(), tiled, tiled / forward, tiled / by_hand);
  std::printf("%-46s %8.3f  %5.2f times the run alone (4.5)\n", "Hebb, run and gradient, all units together", whole, whole / forward);
  const double one = difference(cut->gradient(c.theta), reference.found());
  const bool same = cut->gradient(c.theta) == coupled->gradient(c.theta);
  std::printf("\nlargest difference of the gradients, relative: %.1e; with and without tiles: %s\n", one,
              same ? "equal bits" : "DIFFERENT");
  return one < 1e-3 && same ? 0 : 1;
}

}  // namespace
}  // namespace hebb::bench

int main(int count, char** arguments) {
  const int steps = count > 1 ? std::atoi(arguments[1]) : 500;
  const int repeats = count > 2 ? std::atoi(arguments[2]) : 9;
  const int failed = hebb::bench::run(steps, repeats);
  return hebb::bench::print_lanes(repeats) ? failed : 1;
}
