// Dense update and weighted sum, float, one thread: Hebb's compiled kernels against reference_rate.cpp,
// alternately in one process. Prints one line a rule: nanoseconds of CPU time per synapse and step of
// both (medians), their ratio, and the largest difference of their weights.

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "bench/rate_programs.h"
#include "bench/reference_rate.h"
#include "compiler/codegen/codegen.h"

namespace hebb::bench {
namespace {

constexpr int kSteps = 10, kRepeats = 21;

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

float* aligned(int64_t count) {
  const size_t bytes = (static_cast<size_t>(count) * sizeof(float) + 63) / 64 * 64;
  float* memory = static_cast<float*>(std::aligned_alloc(64, bytes));
  std::fill(memory, memory + bytes / sizeof(float), 0.0f);
  return memory;
}

float* huge(int64_t count) {
  if (!getenv("HUGE")) return aligned(count);
  size_t bytes = (static_cast<size_t>(count) * sizeof(float) + (2u<<20)-1) / (2u<<20) * (2u<<20);
  if (count < 100000) return aligned(count);
  float* memory = static_cast<float*>(std::aligned_alloc(2u<<20, bytes));
  madvise(memory, bytes, MADV_HUGEPAGE);
  std::fill(memory, memory + bytes / sizeof(float), 0.0f);
  return memory;
}

struct Random {
  uint64_t state = 88172645463325252u;
  float uniform() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<float>(static_cast<double>(state >> 11) * 0x1p-53);
  }
};

/// The postsynaptic rates that both sides use: anything bounded.
void rates(const float* u, float* y, int64_t count) {
  for (int64_t j = 0; j < count; ++j) y[j] = u[j] / (1 + std::fabs(u[j]));
}

struct Case {
  const char* name;
  RateProgram program;
  std::function<void(const RateStep&, float eta, const float* theta)> reference;
  float target;
};

struct Times { double hebb, reference, difference; };

class Comparison {
 public:
  Comparison(const Case& c, int64_t n_pre, int64_t n_post, std::vector<float> theta)
      : case_(c), n_pre_(n_pre), n_post_(n_post), row_((n_post + 15) / 16 * 16), theta_(std::move(theta)) {
    Random random;
    for (int64_t k = 0; k < (kSteps + 1) * n_pre; ++k) x_.push_back(random.uniform());
    for (int64_t k = 0; k < n_pre * n_post; ++k) w0_.push_back(0.1f * (random.uniform() - 0.5f));
    w_ = aligned(n_pre * n_post), y_ = aligned(n_post), u_ = aligned(n_post);
    allocate();
  }

  Times run(const Kernels& kernels) {
    std::vector<double> hebb, reference;
    for (int repeat = 0; repeat <= kRepeats; ++repeat) {
      reset();
      double begin = cpu_seconds();
      for (int step = 0; step < kSteps; ++step) reference_step(step);
      const double middle = cpu_seconds() - begin;
      begin = cpu_seconds();
      for (int step = 0; step < kSteps; ++step) hebb_step(kernels, step);
      const double last = cpu_seconds() - begin;
      if (repeat > 0) reference.push_back(middle), hebb.push_back(last);  // the first warms up
    }
    return {median(hebb), median(reference), difference()};
  }

 private:
  static double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[getenv("BEST") ? 0 : values.size() / 2];
  }

  void allocate() {
    const Program& program = case_.program.program;
    for (const Column& column : program.columns) {
      const Space& space = program[column.space];
      int64_t plane = 0;
      if (space.kind == SpaceKind::Neurons) plane = (space.size + 15) / 16 * 16;
      if (space.kind == SpaceKind::Dense) plane = n_pre_ * row_;
      planes_.push_back(plane);
      columns_.push_back(huge(column.width * std::max<int64_t>(plane, 1)));
    }
    launch_ = {.columns = columns_.data(), .planes = planes_.data(), .row = row_, .pre_begin = 0,
               .pre_end = n_pre_, .post_begin = 0, .post_end = n_post_, .post_count = n_post_,
               .key = 0, .step = 0};
    *column(case_.program.eta) = eta();
    if (!theta_.empty()) std::copy(theta_.begin(), theta_.end(), column(case_.program.theta));
  }

  float eta() const { return 1.0f / static_cast<float>(n_pre_); }
  float* column(ColumnId id) { return static_cast<float*>(columns_[id.value]); }

  void reset() {
    std::copy(w0_.begin(), w0_.end(), w_);
    std::fill(u_, u_ + n_post_, 0.5f);
    for (int64_t i = 0; i < n_pre_; ++i)
      std::copy_n(w0_.begin() + i * n_post_, n_post_, column(case_.program.w) + i * row_);
    std::fill_n(column(case_.program.u), n_post_, 0.5f);
  }

  void reference_step(int step) {
    rates(u_, y_, n_post_);
    const RateStep now{.n_pre = static_cast<int>(n_pre_), .n_post = static_cast<int>(n_post_),
                       .x = &x_[step * n_pre_], .x_next = &x_[(step + 1) * n_pre_], .y = y_,
                       .w = w_, .u = u_};
    case_.reference(now, eta(), theta_.data());
  }

  void hebb_step(const Kernels& kernels, int step) {
    const RateProgram& p = case_.program;
    rates(column(p.u), column(p.y), n_post_);
    std::copy_n(&x_[step * n_pre_], n_pre_, column(p.x));
    std::copy_n(&x_[(step + 1) * n_pre_], n_pre_, column(p.x_next));
    std::fill_n(column(p.u), n_post_, 0.0f);
    launch_.step = step;
    kernels.run[p.per_post.value](&launch_);
    kernels.run[p.update.value](&launch_);
  }

  double difference() {
    double largest = 0;
    for (int64_t i = 0; i < n_pre_; ++i)
      for (int64_t j = 0; j < n_post_; ++j)
        largest = std::max(largest, std::fabs(static_cast<double>(w_[i * n_post_ + j]) -
                                              column(case_.program.w)[i * row_ + j]));
    return largest;
  }

  const Case& case_;
  int64_t n_pre_, n_post_, row_;
  std::vector<float> theta_, x_, w0_;
  float *w_, *y_, *u_;
  std::vector<void*> columns_;
  std::vector<int64_t> planes_;
  hebb_launch launch_{};
};

int run(int64_t n_pre, int64_t n_post) {
  const auto oja = [](const RateStep& s, float eta, const float*) { reference_oja(&s, eta); };
  const auto taylor = [](const RateStep& s, float eta, const float* theta) {
    reference_taylor(&s, eta, theta);
  };
  const auto mlp = [](const RateStep& s, float eta, const float* t) {
    reference_mlp(&s, eta, t, t + 30, t + 40, t[50]);
  };
  const Case cases[] = {
      {"Oja", oja_program(n_pre, n_post), oja, 1},
      {"Taylor, 27 terms", taylor_program(n_pre, n_post, Fold::Post), taylor, 3},
      {"Taylor (fold pre)", taylor_program(n_pre, n_post, Fold::Pre), taylor, 3},
      {"MLP 3-10-1, tanh", mlp_program(n_pre, n_post), mlp, 2}};

  std::printf("%lld -> %lld, float, one thread; ns of CPU per synapse and step (median of %d)\n",
              static_cast<long long>(n_pre), static_cast<long long>(n_post), kRepeats);
  std::printf("%-20s %10s %10s %8s %8s  %s\n", "rule", "C++", "Hebb", "ratio", "target", "largest difference");
  bool agree = true;
  for (const Case& c : cases) {
    auto kernels = jit(c.program.program, {});
    if (!kernels) return std::fprintf(stderr, "bench: %s\n", kernels.error().c_str()), 1;
    std::vector<float> theta;
    Random random;
    if (c.program.theta.valid())
      for (int64_t k = 0; k < c.program.program[c.program.theta].width; ++k)
        theta.push_back(0.4f * (random.uniform() - 0.5f));
    const Times times = Comparison(c, n_pre, n_post, theta).run(*kernels);
    const double scale = 1e9 / (static_cast<double>(n_pre * n_post) * kSteps);
    std::printf("%-20s %10.4f %10.4f %7.2fx %7.1fx  %.1e\n", c.name, times.reference * scale,
                times.hebb * scale, times.reference / times.hebb, static_cast<double>(c.target),
                times.difference);
    agree = agree && times.difference < 1e-5;
  }
  if (!agree) std::fprintf(stderr, "bench: the weights of the two sides differ\n");
  return agree ? 0 : 1;
}

}  // namespace
}  // namespace hebb::bench

int main(int argc, char** argv) {
  return hebb::bench::run(argc > 1 ? std::atoi(argv[1]) : 1000, argc > 2 ? std::atoi(argv[2]) : 1000);
}
