#pragma once
// In which order several threads do what a step consists of. Neurons belong to threads in blocks, and a
// synapse to the thread of its post or of its pre neuron: tasks that keep to what is their thread's own follow
// each other without a meeting. Threads meet only where one reads what another wrote. What costs next to nothing,
// such as a decay that all share or the traces of the few neurons that have just spiked, each thread computes for itself.

#include <cstdint>
#include <span>
#include <vector>

#include "compiler/program/program.h"

namespace hebb {

/// Which part of a kernel's domain each thread takes: all of it the first, or the synapses and neurons of
/// its post or pre neurons; or each thread all of it, in copies of its own. A sum must not be shared by two threads.
enum class Share { One, ByPost, ByPre, Each };
Share share_of(const Program& program, const Kernel& kernel);

/// What each thread computes for itself: by number, columns of which it has a copy and the kernels that write them.
struct Copied {
  std::vector<bool> columns, kernels;
};
/// Uniform columns, and columns of neurons that a step changes in a few rows at most and that some thread reads beyond its own
/// block. None of `barred`, nor of what depends on one that a step writes; `unchanging` is not written by steps. Both by number.
Copied copied(const Program& program, const std::vector<bool>& unchanging, const std::vector<bool>& barred);

/// Whose elements of a thing a thread touches.
enum class Reach {
  First,        // the first thread, any
  Any,          // each thread, any
  OwnNeurons,   // each thread, those of its block
  OwnByPost,    // each thread, synapses of its post neurons
  OwnByPre,     // each thread, synapses of its pre neurons
  OwnCopy,      // each thread, any of its copy
};
struct Touch {
  uint32_t thing = 0;
  bool writes = false;
  Reach reach = Reach::Any;
};
struct Task {
  bool first_thread = false;  // it alone; else all do their part
  bool beside = false;        // of the first thread alone: while the others do something else
  std::vector<Touch> touches;
};

/// Of columns, by their numbers; of none in `unchanging`, which is by number too, as is `copied`.
std::vector<Touch> touches(const Program& program, const Kernel& kernel, Share share, const std::vector<bool>& unchanging, const std::vector<bool>& copied);

/// The level of each task. Even levels are the first thread's alone, odd ones are for all but for what it does
/// beside; what is done in one level is seen in the next. Within a level tasks keep their order.
std::vector<int> levels(std::span<const Task> tasks);

}  // namespace hebb
