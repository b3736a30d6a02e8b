#pragma once
// Objects that `hebb build` writes, loaded into this process, and a host with a block and its inputs.

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/embed/unit.h"
#include "compiler/pipeline.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"
#include "runtime/embed/block.h"

namespace hebb::testing {

inline const std::string kLibrary = HEBB_SOURCE_DIR "/stdlib";

inline EmbedUnit unit_of(const std::string& text, Precision precision = Precision::Float32) {
  Sources sources;
  Diagnostics diags;
  const FileId file = sources.add("rule.hebb", text);
  const Compilation compilation = compile(sources, file, {.std_root = kLibrary, .sets = {}}, diags);
  EXPECT_FALSE(diags.has_errors()) << text;
  const auto rule = choose_rule(compilation.model, file, "");
  EXPECT_TRUE(rule) << (rule ? "" : rule.error());
  return embed_unit(compilation.model, **rule, sources, precision, "0");
}

/// The object as a shared library of this process.
class Loaded {
 public:
  explicit Loaded(const EmbedUnit& unit, Target target = Target::Portable) : symbol_(unit.symbol) {
    static int number = 0;
    const std::filesystem::path base = std::filesystem::temp_directory_path() / cat("hebb_object_test_", getpid(), "_", number++);
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
    std::filesystem::remove(object_path);
    std::filesystem::remove(library_);
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

}  // namespace hebb::testing
