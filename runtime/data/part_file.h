#pragma once
// Numbers on their way to a file, on disk: recordings grow there and not in memory. A part is an NPY file
// whose header is written last; it can be cut to any length, so that a run can go on after it was killed.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "compiler/support/result.h"

namespace hebb {

class PartFile {
 public:
  static constexpr int64_t kAsItIs = -1;
  /// Keeps the first `numbers` of a file that is there; 0 begins anew; as it is: it must be there. A part belongs to whoever has it open: a second run is refused.
  static Result<PartFile> open(const std::string& path, int64_t numbers);
  /// Of the first `numbers`, which must be there, as `sum()` is of all.
  Result<uint64_t> sum_of(int64_t numbers) const;
  /// Keeps the first `numbers`, whose sum that is.
  Status cut(int64_t numbers, uint64_t sum);
  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&& other) noexcept;
  ~PartFile();

  Status append(std::span<const double> values);
  Status read(int64_t begin, std::span<double> into) const;
  /// As one array of that shape.
  Status finish(const std::vector<int64_t>& shape);
  /// To the disk, as far as that can be had: what a checkpoint counts on.
  void flush() const;
  int64_t numbers() const { return numbers_; }
  /// Of their bits and their order: other numbers have another.
  uint64_t sum() const { return sum_; }
  const std::string& path() const { return path_; }
  /// Deletes it.
  void remove();

 private:
  PartFile() = default;
  std::string path_;
  int file_ = -1;
  int64_t numbers_ = 0;
  uint64_t sum_ = 0;
};

/// A finished part under the name it gets in the file.
struct StreamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::string unit;
  const PartFile* part = nullptr;
};

/// .npz or .h5, by the ending; replaced only by a complete file. Memory does not grow with the arrays.
Status save_streamed(const std::string& path, std::span<const StreamedArray> arrays, const std::string& provenance);

}  // namespace hebb
