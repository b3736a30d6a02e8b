#pragma once
// with (record = "run.h5"): the records of a run on their way to a file.

#include "compiler/experiment/keep.h"
#include "runtime/data/part_file.h"

namespace hebb {

class StreamedRecords : public RecordSink {
 public:
  /// Parts beside the file, empty, or, of a run that goes on, as they were found; a folder that cannot be written shows here, before the run.
  static Result<StreamedRecords> create(const std::string& path, const std::vector<Kept>& kept, double dt_ms, bool goes_on);
  void begins(size_t recording, const std::vector<int64_t>& shape) override;
  Status take(size_t recording, std::span<const double> values, int64_t samples) override;
  void save(ByteWriter& into) const override;
  Status load(ByteReader& from) override;

  /// Makes the file of the parts.
  Status finish(const std::string& provenance);
  void remove_parts();

 private:
  struct One {
    size_t recording = 0;
    std::string name;
    std::string unit;
    Extents shape;                    // of a sample
    int64_t lead = 0;                 // numbers in front of it: the time, the neuron
    bool values = true;               // more than those
    std::vector<PartFile> parts;      // times, neurons, values: those that it has
    int64_t samples = 0;
  };
  std::string path_;
  double dt_ms_ = 1;
  std::vector<One> all_;
};

/// Removes what is left of the parts when a process was killed after its checkpoint knew that the run was finished.
void remove_parts_of(const std::string& path, const std::vector<Kept>& kept);

/// "out/run.h5"; of a lane of a batch "out/run.3.h5".
std::string streamed_path(const std::string& folder, const std::string& name, bool batched, int64_t lane);

}  // namespace hebb
