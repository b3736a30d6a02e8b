#pragma once
// NumPy's array format, versions 1 to 3: one array of numbers.

#include <string>
#include <string_view>

#include "compiler/support/result.h"
#include "runtime/data/array.h"

namespace hebb {

/// f4 f8 i1…i8 u1…u8 b1 of either byte order, C or Fortran order, any shape. The header is believed only
/// as far as the bytes go. 8-byte integers beyond 2^53 are rounded to doubles. `path` is for messages.
Result<Array> parse_npy(std::string_view bytes, const std::string& path);

/// True when the header is sound but the type is none of those ("<U10").
/// For archives, where one member of another type is no reason to refuse the rest.
bool is_npy_of_other_type(std::string_view bytes);

/// What one text of bytes holds ("|S3", no dimensions); empty for everything else.
std::string npy_text(std::string_view bytes);

/// Version 1, little-endian, C order, data aligned to 64 bytes.
std::string npy_bytes(const Array& array, NumberType type);

}  // namespace hebb
