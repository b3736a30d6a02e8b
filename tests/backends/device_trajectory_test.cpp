// Runs that a device differentiates at once have the bits of runs that go alone on the CPU: recordings, gradients, what
// signals are owed; whatever the runs beside them do, all steps kept or checkpoints.

#include <cstdlib>

#include "compiler/experiment/engine.h"
#include "runtime/device/device.h"
#include "runtime/device/gradient/trajectory.h"
#include "tests/unit/recordings.h"

namespace hebb {
namespace {

using namespace recordings;

const Result<std::shared_ptr<const CudaDevice>>& device() {
  static const auto opened = [] {
    setenv("HEBB_CUDA_DRIVER", HEBB_STANDIN, 1);
    return CudaDevice::open();
  }();
  return opened;
}

struct OnDevice {
  std::vector<Given> given;
  DeviceTrajectory::Setup setup;
};

OnDevice prepare(const RecordedNetwork& n, Precision precision, uint64_t count, uint64_t max_bytes) {
  OnDevice out;
  EXPECT_TRUE(device().ok());
  auto adjoint = std::make_shared<const DeviceAdjoint>(adjoint_on_device(n.adjoint, n.read));
  EXPECT_TRUE(verify(adjoint->program).empty()) << verify(adjoint->program)[0];
  auto kernels = make_device_kernels(adjoint->program, precision, Resets::ByHost, *device());
  EXPECT_TRUE(kernels.ok());
  for (uint64_t r = 0; r < count; ++r) out.given.push_back(given(n, r, 0));
  out.setup = {.adjoint = adjoint, .code = kernels->device, .precision = precision, .outputs = n.read, .steps = kSteps, .dt_ms = 1,
               .keys = {}, .feeds = {}, .max_bytes = max_bytes};
  for (uint64_t r = 0; r < count; ++r) out.setup.keys.push_back(random_key(9, static_cast<uint32_t>(r)));
  for (const Given& g : out.given) out.setup.feeds.push_back(&g.feeds);
  return out;
}

void compare(Precision precision, uint64_t count, bool checkpoints) {
  const RecordedNetwork n = recorded_network();
  OnDevice on = prepare(n, precision, count, uint64_t{1} << 30);
  if (checkpoints) {
    const auto least = DeviceTrajectory::least_bytes(on.setup);
    ASSERT_TRUE(least.ok());
    on.setup.max_bytes = *least * count;
  }
  auto made = DeviceTrajectory::create(on.setup);
  ASSERT_TRUE(made.ok()) << made.error();
  EXPECT_EQ(made->memory().checkpoints > 1, checkpoints);
  std::vector<std::vector<Found>> want;
  for (uint64_t r = 0; r < count; ++r) want.push_back(alone(n, precision, r, uint64_t{1} << 30));
  size_t finite = 0;
  for (const size_t turn : {size_t{0}, size_t{1}}) {
    // In the second turn the first run and the last take no part.
    std::vector<bool> takes_part(count, true);
    if (turn == 1 && count > 2) takes_part.front() = takes_part.back() = false;
    std::vector<Given> all;
    for (uint64_t r = 0; r < count; ++r) all.push_back(given(n, r, static_cast<int>(turn)));
    std::vector<const std::vector<double>*> as, ws;
    for (const Given& g : all) as.push_back(&g.a), ws.push_back(&g.w);
    made->take_part(takes_part);
    ASSERT_TRUE(made->set(n.a, as).ok());
    made->initialise();
    ASSERT_TRUE(made->set(n.w, ws).ok());
    const auto recorded = made->forward();
    ASSERT_TRUE(recorded.ok()) << recorded.error();
    std::vector<ByLane> seeds;
    for (uint64_t r = 0; r < count; ++r) seeds.push_back(takes_part[r] ? owed(r) : ByLane{});
    ASSERT_TRUE(made->reverse(seeds).ok());
    for (uint64_t r = 0; r < count; ++r) {
      if (!takes_part[r]) continue;
      const auto lane = static_cast<int64_t>(r);
      const std::string what = "recording " + std::to_string(r) + ", turn " + std::to_string(turn);
      for (size_t k = 0; k < n.read.size(); ++k) expect_equal((*recorded)[r][k], want[r][turn].recorded[k], what + ", recorded");
      expect_equal(made->gradient(n.a, lane), want[r][turn].a, what + ", coefficients");
      expect_equal(made->gradient(n.w, lane), want[r][turn].w, what + ", first weights");
      expect_equal(made->gradient_of_feed(n.x, lane), want[r][turn].x, what + ", signal");
      finite += std::isfinite(want[r][turn].a[0]) && want[r][turn].a[0] != 0;
    }
  }
  EXPECT_GT(finite, count / 2);   // not all of it is nan or nothing
}

TEST(device_trajectory, runs_at_once_have_the_bits_of_runs_alone) {
  compare(Precision::Float32, 7, false);
  compare(Precision::Float64, 7, false);
  compare(Precision::Float32, 1, false);
}

TEST(device_trajectory, from_checkpoints_too) {
  compare(Precision::Float32, 5, true);
  compare(Precision::Float64, 3, true);
}

TEST(device_trajectory, too_little_memory_is_a_sentence) {
  const RecordedNetwork n = recorded_network();
  const OnDevice on = prepare(n, Precision::Float32, 2, 1000);
  const auto made = DeviceTrajectory::create(on.setup);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().find("of the GPU's memory even with checkpoints, 1.0 kB allowed"), std::string::npos) << made.error();
}

}  // namespace
}  // namespace hebb
