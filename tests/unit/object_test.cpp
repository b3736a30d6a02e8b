// Objects that `hebb build` writes, loaded into this process: the same numbers as the interpreter, in
// small code with nothing undefined.

#include <unistd.h>

#include <cfenv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "compiler/program/interpret.h"
#include "runtime/columns.h"
#include "runtime/embed/live_rule.h"
#include "tests/unit/loaded_object.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;
using testing::Host;
using testing::kLibrary;
using testing::Loaded;
using testing::unit_of;

std::string source_of(const fs::path& path) { return *read_file(path.string()); }

const char* const kPair = R"(
rule Pair {
  param tau = 20 ms, A = 0.01;
  weight w in [0, 1];
  x' = -x / tau + pre.spike;
  y' = -y / tau + post.spike;
  w' = A * x * post.spike - A * y * pre.spike;
}
)";

// --- the same numbers as the interpreter -------------------------------------------------------------------

/// The whole plan of a step by the interpreter, in columns of its own.
class Reference {
 public:
  Reference(const EmbedUnit& unit, int64_t n_pre, int64_t n_post) : unit_(unit) {
    auto program = std::make_shared<Program>(*unit.program);
    for (Space& space : program->spaces)
      if (space.kind == SpaceKind::Neurons) space.size = space.name == "pre" ? n_pre : n_post;
    kernels_ = interpret(program, unit.precision);
    columns_.emplace(*Columns::create(*program, unit.precision));
    program_ = program;
    const auto count = [&](ColumnId id, int64_t n) { if (id.valid()) columns_->fill(id, static_cast<double>(n)); };
    count(unit.object.pre_count, n_pre);
    count(unit.object.post_count, n_post);
    run(HEBB_PARAMS, -1);
    run(HEBB_START, -1);
  }
  Columns& columns() { return *columns_; }
  void run(int list, int64_t step) {
    const std::vector<bool> summed = summed_columns(*program_);
    for (uint32_t k = 0; k < summed.size(); ++k)
      if (summed[k]) columns_->fill(ColumnId{k}, program_->columns[k].reset);
    for (const KernelId id : unit_.object.lists[list]) {
      const Space& space = (*program_)[(*program_)[id].domain];
      const bool dense = space.kind == SpaceKind::Dense;
      const int64_t posts = dense ? (*program_)[space.post].size : space.size;
      hebb_launch launch{};
      launch.columns = columns_->bases();
      launch.planes = columns_->planes();
      launch.row = dense ? (posts + 15) / 16 * 16 : 0;
      launch.pre_end = dense ? (*program_)[space.pre].size : 1;
      launch.post_end = launch.post_count = posts;
      uint64_t z = 1 + 0x9E3779B97F4A7C15ull * 2;  // random_key(1, 0)
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
      launch.key = z ^ (z >> 31);
      launch.step = step;
      kernels_.run[id.value](&launch);
    }
  }

 private:
  const EmbedUnit& unit_;
  std::shared_ptr<const Program> program_;
  Kernels kernels_;
  std::optional<Columns> columns_;
};

/// Random moments on both; the furthest that any state is apart, relative to its size.
double furthest_apart(const EmbedUnit& unit, Precision precision, int steps) {
  constexpr int64_t kPres = 19, kPosts = 37;
  const Loaded code(unit);
  Host host(unit, code, kPres, kPosts);
  EXPECT_EQ(host.init(), HEBB_OK);
  Reference reference(unit, kPres, kPosts);
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  const size_t real = precision == Precision::Float32 ? 4 : 8;
  for (int step = 0; step < steps; ++step) {
    host.clear_inputs();
    std::vector<std::vector<int32_t>> lists(unit.object.inputs.size());
    std::vector<std::vector<char>> raw(unit.object.inputs.size());
    for (size_t k = 0; k < unit.object.inputs.size(); ++k) {
      const ObjectInput& input = unit.object.inputs[k];
      const ColumnLayout& layout = reference.columns().layout(input.column);
      std::vector<double> values(static_cast<size_t>(layout.size()));
      if (input.kind == ObjectInput::Kind::Event) {
        values[0] = uniform(random) < 0.3;
        host.event(k) = values[0] != 0;
      } else if (input.kind == ObjectInput::Kind::Spikes) {
        // Few, some or many: rows and columns one by one, or everything at once.
        const double p = step % 3 == 0 ? 0.03 : step % 3 == 1 ? 0.2 : 0.7;
        for (size_t i = 0; i < values.size(); ++i)
          if ((values[i] = uniform(random) < p) != 0) lists[k].push_back(static_cast<int32_t>(i));
        if (!lists[k].empty()) lists[k].push_back(lists[k][0]);  // twice is once
        host.slot(k) = {lists[k].data(), static_cast<int64_t>(lists[k].size())};
      } else {
        for (double& value : values) value = static_cast<float>(uniform(random));
        const int64_t n = layout.posts, width = layout.width;
        raw[k].resize(values.size() * real);
        for (int64_t e = 0; e < width; ++e)
          for (int64_t i = 0; i < n; ++i) {
            const double value = values[static_cast<size_t>(i * width + e)];
            if (real == 4) reinterpret_cast<float*>(raw[k].data())[e * n + i] = static_cast<float>(value);
            else reinterpret_cast<double*>(raw[k].data())[e * n + i] = value;
          }
        host.slot(k) = {raw[k].data(), static_cast<int64_t>(values.size())};
      }
      reference.columns().write(input.column, values);
    }
    reference.columns().fill(unit.program->dt, 1);
    EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_OK);
    reference.run(HEBB_STEP, step);
  }
  double furthest = 0;
  for (const EmbedField& field : unit.fields) {
    if (field.kind != EmbedField::Kind::State && field.kind != EmbedField::Kind::Weight) continue;
    const ColumnLayout& layout = reference.columns().layout(field.column);
    std::vector<double> wanted(static_cast<size_t>(layout.size()));
    reference.columns().read(field.column, wanted);
    size_t at = 0;
    for (int64_t i = 0; i < layout.pres; ++i)
      for (int64_t j = 0; j < layout.posts; ++j)
        for (int64_t e = 0; e < layout.width; ++e, ++at) {
          const int64_t offset = layout.offset(i, j, e);
          const void* found_at = host.array(field.name);
          const double found = real == 4 ? static_cast<const float*>(found_at)[offset] : static_cast<const double*>(found_at)[offset];
          if (std::isnan(found) && std::isnan(wanted[at])) continue;
          furthest = std::max(furthest, std::fabs(found - wanted[at]) / std::max(1.0, std::fabs(wanted[at])));
          EXPECT_EQ(std::isnan(found), std::isnan(wanted[at])) << field.name;
        }
  }
  return furthest;
}

bool has_clocks(const EmbedUnit& unit) { return !unit.program->plan.clocks.empty(); }

TEST(Object, EveryLibraryRuleGivesTheNumbersOfTheInterpreter) {
  int rules = 0;
  for (const char* group : {"stdp", "rate", "voltage", "calcium", "istdp", "reward", "stp", "homeostatic", "families"})
    for (const fs::directory_entry& entry : fs::directory_iterator(kLibrary + "/" + group)) {
      const std::string text = source_of(entry.path());
      Sources sources;
      Diagnostics diags;
      const FileId file = sources.add(entry.path().string(), text);
      const Compilation compilation = compile(sources, file, {.std_root = kLibrary, .sets = {}}, diags);
      ASSERT_FALSE(diags.has_errors()) << entry.path();
      for (const Rule& rule : compilation.model.rules) {
        if (rule.span.file != file) continue;
        const EmbedUnit unit = embed_unit(compilation.model, rule, sources, Precision::Float64, "0");
        if (has_clocks(unit)) continue;  // their time is the host's: tested below
        SCOPED_TRACE(rule.name);
        EXPECT_EQ(furthest_apart(unit, Precision::Float64, 12), 0);
        ++rules;
      }
    }
  EXPECT_GT(rules, 30);
}

TEST(Object, FloatsHaveTheBitsOfTheInterpreter) {
  const EmbedUnit unit = unit_of("rule R { param eta = 0.1 [1/s]; weight w in [-10, 10]; "
                                 "w' = eta * (pre.r * post.r - post.r^2 * w); on step { w += 0.01 * tanh(w - pre.r); } }");
  EXPECT_EQ(furthest_apart(unit, Precision::Float32, 20), 0);
}

/// Random moments, gaps and steps on the object and on the same rule compiled in memory: bytes that differ afterwards.
int64_t bytes_unlike_in_memory(const EmbedUnit& unit, Target target) {
  const Loaded code(unit, target);
  const auto live = LiveRule::create(unit);
  EXPECT_TRUE(live) << (live ? "" : live.error());
  Host object(unit, code, 19, 37);
  EXPECT_EQ(object.init(), HEBB_OK);
  Host memory(unit, code, 19, 37);   // its code is not run
  EXPECT_EQ(memory.init(), HEBB_OK);
  const hebb_block_rule& rule = (*live)->rule();
  EXPECT_EQ(hebb_block_init(&rule, memory.block(), memory.memory(), memory.size(), 1), HEBB_OK);
  std::mt19937 random(11);
  const auto chance = [&](double p) { return std::uniform_real_distribution<double>(0, 1)(random) < p; };
  for (int step = 0; step < 60; ++step) {
    std::vector<std::vector<int32_t>> lists(unit.object.inputs.size());
    for (Host* host : {&object, &memory}) host->clear_inputs();
    for (size_t k = 0; k < lists.size(); ++k) {
      const auto kind = unit.object.inputs[k].kind;
      const bool happens = chance(0.3);
      if (kind == ObjectInput::Kind::Spikes)
        for (int32_t i = 0; i < 19; ++i)
          if (chance(step % 4 == 0 ? 0 : 0.2)) lists[k].push_back(i);
      for (Host* host : {&object, &memory}) {
        if (kind == ObjectInput::Kind::Event) host->event(k) = happens;
        if (kind == ObjectInput::Kind::Spikes) host->slot(k) = {lists[k].data(), static_cast<int64_t>(lists[k].size())};
      }
    }
    if (step % 3 == 2) {
      EXPECT_EQ(code.instant(object.block(), object.inputs()), HEBB_OK);
      EXPECT_EQ(hebb_block_instant(&rule, memory.block(), memory.inputs()), HEBB_OK);
    } else {
      EXPECT_EQ(code.step(object.block(), object.inputs(), 0.7), HEBB_OK);
      EXPECT_EQ(hebb_block_step(&rule, memory.block(), memory.inputs(), 0.7), HEBB_OK);
    }
  }
  int64_t unlike = 0;
  for (const EmbedField& field : unit.fields) {
    if (field.kind != EmbedField::Kind::State && field.kind != EmbedField::Kind::Weight) continue;
    const int64_t bytes = 4 * (field.place == "synapse" ? 19 * object.block()->row : field.place == "pre" ? 19 : field.place == "post" ? 37 : 1);
    const auto* one = static_cast<const char*>(object.array(field.name));
    const auto* other = static_cast<const char*>(memory.array(field.name));
    for (int64_t k = 0; k < bytes; ++k) unlike += one[k] != other[k];
  }
  return unlike;
}

/// Jumps that take away what is there: whoever rounds jump and flow, or product and sum, apart is a unit in the last place off.
const char* const kCancelling[] = {
    "rule R { weight w in [-10, 10]; state e = 0.3; x' = -x / (20 ms) + pre.spike; e' = -e / (30 ms) + x * post.spike; "
    "on pre.spike { w += 0.11 * e; e += -e; } }",
    "rule R { event go; weight w in [-10, 10]; state e = 0.3; x' = -x / (20 ms) + pre.spike; on post.spike { e += x; } "
    "on step { w += 0.01 * e; e += -0.3 * e; } on go { e += -e; } }",
    "rule R { param a = 0.3; weight w in [-10, 10]; state e = 0.1; e' = -e / (20 ms); on pre.spike { e += a - e * e; e += -a * e; } "
    "on post.spike { w += a * e; } }",
};

TEST(Object, HasTheBitsOfTheSameRuleCompiledInMemory) {
  for (const char* text : kCancelling) {
    SCOPED_TRACE(text);
    const EmbedUnit unit = unit_of(text);
    for (const Target target : {Target::X86_64_v3, Target::Portable}) EXPECT_EQ(bytes_unlike_in_memory(unit, target), 0);
    EXPECT_EQ(furthest_apart(unit, Precision::Float32, 40), 0);
  }
}

TEST(Object, DrawsAreThoseOfTheSeedAndTheStep) {
  const EmbedUnit unit = unit_of("rule R { weight w in [-inf, inf]; on pre.spike { let a ~ normal(0, 1); w += a; } }");
  EXPECT_TRUE(unit.draws);
  EXPECT_EQ(furthest_apart(unit, Precision::Float32, 6), 0);
}

TEST(Object, ReductionsKnowTheSizesOfTheBlock) {
  const EmbedUnit unit = unit_of("rule R : nonlocal { weight w in [-inf, inf] = 2; reduce m = mean(w) per post; reduce n = count(w) per pre; "
                                 "on step { w += pre.r - m / n; } }", Precision::Float64);
  EXPECT_EQ(furthest_apart(unit, Precision::Float64, 5), 0);
}

TEST(Object, ClocksFireAtMultiplesOfTheirPeriod) {
  const EmbedUnit unit = unit_of("rule R { weight w in [0, 100]; on every 0.3 ms { w += 1; } }");
  const Loaded code(unit);
  Host host(unit, code, 1, 1);
  ASSERT_EQ(host.init(), HEBB_OK);
  // Steps at 0, 0.1, …, 2.9: clocks at 0.3, 0.6, …, 2.7.
  for (int step = 0; step < 30; ++step) ASSERT_EQ(code.step(host.block(), nullptr, 0.1), HEBB_OK);
  EXPECT_EQ(*host.floats("w"), 9);
  EXPECT_NEAR(host.block()->time_ms, 3, 1e-12);
  // An instant at the time of a clock takes its event along; the step that follows does not repeat it.
  ASSERT_EQ(code.instant(host.block(), host.inputs()), HEBB_OK);
  EXPECT_EQ(*host.floats("w"), 10);
  ASSERT_EQ(code.step(host.block(), nullptr, 0.1), HEBB_OK);
  EXPECT_EQ(*host.floats("w"), 10);
}

TEST(Object, EventsOfStepsHappenInStepsOnly) {
  const EmbedUnit unit = unit_of("rule R { event reward; weight w in [0, 100]; on step { w += 1; } on reward { w += 10; } }");
  const Loaded code(unit);
  Host host(unit, code, 2, 3);
  ASSERT_EQ(host.init(), HEBB_OK);
  host.event(0) = 1;
  ASSERT_EQ(code.instant(host.block(), host.inputs()), HEBB_OK);
  EXPECT_EQ(host.floats("w")[host.block()->row + 2], 10);
  ASSERT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_OK);
  EXPECT_EQ(host.floats("w")[host.block()->row + 2], 21);
  ASSERT_EQ(code.step(host.block(), nullptr, 1), HEBB_OK);
  EXPECT_EQ(host.floats("w")[host.block()->row + 2], 22);
}

TEST(Object, TheHostMayWriteWeightsAndParameters) {
  const EmbedUnit unit = unit_of("rule R { param U = 0.5; weight w in [0, 1]; state u = U; on pre.spike { w += u; } }");
  const Loaded code(unit);
  Host host(unit, code, 2, 2);
  ASSERT_EQ(host.init(), HEBB_OK);
  *host.floats("U") = 0.125f;
  ASSERT_EQ(code.start(host.block()), HEBB_OK);  // states begin at the parameter as it is now
  const int32_t spike = 1;
  host.slot(0) = {&spike, 1};
  host.floats("w")[host.block()->row] = 0.25f;
  ASSERT_EQ(code.instant(host.block(), host.inputs()), HEBB_OK);
  EXPECT_EQ(host.floats("w")[host.block()->row], 0.375f);
  EXPECT_EQ(host.floats("w")[0], 0);  // neuron 0 did not spike
  host.floats("w")[0] = 7;
  ASSERT_EQ(code.sync(host.block()), HEBB_OK);
  EXPECT_EQ(host.floats("w")[0], 1);
}

// --- the object file ---------------------------------------------------------------------------------------

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  pclose(pipe);
  return out;
}

TEST(Object, NothingIsUndefinedWrittenOrLarge) {
  const EmbedUnit unit = unit_of(source_of(kLibrary + "/stdp/pair_stdp.hebb"));
  const Loaded code(unit);
  EXPECT_EQ(output_of("llvm-nm-22 -u " + code.object_path), "");
  // Sections that take memory: name and size.
  std::istringstream sections(output_of("llvm-size-22 -A " + code.object_path));
  long total = 0;
  std::string name;
  for (std::string line; std::getline(sections, line);) {
    std::istringstream words(line);
    long size = 0;
    if (!(words >> name >> size) || name[0] != '.' || name == ".comment" || name == ".strtab" || name == ".symtab" ||
        name.starts_with(".rela") || name == ".note.GNU-stack")
      continue;
    EXPECT_NE(name, ".data");
    EXPECT_NE(name, ".bss");
    total += size;
  }
  EXPECT_GT(total, 1000);
  EXPECT_LE(total, 8192);
}

TEST(Object, EveryTargetHasNoUndefinedFunction) {
  const EmbedUnit unit = unit_of("rule R { weight w; signal s : 1; w' = (exp(-w) * abs(pre.r)^s + tanh(post.r) - atan2(w, 2)) / 1 ms; "
                                 "on pre.spike { let a ~ normal(0, 1); w += a; } }");
  for (const Target target : {Target::Portable, Target::X86_64_v3, Target::X86_64_v4, Target::Host, Target::Aarch64}) {
    const auto made = object(unit.object, {.target = target}, ObjectKind::Object);
    ASSERT_TRUE(made);
    const std::string path = (fs::temp_directory_path() / cat("hebb_target_", getpid(), ".o")).string();
    ASSERT_TRUE(write_file(path, *made));
    EXPECT_EQ(output_of("llvm-nm-22 -u " + path), "") << static_cast<int>(target);
    fs::remove(path);
  }
}

TEST(Object, TheStateOfTheFloatingPointUnitStays) {
  const EmbedUnit unit = unit_of(kPair);
  const Loaded code(unit);
  Host host(unit, code, 3, 3);
  ASSERT_EQ(host.init(), HEBB_OK);
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  const unsigned before = __builtin_ia32_stmxcsr() & ~0x3Fu;  // all but the flags of what happened
  const int32_t spike = 0;
  host.slot(0) = {&spike, 1};
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_OK);
  EXPECT_EQ(__builtin_ia32_stmxcsr() & ~0x3Fu, before);
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  std::fesetround(FE_TONEAREST);
}

}  // namespace
}  // namespace hebb
