// The gradient of one step that objects and libhebb offer: against central differences, against the interpreter,
// and with everything a host can do wrong.

#include <dlfcn.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>

#include <gtest/gtest.h>

#include "compiler/embed/gradient.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/columns.h"
#include "runtime/data/atomic_file.h"
#include "runtime/embed/live_rule.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;

const std::string kLibrary = HEBB_SOURCE_DIR "/stdlib";
constexpr int64_t kPres = 3, kPosts = 5;

using Values = std::map<std::string, std::vector<double>>;   // by field, in the layout of the block

/// A block of a rule in double, its inputs, and the way from a point to the values after one step.
class Host {
 public:
  explicit Host(EmbedUnit unit) : live_(*LiveRule::create(std::move(unit))), given_(inputs().size()) {
    block_.resize(live_->rule().block_size / 8);
    moment_.resize(static_cast<size_t>(live_->inputs().bytes + 7) / 8);
    reinterpret_cast<uint32_t*>(moment_.data())[0] = HEBB_BLOCK_ABI;
    reinterpret_cast<uint32_t*>(moment_.data())[1] = live_->rule().inputs_size;
    block()->abi_version = HEBB_BLOCK_ABI;
    block()->struct_size = live_->rule().block_size;
    block()->n_pre = kPres;
    block()->n_post = kPosts;
    bytes_ = hebb_block_bytes(&live_->rule(), block());
    memory_.reset(std::aligned_alloc(64, static_cast<size_t>(bytes_)));
    EXPECT_EQ(hebb_block_init(&live_->rule(), block(), memory_.get(), bytes_, 1), HEBB_OK);
  }

  LiveRule& live() { return *live_; }
  const EmbedUnit& unit() const { return live_->unit(); }
  hebb_block* block() { return reinterpret_cast<hebb_block*>(block_.data()); }
  void* moment() { return moment_.data(); }
  const std::vector<ObjectInput>& inputs() const { return live_->unit().object.inputs; }
  double* array(ColumnId id) { return static_cast<double*>(reinterpret_cast<void**>(block() + 1)[1 + id.value]); }

  int64_t size(const EmbedField& field) const {
    const int64_t width = (*unit().program)[field.column].width, posts = (kPosts + 15) / 16 * 16;
    if (field.place == "one") return width;
    if (field.place == "synapse") return width * kPres * posts;
    return width * (field.place == "pre" ? (kPres + 15) / 16 * 16 : posts);
  }
  /// Elements that are not padding.
  std::vector<int64_t> elements(const EmbedField& field) const {
    std::vector<int64_t> out;
    const int64_t width = (*unit().program)[field.column].width, all = size(field) / width;
    for (int64_t e = 0; e < width; ++e)
      for (int64_t k = 0; k < all; ++k) {
        const int64_t i = field.place == "synapse" ? k % 16 : k, n = field.place == "pre" ? kPres : kPosts;
        if (field.place == "one" || i < n) out.push_back(e * all + k);
      }
    return out;
  }

  Values point() {
    Values out;
    for (const EmbedField& field : unit().fields)
      if (has_derivative(field.kind)) out[field.name].assign(array(field.column), array(field.column) + size(field));
    return out;
  }
  void place(const Values& values) {
    for (const EmbedField& field : unit().fields)
      if (const auto found = values.find(field.name); found != values.end())
        std::copy(found->second.begin(), found->second.end(), array(field.column));
  }

  void spike(size_t input, std::vector<int32_t> list) {
    lists_[input] = std::move(list);
    auto* slot = reinterpret_cast<std::pair<const void*, int64_t>*>(reinterpret_cast<char*>(moment_.data()) +
                                                                    live_->inputs().offsets[input]);
    *slot = {lists_[input].data(), static_cast<int64_t>(lists_[input].size())};
  }
  void happen(size_t input) {
    *reinterpret_cast<int64_t*>(reinterpret_cast<char*>(moment_.data()) + live_->inputs().offsets[input]) = 1;
  }

  /// The values after a step (dt 0: an instant) from `from`. The block is afterwards as it was before.
  Values after(const Values& from, double dt) {
    const std::vector<uint64_t> head = block_;
    const std::vector<char> all(static_cast<char*>(memory_.get()), static_cast<char*>(memory_.get()) + bytes_);
    place(from);
    EXPECT_EQ(dt > 0 ? hebb_block_step(&live_->rule(), block(), moment(), dt) : hebb_block_instant(&live_->rule(), block(), moment()), HEBB_OK);
    Values out = point();
    block_ = head;
    std::copy(all.begin(), all.end(), static_cast<char*>(memory_.get()));
    return out;
  }

  /// Derivatives by everything before, given those by what is carried after.
  Values vjp(const Values& from, const Values& bars, double dt, int expected = HEBB_OK) {
    const auto gradient = live_->gradient();
    EXPECT_TRUE(gradient) << (gradient ? "" : gradient.error());
    place(from);
    Values out;
    std::vector<uint64_t> members((*gradient)->gradients_size / 8);
    reinterpret_cast<uint32_t*>(members.data())[0] = HEBB_BLOCK_ABI;
    reinterpret_cast<uint32_t*>(members.data())[1] = (*gradient)->gradients_size;
    size_t k = 1;
    for (const EmbedField& field : unit().fields) {
      if (!has_derivative(field.kind)) continue;
      std::vector<double>& bar = out[field.name];
      bar.assign(static_cast<size_t>(size(field)), 0);
      if (is_carried(field.kind)) bar = bars.at(field.name);
      members[k++] = reinterpret_cast<uint64_t>(bar.data());
    }
    const int64_t needed = hebb_block_vjp_bytes(&live_->rule(), *gradient, block());
    const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(64, static_cast<size_t>(needed)), &std::free);
    EXPECT_EQ(hebb_block_vjp(&live_->rule(), *gradient, block(), moment(), dt, members.data(), memory.get(), needed), expected);
    return out;
  }

 private:
  std::unique_ptr<LiveRule> live_;
  std::vector<uint64_t> block_, moment_;
  std::vector<std::vector<char>> given_;
  std::map<size_t, std::vector<int32_t>> lists_;
  std::unique_ptr<void, decltype(&std::free)> memory_{nullptr, &std::free};
  int64_t bytes_ = 0;
};

double loss(const Host& host, const Values& after, const Values& bars) {
  double sum = 0;
  for (const EmbedField& field : host.unit().fields)
    if (is_carried(field.kind))
      for (const int64_t k : host.elements(field)) sum += after.at(field.name)[k] * bars.at(field.name)[k];
  return sum;
}

Values random_bars(const Host& host, std::mt19937& random) {
  std::normal_distribution<double> normal(0, 1);
  Values bars;
  for (const EmbedField& field : host.unit().fields) {
    if (!is_carried(field.kind)) continue;
    std::vector<double>& bar = bars[field.name];
    bar.assign(static_cast<size_t>(host.size(field)), 0);
    for (const int64_t k : host.elements(field)) bar[k] = normal(random);
  }
  return bars;
}

/// A point near the start values where most things are not 0.
Values random_point(Host& host, std::mt19937& random) {
  std::uniform_real_distribution<double> uniform(0.1, 0.9);
  Values point = host.point();
  for (const EmbedField& field : host.unit().fields) {
    if (!has_derivative(field.kind) || field.kind == EmbedField::Kind::Param) continue;
    const bool bounded = std::isfinite(field.bounds.low) && std::isfinite(field.bounds.high);
    for (double& value : point[field.name]) {
      value = bounded ? field.bounds.low + (field.bounds.high - field.bounds.low) * uniform(random)
                      : (field.unit == "mV" ? -70 : 0) + uniform(random);
    }
  }
  return point;
}

struct Agreement {
  int compared = 0, kinks = 0, wrong = 0;
};

/// Central differences along each element; where the two one-sided differences disagree there is a kink.
Agreement compare(Host& host, const Values& point, const Values& bars, double dt) {
  const Values found = host.vjp(point, bars, dt);
  const double here = loss(host, host.after(point, dt), bars);
  Agreement out;
  for (const EmbedField& field : host.unit().fields) {
    if (!has_derivative(field.kind)) continue;
    std::vector<int64_t> elements = host.elements(field);
    if (elements.size() > 6) elements = {elements[0], elements[1], elements[elements.size() / 2], elements.back()};
    for (const int64_t k : elements) {
      Values moved = point;
      const double h = 1e-5 * std::max(1e-3, std::fabs(point.at(field.name)[k]));
      moved[field.name][k] = point.at(field.name)[k] + h;
      const double more = loss(host, host.after(moved, dt), bars);
      moved[field.name][k] = point.at(field.name)[k] - h;
      const double less = loss(host, host.after(moved, dt), bars);
      const double slope = (more - less) / (2 * h), right = (more - here) / h, left = (here - less) / h;
      const double noise = 1e-14 * (1 + std::fabs(here)) / h;
      ++out.compared;
      if (std::fabs(right - left) > 1e-2 * (std::fabs(slope) + 1e-9) + 100 * noise) {
        ++out.kinks;
        continue;
      }
      if (std::fabs(found.at(field.name)[k] - slope) <= 2e-5 * std::fabs(slope) + 20 * noise) continue;
      ++out.wrong;
      ADD_FAILURE() << host.unit().rule << ", dt " << dt << ": d/d" << field.name << "[" << k << "] is "
                    << found.at(field.name)[k] << ", differences say " << slope;
    }
  }
  return out;
}

void something_happens(Host& host) {
  for (size_t k = 0; k < host.inputs().size(); ++k) {
    if (host.inputs()[k].kind == ObjectInput::Kind::Spikes) host.spike(k, {0, 2});
    if (host.inputs()[k].kind == ObjectInput::Kind::Event) host.happen(k);
  }
}

EmbedUnit unit_of(const std::string& text, Precision precision = Precision::Float64) {
  Sources sources;
  Diagnostics diags;
  const FileId file = sources.add("rule.hebb", text);
  const Compilation compilation = compile(sources, file, {.std_root = kLibrary, .sets = {}}, diags);
  EXPECT_FALSE(diags.has_errors()) << text;
  return embed_unit(compilation.model, **choose_rule(compilation.model, file, ""), sources, precision, "0");
}

TEST(Vjp, EveryLibraryRuleHasTheSlopesOfDifferences) {
  int rules = 0;
  Agreement all;
  for (const char* group : {"stdp", "rate", "voltage", "istdp", "reward", "stp", "homeostatic"})
    for (const fs::directory_entry& entry : fs::directory_iterator(kLibrary + "/" + group)) {
      Sources sources;
      Diagnostics diags;
      const FileId file = sources.add(entry.path().string(), *read_file(entry.path().string()));
      const Compilation compilation = compile(sources, file, {.std_root = kLibrary, .sets = {}}, diags);
      ASSERT_FALSE(diags.has_errors()) << entry.path();
      for (const Rule& rule : compilation.model.rules) {
        if (rule.span.file != file) continue;
        Host host(embed_unit(compilation.model, rule, sources, Precision::Float64, "0"));
        something_happens(host);
        std::mt19937 random(3);
        const Values point = random_point(host, random), bars = random_bars(host, random);
        for (const double dt : {1.0, 0.0}) {
          const Agreement one = compare(host, point, bars, dt);
          all.compared += one.compared;
          all.kinks += one.kinks;
        }
        ++rules;
      }
    }
  EXPECT_GT(rules, 30);
  EXPECT_GT(all.compared, 500);
  EXPECT_LT(all.kinks, all.compared / 20) << "of " << all.compared;
}

TEST(Vjp, NothingOfTheBlockChanges) {
  Host host(unit_of("rule R { param A = 0.1; weight w in [0, 1]; x' = -x / 5 ms + pre.spike; on every 1 ms { w += A * x; } "
                    "on post.spike { w += A * x * pre.r; } }"));
  something_happens(host);
  std::mt19937 random(1);
  const Values point = random_point(host, random), bars = random_bars(host, random);
  host.place(point);
  ASSERT_EQ(hebb_block_step(&host.live().rule(), host.block(), host.moment(), 1), HEBB_OK);
  const hebb_block before = *host.block();
  const Values values = host.point();
  const Values first = host.vjp(values, bars, 1), again = host.vjp(values, bars, 1);
  EXPECT_EQ(first, again);
  EXPECT_EQ(host.point(), values);
  EXPECT_EQ(before.step, host.block()->step);
  EXPECT_EQ(before.time_ms, host.block()->time_ms);
  // The clock of 1 ms fires in this step, which has a weight in what follows: the trace of before has one too.
  EXPECT_NE(first.at("x"), host.vjp(values, random_bars(host, random), 1).at("x"));
  EXPECT_EQ(compare(host, values, bars, 1).wrong, 0);
}

TEST(Vjp, StepsChain) {
  // Ten steps of Oja's rule: back through all of them is the slope of the whole.
  Host host(unit_of("rule Oja { param eta = 0.05; weight w in [-10, 10]; on step { w += eta * (pre.r * post.r - post.r^2 * w); } }"));
  std::mt19937 random(5);
  Values start = random_point(host, random);
  const Values bars = random_bars(host, random);
  const auto end_of = [&](Values from) {
    std::vector<Values> points = {from};
    for (int k = 0; k < 10; ++k) points.push_back(host.after(points.back(), 1));
    return points;
  };
  const std::vector<Values> points = end_of(start);
  Values bar = bars;
  double eta = 0;
  for (int k = 10; k-- > 0;) {
    const Values before = host.vjp(points[k], bar, 1);
    eta += before.at("eta")[0];
    bar["w"] = before.at("w");
  }
  Values more = start, less = start;
  more["eta"][0] += 1e-6;
  less["eta"][0] -= 1e-6;
  const double slope = (loss(host, end_of(more).back(), bars) - loss(host, end_of(less).back(), bars)) / 2e-6;
  EXPECT_NEAR(eta, slope, 1e-6 * std::fabs(slope));
}

/// The kernels of the gradient by the interpreter, in columns of its own: the same bits.
TEST(Vjp, TheInterpreterFindsTheSame) {
  Host host(unit_of("rule R { param A = 0.2, tau = 7 ms; weight w in [-2, 2]; x' = -x / tau + pre.spike; "
                    "w' = A * x * post.spike - w^2 * post.r / 30 ms; }"));
  something_happens(host);
  std::mt19937 random(9);
  const Values point = random_point(host, random), bars = random_bars(host, random);
  const Values found = host.vjp(point, bars, 0.5);

  const auto gradient = embed_gradient(host.unit());
  ASSERT_TRUE(gradient);
  auto program = std::make_shared<Program>(*gradient->program);
  for (Space& space : program->spaces)
    if (space.kind == SpaceKind::Neurons) space.size = space.name == "pre" ? kPres : kPosts;
  const Kernels kernels = interpret(program, Precision::Float64);
  Columns columns = *Columns::create(*program, Precision::Float64);
  const auto base = [&](ColumnId id) { return static_cast<double*>(columns.bases()[id.value]); };
  for (const EmbedField& field : host.unit().fields)
    if (has_derivative(field.kind)) std::copy(point.at(field.name).begin(), point.at(field.name).end(), base(field.column));
  for (const ObjectInput& input : host.inputs())
    if (input.kind == ObjectInput::Kind::Spikes) base(input.column)[0] = base(input.column)[2] = 1;
  columns.fill(program->dt, 0.5);
  const auto run = [&](const std::vector<KernelId>& list) {
    for (const KernelId id : list) {
      const Space& space = (*program)[(*program)[id].domain];
      const bool dense = space.kind == SpaceKind::Dense;
      hebb_launch launch{};
      launch.columns = columns.bases();
      launch.planes = columns.planes();
      launch.row = dense ? 16 : 0;
      launch.pre_end = dense ? kPres : 1;
      launch.post_end = launch.post_count = dense ? kPosts : space.size;
      kernels.run[id.value](&launch);
    }
  };
  run(gradient->lists[HEBB_FORWARD_STEP]);
  for (const auto& bar : gradient->bars)
    for (const EmbedField& field : host.unit().fields)
      if (bar.carried && bar.next.valid() && field.column == bar.field)
        std::copy(bars.at(field.name).begin(), bars.at(field.name).end(), base(bar.next));
  run(gradient->lists[HEBB_REVERSE_STEP]);
  int compared = 0;
  for (const auto& bar : gradient->bars)
    for (const EmbedField& field : host.unit().fields) {
      if (!bar.now.valid() || field.column != bar.field) continue;
      for (const int64_t k : host.elements(field)) {
        EXPECT_EQ(found.at(field.name)[k], base(bar.now)[k]) << field.name << " " << k;
        ++compared;
      }
    }
  EXPECT_EQ(compared, 25);
}

TEST(Vjp, HostsThatErrGetCodes) {
  Host host(unit_of("rule R { weight w; w' = -w / 10 ms; }"));
  const auto gradient = host.live().gradient();
  ASSERT_TRUE(gradient);
  const hebb_block_rule* rule = &host.live().rule();
  const int64_t bytes = hebb_block_vjp_bytes(rule, *gradient, host.block());
  const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(64, static_cast<size_t>(bytes + 64)), &std::free);
  std::vector<uint64_t> members((*gradient)->gradients_size / 8, 0);
  auto* numbers = reinterpret_cast<uint32_t*>(members.data());
  const auto call = [&](const hebb_block* b, const void* inputs, double dt, void* g, void* m, int64_t n) {
    return hebb_block_vjp(rule, *gradient, b, inputs, dt, g, m, n);
  };
  EXPECT_EQ(call(host.block(), nullptr, 1, members.data(), memory.get(), bytes), HEBB_ABI);
  numbers[0] = HEBB_BLOCK_ABI;
  numbers[1] = (*gradient)->gradients_size;
  EXPECT_EQ(call(host.block(), nullptr, 1, members.data(), memory.get(), bytes), HEBB_OK);  // nothing wanted
  EXPECT_EQ(call(nullptr, nullptr, 1, members.data(), memory.get(), bytes), HEBB_NULL);
  EXPECT_EQ(call(host.block(), nullptr, 1, nullptr, memory.get(), bytes), HEBB_NULL);
  EXPECT_EQ(call(host.block(), nullptr, 1, members.data(), nullptr, bytes), HEBB_NULL);
  EXPECT_EQ(call(host.block(), nullptr, 1, members.data(), memory.get(), bytes - 1), HEBB_MEMORY);
  EXPECT_EQ(call(host.block(), nullptr, 1, members.data(), static_cast<char*>(memory.get()) + 8, bytes), HEBB_ALIGNMENT);
  EXPECT_EQ(call(host.block(), nullptr, NAN, members.data(), memory.get(), bytes), HEBB_DT);
  EXPECT_EQ(call(host.block(), nullptr, -1, members.data(), memory.get(), bytes), HEBB_DT);
  hebb_block early = *host.block();
  early.ready = 0;
  EXPECT_EQ(call(&early, nullptr, 1, members.data(), memory.get(), bytes), HEBB_ORDER);
}

TEST(Vjp, ReductionsHaveTheSlopesOfDifferences) {
  for (const char* reduce : {"sum(w * pre.r) per post", "max(w) per post", "cumsum(w * post.r) per pre", "mean(w) per post", "min(w) per pre"}) {
    Host host(unit_of(cat("rule R : nonlocal { param eta = 0.1; weight w in [-inf, inf]; reduce m = ", reduce,
                          "; on step { w += eta * (post.r * pre.r - m^2 * w); } }")));
    std::mt19937 random(4);
    const Values point = random_point(host, random), bars = random_bars(host, random);
    const Agreement found = compare(host, point, bars, 1);
    EXPECT_EQ(found.wrong, 0) << reduce;
    EXPECT_LE(found.kinks, 1) << reduce;
  }
}

TEST(Vjp, ObjectsHaveItWhenAskedAndKnowNothingElse) {
  for (const Precision precision : {Precision::Float32, Precision::Float64}) {
    EmbedUnit unit = unit_of(*read_file(kLibrary + "/stdp/pair_stdp.hebb"), precision);
    unit.object.gradient = *embed_gradient(unit);
    for (const Target target : {Target::Portable, Target::Aarch64, Target::Wasm32}) {
      const auto made = object(unit.object, {.target = target, .precision = precision}, ObjectKind::Object);
      ASSERT_TRUE(made) << made.error();
      const std::string path = (fs::temp_directory_path() / cat("hebb_vjp_", getpid(), ".o")).string();
      ASSERT_TRUE(write_file(path, *made));
      FILE* pipe = popen(("llvm-nm-22 " + path).c_str(), "r");
      std::string symbols;
      for (char buffer[4096]; fgets(buffer, sizeof buffer, pipe);) symbols += buffer;
      pclose(pipe);
      fs::remove(path);
      EXPECT_NE(symbols.find("T pair_stdp_vjp\n"), std::string::npos) << symbols;
      EXPECT_NE(symbols.find("T pair_stdp_vjp_bytes\n"), std::string::npos) << symbols;
      // For WebAssembly the linker provides the stack pointer and the table.
      if (target != Target::Wasm32) {
        EXPECT_EQ(symbols.find(" U "), std::string::npos) << symbols;
      }
    }
  }
}

}  // namespace
}  // namespace hebb
