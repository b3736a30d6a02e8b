#include "runtime/recorder.h"

#include <algorithm>
#include <cmath>

#include "compiler/support/memory.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

/// Bins of equal width, the last with its upper border. Values outside, and what is no number, count nowhere.
void add_histogram(const Recording& what, std::span<const double> values, std::vector<double>& into) {
  const size_t begin = into.size();
  into.resize(begin + static_cast<size_t>(what.bins));
  for (const double value : values) {
    if (!(value >= what.low && value <= what.high)) continue;
    const auto bin = static_cast<int64_t>((value - what.low) / (what.high - what.low) * static_cast<double>(what.bins));
    into[begin + static_cast<size_t>(std::min(bin, what.bins - 1))] += 1;
  }
}

}  // namespace

Result<Recorder> Recorder::create(const Program& program, const Columns& columns,
                                  std::span<const Recording> recordings, int64_t steps) {
  Recorder recorder;
  double bytes = 0;
  std::vector<double> room;
  std::vector<RecordPart> parts;
  for (const Recording& recording : recordings) {
    if (recording.every_steps < 1)
      return Failure{cat("recording ", quoted(recording.name), " is kept every ",
                         recording.every_steps, " steps, needs at least 1")};
    auto part = record_part(program, columns, recording);
    if (!part) return part.failure();
    parts.push_back(*std::move(part));
    const int64_t size = recording.reduce == RecordReduce::None ? parts.back().size() : std::max<int64_t>(recording.bins, 1);
    const int64_t samples = recording.final_only ? 1 : (steps + recording.every_steps - 1) / recording.every_steps;
    room.push_back(recording.events || recording.streamed || recording.on.valid() ? 0 : static_cast<double>(size) * static_cast<double>(samples));
    bytes += room.back() * sizeof(double);
  }
  const double available = static_cast<double>(available_memory());
  if (bytes > available)
    return Failure{cat("the recordings of ", plural(static_cast<size_t>(steps), "step"), " need ",
                       bytes_text(bytes), " of memory, ", bytes_text(available), " available")};

  for (size_t k = 0; k < recordings.size(); ++k) {
    const Recording& recording = recordings[k];
    Source source{.what = recording,
                  .at_begin = program[recording.column].role == Role::Indicator,
                  .buffer = std::vector<double>(static_cast<size_t>(columns.layout(recording.column).size())),
                  .part = std::move(parts[k]),
                  .chosen = {}};
    Recorded recorded{.name = recording.name, .shape = {}, .samples = 0, .values = {}};
    if (recording.reduce == RecordReduce::None && !recording.events) recorded.shape = source.part.shape;
    if (recording.reduce == RecordReduce::Histogram) recorded.shape = {recording.bins};
    if (recording.of_row) recorded.shape.erase(recorded.shape.begin());
    if (recording.events) {
      recorded.shape = {2};
      source.rows.resize(source.buffer.size());
    }
    if (recording.on.valid()) {
      source.event_at_begin = program[recording.on].role == Role::Indicator;
      source.before = program[recording.column].role != Role::Value;
      source.rows.resize(static_cast<size_t>(columns.layout(recording.on).size()));
    }
    recorded.values.reserve(static_cast<size_t>(room[k]));
    recorder.sources_.push_back(std::move(source));
    recorder.recorded.push_back(std::move(recorded));
  }
  return recorder;
}

void Recorder::sample(size_t k, const StateView& now) {
  Source& source = sources_[k];
  Recorded& into = recorded[k];
  if (source.what.final_only) {
    into.values.clear();
    into.samples = 0;
  }
  if (const RecordReduce reduce = source.what.reduce; source.part.whole && (reduce == RecordReduce::Mean || reduce == RecordReduce::Sum)) {
    if (const auto spikes = now.spikes(source.what.column)) {  // a sum of ones is exact in whatever order
      const auto sum = static_cast<double>(spikes->size());
      into.values.push_back(reduce == RecordReduce::Sum ? sum : sum / static_cast<double>(source.buffer.size()));
      ++into.samples;
      return;
    }
  }
  now.values().read(source.what.column, source.buffer);
  std::span<const double> values = source.buffer;
  if (!source.part.whole) {
    source.chosen.clear();
    for (const int64_t place : source.part.places) source.chosen.push_back(source.buffer[static_cast<size_t>(place)]);
    values = source.chosen;
  }
  switch (source.what.reduce) {
    case RecordReduce::None: into.values.insert(into.values.end(), values.begin(), values.end()); break;
    case RecordReduce::Histogram: add_histogram(source.what, values, into.values); break;
    default: into.values.push_back(reduced(source.what.reduce, values));
  }
  ++into.samples;
}

void Recorder::add_events(size_t k, int64_t step, const StateView& now) {
  Source& source = sources_[k];
  const int64_t count = now.events(source.what.column, source.rows.data());
  for (int64_t at = 0; at < count; ++at) {
    recorded[k].values.push_back(static_cast<double>(step));
    recorded[k].values.push_back(static_cast<double>(source.rows[static_cast<size_t>(at)]));
  }
  recorded[k].samples += count;
}

/// Who has the event, as soon as it can be known, and what they are like before it.
void Recorder::look_for_event(size_t k, bool begins, const StateView& now) {
  Source& source = sources_[k];
  if (begins == source.event_at_begin) source.hits = now.events(source.what.on, source.rows.data());
  const bool read = source.before ? begins && (!source.event_at_begin || source.hits > 0) : !begins && source.hits > 0;
  if (source.what.of_row && read) now.values().read(source.what.column, source.buffer);
}

void Recorder::add_on_event(size_t k, int64_t step, const StateView& now) {
  Source& source = sources_[k];
  Recorded& into = recorded[k];
  if (source.hits == 0) return;
  if (!source.what.of_row) {
    into.values.push_back(static_cast<double>(step));
    sample(k, now);
    return;
  }
  const size_t width = source.buffer.size() / source.rows.size();
  for (int64_t at = 0; at < source.hits; ++at) {
    const size_t row = source.rows[static_cast<size_t>(at)];
    into.values.push_back(static_cast<double>(step));
    into.values.push_back(static_cast<double>(row));
    const auto begin = source.buffer.begin() + static_cast<int64_t>(row * width);
    into.values.insert(into.values.end(), begin, begin + static_cast<int64_t>(width));
  }
  into.samples += source.hits;
}

void Recorder::step_begins(int64_t step, const Columns& columns) {
  const StateView now(columns);
  for (size_t k = 0; k < sources_.size(); ++k) {
    const Source& source = sources_[k];
    if (source.what.on.valid()) {
      look_for_event(k, true, now);
      continue;
    }
    if (!source.at_begin) continue;
    if (source.what.events) {
      add_events(k, step, now);
      continue;
    }
    if (source.what.final_only || step % source.what.every_steps == 0) sample(k, now);
  }
}

void Recorder::step_ends(int64_t step, const StateView& now) {
  for (size_t k = 0; k < sources_.size(); ++k) {
    const Source& source = sources_[k];
    if (source.what.on.valid()) {
      look_for_event(k, false, now);
      add_on_event(k, step, now);
      continue;
    }
    if (source.at_begin || source.what.final_only) continue;
    if (source.what.events) {
      add_events(k, step, now);
      continue;
    }
    if (step % source.what.every_steps == 0) sample(k, now);
  }
}

void Recorder::run_ends(const Columns& columns) {
  for (size_t k = 0; k < sources_.size(); ++k) {
    if (!sources_[k].what.final_only) continue;
    if (!sources_[k].at_begin || recorded[k].samples == 0) sample(k, StateView(columns));
  }
}

Status Recorder::flush(RecordSink& sink) {
  for (size_t k = 0; k < sources_.size(); ++k) {
    if (!sources_[k].what.streamed || recorded[k].values.empty()) continue;
    const Status taken = sink.take(k, recorded[k].values, recorded[k].samples - sources_[k].flushed);
    if (!taken) return taken;
    sources_[k].flushed = recorded[k].samples;
    recorded[k].values.clear();
  }
  return Done{};
}

void Recorder::save(ByteWriter& into) const {
  for (size_t k = 0; k < recorded.size(); ++k) into(recorded[k].samples), into(sources_[k].flushed), into(recorded[k].values);
}

bool Recorder::load(ByteReader& from) {
  for (size_t k = 0; k < recorded.size(); ++k) {
    Recorded& kept = recorded[k];
    int64_t& flushed = sources_[k].flushed;
    from(kept.samples), from(flushed), from(kept.values);
    int64_t size = 1;
    for (const int64_t extent : kept.shape) size *= extent;
    size += record_lead(sources_[k].what);
    from.ok = from.ok && flushed >= 0 && flushed <= kept.samples && (kept.samples - flushed) * size == static_cast<int64_t>(kept.values.size());
    if (from.ok)
      for (const double step_or_row : sources_[k].what.events ? std::span<const double>(kept.values) : std::span<const double>())
        from.ok = from.ok && step_or_row >= 0;
  }
  return from.ok;
}

std::vector<int64_t> Recorder::mark() const {
  std::vector<int64_t> samples;
  for (const Recorded& kept : recorded) samples.push_back(kept.samples);
  return samples;
}

void Recorder::rewind(const std::vector<int64_t>& mark) {
  for (size_t k = 0; k < recorded.size(); ++k) {
    Recorded& kept = recorded[k];
    const int64_t here = kept.samples - sources_[k].flushed;
    if (here == 0) continue;
    const size_t size = kept.values.size() / static_cast<size_t>(here);
    kept.values.resize(size * static_cast<size_t>(mark[k] - sources_[k].flushed));
    kept.samples = mark[k];
  }
}

}  // namespace hebb
