#pragma once
// Program → machine code. The only folder that knows LLVM; no LLVM type is in this header.

#include <string>
#include <vector>

#include "compiler/program/kernels.h"
#include "compiler/support/result.h"

namespace hebb {

enum class MathMode { Exact, Fast };
struct CodegenOptions {
  Precision precision = Precision::Float32;
  MathMode math = MathMode::Exact;
  int level = 3;             // 0…3
  std::string cpu = "host";  // "host", "x86-64-v3", "x86-64-v4"
  /// Every launch covers all rows of spaces as large as the program says: sizes become constants.
  bool whole = false;
  /// Kernels compute kLanesTogether runs at once; see emit_lanes.h. Every launch is whole.
  bool lanes = false;
  /// By KernelId: which are made; the others stay empty. None given: all.
  std::vector<bool> wanted = {};
  /// By KernelId: not called in every step, as far as is known; interpreted until that has taken as long as compiling it would.
  /// None given: none. Not with `lanes`.
  std::vector<bool> seldom = {};
  /// Threads that compile; no more than pay are started. The code is the same.
  int threads = 1;
};

/// Compiles in memory. Code is freed with the last copy of the result.
Result<Kernels> jit(const Program& program, const CodegenOptions& options);

/// What that takes, roughly: seconds of one processor, and no more than it will be.
double compiling_seconds(const Program& program);

/// Texts for `hebb build --emit=llvm-ir|asm` (after optimisation at `level`).
Result<std::string> llvm_ir(const Program& program, const CodegenOptions& options);
Result<std::string> assembly(const Program& program, const CodegenOptions& options);

/// "LLVM 22.1.8, skylake-avx512, 512-bit vectors"
std::string describe_host();

/// From now on what LLVM cannot go on with is an exception instead of the end of the program: for libhebb.
void throw_when_llvm_gives_up();

}  // namespace hebb
