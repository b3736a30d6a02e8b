#include "runtime/device/code.h"

#include <algorithm>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"

namespace hebb {

LoadedCode::~LoadedCode() {
  if (module == nullptr) return;
  device->enter();
  device->driver().module_unload(module);
}

namespace {

constexpr size_t kParameterBytes = 4096;   // of one kernel, on every device
constexpr int64_t kMostBlocks = 0x7fffffff;

/// What no launch can take.
Status check_limits(const DeviceProgram& device) {
  const Program& program = device.program;
  for (const Space& space : program.spaces)
    if (space.kind == SpaceKind::Neurons && space.size > kMostBlocks)
      return Failure{cat(quoted(space.name), " has ", space.size, " neurons; a GPU takes ", kMostBlocks)};
  for (uint32_t k = 0; k < device.kernels.size(); ++k)
    if (device.kernels[k].parameters.size() * sizeof(uint64_t) > kParameterBytes)
      return Failure{cat("the kernel ", quoted(program.kernels[k].name), " has ", device.kernels[k].parameters.size(),
                         " parameters; a GPU takes ", kParameterBytes / sizeof(uint64_t))};
  return Done{};
}

}  // namespace

Result<std::shared_ptr<const DeviceCode>> load_code(std::shared_ptr<const CudaDevice> device, DeviceProgram program,
                                                    const std::string& ptx) {
  if (Status done = check_limits(program); !done) return done.failure();
  auto code = std::make_shared<LoadedCode>();
  code->device = std::move(device);
  code->program = std::move(program);
  code->device->enter();
  const CudaDriver& driver = code->device->driver();
  std::string log(4096, '\0');
  int names[] = {cuda::kErrorLogBuffer, cuda::kErrorLogBytes};
  void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
  if (const cuda::Code done = driver.module_load(&code->module, ptx.c_str(), 2, names, values); done != 0) {
    code->module = nullptr;
    const std::string why = log.c_str();
    return Failure{cat(cuda_status(driver, done, "the compiled kernels").error(), why.empty() ? "" : cat("; ", why))};
  }
  for (const DeviceKernel& kernel : code->program.kernels) {
    cuda::Function function = nullptr;
    if (Status done = cuda_status(driver, driver.module_function(&function, code->module, kernel.symbol.c_str()), "a kernel"); !done)
      return done.failure();
    code->functions.push_back(function);
  }
  return std::shared_ptr<const DeviceCode>(std::move(code));
}

Result<DeviceMemory> DeviceMemory::allocate(const CudaDevice& device, const std::string& whose, uint64_t bytes) {
  DeviceMemory out;
  out.device_ = &device;
  const CudaDriver& driver = device.driver();
  size_t free = 0, total = 0;
  driver.memory_info(&free, &total);
  const cuda::Code code = driver.memory_alloc(&out.at_, std::max<uint64_t>(bytes, kDeviceAlignment));
  if (code == 0) return out;
  out.at_ = 0;
  if (code != cuda::kOutOfMemory) return cuda_status(driver, code, "memory").failure();
  return Failure{cat(quoted(whose), " needs ", bytes_text(static_cast<double>(bytes)), " more of the GPU's memory, ",
                     bytes_text(static_cast<double>(free)), " of ", bytes_text(static_cast<double>(total)), " free")};
}

DeviceMemory::~DeviceMemory() {
  if (at_ == 0) return;
  device_->enter();
  device_->driver().memory_free(at_);
}

uint64_t device_bytes(const Program& program, ColumnId column, Precision precision) {
  constexpr int64_t kVector = 16;
  const auto padded = [](int64_t n) { return (n + kVector - 1) / kVector * kVector; };
  const Space& space = program[program[column].space];
  const int64_t width = program[column].width;
  int64_t elements = 0;
  switch (space.kind) {
    case SpaceKind::Uniform: elements = padded(width); break;
    case SpaceKind::Neurons: elements = padded(space.size) * width; break;
    case SpaceKind::Dense: elements = program[space.pre].size * padded(program[space.post].size) * width; break;
    case SpaceKind::Sparse: break;
  }
  return static_cast<uint64_t>(elements) * (precision == Precision::Float32 ? sizeof(float) : sizeof(double));
}

}  // namespace hebb
