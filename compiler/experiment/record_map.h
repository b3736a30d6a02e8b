#pragma once
// Records of a part of a column, or of its mean, sum, minimum or maximum, in a loss: a trajectory keeps the whole column, and
// what the record holds is computed from that; derivatives go the other way.

#include <optional>
#include <span>
#include <vector>

#include "runtime/record_part.h"

namespace hebb {

struct RecordMap {
  RecordPart part;
  RecordReduce reduce = RecordReduce::None;
  size_t whole = 1;                     // numbers of a sample of the column
  std::vector<int64_t> shape() const { return reduce == RecordReduce::None ? part.shape : std::vector<int64_t>{}; }
  bool is_identity() const { return part.whole && reduce == RecordReduce::None; }
};

/// What the record holds, sample by sample.
std::vector<double> taken(const RecordMap& map, std::vector<double> whole);
/// Derivatives of the same along `directions`, which follow each number.
std::vector<double> slopes_taken(const RecordMap& map, std::span<const double> whole, std::vector<double> slopes, size_t directions);
/// What is owed to the column for what is owed to the record. Numbers that share a minimum or maximum share that, too.
std::vector<double> given_back(const RecordMap& map, std::span<const double> whole, std::vector<double> owed);

}  // namespace hebb
