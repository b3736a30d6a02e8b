#include <filesystem>
#include <iostream>
#include <thread>

#include "compiler/codegen/codegen.h"
#include "tools/hebb/command.h"

namespace hebb::tool {

int run_doctor(const Options& options) {
  const auto check = check_options(options);
  if (!check) return kUsage;
  std::error_code error;
  const bool library = std::filesystem::is_directory(check->std_root, error);
  std::cout << version() << '\n'
            << "compiler  " << describe_host() << '\n'
            << "threads   " << std::thread::hardware_concurrency() << '\n'
            << "stdlib    " << check->std_root << (library ? "" : "  (missing)") << '\n';
  return library ? kDone : kUsage;
}

}  // namespace hebb::tool
