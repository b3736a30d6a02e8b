#pragma once
// The runs of one command, finished and unfinished, in one file: a command that is killed at any moment goes on
// from there to the same bits. Experiments are evaluated again from their beginning, runs that were finished
// are read back, the others go on.

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/result.h"

namespace hebb {

/// What every such file begins with, of whatever version.
inline constexpr std::string_view kRunStateBegins = "hebb run checkpoint ";

/// Where the runs of a command that fits are kept: `checkpoint` itself is the state of its fit.
inline std::string runs_beside(const std::string& checkpoint) { return checkpoint + ".runs"; }

class RunStore {
 public:
  enum class Progress : uint8_t { Fresh, Partial, Done };
  struct Lane {
    Progress progress = Progress::Fresh;
    std::string bytes;           // Partial: of the simulation; Done: of its result
  };

  /// An empty path: nothing is kept.
  RunStore(std::string path, double every_s);
  /// Reads the file, and goes on from it.
  Status resume();
  /// Looks at what an earlier command left there: open() refuses to begin anew what stands there unfinished.
  void begin_anew();

  /// The next run of this command; `fingerprint` tells runs apart that are not the same. Returns its number.
  Result<size_t> open(uint64_t fingerprint, size_t lanes);
  Lane lane(size_t run, size_t lane) const;
  /// Whether it is time to keep a lane's state.
  bool due(size_t run, size_t lane) const;
  /// Keeps it, and writes the file when that has not been done for a while.
  Status keep(size_t run, size_t lane, Progress progress, std::string bytes);
  Status write();

 private:
  using Clock = std::chrono::steady_clock;
  struct Run {
    uint64_t fingerprint = 0;
    std::vector<Lane> lanes;
    std::vector<Clock::time_point> kept;
  };
  using Runs = std::vector<std::unique_ptr<Run>>;
  Result<Runs> read() const;
  Status write_locked();
  std::string path_;
  double every_s_;
  size_t next_ = 0;
  Runs runs_;
  Runs left_;                    // by an earlier command, until the first run is opened
  Clock::time_point written_ = Clock::now();
  mutable std::mutex mutex_;     // lanes run in threads
};

}  // namespace hebb
