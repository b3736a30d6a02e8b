#pragma once
// Whether the postsynaptic neurons of a program hear nothing of each other: then a run may be cut by them, each
// part a smaller program of the same kernels, and every bit stays.

#include <optional>
#include <span>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// Spaces that are cut together: populations of `posts` neurons, and the synapses onto them.
struct Uncoupled {
  std::vector<bool> spaces;   // by SpaceId
  int64_t posts = 0;
  bool cut(SpaceId id) const { return spaces[id.value]; }
};

/// Of the largest population that a dense kernel among `kernels` ends on. None: something a kernel computes for one
/// of its neurons depends on another of them, or hangs on their number.
std::optional<Uncoupled> uncoupled_posts(const Program& program, std::span<const KernelId> kernels);

/// The same program with fewer neurons in the spaces that are cut.
Program narrowed(const Program& program, const Uncoupled& cut, int64_t posts);

}  // namespace hebb
