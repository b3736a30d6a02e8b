// Objects that `hebb build` writes have an error code for everything a host can do wrong.

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/loaded_object.h"

namespace hebb {
namespace {

using testing::Host;
using testing::Loaded;
using testing::unit_of;

class Mistakes : public ::testing::Test {
 protected:
  EmbedUnit unit = unit_of("rule R { signal reward[2]; weight w in [0, 1]; x' = -x / 20 ms + pre.spike; "
                           "on post.spike { w += x * pre.r * (reward[0] + reward[1]); } on every 10 ms { w += 1; } }");
  Loaded code{unit};
  Host host{unit, code, 4, 3};
  size_t input(const std::string& name) {
    for (size_t k = 0; k < unit.object.inputs.size(); ++k)
      if ((*unit.program)[unit.object.inputs[k].column].name == name) return k;
    ADD_FAILURE() << name;
    return 0;
  }
};

TEST_F(Mistakes, NullPointers) {
  EXPECT_EQ(code.bytes(nullptr), HEBB_NULL);
  EXPECT_EQ(code.init(nullptr, nullptr, 0), HEBB_NULL);
  EXPECT_EQ(code.init(host.block(), nullptr, 1 << 20), HEBB_NULL);
  ASSERT_EQ(host.init(), HEBB_OK);
  EXPECT_EQ(code.instant(nullptr, host.inputs()), HEBB_NULL);
  EXPECT_EQ(code.instant(host.block(), nullptr), HEBB_NULL);
  EXPECT_EQ(code.step(nullptr, nullptr, 1), HEBB_NULL);
  EXPECT_EQ(code.sync(nullptr), HEBB_NULL);
  EXPECT_EQ(code.start(nullptr), HEBB_NULL);
  host.slot(input("pre.r")) = {nullptr, 4};
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_NULL);
  host.clear_inputs();
  reinterpret_cast<void**>(host.block() + 1)[1] = nullptr;  // an array of the block
  EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_NULL);
}

TEST_F(Mistakes, AHeaderOfAnotherVersion) {
  ++host.block()->abi_version;
  EXPECT_EQ(code.bytes(host.block()), HEBB_ABI);
  EXPECT_EQ(code.init(host.block(), &host, 1), HEBB_ABI);
  --host.block()->abi_version;
  host.block()->struct_size -= 8;
  EXPECT_EQ(code.bytes(host.block()), HEBB_ABI);
  host.block()->struct_size += 8;
  ASSERT_EQ(host.init(), HEBB_OK);
  host.inputs_head()[0] = 99;
  EXPECT_EQ(code.instant(host.block(), host.inputs()), HEBB_ABI);
  host.clear_inputs();
  host.inputs_head()[1] += 16;
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_ABI);
}

TEST_F(Mistakes, CallsOutOfOrder) {
  EXPECT_EQ(code.instant(host.block(), host.inputs()), HEBB_ORDER);
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_ORDER);
  EXPECT_EQ(code.sync(host.block()), HEBB_ORDER);
  EXPECT_EQ(code.start(host.block()), HEBB_ORDER);
  ASSERT_EQ(host.init(), HEBB_OK);
  host.block()->n_post = 1000;  // grown behind the arrays' back
  EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_ORDER);
}

TEST_F(Mistakes, AbsurdSizes) {
  for (const int64_t n : {int64_t{0}, int64_t{-5}, INT64_MAX, INT64_MIN, int64_t{1} << 31, int64_t{INT32_MAX}}) {
    host.block()->n_pre = n;
    host.block()->n_post = std::max<int64_t>(n, 1 << 30);
    EXPECT_EQ(code.bytes(host.block()), HEBB_SIZE) << n;
    host.block()->n_pre = 4;
    host.block()->n_post = n == INT32_MAX ? 0 : n;
    EXPECT_EQ(code.bytes(host.block()), HEBB_SIZE) << n;
  }
}

TEST_F(Mistakes, TooLittleOrCrookedMemory) {
  const int64_t bytes = code.bytes(host.block());
  ASSERT_GT(bytes, 0);
  alignas(64) static char memory[1 << 16];
  EXPECT_EQ(code.init(host.block(), memory, bytes - 1), HEBB_MEMORY);
  EXPECT_EQ(code.init(host.block(), memory, -1), HEBB_MEMORY);
  EXPECT_EQ(code.init(host.block(), memory + 8, bytes), HEBB_ALIGNMENT);
  EXPECT_EQ(code.init(host.block(), memory, bytes), HEBB_OK);
}

TEST_F(Mistakes, SpikesOfNeuronsThatAreNot) {
  ASSERT_EQ(host.init(), HEBB_OK);
  host.floats("w")[0] = 0.5f;
  for (const int32_t wrong : {-1, 4, INT32_MAX, INT32_MIN}) {
    const int32_t list[] = {0, wrong};
    host.slot(input("pre.spike")) = {list, 2};
    EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_INDEX) << wrong;
  }
  // Nothing happened: not even the first, good spike.
  EXPECT_EQ(host.floats("x")[0], 0);
  EXPECT_EQ(host.block()->step, 0);
}

TEST_F(Mistakes, CountsThatDoNotFit) {
  ASSERT_EQ(host.init(), HEBB_OK);
  const float values[8] = {};
  for (const int64_t count : {int64_t{3}, int64_t{5}, int64_t{-4}, INT64_MAX}) {
    host.slot(input("pre.r")) = {values, count};
    EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_COUNT) << count;
  }
  host.slot(input("pre.r")) = {values, 4};
  host.slot(input("reward")) = {values, 1};
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_COUNT);
  host.slot(input("reward")) = {values, 2};
  EXPECT_EQ(code.step(host.block(), host.inputs(), 1), HEBB_OK);
}

TEST_F(Mistakes, StepsOfNoLength) {
  ASSERT_EQ(host.init(), HEBB_OK);
  for (const double dt : {0.0, -1.0, std::nan(""), HUGE_VAL}) EXPECT_EQ(code.step(host.block(), nullptr, dt), HEBB_DT) << dt;
  EXPECT_EQ(host.block()->time_ms, 0);
}

TEST_F(Mistakes, AClockWithoutAPeriod) {
  ASSERT_EQ(host.init(), HEBB_OK);
  for (const float period : {0.0f, -1.0f, std::nanf("")}) {
    *host.floats("every0_period") = period;
    EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_PERIOD) << period;
  }
  // So short that its firings cannot be counted.
  *host.floats("every0_period") = 1e-30f;
  host.block()->time_ms = 1;
  EXPECT_EQ(code.step(host.block(), nullptr, 1), HEBB_PERIOD);
}

TEST_F(Mistakes, EveryCodeHasASentence) {
  const auto text = code.get<const char* (*)(int)>("error_text");
  std::set<std::string> sentences;
  for (int k = 0; k >= HEBB_PERIOD; --k) sentences.insert(text(k));
  EXPECT_EQ(sentences.size(), static_cast<size_t>(1 - HEBB_PERIOD));
  for (const int none : {1, -1000, INT32_MIN, INT32_MAX}) EXPECT_EQ(std::string(text(none)), "no such code");
}

}  // namespace
}  // namespace hebb
