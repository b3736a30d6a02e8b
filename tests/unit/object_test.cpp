// Objects that `hebb build` writes, loaded into this process: the same numbers as the interpreter, nothing
// undefined, small, and an error code for everything a host can do wrong.

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cfenv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/embed/unit.h"
#include "compiler/pipeline.h"
#include "compiler/program/interpret.h"
#include "compiler/support/text.h"
#include "runtime/columns.h"
#include "runtime/data/atomic_file.h"
#include "runtime/embed/block.h"
#include "runtime/embed/live_rule.h"

namespace hebb {
namespace {

namespace fs = std::filesystem;

const std::string kLibrary = HEBB_SOURCE_DIR "/stdlib";

EmbedUnit unit_of(const std::string& text, Precision precision = Precision::Float32) {
  Sources sources;
  Diagnostics diags;
  const FileId file = sources.add("rule.hebb", text);
  const Compilation compilation = compile(sources, file, {.std_root = kLibrary, .sets = {}}, diags);
  EXPECT_FALSE(diags.has_errors()) << text;
  const auto rule = choose_rule(compilation.model, file, "");
  EXPECT_TRUE(rule) << (rule ? "" : rule.error());
  return embed_unit(compilation.model, **rule, sources, precision, "0");
}

std::string source_of(const fs::path& path) { return *read_file(path.string()); }

/// The object as a shared library of this process.
class Loaded {
 public:
  explicit Loaded(const EmbedUnit& unit, Target target = Target::Portable) : symbol_(unit.symbol) {
    static int number = 0;
    const fs::path base = fs::temp_directory_path() / cat("hebb_object_test_", getpid(), "_", number++);
    object_path = base.string() + ".o";
    library_ = base.string() + ".so";
    const auto made = object(unit.object, {.target = target, .precision = unit.precision}, ObjectKind::Object);
    EXPECT_TRUE(made) << (made ? "" : made.error());
    EXPECT_TRUE(write_file(object_path, *made));
    EXPECT_EQ(std::system(cat("ld.lld-22 -shared --no-undefined ", object_path, " -o ", library_).c_str()), 0);
    handle_ = dlopen(library_.c_str(), RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(handle_, nullptr) << dlerror();
  }
  ~Loaded() {
    if (handle_) dlclose(handle_);
    fs::remove(object_path);
    fs::remove(library_);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  template <class Function>
  Function get(const char* name) const {
    return reinterpret_cast<Function>(dlsym(handle_, cat(symbol_, "_", name).c_str()));
  }
  int64_t bytes(const void* b) const { return get<int64_t (*)(const void*)>("bytes")(b); }
  int init(void* b, void* m, int64_t n, uint64_t seed = 1) const {
    return get<int (*)(void*, void*, int64_t, uint64_t)>("init")(b, m, n, seed);
  }
  int start(void* b) const { return get<int (*)(void*)>("start")(b); }
  int instant(void* b, const void* in) const { return get<int (*)(void*, const void*)>("instant")(b, in); }
  int step(void* b, const void* in, double dt) const { return get<int (*)(void*, const void*, double)>("step")(b, in, dt); }
  int sync(void* b) const { return get<int (*)(void*)>("sync")(b); }

  std::string object_path;

 private:
  std::string symbol_, library_;
  void* handle_ = nullptr;
};

/// A block and its inputs in raw memory, as the generated header lays them out.
class Host {
 public:
  Host(const EmbedUnit& unit, const Loaded& code, int64_t n_pre, int64_t n_post) : unit_(unit), code_(code) {
    struct_.resize((sizeof(hebb_block) + 8 * (unit.column_count + 1)) / 8);
    layout_ = input_layout(unit.object.inputs);
    inputs_.resize(static_cast<size_t>(layout_.bytes + 7) / 8);
    block()->abi_version = HEBB_BLOCK_ABI;
    block()->struct_size = static_cast<uint32_t>(struct_.size() * 8);
    block()->n_pre = n_pre;
    block()->n_post = n_post;
    clear_inputs();
  }
  ~Host() { std::free(memory_); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  int init(uint64_t seed = 1) {
    size_ = code_.bytes(block());
    if (size_ < 0) return static_cast<int>(size_);
    memory_ = std::aligned_alloc(64, static_cast<size_t>(size_));
    return code_.init(block(), memory_, size_, seed);
  }
  hebb_block* block() { return reinterpret_cast<hebb_block*>(struct_.data()); }
  void* array(const std::string& name) {
    for (const EmbedField& field : unit_.fields)
      if (field.name == name) return reinterpret_cast<void**>(struct_.data())[sizeof(hebb_block) / 8 + 1 + field.column.value];
    ADD_FAILURE() << "no field " << name;
    return nullptr;
  }
  float* floats(const std::string& name) { return static_cast<float*>(array(name)); }
  void clear_inputs() {
    std::fill(inputs_.begin(), inputs_.end(), 0);
    uint32_t* head = reinterpret_cast<uint32_t*>(inputs_.data());
    head[0] = HEBB_BLOCK_ABI;
    head[1] = static_cast<uint32_t>(layout_.bytes);
  }
  struct Slot {
    const void* values;
    int64_t count;
  };
  Slot& slot(size_t input) { return *reinterpret_cast<Slot*>(reinterpret_cast<char*>(inputs_.data()) + layout_.offsets[input]); }
  int64_t& event(size_t input) { return *reinterpret_cast<int64_t*>(reinterpret_cast<char*>(inputs_.data()) + layout_.offsets[input]); }
  void* inputs() { return inputs_.data(); }
  uint32_t* inputs_head() { return reinterpret_cast<uint32_t*>(inputs_.data()); }
  void* memory() { return memory_; }
  int64_t size() const { return size_; }

 private:
  const EmbedUnit& unit_;
  const Loaded& code_;
  std::vector<uint64_t> struct_, inputs_;
  InputLayout layout_;
  void* memory_ = nullptr;
  int64_t size_ = 0;
};

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

// --- what a host can do wrong ------------------------------------------------------------------------------

class Mistakes : public ::testing::Test {
 protected:
  EmbedUnit unit = unit_of("rule R { signal reward[2]; weight w in [0, 1]; x' = -x / 20 ms + pre.spike; "
                           "on post.spike { w += x * pre.r * (reward[0] + reward[1]); } on every 10 ms { w += 1; } }");
  Loaded code{unit};
  Host host{unit, code, 4, 3};
  size_t input(const std::string& name) {
    for (size_t k = 0; k < unit.object.inputs.size(); ++k)
      if ((*unit.program)[unit.object.inputs[k].column].name == name) return k;
    ADD_FAILURE() << name;
    return 0;
  }
};

TEST_F(Mistakes, NullPointers) {
  EXPECT_EQ(code.bytes(nullptr), HEBB_NULL);
  EXPECT_EQ(code.init(nullptr, nullptr, 0), HEBB_NULL);
  EXPECT_EQ(code.init(host.block(), nullptr, 1 << 20), HEBB_NULL);
  ASSERT_EQ(host.init(), HEBB_OK);
  EXPECT_EQ(code.instant(nullptr, host.inputs()), HEBB_NULL);
  EXPECT_EQ(code.instant(host.block(), nullptr), HEBB_NULL);
  EXPECT_EQ(code.step(nullptr, nullptr, 1), HEBB_NULL);
  EXPECT_EQ(code.sync(nullptr), HEBB_NULL);
  EXPECT_EQ(code.start(nullptr), HEBB_NULL);
  host.slot(input("pre.r")) = {nullptr, 4};
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_NULL);
  host.clear_inputs();
  reinterpret_cast<void**>(host.block() + 1)[1] = nullptr;  // an array of the block
  EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_NULL);
}

TEST_F(Mistakes, AHeaderOfAnotherVersion) {
  ++host.block()->abi_version;
  EXPECT_EQ(code.bytes(host.block()), HEBB_ABI);
  EXPECT_EQ(code.init(host.block(), &host, 1), HEBB_ABI);
  --host.block()->abi_version;
  host.block()->struct_size -= 8;
  EXPECT_EQ(code.bytes(host.block()), HEBB_ABI);
  host.block()->struct_size += 8;
  ASSERT_EQ(host.init(), HEBB_OK);
  host.inputs_head()[0] = 99;
  EXPECT_EQ(code.instant(host.block(), host.inputs()), HEBB_ABI);
  host.clear_inputs();
  host.inputs_head()[1] += 16;
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_ABI);
}

TEST_F(Mistakes, CallsOutOfOrder) {
  EXPECT_EQ(code.instant(host.block(), host.inputs()), HEBB_ORDER);
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_ORDER);
  EXPECT_EQ(code.sync(host.block()), HEBB_ORDER);
  EXPECT_EQ(code.start(host.block()), HEBB_ORDER);
  ASSERT_EQ(host.init(), HEBB_OK);
  host.block()->n_post = 1000;  // grown behind the arrays' back
  EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_ORDER);
}

TEST_F(Mistakes, AbsurdSizes) {
  for (const int64_t n : {int64_t{0}, int64_t{-5}, INT64_MAX, INT64_MIN, int64_t{1} << 31, int64_t{INT32_MAX}}) {
    host.block()->n_pre = n;
    host.block()->n_post = std::max<int64_t>(n, 1 << 30);
    EXPECT_EQ(code.bytes(host.block()), HEBB_SIZE) << n;
    host.block()->n_pre = 4;
    host.block()->n_post = n == INT32_MAX ? 0 : n;
    EXPECT_EQ(code.bytes(host.block()), HEBB_SIZE) << n;
  }
}

TEST_F(Mistakes, TooLittleOrCrookedMemory) {
  const int64_t bytes = code.bytes(host.block());
  ASSERT_GT(bytes, 0);
  alignas(64) static char memory[1 << 16];
  EXPECT_EQ(code.init(host.block(), memory, bytes - 1), HEBB_MEMORY);
  EXPECT_EQ(code.init(host.block(), memory, -1), HEBB_MEMORY);
  EXPECT_EQ(code.init(host.block(), memory + 8, bytes), HEBB_ALIGNMENT);
  EXPECT_EQ(code.init(host.block(), memory, bytes), HEBB_OK);
}

TEST_F(Mistakes, SpikesOfNeuronsThatAreNot) {
  ASSERT_EQ(host.init(), HEBB_OK);
  host.floats("w")[0] = 0.5f;
  for (const int32_t wrong : {-1, 4, INT32_MAX, INT32_MIN}) {
    const int32_t list[] = {0, wrong};
    host.slot(input("pre.spike")) = {list, 2};
    EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_INDEX) << wrong;
  }
  // Nothing happened: not even the first, good spike.
  EXPECT_EQ(host.floats("x")[0], 0);
  EXPECT_EQ(host.block()->step, 0);
}

TEST_F(Mistakes, CountsThatDoNotFit) {
  ASSERT_EQ(host.init(), HEBB_OK);
  const float values[8] = {};
  for (const int64_t count : {int64_t{3}, int64_t{5}, int64_t{-4}, INT64_MAX}) {
    host.slot(input("pre.r")) = {values, count};
    EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_COUNT) << count;
  }
  host.slot(input("pre.r")) = {values, 4};
  host.slot(input("reward")) = {values, 1};
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_COUNT);
  host.slot(input("reward")) = {values, 2};
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_OK);
}

TEST_F(Mistakes, StepsOfNoLength) {
  ASSERT_EQ(host.init(), HEBB_OK);
  for (const double dt : {0.0, -1.0, std::nan(""), HUGE_VAL}) EXPECT_EQ(code.step(host.block(), nullptr, dt), HEBB_DT) << dt;
  EXPECT_EQ(host.block()->time_ms, 0);
}

TEST_F(Mistakes, AClockWithoutAPeriod) {
  ASSERT_EQ(host.init(), HEBB_OK);
  for (const float period : {0.0f, -1.0f, std::nanf("")}) {
    *host.floats("every0_period") = period;
    EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_PERIOD) << period;
  }
  // So short that its firings cannot be counted.
  *host.floats("every0_period") = 1e-30f;
  host.block()->time_ms = 1;
  EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_PERIOD);
}

TEST_F(Mistakes, EveryCodeHasASentence) {
  const auto text = code.get<const char* (*)(int)>("error_text");
  std::set<std::string> sentences;
  for (int k = 0; k >= HEBB_PERIOD; --k) sentences.insert(text(k));
  EXPECT_EQ(sentences.size(), static_cast<size_t>(1 - HEBB_PERIOD));
  for (const int none : {1, -1000, INT32_MIN, INT32_MAX}) EXPECT_EQ(std::string(text(none)), "no such code");
}

}  // namespace
}  // namespace hebb
