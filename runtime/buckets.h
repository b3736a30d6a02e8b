#pragma once
// One bucketed space of a plan while it runs: what its columns stand for in each bucket.

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "runtime/columns.h"

namespace hebb {

/// What is on its way through one delay, of the steps past, the latest last: rows that spiked, or, of values,
/// the words of all rows.
using InFlight = std::deque<std::vector<uint32_t>>;

class Buckets {
 public:
  /// `first`: the place of its own among all that is in flight: its late events, then its sums.
  Buckets(const Program& program, const Bucketed& plan, Columns& columns, size_t first);

  /// Before the launches of a step: events and values that are seen now, sums that arrive now.
  void deliver(std::vector<InFlight>& in_flight);
  /// What was in flight is another now.
  void forget();

  SpaceId space() const { return plan_.space; }
  size_t first() const { return first_; }
  size_t count() const { return buckets().size(); }
  const Bucketed& plan() const { return plan_; }
  const std::vector<Bucket>& buckets() const { return columns_.connections(plan_.space).buckets; }
  /// Whether a column is a late event, of which each bucket has its own rows.
  bool has_late(ColumnId into) const;
  /// Whether a kernel reads or writes what differs between buckets.
  bool concerns(const Kernel& kernel) const;
  /// The columns of a launch for bucket b, until the next delivery.
  void* const* bases(size_t b) const { return bases_[b].data(); }
  /// The rows of a late event in bucket b; null: the column is no such event.
  const std::vector<uint32_t>* rows(ColumnId into, size_t b) const;
  int64_t longest(size_t late) const { return longest_[late]; }

 private:
  /// A late event after one delay.
  struct Shown {
    std::vector<uint32_t> rows;
    std::vector<std::byte> memory;    // 1 in these rows, else 0
  };
  int64_t delay(const Bucketed::Late& late, const Bucket& bucket) const { return late.pre ? bucket.axon : bucket.bap; }
  std::vector<uint32_t> at_the_start(const Bucketed::Late& late) const;
  void show(ColumnId column, Shown& shown, const std::vector<uint32_t>& rows) const;

  const Program& program_;
  const Bucketed& plan_;
  Columns& columns_;
  size_t first_ = 0;
  std::vector<int64_t> longest_;                        // of each late event and each sum, in steps
  std::vector<std::map<int64_t, Shown>> shown_;         // of each late event, by delay
  std::vector<std::vector<void*>> bases_;               // of each bucket
};

}  // namespace hebb
