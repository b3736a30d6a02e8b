#pragma once
// Where each node of a kernel is computed: which loops it mentions, and in which order within a row.

#include <cstdint>
#include <map>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// The loop indices a node depends on; the union of two is their bitwise or.
enum Level : uint8_t { kUniform = 0, kPre = 1, kPost = 2, kRow = 3 };

struct Stages {
  std::vector<bool> live;      // by ExprId: some effect of the kernel needs it
  std::vector<Level> level;    // by ExprId
  std::vector<uint32_t> uniform, pre, post;   // live nodes of each level, operands first
  /// Row-level nodes in the order of the row: rows[k] can be computed once scans 0…k-1 have been
  /// updated, and holds what scan k needs; the last entry holds all the rest.
  std::vector<std::vector<uint32_t>> rows;
  std::vector<std::vector<uint32_t>> scan_reads;  // loads of the result of each scan
};
Stages stages(const Program& program, const Kernel& kernel);

/// Long computations of a sparse kernel over rows that few synapses need: those of spiking post neurons, the first arms of
/// selections; those for which alone many values of their post neuron are read, their second arms. Rows::OfPre only.
struct RareArms {
  std::map<uint32_t, int> selects;   // by ExprId: which operand is left where none of them is needed
  std::vector<bool> live_without;    // what is needed where none of them is; empty with `selects`
};
RareArms rare_arms(const Program& program, const Kernel& kernel, const Stages& stages);

/// Multiply-adds, roughly, of a synapse of a sparse kernel.
int synapse_work(const Program& program, const Kernel& kernel, const Stages& stages);

/// How the loops of a dense kernel are laid out. Bits do not depend on it. `whole`: it will run very often over all of
/// its few rows.
struct DenseLayout {
  /// Rows computed together, a power of two: each post value is then read, and each sum over
  /// presynaptic rows written, once per that many rows.
  int rows_together = 1;
  /// So little arithmetic per row that memory decides.
  bool memory_bound = false;
};
DenseLayout dense_layout(const Program& program, const Kernel& kernel, const Stages& stages,
                         int registers, bool whole = false);

}  // namespace hebb
