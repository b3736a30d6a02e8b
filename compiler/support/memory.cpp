#include "compiler/support/memory.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>

#include "compiler/support/text.h"

namespace hebb {

namespace {

/// A number of a one-number file ("max": no limit).
std::optional<uint64_t> read_number(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) return value;
  return {};
}

}  // namespace

uint64_t available_memory() {
  uint64_t available = std::numeric_limits<uint64_t>::max();
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    constexpr std::string_view kLabel = "MemAvailable:";
    if (!line.starts_with(kLabel)) continue;
    const char* from = line.c_str() + kLabel.size();
    available = std::strtoull(from, nullptr, 10) * 1024;
    break;
  }
  const auto limit = read_number("/sys/fs/cgroup/memory.max");
  const auto used = read_number("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit > *used ? *limit - *used : 0);
  return available;
}

std::string bytes_text(double bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(kUnits)) {
    bytes /= 1000;
    ++unit;
  }
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, bytes, std::chars_format::fixed,
                                 unit > 0 && bytes < 9.95 ? 1 : 0).ptr;
  return cat(std::string_view(text, end), ' ', kUnits[unit]);
}

}  // namespace hebb
