// What becomes of broken promises and of other exceptions: they reach the caller, from threads too.

#include <cassert>
#include <atomic>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "compiler/support/promise.h"
#include "runtime/threads.h"

namespace hebb {
namespace {

TEST(Promise, ABrokenOneIsAnExceptionWithItsSentence) {
  const int one = 1;
  assert(one == 1 && "kept");
  try {
    assert(one == 2 && "one is two");
    FAIL() << "nothing was thrown";
  } catch (const BrokenPromise& broken) {
    EXPECT_NE(std::string(broken.what()).find("one is two"), std::string::npos) << broken.what();
    EXPECT_NE(std::string(broken.what()).find("promise_test.cpp:"), std::string::npos) << broken.what();
  }
}

TEST(Promise, APoolThrowsWhatItsThreadsThrowAndGoesOn) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int bad = 0; bad < 6; ++bad)
      EXPECT_THROW(pool.run(6, [&](int k) { if (k == bad) throw std::runtime_error("part"); }), std::runtime_error);
    std::atomic<int> done = 0;
    pool.run(6, [&](int) { ++done; });
    EXPECT_EQ(done, 6);
  }
}

TEST(Promise, PartsInParallelThrowTheFirstFailure) {
  for (const int threads : {1, 3}) {
    EXPECT_THROW(in_parallel(threads, 10, [](int64_t k) { if (k == 7) throw std::runtime_error("part"); }), std::runtime_error);
    std::atomic<int64_t> sum = 0;
    in_parallel(threads, 10, [&](int64_t k) { sum += k; });
    EXPECT_EQ(sum, 45);
    in_parallel(threads, 0, [](int64_t) { FAIL(); });
  }
}

}  // namespace
}  // namespace hebb
