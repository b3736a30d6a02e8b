// The stand-in driver, opened as a loader opens the real one.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/ptx/standin/codes.h"

namespace hebb::standin {
namespace {

const char* const kText = R"(.version 7.0
.target sm_75
.address_size 64
.visible .entry add_one(.param .u64 p, .param .u32 n)
{
  .reg .pred %p<2>;
  .reg .b32 %r<6>;
  .reg .b64 %rd<4>;
  ld.param.b64 %rd1, [p];
  ld.param.b32 %r1, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  @%p1 bra END;
  mul.wide.u32 %rd2, %r5, 4;
  add.s64 %rd3, %rd1, %rd2;
  ld.global.b32 %r4, [%rd3];
  add.s32 %r4, %r4, 1;
  st.global.b32 [%rd3], %r4;
END:
  ret;
}
)";

/// The library by its entry points, opened afresh for every test: what happened to the one driver of a
/// process does not go away before the library does.
class StandIn : public ::testing::Test {
 protected:
  void* library_ = nullptr;
  void* context_ = nullptr;
  void* stream_ = nullptr;
  void* module_ = nullptr;
  void* function_ = nullptr;

  void TearDown() override {
    if (library_ != nullptr) dlclose(library_);
    ASSERT_EQ(dlopen(HEBB_STANDIN, RTLD_NOW | RTLD_NOLOAD), nullptr) << "the library stays after dlclose";
    unsetenv("HEBB_STANDIN_FAIL");
    unsetenv("HEBB_STANDIN_DEVICES");
  }

  template <class... Arguments>
  int call(const char* name, Arguments... arguments) {
    if (library_ == nullptr) library_ = dlopen(HEBB_STANDIN, RTLD_NOW | RTLD_LOCAL);
    void* const symbol = library_ == nullptr ? nullptr : dlsym(library_, name);
    if (symbol == nullptr) return ADD_FAILURE() << "no " << name, -1;
    return reinterpret_cast<int (*)(Arguments...)>(symbol)(arguments...);
  }

  void start() {
    int device = -1;
    ASSERT_EQ(call("cuInit", 0u), kSuccess);
    ASSERT_EQ(call("cuDeviceGet", &device, 0), kSuccess);
    ASSERT_EQ(call("cuDevicePrimaryCtxRetain", &context_, device), kSuccess);
    ASSERT_EQ(call("cuCtxSetCurrent", context_), kSuccess);
    ASSERT_EQ(call("cuStreamCreate", &stream_, 1u), kSuccess);
  }
  void load() {
    start();
    ASSERT_EQ(call("cuModuleLoadDataEx", &module_, static_cast<const void*>(kText), 0u, static_cast<int*>(nullptr), static_cast<void**>(nullptr)), kSuccess);
    ASSERT_EQ(call("cuModuleGetFunction", &function_, module_, "add_one"), kSuccess);
  }
  uint64_t memory(const std::vector<uint32_t>& words) {
    uint64_t address = 0;
    EXPECT_EQ(call("cuMemAlloc_v2", &address, 4 * words.size()), kSuccess);
    EXPECT_EQ(call("cuMemcpyHtoDAsync_v2", address, static_cast<const void*>(words.data()), 4 * words.size(), stream_), kSuccess);
    return address;
  }
  int launch(uint64_t address, uint32_t count, unsigned blocks = 4, unsigned threads = 4) {
    void* parameters[] = {&address, &count};
    return call("cuLaunchKernel", function_, blocks, 1u, 1u, threads, 1u, 1u, 0u, stream_, static_cast<void**>(parameters), static_cast<void**>(nullptr));
  }
  int copy_out(std::vector<uint32_t>& into, uint64_t address) {
    return call("cuMemcpyDtoHAsync_v2", static_cast<void*>(into.data()), address, 4 * into.size(), stream_);
  }
};

TEST_F(StandIn, RunsAKernel) {
  load();
  std::vector<uint32_t> words(13, 41);
  const uint64_t address = memory(words);
  words.assign(13, 0);  // the copy has been staged
  ASSERT_EQ(launch(address, 13), kSuccess);
  ASSERT_EQ(copy_out(words, address), kSuccess);
  EXPECT_EQ(words, std::vector<uint32_t>(13, 42));
  EXPECT_EQ(call("cuMemFree_v2", address), kSuccess);
  EXPECT_EQ(call("cuMemFree_v2", address), kInvalidValue);
  EXPECT_EQ(call("cuModuleUnload", module_), kSuccess);
  EXPECT_EQ(call("cuModuleUnload", module_), kInvalidHandle);
}

TEST_F(StandIn, GraphsReplayTheParametersOfTheirCapture) {
  load();
  std::vector<uint32_t> words(8, 0);
  const uint64_t address = memory(words);
  void *graph = nullptr, *ready = nullptr;
  ASSERT_EQ(call("cuStreamBeginCapture_v2", stream_, 1), kSuccess);
  EXPECT_EQ(call("cuStreamBeginCapture_v2", stream_, 1), kIllegalState);
  ASSERT_EQ(launch(address, 8), kSuccess);
  ASSERT_EQ(launch(address, 3), kSuccess);
  ASSERT_EQ(call("cuStreamEndCapture", stream_, &graph), kSuccess);
  ASSERT_EQ(copy_out(words, address), kSuccess);
  EXPECT_EQ(words, std::vector<uint32_t>(8, 0)) << "captured work has not run";
  ASSERT_EQ(call("cuGraphInstantiateWithFlags", &ready, graph, 0ull), kSuccess);
  ASSERT_EQ(call("cuGraphDestroy", graph), kSuccess);
  for (int k = 0; k < 3; ++k) ASSERT_EQ(call("cuGraphLaunch", ready, stream_), kSuccess);
  ASSERT_EQ(copy_out(words, address), kSuccess);
  EXPECT_EQ(words, (std::vector<uint32_t>{6, 6, 6, 3, 3, 3, 3, 3}));
  EXPECT_EQ(call("cuGraphExecDestroy", ready), kSuccess);
  EXPECT_EQ(call("cuGraphLaunch", ready, stream_), kInvalidHandle);
}

TEST_F(StandIn, CopiesOfPinnedMemoryHappenInTheirTurn) {
  load();
  void* pinned = nullptr;
  ASSERT_EQ(call("cuMemAllocHost_v2", &pinned, size_t{16}), kSuccess);
  auto* const words = static_cast<uint32_t*>(pinned);
  const uint64_t address = memory({0, 0, 0, 0});
  words[0] = 5;
  ASSERT_EQ(call("cuMemcpyHtoDAsync_v2", address, static_cast<const void*>(words), size_t{16}, stream_), kSuccess);
  words[0] = 7;  // too early: it is this that is copied
  ASSERT_EQ(launch(address, 4), kSuccess);
  ASSERT_EQ(call("cuMemcpyDtoHAsync_v2", static_cast<void*>(words), address, size_t{16}, stream_), kSuccess);
  EXPECT_EQ(words[0], 7u) << "nothing has happened yet";
  ASSERT_EQ(call("cuStreamSynchronize", stream_), kSuccess);
  EXPECT_EQ(words[0], 8u);
  EXPECT_EQ(words[1], 1u);
  EXPECT_EQ(call("cuMemFreeHost", pinned), kSuccess);
  EXPECT_EQ(call("cuMemFreeHost", pinned), kInvalidValue);
}

TEST_F(StandIn, WaitingBreaksACapture) {
  load();
  uint64_t address = 0;
  void* graph = nullptr;
  ASSERT_EQ(call("cuStreamBeginCapture_v2", stream_, 1), kSuccess);
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), kCaptureUnsupported);
  EXPECT_EQ(call("cuStreamSynchronize", stream_), kCaptureUnsupported);
  EXPECT_EQ(call("cuStreamEndCapture", stream_, &graph), kCaptureInvalidated);
  EXPECT_EQ(call("cuStreamBeginCapture_v2", nullptr, 1), kCaptureUnsupported);
}

TEST_F(StandIn, OrderOfCalls) {
  uint64_t address = 0;
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), kNotInitialized);
  EXPECT_EQ(call("cuInit", 1u), kInvalidValue);
  EXPECT_EQ(call("cuInit", 0u), kSuccess);
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), kInvalidContext);
  int device = 0;
  EXPECT_EQ(call("cuDeviceGet", &device, 1), kInvalidDevice);
  start();
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{0}), kInvalidValue);
  EXPECT_EQ(call("cuDevicePrimaryCtxRelease_v2", 0), kSuccess);
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), kInvalidContext);
}

TEST_F(StandIn, BadArguments) {
  load();
  std::vector<uint32_t> words(4, 7);
  const uint64_t address = memory(words);
  EXPECT_EQ(launch(address, 4, 0), kInvalidValue);
  EXPECT_EQ(launch(address, 4, 1, 1025), kInvalidValue);
  void* none = nullptr;
  EXPECT_EQ(call("cuModuleGetFunction", &none, module_, "absent"), kNotFound);
  EXPECT_EQ(call("cuModuleGetFunction", &none, context_, "add_one"), kInvalidHandle);
  EXPECT_EQ(call("cuStreamSynchronize", context_), kInvalidHandle);
  words.resize(5);
  EXPECT_EQ(copy_out(words, address), kInvalidValue) << "past the end";
  EXPECT_EQ(call("cuMemcpyHtoDAsync_v2", address + 4, static_cast<const void*>(words.data()), size_t{16}, stream_), kInvalidValue);
  uint64_t empty = 0, huge = 0;
  EXPECT_EQ(call("cuMemAlloc_v2", &empty, size_t{20}), kSuccess);
  EXPECT_EQ(call("cuMemAlloc_v2", &huge, size_t{1} << 40), kOutOfMemory);
  size_t free = 0, total = 0;
  EXPECT_EQ(call("cuMemGetInfo_v2", &free, &total), kSuccess);
  EXPECT_EQ(total - free, 36u);
  EXPECT_EQ(copy_out(words, empty), kIllegalAddress) << "nobody wrote there";
}

TEST_F(StandIn, TextsItDoesNotTake) {
  start();
  char log[200] = "";
  int names[] = {5, 6};
  const auto load_text = [&](const char* text) {
    void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
    return call("cuModuleLoadDataEx", &module_, static_cast<const void*>(text), 2u, static_cast<int*>(names), static_cast<void**>(values));
  };
  EXPECT_EQ(load_text(".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry k() {\n nonsense;\n}\n"), kInvalidPtx);
  EXPECT_STREQ(log, "ptxas application ptx input, line 5: unknown opcode: 'nonsense': nonsense;");
  EXPECT_EQ(load_text(".version 7.0\n.target sm_90\n.address_size 64\n"), kNoBinaryForGpu);
  EXPECT_EQ(load_text(".version 9.9\n.target sm_75\n.address_size 64\n"), kUnsupportedPtxVersion);
}

TEST_F(StandIn, AFaultComesWhenTheHostWaitsAndStays) {
  load();
  const uint64_t address = memory({1, 2});
  ASSERT_EQ(launch(address, 4), kSuccess);
  EXPECT_EQ(call("cuStreamSynchronize", stream_), kIllegalAddress);
  EXPECT_EQ(call("cuStreamSynchronize", stream_), kIllegalAddress);
  uint64_t more = 0;
  EXPECT_EQ(call("cuMemAlloc_v2", &more, size_t{4}), kIllegalAddress);
}

TEST_F(StandIn, AskedFailures) {
  setenv("HEBB_STANDIN_FAIL", "cuMemAlloc_v2:2=2,cuStreamSynchronize:1=719", 1);
  load();
  uint64_t address = 0;
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), kSuccess);
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), kOutOfMemory);
  EXPECT_EQ(call("cuMemAlloc_v2", &address, size_t{4}), kSuccess);
  EXPECT_EQ(call("cuStreamSynchronize", stream_), kLaunchFailed);
  EXPECT_EQ(call("cuStreamSynchronize", stream_), kLaunchFailed);
}

TEST_F(StandIn, NoDevice) {
  setenv("HEBB_STANDIN_DEVICES", "0", 1);
  EXPECT_EQ(call("cuInit", 0u), kNoDevice);
}

TEST_F(StandIn, ErrorsHaveTheDriversTexts) {
  const char* text = nullptr;
  EXPECT_EQ(call("cuGetErrorString", static_cast<int>(kOutOfMemory), &text), kSuccess);
  EXPECT_STREQ(text, "out of memory");
  EXPECT_EQ(call("cuGetErrorName", static_cast<int>(kIllegalAddress), &text), kSuccess);
  EXPECT_STREQ(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_EQ(call("cuGetErrorString", 12345, &text), kInvalidValue);
}

}  // namespace
}  // namespace hebb::standin
