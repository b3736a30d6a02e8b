// Rules of the library on sparse projections, with synapses looked at only now and then and with synapses looked at
// whenever something changes: CPU time of one thread for the same run, and how far the weights are apart.

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "compiler/codegen/codegen.h"
#include "compiler/lower/lower.h"
#include "compiler/pipeline.h"
#include "compiler/support/text.h"
#include "runtime/simulation.h"

namespace hebb::bench {
namespace {

struct Subject {
  const char* module;
  const char* rule;
  const char* more;   // of the projection
};

constexpr Subject kSubjects[] = {
    {"std.stdp.PairSTDP", "PairSTDP", ""},
    {"std.stdp.Triplet", "Triplet", ""},
    {"std.families.Polynomial", "Polynomial(beta = -0.2)", ""},
    {"std.stdp.SuppressionSTDP", "SuppressionSTDP", ""},
    {"std.istdp.CodependentExcitatory", "CodependentExcitatory", "bind post.E = post.v / -60 mV; bind post.I = 0.5;"},
    {"std.istdp.CodependentInhibitory", "CodependentInhibitory", "bind post.E = post.v / -60 mV; bind post.I = 0.83;"},
    {"std.stdp.RestrictedSymmetric", "RestrictedSymmetric", ""},
    {"std.reward.MSTDP", "MSTDP", "bind R = T.m[0];"},
    {"std.reward.RewardSTDP", "RewardSTDP", "bind R = T.m[0];"},
    {"std.reward.DopamineSTDP", "DopamineSTDP", "bind reward = T.reward;"},
    {"std.stdp.MultiplicativeSTDP", "MultiplicativeSTDP", ""},
    {"std.stdp.ExponentialSTDP", "ExponentialSTDP", ""},
    {"std.stdp.NonlinearSTDP", "NonlinearSTDP", ""},
    {"std.stdp.DiehlCook", "DiehlCook", ""},
    {"std.voltage.Clopath", "Clopath", "bind post.u = post.v;"},
};

/// 2000 neurons at 5 Hz on each side, one pair in ten; rewards at 2 Hz, a modulator that turns every 2 s.
std::string network(const Subject& subject) {
  return cat("import ", subject.module, R"(;
neuron Teacher { state left = 0.5, p = 0; let wait ~ exponential(1); let m = 0.1 * sin(p); p' = 1.5707963 / 1 s; left' = -2 Hz;
  emit reward when left <= 0 { left += wait; } }
neuron Source { state left = 0.5; let wait ~ exponential(1); left' = -5 Hz; emit spike when left <= 0 { left += wait; } }
neuron Target { receive exc : 1; state left = 0.5, g = 0, v = -60 mV; let wait ~ exponential(1);
  g' = exc; v' = (-60 mV - v) / 20 ms; left' = -5 Hz; emit spike when left <= 0 { left += wait; v += 30 mV; } }
network N {
  pop T[1] : Teacher;
  pop X[2000] : Source;
  pop Y[2000] : Target;
  project X -> Y as S via )", subject.rule, R"( { connect random(p = 0.1); init w = 0.5; drive exc += w; )", subject.more, " }\n}\n");
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Side {
  std::shared_ptr<const Program> program;
  Kernels kernels;
  Precision precision = Precision::Float32;
};

Side side(const Model& model, bool defer, Precision precision) {
  Side out{.program = std::make_shared<const Program>(lower(model, model.networks.at(0), {.defer = defer})), .kernels = {}, .precision = precision};
  out.kernels = *jit(*out.program, {.precision = precision});
  return out;
}

struct Ran {
  double seconds = 0;
  std::vector<double> weights;
};

Ran run(const Side& side, int64_t steps) {
  auto made = Simulation::create(side.program, side.kernels, {.precision = side.precision, .seed = 1});
  if (!made) std::fprintf(stderr, "%s\n", made.failure().message.c_str()), std::exit(1);
  Simulation simulation = *std::move(made);
  simulation.initialise();
  const double begun = cpu_seconds();
  if (!simulation.run(steps, 0.1, {}, {})) std::exit(1);
  Ran out{.seconds = 0, .weights = simulation.get(side.program->find_column("S.w"))};
  out.seconds = cpu_seconds() - begun;
  return out;
}

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (size_t k = 0; k < a.size(); ++k) most = std::max(most, std::abs(a[k] - b[k]));
  return most;
}

bool compare(const Subject& subject, int64_t steps, int repeats) {
  Sources sources;
  Diagnostics diags;
  CheckOptions options;
  options.std_root = std::string(HEBB_SOURCE_DIR) + "/stdlib";
  options.lints = false;
  const Compilation compilation = compile(sources, sources.add("waiting.hebb", network(subject)), options, diags);
  if (diags.has_errors()) {
    std::fprintf(stderr, "%s: %s\n", subject.rule, diags.all()[0].message.c_str());
    return false;
  }
  std::vector<double> late_seconds, prompt_seconds;
  const Side late = side(compilation.model, true, Precision::Float32), prompt = side(compilation.model, false, Precision::Float32);
  for (int k = 0; k < repeats; ++k) {
    late_seconds.push_back(run(late, steps).seconds);
    prompt_seconds.push_back(run(prompt, steps).seconds);
  }
  const auto median = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  const double seconds = static_cast<double>(steps) * 1e-4, l = median(late_seconds) / seconds, p = median(prompt_seconds) / seconds;
  const double far = apart(run(side(compilation.model, true, Precision::Float64), steps).weights,
                           run(side(compilation.model, false, Precision::Float64), steps).weights);
  std::printf("%-24s %10.3f %12.3f %8.1f %12.1e\n", subject.rule, l, p, p / l, far);
  return far < 1e-9;
}

}  // namespace
}  // namespace hebb::bench

int main(int argc, char** argv) {
  using namespace hebb::bench;
  const int64_t steps = argc > 1 ? std::atoll(argv[1]) : 5000;
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 3;
  std::printf("CPU seconds for a second, 2000 to 2000 neurons at 5 Hz, 400,000 synapses, steps of 0.1 ms, float;\n");
  std::printf("weights apart: the largest difference in double\n");
  std::printf("%-24s %10s %12s %8s %12s\n", "rule", "now", "at changes", "ratio", "apart");
  bool good = true;
  for (const Subject& subject : kSubjects) good = compare(subject, steps, repeats) && good;
  return good ? 0 : 1;
}
