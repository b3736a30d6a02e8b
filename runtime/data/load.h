#pragma once
// Files of data, by the ending of their name.

#include <string>

#include "compiler/support/result.h"
#include "runtime/data/array.h"

namespace hebb {

/// .csv, .npy (one array, named after the file), .npz and MATLAB's .mat. HDF5 is not supported yet.
Result<Dataset> load_data(const std::string& path);

/// .npz, .npy (exactly one array) and .csv (columns); replaced only by a complete file.
Status save_data(const std::string& path, const Dataset& data, NumberType type = NumberType::Float64);

}  // namespace hebb
