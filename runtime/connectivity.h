#pragma once
// Which synapses a sparse space has: drawn or listed, stored by pre neuron and, where kernels ask for it,
// by post neuron too. What is drawn depends on the key, the site and the neuron only.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compiler/program/program.h"
#include "compiler/support/result.h"
#include "runtime/pages.h"

namespace hebb {

/// Numbers of neurons, in 16 bits where their population allows.
class NeuronIndex {
 public:
  explicit NeuronIndex(int64_t neurons = 0) : narrow_(index_bytes(neurons) == 2) {}
  void resize(size_t count) { narrow_ ? small_.resize(count) : large_.resize(count); }
  size_t size() const { return narrow_ ? small_.size() : large_.size(); }
  void push_back(uint32_t neuron) {
    narrow_ ? small_.push_back(static_cast<uint16_t>(neuron)) : large_.push_back(neuron);
  }
  void reserve(size_t count) { narrow_ ? small_.reserve(count) : large_.reserve(count); }
  bool narrow() const { return narrow_; }
  void append(const std::vector<uint16_t>& neurons, size_t count) { small_.insert(small_.end(), neurons.begin(), neurons.begin() + static_cast<std::ptrdiff_t>(count)); }
  void append(const std::vector<uint32_t>& neurons, size_t count) { large_.insert(large_.end(), neurons.begin(), neurons.begin() + static_cast<std::ptrdiff_t>(count)); }
  void set(size_t at, uint32_t neuron) {
    (narrow_ ? small_[at] = static_cast<uint16_t>(neuron) : large_[at] = neuron);
  }
  uint32_t operator[](size_t at) const { return narrow_ ? small_[at] : large_[at]; }
  const void* data() const { return narrow_ ? static_cast<const void*>(small_.data()) : large_.data(); }
  size_t bytes() const { return small_.capacity() * 2 + large_.capacity() * 4; }

 private:
  bool narrow_ = true;
  LargeVector<uint16_t> small_;
  LargeVector<uint32_t> large_;
};

/// The synapses of one combination of delays, in steps, 0 where there is none: of each row and of each column.
struct Bucket {
  int64_t axon = 0, dend = 0, bap = 0;
  std::vector<int64_t> row_begin, row_end;
  std::vector<int64_t> column_begin;
  std::vector<uint32_t> synapse;
  NeuronIndex pre;
};

struct Connections {
  std::vector<int64_t> row_begin;     // first synapse of each pre neuron, and their number
  NeuronIndex post;                   // of each synapse; ascending within a row
  // By post neuron; empty when no kernel needs it.
  std::vector<int64_t> column_begin;
  LargeVector<uint32_t> synapse;      // ascending within a column
  NeuronIndex pre;                    // of each entry of `synapse`
  // With delays of single synapses: rows lie bucket by bucket, and this is the place of each synapse by pre and post.
  std::vector<uint32_t> place;
  std::vector<Bucket> buckets;
  // Of threads that own blocks of post neurons: the synapses onto one block lie together, block after block, and these
  // are the places of the first ones of each row there, and of the end. Empty: rows lie whole.
  std::vector<std::vector<int64_t>> blocks;
  int64_t count() const { return static_cast<int64_t>(post.size()); }
  /// The first of synapses [begin, end), ascending by post neuron, whose post neuron is not before this one.
  int64_t first_from(int64_t neuron, int64_t begin, int64_t end) const {
    while (begin < end) {
      const int64_t middle = begin + (end - begin) / 2;
      if (post[static_cast<size_t>(middle)] < neuron) begin = middle + 1;
      else end = middle;
    }
    return begin;
  }
  size_t bytes() const;
};

/// How many synapses there will be, at most a few more than are drawn.
double expected_synapses(const Program& program, const Space& space);

Result<Connections> connect(const Program& program, const Space& space, uint64_t key);
void index_by_post(Connections& connections, int64_t pres, int64_t posts);
/// Draws the delays of single synapses and sorts each row by them; refuses what is no whole number of steps.
Status sort_by_delay(const Program& program, const Space& space, uint64_t key, bool by_post, Connections& connections);

/// Where the neurons of a thread begin: blocks meet at multiples of 16, so that no two threads write one line of memory.
int64_t block_begin(int64_t neurons, int threads, int thread);
/// Lays the synapses onto each thread's block of post neurons together. Before index_by_post.
void lay_in_blocks(Connections& connections, int64_t pres, int64_t posts, int threads);
/// Where synapses in the order by pre and post neuron lie: f(first, place of the first, how many), in that order.
template <class F>
void each_stretch(const Connections& connections, F f) {
  if (connections.blocks.empty()) return f(int64_t{0}, int64_t{0}, connections.count());
  for (size_t i = 0; i + 1 < connections.row_begin.size(); ++i) {
    int64_t synapse = connections.row_begin[i];
    for (const std::vector<int64_t>& block : connections.blocks) {
      if (block[i] < block[i + 1]) f(synapse, block[i], block[i + 1] - block[i]);
      synapse += block[i + 1] - block[i];
    }
  }
}
/// Where synapse `synapse` of neuron `pre` lies.
int64_t place_of(const Connections& connections, int64_t pre, int64_t synapse);

/// Pre and post neuron of the synapse at this place.
Edge edge_of(const Connections& connections, int64_t synapse);

}  // namespace hebb
