#include "runtime/threads.h"

#include <pthread.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdint>
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

// Both sides in one order: who is about to sleep is counted before he looks at the value for the last time,
// and who changes the value looks at the count afterwards.

void Signal::wake() {
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
#ifdef __linux__
  syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
#else
  value_.notify_all();
#endif
}

/// On a busy machine the library's own wait gives its turn away before it sleeps, and gets it back late.
void Signal::sleep(uint32_t from) const {
#ifdef __linux__
  while (value_.load(std::memory_order_seq_cst) == from)
    syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, from, nullptr, nullptr, 0);
#else
  value_.wait(from, std::memory_order_seq_cst);
#endif
}

void Signal::set(uint32_t value) {
  value_.exchange(value, std::memory_order_seq_cst);
  wake();
}

void Signal::take_one() {
  value_.fetch_sub(1, std::memory_order_seq_cst);
  wake();
}

void Signal::await_change(uint32_t from) const {
  // A microsecond without a break, some 20 us with breaks. Who sleeps is late by 5 us and costs who wakes him one or two, so
  // that the other one sleeps at the next meeting: in steps of 20 us both then did nothing else.
  constexpr int kLooks = 400, kSpins = 1200;
  for (int k = 0; k < kSpins; ++k) {
    if (value() != from) return;
#ifdef __x86_64__
    if (k >= kLooks) __builtin_ia32_pause();
#endif
  }
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  sleep(from);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

struct ThreadPool::Shared {
  Signal round;                        // a new number: work is there
  Signal busy;                         // threads still at work
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
    busy.set(0);
  }
  void hire() {
    for (int k = 1; k < threads; ++k) workers.emplace_back([this, k, now = round.value()] { work(k, now); });
  }

  void take(int thread) {
    failure.catching([&] {
      for (int k = thread; k < count; k += threads) (*part)(k);
    });
  }
  void work(int thread, uint32_t begins) {
    for (uint32_t seen = begins;;) {
      round.await_change(seen);
      seen = round.value();
      if (stop) return;
      take(thread);
      busy.take_one();
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
  shared_->round.set(shared_->round.value() + 1);
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
  shared_->busy.set(static_cast<uint32_t>(shared_->threads - 1));
  shared_->round.set(shared_->round.value() + 1);
  shared_->take(0);
  shared_->busy.await(0);
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
