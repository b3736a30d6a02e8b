#pragma once
// Stops a run when a condition of its network comes true.

#include <optional>
#include <string>

#include "compiler/model/model.h"
#include "runtime/observer.h"

namespace hebb {

/// Rates are followed spike by spike and the condition is tested at the end of every step; values are looked
/// at every millisecond, or at every step when that is longer.
class AbortWatch : public Observer {
 public:
  AbortWatch(const Model& model, const Network& network, const Program& program, const Columns& columns, double dt_ms);
  void step_begins(int64_t step, const StateView& now) override;
  void step_ends(int64_t step, const StateView& now) override;
  void finish(int64_t, const StateView&) override {}
  void save(ByteWriter& into) const override;
  bool load(ByteReader& from) override;
  bool stop() const override { return at_.has_value(); }
  /// "abort when rate(E.spike) > 100 Hz, at 1.2 s: rate(E.spike) is 135 Hz"
  std::string text() const;

 private:
  struct Watched {
    WatchedDef def;
    ColumnId column;
    bool at_begin = false;
    int64_t rows = 0;
    double decay = 0, jump = 0;  // of a rate
    double value = 0;
  };
  struct Condition {
    ExprId root;
    std::vector<size_t> watched;
    std::string text;
  };
  void look(Watched& watched, bool begin, int64_t step, const StateView& now);
  const Model& model_;
  double dt_ms_;
  int64_t every_ = 1;            // steps between two looks at values
  ExprPool pool_;                // of the conditions alone: those of the model would be slow to walk
  std::vector<Condition> conditions_;
  std::vector<Watched> watched_;
  std::vector<uint32_t> rows_;
  std::vector<double> buffer_;
  std::optional<size_t> which_;
  std::optional<int64_t> at_;    // steps done
};

}  // namespace hebb
