#pragma once
// A small pool of threads that lives as long as a simulation. `run` hands out parts 0 … count-1 and
// returns when all are done; the caller's thread takes part.

#include <cstdint>
#include <functional>
#include <memory>

namespace hebb {

class ThreadPool {
 public:
  /// `threads` counts the caller's; 1 starts none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;
  /// Calls part(0), part(1), … each once, part k on thread k modulo size(). What a part throws is thrown
  /// again here, when all threads are done; the other parts of its thread are left out.
  void run(int count, const std::function<void(int)>& part);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

/// Calls part(0) … part(count - 1) on up to `threads` threads of their own, in any order; one thread:
/// on the caller's. Throws what the first part threw, when all are done.
void in_parallel(int threads, int64_t count, const std::function<void(int64_t)>& part);

}  // namespace hebb
