#pragma once
// MATLAB's files of version 5 ("-v6" and "-v7"), the form in which many recordings are kept.

#include <string>
#include <string_view>

#include "compiler/support/result.h"
#include "runtime/data/array.h"

namespace hebb {

/// Real numeric and logical arrays, compressed or not, little-endian; what else is there is listed as unread. A
/// damaged file is an error.
Result<Dataset> parse_mat(std::string_view bytes, const std::string& path);

}  // namespace hebb
