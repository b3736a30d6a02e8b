#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

namespace hebb::testing {

/// A fresh folder, removed at the end.
struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("hebb_test_" + std::to_string(::getpid()));
  Folder() { std::filesystem::remove_all(path); std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  size_t files() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path), {})); }
};

}  // namespace hebb::testing
