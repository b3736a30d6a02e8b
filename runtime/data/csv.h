#pragma once
// Tables of numbers as comma-separated text (RFC 4180): a first line of names, then one row a line.

#include <string>
#include <string_view>

#include "compiler/support/result.h"
#include "runtime/data/array.h"

namespace hebb {

/// One array of shape {rows} per column. Quotes, CRLF and a byte order mark are understood; empty cells
/// and NA are NaN. Anything else that is no number, and rows of another length, are errors that begin
/// with "path:line:column: ". No file access: `path` is for messages.
Result<Dataset> parse_csv(std::string_view text, const std::string& path);

/// The arrays, which must be of one dimension and equal length, as columns; shortest exact decimals.
Result<std::string> csv_text(const Dataset& data);

}  // namespace hebb
