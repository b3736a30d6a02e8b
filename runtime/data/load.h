#pragma once
// Files of data, by the ending of their name.

#include <string>

#include "compiler/support/result.h"
#include "runtime/data/array.h"

namespace hebb {

/// .csv, .npy (one array, named after the file), .npz, .h5 and MATLAB's .mat.
Result<Dataset> load_data(const std::string& path);

/// .npz, .npy (exactly one array), .csv (columns) and .h5; replaced only by a complete file.
Status save_data(const std::string& path, const Dataset& data, NumberType type = NumberType::Float64);

}  // namespace hebb
