#include <filesystem>
#include <iostream>
#include <thread>

#include "compiler/codegen/codegen.h"
#include "compiler/support/text.h"
#include "runtime/device/device.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

namespace {

/// "NVIDIA H100, compute capability 9.0, driver 12.9"
std::string gpu() {
  const auto device = CudaDevice::open();
  if (!device) return cat("none: ", device.error());
  const int sm = (*device)->sm(), version = (*device)->version();
  return cat((*device)->name(), ", compute capability ", sm / 10, ".", sm % 10, ", driver ", version / 1000, ".", version % 1000 / 10);
}

}  // namespace

int run_doctor(const Options& options) {
  const auto check = check_options(options);
  if (!check) return kUsage;
  std::error_code error;
  const bool library = std::filesystem::is_directory(check->std_root, error);
  std::cout << version() << '\n'
            << "compiler  " << describe_host() << '\n'
            << "threads   " << std::thread::hardware_concurrency() << '\n'
            << "gpu       " << gpu() << '\n'
            << "stdlib    " << check->std_root << (library ? "" : "  (missing)") << '\n';
  return library ? kDone : kUsage;
}

}  // namespace hebb::tool
