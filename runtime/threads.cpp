#include "runtime/threads.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace hebb {

struct ThreadPool::Shared {
  std::atomic<uint32_t> round{0};      // a new number: work is there
  std::atomic<int> busy{0};            // threads still at work
  std::atomic<bool> stop{false};
  int threads = 1;
  int count = 0;
  const std::function<void(int)>* part = nullptr;
  std::vector<std::thread> workers;

  void take(int thread) const {
    for (int k = thread; k < count; k += threads) (*part)(k);
  }
  void work(int thread) {
    for (uint32_t seen = 0;;) {
      round.wait(seen, std::memory_order_acquire);
      seen = round.load(std::memory_order_acquire);
      if (stop) return;
      take(thread);
      if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : shared_(std::make_unique<Shared>()) {
  shared_->threads = std::max(threads, 1);
  for (int k = 1; k < shared_->threads; ++k)
    shared_->workers.emplace_back([shared = shared_.get(), k] { shared->work(k); });
}

ThreadPool::~ThreadPool() {
  shared_->stop = true;
  shared_->round.fetch_add(1, std::memory_order_release);
  shared_->round.notify_all();
  for (std::thread& worker : shared_->workers) worker.join();
}

int ThreadPool::size() const { return shared_->threads; }

void ThreadPool::run(int count, const std::function<void(int)>& part) {
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
    shared_->busy.wait(left, std::memory_order_acquire);
}

}  // namespace hebb
