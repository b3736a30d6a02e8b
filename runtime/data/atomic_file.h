#pragma once
// Whole files in and out. An output file is replaced only by a complete one.

#include <functional>
#include <string>
#include <string_view>

#include "compiler/support/result.h"

namespace hebb {

Result<std::string> read_file(const std::string& path);

/// Writes beside the target, flushes to the disk, then renames: the old file stays until the new one is
/// whole, and a failure leaves no temporary. Links are followed; what is no regular file (a pipe,
/// /dev/stdout) is written to directly. Errors name `path`.
Status write_file(const std::string& path, std::string_view bytes);

/// The same for what is written by others: `write` fills a temporary file beside the target.
Status replace_file(const std::string& path, const std::function<Status(const std::string& temporary)>& write);

/// Removes temporaries that killed processes of this machine have left in a folder: those of processes that are no more.
void remove_leftovers(const std::string& folder);

}  // namespace hebb
