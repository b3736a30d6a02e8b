#include "compiler/experiment/stream.h"

#include <filesystem>

#include "compiler/experiment/format.h"
#include "compiler/support/text.h"

namespace hebb {

Result<StreamedRecords> StreamedRecords::create(const std::string& path, const std::vector<Kept>& kept, double dt_ms, bool goes_on) {
  StreamedRecords out;
  out.path_ = path;
  out.dt_ms_ = dt_ms;
  int parts = 0;
  for (size_t k = 0; k < kept.size(); ++k) {
    if (!kept[k].recording.streamed) continue;
    One one{.recording = k, .events = kept[k].events(), .name = kept[k].recording.name, .unit = {}, .shape = kept[k].shape,
            .kept_shape = {}, .slices = kept[k].slices, .parts = {}, .samples = 0};
    if (kept[k].dimension) one.unit = kept[k].unit;
    Tensor sample{.shape = one.shape, .values = std::vector<double>(static_cast<size_t>(one.slices.empty() ? 0 : count(one.shape))), .dimension = {}};
    one.kept_shape = one.slices.empty() ? one.shape : slice(sample, one.slices).shape;
    for (int n = 0; n < (one.events ? 2 : 1); ++n) {
      auto part = PartFile::open(cat(path, ".part", parts++), goes_on ? PartFile::kAsItIs : 0);
      if (!part) {
        out.all_.push_back(std::move(one));
        out.remove_parts();
        return part.failure();
      }
      one.parts.push_back(*std::move(part));
    }
    out.all_.push_back(std::move(one));
  }
  return out;
}

Status StreamedRecords::take(size_t recording, std::span<const double> values, int64_t samples) {
  for (One& one : all_) {
    if (one.recording != recording) continue;
    one.samples += samples;
    if (one.events) {
      std::vector<double> times, neurons;
      for (size_t k = 0; k + 1 < values.size(); k += 2) {
        times.push_back(values[k] * dt_ms_);
        neurons.push_back(values[k + 1]);
      }
      if (const Status done = one.parts[0].append(times); !done) return done;
      return one.parts[1].append(neurons);
    }
    if (one.slices.empty()) return one.parts[0].append(values);
    const size_t size = values.size() / static_cast<size_t>(samples);
    for (int64_t k = 0; k < samples; ++k) {
      const auto begin = values.begin() + static_cast<int64_t>(size) * k;
      const Tensor sample{.shape = one.shape, .values = {begin, begin + static_cast<int64_t>(size)}, .dimension = {}};
      if (const Status done = one.parts[0].append(slice(sample, one.slices).values); !done) return done;
    }
  }
  return Done{};
}

void StreamedRecords::save(ByteWriter& into) const {
  for (const One& one : all_) {
    into(one.samples);
    for (const PartFile& part : one.parts) part.flush(), into(part.numbers());
  }
}

Status StreamedRecords::load(ByteReader& from) {
  for (One& one : all_) {
    from(one.samples);
    for (PartFile& part : one.parts) {
      int64_t numbers = 0;
      from(numbers);
      if (!from.ok || numbers < 0 || one.samples < 0) return Failure{"the checkpoint does not fit this run"};
      auto cut = PartFile::open(part.path(), numbers);
      if (!cut) return cut.failure();
      part = *std::move(cut);
    }
  }
  return Done{};
}

Status StreamedRecords::finish(const std::string& provenance) {
  std::vector<StreamedArray> arrays;
  for (One& one : all_) {
    Extents shape = one.events ? Extents{} : one.kept_shape;
    shape.insert(shape.begin(), one.samples);
    for (size_t k = 0; k < one.parts.size(); ++k) {
      if (const Status done = one.parts[k].finish(shape); !done) return done;
      const std::string ending = !one.events ? "" : k == 0 ? ".times" : ".neurons";
      arrays.push_back({one.name + ending, shape, one.events ? (k == 0 ? "ms" : "") : one.unit, &one.parts[k]});
    }
  }
  return save_streamed(path_, arrays, provenance);
}

void StreamedRecords::remove_parts() {
  for (One& one : all_)
    for (PartFile& part : one.parts) part.remove();
}

std::string streamed_path(const std::string& folder, const std::string& name, bool batched, int64_t lane) {
  std::filesystem::path path = name;
  if (batched) path.replace_extension(cat(".", lane, path.extension().string()));
  if (path.is_relative() && !folder.empty()) path = std::filesystem::path(folder) / path;
  return path.string();
}

}  // namespace hebb
