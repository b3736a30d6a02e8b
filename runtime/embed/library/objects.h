#pragma once
// What the handles of libhebb stand for, and how every function of its table begins and ends: handles become
// objects, exceptions become codes.

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/experiment/value.h"
#include "compiler/pipeline.h"
#include "compiler/support/text.h"
#include "runtime/embed/hebb.h"
#include "runtime/embed/live_rule.h"
#include "runtime/embed/library/sparse_block.h"
#include "runtime/simulation.h"

namespace hebb {

/// Handles are numbers that are never used twice: a closed one is known as closed, whatever memory does.
template <class T>
class Handles {
 public:
  uintptr_t open(std::shared_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    next_ += 16;
    objects_[next_] = std::move(object);
    return next_;
  }
  std::shared_ptr<T> find(const void* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<uintptr_t>(handle));
    return found == objects_.end() ? nullptr : found->second;
  }
  bool close(const void* handle) {
    std::shared_ptr<T> last;  // destroyed after the lock is
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<uintptr_t>(handle));
    if (found == objects_.end()) return false;
    last = std::move(found->second);
    objects_.erase(found);
    return true;
  }
  explicit Handles(uintptr_t kind) : next_(kind) {}
  // Around a fork, so that the child does not find it locked by a thread that it does not have.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
  std::map<uintptr_t, std::shared_ptr<T>> objects_;
  uintptr_t next_;
};

struct Module {
  Sources sources;
  FileId file;
  Compilation compilation;
  bool json = false;               // messages as lines of JSON
};

struct Instance {
  std::shared_ptr<LiveRule> rule;
  std::unique_ptr<SparseBlock> sparse;   // null: every pair is a synapse
  std::vector<uint64_t> block;     // the struct that a header would declare
  std::vector<uint64_t> inputs;    // of the coming moment
  std::vector<std::vector<char>> given;
  std::unique_ptr<void, decltype(&std::free)> memory{nullptr, &std::free};
  std::unique_ptr<void, decltype(&std::free)> work{nullptr, &std::free};   // of vjp
  int64_t work_bytes = 0;

  hebb_block* head() { return reinterpret_cast<hebb_block*>(block.data()); }
  void* column(ColumnId id) { return sparse ? sparse->base(id) : reinterpret_cast<void**>(head() + 1)[1 + id.value]; }
};

struct RunningNetwork {
  /// A program and its code. Which synapses wait how hangs on the signs of parameters, no result does: a network has
  /// one for each combination of signs that it was asked for, as long as they differ.
  struct Form {
    std::shared_ptr<const Program> program;
    Kernels kernels;
  };
  using Signs = std::map<std::string, int>;   // of the parameters that the host has set: -1, 0, 1, or
  static constexpr int kSeveral = 2;          // whatever: several numbers

  std::shared_ptr<const Module> module;
  std::string name;
  double dt = 0;                   // of the options
  Signs signs, signs_of_form;      // as they are; as they were when `program` was chosen
  std::set<std::string> given;     // all that the host has set since the start
  std::map<Signs, std::shared_ptr<const Form>> forms;
  std::shared_ptr<const Program> program;
  SimulationOptions options;
  std::optional<Simulation> simulation;
  std::vector<FeedValues> feeds;
  std::vector<Recording> recordings;
  std::vector<Recorded> recorded;
};

/// What an evaluation left: named arrays, and what it printed.
struct Evaluated {
  struct Item {
    std::string name, unit, text;
    Tensor value;
    bool is_text = false;
  };
  std::vector<Item> items;
  std::string printed;
};

// The last digit tells kinds apart: a handle of another kind is no handle.
inline Handles<Module>& modules() { static Handles<Module> all(0x1001); return all; }
inline Handles<LiveRule>& rules() { static Handles<LiveRule> all(0x1002); return all; }
inline Handles<Instance>& instances() { static Handles<Instance> all(0x1003); return all; }
inline Handles<RunningNetwork>& networks() { static Handles<RunningNetwork> all(0x1004); return all; }
inline Handles<Evaluated>& evaluations() { static Handles<Evaluated> all(0x1005); return all; }

const char* code_text(int code);

/// A copy that free_text frees; null when there is no memory.
inline char* copied(const std::string& text) {
  char* out = static_cast<char*>(std::malloc(text.size() + 1));
  if (out != nullptr) std::memcpy(out, text.c_str(), text.size() + 1);
  return out;
}

inline int fail(int code, const std::string& text, char** error) {
  if (error != nullptr) *error = copied(text);
  return code;
}
inline int fail(int code, char** error) { return fail(code, code_text(code), error); }

/// What any function may fail of.
template <class Body>
auto guarded(char** error, Body body) noexcept -> decltype(body()) {
  if (error != nullptr) *error = nullptr;
  try {
    try {
      return body();
    } catch (const std::bad_alloc&) {
      return fail(HEBB_ERROR_WORLD, "not enough memory", error);
    } catch (const std::length_error&) {
      return fail(HEBB_ERROR_WORLD, "not enough memory", error);
    } catch (const std::exception& problem) {
      return fail(HEBB_ERROR_INTERNAL, problem.what(), error);
    } catch (...) {
      return fail(HEBB_ERROR_INTERNAL, "an unknown failure", error);
    }
  } catch (...) {
    return HEBB_ERROR_WORLD;  // not even enough memory to say so
  }
}

inline int closed(bool it_was_open) { return it_was_open ? int{HEBB_OK} : int{HEBB_ERROR_HANDLE}; }

/// Mistakes as the module wants them.
std::string messages(const Diagnostics& diags, const Sources& sources, bool json);

// The functions of the table, by file.
namespace library {

int open_rule(hebb_module*, const char* name, int32_t real_bytes, hebb_rule**, char** error);
int close_rule(hebb_rule*);
int64_t field_count(hebb_rule*);
int get_field(hebb_rule*, int64_t index, hebb_field*);
int open_instance(hebb_rule*, int64_t n_pre, int64_t n_post, uint64_t seed, hebb_instance**, char** error);
int open_sparse(hebb_rule*, int64_t n_pre, int64_t n_post, const int32_t* pre, const int32_t* post, int64_t count,
                uint64_t seed, hebb_instance**, char** error);
int close_instance(hebb_instance*);
int get_array(hebb_instance*, const char* name, hebb_array*);
int set(hebb_instance*, const char* name, const double* values, int64_t count);
int get(hebb_instance*, const char* name, double* values, int64_t count);
int give_spikes(hebb_instance*, const char* name, const int32_t* neurons, int64_t count);
int give_values(hebb_instance*, const char* name, const double* values, int64_t count);
int give_event(hebb_instance*, const char* name);
int instant(hebb_instance*);
int step(hebb_instance*, double dt);
int sync(hebb_instance*);
int start(hebb_instance*);
int get_clock(hebb_instance*, int64_t* steps, double* time_ms);
int set_clock(hebb_instance*, int64_t steps, double time_ms);
int vjp(hebb_instance*, double dt, const hebb_bar* bars, int64_t count, char** error);

int open_network(hebb_module*, const char* name, const hebb_network_options*, hebb_network**, char** error);
int close_network(hebb_network*);
int64_t network_size(hebb_network*, const char* name);
int network_set(hebb_network*, const char* name, const double* values, int64_t count);
int network_get(hebb_network*, const char* name, double* values, int64_t count);
int network_feed(hebb_network*, const char* name, const double* values, int64_t rows, int64_t steps);
int run(hebb_network*, int64_t steps, double dt, char** error);
int network_record(hebb_network*, const char* name, int64_t every_steps);
int network_recording(hebb_network*, const char* name, hebb_value*);
int network_restart(hebb_network*, uint64_t seed);
int network_describe(hebb_network*, char** json, char** error);

int describe(hebb_module*, char** json, char** error);
int evaluate(hebb_module*, const hebb_evaluation*, hebb_result**, char** error);
int64_t result_count(hebb_result*);
int result_value(hebb_result*, int64_t index, hebb_value*);
const char* result_text(hebb_result*);
int close_result(hebb_result*);

}  // namespace library
}  // namespace hebb
