#pragma once
// Keeps samples of columns during a run. Indicators are sampled when a step begins (a threshold test at
// its end already writes the next step's spikes), everything else when it ends.

#include <span>
#include <vector>

#include "compiler/support/bytes.h"
#include "runtime/columns.h"
#include "runtime/observer.h"
#include "runtime/record_part.h"
#include "runtime/simulation.h"

namespace hebb {

class Recorder {
 public:
  /// Refuses a recording that would not fit in memory.
  static Result<Recorder> create(const Program& program, const Columns& columns,
                                 std::span<const Recording> recordings, int64_t steps);
  void step_begins(int64_t step, const Columns& columns);
  void step_ends(int64_t step, const StateView& now);
  void run_ends(const Columns& columns);

  /// Samples kept so far of each recording; `rewind` drops what came later.
  /// Hands streamed samples over.
  Status flush(RecordSink& sink);
  void save(ByteWriter& into) const;
  bool load(ByteReader& from);
  std::vector<int64_t> mark() const;
  void rewind(const std::vector<int64_t>& mark);

  std::vector<Recorded> recorded;

 private:
  struct Source {
    Recording what;
    bool at_begin = false;
    bool event_at_begin = false; // of `what.on`
    bool before = false;         // the value that an event finds is that at the beginning of the step
    std::vector<uint32_t> rows;  // of events
    int64_t hits = 0;            // rows to which it happens in this step
    int64_t flushed = 0;         // samples that the sink has
    std::vector<double> buffer;  // one sample before its part and its reduction
    RecordPart part;
    std::vector<double> chosen;  // the part
  };
  void sample(size_t k, const StateView& now);
  void look_for_event(size_t k, bool begins, const StateView& now);
  void add_on_event(size_t k, int64_t step, const StateView& now);
  void add_events(size_t k, int64_t step, const StateView& now);
  std::vector<Source> sources_;
};

}  // namespace hebb
