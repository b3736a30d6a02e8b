// The same kernel as an object file loaded from disk and compiled in memory: they should cost the same.
// `bench/run` style: one process, in turns, CPU time, median. Prints two rows; the second is what a call costs without
// Python, which bench/python_calls.py compares with.

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <vector>

#include "compiler/embed/unit.h"
#include "compiler/pipeline.h"
#include "compiler/support/text.h"
#include "runtime/embed/live_rule.h"

namespace {

using namespace hebb;

constexpr int64_t kNeurons = 1000;
constexpr int kTurns = 41, kSteps = 20;

const char* const kOja = "rule Oja { param eta = 0.0001; weight w in [-10, 10]; "
                         "on step { w += eta * (pre.r * post.r - post.r^2 * w); } }";

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Struct {
  std::vector<uint64_t> words;
  hebb_block* block() { return reinterpret_cast<hebb_block*>(words.data()); }
};

Struct make(const EmbedUnit& unit) {
  Struct made{std::vector<uint64_t>(sizeof(hebb_block) / 8 + 1 + unit.column_count)};
  made.block()->abi_version = HEBB_BLOCK_ABI;
  made.block()->struct_size = static_cast<uint32_t>(8 * made.words.size());
  made.block()->n_pre = made.block()->n_post = kNeurons;
  return made;
}

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "bench_embed: %s\n", why.c_str());
  std::exit(1);
}

double median(std::vector<double> all) {
  std::nth_element(all.begin(), all.begin() + all.size() / 2, all.end());
  return all[all.size() / 2];
}

/// A step of one synapse, over and over.
double nanoseconds_of_a_call(const hebb_block_rule& rule, const EmbedUnit& unit) {
  Struct block = make(unit);
  block.block()->n_pre = block.block()->n_post = 1;
  const int64_t needed = hebb_block_bytes(&rule, block.block());
  const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(64, static_cast<size_t>(needed)), &std::free);
  if (const int code = hebb_block_init(&rule, block.block(), memory.get(), needed, 1); code != HEBB_OK) stop(hebb_block_error_text(code));
  constexpr int kCalls = 20'000;
  std::vector<double> seconds;
  for (int turn = 0; turn < kTurns; ++turn) {
    const double begin = cpu_seconds();
    for (int k = 0; k < kCalls; ++k) hebb_block_step(&rule, block.block(), nullptr, 1);
    seconds.push_back(cpu_seconds() - begin);
  }
  return 1e9 * median(seconds) / kCalls;
}

}  // namespace

int main() {
  Sources sources;
  Diagnostics diags;
  const FileId file = sources.add("oja", kOja);
  const Compilation compilation = compile(sources, file, {}, diags);
  if (diags.has_errors()) stop("the rule has mistakes");
  const EmbedUnit unit = embed_unit(compilation.model, **choose_rule(compilation.model, file, ""), sources, Precision::Float32, "0");
  const auto bytes = object(unit.object, {}, ObjectKind::Object);
  if (!bytes) stop(bytes.error());
  const std::string base = (std::filesystem::temp_directory_path() / cat("hebb_bench_embed_", getpid())).string();
  if (FILE* out = std::fopen((base + ".o").c_str(), "wb")) {
    std::fwrite(bytes->data(), 1, bytes->size(), out);
    std::fclose(out);
  }
  if (std::system(cat("ld.lld-22 -shared ", base, ".o -o ", base, ".so").c_str()) != 0) stop("no linker");
  void* library = dlopen((base + ".so").c_str(), RTLD_NOW);
  if (!library) stop(dlerror());
  const auto init = reinterpret_cast<int (*)(hebb_block*, void*, int64_t, uint64_t)>(dlsym(library, "oja_init"));
  const auto step = reinterpret_cast<int (*)(hebb_block*, const void*, double)>(dlsym(library, "oja_step"));
  auto live = LiveRule::create(unit);
  if (!live) stop(live.error());
  const hebb_block_rule& rule = (*live)->rule();

  // The same memory for both: where it lies decides more than who made the code.
  Struct block = make(unit);
  const int64_t needed = hebb_block_bytes(&rule, block.block());
  void* memory = std::aligned_alloc(64, static_cast<size_t>(needed));
  std::vector<double> aot, jit;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (const bool from_object : {turn % 2 == 0, turn % 2 != 0}) {
      const int code = from_object ? init(block.block(), memory, needed, 1)
                                   : hebb_block_init(&rule, block.block(), memory, needed, 1);
      if (code != HEBB_OK) stop(hebb_block_error_text(code));
      const double begin = cpu_seconds();
      for (int k = 0; k < kSteps; ++k)
        from_object ? step(block.block(), nullptr, 1) : hebb_block_step(&rule, block.block(), nullptr, 1);
      (from_object ? aot : jit).push_back(cpu_seconds() - begin);
    }
  }
  const double per_synapse = 1e9 / (kSteps * static_cast<double>(kNeurons * kNeurons));
  std::printf("Oja, %lld x %lld, float, one thread: object %.4f ns, in memory %.4f ns per synapse and step, ratio %.3f\n",
              static_cast<long long>(kNeurons), static_cast<long long>(kNeurons), median(aot) * per_synapse,
              median(jit) * per_synapse, median(aot) / median(jit));
  std::free(memory);
  std::printf("one synapse: %.1f ns per step\n", nanoseconds_of_a_call(rule, unit));
  std::filesystem::remove(base + ".o");
  std::filesystem::remove(base + ".so");
  return 0;
}
