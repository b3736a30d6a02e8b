#include "runtime/threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace hebb {
namespace {

/// The first exception of some threads.
class FirstFailure {
 public:
  template <class Work>
  void catching(Work work) noexcept {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
  void rethrow() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  std::mutex mutex_;
  std::exception_ptr failure_;
};

/// Forks of this process so far, seen from the children: threads do not go along into a child.
std::atomic<uint32_t>& forks() {
  static std::atomic<uint32_t> count{0};
  [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] { ++count; });
  return count;
}

}  // namespace

struct ThreadPool::Shared {
  std::atomic<uint32_t> round{0};      // a new number: work is there
  std::atomic<int> busy{0};            // threads still at work
  std::atomic<bool> stop{false};
  int threads = 1;
  int count = 0;
  const std::function<void(int)>* part = nullptr;
  std::vector<std::thread> workers;
  FirstFailure failure;
  uint32_t born = forks();             // in which process

  /// In a child: the threads are the parent's, which nobody can join here.
  void forget_lost_threads() {
    if (workers.empty() || born == forks()) return;
    new std::vector<std::thread>(std::move(workers));  // never destroyed: a lost thread is joinable for ever
    workers.clear();
    born = forks();
    busy = 0;
  }
  void hire() {
    for (int k = 1; k < threads; ++k) workers.emplace_back([this, k, now = round.load()] { work(k, now); });
  }

  void take(int thread) {
    failure.catching([&] {
      for (int k = thread; k < count; k += threads) (*part)(k);
    });
  }
  /// Work of a step comes in pieces of microseconds: a thread that slept would miss it.
  template <class Value>
  static void await_change(const std::atomic<Value>& value, Value from) {
    constexpr int kSpins = 400;
    for (int k = 0; k < kSpins; ++k) {
      if (value.load(std::memory_order_acquire) != from) return;
#ifdef __x86_64__
      __builtin_ia32_pause();
#endif
    }
    value.wait(from, std::memory_order_acquire);
  }

  void work(int thread, uint32_t begins) {
    for (uint32_t seen = begins;;) {
      await_change(round, seen);
      seen = round.load(std::memory_order_acquire);
      if (stop) return;
      take(thread);
      if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : shared_(std::make_unique<Shared>()) {
  shared_->threads = std::max(threads, 1);
  shared_->hire();
}

ThreadPool::~ThreadPool() {
  shared_->forget_lost_threads();
  shared_->stop = true;
  shared_->round.fetch_add(1, std::memory_order_release);
  shared_->round.notify_all();
  for (std::thread& worker : shared_->workers) worker.join();
}

int ThreadPool::size() const { return shared_->threads; }

void ThreadPool::run(int count, const std::function<void(int)>& part) {
  if (shared_->threads > 1 && shared_->born != forks()) {
    shared_->forget_lost_threads();
    shared_->hire();
  }
  shared_->count = count;
  shared_->part = &part;
  if (shared_->workers.empty() || count <= 1) {
    for (int k = 0; k < count; ++k) part(k);
    return;
  }
  shared_->busy.store(shared_->threads - 1, std::memory_order_relaxed);
  shared_->round.fetch_add(1, std::memory_order_release);
  shared_->round.notify_all();
  shared_->take(0);
  for (int left = shared_->busy.load(std::memory_order_acquire); left != 0;
       left = shared_->busy.load(std::memory_order_acquire))
    Shared::await_change(shared_->busy, left);
  shared_->failure.rethrow();
}

void in_parallel(int threads, int64_t count, const std::function<void(int64_t)>& part) {
  const int64_t workers = std::min<int64_t>(threads, count);
  if (workers <= 1) {
    for (int64_t k = 0; k < count; ++k) part(k);
    return;
  }
  FirstFailure failure;
  std::atomic<int64_t> next = 0;
  std::vector<std::jthread> pool;
  for (int64_t k = 0; k < workers; ++k) {
    pool.emplace_back([&] {
      failure.catching([&] {
        for (int64_t one = next++; one < count; one = next++) part(one);
      });
    });
  }
  pool.clear();  // joins
  failure.rethrow();
}

}  // namespace hebb
