#pragma once
// A CUDA driver with one imaginary device, whose kernels run in the interpreter. It is strict where a
// driver may be lenient, and late where a driver may be late: work of a stream is done when the host waits
// for it, so that results read too early are wrong here too. What a kernel does wrong is reported by the
// next call that waits, on stderr in full, and from then on by every call, as real contexts do.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/ptx/execute.h"
#include "tests/ptx/standin/codes.h"
#include "tests/ptx/standin/settings.h"

namespace hebb::standin {

/// A piece of work of a stream. Copies of parameters are its own.
using Work = std::function<Code()>;

struct LoadedModule;
struct EntryPoint {
  LoadedModule* module = nullptr;
  const emulator::Function* function = nullptr;
};
struct LoadedModule {
  emulator::Module module;
  std::map<std::string, std::unique_ptr<EntryPoint>> entry_points;
};
struct Stream {
  std::deque<Work> waiting;
  bool is_capturing = false;
  int capture_mode = 0;
  std::thread::id capture_thread;
  bool capture_is_broken = false;
  std::vector<Work> captured;
};
struct Graph {
  std::vector<Work> work;
};
struct Context {
  int retained = 0;
};

/// One for the process. Every member function wants `lock` held.
class Driver {
 public:
  Driver();
  ~Driver();
  std::recursive_mutex lock;
  Settings settings;

  /// The beginning of every entry point: counts the call, and says what it must return at once, if anything.
  Code enter(const char* name, bool wants_context = true);
  Code init();

  Code retain(void** context, int device);
  Code release(int device);
  Code make_current(void* context);

  Code load(void** module, const char* text, std::string* log);
  Code unload(void* module);
  Code find(void** function, void* module, const char* name);

  Code allocate(uint64_t* address, size_t bytes);
  Code free(uint64_t address);
  /// Memory of the host that copies read and write when their turn comes, not before.
  Code allocate_on_host(void** memory, size_t bytes);
  Code free_on_host(void* memory);
  uint64_t bytes_free() const { return settings.memory - memory_.bytes_in_use(); }
  Code copy_in(uint64_t into, const void* from, size_t bytes, void* stream);
  Code copy_out(void* into, uint64_t from, size_t bytes, void* stream);
  Code copy_within(uint64_t into, uint64_t from, size_t bytes, void* stream);
  Code fill(uint64_t into, const std::vector<uint8_t>& bytes, void* stream);

  Code create_stream(void** stream);
  Code destroy_stream(void* stream);
  Code wait(void* stream);
  Code wait_for_all();
  Code launch(void* function, const emulator::Grid& grid, void** parameters, void* stream);

  Code begin_capture(void* stream, int mode);
  Code end_capture(void* stream, void** graph);
  /// A capture that could not be ended is over all the same.
  void drop_capture(void* stream);
  Code instantiate(void** ready, void* graph);
  Code destroy_graph(void* graph);
  Code launch_graph(void* ready, void* stream);
  Code destroy_ready(void* ready);

 private:
  Stream* stream_of(void* handle);
  bool is_pinned(const void* memory, size_t bytes) const;
  bool is_allocated(uint64_t address, size_t bytes, std::string_view what);
  /// Adds work to a stream, or to what it captures.
  Code add(Stream& stream, Work work);
  Code do_waiting(Stream& stream);
  bool is_unsafe_now() const;
  Code run_kernel(const EntryPoint& entry, const emulator::Grid& grid, const std::vector<uint8_t>& parameters);
  void say(const std::string& what) const;
  void report() const;

  bool is_initialised_ = false;
  Code broken_ = kSuccess;                     // of the context: every call returns it
  emulator::DeviceMemory memory_;
  uint64_t next_variables_ = emulator::kVariables;
  Context context_;
  std::set<std::unique_ptr<LoadedModule>> modules_;
  std::map<void*, std::unique_ptr<Stream>> streams_;
  std::map<uintptr_t, std::vector<uint8_t>> pinned_;
  std::map<void*, std::unique_ptr<Graph>> graphs_, ready_;
  Stream default_stream_;
  std::map<std::string, uint64_t> calls_;
  uint64_t kernels_ = 0;
  emulator::RunCounts counts_;
};

Driver& driver();

}  // namespace hebb::standin
