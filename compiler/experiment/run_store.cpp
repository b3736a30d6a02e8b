#include "compiler/experiment/run_store.h"

#include <algorithm>

#include "compiler/support/bytes.h"
#include "compiler/support/text.h"
#include "runtime/data/atomic_file.h"

namespace hebb {

namespace {

constexpr std::string_view kMagic = "hebb run checkpoint 2\n";   // the number changes with the layout

/// Of everything but itself, eight bytes at a time.
uint64_t checksum(std::string_view bytes) {
  uint64_t hash = 14695981039346656037ull;
  while (bytes.size() >= sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 29;
    bytes.remove_prefix(sizeof word);
  }
  for (const unsigned char c : bytes) hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

}  // namespace

RunStore::RunStore(std::string path, double every_s) : path_(std::move(path)), every_s_(every_s) {}

Result<RunStore::Runs> RunStore::read() const {
  const auto bytes = read_file(path_);
  if (!bytes) return bytes.failure();
  if (!bytes->starts_with(kMagic))
    return Failure{cat(quoted(path_), " is not a checkpoint of runs that this version wrote")};
  const auto damaged = [&] { return Failure{cat(quoted(path_), " is damaged: the end of the file does not fit the rest")}; };
  uint64_t sum = 0;
  if (bytes->size() < kMagic.size() + sizeof sum) return damaged();
  const std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - sizeof sum);
  std::memcpy(&sum, bytes->data() + body.size(), sizeof sum);
  if (sum != checksum(body)) return damaged();
  ByteReader reader{.bytes = body.substr(kMagic.size())};
  Runs runs;
  uint64_t count = 0;
  reader(count);
  for (uint64_t k = 0; reader.ok && k < count; ++k) {
    auto run = std::make_unique<Run>();
    uint64_t lanes = 0;
    reader(run->fingerprint), reader(lanes);
    for (uint64_t lane = 0; reader.ok && lane < lanes; ++lane) {
      Lane one;
      reader(one.progress), reader(one.bytes);
      run->lanes.push_back(std::move(one));
    }
    run->kept.assign(run->lanes.size(), Clock::now());
    runs.push_back(std::move(run));
  }
  if (!reader.ok || !reader.bytes.empty()) return damaged();
  return runs;
}

Status RunStore::resume() {
  auto runs = read();
  if (!runs) return runs.failure();
  runs_ = std::move(*runs);
  return Done{};
}

void RunStore::begin_anew() {
  if (auto runs = read()) left_ = std::move(*runs);   // what is not ours to go on with is nobody's progress
}

Result<size_t> RunStore::open(uint64_t fingerprint, size_t lanes) {
  const std::lock_guard lock(mutex_);
  const size_t number = next_++;
  if (number < runs_.size()) {
    const Run& run = *runs_[number];
    if (run.fingerprint == fingerprint && run.lanes.size() == lanes) return number;
    return Failure{cat(quoted(path_), " belongs to something else: another file, another experiment, or other settings")};
  }
  const auto unfinished = [](const auto& left) {
    return std::any_of(left->lanes.begin(), left->lanes.end(), [](const Lane& lane) { return lane.progress != Progress::Done; });
  };
  const bool same = !left_.empty() && left_[0]->fingerprint == fingerprint && left_[0]->lanes.size() == lanes;
  if (same && std::any_of(left_.begin(), left_.end(), unfinished))
    return Failure{cat(quoted(path_), " holds this command's runs, unfinished")};
  left_.clear();
  auto run = std::make_unique<Run>();
  run->fingerprint = fingerprint;
  run->lanes.resize(lanes);
  run->kept.assign(lanes, Clock::now());
  runs_.push_back(std::move(run));
  return number;
}

RunStore::Lane RunStore::lane(size_t run, size_t lane) const {
  const std::lock_guard lock(mutex_);
  return runs_[run]->lanes[lane];
}

bool RunStore::due(size_t run, size_t lane) const {
  // Only the lane itself writes its time.
  return std::chrono::duration<double>(Clock::now() - runs_[run]->kept[lane]).count() >= every_s_;
}

Status RunStore::keep(size_t run, size_t lane, Progress progress, std::string bytes) {
  const std::lock_guard lock(mutex_);
  runs_[run]->lanes[lane] = {progress, std::move(bytes)};
  runs_[run]->kept[lane] = Clock::now();
  if (std::chrono::duration<double>(Clock::now() - written_).count() < 0.9 * every_s_) return Done{};
  return write_locked();
}

Status RunStore::write() {
  const std::lock_guard lock(mutex_);
  return write_locked();
}

Status RunStore::write_locked() {
  ByteWriter writer{.bytes = std::string(kMagic)};
  writer(static_cast<uint64_t>(runs_.size()));
  for (const auto& run : runs_) {
    writer(run->fingerprint), writer(static_cast<uint64_t>(run->lanes.size()));
    for (const Lane& lane : run->lanes) writer(lane.progress), writer(lane.bytes);
  }
  writer(checksum(writer.bytes));
  const Status done = write_file(path_, writer.bytes);
  if (done) written_ = Clock::now();
  return done;
}

}  // namespace hebb
