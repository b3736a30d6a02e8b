#pragma once
// What the environment asks of the stand-in:
//   HEBB_STANDIN_DEVICES=0     how many devices there are (1)
//   HEBB_STANDIN_SM=90         compute capability (80)
//   HEBB_STANDIN_MEMORY=65536  bytes of device memory (4 GiB)
//   HEBB_STANDIN_ORDER=7       another order of threads (0: ascending)
//   HEBB_STANDIN_FAIL=cuMemAlloc_v2:3=2,cuLaunchKernel:1=719
//                              the third call of cuMemAlloc_v2 returns 2 and does nothing else, …
//   HEBB_STANDIN_REPORT=FILE   at the end, what was called, run and left behind is appended to FILE

#include <cstdint>
#include <map>
#include <string>

namespace hebb::standin {

struct Settings {
  int devices = 1;
  int sm = 80;
  uint64_t memory = uint64_t(4) << 30;
  uint64_t order = 0;
  std::map<std::string, std::map<uint64_t, int>> failures;  // entry point → number of the call → code
  std::string report;
};

/// A variable that cannot be understood ends the process with a message: a test would test nothing.
Settings settings_from_environment();

}  // namespace hebb::standin
