#include "runtime/measure/measure.h"

#include <algorithm>
#include <cassert>

namespace hebb {

bool measures_events(MeasureKind kind) {
  return kind != MeasureKind::Drift && kind != MeasureKind::ShareAtBounds && kind != MeasureKind::MeanValue;
}

Measures::Measures(std::vector<MeasureSpec> specs, const Program& program, const Columns& columns) {
  for (MeasureSpec& spec : specs) {
    const ColumnLayout& at = columns.layout(spec.column);
    const int64_t rows = at.posts;
    if (spec.neurons <= 0 || spec.neurons > rows) spec.neurons = rows;
    const int64_t n = spec.neurons;
    One one{.what = spec, .gathered = Counts(), .places = {}};
    switch (spec.kind) {
      case MeasureKind::MeanRate:
      case MeasureKind::StdRateSpatial: one.gathered = Counts(n); break;
      case MeasureKind::StdRateTemporal:
      case MeasureKind::Spectrum: one.gathered = PopulationCounts(n, spec.bin_steps); break;
      case MeasureKind::CvIsi:
      case MeasureKind::StdCv: one.gathered = Intervals(n); break;
      case MeasureKind::KlIsi: one.gathered = PooledIntervals(n, spec.dt_ms); break;
      case MeasureKind::FanoSpatial:
      case MeasureKind::FanoTemporal: one.gathered = BinnedCounts(n, spec.bin_steps); break;
      case MeasureKind::Autocovariance: one.gathered = LaggedCounts(n, spec.bin_steps, spec.lags); break;
      case MeasureKind::Drift:
      case MeasureKind::ShareAtBounds:
      case MeasureKind::MeanValue: {
        // As the column's own numbers are: 0.1 is another number as a float.
        const bool narrow = columns.precision() == Precision::Float32;
        const auto stored = [&](double value) { return narrow ? static_cast<double>(static_cast<float>(value)) : value; };
        one.gathered = Samples(stored(spec.low), stored(spec.high));
        one.places = equally_spaced(at.size(), spec.samples);
        break;
      }
    }
    if (measures_events(spec.kind)) {
      const bool known = std::any_of(event_columns_.begin(), event_columns_.end(),
                                     [&](const EventColumn& other) { return other.column == spec.column; });
      if (!known) event_columns_.push_back({spec.column, program[spec.column].role == Role::Indicator});
      rows_.resize(std::max(rows_.size(), static_cast<size_t>(rows)));
    }
    all_.push_back(std::move(one));
  }
}

void Measures::add_events(One& one, int64_t step, std::span<const uint32_t> rows) {
  if (step < one.what.from || step >= one.what.to) return;
  const int64_t since = step - one.what.from;
  const auto inside = rows.first(static_cast<size_t>(
      std::lower_bound(rows.begin(), rows.end(), static_cast<uint64_t>(one.what.neurons)) - rows.begin()));
  if (auto* counts = std::get_if<Counts>(&one.gathered)) {
    for (const uint32_t i : inside) counts->spike(i);
  } else if (auto* intervals = std::get_if<Intervals>(&one.gathered)) {
    for (const uint32_t i : inside) intervals->spike(since, i);
  } else if (auto* pooled = std::get_if<PooledIntervals>(&one.gathered)) {
    for (const uint32_t i : inside) pooled->spike(since, i);
  } else if (auto* binned = std::get_if<BinnedCounts>(&one.gathered)) {
    for (const uint32_t i : inside) binned->spike(since, i);
  } else if (auto* lagged = std::get_if<LaggedCounts>(&one.gathered)) {
    for (const uint32_t i : inside) lagged->spike(since, i);
  } else if (auto* population = std::get_if<PopulationCounts>(&one.gathered)) {
    if (!inside.empty()) population->spikes(since, static_cast<int64_t>(inside.size()));
  }
}

void Measures::look_at_values(int64_t step, const StateView& now) {
  std::vector<double> chosen;
  ColumnId read;
  for (One& one : all_) {
    const MeasureSpec& what = one.what;
    const bool due = !measures_events(what.kind) && step >= what.from && step <= what.to &&
                     (step - what.from) % what.every_steps == 0;
    if (!due) continue;
    if (!(read == what.column)) {
      read = what.column;
      buffer_.resize(static_cast<size_t>(now.values().layout(read).size()));
      now.values().read(read, buffer_);
    }
    chosen.clear();
    for (const int64_t place : one.places) chosen.push_back(buffer_[static_cast<size_t>(place)]);
    std::get<Samples>(one.gathered).add(chosen);
  }
}

void Measures::look_at_events(bool begin, int64_t step, const StateView& now) {
  for (const auto& [column, at_begin] : event_columns_) {
    if (at_begin != begin) continue;
    const int64_t count = now.events(column, rows_.data());
    if (count == 0) continue;
    const std::span rows(rows_.data(), static_cast<size_t>(count));
    for (One& one : all_)
      if (one.what.column == column) add_events(one, step, rows);
  }
}

void Measures::step_begins(int64_t step, const StateView& now) {
  look_at_events(true, step, now);
  look_at_values(step, now);
}

void Measures::step_ends(int64_t step, const StateView& now) { look_at_events(false, step, now); }

void Measures::finish(int64_t steps, const StateView& now) {
  look_at_values(steps, now);
  for (One& one : all_) {
    one.what.to = std::max(one.what.from, std::min(one.what.to, steps));
    const int64_t window = one.what.to - one.what.from;
    if (auto* binned = std::get_if<BinnedCounts>(&one.gathered)) binned->end(window);
    if (auto* lagged = std::get_if<LaggedCounts>(&one.gathered)) lagged->end(window);
    if (auto* population = std::get_if<PopulationCounts>(&one.gathered)) population->end(window);
  }
}

double Measures::value(size_t measure) const {
  const One& one = all_[measure];
  const double window = static_cast<double>(one.what.to - one.what.from) * one.what.dt_ms;
  const auto rates = [&] {
    std::vector<double> out;
    for (const int64_t n : std::get<Counts>(one.gathered).counts())
      out.push_back(window > 0 ? static_cast<double>(n) / window : 0);
    return out;
  };
  switch (one.what.kind) {
    case MeasureKind::MeanRate: return mean_of(rates());
    case MeasureKind::StdRateSpatial: return deviation_of(rates());
    case MeasureKind::StdRateTemporal: return std::get<PopulationCounts>(one.gathered).deviation();
    case MeasureKind::Spectrum: return std::get<PopulationCounts>(one.gathered).spectrum();
    case MeasureKind::CvIsi: return mean_of(std::get<Intervals>(one.gathered).cv());
    case MeasureKind::StdCv: return deviation_of(std::get<Intervals>(one.gathered).cv());
    case MeasureKind::KlIsi: return std::get<PooledIntervals>(one.gathered).divergence();
    case MeasureKind::FanoSpatial: return std::get<BinnedCounts>(one.gathered).spatial_fano();
    case MeasureKind::FanoTemporal: return std::get<BinnedCounts>(one.gathered).temporal_fano();
    case MeasureKind::Autocovariance: return std::get<LaggedCounts>(one.gathered).autocovariance();
    case MeasureKind::Drift: return std::get<Samples>(one.gathered).drift(one.what.least);
    case MeasureKind::ShareAtBounds: return std::get<Samples>(one.gathered).share_at_bounds();
    case MeasureKind::MeanValue: return std::get<Samples>(one.gathered).mean();
  }
  assert(false && "every kind has its case");
  return 0;
}

void Measures::save(ByteWriter& into) const {
  for (const One& one : all_)
    std::visit([&](const auto& gathered) { gathered.fields(into, gathered); }, one.gathered);
}

bool Measures::load(ByteReader& from) {
  for (One& one : all_) {
    // Arrays of another length than ours would be read past their end. Only the bins of a population grow.
    from.same_sizes = !std::holds_alternative<PopulationCounts>(one.gathered);
    std::visit([&](auto& gathered) { gathered.fields(from, gathered); }, one.gathered);
  }
  from.same_sizes = false;
  return from.ok;
}

}  // namespace hebb
