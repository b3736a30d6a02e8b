#pragma once
// A small pool of threads that lives as long as a simulation. `run` hands out parts 0 … count-1 and
// returns when all are done; the caller's thread takes part.

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
  /// Calls part(0), part(1), … each once, part k on thread k modulo size().
  void run(int count, const std::function<void(int)>& part);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace hebb
