// Dense update and weighted sum, float, one thread: Hebb, from the rule's text to the run, against
// reference_rate.cpp, alternately in one process. One line a rule: nanoseconds of CPU time per synapse and
// step of both (medians), their ratio, the largest difference of their weights, and memory per synapse.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "bench/compile_file.h"
#include "bench/measure.h"
#include "bench/reference_rate.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"

namespace hebb::bench {
namespace {

constexpr int kPre = 1000, kPost = 1000;  // as in rules/*.hebb
constexpr int kRepeats = 15;
constexpr float kEta = 0.001f;

/// A parameter of the rule, by name, and its values: both sides get the same floats.
struct Parameter {
  std::string name;
  std::vector<double> values;
};

struct Case {
  const char *name, *file;
  int steps;
  double target;
  std::vector<Parameter> parameters;
  std::function<void(const RateStep&)> reference;
};

/// The hand-written side: its own weights, inputs and rates.
class Reference {
 public:
  Reference(const Case& c, const std::vector<double>& x) : case_(c), x_(x.begin(), x.end()) {}

  void reset(const std::vector<double>& w) {
    w_.assign(w.begin(), w.end());
    u_.assign(kPost, 0), y_.assign(kPost, 0);
  }
  void run() {
    for (int i = 0; i < kPre; ++i)
      for (int j = 0; j < kPost; ++j) u_[j] += x_[i] * w_[i * kPost + j];
    for (int step = 0; step < case_.steps; ++step) {
      for (int j = 0; j < kPost; ++j) y_[j] = u_[j] / (1 + std::fabs(u_[j]));
      const int next = std::min(step + 1, case_.steps - 1);
      case_.reference({.n_pre = kPre, .n_post = kPost, .x = &x_[step * kPre], .x_next = &x_[next * kPre],
                       .y = y_.data(), .w = w_.data(), .u = u_.data()});
    }
  }
  const std::vector<float>& weights() const { return w_; }

 private:
  const Case& case_;
  std::vector<float> x_, w_, u_, y_;
};

struct Hebb {
  std::shared_ptr<const Program> program;
  Simulation simulation;
};

Result<Hebb> load(const Case& c) {
  const Result<Compilation> compiled = compile_file(c.file);
  if (!compiled) return compiled.failure();
  auto program = std::make_shared<const Program>(lower(compiled->model, compiled->model.networks.at(0), {}));
  auto kernels = jit(*program, {});
  if (!kernels) return kernels.failure();
  auto simulation = Simulation::create(program, *std::move(kernels), {});
  if (!simulation) return simulation.failure();
  simulation->initialise();
  for (const Parameter& parameter : c.parameters)
    if (const Status set = simulation->set(program->find_column(parameter.name), parameter.values); !set)
      return set.failure();
  return Hebb{std::move(program), *std::move(simulation)};
}

struct Row {
  double reference, hebb, difference, bytes;
};

Result<Row> compare(const Case& c) {
  Result<Hebb> loaded = load(c);
  if (!loaded) return loaded.failure();
  Simulation& simulation = loaded->simulation;
  const ColumnId w = loaded->program->find_column("S.w");
  const std::vector<double> w0 = random_numbers(kPre * kPost, -0.05, 0.05);
  const std::vector<double> x = random_numbers(static_cast<size_t>(kPre) * c.steps, 0, 1);
  const std::vector<FeedValues> feeds = {{.name = "x", .values = x, .rows = kPre}};
  Reference reference(c, x);

  std::vector<double> ours, theirs;
  for (int repeat = 0; repeat <= kRepeats; ++repeat) {
    reference.reset(w0);
    if (const Status set = simulation.set(w, w0); !set) return set.failure();
    const double begin = cpu_seconds();
    reference.run();
    const double middle = cpu_seconds();
    if (const Status ran = simulation.run(c.steps, 1, feeds, {}); !ran) return ran.failure();
    const double end = cpu_seconds();
    if (repeat > 0) theirs.push_back(middle - begin), ours.push_back(end - middle);  // the first warms up
  }

  double difference = 0;
  const std::vector<double> got = simulation.get(w);
  for (size_t k = 0; k < got.size(); ++k)
    difference = std::max(difference, std::fabs(got[k] - static_cast<double>(reference.weights()[k])));
  const double scale = 1e9 / (static_cast<double>(kPre) * kPost * c.steps);
  return Row{median(theirs) * scale, median(ours) * scale, difference,
             static_cast<double>(simulation.bytes()) / (static_cast<double>(kPre) * kPost)};
}

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

std::vector<Case> cases() {
  const std::vector<double> theta = random_numbers(27, -0.2, 0.2), w1 = random_numbers(30, -0.5, 0.5),
                            b1 = random_numbers(10, -0.2, 0.2), w2 = random_numbers(10, -0.3, 0.3);
  constexpr float kB2 = 0.0625f;
  return {{"Oja", "bench/rules/oja.hebb", 100, 1, {}, [](const RateStep& s) { reference_oja(&s, kEta); }},
          {"Taylor, 27 terms", "bench/rules/taylor.hebb", 40, 3, {{"S.theta", theta}},
           [t = floats(theta)](const RateStep& s) { reference_taylor(&s, kEta, t.data()); }},
          {"MLP 3-10-1, tanh", "bench/rules/mlp.hebb", 2, 2,
           {{"S.W1", w1}, {"S.b1", b1}, {"S.W2", w2}, {"S.b2", {kB2}}},
           [w1 = floats(w1), b1 = floats(b1), w2 = floats(w2)](const RateStep& s) {
             reference_mlp(&s, kEta, w1.data(), b1.data(), w2.data(), kB2);
           }}};
}

int run() {
  std::printf("%s\n1,000 -> 1,000, float, one thread; ns of CPU per synapse and step, median of %d\n\n",
              describe_host().c_str(), kRepeats);
  std::printf("%-18s %9s %9s %8s %8s %12s %14s\n", "rule", "C++", "Hebb", "ratio", "target", "difference",
              "bytes/synapse");
  bool agree = true;
  for (const Case& c : cases()) {
    const Result<Row> row = compare(c);
    if (!row) return std::fprintf(stderr, "bench: %s\n", row.error().c_str()), 1;
    std::printf("%-18s %9.3f %9.3f %7.2fx %7.1fx %12.1e %14.2f\n", c.name, row->reference, row->hebb,
                row->reference / row->hebb, c.target, row->difference, row->bytes);
    agree = agree && row->difference < 1e-5;
  }
  if (!agree) std::fprintf(stderr, "bench: the weights of the two sides differ\n");
  return agree ? 0 : 1;
}

}  // namespace
}  // namespace hebb::bench

int main() { return hebb::bench::run(); }
