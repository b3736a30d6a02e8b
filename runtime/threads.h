#pragma once
// A small pool of threads that lives as long as a simulation. `run` hands out parts 0 … count-1 and
// returns when all are done; the caller's thread takes part.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

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

/// A number that one thread changes and others wait for. Work of a step comes in pieces of microseconds, which a
/// thread that slept would miss: who waits looks for a while first. Nobody is called who does not sleep.
/// Two lines of memory for itself: machines fetch pairs of lines.
class alignas(128) Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }
  void set(uint32_t value);
  void take_one();
  /// Returns when the value is no longer `from`.
  void await_change(uint32_t from) const;
  void await(uint32_t wanted) const {
    for (uint32_t now = value(); now != wanted; now = value()) await_change(now);
  }

 private:
  void wake();
  void sleep(uint32_t from) const;
  std::atomic<uint32_t> value_{0};
  mutable std::atomic<uint32_t> sleepers_{0};
};

/// Where the threads of a pool wait for each other in the middle of a part.
class Meeting {
 public:
  explicit Meeting(int threads) : rounds_(static_cast<size_t>(threads)) {}
  /// Each thread calls it. When all are there `between` runs on thread 0, then everyone goes on.
  template <class Between>
  void meet(int thread, Between between) {
    const uint32_t round = rounds_[static_cast<size_t>(thread)].value() + 1;
    if (thread > 0) {
      rounds_[static_cast<size_t>(thread)].set(round);
      return rounds_[0].await(round);
    }
    for (size_t k = 1; k < rounds_.size(); ++k) rounds_[k].await(round);
    between();
    rounds_[0].set(round);
  }

 private:
  std::vector<Signal> rounds_;  // that each thread has reached
};

/// Divides [0, count) among the threads of a pool, f(begin, end) for each, at multiples of `grain`; does all of it
/// here where a thread would have less than `least`, or without a pool.
template <class F>
void in_pieces(ThreadPool* pool, int64_t count, int64_t least, int64_t grain, F f) {
  const int64_t threads = pool == nullptr ? 1 : pool->size();
  if (threads == 1 || count < threads * least) return f(int64_t{0}, count);
  const int64_t grains = (count + grain - 1) / grain;
  const auto at = [&](int64_t k) { return std::min(grains * k / threads * grain, count); };
  pool->run(pool->size(), [&](int k) { f(at(k), at(k + 1)); });
}

/// Calls part(0) … part(count - 1) on up to `threads` threads of their own, in any order; one thread:
/// on the caller's. Throws what the first part threw, when all are done.
void in_parallel(int threads, int64_t count, const std::function<void(int64_t)>& part);

}  // namespace hebb
