#include "compiler/support/memory.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>

#include <sys/resource.h>
#include <unistd.h>

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

/// What `ulimit -v` leaves: addresses, which are more than what is used.
uint64_t left_of_addresses() {
  constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kAll;
  const auto pages = read_number("/proc/self/statm");
  if (!pages) return kAll;
  const uint64_t used = *pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
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
  return std::min(available, left_of_addresses());
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
