#pragma once
// HDF5 files. Spikes ("E.spike.times", "E.spike.neurons") are stored as SONATA says: /spikes/E/timestamps
// in ms and /spikes/E/node_ids; everything else as one dataset with its name.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compiler/support/result.h"
#include "runtime/data/array.h"

namespace hebb {

/// An array that is read piece by piece.
struct Hdf5Array {
  std::string name;
  std::vector<int64_t> shape;
  std::string unit;
  std::function<Status(int64_t begin, std::span<double> into)> read;
};

/// Straight to `path`; wrap in replace_file.
Status write_hdf5(const std::string& path, std::span<const Hdf5Array> arrays, const std::string& provenance);
Status write_hdf5(const std::string& path, const Dataset& data);

/// All datasets of numbers; of groups within groups "a.b.c". What is no array of numbers is listed as unread.
Result<Dataset> read_hdf5(const std::string& path);

}  // namespace hebb
