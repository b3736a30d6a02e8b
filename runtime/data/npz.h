#pragma once
// NumPy's archives: a ZIP of NPY members, and of ours a text member "provenance.json".

#include <string>
#include <string_view>

#include "compiler/support/result.h"
#include "runtime/data/array.h"

namespace hebb {

/// Members that are no arrays of numbers are listed as unread; a damaged archive is an error.
Result<Dataset> parse_npz(std::string_view bytes, const std::string& path);

/// The same data give the same bytes: no time is stored. Empty `provenance` writes no such member.
Result<std::string> npz_bytes(const Dataset& data, NumberType type, bool compress = true);

}  // namespace hebb
