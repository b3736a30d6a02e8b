#include "compiler/experiment/stream.h"

#include <filesystem>

#include "compiler/experiment/format.h"
#include "compiler/support/text.h"

namespace hebb {

namespace {

/// Numbers in front of a sample: the time, the neuron.
int64_t lead_of(const Recording& what) { return what.events ? 2 : record_lead(what); }
int64_t parts_of(const Recording& what) { return lead_of(what) + (what.events ? 0 : 1); }
std::string part_path(const std::string& path, int64_t part) { return cat(path, ".part", part); }

}  // namespace

Result<StreamedRecords> StreamedRecords::create(const std::string& path, const std::vector<Kept>& kept, double dt_ms, bool goes_on) {
  StreamedRecords out;
  out.path_ = path;
  out.dt_ms_ = dt_ms;
  int64_t parts = 0;
  for (size_t k = 0; k < kept.size(); ++k) {
    if (!kept[k].recording.streamed) continue;
    const Recording& what = kept[k].recording;
    One one{.recording = k, .name = what.name, .unit = {}, .shape = {}, .lead = lead_of(what), .values = !what.events,
            .parts = {}, .samples = 0};
    if (kept[k].dimension && what.reduce != RecordReduce::Histogram) one.unit = kept[k].unit;
    for (int64_t n = 0; n < parts_of(what); ++n) {
      auto part = PartFile::open(part_path(path, parts++), goes_on ? PartFile::kAsItIs : 0);
      if (!part) {
        out.all_.push_back(std::move(one));
        if (!goes_on) out.remove_parts();
        return part.failure();
      }
      one.parts.push_back(*std::move(part));
    }
    out.all_.push_back(std::move(one));
  }
  return out;
}

void StreamedRecords::begins(size_t recording, const std::vector<int64_t>& shape) {
  for (One& one : all_)
    if (one.recording == recording && one.values) one.shape = shape;
}

Status StreamedRecords::take(size_t recording, std::span<const double> values, int64_t samples) {
  for (One& one : all_) {
    if (one.recording != recording) continue;
    one.samples += samples;
    if (one.lead == 0) return one.parts[0].append(values);
    const size_t lead = static_cast<size_t>(one.lead), size = lead + (one.values ? static_cast<size_t>(count(one.shape)) : 0);
    std::vector<std::vector<double>> parts(one.parts.size());
    for (size_t at = 0; at + size <= values.size(); at += size) {
      parts[0].push_back(values[at] * dt_ms_);
      if (lead > 1) parts[1].push_back(values[at + 1]);
      if (one.values) parts[lead].insert(parts[lead].end(), values.begin() + static_cast<int64_t>(at + lead), values.begin() + static_cast<int64_t>(at + size));
    }
    for (size_t k = 0; k < parts.size(); ++k)
      if (const Status done = one.parts[k].append(parts[k]); !done) return done;
  }
  return Done{};
}

void StreamedRecords::save(ByteWriter& into) const {
  for (const One& one : all_) {
    into(one.samples);
    for (const PartFile& part : one.parts) part.flush(), into(part.numbers()), into(part.sum());
  }
}

Status StreamedRecords::load(ByteReader& from) {
  struct Expected {
    PartFile* part;
    int64_t numbers = 0;
    uint64_t sum = 0;
  };
  std::vector<Expected> all;
  for (One& one : all_) {
    from(one.samples);
    for (PartFile& part : one.parts) {
      Expected& kept = all.emplace_back(&part);
      from(kept.numbers), from(kept.sum);
      if (!from.ok || kept.numbers < 0 || one.samples < 0) return Failure{"the checkpoint does not fit this run"};
    }
  }
  // All are looked at before one is cut: who is refused loses nothing.
  for (const Expected& kept : all) {
    const auto sum = kept.part->sum_of(kept.numbers);
    if (!sum) return sum.failure();
    if (*sum != kept.sum)
      return Failure{cat("cannot go on with ", quoted(kept.part->path()), ": it is damaged, its numbers are not those that the checkpoint counts on")};
  }
  for (const Expected& kept : all)
    if (const Status cut = kept.part->cut(kept.numbers, kept.sum); !cut) return cut;
  return Done{};
}

Status StreamedRecords::finish(const std::string& provenance) {
  std::vector<StreamedArray> arrays;
  for (One& one : all_) {
    for (size_t k = 0; k < one.parts.size(); ++k) {
      const auto at = static_cast<int64_t>(k);
      const bool value = at == one.lead;
      Extents shape = value ? one.shape : Extents{};
      shape.insert(shape.begin(), one.samples);
      if (const Status done = one.parts[k].finish(shape); !done) return done;
      const std::string ending = value ? "" : at == 0 ? ".times" : ".neurons";
      arrays.push_back({one.name + ending, shape, value ? one.unit : at == 0 ? "ms" : "", &one.parts[k]});
    }
  }
  return save_streamed(path_, arrays, provenance);
}

void StreamedRecords::remove_parts() {
  for (One& one : all_)
    for (PartFile& part : one.parts) part.remove();
}

void remove_parts_of(const std::string& path, const std::vector<Kept>& kept) {
  int64_t parts = 0;
  for (const Kept& one : kept)
    if (one.recording.streamed) parts += parts_of(one.recording);
  std::error_code ignored;
  for (int64_t k = 0; k < parts; ++k) std::filesystem::remove(part_path(path, k), ignored);
}

std::string streamed_path(const std::string& folder, const std::string& name, bool batched, int64_t lane) {
  std::filesystem::path path = name;
  if (batched) path.replace_extension(cat(".", lane, path.extension().string()));
  if (path.is_relative() && !folder.empty()) path = std::filesystem::path(folder) / path;
  return path.string();
}

}  // namespace hebb
