#pragma once
// Runs a grid of threads over a function, one thread after another. What PTX leaves open, and what a
// device need not do the same way twice, is a fault and not a result:
//   an address outside every allocation, a misaligned one, a byte that nobody wrote;
//   two threads of one launch that touch the same four bytes, one of them writing;
//   a write to what was read through the read-only path;
//   division by zero, more steps than allowed.

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "compiler/support/result.h"
#include "tests/ptx/memory.h"
#include "tests/ptx/module.h"

namespace hebb::emulator {

struct Grid {
  std::array<uint32_t, 3> blocks = {1, 1, 1};
  std::array<uint32_t, 3> threads = {1, 1, 1};
};

struct RunOptions {
  /// 0: blocks and threads in ascending order. Else another order for each seed, and other garbage in
  /// registers that were never written.
  uint64_t order = 0;
  /// What arithmetic gives that has no number to give. PTX promises none for 64 bits.
  uint32_t nan32 = 0x7fffffff;
  uint64_t nan64 = 0xfff8'0000'0000'0000;
  uint64_t steps_per_launch = uint64_t(1) << 36;
};

struct RunCounts {
  uint64_t threads = 0;
  uint64_t instructions = 0;
};

/// What went wrong, as a driver would tell it.
enum class FaultKind { Launch, Address, Misaligned, Timeout };
struct Fault {
  FaultKind kind = FaultKind::Launch;
  std::string message;   // "kernel 'k', line 12, block (0, 0, 0), thread (3, 0, 0): …: ld.global.b32 …"
};
struct RunResult {
  bool ok = true;
  Fault fault;
  RunCounts counts;
};

/// `parameters` are the bytes of all parameters, as Function::parameters lays them out.
RunResult run(const Module& module, const Function& function, const Grid& grid, std::span<const uint8_t> parameters,
              DeviceMemory& memory, const RunOptions& options = {});

/// Puts the module's tables where its code finds them.
void load_variables(const Module& module, DeviceMemory& memory);

}  // namespace hebb::emulator
