#pragma once
// A program ready to run: the initial values that the host sets are taken out of its `init` kernels, so
// that everything that is computed from them (a state that starts at a parameter) sees the host's.

#include <memory>
#include <set>
#include <string>

#include "compiler/experiment/experiment.h"
#include "compiler/program/device.h"
#include "compiler/program/program.h"
#include "compiler/support/result.h"

namespace hebb {

/// The program without the `init` stores into these columns.
Program without_initial_values(Program program, const std::set<uint32_t>& columns);

/// Rows times operations of one launch of each kernel: what the interpreter takes time for.
double interpreted_work(const Program& program, std::span<const KernelId> kernels);

/// Roughly: seconds that runs of a program take when they are interpreted, `steps` of all of them together.
double interpreting_seconds(const Program& program, int64_t runs, int64_t steps);

/// Threads that compile: not those of the run, which is begun later.
int compile_threads();

Result<Kernels> make_kernels(std::shared_ptr<const Program> program, Precision precision,
                             ExperimentOptions::Engine engine, int level, bool whole = false);

/// The same on a GPU.
Result<Kernels> make_device_kernels(const Program& program, Precision precision, Resets resets,
                                    std::shared_ptr<const CudaDevice> device);

}  // namespace hebb
